"""The modules of the certification plans "RP-Initiated Logout OP" and "Back-Channel OP", under their names."""

from urllib.parse import parse_qsl, quote

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from coop.authorization import backchannel, clients
from coop.fetching import Fetcher
from coop.unit_of_work import Units
from tests.networks.receiver import listening
from tests.protocol.certification import SignedIn, authorized, refused, shown, unsigned
from tests.protocol.relying_party import Form, RelyingParty

pytestmark = pytest.mark.usefixtures("ada")

BYE = "https://lantern.example/bye"
STATE = "a state that must come back"


async def end_session(party: RelyingParty, **parameters: str) -> httpx.Response:
    """Send the browser to the end-session endpoint."""
    return await party.http.get("/oauth/end-session", params=parameters)


async def confirmed(party: RelyingParty, page: httpx.Response) -> httpx.Response:
    """Press the one button of the page that asks whether to sign out."""
    assert page.status_code == 200, page.text
    fields = Form(page.text, "/oauth/sign-out").fields | {"decision": "sign-out"}
    return await party.http.post("/oauth/sign-out", data=fields)


async def signed_out(party: RelyingParty) -> None:
    """Check that nobody is signed in any more."""
    refused(party, await party.authorize(prompt="none"), "login_required")


async def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(wire: httpx.AsyncClient) -> None:
    document = (await wire.get("/.well-known/openid-configuration")).json()

    assert document["end_session_endpoint"].startswith(document["issuer"])


async def test_oidcc_rp_initiated_logout(party: RelyingParty) -> None:
    hint = (await authorized(party)).tokens["id_token"]
    page = await end_session(party, id_token_hint=hint, post_logout_redirect_uri=BYE, state=STATE)

    answer = await confirmed(party, page)

    assert answer.headers["location"] == f"{BYE}?state={quote(STATE)}"
    await signed_out(party)


async def test_oidcc_rp_initiated_logout_no_state(party: RelyingParty) -> None:
    hint = (await authorized(party)).tokens["id_token"]

    answer = await confirmed(
        party, await end_session(party, id_token_hint=hint, post_logout_redirect_uri=BYE)
    )

    assert answer.headers["location"] == BYE
    await signed_out(party)


@pytest.mark.parametrize("uri", ["https://lantern.example/elsewhere", f"{BYE}?foo=bar"])
async def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri_and_query_added(
    party: RelyingParty, uri: str
) -> None:
    hint = (await authorized(party)).tokens["id_token"]

    shown(await end_session(party, id_token_hint=hint, post_logout_redirect_uri=uri, state=STATE))


async def test_oidcc_rp_initiated_logout_modified_id_token_hint(party: RelyingParty) -> None:
    hint = unsigned((await authorized(party)).tokens["id_token"])

    shown(await end_session(party, id_token_hint=hint, post_logout_redirect_uri=BYE, state=STATE))


async def test_oidcc_rp_initiated_logout_bad_id_token_hint(party: RelyingParty) -> None:
    signed_in = await authorized(party)
    foreign = jwt.encode({"alg": "ES256"}, signed_in.claims, ECKey.generate_key("P-256"))

    shown(await end_session(party, id_token_hint=foreign, post_logout_redirect_uri=BYE, state=STATE))


async def test_oidcc_rp_initiated_logout_no_id_token_hint(party: RelyingParty) -> None:
    await authorized(party)

    shown(await end_session(party, post_logout_redirect_uri=BYE, state=STATE))


async def leaves_by(party: RelyingParty, **parameters: str) -> None:
    """Check that the person is signed out, told so, and sent nowhere."""
    answer = await confirmed(party, await end_session(party, **parameters))

    assert answer.status_code == 200
    assert "location" not in answer.headers
    await signed_out(party)


async def test_oidcc_rp_initiated_logout_no_params(party: RelyingParty) -> None:
    await authorized(party)

    await leaves_by(party)


async def test_oidcc_rp_initiated_logout_only_state(party: RelyingParty) -> None:
    await authorized(party)

    await leaves_by(party, state=STATE)


async def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(party: RelyingParty) -> None:
    signed_in: SignedIn = await authorized(party)

    await leaves_by(party, id_token_hint=signed_in.tokens["id_token"], state=STATE)


async def test_oidcc_backchannel_logout_discovery_endpoint_verification(wire: httpx.AsyncClient) -> None:
    document = (await wire.get("/.well-known/openid-configuration")).json()

    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


async def test_oidcc_backchannel_rp_initiated_logout(party: RelyingParty, units: Units) -> None:
    async with listening() as receiver:
        async with units.open() as work:
            client = await clients.find(work, party.client_id)
            assert client is not None
            client.backchannel_logout_uri = receiver.url
            client.backchannel_logout_session_required = True
        signed_in = await authorized(party)
        page = await end_session(
            party,
            id_token_hint=signed_in.tokens["id_token"],
            post_logout_redirect_uri=BYE,
            state=STATE,
        )
        answer = await confirmed(party, page)
        assert answer.headers["location"] == f"{BYE}?state={quote(STATE)}"
        async with Fetcher(units.settings) as fetcher:
            assert await backchannel.tell_due(units, fetcher) == 1

    (received,) = receiver.received
    # Nothing but the one parameter, in a form (Back-Channel Logout 1.0, section 2.5).
    ((name, token),) = parse_qsl(received.body.decode(), strict_parsing=True)
    assert name == "logout_token"
    keys = KeySet.import_key_set((await party.wire.get("/oauth/jwks")).json())
    told = jwt.decode(token, keys, algorithms=["ES256"]).claims
    assert told["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert [told[name] for name in ("iss", "aud", "sub", "sid")] == [
        signed_in.claims[name] for name in ("iss", "aud", "sub", "sid")
    ]
    assert {"iat", "exp", "jti"} <= told.keys()
    assert "nonce" not in told
    await signed_out(party)
