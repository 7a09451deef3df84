"""Dynamic client registration (RFC 7591), open in a demo only, and its management (RFC 7592)."""

from http import HTTPStatus

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.dependencies import AnyRequest
from api.oauth import answers, parameters
from api.oauth.parameters import Unreadable
from coop.authorization import client_metadata, registration
from coop.authorization.registration import BadRegistrationToken
from coop.errors import CoopError
from coop.unit_of_work import Units

_LONGEST_TOKEN = 200


def _unproven(request: AnyRequest, refusal: CoopError) -> Response[bytes]:
    del request
    challenge = {"WWW-Authenticate": 'Bearer realm="coop", error="invalid_token"'}
    return answers.error(refusal.code, refusal.message, HTTPStatus.UNAUTHORIZED, challenge)


handlers = {**answers.handlers, BadRegistrationToken: _unproven}


@post(registration.PATH, exception_handlers=handlers, include_in_schema=False)
async def register(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Let software introduce itself; the answer shows its secret once."""
    async with units.read() as work:
        await registration.admit(work)
    metadata = client_metadata.read(await _body(request))
    await registration.check_sector(units.settings, metadata)
    async with units.open() as work:
        told = await registration.register(work, metadata)
    return answers.json(told, HTTPStatus.CREATED)


@get("/oauth/register/{client_id:str}", exception_handlers=handlers, include_in_schema=False)
async def look(
    request: AnyRequest, units: NamedDependency[Units], client_id: FromPath[str]
) -> Response[bytes]:
    """Tell a client what is registered of it."""
    token = _token(request)
    async with units.read() as work:
        client = await registration.managed(work, client_id, token)
        return answers.json(registration.look(work, client, token))


@put("/oauth/register/{client_id:str}", exception_handlers=handlers, include_in_schema=False)
async def replace(
    request: AnyRequest, units: NamedDependency[Units], client_id: FromPath[str]
) -> Response[bytes]:
    """Replace everything that is registered of a client by what it says now."""
    token = _token(request)
    async with units.read() as work:
        await registration.managed(work, client_id, token)
    metadata, proof = client_metadata.read_correction(await _body(request))
    await registration.check_sector(units.settings, metadata)
    async with units.open() as work:
        client = await registration.managed(work, client_id, token)
        told = await registration.replace(work, client, token, metadata, proof)
    return answers.json(told)


@delete(
    "/oauth/register/{client_id:str}",
    status_code=HTTPStatus.NO_CONTENT,
    exception_handlers=handlers,
    include_in_schema=False,
)
async def remove(
    request: AnyRequest, units: NamedDependency[Units], client_id: FromPath[str]
) -> Response[None]:
    """Let a client take itself away, with all that was issued to it."""
    async with units.open() as work:
        client = await registration.managed(work, client_id, _token(request))
        await registration.remove(work, client)
    return Response(None, status_code=HTTPStatus.NO_CONTENT, headers=answers.NEVER_STORED)


async def _body(request: AnyRequest) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Unreadable("Send the metadata as application/json.")
    body = await request.body()
    if len(body) > parameters.LARGEST:
        raise Unreadable("The metadata are too large.")
    return body


def _token(request: AnyRequest) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token.strip()) <= _LONGEST_TOKEN:
        raise BadRegistrationToken
    return token.strip()


routes = [look, register, remove, replace]
