"""Dynamic client registration (RFC 7591), open in a demo only."""

from http import HTTPStatus

from litestar import Response, post
from litestar.di import NamedDependency

from api.dependencies import AnyRequest
from api.oauth import answers, parameters
from api.oauth.parameters import Unreadable
from coop.authorization import registration
from coop.unit_of_work import Units


@post("/oauth/register", exception_handlers=answers.handlers, include_in_schema=False)
async def register(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Let software introduce itself; the answer shows its secret once."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Unreadable("Send the metadata as application/json.")
    body = await request.body()
    if len(body) > parameters.LARGEST:
        raise Unreadable("The metadata are too large.")
    metadata = registration.read(body)
    async with units.open() as work:
        told = await registration.register(work, metadata)
    return answers.json(told, HTTPStatus.CREATED)


routes = [register]
