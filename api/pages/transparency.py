"""The transparency page: the law in force with its sources, who holds a role, and how often stewards acted."""

from collections import Counter
from datetime import timedelta

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from sqlalchemy import func, select

from api.dependencies import Viewer
from api.pages.clauses import KINDS
from api.pages.languages import marked
from api.pages.rendering import page
from coop import policies
from coop.stewardship import roles
from coop.stewardship.audit import AuditEntry
from coop.stewardship.roles import RoleName
from coop.unit_of_work import Units

A_YEAR = timedelta(days=365)

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
        acts = await work.session.scalar(
            select(func.count()).select_from(AuditEntry).where(AuditEntry.at > work.now - A_YEAR)
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
