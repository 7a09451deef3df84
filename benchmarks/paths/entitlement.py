"""A network asks about one member, with and without a copy that is still true."""

import httpx

from benchmarks.cooperative import Cooperative
from benchmarks.load import Load, request
from benchmarks.paths import Path

SUBJECTS = 100


async def load(cooperative: Cooperative) -> Load:
    """Ask about members in turn."""
    bearer = {"Authorization": f"Bearer {await cooperative.service_token()}"}
    return Load(
        tuple(request("GET", _target(subject), bearer) for subject in cooperative.subjects[:SUBJECTS])
    )


async def load_known(cooperative: Cooperative) -> Load:
    """Ask whether anything has changed, as a network that keeps its copies does."""
    bearer = {"Authorization": f"Bearer {await cooperative.service_token()}"}
    requests = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{cooperative.port}") as http:
        for subject in cooperative.subjects[:SUBJECTS]:
            etag = (await http.get(_target(subject), headers=bearer)).headers["etag"]
            requests.append(request("GET", _target(subject), bearer | {"If-None-Match": etag}))
    return Load(tuple(requests), status=304)


def _target(subject: str) -> str:
    return f"/v1/entitlements/{subject}"


PATHS = (
    Path("entitlement", load, beside="select"),
    Path("entitlement-known", load_known, beside="select"),
)
