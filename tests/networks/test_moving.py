"""Moving in: importing, rehearsing and claiming accounts that a network had before."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from coop.errors import CoopError
from coop.identity.accounts import Account
from coop.networks import aliases, networks
from coop.networks.aliases import Alias, AliasFixed, AliasTaken
from coop.networks.moving import claiming, files, imported, importing, progress, rehearsal
from coop.networks.moving.claiming import AccountClaimed, DeadClaimLink
from coop.networks.moving.imported import ImportedAccount
from coop.networks.moving.rehearsal import Rehearsal
from coop.unit_of_work import Units
from tests import people as accounts
from tests.networks import people

LIST = "handle,email,id\nAnna.Old,anna@example.org,1\nben,ben@example.org,2\n"


async def bring_in(units: Units, network_id: UUID, text: str = LIST) -> Rehearsal:
    async with units.open() as work:
        return await importing.carry_out(work, network_id, files.read(text.encode()))


async def rehearse(units: Units, network_id: UUID, text: str) -> Rehearsal:
    async with units.read() as work:
        return await rehearsal.rehearse(work, network_id, files.read(text.encode()))


def told(found: Rehearsal) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.row.handle, one.outcome, one.notes) for one in found.findings]


async def take(units: Units, network_id: UUID, account: Account, name: str) -> str:
    async with units.open() as work:
        return (await claiming.take(work, network_id, account, name)).alias


async def claim(units: Units, account: Account, token: str) -> str:
    async with units.open() as work:
        return (await claiming.claim(work, account, token)).alias


async def offered(units: Units, network_id: UUID, account: Account) -> list[str]:
    async with units.read() as work:
        return await claiming.offered(work, network_id, account)


async def tokens(units: Units, network_id: UUID) -> dict[str, str]:
    async with units.open() as work:
        links = await claiming.issue_links(work, network_id)
    return {handle: url.rpartition("/")[2] for handle, url in links}


async def row(units: Units, network_id: UUID, folded: str) -> ImportedAccount:
    async with units.read() as work:
        return await work.session.get_one(ImportedAccount, (network_id, folded))


async def test_a_rehearsal_says_what_becomes_of_each_row_and_changes_nothing(units: Units) -> None:
    lagoon = await people.network(units)
    await people.account(units, "dora")
    zoe = await accounts.register(units, "zoe")
    await take(units, lagoon, zoe, "quiet_owl")

    found = await rehearse(
        units,
        lagoon,
        "handle,email\n"
        "Anna.Old,anna@example.org\n"
        "ANNA.OLD,other@example.org\n"
        "ben,\n"
        "cleo,not an address\n"
        "dora,pair@example.org\n"
        "3rd-eye,pair@example.org\n"
        "quiet_owl,owl@example.org\n"
        "b\u0435n,homograph@example.org\n"
        ",nobody@example.org\n"
        "a/b,path@example.org\n"
        f"{'x' * 65},long@example.org\n"
        "Żółw,zolw@example.org\n"
        "vvren,v@example.org\n"
        "wren,w@example.org\n"
        "too,many@example.org,fields\n",
    )

    assert told(found) == [
        ("Anna.Old", "new", ("irregular_handle",)),
        ("ANNA.OLD", "duplicate", ("irregular_handle",)),
        ("ben", "new", ("no_email",)),
        ("cleo", "new", ("bad_email",)),
        ("dora", "new", ("members_handle", "shared_email")),
        ("3rd-eye", "new", ("irregular_handle", "shared_email")),
        ("quiet_owl", "taken", ()),
        ("b\u0435n", "look_alike", ("irregular_handle", "resembles")),
        ("", "bad_handle", ()),
        ("a/b", "bad_handle", ()),
        ("x" * 65, "bad_handle", ()),
        ("Żółw", "new", ("irregular_handle",)),
        ("vvren", "new", ()),
        ("wren", "new", ("resembles",)),
        ("too", "bad_row", ()),
    ]
    variants = {one.row.handle: one.variants for one in found.findings if one.variants}
    assert variants == {
        "quiet_owl": ("quiet_owl_old", "quiet_owl_2", "quiet_owl_3"),
        "b\u0435n": ("ben_old", "ben_2", "ben_3"),
    }
    async with units.read() as work:
        assert (await progress.of(work, lagoon)).imported == 0


async def test_a_second_run_changes_nothing(units: Units) -> None:
    lagoon = await people.network(units)

    first, second = await bring_in(units, lagoon), await bring_in(units, lagoon)

    assert [one.outcome for one in first.findings] == ["new", "new"]
    assert [one.outcome for one in second.findings] == ["unchanged", "unchanged"]


async def test_what_the_network_corrects_is_brought_up_to_date_until_it_is_claimed(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="new@example.org")
    await bring_in(units, lagoon)
    corrected = LIST.replace("Anna.Old,anna@", "anna.old,new@").replace("ben,", "benjamin,")

    found = await bring_in(units, lagoon, corrected)

    assert told(found) == [
        ("anna.old", "changed", ("irregular_handle",)),
        ("benjamin", "changed", ("renamed",)),
    ]
    assert await offered(units, lagoon, anna) == ["anna.old"]
    await take(units, lagoon, anna, "anna.old")
    again = await bring_in(units, lagoon)
    assert [one.outcome for one in again.findings] == ["claimed", "changed"]
    async with units.read() as work:
        assert await progress.unresolved(work, lagoon) == [progress.Unresolved("ben", "2", "email")]


async def test_a_file_without_addresses_takes_none_back(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="anna@example.org")
    await bring_in(units, lagoon)

    found = await bring_in(units, lagoon, "handle,id\nAnna.Old,1\nbenjamin,2\n")

    assert [one.outcome for one in found.findings] == ["unchanged", "changed"]
    assert await offered(units, lagoon, anna) == ["Anna.Old"]
    assert (await row(units, lagoon, "benjamin")).email_digest is not None


async def test_an_identifier_and_a_handle_of_two_accounts_are_a_conflict(units: Units) -> None:
    lagoon = await people.network(units)
    await bring_in(units, lagoon)

    found = await bring_in(units, lagoon, "handle,id\nben,1\nnew,2\nnewer,2\n")

    assert [one.outcome for one in found.findings] == ["conflict", "changed", "duplicate"]


@pytest.mark.parametrize(
    "name",
    [
        "Anna.Old",
        "anna-old",
        "9lives",
        "1234",
        "x" * 64,
        "_anna_",
        "Żółw",
        "anna@home",
        "o'neil",
        "two words",
    ],
)
async def test_an_older_name_becomes_the_alias_exactly(units: Units, name: str) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="anna@example.org")
    await bring_in(units, lagoon, f"handle,email\n{name},anna@example.org\n")

    assert await take(units, lagoon, anna, name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "a/b", "a\\b", "a\x07b", "a\u200bb", "a\u202eb", "ﷺ" * 10, "x" * 65, "<b>"]
)
def test_a_name_that_software_would_stumble_over_is_not_tolerated(name: str) -> None:
    assert not imported.tolerable(name)


async def test_a_verified_address_opens_its_account_and_no_other_address_does(units: Units) -> None:
    lagoon, harbor = await people.network(units), await people.network(units, "Harbor")
    await bring_in(units, lagoon)
    unverified = await accounts.register(units, "mallory", email="anna@example.org", verified=False)
    ben = await accounts.register(units, "ben", email="ben@example.org")
    anna = await accounts.register(units, "anna", email="anna@example.org")

    assert await offered(units, lagoon, unverified) == []
    assert await offered(units, lagoon, ben) == ["ben"]
    assert await offered(units, lagoon, anna) == ["Anna.Old"]
    assert await offered(units, harbor, anna) == []
    for stranger in (unverified, ben):
        with pytest.raises(CoopError):
            await take(units, lagoon, stranger, "Anna.Old")
    assert await take(units, lagoon, anna, "Anna.Old") == "Anna.Old"


async def test_a_claimed_account_keeps_no_trace_of_the_address(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="anna@example.org")
    await bring_in(units, lagoon)
    assert (await row(units, lagoon, "anna.old")).email_digest is not None

    await take(units, lagoon, anna, "Anna.Old")

    claimed = await row(units, lagoon, "anna.old")
    assert (claimed.email_digest, claimed.email_matched) == (None, True)
    assert claimed.claimed_at is not None


async def test_two_networks_lists_cannot_be_compared(units: Units) -> None:
    lagoon, harbor = await people.network(units), await people.network(units, "Harbor")
    await bring_in(units, lagoon)
    await bring_in(units, harbor)

    here, there = await row(units, lagoon, "ben"), await row(units, harbor, "ben")

    assert here.email_digest != there.email_digest


@pytest.mark.parametrize("name", ["anna_old", "anna_o1d", "anna_0ld"])
async def test_an_unclaimed_name_is_kept_for_its_owner(units: Units, name: str) -> None:
    lagoon, harbor = await people.network(units), await people.network(units, "Harbor")
    ben = await accounts.register(units, "ben")
    await bring_in(units, lagoon, "handle\nAnna_Old\n")

    with pytest.raises(AliasTaken):
        await take(units, lagoon, ben, name)
    assert await take(units, harbor, ben, name) == name


async def test_who_has_a_name_there_claims_no_other(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="anna@example.org")
    await bring_in(units, lagoon)
    links = await tokens(units, lagoon)
    await take(units, lagoon, anna, "quiet_owl")

    with pytest.raises(AliasFixed):
        await take(units, lagoon, anna, "Anna.Old")
    with pytest.raises(AliasFixed):
        await claim(units, anna, links["Anna.Old"])
    assert await take(units, lagoon, anna, "quiet_owl") == "quiet_owl"


async def test_a_link_opens_its_account_once(units: Units) -> None:
    lagoon = await people.network(units)
    anna, ben = await accounts.register(units, "anna"), await accounts.register(units, "ben")
    await bring_in(units, lagoon)
    links = await tokens(units, lagoon)

    assert await claim(units, anna, links["Anna.Old"]) == "Anna.Old"

    assert await claim(units, anna, links["Anna.Old"]) == "Anna.Old"
    with pytest.raises(AccountClaimed):
        await claim(units, ben, links["Anna.Old"])
    assert not (await row(units, lagoon, "anna.old")).email_matched
    assert list(await tokens(units, lagoon)) == ["ben"]


async def test_links_die_of_age_and_by_newer_ones_and_while_the_network_is_suspended(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna")
    await bring_in(units, lagoon)
    older = await tokens(units, lagoon)
    newer = await tokens(units, lagoon)

    for dead in (older["ben"], "", "x" * 43, "\ud800"):
        with pytest.raises(DeadClaimLink):
            await claim(units, anna, dead)
    async with units.open() as work:
        await networks.suspend(work, lagoon)
    with pytest.raises(networks.NetworkSuspended):
        await claim(units, anna, newer["ben"])
    async with units.open() as work:
        await networks.reinstate(work, lagoon)
        (await work.session.get_one(ImportedAccount, (lagoon, "ben"))).token_expires_at = work.wall
    with pytest.raises(DeadClaimLink):
        await claim(units, anna, newer["ben"])


async def test_after_half_a_year_addresses_are_forgotten_and_names_are_not(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="anna@example.org")
    await bring_in(units, lagoon)
    await units.advance(imported.KEPT + timedelta(minutes=1))

    await imported.forget_due(units)

    assert await offered(units, lagoon, anna) == []
    with pytest.raises(AliasTaken):
        await take(units, lagoon, anna, "ben")
    async with units.read() as work:
        assert await progress.of(work, lagoon) == progress.Progress(2, 0, 0, 0, 2)
    again = await bring_in(units, lagoon)
    assert [one.outcome for one in again.findings] == ["changed", "changed"]
    assert await offered(units, lagoon, anna) == ["Anna.Old"]


async def test_progress_is_complete_when_everybody_has_come(units: Units) -> None:
    lagoon = await people.network(units)
    anna = await accounts.register(units, "anna", email="anna@example.org")
    ben = await accounts.register(units, "ben", email="ben@example.org")
    await bring_in(units, lagoon, "handle,email\nAnna.Old,anna@example.org\nben,\n")
    links = await tokens(units, lagoon)
    async with units.read() as work:
        assert await progress.of(work, lagoon) == progress.Progress(2, 0, 1, 1, 0)

    await take(units, lagoon, anna, "Anna.Old")
    await claim(units, ben, links["ben"])

    async with units.read() as work:
        reached = await progress.of(work, lagoon)
        assert reached == progress.Progress(2, 2, 0, 0, 0)
        assert reached.complete
        assert await progress.unresolved(work, lagoon) == []


async def test_suggestions_avoid_names_that_are_kept(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    lagoon = await people.network(units)
    monkeypatch.setattr(aliases, "ADJECTIVES", ("calm",))
    monkeypatch.setattr(aliases, "NOUNS", ("owl",))
    monkeypatch.setattr(aliases, "_TRIES", 500)
    await bring_in(units, lagoon, "\n".join(["handle", *(f"CALM_OWL{n}" for n in range(100, 900))]))

    async with units.read() as work:
        suggested = {await aliases.suggest(work, lagoon) for _ in range(3)}

    assert suggested <= {f"calm_owl{n}" for n in range(900, 1000)}


async def test_the_names_of_an_import_are_names_once(units: Units) -> None:
    lagoon = await people.network(units)
    await bring_in(units, lagoon)

    async with units.read() as work:
        waiting = await work.session.scalar(
            select(func.count()).select_from(Alias).where(Alias.account_id.is_(None))
        )
    assert waiting == 2
