from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import anyio
import msgspec
import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from coop import policies
from coop.clock import FixedClock, SystemClock
from coop.fetching import Fetcher
from coop.networks import announcements, deliveries, endpoints, links, payloads, sending, subjects
from coop.networks.deliveries import Delivery
from coop.outbox import OutboxMessage
from coop.settings import Settings
from coop.unit_of_work import Units
from coop.worker import Worker
from tests.conftest import Postbox
from tests.networks import people
from tests.networks.receiver import Receiver, listening


@pytest.fixture
def clock() -> FixedClock:
    """Start at the present, since the library that verifies signatures looks at the machine's clock."""
    return FixedClock(SystemClock().wall())


@pytest.fixture
async def fetcher(settings: Settings) -> AsyncIterator[Fetcher]:
    made = Fetcher(settings)
    yield made
    await made.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as listener:
        yield listener


async def endpoint(units: Units, network_id: UUID, receiver: Receiver) -> str:
    async with units.open() as work:
        _, secret = await endpoints.create(work, network_id, receiver.url)
    return secret


async def link(units: Units, network_id: UUID, account_id: UUID) -> None:
    async with units.open() as work:
        await links.link(work, network_id, account_id)
    await carry_out(units)


async def carry_out(units: Units) -> None:
    """Let the worker hand the events in the outbox to the handlers."""
    handlers = {kind: (handler,) for kind, handler in announcements.handlers.items()}
    await Worker(units, Postbox(), handlers=handlers).drain()


async def tell(units: Units, account_id: UUID, *facts: announcements.MemberFact) -> None:
    async with units.open() as work:
        for fact in facts:
            await announcements.tell_networks_of(work, account_id, fact)


async def the_delivery(units: Units) -> Delivery:
    async with units.read() as work:
        return (await work.session.scalars(select(Delivery))).one()


async def test_a_link_is_told_signed_to_its_network(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    secret = await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)

    assert await people.deliver(units, fetcher) == 1

    (webhook,) = receiver.received
    fact = Webhook(secret).verify(webhook.body, webhook.headers)
    async with units.read() as work:
        subject = await subjects.of(work, lagoon, robin)
    assert fact["type"] == "member.linked"
    assert fact["data"] == {"subject": subject}
    assert await people.deliver(units, fetcher) == 0


async def test_a_foreign_secret_does_not_verify(units: Units, fetcher: Fetcher, receiver: Receiver) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)

    (webhook,) = receiver.received
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 43 + "=").verify(webhook.body, webhook.headers)


async def test_nothing_that_two_networks_are_told_of_one_person_is_the_same(
    units: Units, fetcher: Fetcher
) -> None:
    robin = await people.account(units, "robin")
    lagoon, harbor = await people.network(units, "Lagoon"), await people.network(units, "Harbor")
    async with listening() as first, listening() as second:
        await endpoint(units, lagoon, first)
        await endpoint(units, harbor, second)
        await link(units, lagoon, robin)
        await link(units, harbor, robin)
        await tell(units, robin, payloads.Activated)

        await people.deliver(units, fetcher)

    assert sorted(first.types) == sorted(second.types) == ["member.linked", "membership.activated"]
    ids = {webhook.headers["Webhook-Id"] for webhook in first.received + second.received}
    there = {webhook.fact["data"]["subject"] for webhook in first.received}
    elsewhere = {webhook.fact["data"]["subject"] for webhook in second.received}
    assert len(ids) == 4
    assert len(there) == len(elsewhere) == 1
    assert there != elsewhere
    assert b"robin" not in b"".join(webhook.body for webhook in first.received + second.received)


async def test_in_production_each_network_is_told_after_a_wait_of_its_own(
    units: Units, clock: FixedClock
) -> None:
    live = Units(msgspec.structs.replace(units.settings, demo=False, issuer="https://coop.example"), clock)
    async with live.read() as work:
        waits = [(deliveries.told_at(work) - work.wall).total_seconds() for _ in range(50)]
    await live.close()

    assert len(set(waits)) > 10
    assert 0 <= min(waits) < max(waits) <= deliveries.LONGEST_DELAY


