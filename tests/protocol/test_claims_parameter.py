"""The claims parameter: OpenID Connect Core, section 5.5."""

import json

import httpx
import pytest

from coop.authorization import clients
from coop.identity.accounts import Account
from coop.unit_of_work import Units
from tests import people
from tests.protocol.reading import read
from tests.protocol.relying_party import Form, RelyingParty, answer_of


def asking(userinfo: object = None, id_token: object = None) -> str:
    """Return the parameter that asks for these."""
    return json.dumps({"userinfo": userinfo, "id_token": id_token})


async def told(
    party: RelyingParty, choices: dict[str, str] | None = None, **changes: str | None
) -> tuple[dict[str, object], dict[str, object]]:
    """Return what UserInfo and the ID Token say after a sign-in with these choices."""
    answer = await party.authorize(**changes)
    if answer.status_code == 200:
        answer = await party.agree(answer, **(choices or {}))
    tokens = (await party.redeem(answer_of(answer)["code"])).json()
    userinfo: dict[str, object] = (await party.userinfo(tokens["access_token"])).json()
    return userinfo, (await read(party.wire, tokens["id_token"]))[1]


EVERYBODY = {"sub", "membership", "groups", "entitlements"}


@pytest.fixture
async def named(ada: Account, units: Units) -> Account:
    """Give Ada a display name."""
    async with units.open() as work:
        account = await work.session.get_one(Account, ada.id)
        account.display_name = "Ada L."
    return ada


@pytest.mark.usefixtures("named")
async def test_single_claims_go_where_they_were_asked_for(party: RelyingParty) -> None:
    claims = asking({"name": None}, {"email": {"essential": True}, "preferred_username": None})

    userinfo, id_token = await told(
        party, {"email": "yes", "display_name": "yes"}, scope="openid", claims=claims
    )

    assert set(userinfo) == EVERYBODY | {"name"}
    assert userinfo["name"] == "Ada L."
    assert id_token["email"] == "ada@example.org"
    assert "preferred_username" in id_token
    assert not {"name", "email_verified"} & set(id_token)


@pytest.mark.usefixtures("named")
async def test_the_consent_page_shows_exactly_what_is_asked_for(party: RelyingParty) -> None:
    page = await party.authorize(scope="openid", claims=asking({"email": None}))

    fields = Form(page.text, "/oauth/consent").fields
    assert "ada@example.org" in page.text
    assert "Ada L." not in page.text
    assert "Everybody on this network" not in page.text
    # A name is chosen for the member, but not told.
    assert fields["alias"]


@pytest.mark.usefixtures("ada")
async def test_nothing_is_told_that_was_not_agreed_to(party: RelyingParty) -> None:
    claims = asking({"email": {"essential": True}}, {"email": None, "email_verified": None})

    userinfo, id_token = await told(party, scope="openid", claims=claims)

    assert not {"email", "email_verified"} & (set(userinfo) | set(id_token))


@pytest.mark.usefixtures("named")
async def test_a_claim_more_than_was_agreed_to_asks_again(party: RelyingParty) -> None:
    await told(party, scope="openid", claims=asking({"name": None}))

    again = await party.authorize(scope="openid", claims=asking({"name": None}))
    more = await party.authorize(scope="openid", claims=asking({"name": None, "email": None}))
    silent = await party.authorize(scope="openid", claims=asking({"email": None}), prompt="none")
    scope = await party.authorize(scope="openid profile")

    assert "code" in answer_of(again)
    assert more.status_code == scope.status_code == 200
    assert answer_of(silent)["error"] == "consent_required"


@pytest.mark.usefixtures("ada")
async def test_a_scope_that_was_agreed_to_covers_its_claims(party: RelyingParty) -> None:
    await party.code(scope="openid profile email")

    answer = await party.authorize(
        scope="openid", claims=asking({"name": None}, {"preferred_username": None, "email": None})
    )

    assert "code" in answer_of(answer)


