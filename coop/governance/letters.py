"""Letters about votes, in the reader's language: one announcement to everybody on the roll, one reminder to those who have not voted.

Only verified addresses are written to. The reminder knows who has voted, never how.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import false, select, update
from sqlalchemy.orm import InstrumentedAttribute

from coop.governance.motions import Motion
from coop.governance.roll import RollEntry
from coop.identity.accounts import Account
from coop.mail import Letter
from coop.unit_of_work import UnitOfWork, Units


@dataclass(frozen=True, slots=True)
class Words:
    """One letter in one language."""

    subject: str
    body: str


OPENED = {
    "en": Words(
        subject="A vote has opened: {title}",
        body=(
            "A motion has been put to the vote, and you are on its roll:\n\n{title}\n\n"
            "You can vote until {deadline}:\n\n{link}\n\n"
            "Its words and rules are frozen; the fingerprint of its rule card is\n{hash}"
        ),
    ),
    "pl": Words(
        subject="Otwarto głosowanie: {title}",
        body=(
            "Wniosek poddano pod głosowanie i jesteś na jego liście:\n\n{title}\n\n"
            "Możesz głosować do {deadline}:\n\n{link}\n\n"
            "Jego treść i zasady są zamrożone; odcisk karty zasad to\n{hash}"
        ),
    ),
    "fr": Words(
        subject="Un vote est ouvert : {title}",
        body=(
            "Une motion est mise aux voix, et vous êtes sur sa liste :\n\n{title}\n\n"
            "Vous pouvez voter jusqu'au {deadline} :\n\n{link}\n\n"
            "Son texte et ses règles sont figés ; l'empreinte de sa carte est\n{hash}"
        ),
    ),
}

REMINDED = {
    "en": Words(
        subject="Your vote is still open: {title}",
        body=(
            "You have not voted on this motion yet:\n\n{title}\n\n"
            "You can vote until {deadline}:\n\n{link}\n\n"
            "This is the only reminder."
        ),
    ),
    "pl": Words(
        subject="Twój głos wciąż czeka: {title}",
        body=(
            "Nie ma jeszcze Twojego głosu w sprawie tego wniosku:\n\n{title}\n\n"
            "Możesz głosować do {deadline}:\n\n{link}\n\n"
            "To jedyne przypomnienie."
        ),
    ),
    "fr": Words(
        subject="Votre vote est encore attendu : {title}",
        body=(
            "Vous n'avez pas encore voté sur cette motion :\n\n{title}\n\n"
            "Vous pouvez voter jusqu'au {deadline} :\n\n{link}\n\n"
            "C'est le seul rappel."
        ),
    ),
}

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
        select(Account.email, Account.locale)
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
    words = REMINDED if reminder else OPENED
    for email, locale in await work.session.execute(readers):
        if email:
            work.send(_letter(work, motion, email, words.get(locale, words["en"])))


def _letter(work: UnitOfWork, motion: Motion, email: str, words: Words) -> Letter:
    facts = {
        "title": motion.title,
        "deadline": _deadline(work, motion),
        "link": work.settings.url(motion.path),
        "hash": motion.card_hash,
    }
    return Letter(to=email, subject=words.subject.format(**facts), body=words.body.format(**facts))


def _deadline(work: UnitOfWork, motion: Motion) -> str:
    """Write the deadline in the co-op's zone and in UTC, in figures that every language reads alike."""
    if motion.closes_at is None:
        return ""
    local = motion.closes_at.astimezone(work.settings.zone)
    here, everywhere = f"{local:%Y-%m-%d %H:%M %Z}", f"{motion.closes_at:%Y-%m-%d %H:%M} UTC"
    return here if here == everywhere else f"{here} ({everywhere})"
