"""Plugging networks in through the API."""

import httpx
import pytest

from coop.authorization import recipes
from coop.networks import endpoints, networks
from coop.stewardship import audit
from coop.unit_of_work import Units
from tests.v1.conftest import Lagoon

NEW = {
    "kind": "synapse",
    "name": "Żółw & Friends",
    "slug": "zolw",
    "origin": "https://matrix.zolw.example",
}


async def plug(client: httpx.AsyncClient, headers: dict[str, str], **changes: object) -> httpx.Response:
    return await client.post("/v1/networks", headers=headers, json=NEW | changes)


async def test_a_network_is_plugged_in(
    client: httpx.AsyncClient, registrar: dict[str, str], units: Units
) -> None:
    answer = await plug(client, registrar, webhook="https://matrix.zolw.example/hooks", members_only=True)

    told = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert told["network"]["covenant_version"] == 1
    assert told["redirect_uris"] == ["https://matrix.zolw.example/_synapse/client/oidc/callback"]
    assert told["client_secret"] in told["configuration"]
    token = await client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "entitlements"},
        auth=(told["client_id"], told["client_secret"]),
    )
    assert token.status_code == 200
    async with units.read() as work:
        network = await networks.by_slug(work, "zolw")
        endpoint = await endpoints.of(work, network.id)
        acts = [(entry.act, entry.reason) for entry in await audit.latest(work)]
    assert endpoint.url == "https://matrix.zolw.example/hooks"
    assert told["webhook_secret"].startswith("whsec_")
    assert ("network.registered", "Through the API, by Registrar.") in acts
    assert ("network.closed", "Through the API, by Registrar.") in acts


async def test_an_address_is_plugged_in_once(
    client: httpx.AsyncClient, registrar: dict[str, str], units: Units
) -> None:
    first = await plug(client, registrar)

    again = await plug(client, registrar)
    same_name = await plug(client, registrar, origin="https://other.example")

    assert first.status_code == 201
    assert (again.status_code, again.json()["code"]) == (409, "origin_taken")
    assert (same_name.status_code, same_name.json()["code"]) == (409, "slug_taken")
    async with units.read() as work:
        assert [network.slug for network in await networks.directory(work)] == ["zolw"]


async def test_a_kind_without_a_recipe_is_told_which_there_are(
    client: httpx.AsyncClient, registrar: dict[str, str]
) -> None:
    answer = await plug(client, registrar, kind="mastadon")

    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_kind")
    assert "Did you mean mastodon?" in answer.json()["detail"]
    assert all(kind in answer.json()["detail"] for kind in recipes.KINDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "http://matrix.zolw.example"},
        {"origin": "https://matrix.zolw.example/"},
        {"origin": "https://127.0.0.1"},
        {"origin": "https://user@matrix.zolw.example"},
        {"name": ""},
        {"name": "left\u202eright"},
        {"slug": "-"},
        {"callback": "callback"},
        {"webhook": "https://127.0.0.1/hooks"},
        {"webhook": "http://matrix.zolw.example/hooks"},
        {"redirect_uris": ["https://evil.example/"]},
        {"members_only": "yes"},
    ],
)
async def test_what_is_out_of_bounds_is_a_clear_400(
    client: httpx.AsyncClient, registrar: dict[str, str], units: Units, changes: dict[str, object]
) -> None:
    answer = await plug(client, registrar, **changes)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    async with units.read() as work:
        assert await networks.directory(work) == []


async def test_a_network_may_not_plug_others_in(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    answer = await plug(client, lagoon.headers)
    asked = await client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "networks"},
        auth=(lagoon.client_id, lagoon.secret),
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (asked.status_code, asked.json()["error"]) == (400, "invalid_scope")


async def test_nobody_registers_for_the_scope(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/oauth/register",
        json={
            "redirect_uris": ["https://app.example/callback"],
            "grant_types": ["client_credentials", "authorization_code"],
            "scope": "openid networks",
        },
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_registrar_learns_nothing_of_members(
    client: httpx.AsyncClient, registrar: dict[str, str]
) -> None:
    answer = await client.get("/v1/entitlements/somebody", headers=registrar)

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_without_a_token_nothing_is_plugged_in(client: httpx.AsyncClient) -> None:
    answer = await plug(client, {})

    assert (answer.status_code, answer.json()["code"]) == (401, "token_required")
