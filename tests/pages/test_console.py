from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from coop.authorization import clients
from coop.authorization.clients import Client
from coop.clock import FixedClock
from coop.identity import sessions
from coop.networks import admins, deliveries, endpoints, links, networks
from coop.networks.deliveries import Delivery
from coop.stewardship import audit
from coop.stewardship.audit import AuditEntry
from coop.unit_of_work import Units
from tests import people
from tests.pages.console import HOOKS, appoint, delivered, plugged_in

HTML = {"Accept": "text/html"}


async def the_client(units: Units) -> Client:
    async with units.read() as work:
        return (await work.session.scalars(select(Client))).one()


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", ""),
        ("GET", "/name"),
        ("POST", "/name"),
        ("POST", "/covenant"),
        ("GET", "/clients/{client}"),
        ("POST", "/clients/{client}"),
        ("POST", "/clients/{client}/secret"),
        ("GET", "/webhook"),
        ("POST", "/webhook"),
        ("POST", "/webhook/secret"),
        ("POST", "/webhook/remove"),
        ("POST", "/webhook/test"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/replay"),
        ("POST", "/deliveries/replay-failed"),
    ],
)
async def test_nobody_but_its_admins_gets_anywhere_in_a_console(
    client: httpx.AsyncClient, units: Units, method: str, below: str
) -> None:
    meadow = await plugged_in(units, await people.register(units, "robin"), webhook=True)
    path = meadow.path + below.format(client=meadow.client.client_id)
    data = {"delivery": "msg_1"} if below == "/deliveries/replay" else {}

    stranger = await client.request(method, path, data=data if method == "POST" else None, headers=HTML)
    await people.signed_in_client(client, units, "wren")
    member = await client.request(method, path, data=data if method == "POST" else None)

    assert stranger.headers["location"].startswith("/sign-in")
    assert (member.status_code, member.json()["code"]) == (403, "not_network_admin")
    async with units.read() as work:
        endpoint = await endpoints.of(work, meadow.network.id)
        assert (await work.session.scalars(select(Delivery))).all() == []
    assert (endpoint.url, endpoint.sealed_previous) == (HOOKS, None)
    assert (await the_client(units)).proves(meadow.secret)


async def test_an_admin_of_the_cooperative_may_look_and_leaves_a_trace(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units)
    ada = await people.signed_in_client(client, units, "ada")
    await appoint(units, ada)

    answer = await client.get(meadow.path)

    assert answer.status_code == 200
    async with units.read() as work:
        trace = (await audit.latest(work))[0]
    assert (trace.act, trace.actor_id, trace.subject) == ("network.console_opened", ada.id, "meadow")


async def test_its_own_admins_leave_no_trace_by_looking(client: httpx.AsyncClient, units: Units) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"))

    await client.get(meadow.path)

    async with units.read() as work:
        acts = set(await work.session.scalars(select(AuditEntry.act)))
    assert "network.console_opened" not in acts


async def test_no_member_can_be_made_out_in_a_console(client: httpx.AsyncClient, units: Units) -> None:
    robin = await people.signed_in_client(client, units, "robin")
    meadow = await plugged_in(units, robin)
    members = [await people.register(units, f"heron{n}", email=f"heron{n}@example.org") for n in range(10)]
    texts = []
    for member in members:
        async with units.open() as work:
            await links.link(work, meadow.network.id, member.id)
        texts.append((await client.get(meadow.path)).text)

    assert all("fewer than ten" in text for text in texts[:9])
    assert "<dt>Members linked</dt><dd>10</dd>" in texts[9]
    assert "heron" not in "".join(texts)


