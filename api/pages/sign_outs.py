"""Receipts of sign-outs: which networks were told that a session has ended, and what they answered."""

from litestar import Response, get
from litestar.di import NamedDependency

from api.dependencies import AnyRequest, Viewer
from api.pages.rendering import page
from coop.authorization import backchannel, notices
from coop.unit_of_work import Units

PATH = "/account/sign-outs"


@get(PATH, include_in_schema=False)
async def receipts(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """List this person's latest sign-outs from networks, the newest first."""
    async with units.read() as work:
        found = await notices.receipts(work, signed_in.account_id)
    return page(
        "security/sign_outs.html",
        request,
        receipts=[
            {
                "network": client.name,
                "receipt": notice.receipt,
                "asked_at": notice.created_at,
                "signed_out_at": notice.delivered_at,
                "tried_until": notice.created_at + backchannel.WINDOW,
            }
            for notice, client in found
        ],
    )


routes = [receipts]
