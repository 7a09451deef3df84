import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import msgspec
import pytest

from coop.settings import Settings
from tests import people
from tests.applications.person import Loopback, Person
from tests.service import Service, serving

LONGEST_LAPSE = 60
"""Seconds within which every network refuses whose membership ended (story 2)."""

_told = pytest.StashKey[list[str]]()


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    """Serve the cooperative with its worker on a loopback port."""
    # The worker would ask Stripe what it knows; here is none, and nobody else's is asked.
    served = msgspec.structs.replace(settings, stripe_api_base="http://127.0.0.1:9")
    async with serving(served, worker=True) as started:
        yield started


@pytest.fixture
async def ada(service: Service) -> AsyncIterator[Person]:
    """Put somebody with an account, and no membership yet, in front of a browser."""
    account = await people.register(service.units, "ada", email="ada@example.org")
    async with httpx.AsyncClient(transport=Loopback(), follow_redirects=True, timeout=30) as browser:
        yield Person(service, account, browser)


@dataclass
class Stopwatch:
    """Measures how long the world takes to notice, and tells it at the end of the run."""

    lines: list[str]
    name: str
    began: float = field(default_factory=time.monotonic)

    async def until(self, happened: Callable[[], Awaitable[bool]], what: str) -> float:
        """Ask again and again until it `happened`; longer than a minute is a failure."""
        self.began = time.monotonic()
        async with asyncio.timeout(LONGEST_LAPSE):
            while True:
                if await happened():
                    break
                await asyncio.sleep(0.25)
        seconds = time.monotonic() - self.began
        self.lines.append(f"{self.name}: {what} after {seconds:.1f} s")
        return seconds


@pytest.fixture
def stopwatch(request: pytest.FixtureRequest) -> Stopwatch:
    """Give a stopwatch whose figures are shown when the run ends."""
    return Stopwatch(request.config.stash.setdefault(_told, []), request.node.name)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    """Show how long each network took to refuse."""
    del exitstatus
    for line in config.stash.get(_told, []):
        terminalreporter.write_line(line)
