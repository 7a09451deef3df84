"""Links by mail: a random token, of which only the digest is kept, that proves once who reads a mailbox."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid
from coop.unit_of_work import UnitOfWork

Purpose = Literal["verify", "recover"]
LIFETIMES: dict[Purpose, timedelta] = {"verify": timedelta(hours=24), "recover": timedelta(hours=1)}


class DeadLink(Invalid):
    """This link has expired or was used already; ask for a new one."""

    code = "dead_link"
    title = "This link leads nowhere any more"


class MailLink(Base):
    """A link that was sent to `address`; deleting its row is using it."""

    __tablename__ = "mail_links"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    purpose: Mapped[str] = mapped_column(String(10))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    address: Mapped[str] = mapped_column(String(254), repr=False)
    expires_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a link proved: that whoever holds it reads `address`, which was written down for this account."""

    account_id: UUID
    address: str


async def make(work: UnitOfWork, purpose: Purpose, account_id: UUID, address: str) -> str:
    """Return the token of a new link; links of the same purpose that were sent before lead nowhere now."""
    await void(work, account_id, purpose)
    token = secrets.token_urlsafe(32)
    work.session.add(
        MailLink(
            digest=_digest(token),
            purpose=purpose,
            account_id=account_id,
            address=address,
            expires_at=work.wall + LIFETIMES[purpose],
        )
    )
    await work.session.flush()
    return token


async def alive(work: UnitOfWork, purpose: Purpose, token: str) -> bool:
    """Tell whether the link would still serve; programs that fetch links in letters do not use it up."""
    found = await work.session.scalar(
        select(MailLink.digest).where(
            MailLink.digest == _digest(token), MailLink.purpose == purpose, MailLink.expires_at > work.wall
        )
    )
    return found is not None


async def use(work: UnitOfWork, purpose: Purpose, token: str) -> Proof:
    """Use the link up; of two who do so at once, one succeeds."""
    used = (
        await work.session.execute(
            delete(MailLink)
            .where(
                MailLink.digest == _digest(token),
                MailLink.purpose == purpose,
                MailLink.expires_at > work.wall,
            )
            .returning(MailLink.account_id, MailLink.address)
        )
    ).first()
    if used is None:
        raise DeadLink
    return Proof(account_id=used[0], address=used[1])


async def void(work: UnitOfWork, account_id: UUID, purpose: Purpose | None = None) -> None:
    """Let links that were sent lead nowhere."""
    doomed = delete(MailLink).where(MailLink.account_id == account_id)
    await work.session.execute(doomed if purpose is None else doomed.where(MailLink.purpose == purpose))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
