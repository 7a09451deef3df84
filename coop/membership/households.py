"""Households: people one of whom pays for all, each with an account, a year and a vote of their own.

Nobody is put into one by another: the payer makes a link, and whoever brings it joins by their own word. The link's secret is
derived from the co-op's key and never stored, as with gifts. What a household knows of its people is their handles and
since when they are in it; networks know nothing of it at all.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop import policies
from coop.database import Base, changed
from coop.errors import NotAllowed, NotFound, Refused, Unavailable
from coop.identity.accounts import Account
from coop.membership import organisations
from coop.policies import Dues
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, new_id

KEPT = timedelta(days=30)
"""How long an invitation can be accepted."""


class NoHouseholds(Refused):
    """The dues in force provide for no households."""

    code = "no_households"


class HouseholdFull(Refused):
    """That household has as many people, and invitations under way, as the dues allow."""

    code = "household_full"


class InAnotherHousehold(Refused):
    """You are in a household already. Leave it first; your year runs on."""

    code = "in_another_household"


class NoSuchInvitation(NotFound):
    """This invitation is not complete or not known. Check that nothing was cut off."""

    code = "no_such_invitation"


class InvitationUsed(Refused):
    """This invitation was accepted, taken back, or has expired. Ask whoever sent it for a new one."""

    code = "invitation_used"


class NotThePayer(NotAllowed):
    """Only whoever pays for a household can do that."""

    code = "not_the_payer"


class Household(Base):
    """One payer and their people; the payer is one of them."""

    __tablename__ = "households"
    __table_args__ = (CheckConstraint("size >= 1", name="size"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    payer_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), unique=True)
    size: Mapped[int] = mapped_column(default=1)
    """How many people are in it; changed by guarded updates, so that it never grows beyond what the law allows."""


class HouseholdMember(Base):
    """Somebody in a household; the key lets nobody be in two."""

    __tablename__ = "household_members"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("households.id"), index=True)
    joined_at: Mapped[datetime]


class HouseholdInvitation(Base):
    """A link by which one person may join, once."""

    __tablename__ = "household_invitations"
    __table_args__ = (CheckConstraint("state IN ('waiting', 'accepted', 'withdrawn')", name="state"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("households.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True, repr=False)
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), default="waiting")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a household, as the others there see them."""

    account_id: UUID
    handle: str
    joined_at: datetime
    pays: bool


async def of(work: UnitOfWork, account_id: UUID) -> Household | None:
    """Return the household that an account is in."""
    found: Household | None = await work.session.scalar(
        select(Household)
        .join(HouseholdMember, HouseholdMember.household_id == Household.id)
        .where(HouseholdMember.account_id == account_id)
    )
    return found


async def people(work: UnitOfWork, household: Household) -> list[Person]:
    """Return who is in a household, the longest there first."""
    rows = await work.session.execute(
        select(HouseholdMember, Account.handle)
        .join(Account, Account.id == HouseholdMember.account_id)
        .where(HouseholdMember.household_id == household.id)
        .order_by(HouseholdMember.joined_at, Account.handle)
    )
    return [
        Person(row.account_id, handle, row.joined_at, row.account_id == household.payer_id)
        for row, handle in rows
    ]


async def invitations(work: UnitOfWork, household: Household) -> list[HouseholdInvitation]:
    """Return the invitations that can still be accepted."""
    found = await work.session.scalars(
        select(HouseholdInvitation)
        .where(
            HouseholdInvitation.household_id == household.id,
            HouseholdInvitation.state == "waiting",
            HouseholdInvitation.expires_at > work.now,
        )
        .order_by(HouseholdInvitation.made_at)
    )
    return list(found)


async def most(work: UnitOfWork) -> int:
    """Return how many people may be in one household; none if there are no households."""
    return (await policies.in_force(work, Dues)).document.household


async def invite(work: UnitOfWork, account_id: UUID) -> HouseholdInvitation:
    """Make an invitation to the household for which `account_id` pays, which begins with the first one."""
    allowed = await most(work)
    if not allowed:
        raise NoHouseholds
    await organisations.require_person(work, account_id)
    household = await _paid_by(work, account_id)
    waiting = await work.session.scalar(
        select(func.count())
        .select_from(HouseholdInvitation)
        .where(
            HouseholdInvitation.household_id == household.id,
            HouseholdInvitation.state == "waiting",
            HouseholdInvitation.expires_at > work.now,
        )
    )
    if household.size + (waiting or 0) >= allowed:
        raise HouseholdFull
    invitation_id = new_id()
    invitation = HouseholdInvitation(
        id=invitation_id,
        household_id=household.id,
        digest=_digest(code(work.settings, invitation_id)),
        made_at=work.now,
        expires_at=work.now + KEPT,
    )
    work.session.add(invitation)
    await work.session.flush()
    return invitation


