"""Logout that a client asks for (OpenID Connect RP-Initiated Logout 1.0): judged here, confirmed by the person."""

from collections.abc import Mapping
from dataclasses import dataclass

from coop.authorization import clients, keys, redirects
from coop.authorization.clients import Client
from coop.authorization.signing import NotOurs
from coop.errors import Invalid
from coop.unit_of_work import UnitOfWork


class BadLogout(Invalid):
    """The network's request to sign you out is not in order; nothing was changed."""

    code = "bad_logout_request"
    title = "That request cannot be followed"


class BadHint(Invalid):
    """The ID Token that was sent along is not one of ours."""

    code = "bad_id_token_hint"
    title = "That request cannot be followed"


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A logout that is in order: who asks for it, and where the browser goes in the end."""

    client: Client | None
    onward: str | None
    subject: str | None
    """Whom the client means, by its own name for them, if it sent an ID Token along."""


async def hinted(work: UnitOfWork, hint: str) -> dict[str, object]:
    """Return the claims of an ID Token that we issued once; it may have expired long ago."""
    try:
        token = await keys.recognise(work, hint)
    except NotOurs as error:
        raise BadHint from error
    claims = token.claims
    # Logout tokens and access tokens bear our signature as well, and are not ID Tokens.
    if token.kind != "JWT" or claims.get("iss") != work.settings.issuer:
        raise BadHint
    if not isinstance(claims.get("aud"), str) or not isinstance(claims.get("sub"), str):
        raise BadHint
    return claims


async def read(work: UnitOfWork, form: Mapping[str, str]) -> LogoutRequest:
    """Judge a request; the browser is only ever sent to an address that the asking client registered."""
    client_id, subject = form.get("client_id"), None
    if hint := form.get("id_token_hint"):
        told = await hinted(work, hint)
        audience, subject = str(told["aud"]), str(told["sub"])
        if client_id not in {None, audience}:
            raise BadLogout
        client_id = audience
    client = await clients.find(work, client_id)
    if client is None and client_id is not None:
        raise BadLogout
    uri = form.get("post_logout_redirect_uri")
    if uri is None:
        return LogoutRequest(client, None, subject)
    if client is None or uri not in client.post_logout_redirect_uris:
        raise BadLogout
    state = form.get("state")
    onward = uri if state is None else redirects.with_answer(uri, {"state": state})
    return LogoutRequest(client, onward, subject)
