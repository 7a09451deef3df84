from datetime import timedelta

import pytest
from sqlalchemy import select

from coop.billing import household_dues, household_endings
from coop.billing.desk import acts
from coop.billing.desk.acts import Assign, Cash
from coop.billing.household_dues import HouseholdYear, NobodyToPayFor
from coop.billing.offline import transactions, transfers
from coop.billing.offline.transactions import BankTransaction
from coop.billing.offline.transfers import Transfer
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.errors import Invalid
from coop.identity.accounts import Account
from coop.membership import households, obstacles
from coop.membership.households import NotThePayer
from coop.money import Money
from coop.sponsorship.together import PoolShort
from tests.billing.offline.test_desk import BECAUSE, approve, treasurer
from tests.billing.offline.test_matching import announce, brought_in
from tests.billing.test_households import three, withdraw
from tests.membership.test_households import accept, invitation
from tests.till import Till

Three = tuple[Account, Account, Account]


async def states(till: Till, people: Three) -> list[str]:
    return [await till.state(one) for one in people]


async def assigned(till: Till, payer: Account, tess: Account) -> None:
    """Let a treasurer say that the one loose credit is for this payer's household."""
    async with till.units.open() as work:
        (found,) = await transactions.unmatched(work)
        act = Assign(transaction_id=found.id, account_id=payer.id, purpose="household")
        await acts.decide(work, act, by=tess.id, reason=BECAUSE)


async def test_one_transfer_begins_a_year_for_each(till: Till) -> None:
    people = await three(till)
    transfer = await announce(till, people[0], purpose="household")
    assert (transfer.amount, transfer.price) == (Money(7500), Money(7500))

    report = await brought_in(till, (f"for us {transfer.reference}", 7500))

    assert report.count() == {"exact": 1}
    assert await states(till, people) == ["active"] * 3
    assert await till.books() == {"Bank": 7500, "DeferredDues": 7500}
    assert await till.count(Payment, Payment.purpose == "household", Payment.method == "bank") == 1


async def test_the_pool_adds_the_whole_gap_of_a_transfer_or_none_is_announced(till: Till) -> None:
    await till.sponsor(4500)
    people = await three(till)

    with pytest.raises(PoolShort):
        await announce(till, people[0], 900, purpose="household")
    transfer = await announce(till, people[0], 1000, purpose="household")
    assert (await till.books())["Reserved"] == 4500
    await brought_in(till, (transfer.reference, 3000))

    assert await states(till, people) == ["active"] * 3
    books = await till.books()
    assert (books["DeferredDues"], books.get("Pool"), books.get("Reserved")) == (7500, None, None)


async def test_more_than_was_announced_for_a_household_goes_to_the_pool(till: Till) -> None:
    await till.sponsor(4500)
    people = await three(till)
    transfer = await announce(till, people[0], 1000, purpose="household")

    report = await brought_in(till, (transfer.reference, 7600))

    assert report.count() == {"over": 1}
    books = await till.books()
    assert (books["DeferredDues"], books["Pool"], books.get("Reserved")) == (7500, 4600, None)


@pytest.mark.parametrize("announced", [2500, 2000])
async def test_what_is_missing_is_asked_of_the_pool_by_its_own_rules(till: Till, announced: int) -> None:
    await till.sponsor(3000)
    people = await three(till)
    transfer = await announce(till, people[0], announced, purpose="household")

    report = await brought_in(till, (transfer.reference, 5000))

    assert report.count() == {"under": 1}
    assert await states(till, people) == ["active"] * 3
    books = await till.books()
    assert (books["DeferredDues"], books["Pool"], books.get("Reserved")) == (7500, 500, None)


