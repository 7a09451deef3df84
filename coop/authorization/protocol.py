"""The protocol machine: token, introspection and revocation endpoints, by Authlib's grants over our rows.

Authlib is synchronous and untyped; it is confined to this module and the three that it joins (`server`,
`token_grants`, `token_endpoints`). `answer` runs it with `session.run_sync` on the transaction of the unit of work, one
server object for each request, and nothing inside blocks. What is *returned* is committed, also a refusal, since the
revocation of a replayed family must stay; what is *raised* is rolled back.
"""

from sqlalchemy.orm import Session

from coop.authorization import claims, scopes
from coop.authorization.server import ProtocolAnswer, ProtocolRequest, Server
from coop.authorization.token_endpoints import Introspection, Revocation
from coop.authorization.token_grants import S256, ClientCredentialsGrant, CodeGrant, RefreshGrant
from coop.unit_of_work import UnitOfWork

_NEVER_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


async def answer(work: UnitOfWork, request: ProtocolRequest) -> ProtocolAnswer:
    """Answer one request of a client, within the unit of work that the edge has opened."""
    server, given = await work.session.run_sync(_answer, work, request)
    body = given.body
    # What a token says of its member is looked up and signed here, since claims are asynchronous as everything else.
    if server.issued is not None:
        grant, access = server.issued
        if scopes.OPENID in scopes.words(grant.scope):
            first = request.form["grant_type"] == "authorization_code"
            body["id_token"] = await claims.id_token(work, server.client, grant, access, first=first)
    if server.inspected is not None:
        body["sub"] = claims.subject(work.settings, server.client, server.inspected)
        body |= await claims.standing(work, server.inspected)
    return ProtocolAnswer(given.status, body, given.headers | _NEVER_STORED)


def _answer(session: Session, work: UnitOfWork, request: ProtocolRequest) -> tuple[Server, ProtocolAnswer]:
    server = Server(work, session, request)
    server.register_grant(CodeGrant, [S256(required=True)])
    server.register_grant(RefreshGrant)
    server.register_grant(ClientCredentialsGrant)
    server.register_endpoint(Introspection)
    server.register_endpoint(Revocation)
    return server, server.respond()
