import re
from datetime import timedelta
from uuid import uuid4

import httpx
import msgspec
import pytest

from coop.billing import operations
from coop.billing.intents import Checkout
from coop.billing.offline.transfers import Transfer
from coop.billing.operations import Operation
from coop.billing.payments import Payment
from coop.identity import throttle
from coop.identity.accounts import Account
from coop.ledger import GIFTS_OUTSTANDING
from tests.membership.test_households import accept, invitation
from tests.till import Till, hidden

ABSURD = (
    *(
        "-5",
        "\u22125",
        "+5",
        "0",
        "0.00",
        "0.5",
        "25.001",
        "1e3",
        "1e400",
        "NaN",
        "Infinity",
        "true",
        "0x19",
        "2_5",
        "25 USD",
    ),
    *("\uff11\uff10", "\u0661\u0660", "1,000.00", str(2**63), str(-(2**63)), "9" * 99),
)


async def choose(page: httpx.AsyncClient, path: str = "/join", **fields: str) -> httpx.Response:
    form = await page.get(path)
    assert form.status_code == 200, form.text
    return await page.post(path, data={"key": hidden(form, "key")} | fields)


async def come_back(
    till: Till, ada: Account, page: httpx.AsyncClient, answer: httpx.Response
) -> httpx.Response:
    assert answer.status_code == 303, answer.text
    paid = await till.enter(answer.headers["location"])
    return await page.get(paid.headers["location"])


async def test_paying_leads_back_to_where_one_came_from_even_if_the_webhook_is_late(till: Till) -> None:
    ada = await till.person()
    async with till.visitor(ada) as page:
        answer = await choose(page, amount="25.00", next="/networks")
        back = await come_back(till, ada, page, answer)

    assert (back.status_code, back.headers["location"]) == (303, "/networks")
    assert await till.state(ada) == "active"
    await till.sandbox.settle()
    assert (await till.books())["DeferredDues"] == 2500


async def test_the_join_page_names_the_price_its_source_and_what_it_is_for(till: Till) -> None:
    async with till.visitor(await till.person()) as page:
        text = (await page.get("/join")).text

    assert "$25" in text
    assert "/law/dues" in text
    assert "$15" in text  # the networks' 60 %


async def test_a_visitor_makes_an_account_first(till: Till) -> None:
    async with till.visitor() as page:
        answer = await page.get("/join?next=/networks")

    assert answer.headers["location"] == "/sign-up?next=%2Fnetworks"


@pytest.mark.parametrize(
    "amount", ["-5", "1e3", "NaN", "\uff11\uff10", "9999999999999999", "0.5", "25.001", ""]
)
async def test_an_absurd_amount_is_refused_beside_its_field(till: Till, amount: str) -> None:
    async with till.visitor(await till.person()) as page:
        answer = await choose(page, amount="other", other=amount)

    assert answer.status_code == 400
    assert "error-summary" in answer.text
    assert await till.count(Checkout) == 0


@pytest.mark.parametrize(
    "path", ["/sponsor", "/account/household/pay", "/account/renewal", "/sponsor/transfer"]
)
async def test_no_form_takes_an_absurd_amount(till: Till, path: str) -> None:
    msgspec.structs.force_setattr(till.units.settings, "bank_account", "US64 0000 1234")
    ada, bob = await till.person(), await till.person("bob")
    await accept(till.units, bob, await invitation(till.units, ada))
    if path == "/account/renewal":
        await till.pay(ada, automatic=True)
    before, statuses = await till.books(), {}
    async with till.visitor(ada) as page:

        async def send(**fields: str) -> int:
            if path == "/account/renewal":
                fields["what"] = "amount"
            if path != "/sponsor/transfer":
                fields["key"] = uuid4().hex
            return (await page.post(path, data=fields)).status_code

        for written in ABSURD:
            statuses[written] = await send(amount=written)
            if path in {"/sponsor", "/account/household/pay"}:
                statuses[f"other: {written}"] = await send(amount="other", other=written)
        assert await till.count(Checkout, Checkout.state != "paid") == await till.count(Transfer) == 0
        assert await till.books() == before
        usual = await send(amount="25.00")

    assert {case: status for case, status in statuses.items() if status != 400} == {}
    assert usual == 303


