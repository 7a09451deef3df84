"""Client metadata: what software says of itself when it registers, and what it is told back (RFC 7591, section 2)."""

import json
import unicodedata
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import msgspec

from coop.authorization import client_keys, clients, redirects, scopes
from coop.authorization.clients import BadClientMetadata, Client, Description
from coop.errors import Invalid
from coop.settings import Settings

LONGEST_ADDRESS = 500

Told = TypeVar("Told")
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
Words = Annotated[list[Text], msgspec.Meta(max_length=10)]

_PAGES = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
_DETAILS = (
    *_PAGES,
    *"contacts software_id software_version initiate_login_uri require_auth_time default_acr_values "
    "token_endpoint_auth_signing_alg userinfo_signed_response_alg introspection_signed_response_alg".split(),
)
_ANSWERS = ("userinfo_signed_response_alg", "introspection_signed_response_alg")


class BadRegistration(Invalid):
    """The registration request is not in order."""

    code = "invalid_request"


class ClientMetadata(msgspec.Struct, kw_only=True):
    """What a client may say of itself; what we do not know of is ignored, as the RFC asks.

    The defaults are those of RFC 7591 and OpenID Connect Registration: software that says nothing of signatures expects RS256.
    """

    redirect_uris: list[str] = msgspec.field(default_factory=list)
    client_name: str = ""
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105 - the default of RFC 7591
    token_endpoint_auth_signing_alg: str | None = None
    grant_types: list[str] = msgspec.field(default_factory=lambda: ["authorization_code"])
    response_types: list[str] | None = None
    scope: str | None = None
    application_type: str = "web"
    subject_type: str = "pairwise"
    sector_identifier_uri: str | None = None
    id_token_signed_response_alg: str = "RS256"  # noqa: S105 - the name of an algorithm
    userinfo_signed_response_alg: str | None = None
    introspection_signed_response_alg: str | None = None
    jwks: dict[str, object] | None = None
    jwks_uri: str | None = None
    post_logout_redirect_uris: list[str] = msgspec.field(default_factory=list)
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    default_max_age: Annotated[int, msgspec.Meta(ge=0, le=999_999_999)] | None = None
    require_auth_time: bool | None = None
    default_acr_values: Words | None = None
    initiate_login_uri: str | None = None
    client_uri: str | None = None
    logo_uri: str | None = None
    tos_uri: str | None = None
    policy_uri: str | None = None
    contacts: Words | None = None
    software_id: Text | None = None
    software_version: Text | None = None


class Correction(msgspec.Struct, kw_only=True):
    """What else a client says when it replaces its metadata (RFC 7592, section 2.2); what we told it, it must not send."""

    client_id: str | None = None
    client_secret: str | None = None
    registration_access_token: object = None
    registration_client_uri: object = None
    client_id_issued_at: object = None
    client_secret_expires_at: object = None


def read(body: bytes) -> ClientMetadata:
    """Return the metadata that `body` spells, or refuse it by the names of RFC 7591, section 3.2.2."""
    return _convert(_members(body), ClientMetadata)


def read_correction(body: bytes) -> tuple[ClientMetadata, Correction]:
    """Return the metadata that replace all there was, and the proof that comes with them."""
    members = _members(body)
    correction = _convert(members, Correction)
    for name in ("registration_access_token", "registration_client_uri", "client_id_issued_at"):
        if getattr(correction, name) is not None:
            raise BadRegistration(f"{name} is ours to say.", field=name)
    if correction.client_secret_expires_at is not None:
        raise BadRegistration("client_secret_expires_at is ours to say.", field="client_secret_expires_at")
    return _convert(members, ClientMetadata), correction