async def test_a_new_client_secret_is_shown_once_and_the_old_one_goes_on_for_a_day(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"))

    answer = await client.post(f"{meadow.path}/clients/{meadow.client.client_id}/secret")

    secret = answer.text.split("<pre>")[1].split("</pre>")[0]
    changed = await the_client(units)
    assert secret.startswith(clients.SECRET_PREFIX)
    assert changed.proves(secret)
    assert changed.previous_secret_digest == clients.digest(meadow.secret)
    for path in (meadow.path, f"{meadow.path}/clients/{meadow.client.client_id}"):
        shown = (await client.get(path)).text
        assert secret not in shown
        assert meadow.secret not in shown
    assert "still opens until" in shown


async def test_secrets_and_addresses_want_a_fresh_proof_of_who_asks(
    client: httpx.AsyncClient, units: Units, clock: FixedClock
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"), webhook=True)
    clock.advance(sessions.RECENT + timedelta(seconds=1))
    own = f"/clients/{meadow.client.client_id}"
    back = {own: own, f"{own}/secret": own, "/webhook": "/webhook", "/webhook/secret": "/webhook"}
    back["/webhook/remove"] = "/webhook"

    for below, onward in back.items():
        answer = await client.post(meadow.path + below, headers=HTML)

        assert answer.status_code == 303
        location = httpx.URL(answer.headers["location"])
        assert (location.path, location.params["next"]) == ("/sign-in", meadow.path + onward)


async def test_addresses_are_changed_and_wrong_ones_are_named_beside_their_field(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"))
    path = f"{meadow.path}/clients/{meadow.client.client_id}"
    good = {
        "redirect_uris": "https://meadow.example/callback\r\n https://meadow.example/other?x=1",
        "post_logout_redirect_uris": "",
        "backchannel_logout_uri": "https://meadow.example/logout",
    }

    refused = {
        field: await client.post(path, data=good | {field: wrong}, headers=HTML)
        for field, wrong in {
            "redirect_uris": "javascript:alert(1)",
            "post_logout_redirect_uris": "https://meadow.example/#x",
            "backchannel_logout_uri": "https://169.254.169.254/",
        }.items()
    }
    before = await the_client(units)
    none = await client.post(path, data=good | {"redirect_uris": " "}, headers=HTML)
    changed = await client.post(path, data=good)

    for field, answer in refused.items():
        assert answer.status_code == 400
        assert f'href="#{field}"' in answer.text
    assert none.status_code == 400
    assert before.redirect_uris == ["https://meadow.example/callback"]
    assert changed.headers["location"] == meadow.path
    after = await the_client(units)
    assert after.redirect_uris == ["https://meadow.example/callback", "https://meadow.example/other?x=1"]
    assert (after.post_logout_redirect_uris, after.backchannel_logout_uri) == (
        [],
        "https://meadow.example/logout",
    )


async def test_another_networks_client_is_not_touched(client: httpx.AsyncClient, units: Units) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"))
    async with units.open() as work:
        harbor = await networks.register(work, kind="own", name="Harbor", origin="https://harbor.example")
        other, secret = await clients.register(
            work, name="Harbor", redirect_uris=["https://harbor.example/cb"], network_id=harbor.id
        )

    answer = await client.post(f"{meadow.path}/clients/{other.client_id}/secret")

    assert (answer.status_code, answer.json()["code"]) == (404, "no_client")
    async with units.read() as work:
        unharmed = await clients.find(work, other.client_id)
    assert unharmed is not None
    assert secret is not None
    assert unharmed.proves(secret)


async def test_the_webhook_is_set_with_a_secret_moved_rotated_and_removed(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"))
    path = f"{meadow.path}/webhook"

    inward = await client.post(path, data={"url": "https://169.254.169.254/"}, headers=HTML)
    first = await client.post(path, data={"url": HOOKS})
    moved = await client.post(path, data={"url": f"{HOOKS}/2"})
    second = await client.post(f"{path}/secret")
    shown = (await client.get(path)).text
    async with units.read() as work:
        endpoint = await endpoints.of(work, meadow.network.id)
    removed = await client.post(f"{path}/remove")

    assert (inward.status_code, 'href="#url"' in inward.text) == (400, True)
    assert "<pre>whsec_" in first.text
    assert "<pre>whsec_" in second.text
    assert "whsec_" not in shown
    assert moved.headers["location"] == path
    assert endpoint.url == f"{HOOKS}/2"
    assert removed.headers["location"] == meadow.path
    async with units.read() as work:
        assert await endpoints.find(work, meadow.network.id) is None


async def test_a_test_is_sent_and_its_outcome_stands_among_the_deliveries(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"), webhook=True)

    sent = await client.post(f"{meadow.path}/webhook/test")
    second = await client.post(f"{meadow.path}/webhook/test")

    assert sent.headers["location"] == f"{meadow.path}/deliveries"
    assert (second.status_code, second.json()["code"]) == (409, "test_under_way")
    text = (await client.get(f"{meadow.path}/deliveries")).text
    assert "endpoint.test" in text
    assert "On its way." in text


async def test_deliveries_say_in_plain_words_what_became_of_them(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"), webhook=True)
    await delivered(units, meadow.network.id, 204, 302, 404, 410, 503, None)

    text = (await client.get(f"{meadow.path}/deliveries")).text

    for words in (
        "Arrived",
        "a redirect, which is not followed (302)",
        "refused (404)",
        "the address is gone (410)",
        "your server had a fault (503)",
        "no answer in time",
    ):
        assert words in text


async def test_one_delivery_or_all_that_failed_are_sent_again(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"), webhook=True)
    arrived, failed, _ = await delivered(units, meadow.network.id, 204, 500, None)
    path = f"{meadow.path}/deliveries"

    one = await client.post(f"{path}/replay", data={"delivery": arrived})
    none = await client.post(f"{path}/replay-failed", data={"since": "2026-03-03"})
    wrong = await client.post(f"{path}/replay-failed", data={"since": "yesterday"}, headers=HTML)
    foreign = await client.post(f"{path}/replay", data={"delivery": "msg_of_somebody_else"})
    everything = await client.post(f"{path}/replay-failed", data={"since": ""})

    assert one.headers["location"] == f"{path}?again=1"
    assert none.headers["location"] == f"{path}?again=0"
    assert (wrong.status_code, 'href="#since"' in wrong.text) == (400, True)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "no_such_delivery")
    # The one that had arrived is on its way again, too, hence has not arrived.
    assert everything.headers["location"] == f"{path}?again=3"
    async with units.read() as work:
        due = {row.id for row in await deliveries.recent(work, meadow.network.id) if row.due_at}
    assert {arrived, failed} < due


async def test_a_network_is_renamed_also_where_people_consent(
    client: httpx.AsyncClient, units: Units
) -> None:
    meadow = await plugged_in(units, await people.signed_in_client(client, units, "robin"))

    hidden = await client.post(f"{meadow.path}/name", data={"name": "Mea\u202edow"}, headers=HTML)
    renamed = await client.post(f"{meadow.path}/name", data={"name": "  The   Meadow "})

    assert (hidden.status_code, 'href="#name"' in hidden.text) == (400, True)
    assert renamed.headers["location"] == meadow.path
    assert (await the_client(units)).name == "The Meadow"
    async with units.read() as work:
        assert (await networks.by_slug(work, "meadow")).name == "The Meadow"


async def test_a_cooperatives_admin_adds_a_network_and_sees_its_secrets_once(
    client: httpx.AsyncClient, units: Units
) -> None:
    await plugged_in(units)
    robin = await people.register(units, "robin")
    form = {"kind": "mastodon", "origin": "https://social.example", "admin": "robin", "webhook": HOOKS}
    await people.signed_in_client(client, units, "wren")
    for answer in (await client.get("/networks/add"), await client.post("/networks/add", data=form)):
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")
    ada = await people.signed_in_client(client, units, "ada")
    await appoint(units, ada)

    offered = (await client.get("/networks")).text
    refused = [
        await client.post("/networks/add", data=form | wrong, headers=HTML)
        for wrong in (
            {"origin": "social"},
            {"origin": "https://meadow.example"},
            {"admin": "nobody_here"},
            {"webhook": "https://169.254.169.254/"},
            {"kind": "!!"},
        )
    ]
    added = await client.post("/networks/add", data=form)

    assert 'href="/networks/add"' in offered
    assert [answer.status_code for answer in refused] == [400] * 5
    assert added.status_code == 200
    assert clients.SECRET_PREFIX in added.text
    assert "whsec_" in added.text
    async with units.read() as work:
        network = await networks.by_slug(work, "social-example")
        assert await admins.require(work, network.id, robin.id) == "network"


async def test_whoever_administers_a_network_finds_its_console_from_their_account(
    client: httpx.AsyncClient, units: Units
) -> None:
    robin = await people.signed_in_client(client, units, "robin")
    meadow = await plugged_in(units, robin)

    assert f'href="{meadow.path}"' in (await client.get("/account")).text
