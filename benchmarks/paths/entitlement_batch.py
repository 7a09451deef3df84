"""A network asks about a thousand members in one request."""

import json

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, request
from benchmarks.paths import Path

SUBJECTS = 1000


async def load(cooperative: Cooperative) -> Load:
    """Ask about every member there is, up to the most that one request may name."""
    headers = {
        "Authorization": f"Bearer {await cooperative.service_token()}",
        "Content-Type": "application/json",
    }
    asked = json.dumps({"subjects": cooperative.subjects[:SUBJECTS]})
    return Load((request("POST", "/v1/entitlements", headers, asked),))


PATHS = (Path("entitlement-batch", load, beside="select"),)
