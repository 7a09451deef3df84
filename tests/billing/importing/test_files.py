"""What other tools' files may look like, and what is said of each line that cannot be taken."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from coop.billing.importing import files, members, opencollective
from coop.billing.importing.files import BadMembersFile, Place, Row
from coop.billing.importing.held import years
from coop.clock import anniversary
from coop.money import Currency

PLACE = Place(zone=ZoneInfo("Europe/Warsaw"), money=Currency.of("eur"))
CONTRIBUTORS = (
    '"contributorUrl","contributorName","contributorType","totalContributions","currency","activeRecurringContribution",'
    '"activeRecurringContributionTier","activeRecurringContributionAmount","activeRecurringContributionFrequency",'
    '"firstContributionDate","latestContributionDate","email","website"\n'
)
MEMBERS = (
    '"MemberId","createdAt","type","role","tier","isActive","totalAmountDonated","currency","lastTransactionAt",'
    '"lastTransactionAmount","profile","name","company","description","image","email","twitter","github","website"\n'
)


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def read(path: Path, text: str, encoding: str = "utf-8") -> list[Row]:
    return list(members.read(written(path / "members.csv", text, encoding), PLACE))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_is_read_as_spreadsheets_write_it(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = "E-Mail,Paid until,Member since\r\nAda@Example.org ,2026-09-01,2020-02-29\r\n".replace(
        ",", delimiter
    )

    (row,) = read(tmp_path, text, encoding)

    assert (row.line, row.email, row.fault) == (2, "ada@example.org", None)
    assert (row.paid_until, row.since) == (dt.date(2026, 9, 1), dt.date(2020, 2, 29))


def test_the_last_day_that_is_paid_for_and_the_first_that_is_not_are_told_apart(tmp_path: Path) -> None:
    (through,) = read(tmp_path, "email,paid_through\na@example.org,2028-02-29\n")
    (until,) = read(tmp_path, "email,paid_until\na@example.org,2028-02-29\n")

    assert (through.paid_until, until.paid_until) == (dt.date(2028, 3, 1), dt.date(2028, 2, 29))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("a@example.org", "bad_row"),
        ("a@example.org,2026-09-01,x,y", "bad_row"),
        ("a@example.org,2026-09-01,\0", "bad_row"),
        (",2026-09-01,", "no_email"),
        ("a at example.org,2026-09-01,", "bad_email"),
        ("a@example.org,01/09/2026,", "bad_date"),
        ("a@example.org,2026-02-30,", "bad_date"),
        ("a@example.org,,", "bad_date"),
        ("a@example.org,\uff12026-09-01,", "bad_date"),
    ],
)
def test_a_line_that_cannot_be_taken_says_why_and_leaves_the_others_alone(
    tmp_path: Path, line: str, fault: str
) -> None:
    rows = read(
        tmp_path, f"email,paid_until,id\nb@example.org,2026-09-01,1\n{line}\nc@example.org,2026-09-01,2\n"
    )

    assert [(row.line, row.fault) for row in rows] == [(2, None), (3, fault), (4, None)]


def test_a_field_with_line_breaks_counts_its_lines(tmp_path: Path) -> None:
    rows = read(tmp_path, 'email,paid_until,note\na@example.org,2026-09-01,"one\ntwo"\nnobody,2026-09-01,\n')

    assert [row.line for row in rows] == [3, 4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column email"),
        (b"name,paid_until\n", "no column email"),
        (b"email,mail,paid_until\n", "two columns that mean email"),
        (b"email,paid_until\na@example.org,\xff\n", "not UTF-8"),
        (b'email,paid_until\na@example.org,"2026-09-01\n', "cannot be read as CSV"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "members.csv"
    path.write_bytes(content)

    with pytest.raises(BadMembersFile, match=said):
        list(members.read(path, PLACE))


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("2026-03-31T22:30:00Z", dt.date(2026, 4, 1)),
        ("2026-03-31 23:30:00 UTC", dt.date(2026, 4, 1)),
        ("2026-03-31 23:30", dt.date(2026, 3, 31)),
        ("2026-03-31T23:30:00+14:00", dt.date(2026, 3, 31)),
    ],
)
def test_an_instant_is_a_day_in_the_cooperatives_zone(typed: str, day: dt.date) -> None:
    assert files.day(typed, PLACE.zone) == day


def test_contributors_of_open_collective_are_paid_until_their_next_charge(tmp_path: Path) -> None:
    line = "https://opencollective.com/{},Ada,{},25,EUR,{},backer,25,{},{},{},{},\n"
    path = written(
        tmp_path / "contributors.csv",
        CONTRIBUTORS
        + line.format("ada", "INDIVIDUAL", "yes", "YEARLY", "2024-02-29", "2026-02-28", "ada@example.org")
        + line.format("bob", "INDIVIDUAL", "yes", "MONTHLY", "2025-01-31", "2026-01-31", "bob@example.org")
        + line.format("acme", "ORGANIZATION", "yes", "YEARLY", "2025-01-31", "2026-01-31", "")
        + line.format("cyd", "INDIVIDUAL", "no", "", "2025-01-31", "2026-01-31", "cyd@example.org")
        + line.format("dee", "INDIVIDUAL", "yes", "YEARLY", "2025-01-31", "2026-01-31", ""),
    )

    rows = list(opencollective.read(path, PLACE))

    assert [(row.external_id, row.paid_until, row.fault) for row in rows] == [
        ("ada", dt.date(2027, 2, 28), None),
        ("bob", dt.date(2026, 2, 28), None),
        ("acme", None, "organisation"),
        ("cyd", None, "not_recurring"),
        ("dee", None, "no_email"),
    ]
    assert rows[0].since == dt.date(2024, 2, 29)


def test_the_older_export_of_open_collective_wants_to_be_told_the_rhythm(tmp_path: Path) -> None:
    line = "{},2024-05-01 10:00,USER,{},Backer,{},50,EUR,2026-02-01 10:00,25,https://opencollective.com/{},N,,,,{},,,\n"
    path = written(
        tmp_path / "members.csv",
        MEMBERS
        + line.format(1, "BACKER", "true", "ada", "ada@example.org")
        + line.format(2, "ADMIN", "true", "eve", "eve@example.org")
        + line.format(3, "BACKER", "false", "bob", "bob@example.org"),
    )

    with pytest.raises(BadMembersFile, match="--every"):
        list(opencollective.read(path, PLACE))
    rows = list(opencollective.read(path, PLACE, every="year"))

    assert [(row.external_id, row.paid_until, row.fault) for row in rows] == [
        ("ada", dt.date(2027, 2, 1), None),
        ("bob", None, "not_recurring"),
    ]


def test_an_export_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = written(
        tmp_path / "contributors.csv", CONTRIBUTORS + "Warning: totalCount is 1500 and limit was 1000"
    )

    with pytest.raises(BadMembersFile, match="fetchAll"):
        list(opencollective.read(path, PLACE))


@pytest.mark.parametrize(
    ("paid_until", "since", "expected"),
    [
        ("2026-09-01", None, ("2025-09-01", 1)),
        ("2026-09-01", "2020-09-01", ("2020-09-01", 6)),
        # 29 February: its anniversaries count from the first day, and nobody loses a day.
        ("2027-02-28", "2024-02-29", ("2024-02-29", 3)),
        ("2028-02-29", "2024-02-29", ("2024-02-29", 4)),
        ("2028-02-29", None, ("2027-03-01", 1)),
        # A day that no longer fits the first one: the year that ends with what was paid.
        ("2026-10-15", "2020-09-01", ("2025-10-15", 1)),
        ("2026-10-15", "2026-10-15", ("2025-10-15", 1)),
    ],
)
def test_the_year_ends_with_what_was_paid(
    paid_until: str, since: str | None, expected: tuple[str, int]
) -> None:
    until = dt.date.fromisoformat(paid_until)

    first_day, year = years(until, dt.date.fromisoformat(since) if since else None)

    assert (first_day.isoformat(), year) == expected
    assert until <= anniversary(first_day, year) <= until + dt.timedelta(days=1)
