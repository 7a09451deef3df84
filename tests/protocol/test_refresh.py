"""Refresh token families: RFC 6749, section 6; RFC 9700, section 4.14; identity.md, refusals 5, 7 and 8."""

import asyncio
from datetime import timedelta

import pytest

from coop.clock import FixedClock
from coop.identity.accounts import Account
from coop.unit_of_work import Units
from tests.protocol.relying_party import RelyingParty

pytestmark = pytest.mark.usefixtures("ada")


async def test_a_refresh_token_becomes_its_successor(party: RelyingParty) -> None:
    first = await party.tokens()

    second = (await party.refresh(first["refresh_token"])).json()

    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert (await party.userinfo(second["access_token"])).status_code == 200


async def test_twenty_that_refresh_at_once_get_one_successor(party: RelyingParty) -> None:
    first = await party.tokens()

    answers = await asyncio.gather(*(party.refresh(first["refresh_token"]) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    following = answers[0].json()["refresh_token"]
    assert (await party.refresh(following)).status_code == 200


async def test_a_repeat_within_the_grace_gets_the_same_successor(
    party: RelyingParty, clock: FixedClock
) -> None:
    first = await party.tokens()
    second = (await party.refresh(first["refresh_token"])).json()
    clock.advance(timedelta(seconds=9))

    again = (await party.refresh(first["refresh_token"])).json()

    assert again["refresh_token"] == second["refresh_token"]


async def test_a_late_replay_ends_the_whole_family(party: RelyingParty, clock: FixedClock) -> None:
    first = await party.tokens()
    second = (await party.refresh(first["refresh_token"])).json()
    clock.advance(timedelta(seconds=11))

    replay = await party.refresh(first["refresh_token"])

    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    assert (await party.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    for tokens in (first, second):
        assert (await party.userinfo(tokens["access_token"])).status_code == 401
        assert await party.introspect(tokens["access_token"]) == {"active": False}


async def test_a_replay_after_the_successor_was_used_ends_the_family_at_once(party: RelyingParty) -> None:
    first = await party.tokens()
    second = (await party.refresh(first["refresh_token"])).json()
    third = (await party.refresh(second["refresh_token"])).json()

    assert (await party.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await party.refresh(third["refresh_token"])).json()["error"] == "invalid_grant"


async def test_another_clients_refresh_token_is_refused(party: RelyingParty, other: RelyingParty) -> None:
    first = await party.tokens()

    assert (await other.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await party.refresh(first["refresh_token"])).status_code == 200


async def test_a_wider_scope_is_refused(party: RelyingParty) -> None:
    first = await party.tokens(scope="openid profile")

    answer = await party.refresh(first["refresh_token"], scope="openid profile email")

    assert answer.json()["error"] == "invalid_scope"
    assert (await party.refresh(first["refresh_token"])).status_code == 200


async def test_a_narrower_scope_narrows_that_access_token_only(party: RelyingParty) -> None:
    first = await party.tokens()

    narrow = (await party.refresh(first["refresh_token"], scope="openid")).json()
    wide = (await party.refresh(narrow["refresh_token"])).json()

    assert narrow["scope"] == "openid"
    assert wide["scope"] == first["scope"]


async def test_without_openid_there_is_no_id_token(party: RelyingParty) -> None:
    first = await party.tokens()

    narrow = (await party.refresh(first["refresh_token"], scope="profile")).json()
    wide = (await party.refresh(narrow["refresh_token"])).json()

    assert "id_token" not in narrow
    assert "id_token" in wide


async def test_a_scope_is_kept_in_one_spelling(party: RelyingParty) -> None:
    first = await party.tokens()

    # Longer than any scope that is kept, said a hundred times.
    again = (await party.refresh(first["refresh_token"], scope="openid profile " * 100)).json()
    whole = (await party.refresh(again["refresh_token"], scope=" ")).json()
    joined = await party.refresh(whole["refresh_token"], scope="openid\u00a0profile")

    assert again["scope"] == "openid profile"
    assert whole["scope"] == first["scope"]
    assert joined.json()["error"] == "invalid_scope"


@pytest.mark.parametrize("token", ["coop_rt_unknown", "", "x" * 5000])
async def test_an_unknown_refresh_token_is_refused(party: RelyingParty, token: str) -> None:
    assert (await party.refresh(token)).json()["error"] in {"invalid_grant", "invalid_request"}


async def test_a_refresh_token_expires(party: RelyingParty, clock: FixedClock) -> None:
    first = await party.tokens()
    clock.advance(timedelta(days=61))

    assert (await party.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_locked_account_is_signed_out_of_its_networks(
    party: RelyingParty, units: Units, ada: Account
) -> None:
    tokens = await party.tokens()
    async with units.open() as work:
        account = await work.session.get_one(Account, ada.id)
        account.locked_at = work.now

    assert (await party.userinfo(tokens["access_token"])).status_code == 401
    assert await party.introspect(tokens["access_token"]) == {"active": False}
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
