"""Story 3: two networks move 500 accounts to the new login, and everybody reaches their own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from litestar import Litestar

from coop.authorization import claims, clients, consents, scopes
from coop.authorization.clients import Client
from coop.identity.accounts import Account
from coop.networks.moving import claiming, files, importing, progress, rehearsal
from coop.unit_of_work import Units
from tests import people
from tests.conftest import ISSUER
from tests.cooperative import found
from tests.demo import free_ports
from tests.protocol.relying_party import SCOPE, Form, RelyingParty, answer_of, register
from tests.stories.moving_in import Discoursish, Mastodonish, Network, Person

COLLIDING = ["robin", "wren", "heron", "swan", "otter"]
"""Handles that belong to different people on the two networks; to yet others at the cooperative, too."""
IRREGULAR = [
    "Anna.Old", "b-e-n", "3rd", "CAPS", "_under", "x", "1984", "dot.dot.dot", "a" * 64, "Mc-Intosh.2",
]  # fmt: skip
"""On each of the networks with another ending, since people seldom choose such a name twice."""
BATCH = 25


@dataclass
class Moving:
    """One network on its way in."""

    software: Network
    party: RelyingParty
    client: Client


def inhabitants(network: str) -> list[Person]:
    """Return the 250 people of one network, every tenth of whom the list has no address of."""
    irregular = [f"{name[:60]}{network[0]}" if name != "x" else network[0] for name in IRREGULAR]
    names = [*COLLIDING, *irregular, *(f"{network}_{n}" for n in range(235))]
    return [Person(name, f"{network}{n}@example.org", listed=n % 10 != 9) for n, name in enumerate(names)]


@pytest.fixture
async def wire(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to the application as a network's server does."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as speaking:
        yield speaking


@pytest.fixture
async def moving(units: Units, client: httpx.AsyncClient, wire: httpx.AsyncClient) -> list[Moving]:
    """Return two networks that have registered; five members of the cooperative bear handles that exist there."""
    await found(units)
    for handle in COLLIDING:
        await people.register(units, handle)
    made = []
    for name, software in (("social", Mastodonish), ("forum", Discoursish)):
        party = await register(units, client, wire, host=f"{name}.example")
        async with units.read() as work:
            registered = await clients.find(work, party.client_id)
        assert registered is not None
        made.append(Moving(software(inhabitants(name)), party, registered))
    return made


async def join(units: Units, network: Network) -> list[tuple[Person, Account]]:
    """Give everybody on `network` an account at the cooperative, with the address verified."""
    async with units.open() as work:
        couples = [
            (
                person,
                Account(
                    handle=person.email.partition("@")[0],
                    email=person.email,
                    email_verified_at=work.wall,
                    created_at=work.now,
                ),
            )
            for person in network.people
        ]
        work.session.add_all(account for _, account in couples)
    return couples


async def told_by_pages(
    moving: Moving, units: Units, person: Person, account: Account, link: str | None
) -> dict[str, object]:
    """Lead somebody through the pages, and return what the network is told."""
    browser = await people.signed_in(moving.party.http, units, account)
    if link is not None:
        assert person.account in (await browser.get(link)).text
        assert (await browser.post(link)).status_code == 200
    page = await moving.party.authorize()
    form = Form(page.text, "/oauth/consent").fields
    # The account is picked and the address that it is found by is shared, unless one says otherwise.
    assert form["alias"] == person.account
    assert ("email" in form) == person.listed
    code = answer_of(await moving.party.agree(page, email="yes"))["code"]
    tokens = (await moving.party.redeem(code)).json()
    return dict((await moving.party.userinfo(tokens["access_token"])).json())


async def told_by_verbs(
    moving: Moving, units: Units, couples: list[tuple[Person, Account]], links: dict[str, str]
) -> list[tuple[Person, dict[str, object]]]:
    """Do for many people what the pages do, and return what the network is told of each."""
    wanted = scopes.words(SCOPE)
    heard = []
    for first in range(0, len(couples), BATCH):
        async with units.open() as work:
            for person, account in couples[first : first + BATCH]:
                if person.account in links:
                    await claiming.claim(work, account, links[person.account].rpartition("/")[2])
                name = await consents.name_of(work, moving.client, account.id)
                old = await consents.old_accounts(work, moving.client, account, named=name is not None)
                consent = await consents.give(
                    work,
                    moving.client,
                    account,
                    wanted=wanted,
                    name=name or old.offered[0],
                    shares_email=True,
                    shares_display_name=False,
                )
                subject = claims.subject(work.settings, moving.client, account.id)
                told = claims.of_profile(consents.profile(account, consent), wanted)
                heard.append((person, {"sub": subject} | told))
    return heard


async def test_five_hundred_people_reach_the_accounts_that_they_had(
    moving: list[Moving], units: Units
) -> None:
    for network in moving:
        couples = await join(units, network.software)
        rows = files.read(network.software.listing)
        assert network.client.network_id is not None
        network_id = network.client.network_id

        async with units.snapshot() as work:
            rehearsed = await rehearsal.rehearse(work, network_id, rows)
        assert rehearsed.outcomes == {"new": 250}
        assert rehearsed.notes == {"irregular_handle": 10, "members_handle": 5, "no_email": 25}
        async with units.open() as work:
            assert (await importing.carry_out(work, network_id, rows)).outcomes == {"new": 250}
        async with units.open() as work:
            assert (await importing.carry_out(work, network_id, rows)).outcomes == {"unchanged": 250}
        links = {}
        async with units.open() as work:
            for person in network.software.people:
                if not person.listed:
                    links.update(await claiming.issue_links(work, network_id, person.account))

        # A few of those whose names are a difficulty, and one without an address, go through the pages.
        walking = [*couples[:2], *couples[5:7], couples[9]]
        heard = [
            (person, await told_by_pages(network, units, person, account, links.get(person.account)))
            for person, account in walking
        ]
        others = [couple for couple in couples if couple not in walking]
        heard += await told_by_verbs(network, units, others, links)

        # Each once, and each again: the account is their own, and none was made.
        for person, told in [*heard, *heard]:
            assert told["preferred_username"] == person.account
            assert network.software.log_in(told) == person.account
        assert len(network.software.handles) == len(network.software.identities) == 250
        async with units.read() as work:
            assert (await progress.of(work, network_id)).complete


async def test_an_administrator_gets_in_while_the_cooperative_is_stopped(moving: list[Moving]) -> None:
    # Nothing answers here, as where a cooperative is stopped.
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_ports()}") as silence:
        for network in moving:
            network.party.wire = silence

            with pytest.raises(httpx.ConnectError):
                await network.party.redeem("a code")
            assert network.software.log_in_locally("admin", "a password of the network's own")
