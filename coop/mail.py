"""Letters, and the port through which they leave: SMTP, or a mailbox that the demo shows as a page."""

import secrets
from datetime import datetime
from email.message import EmailMessage
from typing import Protocol

import aiosmtplib
import msgspec
from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from coop.clock import Clock
from coop.database import Base
from coop.settings import Settings


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A plain-text letter to one address; `key` makes a repeated sending recognisable."""

    to: str
    subject: str
    body: str
    key: str = ""

    def __repr__(self) -> str:
        """Show neither the address nor the words: a letter is personal, and a link in it may sign in."""
        return "Letter()"


def keyed(letter: Letter) -> Letter:
    """Return `letter` with a key by which a repeated sending is recognised."""
    return letter if letter.key else msgspec.structs.replace(letter, key=secrets.token_hex(16))


class Mailer(Protocol):
    """Hands a letter to the world; raises when it could not."""

    async def send(self, letter: Letter) -> None:
        """Send `letter`, or raise so that the worker tries again later."""

    async def close(self) -> None:
        """Give back what it holds."""


class SMTPMailer:
    """Sends through the co-op's own mail server."""

    def __init__(self, settings: Settings):
        """Take host, port and credentials from `settings`."""
        self._settings = settings

    async def send(self, letter: Letter) -> None:
        """Send `letter` with STARTTLS, or implicit TLS on port 465."""
        settings = self._settings
        message = EmailMessage()
        message["From"] = settings.mail_from
        message["To"] = letter.to
        message["Subject"] = letter.subject
        # A stable identifier lets the receiving side drop a letter that is sent twice after a crash.
        message["Message-ID"] = f"<{letter.key}@{settings.host.partition(':')[0]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        await aiosmtplib.send(
            message,
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username or None,
            password=settings.smtp_password or None,
            use_tls=settings.smtp_port == 465,  # noqa: PLR2004 - the port of implicit TLS, RFC 8314
        )

    async def close(self) -> None:
        """Hold nothing between letters."""


class MailboxLetter(Base):
    """A letter that arrived in the demo's mailbox."""

    __tablename__ = "mailbox"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, init=False
    )
    arrived_at: Mapped[datetime]
    recipient: Mapped[str] = mapped_column(String(254), index=True, repr=False)
    subject: Mapped[str] = mapped_column(String(998), repr=False)
    body: Mapped[str] = mapped_column(Text, repr=False)
    key: Mapped[str] = mapped_column(String(200), unique=True)


class Mailbox:
    """Keeps letters in the database instead of sending them; the demo shows them at /mailbox."""

    def __init__(self, engine: AsyncEngine, clock: Clock):
        """Write through `engine`, the one that may write."""
        self._engine = engine
        self._clock = clock

    async def send(self, letter: Letter) -> None:
        """Keep `letter`; one that is sent twice after a crash arrives once, as its Message-ID would have it."""
        async with AsyncSession(self._engine) as session:
            session.add(
                MailboxLetter(
                    arrived_at=self._clock.wall(),
                    recipient=letter.to,
                    subject=letter.subject,
                    body=letter.body,
                    key=letter.key,
                )
            )
            try:
                await session.commit()
            except IntegrityError:
                await session.rollback()

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()
