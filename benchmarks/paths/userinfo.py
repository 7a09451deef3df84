"""A client asks who the bearer of an access token is."""

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, request
from benchmarks.paths import Path

TOKENS = 100


async def load(cooperative: Cooperative) -> Load:
    """Ask about members in turn."""
    tokens = [told["access_token"] for told in await cooperative.tokens(TOKENS)]
    return Load(
        tuple(request("GET", "/oauth/userinfo", {"Authorization": f"Bearer {token}"}) for token in tokens)
    )


PATHS = (Path("userinfo", load, beside="select"),)
