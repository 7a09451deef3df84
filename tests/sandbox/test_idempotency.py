"""Idempotency keys: the first answer again, never the deed again."""

import aiohttp
import anyio
import pytest
import stripe

from api.sandbox import Fault
from tests.sandbox.conftest import World


async def test_a_repeat_is_answered_as_the_first_time(counter: World) -> None:
    first = await counter.post("/v1/customers", "name=a", **{"Idempotency-Key": "k"})
    again = await counter.post("/v1/customers", "name=a", **{"Idempotency-Key": "k"})
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await counter.get("/v1/customers")).json()["data"]) == 1


async def test_another_body_under_the_same_key_is_refused(shop: World) -> None:
    await shop.stripe.v1.customers.create_async({"name": "a"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError) as refused:
        await shop.stripe.v1.customers.create_async({"name": "b"}, {"idempotency_key": "k"})
    assert refused.value.http_status == 400


async def test_a_refused_request_does_not_use_up_its_key(counter: World) -> None:
    headers = {"Idempotency-Key": "k"}
    assert (await counter.post("/v1/payment_intents", "currency=usd", **headers)).status_code == 400
    assert (
        await counter.post("/v1/payment_intents", "amount=100&currency=usd", **headers)
    ).status_code == 200


async def test_a_declined_attempt_is_replayed_and_not_repeated(counter: World) -> None:
    body = "amount=100&currency=usd&confirm=true&payment_method=pm_card_visa_chargeDeclined"
    answers = [await counter.post("/v1/payment_intents", body, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [402, 402]
    assert len((await counter.get("/v1/charges")).json()["data"]) == 1


async def test_a_key_is_forgotten_after_a_day(counter: World) -> None:
    headers = {"Idempotency-Key": "k"}
    first = (await counter.post("/v1/customers", "name=a", **headers)).json()["id"]
    await counter.pass_time(hours=23)
    assert (await counter.post("/v1/customers", "name=a", **headers)).json()["id"] == first
    await counter.pass_time(hours=1)
    assert (await counter.post("/v1/customers", "name=a", **headers)).json()["id"] != first


async def test_twenty_at_once_do_it_once(counter: World) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(lambda: counter.post("/v1/customers", "name=a", **{"Idempotency-Key": "k"}))
    assert len((await counter.get("/v1/customers")).json()["data"]) == 1


@pytest.mark.parametrize("kind", ["unanswered", "closed"])
async def test_a_lost_answer_was_applied_and_a_retry_learns_it(shop: World, kind: str) -> None:
    await shop.sandbox.arm(Fault(kind=kind))
    options: stripe.RequestOptions = {"idempotency_key": "k"}
    # Of half an answer the SDK lets the HTTP client's own error through.
    with pytest.raises((stripe.APIError, aiohttp.ClientPayloadError)):
        await shop.stripe.v1.customers.create_async({"name": "a"}, options)
    made = await shop.stripe.v1.customers.create_async({"name": "a"}, options)
    assert [one.id for one in (await shop.stripe.v1.customers.list_async()).data] == [made.id]


async def test_a_failure_of_stripes_own_is_repeated_for_as_long_as_the_key_lives(counter: World) -> None:
    await counter.sandbox.arm(Fault(kind="broken"))
    key = {"Idempotency-Key": "k"}
    answers = [await counter.post("/v1/customers", "name=a", **key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert len((await counter.get("/v1/customers")).json()["data"]) == 1
    await counter.pass_time(hours=24)
    assert (await counter.post("/v1/customers", "name=a", **key)).status_code == 200


@pytest.mark.parametrize(("kind", "status"), [("failing", 500), ("limited", 429)])
async def test_a_request_that_was_turned_away_did_nothing_and_may_be_repeated(
    counter: World, kind: str, status: int
) -> None:
    await counter.sandbox.arm(Fault(kind=kind, match="/v1/cust*"))
    key = {"Idempotency-Key": "k"}
    assert (await counter.post("/v1/customers", "name=a", **key)).status_code == status
    assert (await counter.get("/v1/customers")).json()["data"] == []
    assert (await counter.post("/v1/customers", "name=a", **key)).status_code == 200


async def test_reading_can_be_turned_away_too(counter: World) -> None:
    await counter.sandbox.arm(Fault(kind="limited", match="/v1/balance"))
    refused = await counter.get("/v1/balance")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit")
    assert (await counter.get("/v1/balance")).status_code == 200


async def test_a_key_is_in_use_until_its_answer_has_come(counter: World) -> None:
    await counter.sandbox.arm(Fault(kind="slow", detail=0.2))
    key = {"Idempotency-Key": "k"}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: counter.post("/v1/customers", "name=a", **key))
        while not counter.sandbox.keys_in_use:
            await anyio.lowlevel.checkpoint()
        busy = await counter.post("/v1/customers", "name=a", **key)
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    again = await counter.post("/v1/customers", "name=a", **key)
    assert again.headers["idempotent-replayed"] == "true"
