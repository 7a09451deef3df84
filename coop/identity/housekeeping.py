"""What has expired is deleted: sessions, challenges, links and counts are kept no longer than they serve."""

from sqlalchemy import delete

from coop.identity.links import MailLink
from coop.identity.passkeys import Challenge
from coop.identity.sessions import IDLE, BrowserSession
from coop.identity.throttle import Attempts
from coop.unit_of_work import Units


async def sweep(units: Units) -> None:
    """Delete everything of this package whose time is over (a recurring job)."""
    async with units.open() as work:
        for doomed in (
            delete(BrowserSession).where(
                (BrowserSession.expires_at <= work.wall) | (BrowserSession.last_seen_at <= work.wall - IDLE)
            ),
            delete(Challenge).where(Challenge.expires_at <= work.wall),
            delete(MailLink).where(MailLink.expires_at <= work.wall),
            delete(Attempts).where(Attempts.window_ends <= work.wall),
        ):
            await work.session.execute(doomed)
