"""Foreign relying parties against a real server on loopback: npm's openid-client, and the example in examples/."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from coop import policies
from coop.authorization import clients
from coop.identity.accounts import Account
from coop.membership import terms
from coop.networks import networks
from coop.policies import Dues
from coop.unit_of_work import Units
from tests import people
from tests.browser.chromium import node
from tests.postgres import free_port
from tests.protocol.relying_party import Form
from tests.service import Service, answers

ROOT = Path(__file__).parents[2]


async def openid_client(service: Service, topic: str, *choices: str) -> dict[str, Any]:
    """Let openid-client try a topic as Ada, and return what it learnt."""
    await people.register(service.units, "ada", email="ada@example.org")
    script = Path(__file__).with_name("openid_client.mjs")
    process = await asyncio.create_subprocess_exec(
        node(),
        str(script),
        topic,
        service.issuer,
        "ada",
        people.PASSWORD,
        *choices,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    told: dict[str, Any] = json.loads(out)
    return told


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_openid_client_finds_nothing_wrong(service: Service, algorithm: str) -> None:
    told = await openid_client(service, "life", algorithm)

    assert told["header"]["alg"] == algorithm
    assert told["claims"]["sub"] == told["userinfo"]["sub"] == told["refreshed"]["sub"]
    assert told["userinfo"]["email"] == "ada@example.org"
    assert told["userinfo"]["preferred_username"] != "ada"
    assert told["introspected"]["active"] is True
    assert told["own"] == "entitlements"
    assert told["afterwards"] == {"active": False}
    assert told["bye"] == "https://witness.example/bye?state=s"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"])
async def test_openid_client_finds_us_both_ways_and_proves_itself(service: Service, method: str) -> None:
    found = (await openid_client(service, "authentication", method))["found"]

    assert [each["issuer"] for each in found] == [service.issuer] * 2
    assert found[0]["sub"] == found[1]["sub"]
    for each in found:
        assert each["dead"] == {"error": "invalid_token", "scheme": "bearer", "status": 401}


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_openid_client_verifies_all_that_is_signed(service: Service, algorithm: str) -> None:
    told = await openid_client(service, "signatures", algorithm)

    assert told["userinfo"]["sub"] == told["claims"]["sub"]
    assert told["introspected"]["active"] is True


async def test_openid_client_asks_for_single_claims(service: Service) -> None:
    told = await openid_client(service, "claims")

    assert told["claims"]["preferred_username"]
    assert "email" not in told["claims"]
    assert told["userinfo"]["email"] == "ada@example.org"


async def test_openid_client_manages_its_registration(service: Service) -> None:
    told = await openid_client(service, "registration")

    assert (told["read"], told["changed"]) == ("Witness", "Witness of another name")
    assert told["gone"] == 204
    assert told["dead"]["error"] == "invalid_client"


async def test_openid_client_asks_in_silence_and_anew(service: Service) -> None:
    told = await openid_client(service, "prompts")

    assert told["stranger"]["error"] == "login_required"
    assert told["met"] == {"silent": [], "again": ["/sign-in"], "fresh": ["/sign-in"]}
    assert len(set(told["subjects"])) == 1
    first, quiet, again, fresh = told["times"]
    assert first == quiet <= again < fresh


async def test_openid_client_reads_every_refusal(service: Service) -> None:
    told = await openid_client(service, "mistakes")

    assert {name: each["error"] for name, each in told.items()} == {
        "secret": "invalid_client",
        "scope": "invalid_scope",
        "verifier": "invalid_grant",
        "grant": "unsupported_grant_type",
        "unregistered": "unauthorized_client",
        "bearer": "invalid_token",
        "denied": "access_denied",
    }


async def test_the_sample_network_lets_a_member_in(service: Service) -> None:
    port = free_port()
    account = await people.register(service.units, "ada")
    client_id, secret = await register_lantern(service.units, port)
    arguments = ["--issuer", service.issuer, "--client-id", client_id, "--client-secret", secret]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "examples" / "network.py"), *arguments, "--port", str(port)
    )
    try:
        home = f"http://127.0.0.1:{port}"
        await answers(home)
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            await walk(browser, service, home, account)
    finally:
        process.terminate()
        await process.wait()


async def register_lantern(units: Units, port: int) -> tuple[str, str]:
    """Register the sample network as the README says."""
    home = f"http://127.0.0.1:{port}/"
    async with units.open() as work:
        network = await networks.register(work, kind="own", name="Lantern", origin=home)
        client, secret = await clients.register(
            work,
            name="Lantern",
            network_id=network.id,
            redirect_uris=[f"{home}callback"],
            post_logout_redirect_uris=[home],
        )
    return client.client_id, secret or ""


async def walk(browser: httpx.AsyncClient, service: Service, home: str, account: Account) -> None:
    """Sign in, be refused, become a member, be let in, sign out."""
    assert "/sign-up?next=" in str((await browser.get(f"{home}/join")).url)
    page = await browser.get(f"{home}/sign-in")
    fields = Form(page.text, "/sign-in").fields | {"name": "ada", "password": people.PASSWORD}
    page = await browser.post(f"{service.issuer}/sign-in", data=fields)
    assert "Lantern" in page.text
    fields = Form(page.text, "/oauth/consent").fields | {"decision": "allow"}
    page = await browser.post(f"{service.issuer}/oauth/consent", data=fields)
    assert (page.status_code, str(page.url)) == (403, f"{home}/members")

    async with service.units.open() as work:
        await terms.begin(work, account.id, dues=await policies.in_force(work, Dues))
    page = await browser.get(f"{home}/members")
    assert page.status_code == 200
    assert "Welcome in" in page.text
    assert re.search(r"Hello, [a-z]+_[a-z]+\d+\.", (await browser.get(home)).text)

    page = await browser.get(f"{home}/sign-out")
    fields = Form(page.text, "/oauth/sign-out").fields | {"decision": "sign-out"}
    page = await browser.post(f"{service.issuer}/oauth/sign-out", data=fields)
    assert str(page.url) == f"{home}/"
    assert "Sign in" in page.text

    # What did not begin in this browser is not finished in it.
    assert (await browser.get(f"{home}/callback?code=stolen&state=x")).status_code == 400
