"""Discovery and keys: two documents that anybody may read, also from another site's page."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from coop.authorization import discovery, keys
from coop.settings import Settings
from coop.unit_of_work import Units

_PUBLIC = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@get(
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"], include_in_schema=False
)
async def metadata(settings: NamedDependency[Settings]) -> Response[bytes]:
    """Say what this provider can do (OpenID Connect Discovery 1.0; RFC 8414)."""
    return _document(discovery.metadata(settings), seconds=3600)


@get("/oauth/jwks", include_in_schema=False)
async def jwks(units: NamedDependency[Units]) -> Response[bytes]:
    """Publish the keys that verify our signatures (RFC 7517)."""
    async with units.read() as work:
        published = await keys.published(work)
    # Shorter than the hour that a new key is published before it signs.
    return _document({"keys": published}, seconds=900)


def _document(content: dict[str, object], *, seconds: int) -> Response[bytes]:
    headers = _PUBLIC | {"Cache-Control": f"public, max-age={seconds}"}
    return Response(msgspec.json.encode(content), media_type="application/json", headers=headers)


routes = [jwks, metadata]
