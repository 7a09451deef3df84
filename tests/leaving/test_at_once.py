"""An erasure, truly at once with what else moves money of the same person: nothing is kept, charged or begun afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from coop.billing import withdrawal
from coop.billing.cards import Customer
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.billing.subscriptions import ENDED, Subscription
from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.leaving import erasing, erasures
from coop.ledger import MEMBER_CREDIT
from coop.ledger.references import PersonReference
from coop.sponsorship.gifts import Gift
from coop.sponsorship.places import OPEN, Place
from tests.till import Till

Act = Callable[[], Awaitable[object]]


async def due(till: Till, ada: Account) -> None:
    """Have an erasure asked for whose day has come, without letting time pass."""
    async with till.units.open() as work:
        erasure = await erasures.ask(work, ada.id)
        erasure.due_at = work.now


async def late_events(till: Till, by: timedelta) -> list[Act]:
    """Let time pass at the processor alone, and return what brings each webhook that it sends of it."""
    async with till.withheld() as sink:
        till.clock.advance(by)
        await till.sandbox.settle()
    return [
        lambda body=body, signature=signature: till.told(body, signature)  # type: ignore[misc]  # a default is how a lambda binds
        for body, signature in zip(sink.bodies, sink.signatures, strict=True)
    ]


async def renewal(till: Till, ada: Account) -> list[Act]:
    await till.pay(ada, automatic=True)
    return await late_events(till, timedelta(days=366))


async def monthly_charge(till: Till, ada: Account) -> list[Act]:
    await till.pay(ada, 500, purpose="sponsor", automatic=True)
    return await late_events(till, timedelta(days=32))


async def first_payment(till: Till, ada: Account) -> list[Act]:
    async with till.withheld() as sink:
        await till.pay(ada, automatic=True)
    return [
        lambda body=body, signature=signature: till.told(body, signature)  # type: ignore[misc]
        for body, signature in zip(sink.bodies, sink.signatures, strict=True)
    ]


async def gift_claim(till: Till, ada: Account) -> list[Act]:
    await till.pay(await till.person("grace"), purpose="gift")
    async with till.units.read() as work:
        (gift,) = await work.session.scalars(select(Gift))
    return [lambda: till.claim(ada, gift)]


async def refund(till: Till, ada: Account) -> list[Act]:
    await till.pay(ada, automatic=True)
    return [
        lambda: withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key=uuid4().hex),
        till.work,
    ]


async def new_page(till: Till, ada: Account) -> list[Act]:
    return [
        lambda: till.begin(ada, 500, purpose="sponsor", automatic=True),
        lambda: till.ask(ada),
    ]


@pytest.mark.parametrize(
    "begin",
    [renewal, monthly_charge, first_payment, gift_claim, refund, new_page],
    ids=lambda act: act.__name__,
)
async def test_whichever_comes_first_nothing_of_hers_is_left(
    till: Till, begin: Callable[[Till, Account], Awaitable[list[Act]]]
) -> None:
    ada = await till.person()
    acts = await begin(till, ada)
    await due(till, ada)

    answers = await asyncio.gather(
        *(act() for act in acts[::2]),
        *(erasing.carry_out_due(till.units, till.gateway) for _ in range(2)),
        *(act() for act in acts[1::2]),
        return_exceptions=True,
    )

    for answer in answers:
        if isinstance(answer, BaseException):
            assert isinstance(answer, CoopError | IntegrityError), answer
        if isinstance(answer, httpx.Response):
            # Refused webhooks come again.
            assert answer.status_code in {200, 409}, answer.text
    for _ in range(3):
        till.clock.advance(timedelta(hours=2))
        await till.sandbox.settle()
        await till.work()
    async with till.units.read() as work:
        known = await erasures.of(work, ada.id)
        assert known is not None
        assert known.state == "done"
        payments = await work.session.scalars(
            select(Payment).where(Payment.account_id == ada.id, Payment.purpose == "dues")
        )
        # Each one has its year, or went back.
        assert all(one.term_id is not None or one.refunded == one.amount for one in payments)
    assert await till.balance(MEMBER_CREDIT) == 0
    assert await till.count(Refund, Refund.state == "intended") == 0
    assert await till.count(Subscription, Subscription.status.not_in(ENDED)) == 0
    assert await till.count(Place, Place.account_id == ada.id, Place.state.in_(OPEN)) == 0
    assert await till.count(Gift, Gift.kept_for.is_not(None)) == 0
    assert await till.count(PersonReference, PersonReference.account_id == ada.id) == 0
    customers = await till.sandbox.run(lambda desk: desk.where("customer"))
    assert [one for one in customers if not one.get("deleted") and one["email"] == "ada@example.org"] == []
    assert await till.count(Customer, Customer.account_id == ada.id) == 0
