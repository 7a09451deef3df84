from datetime import timedelta
from uuid import uuid4

import anyio
import pytest

from api.sandbox import Terms
from api.sandbox.objects import disputes as at_stripe
from coop.billing import subscriptions, withdrawal
from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.ledger import GIFTS_OUTSTANDING, POOL
from coop.membership import entitlements
from coop.sponsorship import gifts, returns
from coop.sponsorship.gifts import Gift, GiftFrozen, GiftReturned, GiftTakenBack, GiftWaits, NoSuchGift
from tests.till import Till, hidden


async def bought(till: Till) -> str:
    giver = await till.person("giver")
    await till.pay(giver, purpose="gift")
    async with till.units.read() as work:
        (gift,) = await gifts.given_by(work, giver.id)
    return gifts.code(till.units.settings, gift.id)


async def claim(till: Till, account: Account, secret: str) -> None:
    async with till.units.open() as work:
        await gifts.claim(work, account.id, secret)


async def test_of_ten_who_bring_one_gift_one_begins_a_year(till: Till) -> None:
    secret = await bought(till)
    people = [await till.person(f"finder{number}") for number in range(10)]
    refused: list[CoopError] = []

    async def bring(account: Account) -> None:
        try:
            await claim(till, account, secret)
        except CoopError as refusal:
            refused.append(refusal)

    async with anyio.create_task_group() as tasks:
        for account in people:
            tasks.start_soon(bring, account)

    assert len(refused) == 9
    assert [await till.state(account) for account in people].count("active") == 1
    assert await till.balance(GIFTS_OUTSTANDING) == 0
    assert (await till.books())["DeferredDues"] == 2500


async def test_a_gift_that_nobody_took_up_returns_on_its_day_and_begins_a_place(till: Till) -> None:
    secret = await bought(till)
    ada, bob = await till.person(), await till.person("bob")
    await till.ask(bob)

    till.clock.advance(gifts.KEPT - timedelta(seconds=1))
    assert await returns.return_due(till.units) == 0
    till.clock.advance(timedelta(seconds=1))
    with pytest.raises(GiftReturned):
        await claim(till, ada, secret)
    assert await returns.return_due(till.units) == 1
    assert await returns.return_due(till.units) == 0

    assert await till.state(bob) == "active"
    assert (await till.balance(GIFTS_OUTSTANDING), await till.balance(POOL)) == (0, 0)


@pytest.mark.parametrize("secret", ["", "nothing", "ą", "x" * 100])
async def test_a_link_that_is_not_whole_is_refused_kindly(till: Till, secret: str) -> None:
    await bought(till)

    with pytest.raises(NoSuchGift):
        await claim(till, await till.person(), secret)


async def test_the_link_is_nowhere_in_the_database(till: Till) -> None:
    secret = await bought(till)

    async with till.units.read() as work:
        rows = (await work.session.execute(Gift.__table__.select())).all()

    assert secret not in repr(rows)


async def test_who_waits_for_a_place_and_brings_a_gift_leaves_the_queue(till: Till) -> None:
    secret = await bought(till)
    ada = await till.person()
    await till.ask(ada)

    await claim(till, ada, secret)

    assert await till.place(ada) is None
    assert await till.state(ada) == "active"


async def given(till: Till, handle: str = "giver", **more: str) -> Gift:
    """Buy a gift and return it."""
    giver = await till.person(handle)
    await till.pay(giver, purpose="gift", **more)  # type: ignore[arg-type]  # a card is a word
    async with till.units.read() as work:
        (gift,) = await gifts.given_by(work, giver.id)
    return gift


async def test_a_gift_to_a_member_follows_the_running_year_and_nobody_can_tell_before(till: Till) -> None:
    gift, ada, bob = await given(till), await till.person(), await till.person("bob")
    for member in (ada, bob):
        await till.pay(member)

    assert await till.claim(ada, gift) is False
    till.clock.advance(timedelta(days=300))
    assert await gifts.begin_kept(till.units) == 0
    async with till.units.read() as work:
        told = await entitlements.of_many(work, [ada.id, bob.id])
    assert told[ada.id] == told[bob.id]
    assert await till.balance(GIFTS_OUTSTANDING) == 2500

    till.clock.advance(timedelta(days=40))
    await till.work()

    first, second = await till.terms_of(ada.id)
    assert second.begins == first.ends
    assert await till.balance(GIFTS_OUTSTANDING) == 0
    letters = [letter.subject for letter in till.postbox.letters if letter.to == "ada@example.org"]
    assert not [subject for subject in letters if "ends on" in subject]


