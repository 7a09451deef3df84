"""Consent: the very values that are shared, the switch for the e-mail address, and cutting a network off."""

import httpx
import pytest
from sqlalchemy import select

from coop import policies
from coop.authorization.clients import Client
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.membership import terms
from coop.networks import links, networks
from coop.policies import Dues
from coop.unit_of_work import Units
from tests import people
from tests.protocol.relying_party import Form, RelyingParty, answer_of


async def seen(party: RelyingParty, **changes: str | None) -> dict[str, object]:
    """Return what UserInfo tells after a sign-in."""
    told: dict[str, object] = (await party.userinfo((await party.tokens(**changes))["access_token"])).json()
    return told


@pytest.mark.usefixtures("ada")
async def test_the_page_shows_the_values_that_are_sent(party: RelyingParty) -> None:
    page = await party.authorize()
    suggestion = Form(page.text, "/oauth/consent").fields["alias"]
    code = answer_of(await party.agree(page))["code"]

    told = (await party.userinfo((await party.redeem(code)).json()["access_token"])).json()

    assert told["preferred_username"] == suggestion
    assert str(told["sub"]) in page.text


async def test_a_members_standing_is_told_without_its_price(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    async with units.open() as work:
        await terms.begin(work, ada.id, dues=await policies.in_force(work, Dues))

    told = await seen(party)

    assert told["membership"] == "active"
    assert told["membership_until"] == "2027-03-31"
    assert told["groups"] == ["coop-members"]
    assert set(told) == {
        "sub", "preferred_username", "membership", "membership_until", "groups", "entitlements"
    }  # fmt: skip


@pytest.mark.usefixtures("ada")
async def test_the_email_address_stays_here_unless_switched_on(party: RelyingParty) -> None:
    page = await party.authorize()
    assert "email" not in Form(page.text, "/oauth/consent").fields
    code = answer_of(await party.agree(page))["code"]
    assert "email" not in (await party.userinfo((await party.redeem(code)).json()["access_token"])).json()

    code = answer_of(await party.agree(await party.authorize(prompt="consent"), email="yes"))["code"]

    told = (await party.userinfo((await party.redeem(code)).json()["access_token"])).json()
    assert (told["email"], told["email_verified"]) == ("ada@example.org", True)


@pytest.mark.usefixtures("ada")
async def test_a_switch_that_was_not_shown_stays_as_it_was(party: RelyingParty) -> None:
    await party.agree(await party.authorize(), email="yes")

    await party.agree(await party.authorize(scope="openid", prompt="consent"))

    told = (await party.userinfo((await party.tokens())["access_token"])).json()
    assert told["email"] == "ada@example.org"


async def test_ones_own_handle_may_be_shown(party: RelyingParty, ada: Account) -> None:
    page = await party.authorize()
    assert "networks can then recognise you" in page.text

    code = answer_of(await party.agree(page, alias=ada.handle))["code"]

    told = (await party.userinfo((await party.redeem(code)).json()["access_token"])).json()
    assert told["preferred_username"] == "ada"


@pytest.mark.usefixtures("ada")
async def test_another_members_handle_is_refused_on_the_page(party: RelyingParty, units: Units) -> None:
    await people.register(units, "brook")

    for alias in ("brook", "Not A Name", ""):
        answer = await party.agree(await party.authorize(), alias=alias)

        assert answer.status_code == 400
        assert "location" not in answer.headers


@pytest.mark.usefixtures("ada")
async def test_a_name_is_chosen_once(party: RelyingParty) -> None:
    first = await seen(party)
    code = answer_of(await party.agree(await party.authorize(prompt="consent"), alias="another_name"))["code"]

    told = (await party.userinfo((await party.redeem(code)).json()["access_token"])).json()

    assert told["preferred_username"] == first["preferred_username"]


@pytest.mark.usefixtures("ada")
async def test_a_member_who_does_not_agree_goes_back_without_a_code(party: RelyingParty) -> None:
    told = answer_of(await party.agree(await party.authorize(), decision="deny"))

    assert told["error"] == "access_denied"
    assert told["state"] == "a state"


@pytest.mark.usefixtures("ada")
async def test_consent_is_remembered_until_more_is_asked(party: RelyingParty) -> None:
    await party.code(scope="openid")

    assert "code" in answer_of(await party.authorize(scope="openid"))
    assert (await party.authorize(scope="openid email")).status_code == 200


@pytest.mark.usefixtures("ada")
async def test_a_consent_form_from_another_site_is_refused(party: RelyingParty) -> None:
    fields = Form((await party.authorize()).text, "/oauth/consent").fields

    answer = await party.http.post(
        "/oauth/consent", data=fields | {"decision": "allow"}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 403


async def test_a_consent_form_without_a_session_begins_again(party: RelyingParty, ada: Account) -> None:
    assert ada
    fields = Form((await party.authorize()).text, "/oauth/consent").fields
    party.http.cookies.clear()

    answer = await party.http.post("/oauth/consent", data=fields | {"decision": "allow"})

    assert answer.headers["location"].startswith("/oauth/authorize?")


@pytest.mark.usefixtures("ada")
async def test_the_page_may_lead_to_the_network_and_cannot_be_framed(party: RelyingParty) -> None:
    page = await party.authorize()

    policy = page.headers["content-security-policy"]
    assert "form-action 'self' https://lantern.example" in policy
    assert "frame-ancestors 'none'" in policy


async def test_the_first_consent_links_the_member_to_the_network(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    await party.code()

    async with units.read() as work:
        client = (await work.session.scalars(select(Client))).one()
        assert client.network_id is not None
        assert await links.find(work, client.network_id, ada.id) is not None


async def test_a_network_cut_off_knows_nothing_any_more(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    tokens = await party.tokens()
    page = await party.http.get("/account/networks")
    told = (await party.userinfo(tokens["access_token"])).json()
    assert str(told["preferred_username"]) in page.text
    assert str(told["sub"]) in page.text

    answer = await party.http.post(f"/account/networks/{party.client_id}/withdraw")

    assert answer.status_code == 303
    assert (await party.userinfo(tokens["access_token"])).status_code == 401
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await party.authorize()).status_code == 200
    async with units.read() as work:
        client = (await work.session.scalars(select(Client))).one()
        assert client.network_id is not None
        assert await links.find(work, client.network_id, ada.id) is None


async def test_switches_change_what_a_network_sees_the_next_time_it_asks(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    async with units.open() as work:
        (await accounts.hold(work, ada.id)).display_name = "Ada L."
    token = (await party.tokens())["access_token"]
    path = f"/account/networks/{party.client_id}"
    offered = (await party.http.get(path)).text

    await party.http.post(path, data={"email": "yes", "display_name": "yes"})
    on = (await party.userinfo(token)).json()
    shown = (await party.http.get("/account/networks")).text
    await party.http.post(path, data={})
    off = (await party.userinfo(token)).json()

    assert "Ada L." in offered
    assert "ada@example.org" in offered
    assert (on["email"], on["name"]) == ("ada@example.org", "Ada L.")
    assert "ada@example.org" in shown
    assert not {"email", "name"} & set(off)


@pytest.mark.usefixtures("ada")
async def test_what_a_network_never_asked_for_cannot_be_switched_on(party: RelyingParty) -> None:
    await party.tokens(scope="openid")
    path = f"/account/networks/{party.client_id}"

    page = (await party.http.get(path)).text
    await party.http.post(path, data={"email": "yes", "display_name": "yes"})

    assert 'type="checkbox"' not in page
    assert "ada@example.org" not in (await party.http.get("/account/networks")).text


@pytest.mark.usefixtures("ada")
async def test_a_network_that_was_cut_off_has_no_switches(party: RelyingParty) -> None:
    await party.tokens()
    path = f"/account/networks/{party.client_id}"
    await party.http.post(f"{path}/withdraw")

    for answer in (await party.http.get(path), await party.http.post(path, data={"email": "yes"})):
        assert (answer.status_code, answer.json()["code"]) == (404, "no_consent")


@pytest.mark.usefixtures("ada")
async def test_a_member_who_comes_back_bears_the_same_name(party: RelyingParty) -> None:
    before = await seen(party)
    await party.http.post(f"/account/networks/{party.client_id}/withdraw")

    assert (await seen(party))["preferred_username"] == before["preferred_username"]


async def test_connected_networks_ask_a_stranger_to_sign_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/account/networks", headers={"Accept": "text/html"})

    assert answer.headers["location"].startswith("/sign-in?next=")


@pytest.mark.usefixtures("ada")
async def test_a_suspended_network_takes_nobody_in(party: RelyingParty, units: Units) -> None:
    async with units.open() as work:
        client = (await work.session.scalars(select(Client))).one()
        assert client.network_id is not None
        await networks.suspend(work, client.network_id)

    assert answer_of(await party.authorize())["error"] == "access_denied"
