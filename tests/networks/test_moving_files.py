"""Reading a network's list of accounts: what is understood, and what is refused with its line."""

import pytest

from coop.networks.moving import files
from coop.networks.moving.files import BadAccountsFile


def test_columns_are_found_by_name_in_any_order_and_others_are_not_looked_at() -> None:
    (row,) = files.read(b"id,Email,display name,Username\n7,Anna@Example.org,Anna,Anna.Old\n")

    assert (row.line, row.handle, row.email, row.external_id) == (2, "Anna.Old", "anna@example.org", "7")


@pytest.mark.parametrize(
    "content",
    [
        b"handle,email\nanna,a@example.org\n",
        b"\xef\xbb\xbfhandle,email\r\nanna,a@example.org\r\n",
        b"handle;email\nanna;a@example.org",
        b"handle\temail\n\n@anna\ta@example.org\n\t\n",
        b'"handle","email"\n"anna","a@example.org"\n',
    ],
)
def test_what_spreadsheets_write_is_understood(content: bytes) -> None:
    (row,) = files.read(content)

    assert (row.handle, row.email) == ("anna", "a@example.org")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "handle column"),
        (b"name,email\nanna,a@example.org\n", "handle column"),
        (b"handle,username\nanna,anna\n", "two columns"),
        (b"handle\nanna\nzo\xeb\n", "Line 3 is not UTF-8"),
        ("handle\nanna\n".encode("utf-16"), "Line 1 is not UTF-8"),
        (b"handle\nanna\nbe\x00n\n", "Line 3 contains a NUL"),
        (b'handle\n"anna"s\n', "Line 2 cannot be read as CSV"),
        (b'handle\n"anna\n', "cannot be read as CSV"),
        (b"handle\n" + b"x" * 200_000, "Line 2 cannot be read as CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(content: bytes, told: str) -> None:
    with pytest.raises(BadAccountsFile, match=told):
        files.read(content)


def test_a_file_is_bounded_in_bytes_and_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 2)
    assert len(files.read(b"handle\na\nb\n")) == 2
    with pytest.raises(BadAccountsFile, match="more than 2 accounts"):
        files.read(b"handle\na\nb\nc\n")

    monkeypatch.setattr(files, "LARGEST", 20)
    with pytest.raises(BadAccountsFile, match="larger"):
        files.read(b"handle\n" + b"a" * 14)


def test_a_missing_and_a_bad_address_are_told_apart() -> None:
    missing, bad = files.read(b"handle,email\nanna,\nben,nowhere\n")

    assert (missing.email, missing.bad_email, missing.says_email) == (None, False, True)
    assert (bad.email, bad.bad_email) == (None, True)


def test_a_row_of_another_width_is_marked() -> None:
    short, long = files.read(b"handle,email\nanna\nben,b@example.org,more\n")

    assert short.misshapen
    assert long.misshapen
