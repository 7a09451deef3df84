"""Where the link leads that a network sent to the owner of an account there: one button, since programs fetch links."""

from http import HTTPStatus
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.rendering import page
from coop.identity import accounts
from coop.networks import aliases
from coop.networks.moving import claiming
from coop.unit_of_work import Units

LONGEST = 100
"""Characters of a token; a longer one is none."""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form with nothing but its button."""


@get("/claim/{token:str}", include_in_schema=False)
async def offered(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    token: FromPath[str],
) -> Response[bytes]:
    """Show the account behind the link, and who would claim it."""
    async with units.read() as work:
        waiting = await claiming.behind(work, token[:LONGEST])
        mine = await aliases.of(work, waiting.network.id, viewer.account_id) if viewer else None
    return page(
        "claim/offered.html",
        request,
        network=waiting.network.name,
        alias=waiting.alias,
        name_there=mine.alias if mine else None,
        here=f"/claim/{quote(token, safe='')}",
    )


@post("/claim/{token:str}", status_code=HTTPStatus.OK, include_in_schema=False)
async def claim(
    request: AnyRequest,
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    token: FromPath[str],
) -> Response[bytes]:
    """Make the account the member's own, and lead to the network."""
    del data
    async with units.open() as work:
        account = await accounts.get(work, signed_in.account_id)
        claimed = await claiming.claim(work, account, token[:LONGEST])
        matched = await claiming.known_by_address(work, claimed.network.id, account.id)
    return page(
        "claim/claimed.html",
        request,
        network=claimed.network.name,
        address=claimed.network.origin,
        alias=claimed.alias,
        matched=matched,
    )


routes = [offered, claim]
