"""Clients: the software of networks, by which their people sign in (prose: relying parties)."""

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, LargeBinary, String, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.authorization import client_keys, redirects, scopes, signing
from coop.database import Base
from coop.errors import Invalid, NotFound, Refused
from coop.fetching import check_url
from coop.networks import networks
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, new_id

SECRET_PREFIX = "coop_cs_"  # noqa: S105 - by which leaked secrets are found
LONGEST_NAME = 80

SECRET_OVERLAP = timedelta(hours=24)
"""How long the secret before a rotation still proves its client, so that software is changed in peace."""

SECRET_METHODS = ("client_secret_basic", "client_secret_post")
AUTH_METHODS = ("none", *SECRET_METHODS, "private_key_jwt")
JWT_FORMAT = "jwt"
"""Of access tokens that a network's services read by themselves (RFC 9068); others are opaque."""
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
SIGNING_ALGORITHMS = signing.ALGORITHMS


class BadClientMetadata(Invalid):
    """What the client says of itself does not fit together."""

    code = "invalid_client_metadata"


class NoSecret(Refused):
    """That client proves itself by keys of its own or not at all; it has no secret to change."""

    code = "no_client_secret"


class NoClient(NotFound):
    """There is no such client."""

    code = "no_client"


class Client(Base):
    """One relying party; its secret is kept as a digest only, since it is random and need not be slow to guess."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint(
            "auth_method IN ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')",
            name="auth_method",
        ),
        CheckConstraint(
            "(auth_method IN ('none', 'private_key_jwt')) = (secret_digest IS NULL)", name="secret"
        ),
        CheckConstraint(
            "auth_method <> 'private_key_jwt' OR (jwks IS NULL) <> (jwks_uri IS NULL)", name="keys"
        ),
        CheckConstraint("id_token_algorithm IN ('ES256', 'RS256', 'EdDSA')", name="algorithm"),
        CheckConstraint("access_token_format IN ('opaque', 'jwt')", name="access_token_format"),
        # Without a secret, PKCE is all that binds a code to whoever asked for it.
        CheckConstraint("requires_pkce OR auth_method <> 'none'", name="pkce"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    network_id: Mapped[UUID | None] = mapped_column(ForeignKey("networks.id"), index=True)
    sector: Mapped[str] = mapped_column(String(255))
    redirect_uris: Mapped[list[str]] = mapped_column(JSON)
    post_logout_redirect_uris: Mapped[list[str]] = mapped_column(JSON)
    scope: Mapped[str] = mapped_column(String(300))
    grant_types: Mapped[list[str]] = mapped_column(JSON)
    auth_method: Mapped[str] = mapped_column(String(24))
    secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), repr=False)
    native: Mapped[bool]
    id_token_algorithm: Mapped[str] = mapped_column(String(8))
    profile_in_id_token: Mapped[bool]
    self_registered: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(index=True)
    previous_secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), default=None, repr=False)
    previous_secret_until: Mapped[datetime | None] = mapped_column(default=None)
    jwks: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True), default=None)
    jwks_uri: Mapped[str | None] = mapped_column(String(500), default=None)
    requires_pkce: Mapped[bool] = mapped_column(default=True)
    """A steward may waive it for one confidential client whose software cannot; a challenge that was sent always binds."""
    requires_nonce: Mapped[bool] = mapped_column(default=False)
    members_only: Mapped[bool] = mapped_column(default=False)
    """For software that cannot gate by itself: nobody but members are sent back with a code."""
    ends_with_membership: Mapped[bool] = mapped_column(default=False)
    """For software that looks at a membership at sign-in only: it is told to sign out whoever is no member any more."""
    access_token_format: Mapped[str] = mapped_column(String(8), default="opaque")
    backchannel_logout_uri: Mapped[str | None] = mapped_column(String(500), default=None)
    backchannel_logout_session_required: Mapped[bool] = mapped_column(default=False)
    sector_identifier_uri: Mapped[str | None] = mapped_column(String(500), default=None)
    default_max_age: Mapped[int | None] = mapped_column(default=None)
    registration_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), default=None, repr=False)
    """Of the registration access token, by which a client that introduced itself manages its metadata (RFC 7592)."""
    details: Mapped[dict[str, object]] = mapped_column(JSON, default_factory=dict)
    """What the client says of itself to people: addresses of its home, logo, terms and privacy pages, its contacts."""

    @property
    def client_id(self) -> str:
        """The public identifier, in its one spelling."""
        return str(self.id)

    def proves(self, secret: str) -> bool:
        """Tell whether `secret` is this client's."""
        return self.secret_digest is not None and hmac.compare_digest(digest(secret), self.secret_digest)

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use a grant; the name is the one that Authlib calls."""
        return grant_type in self.grant_types

    def redirects_to(self, uri: str) -> bool:
        """Tell whether `uri` is registered."""
        return redirects.match(self.redirect_uris, uri, native=self.native)


def digest(secret: str) -> bytes:
    """Return what is stored of a random secret or token."""
    return hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Everything that is registered of a client, and may be registered anew later."""

    name: str
    redirect_uris: Sequence[str]
    post_logout_redirect_uris: Sequence[str] = ()
    scope: str = scopes.DEFAULT
    auth_method: str = "client_secret_basic"
    grant_types: Sequence[str]
    native: bool = False
    id_token_algorithm: str = "ES256"  # noqa: S105 - the name of an algorithm
    profile_in_id_token: bool = False
    jwks: dict[str, object] | None = None
    jwks_uri: str | None = None
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    sector_identifier_uri: str | None = None
    default_max_age: int | None = None
    details: dict[str, object] = field(default_factory=dict)