async def take_back(work: UnitOfWork, account_id: UUID, invitation_id: UUID) -> bool:
    """Take an invitation back; false if it was accepted meanwhile."""
    household = await _own(work, account_id)
    return await changed(
        work.session,
        update(HouseholdInvitation)
        .where(
            HouseholdInvitation.id == invitation_id,
            HouseholdInvitation.household_id == household.id,
            HouseholdInvitation.state == "waiting",
        )
        .values(state="withdrawn"),
    )


async def find(work: UnitOfWork, secret: str) -> tuple[HouseholdInvitation, Account]:
    """Return the invitation behind a link's secret and who pays, or say kindly why there is none."""
    if not secret.isascii():
        raise NoSuchInvitation
    row = (
        await work.session.execute(
            select(HouseholdInvitation, Account)
            .join(Household, Household.id == HouseholdInvitation.household_id)
            .join(Account, Account.id == Household.payer_id)
            .where(HouseholdInvitation.digest == _digest(secret))
        )
    ).first()
    if row is None:
        raise NoSuchInvitation
    if row[0].state != "waiting" or row[0].expires_at <= work.now:
        raise InvitationUsed
    return row[0], row[1]


async def accept(work: UnitOfWork, account_id: UUID, secret: str) -> None:
    """Join the household behind a link by one's own word; a link works once, whoever comes first."""
    invitation, _ = await find(work, secret)
    await organisations.require_person(work, account_id)
    if await of(work, account_id) is not None:
        raise InAnotherHousehold
    # The household before its invitations, always, so that two units never wait for each other.
    if not await _hold(work, invitation.household_id):
        raise InvitationUsed
    if not await changed(
        work.session,
        update(HouseholdInvitation)
        .where(HouseholdInvitation.id == invitation.id, HouseholdInvitation.state == "waiting")
        .values(state="accepted"),
    ):
        raise InvitationUsed
    if not await changed(
        work.session,
        update(Household)
        .where(Household.id == invitation.household_id, Household.size < await most(work))
        .values(size=Household.size + 1),
    ):
        raise HouseholdFull
    await _enter(work, invitation.household_id, account_id)


async def leave(work: UnitOfWork, account_id: UUID) -> None:
    """Leave one's household; one's year runs on. When the payer leaves, it ends for all."""
    household = await of(work, account_id)
    if household is None:
        return
    if household.payer_id == account_id:
        await _dissolve(work, household.id)
    else:
        await _go(work, household.id, account_id)


async def remove(work: UnitOfWork, account_id: UUID, who: UUID) -> None:
    """Pay for somebody no more; their year runs on."""
    household = await _own(work, account_id)
    if who == account_id:
        await _dissolve(work, household.id)
    else:
        await _go(work, household.id, who)


def code(settings: Settings, invitation_id: UUID) -> str:
    """Return the secret of an invitation's link: 192 bits, derived from the co-op's key."""
    if not settings.secret_key:
        raise Unavailable("This co-op has no secret key yet; `coop init` makes one.")
    key = bytes.fromhex(settings.secret_key)
    mark = hmac.new(key, b"household:" + invitation_id.bytes, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mark[:24]).decode()


async def _own(work: UnitOfWork, account_id: UUID) -> Household:
    household = await of(work, account_id)
    if household is None or household.payer_id != account_id:
        raise NotThePayer
    return household


async def _paid_by(work: UnitOfWork, account_id: UUID) -> Household:
    """Return the household for which an account pays, begun now if need be, and hold it until this unit ends."""
    found = await of(work, account_id)
    if found is not None and found.payer_id != account_id:
        raise InAnotherHousehold
    if found is None:
        found = Household(payer_id=account_id)
        try:
            async with work.session.begin_nested():
                work.session.add(found)
        except IntegrityError as error:
            raise InAnotherHousehold from error
        await _enter(work, found.id, account_id)
    await _hold(work, found.id)
    await work.session.refresh(found)
    return found


async def _hold(work: UnitOfWork, household_id: UUID) -> bool:
    """Keep a household as it is until this unit ends; false if it has ended."""
    return await changed(
        work.session, update(Household).where(Household.id == household_id).values(size=Household.size)
    )


async def _enter(work: UnitOfWork, household_id: UUID, account_id: UUID) -> None:
    try:
        async with work.session.begin_nested():
            work.session.add(
                HouseholdMember(account_id=account_id, household_id=household_id, joined_at=work.now)
            )
    except IntegrityError as error:
        raise InAnotherHousehold from error


async def _go(work: UnitOfWork, household_id: UUID, account_id: UUID) -> None:
    if await changed(
        work.session,
        delete(HouseholdMember).where(
            HouseholdMember.account_id == account_id, HouseholdMember.household_id == household_id
        ),
    ):
        await work.session.execute(
            update(Household).where(Household.id == household_id).values(size=Household.size - 1)
        )


async def _dissolve(work: UnitOfWork, household_id: UUID) -> None:
    # Whoever accepts at this moment has come before, or finds it gone.
    await _hold(work, household_id)
    for rows in (HouseholdInvitation, HouseholdMember):
        await work.session.execute(delete(rows).where(rows.household_id == household_id))
    await work.session.execute(delete(Household).where(Household.id == household_id))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
