"""The life of money: a thousand steps of `tests/soak` in every run of the tests, as many as wished in `make soak`."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.soak.ground import Ground, on_postgresql, on_sqlite
from tests.soak.machine import BEGINNINGS, LifeOfMoney

SOAKING = "SOAK_STEPS" in os.environ
STEPS = int(os.environ.get("SOAK_STEPS", "1000"))
ENGINE = os.environ.get("SOAK_ENGINE", "sqlite")
A_LIFE = 100
"""Steps between the founding of a cooperative and the day on which everything is compared for the last time.

To open one for business costs as much as forty steps: its engines compile all statements anew.
"""
PHASES = [Phase.generate, Phase.shrink] if "SOAK_SHRINK" in os.environ else [Phase.generate]
"""Making a failing life shorter takes long; it is asked for once there is one."""


@pytest.fixture
def ground(fast_path: Path, request: pytest.FixtureRequest) -> Ground:
    template = request.getfixturevalue(f"{ENGINE}_template")
    if ENGINE == "sqlite":
        return asyncio.run(on_sqlite(template, fast_path, BEGINNINGS[0]))
    return asyncio.run(on_postgresql(template, BEGINNINGS[0]))


def test_sandbox_ledger_terms_and_entitlements_agree_whatever_happens(ground: Ground) -> None:
    class Life(LifeOfMoney):
        """Lives on this ground."""

    Life.ground = staticmethod(ground)
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=max(1, STEPS // A_LIFE),
            stateful_step_count=A_LIFE,
            deadline=None,
            print_blob=True,
            # The tests play the same lives each time; `make soak` looks for others.
            derandomize=not SOAKING,
            database=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
