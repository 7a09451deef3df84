"""What every test may ask for: a fresh database on either engine, units of work, the application, a client.

The schema is built once by the migrations, as a template; each test gets a copy of its own on SQLite, and on PostgreSQL
the database of the test before it, emptied, so that tests may commit and run concurrently, as the real thing does.
"""

import asyncio
import contextlib
import fcntl
import functools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import hypothesis
import pytest
from litestar import Litestar

from api.app import build, join
from coop import schema
from coop.authorization import keys
from coop.billing.stripe_gateway import StripeGateway
from coop.clock import FixedClock
from coop.database import make_engine
from coop.mail import Letter
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units
from tests import compiled, databases, postgres
from tests import demo as demos
from tests.databases import Copied, Ground, Reused

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ISSUER = "http://127.0.0.1:8000"
SECRET_KEY = "5e" * 32

# A property is true or not; how long an example takes on a busy machine says nothing about it.
hypothesis.settings.register_profile("coop", deadline=None)
hypothesis.settings.load_profile("coop")
compiled.once_a_process()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures",
        action="store_true",
        help="keep pictures of the pages, and take those of the documents anew",
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Postbox:
    """A mailer that keeps what it was given, as the demo's mailbox does."""

    letters: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        """Keep `letter`."""
        self.letters.append(letter)

    async def close(self) -> None:
        """Hold nothing."""


async def _migrate(url: str) -> None:
    engine = make_engine(url, "writer")
    await schema.upgrade(engine)
    await engine.dispose()
    # Signing keys are made at the first start; once for all tests, since an RSA key takes a while.
    units = Units(
        Settings(issuer=ISSUER, database_url=url, demo=True, secret_key=SECRET_KEY), FixedClock(START)
    )
    await keys.prepare(units)
    await units.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "coop.sqlite"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgres_server: str) -> str:
    async def make() -> None:
        connection = await asyncpg.connect(f"{postgres_server.replace('+asyncpg', '')}/postgres")
        await connection.execute("CREATE DATABASE template_coop")
        await connection.close()
        await _migrate(f"{postgres_server}/template_coop")

    asyncio.run(make())
    return f"{postgres_server}/template_coop"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Return the engine of this run; tests that need a database run on both."""
    return str(request.param)


@pytest.fixture(scope="session")
async def postgresql_ground(postgres_server: str, postgresql_template: str) -> AsyncIterator[Reused]:
    """Give the database that all tests of this process have one after the other."""
    async with databases.reused(postgres_server, postgresql_template.rpartition("/")[2]) as mine:
        yield mine


@pytest.fixture(scope="session")
def sqlite_ground(sqlite_template: Path) -> Copied:
    return Copied(sqlite_template)


@pytest.fixture
def ground(engine_name: str, request: pytest.FixtureRequest) -> Ground:
    """Return what databases of this engine come from; made outside any running loop."""
    made: Ground = request.getfixturevalue(f"{engine_name}_ground")
    return made


@pytest.fixture
def fast_path() -> Iterator[Path]:
    """Give a folder for databases, in memory where the machine has room there."""
    with tempfile.TemporaryDirectory(prefix="coop-", dir=postgres.memory()) as folder:
        yield Path(folder)


@pytest.fixture
async def database_url(ground: Ground, fast_path: Path) -> str:
    """Return a database of the test's own, with the schema and nothing in it."""
    return await ground.fresh(fast_path)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(
        issuer=ISSUER,
        database_url=database_url,
        demo=True,
        worker=False,
        private_targets=True,
        sponsorship_delay_hours=0,
        secret_key=SECRET_KEY,
        pairwise_secret="9a" * 32,
        stripe_secret_key="sk_test_" + "x" * 24,
        stripe_webhook_secret="whsec_" + "y" * 32,
    )


@pytest.fixture
async def units(settings: Settings, clock: FixedClock) -> AsyncIterator[Units]:
    """Open units of work over the test's database."""
    opened = Units(settings, clock)
    yield opened
    await opened.close()


@pytest.fixture
async def work(units: Units) -> AsyncIterator[UnitOfWork]:
    """Give one open unit of work; it commits when the test ends without an exception."""
    async with units.open() as opened:
        yield opened


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@functools.cache
def routes() -> Litestar:
    """Register the routes once for all tests of a process; what is behind them is each test's own."""
    return build()


@pytest.fixture
async def app(units: Units, postbox: Postbox) -> AsyncIterator[Litestar]:
    application = join(routes(), units, StripeGateway(units.settings), postbox)
    async with application.lifespan():
        yield application


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Speak HTTP to the application in this very loop."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as speaking:
        yield speaking


@contextlib.contextmanager
def demo_folder() -> Iterator[Path]:
    """Give the data of a demo a place of its own, in memory where the machine has room there."""
    with tempfile.TemporaryDirectory(prefix="coop-demo-", dir=postgres.memory()) as folder:
        yield Path(folder) / "demo"


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data of a demo whose two years one test process has lived through for all of them."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    seed = shared / "demo"
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (seed / "story.json").exists():
            # Two years on a disk are a thousand commits that wait for it.
            with demo_folder() as data:
                with demos.running(data):
                    pass
                demos.copy(data, seed)
    return seed


@pytest.fixture(scope="session")
def demo(seeded: Path) -> Iterator[demos.Demo]:
    """Give a running demo to tests that leave its clock and the people it introduces as they are."""
    with demo_folder() as data, demos.running(demos.copy(seeded, data)) as started:
        yield started


@pytest.fixture
def own_demo(seeded: Path) -> Iterator[demos.Demo]:
    """Give a running demo of the test's own."""
    with demo_folder() as data, demos.running(demos.copy(seeded, data)) as started:
        yield started
