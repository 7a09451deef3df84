"""Letters, and the port through which they leave: SMTP, or a mailbox that the demo shows as a page."""

from email.message import EmailMessage
from typing import Protocol

import aiosmtplib
import msgspec

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


class Mailer(Protocol):
    """Hands a letter to the world; raises when it could not."""

    async def send(self, letter: Letter) -> None:
        """Send `letter`, or raise so that the worker tries again later."""


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
