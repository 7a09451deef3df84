"""Verifying an e-mail address: a letter with a link, after which the address is the account's and nobody else's."""

from uuid import UUID

from sqlalchemy.exc import IntegrityError

from coop.errors import Refused
from coop.identity import accounts, letters, links, throttle
from coop.identity.accounts import Account
from coop.outbox import Event
from coop.unit_of_work import UnitOfWork


class AddressTaken(Refused):
    """That e-mail address belongs to another account already; sign in there, or use another address."""

    code = "email_taken"


class EmailVerified(Event, frozen=True):
    """An account has an e-mail address that is known to be read by its owner."""

    account_id: UUID


async def ask(work: UnitOfWork, account: Account, address: str) -> None:
    """Send a link to `address`; until it is used, an address verified before stays in place.

    Strangers can have such letters sent to anybody, so they are few; one too many is silently not sent.
    """
    if account.email_verified_at is None:
        account.email = address
    if await throttle.count(work, throttle.LETTERS.by(address)):
        return
    token = await links.make(work, "verify", account.id, address)
    link = f"/verify-email?token={token}"
    work.send(letters.written(letters.CONFIRM, work.settings, account, to=address, link=link))


async def confirm(work: UnitOfWork, token: str) -> Account:
    """Make the address that the link was sent to the account's own."""
    proof = await links.use(work, "verify", token)
    account = await accounts.hold(work, proof.account_id)
    former = account.email if account.email_verified_at is not None else None
    try:
        async with work.session.begin_nested():
            account.email = proof.address
            account.email_verified_at = work.wall
            await work.session.flush()
    except IntegrityError as error:
        raise AddressTaken from error
    # A link to the mailbox that was left behind must not open the account.
    await links.void(work, account.id, "recover")
    if former is not None and former != proof.address:
        work.send(letters.written(letters.MOVED, work.settings, account, to=former))
    work.publish(EmailVerified(account_id=account.id))
    return account
