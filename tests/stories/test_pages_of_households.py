import re

from tests.stories.test_pages_of_money import choose, come_back
from tests.till import Till, hidden


async def test_a_household_is_made_joined_and_paid_for_on_its_pages(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    async with till.visitor(ada) as page:
        await page.post("/account/household", data={"what": "invite"})
        link = re.search(r"<code>[^<]*(/household/[^<]+)</code>", (await page.get("/account/household")).text)
        assert link
    async with till.visitor() as page:
        assert "/sign-up?next=" in (await page.get(link[1])).text
    async with till.visitor(bob) as page:
        asked = await page.get(link[1])
        joined = await page.post(link[1], data={})
        assert (await page.post(link[1], data={})).status_code == 409
    async with till.visitor(ada) as page:
        form = (await page.get("/account/household/pay")).text
        back = await come_back(till, ada, page, await choose(page, "/account/household/pay", amount="40.00"))
        mine = (await page.get("/account/household")).text
    async with till.visitor(bob) as page:
        theirs = (await page.get("/account/household")).text
        stop = (await page.get("/account/stop")).text
        paid = (await page.get("/account/payments")).text

    assert "ada invites you" in asked.text
    assert joined.headers["location"] == "/account/household"
    assert "The price: $50 together" in form
    assert "ada, bob" in form
    assert back.headers["location"] == "/account/household"
    assert [await till.state(one) for one in (ada, bob)] == ["active", "active"]
    # What was paid is for the payer to know.
    assert "$40" in mine
    assert not any("$40" in text or "$80" in text for text in (theirs, stop, paid))
    assert "goes back to whoever paid" in stop


async def test_the_payer_withdraws_for_one_from_the_page(till: Till) -> None:
    ada, bob = await till.person(), await till.person("bob")
    async with till.visitor(ada) as page:
        await page.post("/account/household", data={"what": "invite"})
        link = re.search(r"(/household/[\w=-]{32})", (await page.get("/account/household")).text)
        assert link
    async with till.visitor(bob) as page:
        await page.post(link[1], data={})
    await till.pay(ada, purpose="household")
    async with till.visitor(ada) as page:
        text = (await page.get("/account/household")).text
        (key, year) = [
            (hit[2], hit[1])
            for hit in re.finditer(
                r'name="id" value="([^"]+)">\s*<input type="hidden" name="key" value="([^"]+)"', text
            )
        ][1]
        done = await page.post("/account/household/withdraw", data={"key": key, "id": year})
        seen = await page.get(done.headers["location"])

    assert "on its way back to you" in seen.text
    assert [await till.state(one) for one in (ada, bob)] == ["active", "none"]


async def test_what_the_pool_cannot_add_is_said_beside_the_amount(till: Till) -> None:
    async with till.visitor(await till.person()) as page:
        await page.post("/account/household", data={"what": "invite"})
        answer = await choose(page, "/account/household/pay", amount="15.00")
        without = await page.post("/account/household", data={"what": "remove"})

    assert answer.status_code == 400
    assert 'href="#amount"' in answer.text
    assert without.status_code == 400
    assert hidden(answer, "key")
