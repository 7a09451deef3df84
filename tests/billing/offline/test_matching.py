import asyncio
from datetime import timedelta

import msgspec
import pytest

from coop.billing import reconciliation, refunds
from coop.billing.desk.acts import Assign, Cash
from coop.billing.offline import matching, references, statements, transactions, transfers
from coop.billing.offline.matching import Report
from coop.billing.offline.transactions import BankTransaction
from coop.billing.offline.transfers import NoBankAccount, Transfer, TransferOutOfBounds
from coop.billing.payments import Payment
from coop.billing.refunds import Refund
from coop.errors import Invalid
from coop.identity.accounts import Account
from coop.ledger import POOL
from coop.membership import organisations
from coop.money import Money
from coop.sponsorship.places import Place
from tests.billing.offline.test_desk import decide, treasurer
from tests.till import Till


async def announce(
    till: Till, account: Account, cents: int = 2500, purpose: transfers.Purpose = "dues"
) -> Transfer:
    async with till.units.open() as work:
        made = await transfers.announce(work, account.id, Money(cents), purpose=purpose)
    assert made is not None
    return made


def file(*lines: tuple[str, int]) -> bytes:
    rows = [f"2026-03-05,{cents // 100}.{cents % 100:02d},USD,{text},Somebody,US99" for text, cents in lines]
    return "\n".join(["date,amount,currency,text,payer,iban", *rows]).encode()


async def brought_in(till: Till, *lines: tuple[str, int]) -> Report:
    return await matching.bring_in(till.units, statements.read(file(*lines), till.units.settings.money))


async def test_a_transfer_with_its_reference_begins_the_year_when_it_is_seen(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)
    till.clock.advance(timedelta(days=3))

    report = await brought_in(till, (f"dues {references.spaced(transfer.reference)}", 2500))

    assert report.count() == {"exact": 1}
    assert await till.state(ada) == "active"
    assert await till.books() == {"Bank": 2500, "DeferredDues": 2500}
    (term,) = await till.terms_of(ada.id)
    assert term.begins.date() == till.clock.instant.date()


async def test_a_second_import_changes_nothing(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)
    lines = ((transfer.reference, 2500), ("who knows", 700), ("who knows", 700))
    await brought_in(till, *lines)
    before = await till.books()

    report = await brought_in(till, *lines)

    assert (report.known, report.verdicts) == (3, [])
    assert await till.books() == before
    assert await till.count(BankTransaction) == 3


async def test_twenty_imports_at_once_book_once(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)

    await asyncio.gather(*(brought_in(till, (transfer.reference, 2500)) for _ in range(8)))

    assert await till.count(Payment) == 1
    assert await till.books() == {"Bank": 2500, "DeferredDues": 2500}


async def test_an_import_that_was_cut_short_is_finished_by_the_next(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)
    (line,) = statements.read(file((transfer.reference, 2500)), till.units.settings.money).lines
    async with till.units.open() as work:
        await transactions.keep(work, line)

    await brought_in(till)

    assert await till.state(ada) == "active"


async def test_a_rehearsal_says_what_would_happen_and_changes_nothing(till: Till) -> None:
    ada, bo = await till.person("ada"), await till.person("bo")
    exact, under = await announce(till, ada), await announce(till, bo)
    statement = statements.read(
        file((exact.reference, 2500), (under.reference, 1000), (references.make(), 2500), ("hello", 1)),
        till.units.settings.money,
    )

    report = await matching.rehearse(till.units, statement)

    assert report.count() == {"exact": 1, "under": 1, "unknown_reference": 1, "no_reference": 1}
    assert (await till.count(BankTransaction), await till.books()) == (0, {})


@pytest.mark.parametrize("cents", [1000, 2500, 9999])
async def test_an_organisation_that_sends_too_little_gets_neither_the_pools_part_nor_a_year(
    till: Till, cents: int
) -> None:
    await till.sponsor(2500)
    library = await till.person("library")
    transfer = await announce(till, library)
    async with till.units.open() as work:
        await organisations.register(work, library.id, "A library")
    tess = await treasurer(till, "tess")

    report = await brought_in(till, (transfer.reference, cents))

    assert report.count() == {"too_small": 1}
    async with till.units.read() as work:
        (found,) = await transactions.unmatched(work)
    for act in (
        Assign(transaction_id=found.id, account_id=library.id, purpose="dues"),
        Cash(account_id=library.id, amount=cents, purpose="dues"),
    ):
        with pytest.raises(Invalid, match="organisation"):
            await decide(till, act, tess)
    assert await till.state(library) == "none"
    assert await till.balance(POOL) == 2500


async def test_more_than_the_price_goes_to_the_pool(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)

    report = await brought_in(till, (transfer.reference, 4000))

    assert report.count() == {"over": 1}
    assert await till.books() == {"Bank": 4000, "DeferredDues": 2500, "Pool": 1500}


async def test_a_part_finds_what_the_pool_kept_for_it(till: Till) -> None:
    await till.sponsor(3000)
    ada = await till.person()
    transfer = await announce(till, ada, 1000)
    assert (await till.books())["Reserved"] == 1500

    await brought_in(till, (transfer.reference, 1000))

    books = await till.books()
    assert (books["DeferredDues"], books["Pool"], books.get("Reserved")) == (2500, 1500, None)
    assert await till.state(ada) == "active"


async def test_without_a_part_to_give_nothing_is_announced_and_the_person_queues(till: Till) -> None:
    ada = await till.person()

    async with till.units.open() as work:
        assert await transfers.announce(work, ada.id, Money(1000)) is None

    place = await till.place(ada)
    assert place is not None
    assert (place.state, place.contribution) == ("queued", Money(1000))


