"""Clients: the software of networks, by which their people sign in (prose: relying parties)."""

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from coop.authorization import redirects, scopes
from coop.database import Base
from coop.errors import Invalid, NotFound
from coop.networks import networks
from coop.unit_of_work import UnitOfWork, new_id

SECRET_PREFIX = "coop_cs_"  # noqa: S105 - by which leaked secrets are found
LONGEST_NAME = 80

SECRET_METHODS = ("client_secret_basic", "client_secret_post")
AUTH_METHODS = ("none", *SECRET_METHODS, "private_key_jwt")
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
SIGNING_ALGORITHMS = ("ES256", "RS256", "EdDSA")


class BadClientMetadata(Invalid):
    """What the client says of itself does not fit together."""

    code = "invalid_client_metadata"


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
    self_registered: bool = False,
) -> tuple[Client, str | None]:
    """Register a client and return it with its secret, which nobody will see again; a public one has none."""
    confidential = auth_method in SECRET_METHODS
    if grant_types is None:
        grant_types = GRANT_TYPES if confidential else GRANT_TYPES[:2]
    _check(
        name,
        scope,
        auth_method,
        grant_types,
        id_token_algorithm,
        [*redirect_uris, *post_logout_redirect_uris],
    )
    # A public client on loopback or under its own scheme is an application on somebody's machine (RFC 8252).
    native = native or (
        not confidential and bool(redirect_uris) and all(not u.startswith("https:") for u in redirect_uris)
    )
    for uri in (*redirect_uris, *post_logout_redirect_uris):
        redirects.acceptable(uri, work.settings, native=native)
    if network_id is not None:
        sector = (await networks.get(work, network_id)).sector
    else:
        sector = _sector(redirect_uris)
    secret = SECRET_PREFIX + secrets.token_urlsafe(32) if confidential else None
    client = Client(
        name=_readable(name),
        network_id=network_id,
        sector=sector,
        redirect_uris=list(redirect_uris),
        post_logout_redirect_uris=list(post_logout_redirect_uris),
        scope=scopes.joined(scopes.words(scope)),
        grant_types=list(grant_types),
        auth_method=auth_method,
        secret_digest=None if secret is None else digest(secret),
        native=native,
        id_token_algorithm=id_token_algorithm,
        profile_in_id_token=profile_in_id_token,
        self_registered=self_registered,
        created_at=work.wall,
    )
    work.session.add(client)
    await work.session.flush()
    return client, secret


async def find(work: UnitOfWork, client_id: str | None) -> Client | None:
    """Return the client with this public identifier, if there is one."""
    key = key_of(client_id)
    return None if key is None else await work.session.get(Client, key)


def key_of(client_id: str | None) -> UUID | None:
    """Return the key that `client_id` spells; braces, capitals and other spellings of a UUID are not identifiers."""
    try:
        key = UUID(client_id or "")
    except ValueError:
        return None
    return key if str(key) == client_id else None


def _check(
    name: str,
    scope: str,
    auth_method: str,
    grant_types: Sequence[str],
    algorithm: str,
    uris: Sequence[str],
) -> None:
    if not _readable(name):
        raise BadClientMetadata("Give the client a name of up to 80 visible characters.", field="client_name")
    if auth_method not in AUTH_METHODS:
        raise BadClientMetadata(f"Authenticate with one of {', '.join(AUTH_METHODS)}.")
    if not grant_types or not set(grant_types) <= set(GRANT_TYPES):
        raise BadClientMetadata(f"Only these grants exist: {', '.join(GRANT_TYPES)}.")
    if auth_method == "none" and "client_credentials" in grant_types:
        raise BadClientMetadata("A client without a secret has no credentials to act by.")
    if not set(scopes.words(scope)) <= set(scopes.KNOWN):
        raise BadClientMetadata(f"Only these scopes exist: {', '.join(scopes.KNOWN)}.")
    if algorithm not in SIGNING_ALGORITHMS:
        raise BadClientMetadata(f"ID Tokens are signed with one of {', '.join(SIGNING_ALGORITHMS)}.")
    if len(uris) > 2 * redirects.MOST:
        raise redirects.BadRedirectURI("Those are too many addresses for one client.")


def _readable(name: str) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    # Category C holds controls, zero-width and right-to-left marks: what makes one name look like another.
    if len(name) > LONGEST_NAME or any(unicodedata.category(c)[0] == "C" for c in name):
        raise BadClientMetadata("Give the client a name of up to 80 visible characters.", field="client_name")
    return name


def _sector(redirect_uris: Sequence[str]) -> str:
    hosts = {redirects.host(uri) for uri in redirect_uris}
    if len(hosts) > 1:
        # OpenID Connect Registration, section 5: several hosts would need a sector_identifier_uri.
        raise BadClientMetadata("All redirect URIs of a client without a network must be on one host.")
    # No network's sector contains a slash, so a stranger's client never shares a network's subjects.
    return f"client/{hosts.pop()}" if hosts else f"client/{new_id()}"
