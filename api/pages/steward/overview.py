"""The desk itself: how much of each kind waits."""

from litestar import Response, get
from litestar.di import NamedDependency

from api.dependencies import AnyRequest, Viewer
from api.pages.rendering import page
from api.pages.steward.access import PATH, admit
from coop.billing import vat_payments
from coop.billing.desk import waiting
from coop.billing.reconciliation import differences
from coop.money import ZERO
from coop.unit_of_work import Units


@get(PATH, include_in_schema=False)
async def desk(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Show what waits, with its number, to a treasurer; to another steward even a number of payments would tell."""
    counted, apart, taxed = None, 0, False
    async with units.read() as work:
        if await admit(work, signed_in):
            counted = await waiting.count(work)
            apart = await differences.count(work)
            taxed = bool(units.settings.vat_rates) or await vat_payments.owed(work) != ZERO
    return page("steward/desk.html", request, desk=counted, differences=apart, vat=taxed)


routes = [desk]