async def test_facts_about_one_member_arrive_in_order_even_after_a_failure(
    units: Units, fetcher: Fetcher, receiver: Receiver, clock: FixedClock
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.status = 503
    await link(units, lagoon, robin)
    await tell(units, robin, payloads.Activated, payloads.Ended, payloads.Activated)
    await people.deliver(units, fetcher)
    failed = list(receiver.types)
    receiver.status = 200

    clock.advance(timedelta(seconds=6))
    await people.deliver(units, fetcher)

    assert failed == ["member.linked"]
    assert receiver.types[1:] == [
        "member.linked",
        "membership.activated",
        "membership.ended",
        "membership.activated",
    ]


async def test_a_failing_member_does_not_hold_up_another(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, wren = await people.account(units, "robin"), await people.account(units, "wren")
    lagoon = await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.status = 500
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)
    receiver.status = 200

    await link(units, lagoon, wren)

    assert await people.deliver(units, fetcher) == 1


async def test_a_delivery_is_retried_under_the_same_id_for_three_days_and_then_given_up(
    units: Units, fetcher: Fetcher, receiver: Receiver, clock: FixedClock
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.status = 500
    await link(units, lagoon, robin)
    begun = clock.wall()

    while due_at := (await the_delivery(units)).due_at:
        clock.advance(max(due_at - clock.wall(), timedelta()))
        await people.deliver(units, fetcher)

    assert len(receiver.received) == len(deliveries.BACK_OFF) + 1
    assert len({webhook.headers["Webhook-Id"] for webhook in receiver.received}) == 1
    assert timedelta(days=3) < clock.wall() - begun < timedelta(days=3, hours=5)
    assert (await the_delivery(units)).delivered_at is None


async def test_a_given_up_delivery_can_be_replayed_by_its_own_network(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units, "Lagoon")
    harbor = await people.network(units, "Harbor")
    await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)
    delivery = await the_delivery(units)

    with pytest.raises(deliveries.NoSuchDelivery):
        async with units.open() as work:
            await deliveries.replay(work, harbor, delivery.id)
    async with units.open() as work:
        await deliveries.replay(work, lagoon, delivery.id)
    await people.deliver(units, fetcher)

    assert [webhook.headers["Webhook-Id"] for webhook in receiver.received] == [delivery.id, delivery.id]


async def test_while_a_secret_is_rotated_both_verify_and_then_only_the_new_one(
    units: Units, fetcher: Fetcher, receiver: Receiver, clock: FixedClock
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    old = await endpoint(units, lagoon, receiver)
    async with units.open() as work:
        new = await endpoints.rotate(work, lagoon)
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)
    (webhook,) = receiver.received
    Webhook(old).verify(webhook.body, webhook.headers)
    Webhook(new).verify(webhook.body, webhook.headers)

    clock.advance(endpoints.OVERLAP)
    await tell(units, robin, payloads.Activated)
    await people.deliver(units, fetcher)

    assert len(receiver.received[1].headers["Webhook-Signature"].split()) == 1


async def test_a_secret_is_not_readable_in_the_database(units: Units, receiver: Receiver) -> None:
    lagoon = await people.network(units)
    secret = await endpoint(units, lagoon, receiver)

    async with units.read() as work:
        row = await endpoints.of(work, lagoon)
    assert secret.encode() not in row.sealed_secret
    assert secret not in repr(row)


async def test_a_redirect_is_a_failure_and_is_not_followed(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.status, receiver.headers = 302, {"Location": "/elsewhere"}
    await link(units, lagoon, robin)

    assert await people.deliver(units, fetcher) == 0
    assert len(receiver.received) == 1
    assert (await the_delivery(units)).last_status == 302


async def test_an_endpoint_that_is_gone_is_told_nothing_until_it_is_set_again(
    units: Units, fetcher: Fetcher, receiver: Receiver, clock: FixedClock
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.status = 410
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)
    receiver.status = 200
    clock.advance(timedelta(days=1))
    while_gone = await people.deliver(units, fetcher)

    async with units.open() as work:
        await endpoints.move(work, lagoon, receiver.url)

    assert (while_gone, await people.deliver(units, fetcher)) == (0, 1)


async def test_a_tar_pit_delays_nobody_else(units: Units, fetcher: Fetcher) -> None:
    robin = await people.account(units, "robin")
    slow, quick = await people.network(units, "Slow"), await people.network(units, "Quick")
    async with listening() as pit, listening() as good:
        pit.silent = True
        await endpoint(units, slow, pit)
        await endpoint(units, quick, good)
        await link(units, slow, robin)
        async with anyio.create_task_group() as group:
            group.start_soon(people.deliver, units, fetcher)
            await pit.arrived.wait()
            # Only now does something become due elsewhere.
            await link(units, quick, robin)
            with anyio.fail_after(5):
                await good.arrived.wait()
            group.cancel_scope.cancel()

    assert good.types == ["member.linked"]


async def test_an_attempt_cut_short_is_made_again_once_its_lease_is_over(
    units: Units, fetcher: Fetcher, receiver: Receiver, clock: FixedClock
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.silent = True
    await link(units, lagoon, robin)
    async with anyio.create_task_group() as group:
        group.start_soon(people.deliver, units, fetcher)
        await receiver.arrived.wait()
        group.cancel_scope.cancel()
    receiver.silent = False

    at_once = await people.deliver(units, fetcher)
    clock.advance(sending.LEASE + timedelta(seconds=1))

    assert (at_once, await people.deliver(units, fetcher)) == (0, 1)


async def test_two_workers_deliver_each_fact_once(units: Units, fetcher: Fetcher, receiver: Receiver) -> None:
    lagoon = await people.network(units)
    await endpoint(units, lagoon, receiver)
    members = [await people.account(units, f"member{n}") for n in range(12)]
    async with units.open() as work:
        for account_id in members:
            await links.link(work, lagoon, account_id)
    await carry_out(units)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(people.deliver, units, fetcher)

    assert (
        len({webhook.headers["Webhook-Id"] for webhook in receiver.received}) == len(receiver.received) == 12
    )


async def test_every_network_is_told_of_a_new_covenant(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    lagoon = await people.network(units)
    await endpoint(units, lagoon, receiver)
    async with units.open() as work:
        old = await policies.latest(work, policies.Covenant)
        await policies.adopt(
            work,
            msgspec.structs.replace(old.document, sign_within_days=60),
            act=f"motion:{old.id}",
            effective_at=work.now,
            replaces=old.hash,
        )
    await carry_out(units)
    await people.deliver(units, fetcher)

    (webhook,) = receiver.received
    assert webhook.fact["type"] == "covenant.changed"
    assert webhook.fact["data"] == {"version": 2, "url": "http://127.0.0.1:8000/law/covenant"}


async def test_one_who_left_a_network_is_not_spoken_of_there(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)
    async with units.open() as work:
        await links.unlink(work, lagoon, robin)
    await tell(units, robin, payloads.Ended)
    await people.deliver(units, fetcher)

    assert receiver.types == ["member.linked"]


async def test_a_month_later_deliveries_are_forgotten(
    units: Units, fetcher: Fetcher, receiver: Receiver, clock: FixedClock
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)
    await deliveries.forget_old(units)
    await the_delivery(units)
    clock.advance(deliveries.KEPT + timedelta(seconds=1))

    await deliveries.forget_old(units)

    async with units.read() as work:
        assert await deliveries.recent(work, lagoon) == []


async def test_a_network_has_one_endpoint_and_can_give_it_up(units: Units, receiver: Receiver) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)

    with pytest.raises(endpoints.EndpointExists):
        await endpoint(units, lagoon, receiver)
    async with units.open() as work:
        await endpoints.remove(work, lagoon)
    with pytest.raises(endpoints.NoEndpoint):
        async with units.open() as work:
            await endpoints.of(work, lagoon)
    async with units.read() as work:
        assert (await work.session.scalars(select(Delivery))).all() == []
        assert (await work.session.scalars(select(OutboxMessage))).all() == []
