"""A person's export: everything that is held about them, nothing that opens anything, and nobody else."""

import re
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import LargeBinary

from api.pages.holdings import HOLDINGS, NOTHING_OF_A_PERSON
from coop import schema
from coop.identity import throttle
from coop.leaving.erasures import Erasure
from coop.leaving.export import SHOWN, columns_of
from coop.leaving.register import HELD, REGISTERED
from coop.personal import Held
from coop.sponsorship import gifts
from coop.stewardship import audit
from tests.leaving.archives import Archive, taken
from tests.leaving.life import lived
from tests.till import Till

SECRET = re.compile(r"digest|secret|sealed|challenge|private|password")


def test_what_is_told_on_the_page_is_in_the_export_and_the_other_way_round() -> None:
    told = {table for holding in HOLDINGS for table in holding.tables}

    assert {one.table.__tablename__ for one in REGISTERED} == told
    assert set(schema.metadata.tables) - told == NOTHING_OF_A_PERSON


def test_every_kind_has_a_name_of_its_own_that_is_safe_as_that_of_a_file() -> None:
    names = [held.name for held in HELD]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


@pytest.mark.parametrize("held", HELD, ids=lambda held: held.name)
def test_nothing_that_opens_anything_is_told(held: Held) -> None:
    for column in columns_of(held):
        assert not isinstance(column.property.columns[0].type, LargeBinary)
        assert not SECRET.search(column.key), column.key
    assert set(held.withheld) | set(held.people) <= set(held.table.__table__.columns.keys())


async def test_whoever_did_everything_gets_all_of_it_and_nothing_of_anybody_else(till: Till) -> None:
    life = await lived(till)
    async with till.units.open() as work:
        work.session.add(Erasure(account_id=life.ada.id, asked_at=work.now, due_at=work.now))

    archive = await taken(till.units, life.ada.id)

    # Each kind is in this life: a new table fails here until somebody has lived it.
    assert [name for name, rows in archive.held.items() if not rows] == []
    assert archive.held["accounts"][0]["email"] == "anastazja@example.org"
    assert {row["amount"] for row in archive.held["payments"]} == {"6.25", "25.00", "40.00"}
    assert [row["voted"] for row in archive.held["roll"]] == [True]
    assert archive.held["links"][0]["network"] == "Lantern"
    assert archive.held["links"][0]["subject"]
    assert archive.held["acts_about_you"][-1]["by"] == "benedykta"
    assert archive.held["household_members"][0]["account_id"] == str(life.ada.id)
    # Who looked at her record is hers to know; nobody else is.
    for other in life.others:
        assert str(other.id) not in archive.text
        assert str(other.email) not in archive.text
    assert "cyprianna" not in archive.text
    # Neither side of a gift learns of the other.
    (given,), (received,) = archive.held["gifts_given"], archive.held["gifts_received"]
    assert not {"kept_for", "term_id", "claimed_at", "digest"} & set(given)
    assert not {"account_id", "payment_id", "bought_at", "expires_at", "digest"} & set(received)
    the_same_in_all_forms(archive)


async def test_a_giver_s_archive_does_not_tell_whether_the_year_has_begun(till: Till) -> None:
    msgspec.structs.force_setattr(till.units.settings, "vat_rates", "2300 from 2020-01-01")
    ada, ben, cyd, ted = [await till.person(name) for name in ("ada", "ben", "cyd", "ted")]
    await till.pay(ada)
    told = []
    # To a member, whose year it will follow, and to a newcomer, whose year begins.
    for giver, receiver in ((ben, ada), (ted, cyd)):
        await till.pay(giver, purpose="gift")
        async with till.units.read() as work:
            (gift,) = await gifts.given_by(work, giver.id)
        begun = await till.claim(receiver, gift)
        archive = await taken(till.units, giver.id)
        assert begun is (receiver is cyd)
        (given,) = archive.held["gifts_given"]
        told.append(({name: len(rows) for name, rows in archive.held.items()}, given["became"], set(given)))

    assert told[0] == told[1]
    assert told[0][1] == "claimed"


def the_same_in_all_forms(archive: Archive) -> None:
    """Assert that the files, the document and the page say the same."""
    several = {name for name, rows in archive.held.items() if len(rows) > 1}
    assert set(archive.names) == {"coop.json", "index.html"} | {f"{name}.csv" for name in several}
    assert several >= {"payments", "recovery_codes", "journal_entries", "postings"}
    for name in several:
        assert len(archive.table(name)) == len(archive.held[name])
        assert f"{name}.csv" in archive.page
    assert "$6.25" in archive.page
    assert "<script" not in archive.page
    assert "http" not in re.sub(r"<d[td]>.*?</d[td]>|<td>.*?</td>", "", archive.page, flags=re.DOTALL)


async def test_the_page_speaks_the_language_of_its_reader(till: Till) -> None:
    ada = await till.person()

    archive = await taken(till.units, ada.id, locale="pl")

    assert '<html lang="pl">' in archive.page
    assert "Twoje dane" in archive.page


async def test_a_long_table_is_whole_in_the_files_and_begun_on_the_page(till: Till) -> None:
    ada = await till.person()
    async with till.units.open() as work:
        for number in range(SHOWN + 20):
            await audit.record(work, act="test", reason=f"=HYPERLINK({number})", actor=None, about=ada.id)

    archive = await taken(till.units, ada.id)

    assert len(archive.held["acts_about_you"]) == SHOWN + 20
    # No spreadsheet takes a steward's reason for a formula.
    assert archive.table("acts_about_you")[0]["reason"] == "'=HYPERLINK(0)"
    assert archive.page.count("=HYPERLINK") == SHOWN


async def test_it_is_taken_by_one_button_and_never_stored_on_the_way(till: Till) -> None:
    ada = await till.person()
    async with till.visitor(ada) as browser:
        assert 'action="/account/export"' in (await browser.get("/account")).text

        answer = await browser.post("/account/export")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(
        r'attachment; filename="ada-\d{4}-\d\d-\d\d\.zip"', answer.headers["content-disposition"]
    )
    assert Archive(answer.content).document["handle"] == "ada"
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_it_takes_a_fresh_proof_of_who_one_is(till: Till) -> None:
    ada = await till.person()
    async with till.visitor(ada) as browser:
        till.clock.advance(timedelta(hours=1))

        answer = await browser.post("/account/export")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


async def test_strangers_get_nothing(till: Till) -> None:
    async with till.visitor() as browser:
        assert (await browser.post("/account/export")).headers["location"].startswith("/sign-in")


async def test_it_can_be_taken_ten_times_an_hour(till: Till) -> None:
    ada = await till.person()
    async with till.visitor(ada) as browser:
        for _ in range(throttle.EXPORTS.times):
            await throttle.admit(till.units, throttle.EXPORTS.by(str(ada.id)))

        answer = await browser.post("/account/export", headers={"Accept": "application/json"})

    assert answer.status_code == 429
    assert answer.json()["code"] == "too_many_exports"
    assert int(answer.headers["retry-after"]) > 60