async def test_what_the_pool_cannot_add_waits_for_a_treasurer_and_begins_whose_years_it_pays(
    till: Till,
) -> None:
    people, tess = await three(till), await treasurer(till, "tess")
    transfer = await announce(till, people[0], purpose="household")
    assert (await brought_in(till, (transfer.reference, 6000))).count() == {"household_short": 1}
    assert await till.books() == {}

    await assigned(till, people[0], tess)

    assert await states(till, people) == ["active", "active", "none"]
    assert await till.books() == {"Bank": 6000, "DeferredDues": 5000, "MemberCredit": 1000}
    assert await till.count(Refund, Refund.amount == Money(1000), Refund.state == "intended") == 1
    # The rest comes under the same reference, and is for the one whose year did not begin.
    assert (await brought_in(till, (f"the rest {transfer.reference}", 2500))).count() == {"under": 1}
    assert await states(till, people) == ["active"] * 3


async def test_nobody_who_waits_is_passed_by_a_household_that_sent_too_little(till: Till) -> None:
    people = await three(till)
    transfer = await announce(till, people[0], purpose="household")
    await till.ask(await till.person("zoe"))
    await till.sponsor(2400)

    report = await brought_in(till, (transfer.reference, 7000))

    assert report.count() == {"household_short": 1}


async def test_a_households_transfer_that_comes_twice_goes_back_and_next_year_renews(till: Till) -> None:
    people = await three(till)
    transfer = await announce(till, people[0], purpose="household")
    await brought_in(till, (transfer.reference, 7500))

    await brought_in(till, (f"again {transfer.reference}", 7500))

    assert await till.books() == {"Bank": 15000, "DeferredDues": 7500, "MemberCredit": 7500}
    till.clock.advance(timedelta(days=360))
    await brought_in(till, (f"year two {transfer.reference}", 7500))
    assert [len(await till.terms_of(one.id)) for one in people] == [2, 2, 2]


async def test_a_households_transfer_that_comes_late_begins_what_it_pays(till: Till) -> None:
    await till.sponsor(4500)
    people = await three(till)
    transfer = await announce(till, people[0], 1000, purpose="household")
    till.clock.advance(timedelta(days=30))
    assert await transfers.expire_due(till.units) == 1
    assert (await till.books())["Pool"] == 4500
    zoe = await till.person("zoe")
    await accept(till.units, zoe, await invitation(till.units, people[0]))

    await brought_in(till, (transfer.reference, 3000))

    # The pool keeps it anew, and for those who were announced.
    assert await states(till, people) == ["active"] * 3
    assert await till.state(zoe) == "none"
    assert (await till.books()).get("Pool") is None


async def test_the_part_of_whoever_left_before_the_transfer_came_goes_back(till: Till) -> None:
    people = await three(till)
    transfer = await announce(till, people[0], 3000, purpose="household")
    async with till.units.open() as work:
        await households.leave(work, people[2].id)

    await brought_in(till, (transfer.reference, 9000))

    assert await states(till, people) == ["active", "active", "none"]
    assert await till.books() == {"Bank": 9000, "DeferredDues": 5000, "Pool": 1000, "MemberCredit": 3000}


@pytest.mark.parametrize(("cents", "back", "given"), [(5000, 0, 0), (5900, 0, 900), (6500, 500, 1000)])
async def test_who_leaves_out_whoever_left_has_sent_enough(
    till: Till, cents: int, back: int, given: int
) -> None:
    people = await three(till)
    transfer = await announce(till, people[0], 3000, purpose="household")
    async with till.units.open() as work:
        await households.leave(work, people[2].id)

    assert (await brought_in(till, (transfer.reference, cents))).count() == {"under": 1}

    books = await till.books()
    assert (books["DeferredDues"], books.get("MemberCredit", 0), books.get("Pool", 0)) == (5000, back, given)


async def test_announcing_again_for_the_same_people_gives_the_same_reference(till: Till) -> None:
    await till.sponsor(2000)
    people = await three(till)
    first = await announce(till, people[0], 2000, purpose="household")
    same = await announce(till, people[0], 2000, purpose="household")
    async with till.units.open() as work:
        await households.leave(work, people[2].id)

    other = await announce(till, people[0], 2000, purpose="household")

    assert first.reference == same.reference != other.reference
    assert other.amount == Money(4000)
    assert (await till.books())["Reserved"] == 1000


