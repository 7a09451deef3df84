"""A network's accounts from before, as its administrator imports them on a page."""

from uuid import UUID

import httpx
import pytest

from coop.identity.accounts import Account
from coop.networks import admins
from coop.networks.moving import claiming
from coop.stewardship import audit
from coop.unit_of_work import Units
from tests import people
from tests.networks.people import network

PAGE = "/networks/lagoon/accounts"
LIST = "handle,email\nAnna.Old,anna@example.org\nANNA.OLD,\na/b,\nben,\n"


@pytest.fixture
def engine_name() -> str:
    """Look at pages on SQLite; tests/networks runs what stands behind them on both engines."""
    return "sqlite"


@pytest.fixture
async def lagoon(units: Units) -> UUID:
    return await network(units)


@pytest.fixture
async def admin(units: Units, client: httpx.AsyncClient, lagoon: UUID) -> Account:
    """Sign in who administers the network."""
    account = await people.signed_in_client(client, units, "robin")
    async with units.open() as work:
        await admins.add(work, lagoon, account.id, by=None)
    return account


@pytest.mark.usefixtures("lagoon")
async def test_the_page_is_for_those_who_administer_the_network(
    client: httpx.AsyncClient, units: Units
) -> None:
    assert (await client.get(PAGE, headers={"Accept": "text/html"})).status_code == 303
    await people.signed_in_client(client, units, "wren")

    for answer in (
        await client.get(PAGE),
        await client.post(PAGE, data={"accounts": LIST, "act": "import"}),
        await client.post(f"{PAGE}/links"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "not_network_admin")


@pytest.mark.usefixtures("admin")
async def test_a_list_is_rehearsed_then_imported(client: httpx.AsyncClient, units: Units) -> None:
    await people.register(units, "ben")
    rehearsed = await client.post(PAGE, data={"accounts": LIST, "act": "rehearse"})
    assert "nothing was changed" in rehearsed.text
    assert "anna@example.org" in rehearsed.text  # the list stays in the form, to be sent again
    assert "Not claimed yet" not in (await client.get(PAGE)).text

    imported = await client.post(PAGE, data={"accounts": LIST, "act": "import"})

    assert "Rows that could not be imported are below" in imported.text
    assert "capitals make no difference" in imported.text
    assert "anna@example.org" not in imported.text
    assert "Not claimed yet" in imported.text


@pytest.mark.usefixtures("admin")
async def test_it_does_not_tell_who_is_a_member(client: httpx.AsyncClient, units: Units) -> None:
    listing = {"accounts": "handle\nben\n", "act": "rehearse"}
    before = (await client.post(PAGE, data=listing)).text

    await people.register(units, "ben")

    assert (await client.post(PAGE, data=listing)).text == before


@pytest.mark.usefixtures("admin")
async def test_a_list_that_is_not_understood_is_refused_beside_its_field(client: httpx.AsyncClient) -> None:
    answer = await client.post(PAGE, data={"accounts": "name\nanna\n", "act": "import"})

    assert answer.status_code == 400
    assert 'id="accounts-error"' in answer.text
    assert "anna" in answer.text


@pytest.mark.usefixtures("admin")
async def test_links_are_handed_over_as_a_file(client: httpx.AsyncClient, units: Units) -> None:
    await client.post(PAGE, data={"accounts": LIST, "act": "import"})

    answer = await client.post(f"{PAGE}/links")

    header, anna, _ben = answer.text.splitlines()
    assert answer.headers["content-disposition"] == 'attachment; filename="lagoon-links.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert (header, anna.partition(",")[0]) == ("handle,url", "Anna.Old")
    async with units.read() as work:
        assert (await claiming.behind(work, anna.rpartition("/")[2])).alias == "Anna.Old"
        done = [entry.act for entry in await audit.latest(work, limit=2)]
    assert done == ["network.claim_links_made", "network.accounts_imported"]


@pytest.mark.usefixtures("admin")
async def test_the_page_says_when_everybody_has_come(
    client: httpx.AsyncClient, units: Units, lagoon: UUID
) -> None:
    anna = await people.register(units, "anna", email="anna@example.org")
    await client.post(PAGE, data={"accounts": "handle,email\nAnna.Old,anna@example.org\n", "act": "import"})
    assert "Keep your own login open" in (await client.get(PAGE)).text

    async with units.open() as work:
        await claiming.take(work, lagoon, anna, "Anna.Old")

    assert "your own login may be closed now" in (await client.get(PAGE)).text
