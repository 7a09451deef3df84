"""What stewards did about a member, and who looked at their record: for that member to read."""

from dataclasses import dataclass
from datetime import datetime

from litestar import Response, get
from litestar.di import NamedDependency
from sqlalchemy import select

from api.dependencies import AnyRequest, Viewer
from api.pages.rendering import page
from coop.identity.accounts import Account
from coop.ledger import references
from coop.stewardship import audit
from coop.unit_of_work import UnitOfWork, Units


@dataclass(frozen=True, slots=True)
class Line:
    """One act, whose it was, and why."""

    at: datetime
    act: str
    by: str | None
    """The steward's handle; nothing for whoever runs the machine."""
    reason: str


@get("/account/record", include_in_schema=False)
async def record(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show the lines of the log that concern this member, the latest first."""
    async with units.read() as work:
        lines = await _lines(work, signed_in)
    return page("account/record.html", request, lines=lines)


async def _lines(work: UnitOfWork, viewer: Viewer) -> list[Line]:
    acts = await audit.about(work, viewer.account_id)
    looks = await references.lookups(work, viewer.account_id)
    actors = {act.actor_id for act in acts if act.actor_id} | {look.by for look in looks}
    rows = await work.session.execute(select(Account.id, Account.handle).where(Account.id.in_(actors)))
    handles = dict(rows.all())
    lines = [
        Line(act.at, act.act, handles.get(act.actor_id) if act.actor_id else None, act.reason) for act in acts
    ]
    lines += [Line(look.at, "books.looked_up", handles.get(look.by), look.reason) for look in looks]
    return sorted(lines, key=lambda line: line.at, reverse=True)


routes = [record]
