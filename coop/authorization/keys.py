"""Signing keys: made at the first start, sealed at rest, published for as long as something they signed may be shown."""

import enum
from datetime import datetime
from functools import lru_cache

import anyio.to_thread
from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters, KeySet, OKPKey, RSAKey
from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, String, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from coop import sealing
from coop.authorization.clients import SIGNING_ALGORITHMS
from coop.database import Base
from coop.errors import Unavailable
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

_PURPOSE = "signing keys"
_RSA_BITS = 2048

Key = ECKey | OKPKey | RSAKey
_KINDS: dict[str, type[ECKey] | type[OKPKey] | type[RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}


class KeyState(enum.StrEnum):
    """Where a key is in its life; all states but `RETIRED` are published."""

    NEXT = "next"
    ACTIVE = "active"
    PAST = "past"
    RETIRED = "retired"


class SigningKey(Base):
    """One key pair; at any time one of each algorithm is active."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        CheckConstraint("state IN ('next', 'active', 'past', 'retired')", name="state"),
        Index(
            "uq_signing_keys_active",
            "algorithm",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
    )

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime]
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
    for algorithm in SIGNING_ALGORITHMS:
        if algorithm not in present:
            # Outside any transaction: a fresh RSA key takes a while.
            fresh = await anyio.to_thread.run_sync(_generate, algorithm)
            async with units.open() as work:
                await _keep(work, algorithm, fresh)


async def sign(work: UnitOfWork, algorithm: str, claims: dict[str, object], *, kind: str = "JWT") -> str:
    """Return `claims` as a JWT under the active key of `algorithm`."""
    row = await work.session.scalar(
        select(SigningKey).where(SigningKey.algorithm == algorithm, SigningKey.state == KeyState.ACTIVE)
    )
    if row is None:
        raise Unavailable
    key = _opened(work.settings, algorithm, row.kid, row.sealed)
    header = {"alg": algorithm, "kid": row.kid, "typ": kind}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


async def published(work: UnitOfWork) -> list[dict[str, str]]:
    """Return the public keys of everything that may still be verified (RFC 7517)."""
    rows = await work.session.scalars(
        select(SigningKey)
        .where(SigningKey.state != KeyState.RETIRED)
        .order_by(SigningKey.algorithm, SigningKey.created_at, SigningKey.kid)
    )
    return [row.public for row in rows]


async def verifying(work: UnitOfWork) -> KeySet:
    """Return the keys by which our own signatures are recognised."""
    return KeySet([_KINDS[str(public["kty"])].import_key(dict(public)) for public in await published(work)])


def _generate(algorithm: str) -> Key:
    use: KeyParameters = {"use": "sig", "alg": algorithm}
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", use, auto_kid=True)
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", use, auto_kid=True)
    return RSAKey.generate_key(_RSA_BITS, use, auto_kid=True)


async def _keep(work: UnitOfWork, algorithm: str, key: Key) -> None:
    kid = str(key.kid)
    insert = postgresql.insert if work.session.get_bind().dialect.name == "postgresql" else sqlite.insert
    await work.session.execute(
        insert(SigningKey)
        .values(
            kid=kid,
            algorithm=algorithm,
            state=KeyState.ACTIVE,
            created_at=work.wall,
            public={k: str(v) for k, v in key.as_dict(private=False).items()},
            sealed=sealing.seal(work.settings, _PURPOSE, key.as_pem(private=True), bound_to=kid.encode()),
        )
        .on_conflict_do_nothing()
    )


@lru_cache(maxsize=32)
def _opened(settings: Settings, algorithm: str, kid: str, sealed: bytes) -> Key:
    pem = sealing.unseal(settings, _PURPOSE, sealed, bound_to=kid.encode())
    return _KINDS[{"ES256": "EC", "EdDSA": "OKP"}.get(algorithm, "RSA")].import_key(pem)
