"""Going on with an account that a network had before it joined: offered at the consent page, or behind a link."""

from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from coop.authorization.clients import Client
from coop.identity.accounts import Account
from coop.networks.moving import claiming, files, importing
from coop.unit_of_work import Units
from tests import people
from tests.protocol.relying_party import Form, RelyingParty, answer_of

LIST = "handle,email\nAnna.Old,ada@example.org\nben,ben@example.org\n"
CONSENT = "/oauth/consent"


async def network_of(units: Units, party: RelyingParty) -> UUID:
    async with units.read() as work:
        client = await work.session.get_one(Client, UUID(party.client_id))
    assert client.network_id is not None
    return client.network_id


@pytest.fixture
async def lantern(party: RelyingParty, units: Units) -> UUID:
    """Import the accounts that the network had."""
    network_id = await network_of(units, party)
    async with units.open() as work:
        await importing.carry_out(work, network_id, files.read(LIST.encode()))
    return network_id


async def told(party: RelyingParty, answer: httpx.Response) -> dict[str, object]:
    """Return what UserInfo tells after the consent page."""
    tokens = (await party.redeem(answer_of(answer)["code"])).json()
    return dict((await party.userinfo(tokens["access_token"])).json())


async def link_of(units: Units, network_id: UUID, handle: str) -> str:
    async with units.open() as work:
        ((_, url),) = await claiming.issue_links(work, network_id, handle)
    return url


@pytest.mark.usefixtures("ada", "lantern")
async def test_a_member_goes_on_with_their_old_account_and_is_found_by_address(party: RelyingParty) -> None:
    page = await party.authorize()
    assert "Go on with the account you have on Lantern." in page.text
    assert "Lantern finds your old account by this address. Switch it off if you start afresh." in page.text

    seen = await told(party, await party.agree(page))

    assert (seen["preferred_username"], seen["email"], seen["email_verified"]) == (
        "Anna.Old",
        "ada@example.org",
        True,
    )


@pytest.mark.usefixtures("ada", "lantern")
async def test_the_address_stays_a_switch(party: RelyingParty) -> None:
    page = await party.authorize()
    fields = Form(page.text, CONSENT).fields | {"decision": "allow"}
    del fields["email"]

    seen = await told(party, await party.http.post(CONSENT, data=fields))

    assert seen["preferred_username"] == "Anna.Old"
    assert "email" not in seen
    again = await party.authorize(prompt="consent")
    assert "email" not in Form(again.text, CONSENT).fields


@pytest.mark.usefixtures("ada", "lantern")
async def test_a_member_may_start_afresh(party: RelyingParty) -> None:
    page = await party.authorize()
    fresh = Form(page.text, CONSENT).fields["suggestion"]

    seen = await told(party, await party.agree(page, alias=fresh))

    assert seen["preferred_username"] == fresh
    assert "Anna.Old" not in (await party.authorize(prompt="consent")).text


@pytest.mark.usefixtures("ada", "lantern")
async def test_the_account_is_offered_also_where_no_name_would_be_told(party: RelyingParty) -> None:
    """The first consent fixes the name, whatever it shows; a fresh one would bar the old account for ever."""
    page = await party.authorize(scope="openid")

    assert Form(page.text, CONSENT).fields["alias"] == "Anna.Old"


@pytest.mark.usefixtures("lantern")
async def test_an_address_that_is_not_verified_is_told_nothing(party: RelyingParty, units: Units) -> None:
    mallory = await people.register(units, "mallory", email="ada@example.org", verified=False)
    await people.signed_in(party.http, units, mallory)

    page = await party.authorize()

    assert "Anna.Old" not in page.text
    assert (await party.agree(page, alias="Anna.Old")).status_code == 400


@pytest.mark.usefixtures("ada", "lantern")
async def test_somebody_elses_account_can_be_neither_seen_nor_taken(party: RelyingParty) -> None:
    page = await party.authorize()
    assert "ben@" not in page.text

    answer = await party.agree(page, alias="ben")

    assert answer.status_code == 400
    assert "Somebody on this network has that name" in answer.text
    assert Form(answer.text, CONSENT).fields["alias"] == "Anna.Old"


@pytest.mark.usefixtures("ada", "lantern")
async def test_another_network_offers_nothing(other: RelyingParty) -> None:
    assert "Anna.Old" not in (await other.authorize()).text


@pytest.mark.usefixtures("lantern")
async def test_ones_own_handle_is_not_offered_where_it_is_kept_for_somebody(
    party: RelyingParty, units: Units
) -> None:
    await people.signed_in_client(party.http, units, "ben", email="another@example.org")

    page = await party.authorize()

    assert 'value="ben"' not in page.text
    assert "code" in answer_of(await party.agree(page))


async def test_an_offer_that_was_claimed_by_link_in_the_meantime_is_taken_back(
    party: RelyingParty, units: Units, ada: Account, lantern: UUID
) -> None:
    page = await party.authorize()
    ben = await people.register(units, "ben")
    url = await link_of(units, lantern, "Anna.Old")
    async with units.open() as work:
        await claiming.claim(work, ben, url.rpartition("/")[2])

    answer = await party.agree(page)

    assert ada.handle == "ada"
    assert answer.status_code == 400
    assert "Anna.Old" not in answer.text


async def test_a_link_leads_through_sign_in_to_the_account(
    party: RelyingParty, units: Units, lantern: UUID
) -> None:
    url = await link_of(units, lantern, "ben")
    stranger = await party.http.get(url)
    assert "/sign-in?next=/claim/" in stranger.text
    assert "/sign-up?next=/claim/" in stranger.text
    assert (await party.http.post(url, headers={"Accept": "text/html"})).status_code == 303

    await people.signed_in_client(party.http, units, "dora", email="dora@example.org")
    assert "Go on as ben" in (await party.http.get(url)).text
    done = await party.http.post(url)

    assert "You are ben on Lantern" in done.text
    assert "Some networks find your account by your e-mail address." in done.text
    assert 'href="https://lantern.example"' in done.text
    page = await party.authorize()
    # The network does not know this address, so nothing is switched on.
    assert "email" not in Form(page.text, CONSENT).fields
    assert (await told(party, await party.agree(page)))["preferred_username"] == "ben"


async def test_a_link_for_who_has_a_name_there_says_so(
    party: RelyingParty, units: Units, ada: Account, lantern: UUID
) -> None:
    await party.agree(await party.authorize())
    url = await link_of(units, lantern, "ben")

    page = await party.http.get(url)
    refused = await party.http.post(url)

    assert ada.handle == "ada"
    assert "You are Anna.Old on Lantern already" in page.text
    assert f'action="{url}"' not in page.text
    assert (refused.status_code, refused.json()["code"]) == (409, "alias_fixed")


@pytest.mark.usefixtures("ada", "lantern")
@pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 5000, "%00", "%ED%A0%80", "%C5%BC"])
async def test_a_link_that_leads_nowhere_says_so(party: RelyingParty, token: str) -> None:
    answer = await party.http.get(f"/claim/{token}")

    assert (answer.status_code, answer.json()["code"]) in {(409, "dead_claim_link"), (400, "invalid")}


@pytest.mark.usefixtures("lantern")
async def test_nothing_of_an_address_is_written_down(units: Units) -> None:
    async with units.read() as work:
        tables = (await work.session.execute(select(Client.id))).all()
        assert tables
        for table in ("imported_accounts", "aliases", "outbox"):
            rows = (await work.session.connection()).exec_driver_sql(f"SELECT * FROM {table}")
            assert b"example.org" not in repr((await rows).all()).encode()