@pytest.mark.usefixtures("ada")
async def test_a_claim_outlives_refreshing(party: RelyingParty) -> None:
    answer = await party.agree(
        await party.authorize(scope="openid offline_access", claims=asking({"email": None}, {"email": None})),
        email="yes",
    )
    tokens = (await party.redeem(answer_of(answer)["code"])).json()

    fresh = (await party.refresh(tokens["refresh_token"])).json()

    assert (await party.userinfo(fresh["access_token"])).json()["email"] == "ada@example.org"
    assert (await read(party.wire, fresh["id_token"]))[1]["email"] == "ada@example.org"


@pytest.mark.usefixtures("ada")
async def test_what_nextcloud_always_sends_is_no_obstacle(party: RelyingParty) -> None:
    wished = dict.fromkeys(("email", "name", "quota", "groups"))

    userinfo, id_token = await told(party, {"email": "yes"}, claims=asking(wished, wished))

    assert id_token["email"] == userinfo["email"] == "ada@example.org"
    assert id_token["groups"] == []
    assert "quota" not in id_token


@pytest.mark.usefixtures("ada")
async def test_a_client_asks_for_no_claim_outside_its_scope(party: RelyingParty, units: Units) -> None:
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        client.scope = "openid"

    page = await party.authorize(scope="openid", claims=asking({"email": None}))

    assert "ada@example.org" not in page.text


@pytest.mark.usefixtures("ada")
async def test_unknown_claims_and_members_are_ignored(party: RelyingParty) -> None:
    for claims in (
        "{}",
        '{"userinfo": null}',
        '{"somewhere": 7}',
        asking({"shoe_size": {"essential": True, "value": 41}, "ü": None}),
        asking({"email": {"essential": False, "colour": "green"}}),
    ):
        assert await party.code(claims=claims)


@pytest.mark.parametrize(
    "claims",
    [
        "email",
        "[]",
        "null",
        "{",
        '{"userinfo": []}',
        '{"userinfo": {"email": true}}',
        '{"id_token": {"email": {"essential": "yes"}}}',
        '{"id_token": {"acr": {"values": "aal2"}}}',
        '{"id_token": ' + "[" * 5000,
        '{"id_token": {"\\ud800": null}}',
    ],
)
@pytest.mark.usefixtures("ada")
async def test_a_malformed_parameter_is_an_invalid_request(party: RelyingParty, claims: str) -> None:
    answer = await party.authorize(claims=claims)

    assert answer_of(answer)["error"] == "invalid_request"
    assert answer_of(answer)["state"] == "a state"


@pytest.mark.usefixtures("ada")
async def test_without_openid_the_parameter_means_nothing(party: RelyingParty) -> None:
    assert "code" in answer_of(await party.agree(await party.authorize(scope="profile", claims="[]")))


@pytest.mark.parametrize("place", ["userinfo", "id_token"])
async def test_a_subject_that_is_meant_is_the_one_who_signs_in(
    party: RelyingParty, units: Units, place: str
) -> None:
    await people.signed_in_client(party.http, units, "ada")
    subject = (await told(party))[0]["sub"]
    meant = asking(**{place: {"sub": {"value": subject}}})
    assert "code" in answer_of(await party.authorize(claims=meant, prompt="none"))

    await people.signed_in_client(party.http, units, "brook")
    await party.code()

    assert answer_of(await party.authorize(claims=meant, prompt="none"))["error"] == "login_required"
    assert (await party.authorize(claims=meant)).headers["location"].startswith("/sign-in")


@pytest.mark.usefixtures("ada")
async def test_auth_time_is_there_for_whoever_insists(party: RelyingParty) -> None:
    _, id_token = await told(party, claims=asking(None, {"auth_time": {"essential": True}}))

    assert isinstance(id_token["auth_time"], int)


async def test_discovery_promises_the_parameter(wire: httpx.AsyncClient) -> None:
    document = (await wire.get("/.well-known/openid-configuration")).json()

    assert document["claims_parameter_supported"] is True