async def test_who_tries_one_card_after_another_is_stopped_for_a_while(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    pages = [await till.begin(ada, 2500 + number) for number in range(throttle.PAYMENT_PAGES.times)]
    async with till.visitor(ada) as page:
        answer = await choose(page, amount="25.00")

    assert (answer.status_code, len(set(pages))) == (429, throttle.PAYMENT_PAGES.times)
    assert int(answer.headers["retry-after"]) > 0
    assert (await till.begin(bob)).startswith("http")
    till.clock.advance(throttle.PAYMENT_PAGES.window)
    await till.pay(ada)
    assert await till.state(ada) == "active"


async def test_a_double_click_opens_one_payment_page(till: Till) -> None:
    ada = await till.person()
    async with till.visitor(ada) as page:
        form = await page.get("/join")
        data = {"key": hidden(form, "key"), "amount": "25.00"}
        first = await page.post("/join", data=data)
        second = await page.post("/join", data=data)

    assert first.headers["location"] == second.headers["location"]
    assert await till.count(Checkout) == 1


async def test_a_second_click_in_flight_leads_to_the_page_that_the_first_one_opened(till: Till) -> None:
    ada = await till.person()
    async with till.visitor(ada) as page:
        form = await page.get("/join")
        data = {"key": hidden(form, "key"), "amount": "25.00"}
        async with till.units.open() as work:
            facts = ("dues", 2500, False, "/account")
            await operations.claim(
                work, data["key"], lease=uuid4(), account_id=ada.id, purpose="checkout", facts=facts
            )
        second = await page.post("/join", data=data)
        till.clock.advance(timedelta(minutes=2))
        first = await page.post("/join", data=data)
        onward = await page.get(second.headers["refresh"].partition("url=")[2])

    assert (second.status_code, second.headers["retry-after"]) == (409, "2")
    assert onward.headers["location"] == first.headers["location"]


async def test_a_key_serves_one_person_and_one_wish(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    async with till.visitor(ada) as page:
        form = await page.get("/join")
        data = {"key": hidden(form, "key"), "amount": "25.00"}
        await page.post("/join", data=data)
        other = await page.post("/join", data=data | {"amount": "40.00"})
    async with till.visitor(bob) as page:
        stolen = await page.post("/join", data=data)

    assert other.status_code == stolen.status_code == 409
    assert await till.count(Operation) == 1


async def test_nothing_is_a_place_at_once_while_the_pool_lasts(till: Till) -> None:
    await till.sponsor(2500)
    ada = await till.person()
    async with till.visitor(ada) as page:
        answer = await choose(page, amount="0", next="/networks")

    assert answer.headers["location"] == "/networks"
    assert await till.state(ada) == "active"


async def test_an_unconfirmed_address_is_asked_for_right_there(till: Till) -> None:
    ada = await till.person(verified=False)
    async with till.visitor(ada) as page:
        answer = await page.post("/place", data={})
        assert 'action="/place/email"' in answer.text
        sent = await page.post("/place/email", data={"email": "ada@example.org"})

    assert sent.status_code == 200
    assert "We have sent you a letter" in sent.text


async def test_who_waits_sees_a_place_and_nothing_charged(till: Till) -> None:
    async with till.visitor(await till.person()) as page:
        await page.post("/place", data={})
        text = (await page.get("/place")).text

    assert "Place in the queue" in text
    assert await till.count(Payment) == 0


async def test_a_sponsor_sees_years_and_no_names(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    await till.ask(bob)
    async with till.visitor(ada) as page:
        answer = await choose(page, "/sponsor", amount="other", other="100")
        back = await come_back(till, ada, page, answer)
        text = (await page.get("/sponsor")).text

    assert back.status_code == 200
    assert "$100" in text
    assert "4 years of membership" in text
    assert "bob" not in text
    assert await till.state(bob) == "active"


async def test_a_gift_is_a_link_that_works_once(till: Till) -> None:
    ada, bob, eve = [await till.person(name) for name in ("ada", "bob", "eve")]
    async with till.visitor(ada) as page:
        await come_back(till, ada, page, await choose(page, "/gifts"))
        shown = (await page.get("/gifts")).text
        card = re.search(r'href="(/gifts/[0-9a-f-]+/card)"', shown)
        link = re.search(r"<code>[^<]*(/gift/[^<]+)</code>", shown)
        assert card
        assert link
        printed = await page.get(card[1])
    async with till.visitor(bob) as page:
        assert (await page.get(link[1])).status_code == 200
        assert (await page.post(link[1], data={})).status_code == 303
    async with till.visitor(eve) as page:
        late = await page.post(link[1], data={})

    assert "<svg" in printed.text
    assert late.status_code == 409
    assert (await till.state(bob), await till.state(eve)) == ("active", "none")
    assert await till.balance(GIFTS_OUTSTANDING) == 0


async def test_withdrawing_takes_two_clicks_and_returns_everything(till: Till) -> None:
    ada = await till.person()
    await till.pay(ada, 4000)
    till.clock.advance(timedelta(days=13, hours=23))
    async with till.visitor(ada) as page:
        stop = await page.get("/account/stop")
        done = await page.post("/account/stop", data={"what": "withdraw", "key": hidden(stop, "key")})
        seen = await page.get(done.headers["location"])
        receipts = await page.get("/account/payments")

    assert done.status_code == 303
    assert "You have withdrawn" in seen.text
    assert "$40" in receipts.text
    assert await till.state(ada) == "none"
    books = await till.books()
    assert books == {"Stripe": -146, "Fees": 146}


async def test_a_receipt_is_its_owners_alone(till: Till) -> None:
    ada, eve = await till.person(), await till.person("eve")
    await till.pay(ada)
    async with till.visitor(ada) as page:
        path = re.search(r'href="(/account/payments/[0-9a-f-]+)"', (await page.get("/account/payments")).text)
        assert path
        mine = await page.get(path[1])
    async with till.visitor(eve) as page:
        theirs = await page.get(path[1])

    assert (mine.status_code, theirs.status_code) == (200, 404)