async def register(
    work: UnitOfWork,
    *,
    name: str,
    redirect_uris: Sequence[str],
    network_id: UUID | None = None,
    post_logout_redirect_uris: Sequence[str] = (),
    scope: str = scopes.DEFAULT,
    auth_method: str = "client_secret_basic",
    grant_types: Sequence[str] | None = None,
    native: bool = False,
    id_token_algorithm: str = "ES256",  # noqa: S107 - the name of an algorithm
    profile_in_id_token: bool = False,
    jwks: dict[str, object] | None = None,
    jwks_uri: str | None = None,
    backchannel_logout_uri: str | None = None,
    details: dict[str, object] | None = None,
) -> tuple[Client, str | None]:
    """Register a client and return it with its secret, which nobody will see again; one that signs or is public has none."""
    described = Description(
        name=name,
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=post_logout_redirect_uris,
        scope=scope,
        auth_method=auth_method,
        grant_types=grant_types or (GRANT_TYPES[:2] if auth_method == "none" else GRANT_TYPES),
        native=native,
        id_token_algorithm=id_token_algorithm,
        profile_in_id_token=profile_in_id_token,
        jwks=jwks,
        jwks_uri=jwks_uri,
        backchannel_logout_uri=backchannel_logout_uri,
        details=details or {},
    )
    return await add(work, described, network_id=network_id)


async def add(
    work: UnitOfWork,
    described: Description,
    *,
    network_id: UUID | None = None,
    registration_token: str | None = None,
) -> tuple[Client, str | None]:
    """Add the client that is described; with a `registration_token` it introduced itself, and manages itself later."""
    sector = None if network_id is None else (await networks.get(work, network_id)).sector
    facts = _facts(described, work.settings)
    secret = new_secret() if described.auth_method in SECRET_METHODS else None
    client = Client(
        network_id=network_id,
        sector=sector or _sector(described),
        secret_digest=None if secret is None else digest(secret),
        self_registered=registration_token is not None,
        registration_digest=None if registration_token is None else digest(registration_token),
        created_at=work.wall,
        **facts,
    )
    work.session.add(client)
    await work.session.flush()
    return client, secret


async def change(work: UnitOfWork, client: Client, described: Description) -> str | None:
    """Make of `client` what is described now, and return a secret if it needs one that it did not have."""
    for name, value in _facts(described, work.settings).items():
        setattr(client, name, value)
    if client.network_id is None:
        client.sector = _sector(described, before=client.sector)
    secret = None
    if described.auth_method not in SECRET_METHODS:
        client.secret_digest = client.previous_secret_digest = client.previous_secret_until = None
    elif client.secret_digest is None:
        secret = new_secret()
        client.secret_digest = digest(secret)
    if described.auth_method == "none":
        client.requires_pkce = True
    await work.session.flush()
    return secret


def waive_pkce(client: Client, *, requires_nonce: bool = True) -> None:
    """Let one confidential client ask without a challenge, since its software cannot make one; a steward decides it.

    Its requests are then bound by `nonce`, unless its software cannot do that either.
    """
    if client.auth_method == "none":
        raise BadClientMetadata("Without a secret, PKCE is all that binds a code to whoever asked for it.")
    client.requires_pkce = False
    client.requires_nonce = requires_nonce


def entrust(client: Client, scope: str) -> None:
    """Let one confidential client do in its own name what nobody can register for; a steward decides it."""
    if scope not in scopes.OF_SERVICES:
        raise BadClientMetadata(f"Only these scopes exist for services: {', '.join(scopes.OF_SERVICES)}.")
    if not client.check_grant_type("client_credentials"):
        raise BadClientMetadata("A client without a secret has no credentials to act by.")
    client.scope = scopes.joined((*scopes.words(client.scope), scope))


