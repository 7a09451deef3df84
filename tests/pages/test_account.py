from datetime import timedelta

import httpx

from coop import policies
from coop.clock import FixedClock
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.membership import terms
from coop.networks import aliases, links, networks
from coop.sponsorship import queue
from coop.unit_of_work import Units
from tests import cooperative, people
from tests.governance.conftest import Assembly


async def _year(units: Units, account: Account) -> None:
    async with units.open() as work:
        await terms.begin(work, account.id, dues=await policies.in_force(work, policies.Dues))


async def test_a_stranger_is_asked_to_sign_in_and_brought_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/account", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Faccount")


async def test_an_account_without_membership_is_led_to_choosing_what_to_pay(
    client: httpx.AsyncClient, units: Units
) -> None:
    await cooperative.found(units)
    await people.signed_in_client(client, units)

    text = (await client.get("/account")).text

    assert 'class="action main" href="/join"' in text


async def test_a_member_sees_when_the_year_ends_and_what_it_cost(
    client: httpx.AsyncClient, units: Units
) -> None:
    await cooperative.found(units)
    await _year(units, await people.signed_in_client(client, units, email="ada@example.org"))

    text = (await client.get("/account")).text

    assert "Nothing needs you now" in text
    assert "2 March 2027" in text
    assert "$25" in text


async def test_the_end_of_the_year_is_spoken_of_in_its_last_month_only(
    client: httpx.AsyncClient, units: Units, clock: FixedClock
) -> None:
    await cooperative.found(units)
    account = await people.signed_in_client(client, units)
    await _year(units, account)

    clock.advance(timedelta(days=340))
    await people.signed_in(client, units, account)
    text = (await client.get("/account")).text

    assert "What needs you now" in text
    assert "Your year ends on 2 March 2027" in text


async def test_a_network_is_listed_with_the_name_borne_there(client: httpx.AsyncClient, units: Units) -> None:
    await cooperative.found(units)
    account = await people.signed_in_client(client, units)
    async with units.open() as work:
        meadow = await networks.register(work, kind="own", name="Meadow", origin="https://meadow.example")
        await links.link(work, meadow.id, account.id)
        await aliases.choose(work, meadow.id, account.id, "quiet_heron101")

    text = (await client.get("/account")).text

    assert "On meadow.example you are quiet_heron101." in text


async def test_who_waits_for_a_place_is_told_so(client: httpx.AsyncClient, units: Units) -> None:
    await cooperative.found(units)
    account = await people.signed_in_client(client, units, email="ada@example.org")
    async with units.open() as work:
        await queue.ask(work, account.id)

    text = (await client.get("/account")).text

    assert "You have asked for a place." in text
    assert 'class="action main"' not in text


async def test_a_vote_that_waits_for_the_member_is_on_their_page_until_it_is_cast(
    client: httpx.AsyncClient, units: Units, clock: FixedClock
) -> None:
    assembly = Assembly(units, clock)
    await assembly.gather()
    motion = await assembly.open()
    async with units.read() as work:
        account = await accounts.get(work, assembly.members[0])
    await people.signed_in(client, units, account)
    asked = (await client.get("/account")).text

    await assembly.vote(motion, "no")
    done = (await client.get("/account")).text

    assert f'href="/votes/{motion.id}"' in asked
    assert f'href="/votes/{motion.id}"' not in done


async def test_whoever_has_no_way_back_in_is_asked_to_make_one(
    client: httpx.AsyncClient, units: Units
) -> None:
    await cooperative.found(units)
    await people.signed_in_client(client, units)
    assert "Make recovery codes" in (await client.get("/account")).text

    await client.post("/account/security/codes")

    assert "Make recovery codes" not in (await client.get("/account")).text
