import msgspec
import pytest

from coop import policies
from coop.networks import covenant, networks, origins
from coop.policies.versions import NotFounded
from coop.settings import Settings
from coop.unit_of_work import Units
from tests.cooperative import adopt_law
from tests.networks import people


async def test_a_network_is_registered_under_its_origin_and_a_short_name(units: Units) -> None:
    async with units.open() as work:
        await adopt_law(work)
        await networks.register(
            work, kind="mastodon", name="Blue  Lagoon", origin="HTTPS://Social.Example:443/"
        )

    async with units.read() as work:
        found = await networks.by_slug(work, "blue-lagoon")
    assert (found.name, found.origin, found.sector, found.state) == (
        "Blue Lagoon",
        "https://social.example",
        "social.example",
        "active",
    )


async def test_registering_signs_the_covenant_in_force(units: Units) -> None:
    first = await people.network(units, "Lagoon")
    async with units.open() as work:
        old = await policies.latest(work, policies.Covenant)
        await policies.adopt(
            work,
            msgspec.structs.replace(old.document, sign_within_days=60),
            act=f"motion:{old.id}",
            effective_at=work.now,
            replaces=old.hash,
        )
    second = await people.network(units, "Harbor")

    async with units.read() as work:
        before = await covenant.signed(work, [first, second])
    async with units.open() as work:
        await covenant.sign(work, first)
        await covenant.sign(work, first)
        after = await covenant.signed(work, [first, second])
    assert (before, after) == ({first: 1, second: 2}, {first: 2, second: 2})


async def test_a_cooperative_without_a_covenant_takes_no_networks(units: Units) -> None:
    with pytest.raises(NotFounded):
        async with units.open() as work:
            await networks.register(work, kind="own", name="Lagoon", origin="https://lagoon.example")


async def test_an_origin_is_registered_once(units: Units) -> None:
    await people.network(units, "Lagoon")

    with pytest.raises(networks.OriginTaken):
        async with units.open() as work:
            await networks.register(work, kind="own", name="Other", origin="https://LAGOON.example")


async def test_a_short_name_is_given_once(units: Units) -> None:
    await people.network(units, "Lagoon")

    with pytest.raises(networks.SlugTaken):
        async with units.open() as work:
            await networks.register(work, kind="own", name="Lagoon", origin="https://elsewhere.example")


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\u202eb", "a\x00b", "a\u200bb"])
async def test_a_name_that_cannot_be_read_is_refused(units: Units, name: str) -> None:
    with pytest.raises(networks.BadNetworkName):
        async with units.open() as work:
            await networks.register(work, kind="own", name=name, origin="https://a.example")


async def test_a_suspended_network_leaves_the_directory_until_reinstated(units: Units) -> None:
    network_id = await people.network(units)
    async with units.open() as work:
        await networks.suspend(work, network_id)
    async with units.read() as work:
        while_suspended = await networks.directory(work)
    async with units.open() as work:
        await networks.reinstate(work, network_id)

    async with units.read() as work:
        afterwards = await networks.directory(work)
    assert while_suspended == []
    assert [network.id for network in afterwards] == [network_id]


PUBLIC = Settings(issuer="https://coop.example")
DEMO = Settings(demo=True)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "social.example",
        "ftp://social.example",
        "http://social.example",
        "https://",
        "https://social.example/path",
        "https://social.example?x",
        "https://social.example#x",
        "https://user@social.example",
        "https://social",
        "https://127.0.0.1",
        "https://10.0.0.1",
        "https://[::1]",
        "https://localhost:8000",
        "https://social.example:0",
        "https://social.example:99999",
        "https://social.example:x",
        "https://social..example",
        "https://-social.example",
        "https://social.0x7f",
        "https://social.example\\@evil.example",
        "https://social.example\x00",
        "https://sociäl.example",
        "https://" + "a" * 260 + ".example",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_public_origin_is_refused(origin: str) -> None:
    with pytest.raises(origins.BadOrigin):
        origins.canonical(origin, PUBLIC)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000"])
def test_a_demo_takes_plain_http_on_loopback(origin: str) -> None:
    assert origins.canonical(origin, DEMO) == origin


def test_a_demo_takes_no_plain_http_elsewhere() -> None:
    with pytest.raises(origins.BadOrigin):
        origins.canonical("http://social.example", msgspec.structs.replace(DEMO, private_targets=True))
