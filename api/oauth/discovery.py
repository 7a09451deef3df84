"""Discovery and keys: two documents that anybody may read, also from another site's page."""

from functools import lru_cache

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from api.dependencies import AnyRequest
from coop.authorization import discovery
from coop.authorization.keys import PublishedKeys
from coop.settings import Settings


@get(
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"], include_in_schema=False
)
async def metadata(settings: NamedDependency[Settings]) -> Response[bytes]:
    """Say what this provider can do (OpenID Connect Discovery 1.0; RFC 8414)."""
    return _document(_metadata(settings), seconds=3600)


@get("/oauth/jwks", include_in_schema=False)
async def jwks(request: AnyRequest) -> Response[bytes]:
    """Publish the keys that verify our signatures (RFC 7517)."""
    published: PublishedKeys = request.app.state.published_keys
    # Shorter than the hour that a new key is published before it signs.
    return _document(await published.document(), seconds=900)


@lru_cache(maxsize=4)
def _metadata(settings: Settings) -> bytes:
    return msgspec.json.encode(discovery.metadata(settings))


def _document(content: bytes, *, seconds: int) -> Response[bytes]:
    headers = {"Cache-Control": f"public, max-age={seconds}"}
    return Response(content, media_type="application/json", headers=headers)


routes = [jwks, metadata]
