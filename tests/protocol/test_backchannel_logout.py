"""Sign-outs that reach the networks: OpenID Connect Back-Channel Logout 1.0."""

import base64
import hashlib
from asyncio import gather
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import anyio
import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from litestar import Litestar
from sqlalchemy import func, select, update

from coop.authorization import backchannel, clients, ending, expiry, grants, notices
from coop.authorization.clients import Client
from coop.authorization.grants import Grant
from coop.authorization.keys import KeyState, SigningKey
from coop.authorization.notices import LogoutNotice, Receipt
from coop.clock import FixedClock
from coop.errors import NotSignedIn
from coop.fetching import Fetcher
from coop.identity import accounts, passkeys, recovery, sessions
from coop.identity.accounts import Account
from coop.identity.passkeys import Passkey
from coop.identity.sessions import BrowserSession
from coop.settings import Settings
from coop.unit_of_work import Units
from coop.worker import Worker
from tests import people
from tests.conftest import ISSUER, Postbox
from tests.networks.receiver import Receiver, listening
from tests.protocol.relying_party import RelyingParty

pytestmark = pytest.mark.usefixtures("ada")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as listener:
        yield listener


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Another browser."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as speaking:
        yield speaking


async def listens(units: Units, party: RelyingParty, receiver: Receiver, **facts: object) -> None:
    """Have a client be told of logouts at a receiver."""
    async with units.open() as work:
        await work.session.execute(
            update(Client)
            .where(Client.id == UUID(party.client_id))
            .values(backchannel_logout_uri=receiver.url, **facts)
        )


async def carry_out(units: Units) -> None:
    """Let the worker hand the events to their listeners."""
    handlers = {kind: (handler,) for kind, handler in ending.handlers.items()}
    await Worker(units, Postbox(), handlers=handlers).drain()


async def tell(units: Units) -> int:
    """Let the worker send what is due."""
    async with Fetcher(units.settings) as fetcher:
        return await backchannel.tell_due(units, fetcher)


async def verified(wire: httpx.AsyncClient, party: RelyingParty, receiver: Receiver) -> list[dict[str, Any]]:
    """Return what a client reads that verifies logout tokens as section 2.6 demands."""
    keys = KeySet.import_key_set((await wire.get("/oauth/jwks")).json())
    told = []
    for received in receiver.received:
        assert received.headers["Content-Type"] == "application/x-www-form-urlencoded"
        ((name, token),) = parse_qsl(received.body.decode(), strict_parsing=True)
        assert name == "logout_token"
        read = jwt.decode(token, keys, algorithms=["ES256", "RS256"])
        assert read.header["typ"] == "logout+jwt"
        assert read.claims["iss"] == ISSUER
        assert read.claims["aud"] == party.client_id
        assert read.claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert 0 < read.claims["exp"] - read.claims["iat"] <= 120
        assert "nonce" not in read.claims
        told.append(read.claims)
    return told