async def test_one_gift_follows_a_year_and_a_second_stays_good_for_somebody_else(till: Till) -> None:
    gift, other, ada = await given(till), await given(till, "other"), await till.person()
    await till.pay(ada)
    await till.claim(ada, gift)

    with pytest.raises(GiftWaits):
        await till.claim(ada, other)

    bob = await till.person("bob")
    assert await till.claim(bob, other)
    assert await till.state(bob) == "active"


async def test_a_gift_stops_the_renewal_that_would_charge_the_same_year(till: Till) -> None:
    gift, ada = await given(till), await till.person()
    await till.pay(ada, automatic=True)
    async with till.visitor(ada) as page:
        secret = gifts.code(till.units.settings, gift.id)
        assert "would renew by itself" in (await page.get(f"/gift/{secret}")).text
        await page.post(f"/gift/{secret}", data={})

    async with till.units.read() as work:
        assert await subscriptions.renewing(work, ada.id) is None


async def test_whoever_gives_their_year_back_leaves_the_gift_to_somebody_else(till: Till) -> None:
    gift, ada, bob = await given(till), await till.person(), await till.person("bob")
    await till.pay(ada)
    await till.claim(ada, gift)

    await withdrawal.withdraw(till.units, till.gateway, account_id=ada.id, key=uuid4().hex)
    await gifts.begin_kept(till.units)

    assert await till.state(ada) == "none"
    assert await till.claim(bob, gift)


async def test_its_giver_may_begin_a_gift(till: Till) -> None:
    gift = await given(till)
    async with till.units.read() as work:
        giver = await work.session.get_one(Account, gift.account_id)

    await till.claim(giver, gift)

    assert await till.state(giver) == "active"


async def test_a_gift_that_its_giver_takes_back_is_refunded_and_its_link_says_so(till: Till) -> None:
    gift, ada = await given(till), await till.person()
    async with till.units.read() as work:
        giver = await work.session.get_one(Account, gift.account_id)
    async with till.visitor(ada) as page:
        assert (await page.get(f"/gifts/{gift.id}/back")).status_code == 404
    async with till.visitor(giver) as page:
        ask = await page.get(f"/gifts/{gift.id}/back")
        await page.post(f"/gifts/{gift.id}/back", data={"key": hidden(ask, "key")})
        assert "You took it back" in (await page.get("/gifts")).text

    with pytest.raises(GiftTakenBack):
        await till.claim(ada, gift)
    assert await till.books() == {"Stripe": -103, "Fees": 103}


@pytest.mark.parametrize("won", [True, False])
async def test_a_gift_whose_payment_is_disputed_is_frozen_until_the_bank_has_decided(
    till: Till, *, won: bool
) -> None:
    await till.endow()
    till.sandbox.terms = Terms(balance_delay=0, dispute_delay=60, delivery_delays=(60,))
    gift, ada = await given(till, card="4000000000000259"), await till.person()
    till.clock.advance(timedelta(minutes=2))
    await till.sandbox.settle()
    with pytest.raises(GiftFrozen):
        await till.claim(ada, gift)

    (name,) = [row["id"] for row in await till.sandbox.run(lambda desk: desk.where("dispute"))]
    await till.sandbox.run(lambda desk: at_stripe.close(desk, desk.get("dispute", name), won=won))
    await till.sandbox.settle()

    if won:
        assert await till.claim(ada, gift)
    else:
        with pytest.raises(GiftTakenBack):
            await till.claim(ada, gift)
        # What was lost is what nobody is owed any more.
        assert (await till.books())["Reserve"] == 10_000
    assert await till.balance(GIFTS_OUTSTANDING) == 0
