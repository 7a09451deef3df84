"""Letters about votes: one announcement to everybody on the roll, one reminder to those who have not voted.

Only verified addresses are written to. The reminder knows who has voted, never how.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import false, select, update
from sqlalchemy.orm import InstrumentedAttribute

from coop.governance.motions import Motion
from coop.governance.roll import RollEntry
from coop.identity.accounts import Account
from coop.mail import Letter
from coop.unit_of_work import UnitOfWork, Units

REMINDER = 4
"""The reminder goes out when a quarter of the time to vote is left."""


async def announce_due(units: Units) -> None:
    """Write to everybody on the roll of each motion that was put to the vote."""
    async with units.read() as work:
        motions = await _open(work, Motion.letters_sent)
    for motion in motions:
        async with units.open() as work:
            if await _claim(work, motion.id, Motion.letters_sent):
                await _write(work, motion, reminder=False)


async def remind_due(units: Units) -> None:
    """Remind those who have not voted, once, when the deadline comes near."""
    async with units.read() as work:
        motions = [motion for motion in await _open(work, Motion.reminded) if reminder_at(motion) <= work.now]
    for motion in motions:
        async with units.open() as work:
            if await _claim(work, motion.id, Motion.reminded):
                await _write(work, motion, reminder=True)


def reminder_at(motion: Motion) -> datetime:
    """Return when the reminder of an announced motion is due."""
    if motion.announced_at is None or motion.closes_at is None:
        msg = "a motion that is not announced has no reminder"
        raise ValueError(msg)
    return motion.closes_at - (motion.closes_at - motion.announced_at) / REMINDER


async def _open(work: UnitOfWork, flag: InstrumentedAttribute[bool]) -> list[Motion]:
    found = select(Motion).where(Motion.state == "open", Motion.closes_at > work.now, flag == false())
    return list(await work.session.scalars(found))


async def _claim(work: UnitOfWork, motion_id: UUID, flag: InstrumentedAttribute[bool]) -> bool:
    """Take the right to write these letters; of two workers one gets it."""
    claimed = await work.session.execute(
        update(Motion).where(Motion.id == motion_id, flag == false()).values({flag: True})
    )
    return bool(claimed.rowcount)  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult


async def _write(work: UnitOfWork, motion: Motion, *, reminder: bool) -> None:
    readers = (
        select(Account.email)
        .join(RollEntry, RollEntry.account_id == Account.id)
        .where(
            RollEntry.motion_id == motion.id,
            Account.email.is_not(None),
            Account.email_verified_at.is_not(None),
            Account.erased_at.is_(None),
        )
    )
    if reminder:
        readers = readers.where(RollEntry.voted == false())
    subject, body = _words(work, motion, reminder=reminder)
    for email in await work.session.scalars(readers):
        if email:
            work.send(Letter(to=email, subject=subject, body=body))


def _words(work: UnitOfWork, motion: Motion, *, reminder: bool) -> tuple[str, str]:
    deadline = motion.closes_at.strftime("%d %B %Y, %H:%M UTC") if motion.closes_at else ""
    if reminder:
        subject = f"Your vote is still open: {motion.title}"
        first = "You have not voted on this motion yet. This is the only reminder."
    else:
        subject = f"A vote has opened: {motion.title}"
        first = "A motion has been put to the vote, and you are on its roll."
    body = (
        f"{first}\n\n{motion.title}\n\n"
        f"You may vote until {deadline}:\n{work.settings.url(motion.path)}\n\n"
        f"The fingerprint of its rule card, which freezes words and rules:\n{motion.card_hash}\n"
    )
    return subject, body
