import pytest

from coop.ledger import DEFERRED_DUES, POOL
from tests.stories.test_pages_of_money import choose, come_back
from tests.till import Till


async def test_an_organisation_says_what_it_is_pays_more_and_buys_its_people_years(till: Till) -> None:
    shop = await till.person("shop")
    async with till.visitor(shop) as page:
        refused = await page.post("/join/organisation", data={"name": " "})
        await page.post("/join/organisation", data={"name": "Print Shop"})
        form = (await page.get("/join")).text
        less = await choose(page, amount="other", other="50")
        by_itself = await choose(page, amount="100.00", renewal="automatic")
        await come_back(till, shop, page, await choose(page, amount="100.00"))
        account = (await page.get("/account")).text
        gift = await choose(page, "/gifts")

    assert (refused.status_code, less.status_code, by_itself.status_code) == (400, 400, 400)
    assert 'value="0"' not in form
    assert 'value="automatic"' not in form
    assert "For $100: 12 charges of $8.34" in form
    assert "Print Shop, an organisation without a vote" in account
    assert (await till.balance(DEFERRED_DUES), await till.balance(POOL)) == (2500, 7500)
    assert await till.state(shop) == "active"
    assert gift.status_code == 303


@pytest.mark.parametrize("path", ["/place", "/account/household"])
async def test_what_is_for_persons_is_refused_to_an_organisation(till: Till, path: str) -> None:
    async with till.visitor(await till.person("shop")) as page:
        await page.post("/join/organisation", data={"name": "Print Shop"})
        answer = await page.post(path, data={"what": "invite"} if path != "/place" else {})
        back = await page.post("/join/organisation", data={"person": "yes"})
        form = (await page.get("/join")).text

    assert answer.status_code == 403
    assert back.headers["location"] == "/join"
    assert 'value="0"' in form


async def test_who_waits_for_a_place_does_not_become_an_organisation_meanwhile(till: Till) -> None:
    async with till.visitor(await till.person("shop")) as page:
        await page.post("/place", data={})
        answer = await page.post("/join/organisation", data={"name": "Print Shop"})

    assert answer.status_code == 409
