from datetime import timedelta

from tests.billing.test_instalments import law
from tests.stories.test_pages_of_money import choose, come_back
from tests.till import Till, hidden


async def test_the_join_page_says_what_instalments_cost_before_anybody_chooses(till: Till) -> None:
    async with till.visitor(await till.person()) as page:
        offered = (await page.get("/join")).text
        await law(till, instalments=0)
        without = (await page.get("/join")).text

    assert "12 charges of $2.09, $25.08 together" in offered
    assert "Card fees come to $4.44 instead of $1.03" in offered
    assert 'value="instalments"' not in without


async def test_a_year_by_instalments_is_begun_seen_and_stopped_in_two_clicks(till: Till) -> None:
    ada = await till.person()
    async with till.visitor(ada) as page:
        back = await come_back(
            till, ada, page, await choose(page, amount="25.00", renewal="instalments", next="/networks")
        )
    till.clock.advance(timedelta(days=20))
    async with till.visitor(ada) as page:
        seen = (await page.get("/account/payments")).text
        stop = await page.get("/account/stop")
        done = await page.post("/account/stop", data={"what": "stop", "key": hidden(stop, "key")})
        told = await page.get(done.headers["location"])

    assert back.headers["location"] == "/networks"
    assert "1 of 12, $2.09 each" in seen
    assert "membership ends on 2 April 2026" in stop.text
    assert "Your instalments are stopped" in told.text
    assert await till.state(ada) == "active"
    till.clock.advance(timedelta(days=20))
    assert await till.state(ada) == "none"


async def test_an_amount_too_small_for_instalments_is_refused_beside_the_choice(till: Till) -> None:
    async with till.visitor(await till.person()) as page:
        answer = await choose(page, amount="other", other="20", renewal="instalments")

    assert answer.status_code == 400
    assert 'href="#renewal"' in answer.text
