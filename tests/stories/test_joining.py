from coop.billing.payments import Payment
from coop.ledger import POOL, RESERVED
from coop.membership.terms import Term
from tests.till import Till


async def test_a_newcomer_pays_the_price_and_is_a_member_once(till: Till) -> None:
    ada = await till.person()

    await till.pay(ada)

    assert await till.state(ada) == "active"
    assert await till.books() == {"Stripe": 2397, "DeferredDues": 2500, "Fees": 103}
    assert await till.count(Term) == await till.count(Payment) == 1


async def test_what_is_paid_beyond_the_price_goes_to_the_pool(till: Till) -> None:
    ada = await till.person()

    await till.pay(ada, 4000)

    assert await till.books() == {"Stripe": 3854, "DeferredDues": 2500, "Pool": 1500, "Fees": 146}


async def test_the_pool_adds_what_is_missing_and_reserves_it_before_any_money_is_taken(till: Till) -> None:
    await till.sponsor(2000)
    ada = await till.person()

    url = await till.begin(ada, 1000)

    assert (await till.balance(POOL), await till.balance(RESERVED)) == (500, 1500)
    await till.enter(url)
    await till.sandbox.settle()
    assert await till.state(ada) == "active"
    assert (await till.balance(POOL), await till.balance(RESERVED)) == (500, 0)
    assert (await till.books())["DeferredDues"] == 2500


async def test_automatic_and_manual_payers_look_alike(till: Till) -> None:
    ada = await till.person()

    await till.pay(ada, automatic=True)

    assert await till.state(ada) == "active"
    assert await till.books() == {"Stripe": 2397, "DeferredDues": 2500, "Fees": 103}
    assert await till.count(Term) == await till.count(Payment) == 1
