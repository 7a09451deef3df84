"""PKCE, and the one client for which a steward waives it: RFC 7636; RFC 9700, section 2.1.1; identity.md, refusals 2 and 3."""

import httpx
import pytest

from coop.authorization import clients
from coop.authorization.clients import BadClientMetadata
from coop.unit_of_work import Units
from tests.protocol.relying_party import CHALLENGE, VERIFIER, RelyingParty, answer_of

WITHOUT = {"code_challenge": None, "code_challenge_method": None}


async def waive(units: Units, party: RelyingParty, *, requires_nonce: bool = True) -> RelyingParty:
    """Waive PKCE for a client, as a steward does."""
    async with units.open() as work:
        client = await clients.find(work, party.client_id)
        assert client is not None
        clients.waive_pkce(client, requires_nonce=requires_nonce)
    return party


@pytest.mark.parametrize(
    "changes",
    [
        WITHOUT,
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "plain", "code_challenge": VERIFIER},
        {"code_challenge": "short"},
        {"code_challenge": CHALLENGE + "="},
    ],
)
@pytest.mark.usefixtures("ada")
async def test_every_client_sends_a_challenge(
    party: RelyingParty, phone: RelyingParty, changes: dict[str, str | None]
) -> None:
    for each in (party, phone):
        assert answer_of(await each.authorize(**changes))["error"] == "invalid_request"


@pytest.mark.usefixtures("ada")
async def test_a_waived_client_goes_without(party: RelyingParty, units: Units) -> None:
    await waive(units, party)

    answer = await party.redeem(await party.code(**WITHOUT), code_verifier=None)

    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("ada")
async def test_it_needs_a_nonce_then(party: RelyingParty, units: Units) -> None:
    await waive(units, party)

    assert answer_of(await party.authorize(**WITHOUT, nonce=None))["error"] == "invalid_request"
    assert answer_of(await party.authorize(**WITHOUT, nonce=None, scope=None))["error"] == "invalid_request"
    assert await party.code(nonce=None)


@pytest.mark.usefixtures("ada")
async def test_unless_its_software_cannot_do_that_either(party: RelyingParty, units: Units) -> None:
    await waive(units, party, requires_nonce=False)

    assert await party.code(**WITHOUT, nonce=None)


@pytest.mark.usefixtures("ada")
async def test_a_challenge_that_was_sent_always_binds(party: RelyingParty, units: Units) -> None:
    await waive(units, party)

    for verifier in (None, "a-wrong-verifier-of-forty-three-characters-or-more"):
        answer = await party.redeem(await party.code(), code_verifier=verifier)
        assert answer.json()["error"] == "invalid_grant"
    assert (await party.redeem(await party.code())).status_code == 200


@pytest.mark.usefixtures("ada")
async def test_a_verifier_where_no_challenge_was_sent_is_refused(party: RelyingParty, units: Units) -> None:
    await waive(units, party)

    answer = await party.redeem(await party.code(**WITHOUT))

    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes", [{"code_challenge": None}, {"code_challenge_method": "plain"}, {"code_challenge_method": None}]
)
@pytest.mark.usefixtures("ada")
async def test_a_waiver_makes_no_bad_challenge_good(
    party: RelyingParty, units: Units, changes: dict[str, str | None]
) -> None:
    await waive(units, party)

    assert answer_of(await party.authorize(**changes))["error"] == "invalid_request"


async def test_a_public_client_is_never_waived(phone: RelyingParty, units: Units) -> None:
    with pytest.raises(BadClientMetadata):
        await waive(units, phone)


async def test_nobody_registers_a_waiver(wire: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    told = (
        await wire.post(
            "/oauth/register",
            json={
                "redirect_uris": ["https://forum.example/callback"],
                "requires_pkce": False,
                "require_pkce": False,
            },
        )
    ).json()
    party = RelyingParty(
        client, wire, told["client_id"], told["client_secret"], "https://forum.example/callback"
    )

    assert answer_of(await party.authorize(**WITHOUT))["error"] == "invalid_request"
