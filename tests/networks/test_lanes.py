"""No network waits for another, and some facts wait for nothing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import anyio
import msgspec
import pytest
from sqlalchemy import select

from coop.clock import FixedClock, SystemClock
from coop.fetching import Fetcher
from coop.identity import accounts
from coop.networks import deliveries, endpoints, lanes, payloads, sending
from coop.networks.endpoints import Endpoint
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.networks import people
from tests.networks.receiver import Receiver, listening
from tests.networks.test_webhooks import carry_out, endpoint, link, tell


@pytest.fixture
def clock() -> FixedClock:
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


async def pits(units: Units, number: int, pit: Receiver) -> list[UUID]:
    """Make networks that all end in one tar-pit, and put something on its way to each."""
    made = [await people.network(units, f"Pit {n} of many") for n in range(number)]
    async with units.open() as work:
        for network_id in made:
            there, _ = await endpoints.create(work, network_id, pit.url)
            for _ in range(3):
                told = payloads.Test(timestamp=work.wall, data=payloads.Nothing())
                deliveries.write(work, there.id, told, account_id=None, due_at=work.wall)
    return made


async def test_as_many_new_tar_pits_as_there_are_lanes_delay_the_next_network_by_no_more_than_patience(
    units: Units, fetcher: Fetcher
) -> None:
    robin = await people.account(units, "robin")
    async with listening() as pit, listening() as good:
        pit.silent = True
        await pits(units, sending.QUICK_LANES, pit)
        quick = await people.network(units, "Quick")
        await endpoint(units, quick, good)
        async with anyio.create_task_group() as group:
            group.start_soon(people.deliver, units, fetcher)
            await pit.heard(sending.QUICK_LANES)
            await link(units, quick, robin)
            with anyio.fail_after(lanes.PATIENCE + 3):
                await good.arrived.wait()
            group.cancel_scope.cancel()

    assert good.types == ["member.linked"]


async def test_tar_pits_that_are_known_share_lanes_of_their_own_one_attempt_a_turn(
    units: Units, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SLOW_LANES", 2)
    async with listening() as pit, listening() as good:
        pit.silent = True
        slow = await pits(units, 5, pit)
        async with units.open() as work:
            for network_id in slow:
                (await endpoints.of(work, network_id)).slow = True
        quick = await people.network(units, "Quick")
        await endpoint(units, quick, good)
        async with anyio.create_task_group() as group:
            group.start_soon(sending.deliver_slow, units, fetcher)
            await pit.arrived.wait()
            await link(units, quick, await people.account(units, "robin"))
            with anyio.fail_after(5):
                assert await sending.deliver_quick(units, fetcher) == 1
            at_once = len(pit.received)
            group.cancel_scope.cancel()

    assert at_once == 2


async def test_after_one_unanswered_attempt_the_others_are_put_back_untried(
    units: Units, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coop.fetching.TOTAL_SECONDS", 0.2)
    async with listening() as pit:
        pit.silent = True
        (network_id,) = await pits(units, 1, pit)
        async with units.open() as work:
            there = await endpoints.of(work, network_id)

        assert await sending._serve(units, fetcher, there.id, most=sending.BATCH) == 0

    async with units.read() as work:
        there = await endpoints.of(work, network_id)
        rows = sorted(await deliveries.recent(work, network_id), key=lambda row: row.seq)
    assert there.slow
    assert there.failing_since is not None
    assert [row.attempts for row in rows] == [1, 0, 0]
    assert [row.lease for row in rows] == [None, None, None]
    assert [(a["status"], a["failure"]) for a in rows[0].history] == [(None, "unreachable")]


async def test_an_endpoint_that_answers_again_is_quick_again(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    lagoon = await people.network(units)
    await endpoint(units, lagoon, receiver)
    async with units.open() as work:
        there = await endpoints.of(work, lagoon)
        there.slow, there.failing_since = True, work.wall
        await deliveries.test(work, lagoon)

    assert await people.deliver(units, fetcher) == 1

    async with units.read() as work:
        there = await endpoints.of(work, lagoon)
    assert (there.slow, there.failing_since) == (False, None)


async def test_a_lock_waits_for_nothing_that_is_still_to_be_told_of_the_member(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.status = 500
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)
    receiver.status = 204
    async with units.open() as work:
        assert await accounts.lock(work, robin)
        assert not await accounts.lock(work, robin)
    await carry_out(units)

    await people.deliver(units, fetcher)

    assert receiver.types == ["member.linked", "account.locked"]
    assert set(receiver.received[-1].fact["data"]) == {"subject"}


async def test_a_lock_comes_before_whatever_else_is_due(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    lagoon = await people.network(units)
    await endpoint(units, lagoon, receiver)
    members = [await people.account(units, f"member{n}") for n in range(15)]
    for member in members:
        await link(units, lagoon, member)
    for verb in (accounts.lock, accounts.unlock):
        async with units.open() as work:
            await verb(work, members[0])
        await carry_out(units)

    await people.deliver(units, fetcher)

    assert receiver.types[0] == "account.locked"
    # The two about the lock stay in order, though urgent.
    assert receiver.types.index("account.unlocked") > 0
    assert len(receiver.types) == 17


async def test_an_erased_member_is_told_of_and_then_never_spoken_of(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)
    async with units.open() as work:
        work.publish(accounts.AccountErased(account_id=robin))
    await carry_out(units)
    await tell(units, robin, payloads.Ended)

    await people.deliver(units, fetcher)

    assert receiver.types == ["member.linked", "account.erased"]


async def test_what_is_replayed_holds_up_nothing_newer(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    await link(units, lagoon, robin)
    await people.deliver(units, fetcher)
    receiver.status = 500
    async with units.open() as work:
        (old,) = await deliveries.recent(work, lagoon)
        await deliveries.replay(work, lagoon, old.id)
    await people.deliver(units, fetcher)
    receiver.status = 204

    await tell(units, robin, payloads.Activated)
    await people.deliver(units, fetcher)

    assert receiver.types == ["member.linked", "member.linked", "membership.activated"]


async def test_what_still_waits_for_its_first_arrival_keeps_its_place_when_it_is_replayed(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    robin, lagoon = await people.account(units, "robin"), await people.network(units)
    await endpoint(units, lagoon, receiver)
    receiver.status = 500
    await link(units, lagoon, robin)
    await tell(units, robin, payloads.Activated)
    await people.deliver(units, fetcher)
    receiver.status = 204
    async with units.open() as work:
        assert await deliveries.replay_failed(work, lagoon) == 2

    await people.deliver(units, fetcher)

    assert receiver.types == ["member.linked", "member.linked", "membership.activated"]


async def test_replaying_what_failed_or_what_was_written_since_takes_just_that(
    units: Units, fetcher: Fetcher, receiver: Receiver, clock: FixedClock
) -> None:
    lagoon = await people.network(units)
    await endpoint(units, lagoon, receiver)
    for number in range(3):
        receiver.status = 500 if number == 1 else 204
        clock.advance(timedelta(seconds=2))
        await link(units, lagoon, await people.account(units, f"member{number}"))
        await people.deliver(units, fetcher)

    async with units.open() as work:
        everything = await deliveries.recent(work, lagoon)
        assert await deliveries.replay_failed(work, lagoon, since=clock.wall()) == 0
        assert await deliveries.replay_failed(work, lagoon) == 1
        assert await deliveries.replay_since(work, lagoon, clock.wall() - timedelta(seconds=1)) == 1
    before = len(receiver.received)
    await people.deliver(units, fetcher)

    again = {webhook.headers["Webhook-Id"] for webhook in receiver.received[before:]}
    assert again == {everything[0].id, everything[1].id}


async def test_one_test_at_a_time_and_none_to_an_endpoint_that_is_gone(
    units: Units, fetcher: Fetcher, receiver: Receiver
) -> None:
    lagoon = await people.network(units)
    await endpoint(units, lagoon, receiver)
    async with units.open() as work:
        await deliveries.test(work, lagoon)
    with pytest.raises(deliveries.TestUnderWay):
        async with units.open() as work:
            await deliveries.test(work, lagoon)
    receiver.status = 410
    await people.deliver(units, fetcher)

    assert receiver.types == ["endpoint.test"]
    with pytest.raises(endpoints.EndpointGone):
        async with units.open() as work:
            await deliveries.test(work, lagoon)


async def test_two_networks_hear_of_the_same_people_in_orders_of_their_own(
    settings: Settings, clock: FixedClock
) -> None:
    live = Units(msgspec.structs.replace(settings, demo=False, issuer="https://coop.example"), clock)
    members = [await people.account(live, f"member{n}") for n in range(12)]
    orders = []
    for name in ("Lagoon", "Harbor"):
        network_id = await people.network(live, name)
        async with live.open() as work:
            there, _ = await endpoints.create(work, network_id, f"https://{name.lower()}.example/hooks")
            told = payloads.Test(timestamp=work.wall, data=payloads.Nothing())
            for member in members:
                due_at = deliveries.told_at(work)
                deliveries.write(work, there.id, told, account_id=member, due_at=due_at)
    clock.advance(timedelta(seconds=10))
    async with live.read() as work:
        ids = (await work.session.scalars(select(Endpoint.id))).all()
    for endpoint_id in ids:
        claimed = await sending._claim(live, endpoint_id, most=12)
        orders.append([parcel.seq - min(p.seq for p in claimed) for parcel in claimed])
    await live.close()

    assert len(set(map(tuple, orders))) == 2
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12))


async def test_what_waits_behind_days_of_failure_is_given_up_even_untried(
    units: Units, receiver: Receiver, clock: FixedClock
) -> None:
    lagoon, harbor = await people.network(units, "Lagoon"), await people.network(units, "Harbor")
    for network_id in (lagoon, harbor):
        await endpoint(units, network_id, receiver)
        async with units.open() as work:
            await deliveries.test(work, network_id)
    async with units.open() as work:
        (await endpoints.of(work, lagoon)).failing_since = work.wall
    clock.advance(deliveries.HORIZON + timedelta(seconds=1))

    await deliveries.forget_old(units)

    async with units.read() as work:
        (failing,) = await deliveries.recent(work, lagoon)
        (sound,) = await deliveries.recent(work, harbor)
    assert failing.due_at is None
    # Nobody was there to send it; that is not the network's fault.
    assert sound.due_at is not None
