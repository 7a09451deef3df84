from collections.abc import Collection
from datetime import timedelta
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest
from sqlalchemy import select

from coop.identity.accounts import Account
from coop.mail import Letter
from coop.membership import entitlements, renewal, terms
from coop.money import Money
from coop.outbox import OutboxMessage
from coop.unit_of_work import UnitOfWork, Units
from tests.cooperative import found
from tests.membership.people import grant, newcomer
from tests.statements import said_to


async def outbox(units: Units, kind: str) -> list[OutboxMessage]:
    async with units.read() as work:
        return list(await work.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == kind)))


async def letters(units: Units) -> list[Letter]:
    return [msgspec.json.decode(row.payload, type=Letter) for row in await outbox(units, "Letter")]


async def member(units: Units, *, email: str | None = None) -> UUID:
    await found(units)
    async with units.open() as work:
        account = await newcomer(work, email=email)
        await grant(work, account)
    return account


async def test_a_membership_that_is_not_renewed_ends_once(units: Units) -> None:
    await member(units)
    await units.advance(timedelta(days=365 + 60))

    assert await renewal.lapse_due(units) == 1
    assert await renewal.lapse_due(units) == 0
    assert len(await outbox(units, "MembershipEnded")) == 1


async def test_nothing_ends_during_grace(units: Units) -> None:
    await member(units)
    await units.advance(timedelta(days=365 + 59))

    assert await renewal.lapse_due(units) == 0


async def test_two_workers_announce_an_end_once(units: Units) -> None:
    await member(units)
    await units.advance(timedelta(days=365 + 60))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(renewal.lapse_due, units)

    assert len(await outbox(units, "MembershipEnded")) == 1


async def test_who_returns_after_a_lapse_is_announced_once_again(units: Units) -> None:
    account = await member(units)
    await units.advance(timedelta(days=365 + 60))
    await renewal.lapse_due(units)

    async with units.open() as work:
        await grant(work, account)

    assert len(await outbox(units, "MembershipActivated")) == 2
    async with units.read() as work:
        assert (await entitlements.of(work, account)).membership == "active"


async def test_who_renews_in_the_second_before_the_job_never_ends(units: Units) -> None:
    account = await member(units)
    await units.advance(timedelta(days=365 + 59))
    async with units.open() as work:
        await grant(work, account)
    await units.advance(timedelta(days=2))

    assert await renewal.lapse_due(units) == 0
    assert len(await outbox(units, "MembershipEnded")) == 0


async def test_notices_come_thirty_and_seven_days_ahead_each_once(units: Units) -> None:
    await member(units, email="a@example.org")

    counts = []
    for step in (334, 1, 1, 21, 1, 1, 6, 30):
        await units.advance(timedelta(days=step))
        await renewal.remind_due(units)
        await renewal.remind_due(units)
        counts.append(len(await letters(units)))

    # Days 334, 335 (30 ahead), 336, 357, 358 (7 ahead), 359, 365 and 395 of a year that ends at the midnight after 365;
    # the clock stands at noon, so "thirty days ahead" begins half a day later.
    assert counts == [0, 1, 1, 1, 2, 2, 2, 2]


async def test_after_a_pause_only_the_nearer_notice_is_sent(units: Units) -> None:
    await member(units, email="a@example.org")
    await units.advance(timedelta(days=360))

    assert await renewal.remind_due(units) == 1
    assert await renewal.remind_due(units) == 0


async def test_two_workers_write_a_notice_once(units: Units) -> None:
    await member(units, email="a@example.org")
    await units.advance(timedelta(days=340))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(renewal.remind_due, units)

    assert len(await letters(units)) == 1


async def test_who_has_renewed_already_gets_no_notice(units: Units) -> None:
    account = await member(units, email="a@example.org")
    async with units.open() as work:
        await grant(work, account)
    await units.advance(timedelta(days=360))

    assert await renewal.remind_due(units) == 0


async def test_without_a_verified_email_the_notice_waits_on_the_members_page(units: Units) -> None:
    account = await member(units)
    async with units.read() as work:
        assert await renewal.upcoming(work, account) is None
    await units.advance(timedelta(days=345))

    assert await renewal.remind_due(units) == 0
    async with units.read() as work:
        known = await renewal.upcoming(work, account)
    assert known is not None
    assert known.days_left == 20


async def test_a_withdrawn_year_needs_no_notice(units: Units) -> None:
    account = await member(units, email="a@example.org")
    await units.advance(timedelta(days=340))
    async with units.open() as work:
        term = await terms.current(work, account)
        assert term is not None
        await terms.end_early(work, term.id)

    assert await renewal.remind_due(units) == 0


@pytest.mark.parametrize(
    ("locale", "says"), [("en", "$12.50"), ("pl", "12,50"), ("fr", "12,50"), ("xx", "$12.50")]
)
async def test_a_notice_tells_what_will_be_charged_in_the_members_language(
    units: Units, locale: str, says: str
) -> None:
    account = await member(units, email="a@example.org")
    async with units.open() as work:
        (await work.session.get_one(Account, account)).locale = locale
    await units.advance(timedelta(days=340))

    async def planned(work: UnitOfWork, account_ids: Collection[UUID]) -> dict[UUID, Money]:
        del work
        return dict.fromkeys(account_ids, Money(1250))

    await renewal.remind_due(units, planned)

    (letter,) = await letters(units)
    assert says in letter.body
    assert "/renewal/" in letter.body


async def test_a_notice_to_who_renews_by_hand_names_the_price_and_that_nothing_is_charged(
    units: Units,
) -> None:
    await member(units, email="a@example.org")
    await units.advance(timedelta(days=340))

    await renewal.remind_due(units)

    (letter,) = await letters(units)
    assert "Nothing will be charged" in letter.body
    assert "$25.00" in letter.body


async def test_notices_and_lapses_take_as_many_statements_for_many_as_for_one(units: Units) -> None:
    await found(units)
    said: dict[str, list[int]] = {"notices": [], "lapses": []}
    for number in (1, 30):
        async with units.open() as work:
            for _ in range(number):
                await grant(work, await newcomer(work, email=f"{uuid4().hex}@example.org"))
        await units.advance(timedelta(days=360))
        with said_to(units) as notices:
            assert await renewal.remind_due(units) == number
        await units.advance(timedelta(days=100))
        with said_to(units) as lapses:
            assert await renewal.lapse_due(units) == number
        said["notices"].append(len(notices))
        said["lapses"].append(len(lapses))

    assert all(few == many for few, many in said.values()), said


async def test_notices_go_through_all_batches_and_say_how_far_they_are(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "BATCH", 2)
    await found(units)
    async with units.open() as work:
        for number in range(5):
            await grant(work, await newcomer(work, email=f"m{number}@example.org"))
    await units.advance(timedelta(days=340))
    told: list[int] = []

    assert await renewal.remind_due(units, tell=told.append) == 5

    assert told == [2, 2, 1]
    assert sorted(letter.to for letter in await letters(units)) == [f"m{n}@example.org" for n in range(5)]
    assert await renewal.remind_due(units) == 0
