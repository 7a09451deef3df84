"""Managing a registration: RFC 7592."""

from typing import Any

import httpx
import pytest

from coop.unit_of_work import Units
from tests import people
from tests.protocol.reading import read
from tests.protocol.relying_party import RelyingParty
from tests.protocol.signing_party import new_key, published

GOOD: dict[str, object] = {
    "redirect_uris": ["https://forum.example/callback"],
    "client_name": "Forum",
    "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
}


class Registered:
    """A client that registered itself, and its way to what is registered of it."""

    def __init__(self, wire: httpx.AsyncClient, told: dict[str, Any]):
        """Keep what it was told."""
        self.wire = wire
        self.told = told
        self.uri: str = told["registration_client_uri"]
        self.token: str = told["registration_access_token"]
        self.client_id: str = told["client_id"]

    async def ask(self, method: str, *, token: str | None = None, json: object = None) -> httpx.Response:
        """Ask as the client would."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return await self.wire.request(method, self.uri, headers=headers, json=json)

    async def put(self, **changes: object) -> httpx.Response:
        """Replace the metadata by good ones, changed."""
        return await self.ask("PUT", json=GOOD | {"client_id": self.client_id} | changes)

    def party(self, browser: httpx.AsyncClient, secret: str | None = None) -> RelyingParty:
        """Return the relying party that it is."""
        uri = self.told["redirect_uris"][0]
        return RelyingParty(browser, self.wire, self.client_id, secret or self.told["client_secret"], uri)


async def register(wire: httpx.AsyncClient, **changes: object) -> Registered:
    """Register a good client, changed."""
    answer = await wire.post("/oauth/register", json=GOOD | changes)
    assert answer.status_code == 201, answer.text
    return Registered(wire, answer.json())


@pytest.fixture
async def forum(wire: httpx.AsyncClient) -> Registered:
    return await register(wire)


async def test_a_client_reads_what_is_registered_of_it(forum: Registered) -> None:
    answer = await forum.ask("GET")

    secret = {"client_secret", "client_secret_expires_at"}
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {name: value for name, value in forum.told.items() if name not in secret}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_wrong_token_and_an_unknown_client_look_the_same(
    forum: Registered, wire: httpx.AsyncClient, method: str
) -> None:
    another = await register(wire)
    answers = [
        await forum.ask(method, token="coop_rat_wrong", json=GOOD),
        await forum.ask(method, token=another.token, json=GOOD),
        await forum.ask(method, token="t" * 5000, json=GOOD),
        await wire.request(method, forum.uri, json=GOOD),
    ]
    for path in ("00000000-0000-0000-0000-000000000000", "unknown"):
        forum.uri = f"/oauth/register/{path}"
        answers.append(await forum.ask(method, json=GOOD))

    assert {(a.status_code, a.text, a.headers["www-authenticate"]) for a in answers} == {
        (401, answers[0].text, 'Bearer realm="coop", error="invalid_token"')
    }
    assert answers[0].json()["error"] == "invalid_token"


async def test_a_client_that_a_steward_registered_has_nothing_to_manage_it_by(party: RelyingParty) -> None:
    for token in ("", "coop_rat_x", party.secret):
        answer = await party.wire.get(
            f"/oauth/register/{party.client_id}", headers={"Authorization": f"Bearer {token}"}
        )

        assert answer.status_code == 401


async def test_putting_replaces_everything(forum: Registered) -> None:
    await forum.put(logo_uri="https://forum.example/logo.png", default_max_age=60)

    answer = await forum.put(client_name="Agora", redirect_uris=["https://forum.example/other"])

    told = answer.json()
    assert answer.status_code == 200
    assert (told["client_name"], told["redirect_uris"]) == ("Agora", ["https://forum.example/other"])
    assert not {"logo_uri", "default_max_age", "client_secret"} & set(told)
    assert (told["registration_access_token"], told["registration_client_uri"]) == (forum.token, forum.uri)
    assert (await forum.ask("GET")).json() == told


async def test_what_was_registered_before_counts_no_more(
    forum: Registered, client: httpx.AsyncClient
) -> None:
    await forum.put(redirect_uris=["https://forum.example/other"])

    answer = await forum.party(client).authorize()

    assert answer.status_code == 400


async def test_the_secret_may_be_sent_if_it_is_right(forum: Registered) -> None:
    assert (await forum.put(client_secret=forum.told["client_secret"])).status_code == 200

    answer = await forum.put(client_secret="coop_cs_mine")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "somebody"},
        {"client_id": "00000000-0000-0000-0000-000000000000"},
        {"registration_access_token": "coop_rat_x"},
        {"registration_client_uri": "https://forum.example/"},
        {"client_id_issued_at": 1},
        {"client_secret_expires_at": 0},
    ],
)
async def test_what_is_not_the_clients_to_say_is_refused(
    forum: Registered, changes: dict[str, object]
) -> None:
    answer = await forum.put(**changes)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_what_cannot_be_registered_cannot_be_put(forum: Registered) -> None:
    for changes, error in (
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"subject_type": "public"}, "invalid_client_metadata"),
    ):
        answer = await forum.put(**changes)

        assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (await forum.ask("GET")).json()["redirect_uris"] == GOOD["redirect_uris"]


async def test_another_way_to_authenticate_brings_another_proof(
    forum: Registered, client: httpx.AsyncClient
) -> None:
    signing = await forum.put(token_endpoint_auth_method="private_key_jwt", jwks=published(new_key()))
    old = await forum.party(client).token(grant_type="client_credentials")
    back = await forum.put(token_endpoint_auth_method="client_secret_basic")

    assert "client_secret" not in signing.json()
    assert old.status_code == 401
    secret = back.json()["client_secret"]
    assert secret != forum.told["client_secret"]
    fresh = await forum.party(client, secret).token(grant_type="client_credentials")
    assert fresh.status_code == 200


async def test_another_sector_ends_what_was_granted_in_the_old_one(
    forum: Registered, client: httpx.AsyncClient, units: Units
) -> None:
    await people.signed_in_client(client, units)
    tokens = await forum.party(client).tokens()

    await forum.put(redirect_uris=["https://elsewhere.example/callback"])

    assert (await forum.party(client).refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await forum.party(client).userinfo(tokens["access_token"])).status_code == 401


async def test_removing_a_client_takes_everything_along(
    forum: Registered, client: httpx.AsyncClient, units: Units
) -> None:
    await people.signed_in_client(client, units)
    party = forum.party(client)
    tokens = await party.tokens()
    own = (await party.token(grant_type="client_credentials")).json()

    answer = await forum.ask("DELETE")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await forum.ask("GET")).status_code == 401
    assert (await forum.ask("DELETE")).status_code == 401
    for access in (tokens["access_token"], own["access_token"]):
        assert (await party.userinfo(access)).status_code == 401
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_client"
    assert (await party.authorize()).status_code == 400
    assert "Forum" not in (await client.get("/account/networks")).text


@pytest.mark.usefixtures("ada")
async def test_clients_of_one_host_share_a_subject_and_others_do_not(
    wire: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    subjects = []
    for uri in ("https://a.example/1", "https://a.example/2", "https://b.example/1"):
        party = (await register(wire, redirect_uris=[uri])).party(client)
        subjects.append((await read(wire, (await party.tokens())["id_token"]))[1]["sub"])

    assert subjects[0] == subjects[1] != subjects[2]


@pytest.mark.usefixtures("ada")
async def test_software_on_ones_own_machine_shares_a_subject_with_nobody(
    wire: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    subjects = set()
    for uris in (["http://127.0.0.1/1"], ["http://127.0.0.1/1"], ["http://[::1]/1", "http://localhost/1"]):
        forum = await register(wire, redirect_uris=uris)
        party = forum.party(client)
        subjects.add((await read(wire, (await party.tokens())["id_token"]))[1]["sub"])
        # Nor does it become somebody else by saying the same again.
        await forum.put(redirect_uris=uris)
        subjects.add((await read(wire, (await party.tokens())["id_token"]))[1]["sub"])

    assert len(subjects) == 3
