"""A client gets an opaque access token in its own name."""

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, form
from benchmarks.paths import Path


async def load(cooperative: Cooperative) -> Load:
    """Ask for the scope that networks need."""
    fields = {"grant_type": "client_credentials", "scope": "entitlements"}
    return Load((form("/oauth/token", fields, cooperative.basic),))


PATHS = (Path("client-credentials", load, beside="insert"),)
