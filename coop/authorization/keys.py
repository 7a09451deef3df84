"""Signing keys: made at the first start, sealed at rest, published for as long as something they signed may be shown.

`coop.authorization.rotation` leads them through their life; here they are kept, read, published, and signed with.
"""

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

import anyio.to_thread
import msgspec
from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, Select, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from coop import sealing
from coop.authorization import signing
from coop.authorization.signing import Key, NotOurs, Recognised, Signer
from coop.database import Base, insert_once
from coop.errors import Unavailable
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

_PURPOSE = "signing keys"
FRESH = timedelta(seconds=5)
"""How old the published keys may be that a process answers with: nothing against the hour a key is known before it signs."""


class KeyState(enum.StrEnum):
    """Where a key is in its life. What `RETIRED` keys signed is still recognised; of `REVOKED` ones nothing is."""

    NEXT = "next"
    ACTIVE = "active"
    PAST = "past"
    RETIRED = "retired"
    REVOKED = "revoked"


PUBLISHED = (KeyState.NEXT, KeyState.ACTIVE, KeyState.PAST)


def _only_one(state: KeyState) -> Index:
    condition = text(f"state = '{state}'")
    return Index(
        f"uq_signing_keys_{state}",
        "algorithm",
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )


class SigningKey(Base):
    """One key pair; at any time one of each algorithm is active, and at most one waits to follow it."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        CheckConstraint("state IN ('next', 'active', 'past', 'retired', 'revoked')", name="state"),
        CheckConstraint("(state IN ('retired', 'revoked')) = (length(sealed) = 0)", name="private_half"),
        CheckConstraint("state <> 'past' OR retires_at IS NOT NULL", name="retirement"),
        _only_one(KeyState.ACTIVE),
        _only_one(KeyState.NEXT),
    )

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime]
    activates_at: Mapped[datetime]
    """When it began to sign, or will."""
    retires_at: Mapped[datetime | None] = mapped_column(default=None)
    """When it stops being published; known once it has stopped signing."""
    public: Mapped[dict[str, str]] = mapped_column(JSON)
    sealed: Mapped[bytes] = mapped_column(LargeBinary, repr=False)


async def prepare(units: Units) -> None:
    """Make what keys are missing; of several processes that start at once, one wins and the others use its keys."""
    async with units.read() as work:
        present = set(
            await work.session.scalars(
                select(SigningKey.algorithm).where(SigningKey.state == KeyState.ACTIVE)
            )
        )
    for algorithm in signing.ALGORITHMS:
        if algorithm not in present:
            fresh = await generate(algorithm)
            async with units.open() as work:
                await keep(work, algorithm, fresh, KeyState.ACTIVE, activates_at=work.wall)


async def generate(algorithm: str) -> Key:
    """Make a key pair, off the event loop and outside any transaction: RSA takes a while."""
    return await anyio.to_thread.run_sync(signing.generate, algorithm)


async def keep(
    work: UnitOfWork, algorithm: str, key: Key, state: KeyState, *, activates_at: datetime
) -> bool:
    """Keep a fresh key, sealed, unless there is one in that state already; tell whether it went in."""
    kid = str(key.kid)
    return await insert_once(
        work.session,
        SigningKey,
        kid=kid,
        algorithm=algorithm,
        state=state,
        created_at=work.wall,
        activates_at=activates_at,
        retires_at=None,
        public={k: str(v) for k, v in key.as_dict(private=False).items()},
        sealed=sealing.seal(work.settings, _PURPOSE, key.as_pem(private=True), bound_to=kid.encode()),
    )


def active(algorithm: str) -> Select[str, bytes]:
    """Return the query for what `sign_with` needs of the active key."""
    return select(SigningKey.kid, SigningKey.sealed).where(
        SigningKey.algorithm == algorithm, SigningKey.state == KeyState.ACTIVE
    )


async def sign(work: UnitOfWork, algorithm: str, claims: Mapping[str, object], *, kind: str = "JWT") -> str:
    """Return `claims` as a JWT under the active key of `algorithm`.

    Which one is active is asked each time, since another process may have changed it; opening it is remembered.
    """
    row = (await work.session.execute(active(algorithm))).first()
    if row is None:
        raise Unavailable
    kid, sealed = row
    return sign_with(work.settings, algorithm, kid, sealed, claims, kind=kind)


def sign_with(
    settings: Settings, algorithm: str, kid: str, sealed: bytes, claims: Mapping[str, object], *, kind: str
) -> str:
    """Return `claims` as a JWT under a key that was read in this very unit of work."""
    return opened(settings, algorithm, kid, sealed).jwt(claims, kind=kind)


def opened(settings: Settings, algorithm: str, kid: str, sealed: bytes) -> Signer:
    """Return the signer behind a sealed key; raises `cryptography.exceptions.InvalidTag` under another secret key."""
    return _opened(_Opener(settings), algorithm, kid, sealed)


async def published(work: UnitOfWork) -> list[dict[str, str]]:
    """Return the public keys of everything that may still be verified (RFC 7517)."""
    rows = await work.session.scalars(
        select(SigningKey.public)
        .where(SigningKey.state.in_(PUBLISHED))
        # Old software gives up at the first key of a kind that it does not know.
        .order_by(
            SigningKey.algorithm == "EdDSA", SigningKey.algorithm, SigningKey.created_at, SigningKey.kid
        )
    )
    return list(rows)


async def recognise(work: UnitOfWork, token: str) -> Recognised:
    """Return what a token says that we signed, however long ago; raises `NotOurs`.

    Retired keys are not published any more, yet an ID Token may come back as a hint after years. What a revoked key
    signed is not believed, since somebody else may have signed it.
    """
    kid = signing.kid_of(token)
    key = None if kid is None or "\0" in kid else await work.session.get(SigningKey, kid)
    if key is None or key.state == KeyState.REVOKED:
        raise NotOurs
    return signing.recognise(token, key.algorithm, key.public)


class PublishedKeys:
    """The JWKS document as one process answers it, asking the database every few seconds at most."""

    def __init__(self, units: Units):
        """Read through `units`."""
        self._units = units
        self._document = b""
        self._read_at: datetime | None = None

    async def document(self) -> bytes:
        """Return the document."""
        wall = self._units.clock.wall()
        if self._read_at is None or not timedelta() <= wall - self._read_at < FRESH:
            async with self._units.read() as work:
                self._document = msgspec.json.encode({"keys": await published(work)})
                self._read_at = work.wall
        return self._document


class _Opener:
    """What opens sealed keys; told apart by the secret alone, so that remembering costs no look at every setting."""

    __slots__ = ("settings",)

    def __init__(self, settings: Settings):
        self.settings = settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opener) and other.settings.secret_key == self.settings.secret_key

    def __hash__(self) -> int:
        return hash(self.settings.secret_key)


@lru_cache(maxsize=32)
def _opened(opener: _Opener, algorithm: str, kid: str, sealed: bytes) -> Signer:
    pem = sealing.unseal(opener.settings, _PURPOSE, sealed, bound_to=kid.encode())
    return signing.opened(algorithm, kid, pem)
