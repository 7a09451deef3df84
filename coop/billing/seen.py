"""Seen: what stands about an event and the checkout that it seems to be about, found out in one look."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Select, String, Uuid, and_, bindparam, column, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.selectable import FromClause

from coop.billing.cards import Customer
from coop.billing.intents import Checkout
from coop.database import Base
from coop.identity.accounts import Account
from coop.ledger.references import PersonReference
from coop.membership.obstacles import Obstacle
from coop.membership.organisations import Organisation
from coop.membership.terms import Member, Term
from coop.money import Money
from coop.policies.versions import PolicyVersion
from coop.prepared import Line, Prepared


class StripeEvent(Base):
    """One event that was acknowledged; its id keeps repeats out."""

    __tablename__ = "stripe_events"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    type: Mapped[str] = mapped_column(String(255))
    object_id: Mapped[str] = mapped_column(String(255))
    received_at: Mapped[datetime] = mapped_column(index=True)


class Asked(NamedTuple):
    """What an event says of itself: enough to know where to look, and nothing that is believed."""

    event: str
    operation: UUID | None


class Seen(NamedTuple):
    """What one look has found."""

    repeated: bool
    """The event was applied before."""
    checkout: UUID | None = None
    account_id: UUID | None = None
    purpose: str = ""
    amount: Money | None = None
    price: Money | None = None
    instalments: int = 0
    automatic: bool = False
    place_id: int | None = None
    state: str = ""
    gateway_id: str | None = None
    policy_version: UUID | None = None
    law: str = ""
    """The document of that version."""
    email: str | None = None
    locale: str = ""
    reference: UUID | None = None
    customer: str | None = None
    newcomer: bool = False
    """As `NEWCOMER` says."""


async def look(line: Line, asked: Sequence[Asked]) -> list[Seen]:
    """Return what stands about each event, in the order of asking."""
    if line.is_sqlite:
        # Nothing is gained by asking a file about several at once.
        return [
            Seen(*(await _ONE.rows(line, number=0, event=one.event, operation=one.operation))[0][1:])
            for one in asked
        ]
    rows = await _MANY.rows(
        line,
        number=list(range(len(asked))),
        event=[one.event for one in asked],
        operation=[one.operation for one in asked],
    )
    return [Seen(*row[1:]) for row in sorted(rows, key=itemgetter(0))]


NEWCOMER = and_(
    *(
        ~exists().where(kind.account_id == Checkout.account_id).correlate(Checkout)
        for kind in (Term, Member, Organisation, Obstacle)
    )
)
"""Whose checkout it is never was a member, stands for no organisation, and has nothing to settle first."""


def _statement(asked: FromClause) -> Select[tuple[object, ...]]:
    return (
        select(
            asked.c.number,
            exists().where(StripeEvent.id == asked.c.event),
            Checkout.id,
            Checkout.account_id,
            Checkout.purpose,
            Checkout.amount,
            Checkout.price,
            Checkout.instalments,
            Checkout.automatic,
            Checkout.place_id,
            Checkout.state,
            Checkout.gateway_id,
            Checkout.policy_version,
            PolicyVersion.document,
            Account.email,
            func.coalesce(Account.locale, ""),
            PersonReference.reference,
            Customer.gateway_id,
            NEWCOMER,
        )
        .select_from(asked)
        .outerjoin(Checkout, Checkout.id == asked.c.operation)
        .outerjoin(PolicyVersion, PolicyVersion.id == Checkout.policy_version)
        .outerjoin(Account, Account.id == Checkout.account_id)
        .outerjoin(PersonReference, PersonReference.account_id == Checkout.account_id)
        .outerjoin(Customer, Customer.account_id == Checkout.account_id)
    )


_ASKED: list[tuple[str, Any]] = [("number", Integer()), ("event", String()), ("operation", Uuid())]
_ONE = Prepared(
    _statement(select(*(bindparam(name, type_=kind).label(name) for name, kind in _ASKED)).subquery("asked"))
)
_MANY = Prepared(
    _statement(
        func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _ASKED))
        .table_valued(*(column(name, kind) for name, kind in _ASKED))
        .render_derived("asked")
    )
)
