"""The whole database: every package's mapped classes on one metadata, and the migrations that build it."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import coop.authorization.client_assertions
import coop.authorization.clients
import coop.authorization.consents
import coop.authorization.grants
import coop.authorization.keys
import coop.authorization.notices
import coop.authorization.tokens
import coop.billing.cards
import coop.billing.disputes
import coop.billing.household_dues
import coop.billing.importing.held
import coop.billing.instalment_plans
import coop.billing.intents
import coop.billing.offline.transactions
import coop.billing.offline.transfers
import coop.billing.operations
import coop.billing.payments
import coop.billing.receipts
import coop.billing.reconciliation.differences
import coop.billing.reconciliation.runs
import coop.billing.reconciliation.streams
import coop.billing.refunds
import coop.billing.stripe_events
import coop.billing.subscriptions
import coop.billing.vat_payments
import coop.governance.ballots
import coop.governance.motions
import coop.governance.roll
import coop.identity.accounts
import coop.identity.handles
import coop.identity.links
import coop.identity.passkeys
import coop.identity.recovery
import coop.identity.sessions
import coop.identity.throttle
import coop.leaving.erasures
import coop.ledger.balances
import coop.ledger.entries
import coop.ledger.references
import coop.ledger.sealer
import coop.mail
import coop.membership.households
import coop.membership.obstacles
import coop.membership.organisations
import coop.membership.renewal
import coop.membership.terms
import coop.networks.admins
import coop.networks.aliases
import coop.networks.covenant
import coop.networks.deliveries
import coop.networks.endpoints
import coop.networks.links
import coop.networks.moving.imported
import coop.networks.networks
import coop.networks.settlement
import coop.networks.subjects
import coop.outbox
import coop.policies.versions
import coop.sponsorship.gifts
import coop.sponsorship.institutions
import coop.sponsorship.outlook
import coop.sponsorship.places
import coop.sponsorship.pool
import coop.stewardship.approvals
import coop.stewardship.audit
import coop.stewardship.roles
import coop.unit_of_work  # noqa: F401 - all of these are imported for their mapped classes
from coop.database import Base

if TYPE_CHECKING:
    from alembic.config import Config

metadata = Base.metadata

_PACKAGE = Path(__file__).parent
# In the wheel the migrations lie inside the package; in a checkout they lie beside it.
_MIGRATIONS = next(p for p in (_PACKAGE / "_migrations", _PACKAGE.parent / "migrations") if p.is_dir())


# Alembic is imported where it migrates: who serves only asks whether it has to, and would carry ten megabytes for that.
def configuration(connection: Connection | None = None) -> "Config":
    """Return Alembic's configuration, made in code, over an open `connection`."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the database to `revision`, in one transaction."""
    from alembic import command  # noqa: PLC0415

    async with engine.connect() as connection, _tables_may_be_copied(connection), connection.begin():
        await connection.run_sync(lambda sync: command.upgrade(configuration(sync), revision))
        await _check_references(connection)


@contextlib.asynccontextmanager
async def _tables_may_be_copied(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let SQLite, which cannot alter a table in place, drop and replace one that others refer to."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None  # noqa: S101 - it was just opened
    # Not within a transaction, where SQLite would ignore it without a word.
    await driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        await driver.execute("PRAGMA foreign_keys=ON")


async def _check_references(connection: AsyncConnection) -> None:
    if connection.dialect.name == "sqlite":
        dangling = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
        if dangling:
            msg = f"a migration left {len(dangling)} references to rows that are gone"
            raise RuntimeError(msg)


def head() -> str:
    """Return the newest revision: the one that no migration follows."""
    revisions, followed = set[str](), set[str]()
    for path in _MIGRATIONS.glob("versions/*.py"):
        found = dict(_REVISION.findall(path.read_text(encoding="utf-8")))
        revisions.add(found["revision"])
        followed.add(found.get("down_revision", ""))
    (newest,) = revisions - followed
    return newest


_REVISION = re.compile(r'^(revision|down_revision) = "(\w+)"$', re.MULTILINE)


async def behind(engine: AsyncEngine) -> bool:
    """Tell whether migrations wait to be run."""

    def version(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found

    async with engine.connect() as connection:
        return await connection.run_sync(version) != head()
