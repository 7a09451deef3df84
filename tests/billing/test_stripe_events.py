import json
from datetime import timedelta
from itertools import permutations

import anyio
import httpx
import msgspec
import pytest

from api.sandbox import Terms
from coop.billing.payments import Payment
from coop.billing.seen import StripeEvent
from coop.billing.stripe_gateway import StripeGateway
from coop.membership.terms import Term
from tests.statements import said_to
from tests.till import Till

ONE_YEAR = {"Stripe": 2397, "DeferredDues": 2500, "Fees": 103}


async def paid(till: Till, *, automatic: bool = False) -> list[tuple[str, bytes, str]]:
    """Have somebody pay, and return the webhooks that came of it, undelivered."""
    ada = await till.person()
    async with till.withheld() as sink:
        await till.pay(ada, automatic=automatic, settle=False)
        await till.sandbox.settle()
    return list(zip(sink.types, sink.bodies, sink.signatures, strict=True))


def of_type(told: list[tuple[str, bytes, str]], name: str) -> tuple[bytes, str]:
    return next((body, signature) for kind, body, signature in told if kind == name)


async def test_one_event_a_hundred_times_at_once_books_once(till: Till) -> None:
    body, signature = of_type(await paid(till), "checkout.session.completed")
    answers: list[httpx.Response] = []

    async def tell() -> None:
        answers.append(await till.told(body, signature))

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(tell)

    # Some may be asked to come back, as a busy server does; none may book twice or be lost.
    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    assert 200 in {answer.status_code for answer in answers}
    assert await till.books() == ONE_YEAR
    assert await till.count(Term) == await till.count(Payment) == 1


async def test_every_order_of_the_events_of_a_subscription_books_once(till: Till) -> None:
    names = (
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.updated",
        "invoice.paid",
    )
    orders = list(permutations(names))
    for number, order in enumerate(orders):
        member = await till.person(f"eve{number}")
        async with till.withheld() as sink:
            await till.pay(member, automatic=True, settle=False)
            await till.sandbox.settle()
        told = list(zip(sink.types, sink.bodies, sink.signatures, strict=True))
        for name in order:
            answer = await till.told(*of_type(told, name))
            assert answer.status_code == 200, (order, name, answer.text)
        assert await till.state(member) == "active", order

    assert await till.count(Term) == await till.count(Payment) == len(orders)
    assert (await till.books())["DeferredDues"] == 2500 * len(orders)


async def test_two_events_about_one_object_are_one_payment(till: Till) -> None:
    told = await paid(till)
    body, _ = of_type(told, "checkout.session.completed")
    twin = json.loads(body) | {"id": "evt_anotherOne"}
    other = json.dumps(twin).encode()

    for payload in (body, other):
        assert (await till.told(payload, till.signed(payload))).status_code == 200

    assert await till.count(Payment) == 1


async def test_what_an_event_carries_is_not_believed(till: Till) -> None:
    told = await paid(till)
    body, _ = of_type(told, "checkout.session.completed")
    forged = json.loads(body)
    forged["data"]["object"] |= {"amount_total": 1, "payment_status": "unpaid", "metadata": {}}
    payload = json.dumps(forged).encode()

    await till.told(payload, till.signed(payload))

    assert await till.books() == ONE_YEAR


@pytest.mark.parametrize("ahead", [-301, 301])
async def test_a_signature_too_old_or_from_the_future_is_refused(till: Till, ahead: int) -> None:
    body, _ = of_type(await paid(till), "checkout.session.completed")

    answer = await till.told(body, till.signed(body, ahead=ahead))

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
    assert await till.count(StripeEvent) == 0


@pytest.mark.parametrize(
    "signature", ["", "t=1", "v1=00", "t=x,v1=" + "0" * 64, "t=1772452800,v1=" + "0" * 64]
)
async def test_a_bad_signature_is_refused(till: Till, signature: str) -> None:
    answer = await till.told(b"{}", signature)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")


async def test_while_a_secret_is_rotated_either_signs(till: Till) -> None:
    body, _ = of_type(await paid(till), "checkout.session.completed")
    settings = msgspec.structs.replace(
        till.units.settings, stripe_webhook_secret="whsec_new, " + till.units.settings.stripe_webhook_secret
    )
    gateway = StripeGateway(settings)
    wall = till.clock.wall()

    for secret in ("whsec_new", till.units.settings.stripe_webhook_secret):
        assert gateway.read_event(body, till.signed(body, secret=secret), wall=wall).live is False
    both = till.signed(body, secret="whsec_gone") + "," + till.signed(body).partition(",")[2]
    assert gateway.read_event(body, both, wall=wall).type == "checkout.session.completed"


@pytest.mark.parametrize(
    "change", [{"livemode": True}, {"account": "acct_other"}, {"id": 5}, {"data": {}}, {"type": "a\x00b"}]
)
async def test_an_event_of_another_mode_account_or_shape_is_refused(
    till: Till, change: dict[str, object]
) -> None:
    body, _ = of_type(await paid(till), "checkout.session.completed")
    payload = json.dumps(json.loads(body) | change).encode()

    answer = await till.told(payload, till.signed(payload))

    assert answer.status_code == 400
    assert await till.count(StripeEvent) == 0


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"id": "evt_1"}', b"x" * 600_000]
)
async def test_what_is_no_event_is_refused(till: Till, payload: bytes) -> None:
    answer = await till.told(payload, till.signed(payload))

    assert answer.status_code in {400, 413}


async def test_unknown_types_are_kept_and_change_nothing(till: Till) -> None:
    body = b'{"id":"evt_1","type":"radar.early_fraud_warning.created","livemode":false,"data":{"object":{"id":"x"}}}'

    assert (await till.told(body, till.signed(body))).status_code == 200
    assert await till.count(StripeEvent) == 1
    assert await till.books() == {}


async def test_what_stripe_does_not_show_yet_is_asked_for_again(till: Till) -> None:
    body = (
        b'{"id":"evt_1","type":"checkout.session.completed","livemode":false,"data":{"object":{"id":"cs_1"}}}'
    )

    answer = await till.told(body, till.signed(body))

    assert (answer.status_code, answer.json()["code"]) == (409, "not_visible_yet")
    assert await till.count(StripeEvent) == 0


async def test_money_stays_pending_until_stripe_has_booked_it(till: Till) -> None:
    till.sandbox.terms = Terms(balance_delay=3600, delivery_delays=(60, 120))
    ada = await till.person()

    await till.pay(ada)

    assert await till.books() == {"StripePending": 2500, "DeferredDues": 2500}
    till.clock.advance(timedelta(hours=1))
    await till.sandbox.settle()
    assert await till.books() == ONE_YEAR


async def test_an_event_takes_few_statements(till: Till) -> None:
    told = await paid(till)

    with said_to(till.units) as statements:
        await till.told(*of_type(told, "checkout.session.completed"))
        first = len(statements)
        await till.told(*of_type(told, "checkout.session.completed"))

    assert first <= 37, statements
    assert len(statements) - first <= 3, statements[first:]


async def test_a_repeat_is_answered_without_asking_stripe(till: Till) -> None:
    body, signature = of_type(await paid(till), "checkout.session.completed")
    await till.told(body, signature)
    till.sandbox.terms = Terms(keys=frozenset({"sk_test_another"}))

    assert (await till.told(body, signature)).status_code == 200
