"""The endpoints that clients call with a form: token, introspection and revocation.

They speak ASGI themselves: clients call them all day long, and the framework's request and answer would cost as much again as
the whole work.
"""

from http import HTTPMethod, HTTPStatus
from typing import cast

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.types import HTTPScope, Receive, Scope, Send

from api.oauth import answers, parameters
from api.oauth.parameters import Unreadable
from coop.authorization import client_assertions, protocol, signed_answers
from coop.authorization.client_keys import ClientKeys
from coop.authorization.server import Endpoint, Proof, ProtocolRequest
from coop.unit_of_work import Units


@asgi("/oauth/token", copy_scope=False, exception_handlers=answers.handlers)
async def token(scope: Scope, receive: Receive, send: Send) -> None:
    """Turn a code, a refresh token or a client's own credentials into tokens (RFC 6749, section 3.2)."""
    await _answer("token", cast("HTTPScope", scope), receive, send)


@asgi("/oauth/introspect", copy_scope=False, exception_handlers=answers.handlers)
async def introspect(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell a client what a token of its own is worth (RFC 7662)."""
    await _answer("introspection", cast("HTTPScope", scope), receive, send)


@asgi("/oauth/revoke", copy_scope=False, exception_handlers=answers.handlers)
async def revoke(scope: Scope, receive: Receive, send: Send) -> None:
    """Take a token back from its client (RFC 7009)."""
    await _answer("revocation", cast("HTTPScope", scope), receive, send)


async def _answer(endpoint: Endpoint, scope: HTTPScope, receive: Receive, send: Send) -> None:
    if scope["method"] != HTTPMethod.POST:
        raise MethodNotAllowedException(headers={"Allow": "POST"})
    if sum(name == b"authorization" for name, _ in scope["headers"]) > 1:
        raise Unreadable("Authenticate in one way only.")
    # Of two other headers of one name the first counts, as everywhere in this service.
    headers = {
        name: value.decode("latin-1") for name, value in reversed(list(scope["headers"])) if name in _READ
    }
    form = await parameters.received(headers.get(b"content-type", ""), receive)
    # Tokens, codes and secrets in an address end up in logs and histories.
    if scope["query_string"]:
        raise Unreadable("Parameters belong in the body, not in the address.")
    if form.repeated:
        raise Unreadable("A parameter was given twice.")
    asked = ProtocolRequest(endpoint, scope["path"], form.values, headers.get(b"authorization"))
    state = scope["litestar_app"].state
    units: Units = state.units
    proof = None
    if client_assertions.presented(asked.form):
        # Before anything else, since the client's keys may have to be fetched.
        client_keys: ClientKeys = state.client_keys
        proven = await client_assertions.prove(
            units, client_keys, asked.form, path=asked.path, authorization=asked.authorization
        )
        proof = Proof(client_assertions.METHOD, proven)
    given = await protocol.answer(units, asked, proof)
    if given.inspected_by is not None and signed_answers.asks_for_introspection(headers.get(b"accept", "")):
        async with units.read() as work:
            signed = await signed_answers.introspection(work, given.inspected_by, given.body)
        await answers.bare(signed.encode(), HTTPStatus.OK, {}, signed_answers.INTROSPECTION, send)
        return
    await answers.bare(msgspec.json.encode(given.body), given.status, given.headers, "application/json", send)


_READ = frozenset({b"authorization", b"content-type", b"accept"})

routes = [token, introspect, revoke]
