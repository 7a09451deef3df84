from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coop.billing.offline import figures, statements
from coop.billing.offline.figures import UnreadableFigure
from coop.billing.offline.statements import BadStatement
from coop.money import Currency, Money

EUR, JPY, USD = Currency.of("eur"), Currency.of("jpy"), Currency.of("usd")
SPARKASSE = (
    '"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";"Kundenreferenz (End-to-End)";'
    '"Beguenstigter/Zahlungspflichtiger";"Kontonummer/IBAN";"BIC (SWIFT-Code)";"Betrag";"Waehrung";"Info"\r\n'
    '"DE89";"24.11.26";"24.11.26";"GUTSCHR. UEBERWEISUNG";"SVWZ+RF18 5390 0754 7034";"";"Jürgen Groß";"DE02";"";"1.025,00";"EUR";"Umsatz gebucht"\r\n'
    '"DE89";"24.11.26";"24.11.26";"LASTSCHRIFT";"Hosting";"";"Host";"DE03";"";"-12,90";"EUR";"Umsatz gebucht"\r\n'
    '"DE89";"25.11.26";"25.11.26";"GUTSCHR. UEBERWEISUNG";"later";"";"X";"DE04";"";"5,00";"EUR";"Umsatz vorgemerkt"\r\n'
)


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("25", 2500),
        ("25.00", 2500),
        ("25,5", 2550),
        ("1.234,50", 123450),
        ("1,234.50", 123450),
        ("1 234,50 EUR", 123450),
        ("EUR 1'234.50", 123450),
        ("1\u202f234,50", 123450),
        ("1.234.567", 123456700),
        ("-12,90", -1290),
        ("12.90-", -1290),
        ("\u221212.90", -1290),
        ("+25.000", 2500),
        ("25.10000", 2510),
    ],
)
def test_amounts_are_read_as_banks_write_them(text: str, minor: int) -> None:
    mark = "point" if text == "+25.000" else "auto"

    assert figures.amount(text, EUR, mark) == Money(minor)  # type: ignore[arg-type]  # one of the marks


@pytest.mark.parametrize(
    "text", ["", "-", "1.234", "1,2,3", "12.345,6.7", "1e3", "NaN", "٢٥", "0x10", "25.001", "12..5", "9" * 20]
)
def test_what_could_be_another_amount_is_no_amount(text: str) -> None:
    with pytest.raises(UnreadableFigure):
        figures.amount(text, EUR)


def test_a_mark_that_was_named_settles_the_doubt() -> None:
    assert figures.amount("1.234", EUR, "comma") == Money(123400)
    with pytest.raises(UnreadableFigure):
        figures.amount("1.234", EUR, "point")
    assert figures.amount("1,234", JPY, "point") == Money(1234)


@given(
    st.integers(-(10**12), 10**12), st.sampled_from([",", "."]), st.sampled_from(["", " ", "\u00a0", "other"])
)
def test_every_amount_survives_being_written(minor: int, mark: str, thousands: str) -> None:
    group = {",": ".", ".": ","}[mark] if thousands == "other" else thousands
    whole, part = divmod(abs(minor), 100)
    written = f"{'-' if minor < 0 else ''}{whole:,}".replace(",", group) + f"{mark}{part:02d}"

    assert figures.amount(written, USD) == Money(minor)


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("2026-11-24", "auto", date(2026, 11, 24)),
        ("20261124", "auto", date(2026, 11, 24)),
        ("2026-11-24T08:00:00Z", "auto", date(2026, 11, 24)),
        ("24.11.2026", "auto", date(2026, 11, 24)),
        ("5.3.26", "auto", date(2026, 3, 5)),
        ("24/11/2026", "auto", date(2026, 11, 24)),
        ("11/24/2026", "auto", date(2026, 11, 24)),
        ("03/05/2026", "mdy", date(2026, 3, 5)),
        ("03/05/2026", "dmy", date(2026, 5, 3)),
        ("29.02.2028", "auto", date(2028, 2, 29)),
    ],
)
def test_days_are_read_as_banks_write_them(text: str, order: figures.DayOrder, day: date) -> None:
    assert figures.day(text, order) == day


@pytest.mark.parametrize("text", ["", "03/05/2026", "29.02.2027", "24.11", "2026-13-01", "yesterday"])
def test_what_could_be_another_day_is_no_day(text: str) -> None:
    with pytest.raises(UnreadableFigure):
        figures.day(text)


def test_a_german_bank_s_file_is_read_with_its_encoding_and_marks() -> None:
    read = statements.read(SPARKASSE.encode("cp1252"), EUR, preset="camt")

    (line,) = read.lines
    assert (line.booked_on, line.amount, line.payer) == (date(2026, 11, 24), Money(102500), "Jürgen Groß")
    assert "RF18 5390 0754 7034" in line.text
    assert (read.debits, read.pending, read.faults) == (1, 1, [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_of_the_usual_encodings_will_do(encoding: str) -> None:
    content = "Statement of account 123\n\ndate;amount;text;payer\n2026-11-24;25,00;crème;Zoë\n".encode(
        encoding
    )

    (line,) = statements.read(content, EUR).lines

    assert (line.text, line.payer, line.line) == ("crème", "Zoë", 4)


def test_polish_letters_need_their_encoding_named() -> None:
    content = "data,kwota,tytuł\n2026-11-24,25.00,składka\n".encode("cp1250")

    (line,) = statements.read(content, USD, encoding="windows-1250").lines

    assert line.text == "składka"
    with pytest.raises(BadStatement, match="not written in utf-8"):
        statements.read(content, USD, encoding="utf-8")
    with pytest.raises(BadStatement, match="no encoding"):
        statements.read(content, USD, encoding="klingon")


def test_equal_lines_are_two_payments_unless_the_bank_names_them() -> None:
    two = b"date,amount,text\n2026-11-24,25.00,dues\n2026-11-24,25.00,dues\n"
    named = b"id,transaction id,date,amount\n1,A7,2026-11-24,25.00\n2,A7,2026-11-24,25.00\n"

    assert len({line.key for line in statements.read(two, USD).lines}) == 2
    once = statements.read(named.replace(b"id,transaction id", b"no,transaction id"), USD)
    assert (len(once.lines), [line for line, _ in once.faults]) == (1, [3])


def test_a_line_that_cannot_be_read_is_named_and_the_others_are_taken() -> None:
    content = b"date,amount,currency\n2026-11-24,25.00,USD\n2026-11-24,1.234,USD\nsoon,5.00,USD\n2026-11-24,9.00,PLN\n"

    read = statements.read(content, USD)

    assert [line.amount for line in read.lines] == [Money(2500)]
    assert ([line for line, _ in read.faults], read.foreign) == ([3, 4], [5])
    assert "--decimal" in read.faults[0][1]


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"a;b;c\n1;2;3\n", b"\x00\x01", b"date,text\n2026-11-24,x\n", b'date,amount\n"2026'],
    ids=["empty", "prose", "other columns", "binary", "no amount", "open quote"],
)
def test_what_is_no_statement_is_refused_or_empty(content: bytes) -> None:
    try:
        assert statements.read(content, USD).lines == []
    except BadStatement as refusal:
        assert refusal.message  # noqa: PT017 - either is an answer
