"""Networks are called as they were registered, here on loopback ports."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from aiohttp import web

from coop import policies
from coop.authorization import grants, onboarding, probing
from coop.authorization.onboarding import Onboarded
from coop.authorization.probing import Probed
from coop.clock import FixedClock
from coop.networks import endpoints, networks
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.cooperative import found
from tests.networks.people import account
from tests.networks.receiver import listening

Routes = dict[str, web.Response]


@asynccontextmanager
async def serving(routes: Routes) -> AsyncIterator[str]:
    """Give the address of a network that answers these paths, and 404 to all others."""

    async def answer(request: web.Request) -> web.StreamResponse:
        told = routes.get(request.path)
        if told is None:
            return web.Response(status=404)
        # An answer can be sent once; each request gets one of its own.
        kept = {name: value for name, value in told.headers.items() if name == "Location"}
        return web.Response(status=told.status, headers=kept)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def law(units: Units) -> None:
    await found(units)


async def plug(units: Units, origin: str, *, kind: str = "own", name: str = "Lantern") -> Onboarded:
    async with units.open() as work:
        return await onboarding.onboard(work, kind=kind, name=name, origin=origin)


async def of(units: Units, what: str, slug: str = "lantern") -> Probed:
    (one,) = [found for found in await probing.probe(units) if (found.slug, found.what) == (slug, what)]
    return one


def leads(to: str, status: int = 302) -> web.Response:
    return web.Response(status=status, headers={"Location": to})


async def test_a_network_that_is_there_is_good(law: None, units: Units) -> None:
    async with serving({"/": web.Response(), "/callback": web.Response(status=400)}) as origin:
        await plug(units, origin)

        found = {one.what: one.state for one in await probing.probe(units)}

    assert found == {"covenant": "good", "sign-ins": "warning", "address": "good", "callback": "good"}


async def test_a_callback_that_is_not_there_is_named(law: None, units: Units) -> None:
    async with serving({"/": web.Response()}) as origin:
        await plug(units, origin, kind="mastodon")

        told = await of(units, "callback")

    assert told.state == "warning"
    assert f"{origin}/auth/auth/openid_connect/callback (status 404)" in told.do
    assert "coop network show lantern" in told.do


async def test_one_callback_of_several_is_enough(law: None, units: Units) -> None:
    async with serving(
        {"/": web.Response(), "/index.php/apps/user_oidc/code": web.Response(status=403)}
    ) as origin:
        await plug(units, origin, kind="nextcloud")

        told = await of(units, "callback")

    assert told.state == "good"


@pytest.mark.parametrize(
    ("location", "mistake"),
    [
        ("/callback/", "a slash at the end"),
        ("https://{host}/callback", "http and https are mixed up"),
        ("http://www.lantern.example/callback", "at another host"),
    ],
)
async def test_a_detour_of_the_callback_is_a_mistake(
    law: None, units: Units, location: str, mistake: str
) -> None:
    routes: Routes = {"/": web.Response()}
    async with serving(routes) as origin:
        routes["/callback"] = leads(location.format(host=origin.removeprefix("http://")), 301)
        await plug(units, origin)

        told = await of(units, "callback")

    assert told.state == "warning"
    assert mistake in told.do


async def test_a_callback_that_leads_to_a_sign_in_page_is_good(law: None, units: Units) -> None:
    async with serving({"/": web.Response(), "/callback": leads("/sign-in?failed=1")}) as origin:
        await plug(units, origin)

        assert (await of(units, "callback")).state == "good"


async def test_a_network_that_calls_itself_otherwise_is_named(law: None, units: Units) -> None:
    async with serving(
        {"/": leads("https://www.lantern.example/", 301), "/callback": web.Response()}
    ) as origin:
        await plug(units, origin)

        told = await of(units, "address")

    assert told.state == "warning"
    assert "it lives at https://www.lantern.example" in told.do


async def test_a_network_in_trouble_is_a_warning(law: None, units: Units) -> None:
    async with serving({"/": web.Response(status=502), "/callback": web.Response(status=500)}) as origin:
        await plug(units, origin)

        assert "status 502" in (await of(units, "address")).do
        assert "status 500" in (await of(units, "callback")).do


async def test_a_network_that_is_away_is_a_warning_and_no_fault(law: None, units: Units) -> None:
    async with serving({}) as origin:
        await plug(units, origin)

    told = await of(units, "address")

    assert told.state == "warning"
    assert "cannot be reached" in told.do
    assert [one.what for one in await probing.probe(units) if one.what == "callback"] == []


async def test_a_private_place_is_refused_without_a_fault(law: None, units: Units, clock: FixedClock) -> None:
    async with serving({"/": web.Response()}) as origin:
        await plug(units, origin)
        cautious = Units(
            Settings(
                issuer="https://members.example",
                database_url=units.settings.database_url,
                secret_key="5e" * 32,
                pairwise_secret="9a" * 32,
            ),
            clock,
        )

        told = await of(cautious, "address")

    await cautious.close()
    assert told.state == "warning"


async def test_slow_networks_are_asked_together_and_given_up(law: None, units: Units) -> None:
    async with listening() as slow, listening() as slower:
        slow.silent = slower.silent = True
        for index, receiver in enumerate((slow, slower)):
            await plug(units, receiver.url.removesuffix("/hooks"), name=f"Slow {'ab'[index]}")
        began = time.monotonic()

        found = await probing.probe(units, seconds=2)

    assert time.monotonic() - began < 3.9
    addresses = [one for one in found if one.what == "address"]
    assert len(addresses) == 2
    assert all("no answer within 2 seconds" in one.do for one in addresses)


async def test_nobody_is_called_offline(law: None, units: Units) -> None:
    await plug(units, "http://127.0.0.1:1")

    found = await probing.probe(units, offline=True)

    assert {one.what for one in found} == {"covenant", "sign-ins"}


async def test_a_covenant_that_is_not_current_is_named(law: None, units: Units) -> None:
    await plug(units, "http://127.0.0.1:1")
    async with units.open() as work:
        now = await policies.in_force(work, policies.Covenant)
        await policies.adopt(
            work, now.document, act=f"motion:{uuid4()}", effective_at=work.now, replaces=now.hash
        )

    (told,) = [one for one in await probing.probe(units, offline=True) if one.what == "covenant"]

    assert told.state == "warning"
    assert "has signed version 1, in force is 2" in told.do


async def test_a_recent_sign_in_is_good_and_an_old_one_is_asked_after(
    law: None, units: Units, clock: FixedClock
) -> None:
    made = await plug(units, "http://127.0.0.1:1")
    ada = await account(units, "ada")
    async with units.open() as work:
        await grants.begin(
            work,
            made.client,
            account_id=ada,
            session_id=ada,
            scope="openid",
            nonce=None,
            authenticated_at=work.wall,
            amr=("pwd",),
            redirect_uri=made.client.redirect_uris[0],
            code_challenge="x" * 43,
        )

    (recent,) = [one for one in await probing.probe(units, offline=True) if one.what == "sign-ins"]
    clock.advance(timedelta(days=31))
    (old,) = [one for one in await probing.probe(units, offline=True) if one.what == "sign-ins"]

    assert recent.state == "good"
    assert "nobody has signed in since 2026-03-02" in old.do


async def test_a_suspended_network_and_a_silenced_webhook_are_named(law: None, units: Units) -> None:
    made = await plug(units, "http://127.0.0.1:1")
    async with units.open() as work:
        endpoint, _ = await endpoints.create(work, made.network.id, "http://127.0.0.1:1/hooks")
        endpoint.gone_at = work.wall
        await networks.suspend(work, made.network.id)

    found = {one.what: one.do for one in await probing.probe(units, offline=True)}

    assert "410 Gone" in found["webhooks"]
    assert "suspended" in found["state"]


async def test_a_webhook_to_which_nothing_arrives_is_named_once_all_of_it_was_given_up(
    law: None, units: Units, clock: FixedClock
) -> None:
    made = await plug(units, "http://127.0.0.1:1")
    async with units.open() as work:
        endpoint, _ = await endpoints.create(work, made.network.id, "http://127.0.0.1:1/hooks")
        endpoint.failing_since = work.wall
    (young,) = [one for one in await probing.probe(units, offline=True) if one.what == "webhooks"]

    clock.advance(timedelta(hours=2))
    (old,) = [one for one in await probing.probe(units, offline=True) if one.what == "webhooks"]

    assert young.state == "good"
    assert f"coop webhooks replay {made.network.slug} --failed" in old.do
