"""A client reads what the provider can do."""

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, request
from benchmarks.paths import Path


async def load(cooperative: Cooperative) -> Load:
    """Read the one document."""
    del cooperative
    return Load((request("GET", "/.well-known/openid-configuration"),))


PATHS = (Path("discovery", load, beside="select"),)
