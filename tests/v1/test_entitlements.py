from datetime import timedelta

import httpx
from litestar import Litestar

from api.v1.answers import MOST_SUBJECTS
from coop.authorization import clients
from coop.networks import links
from coop.unit_of_work import Units
from tests.statements import CLOCK, statements
from tests.v1.conftest import Lagoon, member, plugged_in


async def test_a_network_is_told_who_is_a_member(
    client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    subject = await member(units, lagoon.network_id, "robin")

    answer = await client.get(f"/v1/entitlements/{subject}", headers=lagoon.headers)

    assert answer.status_code == 200
    assert answer.json() == {
        "subject": subject,
        "membership": "active",
        "membership_until": "2027-03-31",
        "entitlements": ["ad-free"],
        "groups": ["coop-members"],
    }
    assert answer.headers["cache-control"] == "private, max-age=5"


async def test_a_lapsed_member_a_stranger_and_one_who_left_are_answered_alike(
    client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    lapsed = await member(units, lagoon.network_id, "robin", paid=False)
    left = await member(units, lagoon.network_id, "wren")
    async with units.open() as work:
        (account_id,) = (await links.accounts_behind(work, lagoon.network_id, [left])).values()
        await links.unlink(work, lagoon.network_id, account_id)

    answers = [
        await client.get(f"/v1/entitlements/{subject}", headers=lagoon.headers)
        for subject in (lapsed, left, "x" * 43)
    ]

    assert {answer.status_code for answer in answers} == {200}
    assert len({len(answer.content) for answer in answers}) == 1
    assert {answer.json()["membership"] for answer in answers} == {"none"}


async def test_a_network_learns_nothing_by_the_subjects_of_another(
    client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    harbor = await plugged_in(units, client, "Harbor")
    there = await member(units, harbor.network_id, "robin")

    answer = await client.get(f"/v1/entitlements/{there}", headers=lagoon.headers)

    assert answer.json()["membership"] == "none"


async def test_a_copy_that_is_still_true_is_not_sent_again(
    client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    subject = await member(units, lagoon.network_id, "robin")
    first = await client.get(f"/v1/entitlements/{subject}", headers=lagoon.headers)
    known = lagoon.headers | {"If-None-Match": first.headers["etag"]}

    again = await client.get(f"/v1/entitlements/{subject}", headers=known)
    await units.advance(timedelta(days=500))
    lapsed = await client.get(f"/v1/entitlements/{subject}", headers=known)

    assert (again.status_code, again.content) == (304, b"")
    assert (lapsed.status_code, lapsed.json()["membership"]) == (200, "none")


async def test_a_batch_is_answered_in_the_order_asked(
    client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    robin = await member(units, lagoon.network_id, "robin")
    wren = await member(units, lagoon.network_id, "wren", paid=False)

    answer = await client.post(
        "/v1/entitlements", headers=lagoon.headers, json={"subjects": [wren, "nobody", robin, robin]}
    )

    assert answer.status_code == 200
    assert [(one["subject"], one["membership"]) for one in answer.json()["entitlements"]] == [
        (wren, "none"),
        ("nobody", "none"),
        (robin, "active"),
        (robin, "active"),
    ]


async def test_a_batch_holds_a_thousand_and_no_more(client: httpx.AsyncClient, lagoon: Lagoon) -> None:
    subjects = [f"{n:043}" for n in range(MOST_SUBJECTS + 1)]

    full = await client.post("/v1/entitlements", headers=lagoon.headers, json={"subjects": subjects[1:]})
    over = await client.post("/v1/entitlements", headers=lagoon.headers, json={"subjects": subjects})

    assert (full.status_code, len(full.json()["entitlements"])) == (200, MOST_SUBJECTS)
    assert over.status_code == 400


async def test_without_a_valid_token_nothing_is_answered(client: httpx.AsyncClient) -> None:
    refusals = {
        "": "token_required",
        "Basic YTpi": "token_required",
        "Bearer": "token_required",
        "Bearer coop_at_unknown": "invalid_token",
        "Bearer " + "x" * 5000: "invalid_token",
    }
    answers = {
        sent: await client.get("/v1/entitlements/x", headers={"Authorization": sent}) for sent in refusals
    }

    assert {sent: answer.json()["code"] for sent, answer in answers.items()} == refusals
    assert {answer.status_code for answer in answers.values()} == {401}
    # A challenge has parameters, and whoever did not try is told no error (RFC 6750, section 3).
    assert {answer.headers["www-authenticate"] for sent, answer in answers.items()} == {
        'Bearer realm="coop"',
        'Bearer realm="coop", error="invalid_token"',
    }


async def test_a_client_without_a_network_may_not_ask(client: httpx.AsyncClient, units: Units) -> None:
    async with units.open() as work:
        stranger, secret = await clients.register(
            work, name="Stranger", redirect_uris=["https://stranger.example/callback"]
        )
    token = await client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "entitlements"},
        auth=(stranger.client_id, secret or ""),
    )

    answer = await client.get(
        "/v1/entitlements/x", headers={"Authorization": f"Bearer {token.json()['access_token']}"}
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer realm="coop", error="insufficient_scope"'


async def test_a_look_up_takes_two_statements_and_a_batch_three(
    app: Litestar, client: httpx.AsyncClient, units: Units, lagoon: Lagoon
) -> None:
    subjects = [await member(units, lagoon.network_id, f"member{n}") for n in range(5)]

    with statements(app) as for_one:
        await client.get(f"/v1/entitlements/{subjects[0]}", headers=lagoon.headers)
    with statements(app) as for_all:
        await client.post("/v1/entitlements", headers=lagoon.headers, json={"subjects": subjects})

    # The token with its client, then the years behind the subject; for many: their links, their years.
    assert (len(for_one), len(for_all)) == (2 * CLOCK + 2, 2 * CLOCK + 3)
