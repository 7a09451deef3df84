"""Client assertions: a client proves itself by a signature of its own (private_key_jwt; RFC 7521, RFC 7523, section 2.2).

An edge calls `prove` before it opens any unit of work, since the client's keys may have to be fetched. An assertion counts
once: it is used up whatever comes of the request.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from coop.authorization import client_keys, clients
from coop.authorization.client_keys import ALGORITHMS, SIGNATURES, ClientKeys, Key
from coop.authorization.clients import Client, digest
from coop.database import Base, insert_once
from coop.errors import Invalid, NotSignedIn
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

METHOD = "private_key_jwt"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PARAMETERS = ("client_assertion", "client_assertion_type")

LONGEST_LIFE = timedelta(hours=1)
"""Libraries write a minute, five, or an hour; what lives longer is a password by another name."""
SKEW = timedelta(seconds=30)
"""How far ahead of ours a client's clock may go."""
_LONGEST_JTI = 255
_TOKEN_ENDPOINT = "/oauth/token"  # noqa: S105 - an address


class InvalidClient(NotSignedIn):
    """The client is unknown or did not prove itself."""

    code = "invalid_client"


class BadAuthentication(Invalid):
    """A client proves itself in one way, with all that belongs to it."""

    code = "invalid_request"


class UsedAssertion(Base):
    """An assertion that was presented; its row keeps anybody from presenting it again while it is valid."""

    __tablename__ = "used_assertions"

    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    jti_digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class ProvenClient:
    """A client whose signature was found good; it has not been proven before `use` says that it is the first time."""

    client_id: UUID
    jti_digest: bytes
    expires_at: datetime


def presented(form: Mapping[str, str]) -> bool:
    """Tell whether a request tries to authenticate by an assertion."""
    return any(name in form for name in PARAMETERS)


async def prove(
    units: Units, keys: ClientKeys, form: Mapping[str, str], *, path: str, authorization: str | None
) -> str:
    """Return the identifier of the client that proves itself by the assertion in `form`, which is used up."""
    proven = await verify(units, keys, form, path=path, authorization=authorization)
    async with units.open() as work:
        await use(work, proven)
    return str(proven.client_id)


async def verify(
    units: Units, keys: ClientKeys, form: Mapping[str, str], *, path: str, authorization: str | None
) -> ProvenClient:
    """Return the client behind the assertion in `form`, sent to the endpoint at `path`.

    `authorization` is the header of that name: whoever sends one as well authenticates twice (RFC 6749, section 2.3).
    """
    assertion = form.get("client_assertion")
    if assertion is None or "client_assertion_type" not in form:
        raise BadAuthentication("client_assertion and client_assertion_type belong together.")
    if authorization is not None or "client_secret" in form:
        raise BadAuthentication("Authenticate in one way only.")
    if form["client_assertion_type"] != TYPE:
        raise InvalidClient("Only JWTs are understood as client assertions.")
    header, said = _unverified(assertion)
    async with units.read() as work:
        client = await clients.find(work, said)
    if client is None or client.auth_method != METHOD or form.get("client_id", said) != said:
        raise InvalidClient
    payload = await _signed(keys, client, assertion, header)
    return _judged(units.settings, client, payload, wall=units.clock.wall(), path=path)


async def use(work: UnitOfWork, proven: ProvenClient) -> None:
    """Use the assertion up; of any number of requests that present it, one passes."""
    first = await insert_once(
        work.session,
        UsedAssertion,
        client_id=proven.client_id,
        jti_digest=proven.jti_digest,
        expires_at=proven.expires_at,
    )
    if not first:
        raise InvalidClient("The assertion was used before.")


class _Claims(msgspec.Struct, frozen=True):
    """What an assertion has to say (RFC 7523, section 3)."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    jti: str
    iat: float | None = None
    nbf: float | None = None


def _unverified(assertion: str) -> tuple[dict[str, object], str]:
    """Return the header and the client that an assertion claims to be of, to know whose keys to try."""
    try:
        seen = jws.extract_compact(assertion.encode("ascii"), registry=SIGNATURES)
        header: dict[str, object] = dict(seen.headers())
        said = msgspec.json.decode(seen.payload, type=dict[str, object]).get("sub")
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise InvalidClient("The assertion is not a signed JWT.") from error
    if header.get("alg") not in ALGORITHMS:
        raise InvalidClient(f"Sign the assertion with one of {', '.join(ALGORITHMS)}.")
    # No extension is understood here, and one that is marked critical must be (RFC 7515, section 4.1.11).
    if "crit" in header or not isinstance(header.get("kid", ""), str) or not isinstance(said, str):
        raise InvalidClient("The assertion is not a signed JWT of a client.")
    return header, said


async def _signed(keys: ClientKeys, client: Client, assertion: str, header: dict[str, object]) -> bytes:
    """Return the payload, once one of the client's own keys has been found to have signed it."""
    algorithm, kid = str(header["alg"]), header.get("kid")
    # A client may have agreed on one algorithm (OpenID Connect Registration, token_endpoint_auth_signing_alg).
    if client.details.get("token_endpoint_auth_signing_alg", algorithm) != algorithm:
        raise InvalidClient("The client registered another algorithm for its assertions.")
    name = None if kid is None else str(kid)
    address = client.jwks_uri
    if address is None:
        payload = _verified(assertion, client_keys.fitting(client_keys.read(client.jwks), algorithm, name))
    else:
        payload = _verified(assertion, await keys.of(address, algorithm, name))
        if payload is None:
            payload = _verified(assertion, await keys.of(address, algorithm, name, in_vain=True))
    if payload is None:
        raise InvalidClient
    return payload


def _verified(assertion: str, tried: Sequence[Key]) -> bytes | None:
    """Return the payload, if one of the keys `tried` signed it."""
    for key in tried:
        try:
            return jws.deserialize_compact(assertion.encode("ascii"), key, registry=SIGNATURES).payload
        except (JoseError, ValueError):
            continue
    return None


def _judged(settings: Settings, client: Client, payload: bytes, *, wall: datetime, path: str) -> ProvenClient:
    try:
        claims = msgspec.json.decode(payload, type=_Claims)
        jti = digest(claims.jti)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidClient(
            "An assertion carries iss, sub, aud, exp and jti, of the types of RFC 7523."
        ) from error
    if not claims.iss == claims.sub == client.client_id:
        raise InvalidClient("An assertion is issued by the client about itself.")
    # The issuer is what drafts of today ask for, the token endpoint what RFC 7523 suggested, the endpoint called what
    # libraries write when they introspect or revoke.
    ours = {settings.issuer, settings.url(_TOKEN_ENDPOINT), settings.url(path)}
    if not ours & ({claims.aud} if isinstance(claims.aud, str) else set(claims.aud)):
        raise InvalidClient("The assertion is addressed to somebody else.")
    now = wall.timestamp()
    if not claims.jti or len(claims.jti) > _LONGEST_JTI:
        raise InvalidClient("The assertion needs an identifier of its own, jti.")
    if not math.isfinite(claims.exp) or claims.exp <= now:
        raise InvalidClient("The assertion has expired.")
    if claims.exp > now + (LONGEST_LIFE + SKEW).total_seconds():
        raise InvalidClient("The assertion lives too long: an hour at most.")
    if max(claims.nbf or 0, claims.iat or 0) > now + SKEW.total_seconds():
        raise InvalidClient("The assertion is not valid yet.")
    return ProvenClient(client.id, jti, datetime.fromtimestamp(math.ceil(claims.exp), UTC))
