"""Organisations: accounts that stand for a body of people. They pay more, and have no vote.

An organisation's year is a year like any other: the same price is divided by the same shares, and what it pays beyond
goes to the solidarity pool. Networks cannot tell it from a person's.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, delete, exists, select
from sqlalchemy.orm import Mapped, mapped_column

from coop import policies
from coop.database import Base, insert_once
from coop.errors import Invalid, NotAllowed, Refused, Sentence
from coop.membership import terms
from coop.money import ZERO, Money
from coop.policies import Dues
from coop.unit_of_work import UnitOfWork

LONGEST_NAME = 120


class NoOrganisations(Refused):
    """The dues in force provide for no organisations."""

    code = "no_organisations"


class AccountOfAPerson(Refused):
    """This account is or was a person's membership, or is in a household. An organisation needs an account of its own."""

    code = "account_of_a_person"


class OrganisationPaysMore(Invalid):
    """An organisation pays more for a year; the dues say how much at least."""

    code = "organisation_pays_more"


class ForPersons(NotAllowed):
    """That is for persons. This account stands for an organisation, which can pay, sponsor and give."""

    code = "for_persons"


class Organisation(Base):
    """What an account stands for, if not for a person."""

    __tablename__ = "organisations"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    since: Mapped[datetime]


async def of(work: UnitOfWork, account_id: UUID) -> Organisation | None:
    """Return the organisation that an account stands for."""
    found: Organisation | None = await work.session.get(Organisation, account_id)
    return found


async def least(work: UnitOfWork) -> Money:
    """Return the least that an organisation pays for a year; nothing if there are no organisations."""
    dues = (await policies.in_force(work, Dues)).document
    return Money(dues.organisation)


async def least_of(work: UnitOfWork, account_id: UUID) -> Money:
    """Return the least that an account pays for a year: nothing if it is a person's, who pays what they can."""
    if await of(work, account_id) is None:
        return ZERO
    dues = (await policies.in_force(work, Dues)).document
    return Money(max(dues.organisation, dues.price))


async def require_enough(work: UnitOfWork, account_id: UUID, amount: Money) -> None:
    """Refuse an organisation dues below its least."""
    lowest = await least_of(work, account_id)
    if amount < lowest:
        plain = f"{work.settings.money.plain(lowest)} {work.settings.currency.upper()}"
        raise OrganisationPaysMore(
            Sentence("The least that an organisation pays for a year is %(amount)s.", amount=plain),
            field="amount",
        )


async def register(work: UnitOfWork, account_id: UUID, name: str) -> None:
    """Let an account that was nobody's membership stand for an organisation; repeating it keeps the first name."""
    if not await least(work):
        raise NoOrganisations
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid("Write the organisation's name, at most 120 characters.", field="name")
    if await terms.history(work, account_id):
        raise AccountOfAPerson
    await insert_once(work.session, Organisation, account_id=account_id, name=name, since=work.now)


async def turn_back(work: UnitOfWork, account_id: UUID) -> None:
    """Let an account stand for a person after all, as long as it has not been a member."""
    await work.session.execute(
        delete(Organisation).where(
            Organisation.account_id == account_id, ~exists().where(terms.Term.account_id == account_id)
        )
    )


async def require_person(work: UnitOfWork, account_id: UUID) -> None:
    """Refuse what only persons can have: the pool's part, gifts, a household, a vote."""
    standing_for = select(Organisation.account_id).where(Organisation.account_id == account_id)
    if await work.session.scalar(standing_for) is not None:
        raise ForPersons
