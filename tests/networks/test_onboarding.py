import re
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from coop.authorization import clients, onboarding, recipes, supervision
from coop.authorization.onboarding import Onboarded
from coop.clock import FixedClock
from coop.errors import Refused
from coop.networks import covenant, endpoints, networks
from coop.networks.networks import OriginTaken
from coop.stewardship import audit
from coop.unit_of_work import Units
from tests.cooperative import found

ORIGIN = "https://lantern.example"


@pytest.fixture
async def law(units: Units) -> None:
    await found(units)


async def plug(units: Units, kind: str = "own", *, by: UUID | None = None, **more: str) -> Onboarded:
    async with units.open() as work:
        return await onboarding.onboard(work, kind=kind, name="Lantern", origin=ORIGIN, by=by, **more)


@pytest.mark.parametrize("kind", recipes.KINDS)
async def test_a_client_is_as_its_software_needs_it(law: None, units: Units, kind: str) -> None:
    made = await plug(units, kind)

    recipe = recipes.find(kind)
    assert made.client.auth_method == recipe.auth_method
    assert made.client.id_token_algorithm == recipe.id_token_algorithm
    assert made.client.profile_in_id_token == recipe.profile_in_id_token
    assert made.client.requires_pkce == recipe.requires_pkce
    assert set(recipe.scope.split()) <= set(made.client.scope.split())
    assert all(uri.startswith(f"{ORIGIN}/") and "<" not in uri for uri in made.client.redirect_uris)
    assert made.client.client_id in made.configuration
    assert made.client_secret is not None
    assert made.client_secret in made.configuration
    assert made.client.redirect_uris[0] in made.configuration or kind in {
        "discourse",
        "mas",
        "nextcloud",
        "wordpress",
    }


@pytest.mark.parametrize("kind", recipes.KINDS)
async def test_a_client_is_kept_as_it_was_made(law: None, units: Units, kind: str) -> None:
    made = await plug(units, kind)

    async with units.read() as work:
        kept = await onboarding.client_of(work, made.network.id)
    told = recipes.find(kind).backchannel_logout
    assert kept.requires_pkce == recipes.find(kind).requires_pkce
    assert (kept.backchannel_logout_uri is None) == (told is None)
    assert kept.backchannel_logout_session_required == (told is not None)


async def test_registering_signs_and_is_written_down(law: None, units: Units) -> None:
    steward = UUID(int=7)

    made = await plug(units, by=steward)

    async with units.read() as work:
        signed = await covenant.signed(work, [made.network.id])
        (entry,) = await audit.latest(work, limit=1)
    assert signed == {made.network.id: made.covenant_version}
    assert (entry.act, entry.actor_id, entry.subject) == ("network.registered", steward, "lantern")


async def test_a_webhook_is_made_on_the_way(law: None, units: Units) -> None:
    made = await plug(units, webhook=f"{ORIGIN}/hooks")

    async with units.read() as work:
        endpoint = await endpoints.of(work, made.network.id)
    assert endpoint.url == f"{ORIGIN}/hooks"
    assert made.webhook_secret is not None
    assert made.webhook_secret.startswith("whsec_")


async def test_an_address_is_plugged_in_once(law: None, units: Units) -> None:
    await plug(units)

    with pytest.raises(OriginTaken):
        await plug(units, "mastodon")

    async with units.read() as work:
        assert len((await work.session.scalars(select(clients.Client))).all()) == 1


async def test_mas_is_known_by_the_same_name_each_time(law: None, units: Units) -> None:
    made = await plug(units, "mas")

    again = onboarding.configuration(units.settings, made.network, made.client)

    provider = recipes.provider_of(made.network.id)
    assert made.client.redirect_uris == [f"{ORIGIN}/upstream/callback/{provider}"]
    assert made.client.backchannel_logout_uri == f"{ORIGIN}/upstream/backchannel-logout/{provider}"
    assert provider in again
    assert provider in made.configuration


async def test_a_configuration_shown_again_has_no_secret(law: None, units: Units) -> None:
    made = await plug(units, "synapse")

    again = onboarding.configuration(units.settings, made.network, made.client)

    assert recipes.SECRET_WITHHELD in again
    assert made.client_secret not in again
    assert again.replace(recipes.SECRET_WITHHELD, made.client_secret or "") == made.configuration


def test_a_ulid_holds_every_bit() -> None:
    assert recipes.provider_of(UUID(int=0)) == "0" * 26
    assert recipes.provider_of(UUID(int=2**128 - 1)) == "7" + "Z" * 25
    assert recipes.provider_of(UUID(int=32)) == "0" * 24 + "10"


async def test_two_secrets_prove_a_client_for_a_day(
    law: None, units: Units, client: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await plug(units)

    async def proves(secret: str | None) -> bool:
        form = {"grant_type": "client_credentials", "scope": "entitlements"}
        answer = await client.post("/oauth/token", data=form, auth=(made.client.client_id, secret or ""))
        return answer.status_code == 200

    async with units.open() as work:
        registered = await onboarding.client_of(work, made.network.id)
        new = await supervision.rotate_secret(work, made.network, registered, reason="Leaked", by=None)

    assert re.fullmatch(r"coop_cs_[A-Za-z0-9_-]{43}", new)
    assert await proves(new)
    assert await proves(made.client_secret)
    clock.advance(clients.SECRET_OVERLAP)
    assert await proves(new)
    assert not await proves(made.client_secret)


async def test_of_two_rotations_at_once_one_is_refused(law: None, units: Units) -> None:
    made = await plug(units)
    async with units.open() as work:
        await supervision.rotate_secret(work, made.network, made.client, reason="First", by=None)

    async with units.open() as work:
        # `made.client` still has the secret that the first rotation replaced.
        with pytest.raises(Refused):
            await clients.rotate_secret(work, made.client)


async def test_what_is_done_to_a_network_is_written_down(law: None, units: Units) -> None:
    made = await plug(units)

    async with units.open() as work:
        await supervision.suspend(work, made.network, reason="Sold addresses", by=None)
        await supervision.reinstate(work, made.network, reason="Mended", by=None)
        await supervision.gate(work, made.network, members_only=True, reason="Members only", by=None)
        await supervision.sign(work, made.network, reason="Again", by=None)

    async with units.read() as work:
        acts = [entry.act for entry in await audit.latest(work)]
        client = await onboarding.client_of(work, made.network.id)
        state = (await networks.get(work, made.network.id)).state
    # The covenant was signed already, which leaves nothing to write down.
    assert acts == ["network.closed", "network.reinstated", "network.suspended", "network.registered"]
    assert client.members_only
    assert state == networks.ACTIVE