async def test_only_the_payer_announces_and_only_for_whoever_needs_a_year(till: Till) -> None:
    people = await three(till)
    with pytest.raises(NotThePayer):
        await announce(till, people[1], purpose="household")
    await till.pay(people[0], purpose="household")

    with pytest.raises(NobodyToPayFor):
        await announce(till, people[0], purpose="household")


async def test_who_pays_by_card_after_all_gives_back_what_the_pool_kept_for_the_transfer(till: Till) -> None:
    await till.sponsor(1500)
    people = await three(till)
    transfer = await announce(till, people[0], 2000, purpose="household")

    await till.pay(people[0], 2000, purpose="household")

    assert await states(till, people) == ["active"] * 3
    async with till.units.read() as work:
        assert (await work.session.get_one(Transfer, transfer.id)).state == "withdrawn"
    assert (await till.books()).get("Reserved") is None


async def test_taking_the_announcement_back_frees_what_the_pool_kept(till: Till) -> None:
    await till.sponsor(1500)
    people = await three(till)
    await announce(till, people[0], 2000, purpose="household")

    async with till.units.open() as work:
        assert await transfers.withdraw(work, people[0].id, "household")

    books = await till.books()
    assert (books["Pool"], books.get("Reserved")) == (1500, None)


async def test_a_dispute_of_the_payer_waits_for_a_person_who_can_only_send_it_back(till: Till) -> None:
    people, tess = await three(till), await treasurer(till, "tess")
    transfer = await announce(till, people[0], purpose="household")
    async with till.units.open() as work:
        await obstacles.put(work, people[0].id, "dispute:one")
    assert (await brought_in(till, (transfer.reference, 7500))).count() == {"dispute_open": 1}

    await assigned(till, people[0], tess)

    assert await till.books() == {"Bank": 7500, "MemberCredit": 7500}


async def test_cash_pays_for_a_household_too(till: Till) -> None:
    people = await three(till)
    tess, theo = await treasurer(till, "tess"), await treasurer(till, "theo")
    async with till.units.open() as work:
        act = Cash(account_id=people[0].id, amount=5000, purpose="household")
        proposal = await acts.decide(work, act, by=tess.id, reason=BECAUSE)

    await approve(till, proposal, theo)

    assert await states(till, people) == ["active", "active", "none"]
    assert await till.books() == {"Cash": 5000, "DeferredDues": 5000}
    async with till.units.read() as work:
        written = (await work.session.scalars(select(HouseholdYear))).all()
    assert {(one.checkout_id, one.transfer_id) for one in written} == {(None, None)}


async def test_a_treasurer_is_told_of_a_member_who_pays_for_nobody(till: Till) -> None:
    ada, tess = await till.person(), await treasurer(till, "tess")
    async with till.units.open() as work:
        with pytest.raises(Invalid, match="no household"):
            await acts.decide(
                work,
                Cash(account_id=ada.id, amount=5000, purpose="household"),
                by=tess.id,
                reason=BECAUSE,
            )


async def test_years_paid_by_transfer_are_given_back_by_hand(till: Till) -> None:
    people, tess = await three(till), await treasurer(till, "tess")
    transfer = await announce(till, people[0], 3000, purpose="household")
    await brought_in(till, (transfer.reference, 9000))

    await withdraw(till, people[0], people[2])
    assert await till.books() == {"Bank": 9000, "DeferredDues": 5000, "Pool": 1000, "MemberCredit": 3000}
    async with till.units.read() as work:
        (refund,) = (await work.session.scalars(select(Refund.id))).all()
        assert len(await household_endings.returnable(work, people[0].id)) == 2
        assert await household_dues.paid_for(work, people[0].id)
    async with till.units.open() as work:
        await acts.paid_out(work, refund, by=tess.id)

    assert await till.books() == {"Bank": 6000, "DeferredDues": 5000, "Pool": 1000}
    assert await till.count(BankTransaction, BankTransaction.state == "matched") == 1
