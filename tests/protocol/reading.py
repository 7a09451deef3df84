"""Reading JWTs as a relying party does: with nothing but the published keys."""

import httpx
import msgspec
from joserfc import jws
from joserfc.jwk import KeySet

from coop.authorization.client_keys import SIGNATURES


async def read(wire: httpx.AsyncClient, token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Return header and claims of `token`, whose signature is good."""
    published = KeySet.import_key_set((await wire.get("/oauth/jwks")).json())
    verified = jws.deserialize_compact(token, published, registry=SIGNATURES)
    claims: dict[str, object] = msgspec.json.decode(verified.payload)
    return dict(verified.headers()), claims
