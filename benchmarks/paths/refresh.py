"""A refresh token becomes its successor: rotation, reuse detection, an access and an ID Token."""

from benchmarks.cooperative import Cooperative
from benchmarks.load import CONNECTIONS, TOKEN, Load, chain, form
from benchmarks.paths import Path


async def load(cooperative: Cooperative) -> Load:
    """Keep a family for each connection, and some to spare."""
    tokens = [told["refresh_token"] for told in await cooperative.tokens(2 * CONNECTIONS)]
    fields = {"grant_type": "refresh_token", "refresh_token": TOKEN}
    return chain(form("/oauth/token", fields, cooperative.basic), tokens)


PATHS = (Path("refresh", load, beside="insert"),)
