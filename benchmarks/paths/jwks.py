"""A client reads the keys that verify our signatures."""

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, request
from benchmarks.paths import Path


async def load(cooperative: Cooperative) -> Load:
    """Read the one document."""
    del cooperative
    return Load((request("GET", "/oauth/jwks"),))


PATHS = (Path("jwks", load, beside="select"),)
