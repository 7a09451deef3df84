"""Dynamic registration (RFC 7591): software introduces itself. It is open in a demo only."""

from datetime import timedelta

import msgspec
from sqlalchemy import func, select

from coop.authorization import clients, redirects, scopes
from coop.authorization.clients import BadClientMetadata, Client
from coop.errors import NotAllowed, TooMany
from coop.unit_of_work import UnitOfWork

MOST_AN_HOUR = 2000


class RegistrationClosed(NotAllowed):
    """Software cannot introduce itself here; a steward registers networks."""

    code = "registration_closed"


class ClientMetadata(msgspec.Struct, kw_only=True):
    """What a client may say of itself; what we do not know of is ignored, as the RFC asks."""

    redirect_uris: list[str] = msgspec.field(default_factory=list)
    client_name: str = ""
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105 - the default of RFC 7591
    grant_types: list[str] = msgspec.field(default_factory=lambda: ["authorization_code"])
    response_types: list[str] | None = None
    scope: str | None = None
    application_type: str = "web"
    subject_type: str = "pairwise"
    id_token_signed_response_alg: str = "ES256"  # noqa: S105 - the name of an algorithm
    post_logout_redirect_uris: list[str] = msgspec.field(default_factory=list)
    sector_identifier_uri: str | None = None


def read(body: bytes) -> ClientMetadata:
    """Return the metadata that `body` spells, or refuse it by the names of RFC 7591, section 3.2.2."""
    try:
        told = msgspec.json.decode(body, type=ClientMetadata)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadClientMetadata(
            "The metadata is a JSON object whose members have the types of RFC 7591."
        ) from error
    if len(told.redirect_uris) > redirects.MOST or len(told.post_logout_redirect_uris) > redirects.MOST:
        raise redirects.BadRedirectURI(f"Register {redirects.MOST} addresses at most.")
    if not told.redirect_uris and "authorization_code" in told.grant_types:
        raise redirects.BadRedirectURI("redirect_uris is missing.")
    if told.application_type not in {"web", "native"}:
        raise BadClientMetadata("application_type is web or native.")
    if told.subject_type != "pairwise":
        raise BadClientMetadata("Subjects are pairwise here.")
    if told.sector_identifier_uri is not None:
        raise BadClientMetadata(
            "sector_identifier_uri is not supported: register all redirect URIs on one host."
        )
    code = "authorization_code" in told.grant_types
    if not set(told.response_types or (["code"] if code else [])) <= ({"code"} if code else set()):
        raise BadClientMetadata("response_types and grant_types do not fit together; only code is supported.")
    return told


async def register(work: UnitOfWork, told: ClientMetadata) -> dict[str, object]:
    """Register the client and return what it is told: its identifier, its secret once, and what we understood."""
    if not work.settings.demo:
        raise RegistrationClosed
    recent = await work.session.scalar(
        select(func.count())
        .select_from(Client)
        .where(Client.self_registered.is_(True), Client.created_at > work.wall - timedelta(hours=1))
    )
    if (recent or 0) >= MOST_AN_HOUR:
        raise TooMany(retry_after=3600)
    described = clients.Description(
        name=told.client_name or (redirects.host(told.redirect_uris[0]) if told.redirect_uris else "Client"),
        redirect_uris=told.redirect_uris,
        post_logout_redirect_uris=told.post_logout_redirect_uris,
        scope=told.scope if told.scope is not None else scopes.DEFAULT,
        auth_method=told.token_endpoint_auth_method,
        grant_types=told.grant_types,
        native=told.application_type == "native",
        id_token_algorithm=told.id_token_signed_response_alg,
    )
    client, secret = await clients.add(work, described, registration_token=clients.new_secret())
    return _told(client, secret)


def _told(client: Client, secret: str | None) -> dict[str, object]:
    body: dict[str, object] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": client.grant_types,
        "response_types": ["code"] if client.check_grant_type("authorization_code") else [],
        "scope": client.scope,
        "application_type": "native" if client.native else "web",
        "subject_type": "pairwise",
        "id_token_signed_response_alg": client.id_token_algorithm,
    }
    if secret is not None:
        body |= {"client_secret": secret, "client_secret_expires_at": 0}
    return body
