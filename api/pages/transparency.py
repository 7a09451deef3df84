"""The transparency page: the law in force with its sources, who holds a role, and how often stewards acted."""

from collections import Counter

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from sqlalchemy import func, select

from api.dependencies import Viewer
from api.pages.clauses import KINDS
from api.pages.languages import marked
from api.pages.rendering import page
from coop import policies
from coop.clock import local_date, midnight, month_anniversary
from coop.stewardship import roles
from coop.stewardship.audit import AuditEntry
from coop.stewardship.roles import RoleName
from coop.unit_of_work import Units

MONTHS = 12
"""Whole ones that are over: with a count of the moment anybody could watch cash being approved as a membership begins."""

ROLES: dict[RoleName, str] = {
    "steward": marked("Steward"),
    "treasurer": marked("Treasurer"),
    "admin": marked("Admin"),
    "auditor": marked("Auditor"),
}


@get("/transparency", include_in_schema=False)
async def transparency(
    request: Request[object, object, State],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Show by whose decision what is as it is; roles by number, never by name."""
    del viewer
    async with units.read() as work:
        law = await policies.law(work)
        held = await roles.holders(work)
        zone = work.settings.zone
        month = local_date(work.now, zone).replace(day=1)
        since, until = midnight(month_anniversary(month, -MONTHS), zone), midnight(month, zone)
        acts = await work.session.scalar(
            select(func.count()).select_from(AuditEntry).where(AuditEntry.at >= since, AuditEntry.at < until)
        )
    holders = Counter(role.role for role in held)
    return page(
        "about/transparency.html",
        request,
        law=[(KINDS[kind], version) for kind, version in law.items()],
        roles=[
            (name, holders[role], max(found.expires_at for found in held if found.role == role))
            for role, name in ROLES.items()
            if holders[role]
        ],
        acts=acts or 0,
    )


routes = [transparency]
