"""A network asks whether the bearer of an access token is a member, which is to say free of advertisements."""

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, form
from benchmarks.paths import Path

TOKENS = 100


async def load(cooperative: Cooperative) -> Load:
    """Ask about members in turn."""
    tokens = [told["access_token"] for told in await cooperative.tokens(TOKENS)]
    return Load(tuple(form("/oauth/introspect", {"token": token}, cooperative.basic) for token in tokens))


PATHS = (Path("introspection", load, beside="select"),)