def new_secret() -> str:
    """Return a fresh client secret."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


async def find(work: UnitOfWork, client_id: str | None) -> Client | None:
    """Return the client with this public identifier, if there is one."""
    key = key_of(client_id)
    return None if key is None else await work.session.get(Client, key)


async def rotate_secret(work: UnitOfWork, client: Client) -> str:
    """Give a client a new secret and return it, which nobody will see again; for a day, the old one proves it, too."""
    if client.secret_digest is None:
        raise NoSecret
    secret = new_secret()
    # Guarded by the secret that was read, so that of two rotations at once one is told to come again.
    rotated = await work.session.execute(
        update(Client)
        .where(Client.id == client.id, Client.secret_digest == client.secret_digest)
        .values(
            secret_digest=digest(secret),
            previous_secret_digest=client.secret_digest,
            previous_secret_until=work.wall + SECRET_OVERLAP,
        )
    )
    if not rotated.rowcount:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        raise Refused("Somebody else has just changed that secret; look at the client again.")
    return secret


def key_of(client_id: str | None) -> UUID | None:
    """Return the key that `client_id` spells; braces, capitals and other spellings of a UUID are not identifiers."""
    try:
        key = UUID(client_id or "")
    except ValueError:
        return None
    return key if str(key) == client_id else None


def _facts(described: Description, settings: Settings) -> dict[str, Any]:
    """Return the columns of a client that is described, if all of it fits together."""
    _check(described)
    _check_keys(described)
    _check_addresses(described, settings)
    # A public client on loopback or under its own scheme is an application on somebody's machine (RFC 8252).
    native = described.native or (
        described.auth_method == "none"
        and bool(described.redirect_uris)
        and all(not uri.startswith("https:") for uri in described.redirect_uris)
    )
    for uri in (*described.redirect_uris, *described.post_logout_redirect_uris):
        redirects.acceptable(uri, settings, native=native)
    return {name: getattr(described, name) for name in Description.__slots__} | {
        "name": _readable(described.name),
        "redirect_uris": list(described.redirect_uris),
        "post_logout_redirect_uris": list(described.post_logout_redirect_uris),
        "scope": scopes.joined(scopes.words(described.scope)),
        "grant_types": list(described.grant_types),
        "native": native,
    }


def _check(described: Description) -> None:
    if not _readable(described.name):
        raise BadClientMetadata("Give the client a name of up to 80 visible characters.", field="client_name")
    if described.auth_method not in AUTH_METHODS:
        raise BadClientMetadata(f"Authenticate with one of {', '.join(AUTH_METHODS)}.")
    if not described.grant_types or not set(described.grant_types) <= set(GRANT_TYPES):
        raise BadClientMetadata(f"Only these grants exist: {', '.join(GRANT_TYPES)}.")
    if described.auth_method == "none" and "client_credentials" in described.grant_types:
        raise BadClientMetadata("A client without a secret has no credentials to act by.")
    if not set(scopes.words(described.scope)) <= set(scopes.OPEN):
        raise BadClientMetadata(f"Only these scopes exist: {', '.join(scopes.OPEN)}.")
    if described.id_token_algorithm not in SIGNING_ALGORITHMS:
        raise BadClientMetadata(f"ID Tokens are signed with one of {', '.join(SIGNING_ALGORITHMS)}.")


def _check_addresses(described: Description, settings: Settings) -> None:
    if len(described.redirect_uris) + len(described.post_logout_redirect_uris) > 2 * redirects.MOST:
        raise redirects.BadRedirectURI("Those are too many addresses for one client.")
    # What this service will call itself.
    for name in ("jwks_uri", "backchannel_logout_uri", "sector_identifier_uri"):
        if (address := getattr(described, name)) is not None:
            try:
                check_url(address, settings)
            except Invalid as error:
                raise BadClientMetadata(f"{name}: {error.message}", field=name) from error


def _check_keys(described: Description) -> None:
    if described.jwks is not None and described.jwks_uri is not None:
        raise BadClientMetadata("Give the keys or their address, not both.", field="jwks")
    needs = described.auth_method == "private_key_jwt"
    if needs and described.jwks is None and described.jwks_uri is None:
        raise BadClientMetadata("A client that signs needs jwks or jwks_uri.", field="jwks")
    if described.jwks is not None:
        try:
            usable = client_keys.read(described.jwks)
        except client_keys.BadKeys as error:
            raise BadClientMetadata(str(error), field="jwks") from error
        if needs and not usable:
            raise BadClientMetadata("None of those keys can prove a signature.", field="jwks")


def _readable(name: str) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    # Category C holds controls, zero-width and right-to-left marks: what makes one name look like another.
    if len(name) > LONGEST_NAME or any(unicodedata.category(c)[0] == "C" for c in name):
        raise BadClientMetadata("Give the client a name of up to 80 visible characters.", field="client_name")
    return name


def _sector(described: Description, *, before: str | None = None) -> str:
    """Return the sector of a client without a network (OpenID Connect Core, section 8.1)."""
    hosts = {redirects.host(uri) for uri in described.redirect_uris}
    if hosts <= set(redirects.LOCAL):
        # The same on every machine, so that it tells nothing of whose software it is: each client is a sector of its own.
        hosts = set()
    if described.sector_identifier_uri is not None:
        hosts = {redirects.host(described.sector_identifier_uri)}
    if len(hosts) > 1:
        raise BadClientMetadata(
            "Redirect URIs on several hosts need a sector_identifier_uri that lists them."
        )
    # No network's sector contains a slash, so a stranger's client never shares a network's subjects.
    return f"client/{hosts.pop()}" if hosts else before or f"client/{new_id()}"
