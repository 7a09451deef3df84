"""The protocol machine: token, introspection and revocation endpoints, by Authlib's grants over our rows.

Each request takes three steps: what was presented is loaded in one statement (`presented`), Authlib judges it in memory
(`server`, `token_grants`, `token_endpoints`: synchronous and untyped, and confined to these), and what was decided is carried
out by one guarded statement (`effects`). Where the guard no longer holds, somebody else was quicker: the request is
judged anew, over what is true now.
"""

from dataclasses import replace
from http import HTTPStatus

from authlib.oauth2.rfc6749 import OAuth2Error

from coop.authorization import claims, effects, presented, scopes, tokens
from coop.authorization.clients import key_of
from coop.authorization.facts import Facts
from coop.authorization.server import Proof, ProtocolAnswer, ProtocolRequest, Server, proof_of, refusal
from coop.authorization.token_endpoints import Introspection, Revocation
from coop.authorization.token_grants import ClientCredentialsGrant, CodeGrant, RefreshGrant
from coop.errors import Unavailable
from coop.prepared import Line
from coop.unit_of_work import Units

_TRIES = 3
"""Of two at once one has to look again, and then finds the other's traces."""


async def answer(units: Units, request: ProtocolRequest, proof: Proof | None = None) -> ProtocolAnswer:
    """Answer one request of a client, which has proved itself already where there is a `proof`."""
    try:
        proof = proof or proof_of(request)
    except OAuth2Error as error:
        return refusal(error)
    for _ in range(_TRIES):
        async with units.line() as line:
            facts = await _load(line, request, proof)
            server = Server(line.settings, line.wall, request, proof, facts, _GRANTS, _ENDPOINTS)
            given = server.respond()
            if server.effect is not None:
                async with units.writing(line) as writer:
                    if not await effects.carry_out(writer, server.effect):
                        continue
        _tell(server, given.body)
        if request.endpoint == "introspection" and given.status == HTTPStatus.OK:
            return replace(given, inspected_by=server.client)
        return given
    raise Unavailable


_GRANTS: dict[str, type[CodeGrant | RefreshGrant | ClientCredentialsGrant]] = {
    "authorization_code": CodeGrant,
    "refresh_token": RefreshGrant,
    "client_credentials": ClientCredentialsGrant,
}
_ENDPOINTS: dict[str, type[Introspection | Revocation]] = {
    "introspection": Introspection,
    "revocation": Revocation,
}


async def _load(line: Line, request: ProtocolRequest, proof: Proof) -> Facts:
    client_id = key_of(proof.client_id)
    if client_id is None:
        return Facts()
    form = request.form
    if request.endpoint != "token":
        token = form.get("token", "")
        if token.startswith(tokens.REFRESH_PREFIX):
            return await presented.by_refresh(line, client_id, token)
        return await presented.by_access(line, client_id, token)
    match form.get("grant_type"):
        case "authorization_code":
            return await presented.by_code(line, client_id, form.get("code", ""))
        case "refresh_token":
            return await presented.by_refresh(line, client_id, form.get("refresh_token", ""))
        case _:
            return await presented.by_client(line, client_id)


def _tell(server: Server, body: dict[str, object]) -> None:
    """Add what an answer says of a member."""
    family, facts, settings = server.family, server.facts, server.settings
    if family is None:
        return
    if server.asked.endpoint == "introspection":
        body["sub"] = claims.subject(settings, server.client, family.account_id)
        body |= claims.of_standing(facts.entitled)
    elif scopes.OPENID in scopes.words(scope := str(body["scope"])):
        first = server.asked.form["grant_type"] == "authorization_code"
        access = str(body["access_token"])
        told = claims.id_token(
            settings, server.wall, server.client, family, facts, access, scope=scope, first=first
        )
        body["id_token"] = server.sign(told)
