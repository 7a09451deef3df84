"""Faults: webhooks that are lost, repeated, late or in the wrong order, and the panel that arms them."""

import json
from datetime import timedelta

from api.sandbox import Fault, Terms
from tests.sandbox.conftest import World, world
from tests.sandbox.test_checkout import PAID

BOUGHT = ["product.created", "price.created", *PAID]
KEY_EVENTS = "checkout.session.completed"


async def test_a_lost_webhook_never_comes_but_its_event_is_listed(shop: World) -> None:
    await shop.sandbox.arm(Fault(kind="lost", match=KEY_EVENTS))
    await shop.bought()
    assert await shop.settle() == [name for name in BOUGHT if name != KEY_EVENTS]
    listed = await shop.stripe.v1.events.list_async({"type": KEY_EVENTS})
    assert len(listed.data) == 1


async def test_a_repeated_webhook_is_the_same_event(shop: World) -> None:
    await shop.sandbox.arm(Fault(kind="repeated", match=KEY_EVENTS, detail=99))
    await shop.bought()
    assert (await shop.settle()).count(KEY_EVENTS) == 100
    ids = {
        json.loads(body)["id"]
        for body, kind in zip(shop.sink.bodies, shop.sink.types, strict=True)
        if kind == KEY_EVENTS
    }
    assert len(ids) == 1


async def test_reordered_webhooks_come_last_first(shop: World) -> None:
    await shop.sandbox.arm(Fault(kind="reordered", times=len(BOUGHT)))
    await shop.bought()
    assert await shop.settle() == BOUGHT[::-1]


async def test_a_late_webhook_waits(shop: World) -> None:
    await shop.sandbox.arm(Fault(kind="late", match="payment_intent.*", times=2, detail=3600))
    await shop.bought()
    assert await shop.settle() == [name for name in BOUGHT if not name.startswith("payment_intent.")]
    shop.sink.clear()
    await shop.sandbox.deliver(everything=True)
    assert shop.sink.types == ["payment_intent.created", "payment_intent.succeeded"]


async def test_a_refused_webhook_is_sent_again_with_patience_and_then_given_up(shop: World) -> None:
    await shop.stripe.v1.customers.create_async({"name": "a"})
    shop.sink.answers = [500, 409, 302]
    wall, attempts = shop.sandbox.wall, []
    for seconds in (0, 50, 70, 100, 200, 100_000):
        shop.sandbox.wall = lambda late=seconds: wall() + timedelta(seconds=late)  # type: ignore[misc]
        attempts.append(len(await shop.settle()))
    assert attempts == [1, 0, 1, 0, 1, 0]
    assert (await shop.stripe.v1.events.list_async()).data[0].pending_webhooks == 1


async def test_an_endpoint_hears_only_what_it_asked_for(shop: World) -> None:
    made = await shop.stripe.v1.webhook_endpoints.create_async(
        {"url": "http://sink.test/other", "enabled_events": ["invoice.paid", "customer.deleted"]}
    )
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    await shop.stripe.v1.customers.create_async({"name": "a"})
    assert await shop.settle() == ["customer.created"]
    await shop.stripe.v1.webhook_endpoints.delete_async(made.id)


async def test_two_secrets_sign_while_one_is_rotated(shop: World) -> None:
    def rotate(desk):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        endpoint = desk.store.select("webhook_endpoint")[0]
        desk.save(endpoint | {"_secrets": ["whsec_new", *endpoint["_secrets"]]})

    await shop.sandbox.run(rotate)
    await shop.stripe.v1.customers.create_async({"name": "a"})
    await shop.settle()
    assert shop.sink.signatures[0].count("v1=") == 2


async def test_the_panel_arms_clears_disputes_and_refunds(shop: World) -> None:
    panel = f"{shop.url}/faults"
    await shop.bought()
    await shop.bought()
    charges = [one.id for one in (await shop.stripe.v1.charges.list_async()).data]
    await shop.browser.post(panel, data={"do": "arm", "kind": "lost", "times": "3", "match": "invoice.*"})
    assert "Webhooks are never sent, 3" in (await shop.browser.get(panel)).text
    await shop.browser.post(panel, data={"do": "clear"})
    assert "Nothing will go wrong" in (await shop.browser.get(panel)).text
    await shop.browser.post(panel, data={"do": "dispute", "name": charges[0]})
    await shop.browser.post(panel, data={"do": "refund", "name": charges[1]})
    dispute = (await shop.stripe.v1.disputes.list_async()).data[0]
    await shop.browser.post(panel, data={"do": "win", "name": dispute.id})
    assert (await shop.stripe.v1.disputes.retrieve_async(dispute.id)).status == "won"
    assert (await shop.stripe.v1.charges.retrieve_async(charges[1])).refunded
    delivered = await shop.browser.post(panel, data={"do": "resend", "name": "1"})
    assert delivered.status_code == 303
    refused = await shop.browser.post(panel, data={"do": "arm", "kind": "flood", "times": "0"})
    assert refused.status_code == 400


async def test_the_background_delivers_without_being_asked() -> None:
    async with world(Terms(balance_delay=0), background=True) as shop:
        await shop.stripe.v1.customers.create_async({"name": "a"})
        while not shop.sink.bodies:
            await shop.stripe.v1.balance.retrieve_async()
        assert shop.sink.types == ["customer.created"]
