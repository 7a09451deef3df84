"""A client gets an access token in its own name: an opaque one, or for software that asks a JWT signed with ES256."""

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, form
from benchmarks.paths import Path

FIELDS = {"grant_type": "client_credentials", "scope": "entitlements"}
DOTS = 2
"""In a JWT in its compact form; none in an opaque token."""


async def load(cooperative: Cooperative) -> Load:
    """Ask for the scope that networks need."""
    return Load((form("/oauth/token", FIELDS, cooperative.basic),))


async def load_jwt(cooperative: Cooperative) -> Load:
    """Ask the same for a client whose tokens are signed."""
    answered = await cooperative.token(cooperative.jwt_basic, **FIELDS)
    if answered["access_token"].count(".") != DOTS:
        msg = "the service gave an opaque token where a JWT was to be measured"
        raise RuntimeError(msg)
    return Load((form("/oauth/token", FIELDS, cooperative.jwt_basic),))


PATHS = (
    Path("client-credentials", load, beside="insert"),
    Path("client-credentials-jwt", load_jwt, beside="insert"),
)
