"""Pairwise subject identifiers: each network knows a member under an identifier that means nothing elsewhere."""

import base64
import hashlib
import hmac
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.networks import networks
from coop.settings import BadSettings, Settings
from coop.unit_of_work import UnitOfWork

LENGTH = 43
"""Characters of a subject identifier: 256 bits in base64url."""


class PairwiseFingerprint(Base):
    """What the pairwise secret of this database looks like from outside; one row, written once."""

    __tablename__ = "pairwise_fingerprint"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))


def derive(settings: Settings, sector: str, account_id: UUID) -> str:
    """Return the subject of an account within a sector (OpenID Connect Core, 8.1), by HMAC-SHA-256.

    A keyed hash, since a plain one over guessable inputs could be computed by anybody.
    """
    key = _secret(settings)
    # The sector comes first and ends with a byte that no host contains, so that no two inputs read alike.
    return _text(hmac.digest(key, b"pairwise\x00" + sector.encode() + b"\x00" + account_id.bytes, "sha256"))


async def of(work: UnitOfWork, network_id: UUID, account_id: UUID) -> str:
    """Return the subject under which a network knows an account."""
    network = await networks.get(work, network_id)
    return derive(work.settings, network.sector, account_id)


async def check_secret(work: UnitOfWork) -> None:
    """Refuse to start with another pairwise secret: every member would be a stranger on every network.

    The first start records the fingerprint; the secret itself is never stored.
    """
    fingerprint = hashlib.sha256(b"pairwise fingerprint\x00" + _secret(work.settings)).digest()
    known = await work.session.get(PairwiseFingerprint, 1)
    if known is None:
        try:
            async with work.session.begin_nested():
                work.session.add(PairwiseFingerprint(digest=fingerprint))
        except IntegrityError:
            # Another process started in the same moment and wrote first.
            known = await work.session.get_one(PairwiseFingerprint, 1)
        else:
            return
    if not hmac.compare_digest(known.digest, fingerprint):
        raise BadSettings(
            "pairwise_secret is not the one this database was made with; put the old one back from its backup"
        )


def _secret(settings: Settings) -> bytes:
    if not settings.pairwise_secret:
        raise BadSettings("pairwise_secret is not set; `coop init` makes one")
    return bytes.fromhex(settings.pairwise_secret)


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