def read(token: str) -> dict[str, Any]:
    """Return what an ID Token says."""
    payload = token.split(".")[1]
    decoded: dict[str, Any] = msgspec.json.decode(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return decoded


async def signed_in_to(party: RelyingParty, **changes: str) -> dict[str, Any]:
    """Sign in to a network and return what its ID Token says."""
    return read((await party.tokens(**changes))["id_token"])


async def receipts_of(units: Units, account: Account) -> list[Receipt]:
    async with units.read() as work:
        return [notice.receipt for notice, _ in await notices.receipts(work, account.id)]


async def test_a_sign_out_reaches_every_network_of_the_session(
    party: RelyingParty, other: RelyingParty, units: Units, wire: httpx.AsyncClient
) -> None:
    async with listening() as lantern, listening() as anchor:
        await listens(units, party, lantern)
        await listens(units, other, anchor, id_token_algorithm="RS256")
        first, second = await signed_in_to(party), await signed_in_to(other)

        await party.http.post("/sign-out")

        assert await tell(units) == 2
        (there,) = await verified(wire, party, lantern)
        (elsewhere,) = await verified(wire, other, anchor)
    assert (there["sub"], there["sid"]) == (first["sub"], first["sid"])
    assert (elsewhere["sub"], elsewhere["sid"]) == (second["sub"], second["sid"])


async def test_two_networks_cannot_match_a_session(
    party: RelyingParty, other: RelyingParty, units: Units, wire: httpx.AsyncClient
) -> None:
    first, second = await signed_in_to(party), await signed_in_to(other)
    async with listening() as lantern, listening() as anchor:
        await listens(units, party, lantern)
        await listens(units, other, anchor)
        await party.http.post("/sign-out")
        await tell(units)
        (there,) = await verified(wire, party, lantern)
        (elsewhere,) = await verified(wire, other, anchor)

    assert first["sid"] != second["sid"]
    # The time and the issuer are all that two networks could compare.
    assert {k for k in there if there[k] == elsewhere[k]} == {"iss", "iat", "exp", "events"}


async def test_a_session_has_one_sid_for_as_long_as_it_lasts(
    party: RelyingParty, browser: httpx.AsyncClient, units: Units, ada: Account
) -> None:
    tokens = await party.tokens()
    again = await signed_in_to(party)
    refreshed = (await party.refresh(tokens["refresh_token"])).json()
    party.http = await people.signed_in(browser, units, ada)
    elsewhere = await signed_in_to(party)

    assert read(tokens["id_token"])["sid"] == again["sid"] == read(refreshed["id_token"])["sid"]
    assert elsewhere["sid"] != again["sid"]


async def test_proving_oneself_again_is_no_sign_out(
    party: RelyingParty, units: Units, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    tokens = await party.tokens(scope="openid")

    await party.http.post("/sign-in", data={"name": "ada", "password": people.PASSWORD, "next": "/account"})
    await carry_out(units)

    assert (await party.userinfo(tokens["access_token"])).status_code == 200
    assert await tell(units) == 0
    assert (await signed_in_to(party))["sid"] == read(tokens["id_token"])["sid"]


async def test_somebody_else_who_signs_in_in_the_browser_ends_the_session(
    party: RelyingParty, units: Units, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    tokens = await party.tokens(scope="openid")
    await people.register(units, "eve")

    await party.http.post("/sign-in", data={"name": "eve", "password": people.PASSWORD})
    await carry_out(units)

    assert (await party.userinfo(tokens["access_token"])).status_code == 401
    assert await tell(units) == 1


async def test_signing_another_browser_out_tells_the_networks_of_that_one_only(
    party: RelyingParty,
    other: RelyingParty,
    browser: httpx.AsyncClient,
    units: Units,
    ada: Account,
    wire: httpx.AsyncClient,
    receiver: Receiver,
) -> None:
    here = party.http
    await listens(units, party, receiver)
    await listens(units, other, receiver)
    await signed_in_to(other)
    party.http = await people.signed_in(browser, units, ada)
    there = await signed_in_to(party)

    await here.post("/account/security/sessions/end-others")

    assert await tell(units) == 1
    (told,) = await verified(wire, party, receiver)
    assert told["sid"] == there["sid"]


async def test_no_token_outlives_the_answer_to_a_sign_out(party: RelyingParty) -> None:
    tokens = await party.tokens(scope="openid")

    await party.http.post("/sign-out")

    # No worker has run.
    assert (await party.userinfo(tokens["access_token"])).status_code == 401


async def test_a_code_that_was_not_redeemed_dies_with_the_session_and_nobody_is_told(
    party: RelyingParty, units: Units, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    code = await party.code()

    await party.http.post("/sign-out")

    assert (await party.redeem(code)).json()["error"] == "invalid_grant"
    assert await tell(units) == 0


async def test_nothing_is_granted_in_a_session_that_has_just_ended(units: Units, ada: Account) -> None:
    async with units.read() as work:
        (session,) = await sessions.of_account(work, ada.id)
    async with units.open() as work:
        await sessions.end(work, session.id)

    with pytest.raises(NotSignedIn):
        async with units.open() as work:
            await sessions.hold(work, session.id)


async def test_said_twice_a_client_is_told_once(
    party: RelyingParty, units: Units, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    await party.http.post("/sign-out")

    # The page told it already; now the event comes as well.
    await carry_out(units)

    assert await tell(units) == 1
    assert await tell(units) == 0


async def test_cutting_a_network_off_signs_out_there(
    party: RelyingParty, other: RelyingParty, units: Units, wire: httpx.AsyncClient, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await listens(units, other, receiver)
    told = await signed_in_to(party)
    await signed_in_to(other)

    await party.http.post(f"/account/networks/{party.client_id}/withdraw")

    assert await tell(units) == 1
    (logout,) = await verified(wire, party, receiver)
    assert logout["sub"] == told["sub"]
    assert "sid" not in logout


async def test_a_client_that_needs_a_session_is_told_of_each(
    party: RelyingParty, units: Units, wire: httpx.AsyncClient, receiver: Receiver
) -> None:
    await listens(units, party, receiver, backchannel_logout_session_required=True)
    told = await signed_in_to(party)

    await party.http.post(f"/account/networks/{party.client_id}/withdraw")
    await tell(units)

    (logout,) = await verified(wire, party, receiver)
    assert logout["sid"] == told["sid"]


async def test_a_lock_signs_out_everywhere(
    party: RelyingParty, other: RelyingParty, units: Units, ada: Account, wire: httpx.AsyncClient
) -> None:
    async with listening() as lantern, listening() as anchor:
        await listens(units, party, lantern)
        await listens(units, other, anchor)
        tokens = await party.tokens()
        await party.tokens()
        await other.tokens()
        async with units.open() as work:
            assert await accounts.lock(work, ada.id)
            assert not await accounts.lock(work, ada.id)

        await carry_out(units)
        assert await tell(units) == 2
        (there,) = await verified(wire, party, lantern)

    assert there["sub"] == read(tokens["id_token"])["sub"]
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(BrowserSession)) == 0


async def test_a_new_password_ends_what_other_browsers_opened_offline_access_included(
    party: RelyingParty,
    browser: httpx.AsyncClient,
    units: Units,
    ada: Account,
    wire: httpx.AsyncClient,
    receiver: Receiver,
) -> None:
    await listens(units, party, receiver)
    here = party.http
    mine = await party.tokens()
    party.http = await people.signed_in(browser, units, ada)
    thiefs = await party.tokens()

    await here.post("/account/security/password", data={"password": "a cart full of quiet apples"})

    assert (await party.refresh(thiefs["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await party.refresh(mine["refresh_token"])).status_code == 200
    await carry_out(units)
    assert await tell(units) == 1
    (told,) = await verified(wire, party, receiver)
    assert told["sid"] == read(thiefs["id_token"])["sid"]
    assert (await party.userinfo(mine["access_token"])).status_code == 200


async def test_recovery_ends_all_that_was_before_and_nothing_that_comes_after(
    party: RelyingParty, units: Units, ada: Account, clock: FixedClock
) -> None:
    before = await party.tokens()
    async with units.open() as work:
        (code, *_) = await recovery.renew_codes(work, ada.id)
    clock.advance(timedelta(seconds=1))
    form = {"name": "ada", "code": code, "password": "a cart full of quiet apples"}
    assert (await party.http.post("/recover/code", data=form)).status_code == 303
    dead = await party.refresh(before["refresh_token"])
    clock.advance(timedelta(seconds=1))
    after = await party.tokens()

    # The event is carried out late: what has begun since is none of its business.
    await carry_out(units)

    assert dead.json()["error"] == "invalid_grant"
    assert (await party.userinfo(after["access_token"])).status_code == 200


async def test_a_removed_passkey_ends_what_other_browsers_opened(
    party: RelyingParty, browser: httpx.AsyncClient, units: Units, ada: Account
) -> None:
    here = party.http
    async with units.open() as work:
        key = Passkey(
            account_id=ada.id,
            credential_id=b"lost",
            public_key=b"",
            sign_count=0,
            synced=False,
            transports=[],
            name="Lost telephone",
            created_at=work.wall,
        )
        work.session.add(key)
    party.http = await people.signed_in(browser, units, ada)
    tokens = await party.tokens()

    await here.post("/account/security/passkey/remove", data={"passkey": str(key.id)})

    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await party.authorize()).headers["location"].startswith("/sign-in")
    assert (await here.get("/account/security")).status_code == 200
    async with units.read() as work:
        assert await passkeys.of_account(work, ada.id) == []


async def test_a_refusal_is_final_and_the_member_sees_it(
    party: RelyingParty, units: Units, ada: Account, clock: FixedClock, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    receiver.status = 400

    await party.http.post("/sign-out")
    await tell(units)
    clock.advance(timedelta(minutes=5))
    await tell(units)

    assert len(receiver.received) == 1
    assert await receipts_of(units, ada) == [Receipt.REFUSED]


async def test_a_network_that_is_away_is_told_again_by_a_fresh_token(
    party: RelyingParty,
    units: Units,
    ada: Account,
    clock: FixedClock,
    wire: httpx.AsyncClient,
    receiver: Receiver,
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    receiver.status = 503
    await party.http.post("/sign-out")
    on_its_way = await receipts_of(units, ada)
    await tell(units)
    failed = await receipts_of(units, ada)
    receiver.status = 204

    clock.advance(backchannel.BACK_OFF[0])
    assert await tell(units) == 1

    first, second = await verified(wire, party, receiver)
    assert first["jti"] != second["jti"]
    assert second["iat"] == first["iat"] + backchannel.BACK_OFF[0].total_seconds()
    assert on_its_way == [Receipt.ON_ITS_WAY]
    assert failed == [Receipt.TRIED_AGAIN]
    assert await receipts_of(units, ada) == [Receipt.SIGNED_OUT]


async def test_after_half_an_hour_it_is_given_up_and_the_member_sees_it(
    party: RelyingParty, units: Units, ada: Account, clock: FixedClock, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    receiver.status = 302
    await party.http.post("/sign-out")
    begun = clock.wall()

    async def due_at() -> datetime | None:
        async with units.read() as work:
            return await work.session.scalar(select(LogoutNotice.due_at))

    while due := await due_at():
        clock.advance(max(due - clock.wall(), timedelta()))
        await tell(units)

    assert len(receiver.received) > 8
    assert timedelta(minutes=20) < clock.wall() - begun < backchannel.WINDOW
    assert await receipts_of(units, ada) == [Receipt.NOT_REACHED]


async def test_a_tar_pit_delays_no_other_networks_sign_out(
    party: RelyingParty, other: RelyingParty, units: Units
) -> None:
    async with listening() as pit, listening() as good:
        pit.silent = True
        await listens(units, party, pit)
        await listens(units, other, good)
        await signed_in_to(party)
        await signed_in_to(other)
        await party.http.post("/sign-out")
        async with anyio.create_task_group() as group:
            group.start_soon(tell, units)
            with anyio.fail_after(8):
                await pit.arrived.wait()
                await good.arrived.wait()
            group.cancel_scope.cancel()

    assert len(good.received) == 1


async def test_an_attempt_cut_short_is_made_again_within_the_minute(
    party: RelyingParty, units: Units, clock: FixedClock, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    await party.http.post("/sign-out")
    receiver.silent = True
    async with anyio.create_task_group() as group:
        group.start_soon(tell, units)
        await receiver.arrived.wait()
        group.cancel_scope.cancel()
    receiver.silent = False

    at_once = await tell(units)
    clock.advance(backchannel.LEASE + timedelta(seconds=1))

    assert (at_once, await tell(units)) == (0, 1)
    assert timedelta(minutes=1) > backchannel.LEASE


async def test_twenty_who_sign_out_at_once_are_each_told_once_by_several_workers(
    party: RelyingParty, units: Units, wire: httpx.AsyncClient, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    client_id = UUID(party.client_id)
    opened = []
    for n in range(20):
        account = await people.register(units, f"sailor{n}")
        async with units.open() as work:
            session, _ = await sessions.begin(work, account, amr=("pwd",), user_agent="")
            client = await work.session.get_one(Client, client_id)
            await grants.begin(
                work,
                client,
                account_id=account.id,
                session_id=session.lineage,
                scope="openid",
                nonce=None,
                authenticated_at=work.wall,
                amr=("pwd",),
                redirect_uri=party.redirect_uri,
                code_challenge="",
            )
            await work.session.flush()
            await work.session.execute(update(Grant).values(code_used_at=work.wall))
        opened.append(session.id)

    async def sign_out(session_id: UUID) -> None:
        async with units.open() as work:
            await ending.of_sessions(work, await sessions.end(work, session_id))

    await gather(*(sign_out(session_id) for session_id in opened))
    told = await gather(*(tell(units) for _ in range(3)))

    assert sum(told) == 20
    assert len({claims["sid"] for claims in await verified(wire, party, receiver)}) == 20
    async with units.read() as work:
        assert (
            await work.session.scalar(
                select(func.count()).select_from(Grant).where(Grant.revoked_at.is_(None))
            )
            == 0
        )


async def test_a_client_without_a_key_to_sign_by_holds_up_nobody_else(
    party: RelyingParty, other: RelyingParty, units: Units, receiver: Receiver
) -> None:
    await signed_in_to(party)
    await signed_in_to(other)
    await listens(units, party, receiver, id_token_algorithm="RS256")
    await listens(units, other, receiver)
    await party.http.post("/sign-out")
    async with units.open() as work:
        await work.session.execute(
            update(SigningKey)
            .where(SigningKey.algorithm == "RS256")
            .values(state=KeyState.REVOKED, sealed=b"")
        )

    with anyio.fail_after(30):
        assert await tell(units) == 1


async def test_an_address_that_leads_inward_is_not_called_in_production(
    party: RelyingParty, units: Units, ada: Account, settings: Settings, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    await party.http.post("/sign-out")

    guarded = msgspec.structs.replace(settings, private_targets=False)
    async with Fetcher(guarded) as fetcher:
        assert await backchannel.tell_due(units, fetcher) == 0

    assert receiver.received == []
    assert await receipts_of(units, ada) == [Receipt.TRIED_AGAIN]


async def test_a_client_that_wants_to_be_told_no_more_is_not(
    party: RelyingParty, units: Units, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    await party.http.post("/sign-out")
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        client.backchannel_logout_uri = None

    assert await tell(units) == 0
    assert receiver.received == []


async def test_the_member_sees_their_own_receipts_only_and_for_a_month(
    party: RelyingParty,
    browser: httpx.AsyncClient,
    units: Units,
    ada: Account,
    clock: FixedClock,
    receiver: Receiver,
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party)
    await party.http.post("/sign-out")
    await tell(units)
    await people.signed_in(party.http, units, ada)
    await people.signed_in_client(browser, units, "eve")

    page = await party.http.get("/account/sign-outs")
    eves = await browser.get("/account/sign-outs")
    clock.advance(notices.KEPT + timedelta(minutes=1))
    await notices.forget_old(units)

    assert "Lantern" in page.text
    assert "Signed you out on" in page.text
    assert "Lantern" not in eves.text
    assert await receipts_of(units, ada) == []


async def test_grants_say_whom_to_tell_for_as_long_as_the_session_lasts(
    party: RelyingParty, units: Units, clock: FixedClock, receiver: Receiver
) -> None:
    await listens(units, party, receiver)
    await signed_in_to(party, scope="openid")
    for _ in range(8):
        clock.advance(timedelta(days=10))
        await party.http.get("/account/security")
    await expiry.forget_due(units)

    await party.http.post("/sign-out")
    assert await tell(units) == 1
    await expiry.forget_due(units)

    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Grant)) == 0


async def test_discovery_says_so(wire: httpx.AsyncClient) -> None:
    document = (await wire.get("/.well-known/openid-configuration")).json()

    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True
    assert "sid" in document["claims_supported"]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_at_hash_goes_by_the_hash_of_the_signature(
    party: RelyingParty, units: Units, wire: httpx.AsyncClient
) -> None:
    for algorithm, digest in (
        ("ES256", hashlib.sha256),
        ("RS256", hashlib.sha256),
        ("EdDSA", hashlib.sha512),
    ):
        async with units.open() as work:
            await work.session.execute(update(Client).values(id_token_algorithm=algorithm))
        tokens = await party.tokens()
        keys = KeySet.import_key_set((await wire.get("/oauth/jwks")).json())

        told = jwt.decode(tokens["id_token"], keys, algorithms=[algorithm]).claims

        whole = digest(tokens["access_token"].encode()).digest()
        half = base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()
        assert told["at_hash"] == half