async def test_less_than_was_announced_waits_as_credit_at_the_head_of_the_queue(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)

    report = await brought_in(till, (transfer.reference, 2000))

    assert report.count() == {"under": 1}
    assert await till.books() == {"Bank": 2000, "MemberCredit": 2000}
    place = await till.place(ada)
    assert place is not None
    assert (place.state, place.credited) == ("queued", True)
    await till.sponsor(500)
    assert await till.state(ada) == "active"


async def test_another_part_than_the_pool_kept_takes_its_own(till: Till) -> None:
    await till.sponsor(3000)
    ada = await till.person()
    transfer = await announce(till, ada, 1000)

    await brought_in(till, (transfer.reference, 1200))

    books = await till.books()
    assert (books["DeferredDues"], books["Pool"], books.get("Reserved")) == (2500, 1700, None)


async def test_a_part_that_comes_after_its_reservation_was_given_back_is_not_lost(till: Till) -> None:
    await till.sponsor(1500)
    ada = await till.person()
    transfer = await announce(till, ada, 1000)
    till.clock.advance(timedelta(days=20))
    assert await transfers.expire_due(till.units) == 1
    assert (await till.books())["Pool"] == 1500

    await brought_in(till, (transfer.reference, 1000))

    assert await till.state(ada) == "active"


async def test_a_year_paid_twice_is_booked_to_be_sent_back(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)
    await brought_in(till, (transfer.reference, 2500))

    await brought_in(till, (f"again {transfer.reference}", 2500))

    assert await till.books() == {"Bank": 5000, "DeferredDues": 2500, "MemberCredit": 2500}
    assert len(await till.terms_of(ada.id)) == 1


async def test_a_standing_order_renews_under_the_old_reference(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)
    await brought_in(till, (transfer.reference, 2500))
    till.clock.advance(timedelta(days=360))

    await brought_in(till, (f"year two {transfer.reference}", 2500))

    assert len(await till.terms_of(ada.id)) == 2


async def test_a_gift_to_the_pool_by_bank_needs_no_processor(till: Till) -> None:
    grace = await till.person("grace")
    transfer = await announce(till, grace, 500_000, purpose="sponsor")

    await brought_in(till, (transfer.reference, 500_000))

    assert await till.books() == {"Bank": 500_000, "Pool": 500_000}


@pytest.mark.parametrize(("cents", "why"), [(100, "too_small"), (1000, "needs_email")])
async def test_a_part_that_would_pass_the_pool_s_rules_by_is_left_to_a_person(
    till: Till, cents: int, why: str
) -> None:
    ada = await till.person(verified=why != "needs_email")
    transfer = await announce(till, ada)

    report = await brought_in(till, (transfer.reference, cents))

    assert report.count() == {why: 1}
    assert await till.books() == {}


async def test_announcing_again_gives_the_same_reference_and_another_amount_a_new_one(till: Till) -> None:
    ada = await till.person()
    first, same, other = await announce(till, ada), await announce(till, ada), await announce(till, ada, 4000)

    assert first.reference == same.reference != other.reference
    # Whoever wrote the first reference on the transfer all the same is known by it.
    assert (await brought_in(till, (first.reference, 2500))).count() == {"exact": 1}
    assert await till.state(ada) == "active"


async def test_who_pays_by_card_after_all_keeps_what_the_pool_kept(till: Till) -> None:
    await till.sponsor(1500)
    ada, bo = await till.person("ada"), await till.person("bo")
    transfer = await announce(till, ada, 1000)
    assert (await till.ask(bo, 1000)).state == "queued"

    await till.pay(ada, 1000)

    assert await till.state(ada) == "active"
    async with till.units.read() as work:
        assert (await work.session.get_one(Transfer, transfer.id)).state == "withdrawn"
    assert await till.count(Place, Place.state == "queued") == 1


async def test_without_a_bank_account_none_is_named(till: Till) -> None:
    msgspec.structs.force_setattr(till.units.settings, "bank_account", "")
    ada = await till.person()

    with pytest.raises(NoBankAccount):
        await announce(till, ada)


@pytest.mark.parametrize("cents", [199, 100_000_001])
async def test_a_transfer_has_bounds(till: Till, cents: int) -> None:
    ada = await till.person()

    with pytest.raises(TransferOutOfBounds):
        await announce(till, ada, cents)


async def test_an_identifier_that_says_something_else_is_a_conflict_not_a_repetition(till: Till) -> None:
    def under_one_id(cents: int) -> statements.Statement:
        rows = f"transaction id,date,amount,text\nX1,2026-03-05,{cents}.00,hello\n"
        return statements.read(rows.encode(), till.units.settings.money)

    await matching.bring_in(till.units, under_one_id(7))

    report = await matching.bring_in(till.units, under_one_id(8))

    assert (report.conflicts, report.known, report.verdicts) == ([2], 0, [])


async def test_no_processor_is_asked_about_money_at_the_bank(till: Till) -> None:
    ada = await till.person()
    transfer = await announce(till, ada)
    await brought_in(till, (transfer.reference, 2500))
    await brought_in(till, (f"again {transfer.reference}", 2500))

    await refunds.send_due(till.units, till.gateway)
    await reconciliation.run(till.units, till.gateway)

    assert await till.books() == {"Bank": 5000, "DeferredDues": 2500, "MemberCredit": 2500}
    assert await till.count(Refund, Refund.state == "intended") == 1
