"""Logout that a client asks for (OpenID Connect RP-Initiated Logout 1.0): judged here, confirmed by the person."""

from collections.abc import Mapping
from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import JoseError

from coop.authorization import clients, keys, redirects
from coop.authorization.clients import SIGNING_ALGORITHMS, Client
from coop.errors import Invalid
from coop.unit_of_work import UnitOfWork


class BadLogout(Invalid):
    """The network's request to sign you out is not in order; nothing was changed."""

    code = "bad_logout_request"
    title = "That request cannot be followed"


class BadHint(Invalid):
    """The ID Token that was sent along is not one of ours."""

    code = "bad_id_token_hint"


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A logout that is in order: who asks for it, and where the browser goes in the end."""

    client: Client | None
    onward: str | None


async def hinted(work: UnitOfWork, hint: str) -> dict[str, object]:
    """Return the claims of an ID Token that we issued once; it may have expired long ago."""
    try:
        token = jwt.decode(hint, await keys.verifying(work), algorithms=list(SIGNING_ALGORITHMS))
    except (JoseError, ValueError) as error:
        raise BadHint from error
    claims = dict(token.claims)
    if claims.get("iss") != work.settings.issuer or not isinstance(claims.get("aud"), str):
        raise BadHint
    return claims


async def read(work: UnitOfWork, form: Mapping[str, str]) -> LogoutRequest:
    """Judge a request; the browser is only ever sent to an address that the asking client registered."""
    client_id = form.get("client_id")
    if hint := form.get("id_token_hint"):
        audience = str((await hinted(work, hint))["aud"])
        if client_id not in {None, audience}:
            raise BadLogout
        client_id = audience
    client = await clients.find(work, client_id)
    if client is None and client_id is not None:
        raise BadLogout
    uri = form.get("post_logout_redirect_uri")
    if uri is None:
        return LogoutRequest(client, None)
    if client is None or uri not in client.post_logout_redirect_uris:
        raise BadLogout
    state = form.get("state")
    return LogoutRequest(client, uri if state is None else redirects.with_answer(uri, {"state": state}))
