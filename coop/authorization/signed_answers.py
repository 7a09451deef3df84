"""Answers that carry our signature, for clients that keep them or pass them on: introspection and UserInfo."""

from coop.authorization import keys
from coop.authorization.claims import Claims
from coop.authorization.facts import KnownClient
from coop.unit_of_work import UnitOfWork

INTROSPECTION = "application/token-introspection+jwt"
USERINFO = "application/jwt"

INTROSPECTION_ALGORITHM = "introspection_signed_response_alg"
USERINFO_ALGORITHM = "userinfo_signed_response_alg"


def asks_for_introspection(accept: str) -> bool:
    """Tell whether an Accept header asks for a signed answer (RFC 9701, section 4); it must name it, not just allow it."""
    for offer in accept.split(","):
        name, *parameters = (part.strip().lower() for part in offer.split(";"))
        if name == INTROSPECTION:
            return not any(p.startswith("q=") and not p.removeprefix("q=").strip("0.") for p in parameters)
    return False


async def introspection(work: UnitOfWork, client: KnownClient, told: Claims) -> str:
    """Return what introspection tells a client, signed (RFC 9701, section 5).

    The token's own claims stay within one member, so that nobody takes the answer for a token.
    """
    # RS256 is the default of RFC 9701, section 6, whatever the client's ID Tokens are signed with.
    algorithm = str(client.details.get(INTROSPECTION_ALGORITHM, "RS256"))
    body: Claims = {
        "iss": work.settings.issuer,
        "aud": client.client_id,
        "iat": int(work.wall.timestamp()),
        "token_introspection": told,
    }
    return await keys.sign(work, algorithm, body, kind="token-introspection+jwt")


async def userinfo(work: UnitOfWork, client: KnownClient, told: Claims) -> str:
    """Return UserInfo as a JWT, by the algorithm that `client` registered for it (OpenID Connect Core, section 5.3.2)."""
    body: Claims = {"iss": work.settings.issuer, "aud": client.client_id, **told}
    return await keys.sign(work, str(client.details[USERINFO_ALGORITHM]), body)
