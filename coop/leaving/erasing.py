"""Erasure itself: in stages, each committed before the next, so that it goes on after a crash where it stopped.

1. *close*: every page on which the person could pay is closed at the processor. Then, in one unit: what charges ends, offices
   and the household are left, the account loses its names and its ways in, and `AccountErased` is published, which has
   networks told by their own subjects and then unlinks them. From here there is no way back.
2. *leave*: the processor ends what it still charged, and deletes the customer.
3. *forget*: once every network has been told, or cannot be, what each package registered as the person's is deleted.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import delete, exists, or_, select, update

from coop.authorization.notices import LogoutNotice
from coop.billing import erasing as billing
from coop.billing.gateway import Gateway, GatewayAway, GatewayRefused, NotVisible
from coop.database import changed
from coop.identity import accounts
from coop.identity import erasing as identity
from coop.identity.accounts import Account
from coop.identity.links import MailLink
from coop.leaving import erasures, export, letters
from coop.leaving.erasures import Erasure
from coop.leaving.register import HELD
from coop.mail import MailboxLetter
from coop.membership import households
from coop.networks import aliases
from coop.networks.admins import NetworkAdmin
from coop.networks.deliveries import Delivery
from coop.outbox import OutboxMessage, addressed_to, speaks_of
from coop.personal import Held
from coop.sponsorship import gifts, places, queue
from coop.stewardship import roles
from coop.unit_of_work import UnitOfWork, Units

BATCH = 20
PATIENCE = timedelta(days=7)
"""How long the last networks are waited for; what they were told by then they will never hear."""

log = structlog.get_logger("coop.erasing")


async def carry_out_due(units: Units, gateway: Gateway) -> int:
    """Go on with every erasure whose day has come (a job); return how many went further."""
    async with units.read() as work:
        due = list(
            await work.session.scalars(
                select(Erasure.account_id)
                .where(
                    or_(
                        (Erasure.state == "asked") & (Erasure.due_at <= work.now),
                        Erasure.state.in_(("closing", "forgetting")),
                        # A page that was completed in the very moment in which it was closed may be heard of afterwards.
                        (Erasure.state == "done") & billing.known(Erasure.account_id),
                    )
                )
                .order_by(Erasure.due_at)
                .limit(BATCH)
            )
        )
    further = 0
    for account_id in due:
        try:
            further += await carry_on(units, gateway, account_id)
        except GatewayAway:
            break
        except (GatewayRefused, NotVisible) as refusal:
            log.warning("erasure_waits", account=str(account_id), code=refusal.code)
        except Exception as error:
            # One that cannot go on must not hold the others up.
            log.exception("erasure_failed", account=str(account_id), error=type(error).__name__)
    return further


async def carry_on(units: Units, gateway: Gateway, account_id: UUID) -> bool:
    """Take one erasure as far as it can go now; tell whether that was any further."""
    async with units.read() as work:
        known = await erasures.of(work, account_id)
        state = None if known is None else known.state
        # Heard of after it was left: a page that was completed in the very moment in which it was closed.
        again = state in {"forgetting", "done"} and await billing.known_at_processor(work, account_id)
    if state == "asked":
        await billing.close_pages(units, gateway, account_id)
        if not await _close(units, account_id):
            return False
    if state in {"asked", "closing"} or again:
        await billing.leave_processor(units, gateway, account_id)
        await _move(units, account_id, "closing", "forgetting")
    return await _forget(units, account_id)


async def _close(units: Units, account_id: UUID) -> bool:
    """Close the account; false if its owner was quicker to keep it, or has become the last to hold an office."""
    try:
        async with units.open() as work:
            # The queue before any row of ours, always.
            await places.lock(work)
            account = await accounts.hold(work, account_id)
            if not await changed(
                work.session,
                update(Erasure)
                .where(Erasure.account_id == account_id, Erasure.state == "asked", Erasure.due_at <= work.now)
                .values(state="closing"),
            ):
                return False
            await erasures.offices(work, account_id)
            await billing.end(work, account_id)
            await queue.withdraw(work, account_id)
            await gifts.let_go(work, account_id)
            await households.leave(work, account_id)
            await roles.end_all(work, account_id, reason="The account was erased")
            await work.session.execute(delete(NetworkAdmin).where(NetworkAdmin.account_id == account_id))
            for address in await _addresses(work, account):
                for waits in (
                    delete(OutboxMessage).where(addressed_to(address)),
                    delete(MailboxLetter).where(MailboxLetter.recipient == address),
                ):
                    await work.session.execute(waits)
            letters.post(work, account, letters.GONE)
            await identity.erase(work, account)
    except (erasures.LastAdmin, erasures.LastSteward) as refusal:
        log.warning("erasure_put_off", account=str(account_id), code=refusal.code)
        async with units.open() as work:
            await erasures.put_off(work, account_id)
        return False
    return True


async def _addresses(work: UnitOfWork, account: Account) -> set[str]:
    """Return where letters to a person may be on their way: to the address they have, and to one that they were to confirm."""
    asked = await work.session.scalars(select(MailLink.address).where(MailLink.account_id == account.id))
    return {*asked, *filter(None, [account.email])}


async def _forget(units: Units, account_id: UUID) -> bool:
    async with units.open() as work:
        known = await erasures.of(work, account_id)
        if known is None or known.state != "forgetting" or await _awaited(work, known):
            return False
        whose = await export.person(work, await accounts.hold(work, account_id))
        if await billing.known_at_processor(work, account_id):
            return False
        await aliases.retire_all(work, account_id)
        for held in going():
            await work.session.execute(
                delete(held.table).where(held.of(whose)).execution_options(synchronize_session=False)
            )
        await billing.forget(work, account_id)
        return await changed(
            work.session,
            update(Erasure)
            .where(Erasure.account_id == account_id, Erasure.state == "forgetting")
            .values(state="done", done_at=work.now, paused=[]),
        )


def going() -> list[Held]:
    """Return the kinds whose rows are deleted, those that refer to others first."""
    order = {table: place for place, table in enumerate(Erasure.metadata.sorted_tables)}
    return sorted(
        (held for held in HELD if not held.stays),
        key=lambda held: -order[held.table.__table__],  # type: ignore[index]  # a mapped class has a table
    )


async def _awaited(work: UnitOfWork, known: Erasure) -> bool:
    """Tell whether somebody has still to hear of it, or to get their money."""
    own = known.account_id
    if await billing.owed(work, own):
        return True
    # Said first: as long as the event waits, nobody knows yet who has to be told.
    told = or_(
        exists().where(speaks_of(own), OutboxMessage.kind != "Letter"),
        exists().where(Delivery.account_id == own, Delivery.due_at.is_not(None)),
        exists().where(LogoutNotice.account_id == own, LogoutNotice.due_at.is_not(None)),
    )
    return known.due_at + PATIENCE > work.now and bool(await work.session.scalar(select(told)))


async def _move(units: Units, account_id: UUID, before: str, after: str) -> None:
    async with units.open() as work:
        await work.session.execute(
            update(Erasure)
            .where(Erasure.account_id == account_id, Erasure.state == before)
            .values(state=after)
        )
