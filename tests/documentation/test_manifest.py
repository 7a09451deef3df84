"""The demo's manifest tells tools all that they need, and all that it tells is true."""

import base64
import hashlib
import stat
from collections import Counter

import httpx
import pytest

from tests.demo import Demo

MEMBER = {"handle", "email", "password", "standing"}
CLIENT = {
    "client_id",
    "client_secret",
    "redirect_uris",
    "post_logout_redirect_uris",
    "scope",
    "auth_method",
    "network",
}


def test_it_has_every_key_and_no_other(demo: Demo) -> None:
    told = demo.manifest

    assert set(told) == {
        "issuer", "sandbox", "members", "clients", "networks", "mailbox_url", "steward",
    }  # fmt: skip
    assert set(told["sandbox"]) == {"api_base", "secret_key", "webhook_url", "webhook_secret"}
    assert set(told["steward"]) == {"handle", "password"}
    assert {frozenset(member) for member in told["members"]} == {frozenset(MEMBER)}
    assert {frozenset(client) for client in told["clients"]} == {frozenset(CLIENT)}
    assert [network["origin"] for network in told["networks"][:2]] == list(demo.networks)
    assert told["issuer"] == demo.issuer


def test_it_introduces_people_of_every_standing(demo: Demo) -> None:
    standings = Counter(member["standing"] for member in demo.manifest["members"])

    assert standings["paying"] >= 2
    assert {"part-paying", "sponsored", "lapsed", "queued"} <= set(standings)
    assert sum(standings.values()) >= 55


def test_it_introduces_confidential_clients_of_two_networks_and_a_public_one(demo: Demo) -> None:
    clients = demo.manifest["clients"]

    confidential = [client for client in clients if client["client_secret"]]
    public = [client for client in clients if client["client_secret"] is None]
    assert len({client["network"] for client in confidential}) >= 2
    assert len(clients[0]["redirect_uris"]) == 2
    assert [client["auth_method"] for client in public] == ["none"]


def test_nobody_else_may_read_it(demo: Demo) -> None:
    assert stat.S_IMODE(demo.manifest_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((demo.data / "coop.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE((demo.data / "story.json").stat().st_mode) == 0o600


def test_its_client_secrets_get_tokens(demo: Demo) -> None:
    for client in demo.manifest["clients"][:2]:
        answer = httpx.post(
            f"{demo.issuer}/oauth/token",
            data={"grant_type": "client_credentials", "scope": "entitlements"},
            auth=(client["client_id"], client["client_secret"]),
        )

        assert answer.status_code == 200, answer.text
        assert answer.json()["scope"] == "entitlements"


def test_its_redirect_uris_are_registered(demo: Demo) -> None:
    for client in demo.manifest["clients"]:
        for redirect_uri in client["redirect_uris"]:
            asked = {
                "response_type": "code",
                "client_id": client["client_id"],
                "redirect_uri": redirect_uri,
                "scope": "openid",
                "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(b"x").digest())
                .rstrip(b"=")
                .decode(),
                "code_challenge_method": "S256",
            }

            answer = httpx.get(f"{demo.issuer}/oauth/authorize", params=asked)

            assert answer.status_code == 303, answer.text
            assert answer.headers["location"].startswith("/sign-in?")


@pytest.mark.parametrize("who", ["paying", "sponsored", "lapsed", "queued", "steward"])
def test_people_can_sign_in_with_what_it_says(demo: Demo, who: str) -> None:
    told = demo.manifest
    person = told["steward"] if who == "steward" else next(m for m in told["members"] if m["standing"] == who)
    form = {"name": person["handle"], "password": person["password"], "next": "/account"}

    with httpx.Client(base_url=demo.issuer, follow_redirects=True) as browser:
        account = browser.post("/sign-in", data=form)

    assert account.url.path == "/account"
    assert person["handle"] in account.text


def test_the_sandbox_answers_its_key(demo: Demo) -> None:
    sandbox = demo.manifest["sandbox"]

    answer = httpx.get(
        f"{sandbox['api_base']}/v1/balance", headers={"Authorization": f"Bearer {sandbox['secret_key']}"}
    )

    assert answer.json()["object"] == "balance"


def test_the_mailbox_is_where_it_says(demo: Demo) -> None:
    assert httpx.get(demo.manifest["mailbox_url"]).status_code == 200
