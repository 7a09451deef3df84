"""The endpoints that clients call with a form: token, introspection and revocation."""

import msgspec
from litestar import post
from litestar.types import ASGIApp

from api.dependencies import AnyRequest, provide_client_keys, provide_units
from api.oauth import answers, parameters
from api.oauth.parameters import Unreadable
from coop.authorization import client_assertions, protocol, signed_answers
from coop.authorization.server import Endpoint, Proof, ProtocolRequest


@post("/oauth/token", exception_handlers=answers.handlers, include_in_schema=False)
async def token(request: AnyRequest) -> ASGIApp:
    """Turn a code, a refresh token or a client's own credentials into tokens (RFC 6749, section 3.2)."""
    return await _answer(request, "token")


@post("/oauth/introspect", exception_handlers=answers.handlers, include_in_schema=False)
async def introspect(request: AnyRequest) -> ASGIApp:
    """Tell a client what a token of its own is worth (RFC 7662)."""
    return await _answer(request, "introspection")


@post("/oauth/revoke", exception_handlers=answers.handlers, include_in_schema=False)
async def revoke(request: AnyRequest) -> ASGIApp:
    """Take a token back from its client (RFC 7009)."""
    return await _answer(request, "revocation")


async def _answer(request: AnyRequest, endpoint: Endpoint) -> ASGIApp:
    # Taken here, not injected: the framework starts a task for each of several dependencies.
    units, client_keys = provide_units(request), provide_client_keys(request)
    form = await parameters.of_form(request)
    # Tokens, codes and secrets in an address end up in logs and histories.
    if request.scope["query_string"]:
        raise Unreadable("Parameters belong in the body, not in the address.")
    if form.repeated:
        raise Unreadable("A parameter was given twice.")
    asked = ProtocolRequest(endpoint, request.scope["path"], form.values, dict(request.headers))
    proof = None
    if client_assertions.presented(asked.form):
        # Before anything else, since the client's keys may have to be fetched.
        authorization = asked.headers.get("authorization")
        proven = await client_assertions.prove(
            units, client_keys, asked.form, path=asked.path, authorization=authorization
        )
        proof = Proof(client_assertions.METHOD, proven)
    given = await protocol.answer(units, asked, proof)
    if given.inspected_by is not None and signed_answers.asks_for_introspection(
        asked.headers.get("accept", "")
    ):
        async with units.read() as work:
            signed = await signed_answers.introspection(work, given.inspected_by, given.body)
        return answers.Bare(signed.encode(), given.status, {}, signed_answers.INTROSPECTION)
    return answers.Bare(msgspec.json.encode(given.body), given.status, given.headers, "application/json")


routes = [token, introspect, revoke]
