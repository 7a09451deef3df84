"""The renewal run as an operator starts it, killed in its middle and begun again: everybody is renewed exactly once."""

import os
import signal
import subprocess
import sys

import anyio
import pytest
from sqlalchemy import ColumnElement, func, select

from coop.billing import renewal_run
from coop.clock import SystemClock
from coop.ledger import POOL, RESERVED, JournalEntry, balance, checks
from coop.membership.terms import Term
from coop.outbox import OutboxMessage
from coop.settings import Settings
from coop.sponsorship import runs
from coop.sponsorship.places import Place
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.demo import ROOT
from tests.line import wait_in_line

MANY = 4500
PRICE = 2500


@pytest.fixture
def variables(settings: Settings) -> dict[str, str]:
    """Return the settings of the test's cooperative as a process takes them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COOP_")} | {
        "COOP_ISSUER": "https://members.example",
        "COOP_DATABASE_URL": settings.database_url,
        "COOP_SECRET_KEY": settings.secret_key,
        "COOP_PAIRWISE_SECRET": settings.pairwise_secret,
        "COOP_SPONSORSHIP_DELAY_HOURS": "0",
    }


def started(variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """Begin a run."""
    return subprocess.Popen(
        [sys.executable, "-m", "coop.cli", "renew"],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def count(units: Units, where: ColumnElement[bool]) -> int:
    async with units.read() as work:
        return await work.session.scalar(select(func.count()).where(where)) or 0


@pytest.fixture
async def today(units: Units) -> Units:
    """Give units on the machine's own clock, by which the command goes."""
    units.clock = SystemClock()
    await found(units)
    return units


async def test_killed_at_any_moment_and_begun_again_it_renews_everybody_exactly_once(
    today: Units, variables: dict[str, str]
) -> None:
    units = today
    await wait_in_line(units, MANY)

    kills = 0
    # One dies while places are given, one while years begin.
    for state, wanted in (("awarded", 500), ("begun", 500)):
        run = started(variables)
        # Another process does it, whom nothing can be asked but the database.
        while run.poll() is None and await count(units, Place.state == state) < wanted:  # noqa: ASYNC110
            await anyio.sleep(0.005)
        run.kill()
        kills += run.wait() == -signal.SIGKILL
        run.communicate()
    last = started(variables)
    out, err = last.communicate(timeout=300)

    assert last.returncode == 0, err.decode()
    assert kills >= 1
    print(f"killed {kills} times\n{out.decode()}")  # noqa: T201 - of interest where it fails
    assert await count(units, Place.state == "begun") == MANY
    assert await count(units, Term.year == 2) == MANY
    assert await count(units, JournalEntry.source == "place") == MANY
    assert await count(units, OutboxMessage.dedupe_key.like("place-begun:%")) == MANY
    async with units.snapshot() as work:
        assert (await balance(work, POOL)).minor == (await balance(work, RESERVED)).minor == 0
        report = await checks.run(work)
    assert report.ok, [check for check in report.checks if not check.ok]


async def test_a_run_says_what_it_did_and_where_nobody_watches_shows_no_bar(
    today: Units, variables: dict[str, str]
) -> None:
    await wait_in_line(today, 12, pool=10 * PRICE)

    run = started(variables)
    out, err = run.communicate(timeout=300)

    assert run.returncode == 0, err.decode()
    assert out.decode().splitlines() == [
        "gifts begun: 0",
        "ends announced: 0",
        "gaps kept: 0",
        "offers lapsed: 0",
        "places given: 10",
        "years begun: 10",
        "memberships lapsed: 0",
    ]
    assert b"\x1b[" not in err


def test_the_bar_is_loaded_where_it_is_shown() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, coop.cli.renew; print('rich.progress' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout == "False\n"


async def test_what_is_to_be_done_is_counted_before(today: Units) -> None:
    await wait_in_line(today, 12, pool=10 * PRICE + 300)

    async with today.read() as work:
        assert await runs.count_covered(work) == 10
    due = {stage.name: await stage.due() for stage in renewal_run.stages(today)}

    assert {name: count for name, count in due.items() if count} == {"places given": 10}