def describe(told: ClientMetadata, settings: Settings) -> Description:
    """Return what is registered of a client that says this, if it fits together."""
    _check(told)
    details = {name: value for name in _DETAILS if (value := getattr(told, name)) is not None}
    for name in _PAGES:
        if name in details:
            _check_page(str(details[name]), name, ("https", "http"))
    if told.initiate_login_uri is not None:
        schemes = ("https", "http") if settings.demo else ("https",)
        _check_page(told.initiate_login_uri, "initiate_login_uri", schemes)
    words = (*(told.contacts or ()), *(told.default_acr_values or ()))
    for value in (*words, told.software_id or "", told.software_version or ""):
        if any(unicodedata.category(c)[0] == "C" for c in value):
            raise BadClientMetadata("Write contacts and versions in visible characters.")
    return Description(
        name=told.client_name or _name(told, settings),
        redirect_uris=told.redirect_uris,
        post_logout_redirect_uris=told.post_logout_redirect_uris,
        scope=told.scope or scopes.DEFAULT,
        auth_method=told.token_endpoint_auth_method,
        grant_types=list(dict.fromkeys(told.grant_types)),
        native=told.application_type == "native",
        id_token_algorithm=told.id_token_signed_response_alg,
        jwks=told.jwks,
        jwks_uri=told.jwks_uri,
        backchannel_logout_uri=told.backchannel_logout_uri,
        backchannel_logout_session_required=told.backchannel_logout_session_required,
        sector_identifier_uri=told.sector_identifier_uri,
        default_max_age=told.default_max_age,
        details=details,
    )


def registered(client: Client) -> dict[str, object]:
    """Return the metadata of a client as they are registered, under the names of the RFCs."""
    facts: dict[str, object] = {
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
        "backchannel_logout_session_required": client.backchannel_logout_session_required,
        **client.details,
    }
    names = ("jwks", "jwks_uri", "backchannel_logout_uri", "sector_identifier_uri", "default_max_age")
    return facts | {name: value for name in names if (value := getattr(client, name)) is not None}


def _members(body: bytes) -> dict[str, object]:
    try:
        members = msgspec.json.decode(body, type=dict[str, object])
        json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadClientMetadata("The metadata are a JSON object.") from error
    # What is null is not said (RFC 7592, section 2.2).
    return {name: value for name, value in members.items() if value is not None}


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse what two readers could understand differently; the decoder would silently take the last."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members


def _name(told: ClientMetadata, settings: Settings) -> str:
    """Return what a client is called that does not say so: by the host of its first address."""
    if not told.redirect_uris:
        return "Client"
    first = redirects.acceptable(told.redirect_uris[0], settings, native=True)
    return redirects.host(first)[: clients.LONGEST_NAME]


def _convert(members: dict[str, object], kind: type[Told]) -> Told:
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as error:
        raise BadClientMetadata("The members have the types of RFC 7591, and modest sizes.") from error


def _check(told: ClientMetadata) -> None:
    if len(told.redirect_uris) > redirects.MOST or len(told.post_logout_redirect_uris) > redirects.MOST:
        raise redirects.BadRedirectURI(f"Register {redirects.MOST} addresses at most.")
    if not told.redirect_uris and "authorization_code" in told.grant_types:
        raise redirects.BadRedirectURI("redirect_uris is missing.")
    if told.application_type not in {"web", "native"}:
        raise BadClientMetadata("application_type is web or native.")
    if told.subject_type != "pairwise":
        raise BadClientMetadata("Subjects are pairwise here.")
    code = "authorization_code" in told.grant_types
    if not set(told.response_types or (["code"] if code else [])) <= ({"code"} if code else set()):
        raise BadClientMetadata("response_types and grant_types do not fit together; only code is supported.")
    for name in _ANSWERS:
        if getattr(told, name) not in {None, *clients.SIGNING_ALGORITHMS}:
            raise BadClientMetadata(f"{name} is one of {', '.join(clients.SIGNING_ALGORITHMS)}.", field=name)
    if told.token_endpoint_auth_signing_alg not in {None, *client_keys.ALGORITHMS}:
        raise BadClientMetadata(
            f"token_endpoint_auth_signing_alg is one of {', '.join(client_keys.ALGORITHMS)}."
        )


def _check_page(address: str, name: str, schemes: tuple[str, ...]) -> None:
    """Refuse what a browser could not open as a page, or would run."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise BadClientMetadata(f"{name} is not an address.", field=name) from error
    visible = address.isascii() and address.isprintable() and not set(' \\"<>') & set(address)
    if (
        not visible
        or len(address) > LONGEST_ADDRESS
        or parts.scheme not in schemes
        or not parts.hostname
        or "@" in parts.netloc
    ):
        raise BadClientMetadata(f"{name} is a complete web address.", field=name)
