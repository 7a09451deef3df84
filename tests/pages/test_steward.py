import re
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from coop import ledger
from coop.billing.offline import matching, statements, transactions
from coop.identity.accounts import Account
from coop.membership import standing
from coop.money import Money
from coop.settings import Settings
from coop.sponsorship import queue
from coop.unit_of_work import UnitOfWork, Units
from tests import cooperative, people
from tests.membership.test_households import accept, invitation
from tests.pages import desk

PAGES = (
    "",
    "/member",
    "/payments",
    "/sending",
    "/refunds",
    "/disputes",
    "/differences",
    "/proposals",
    "/cash",
    "/statement",
    "/vat",
    "/entry",
)


@pytest.fixture
def engine_name() -> str:
    """Look at pages on SQLite; what they call is tested on both engines."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, bank_account="US64 0000 1234", bank_holder="Commons")


@pytest.fixture
async def tess(client: httpx.AsyncClient, units: Units) -> Account:
    """Sign a treasurer in, with something on the desk."""
    await cooperative.found(units)
    ada = await people.register(units, "ada", email="ada@example.org")
    account = await people.register(units, "tess", email="tess@example.org")
    await desk.treasurer(units, account)
    await desk.laid(units, account, ada)
    client.headers["accept"] = "text/html"
    await people.signed_in(client, units, account)
    return account


async def sponsored(work: UnitOfWork, account_id: UUID) -> None:
    """Have the pool pay a year."""
    full = [ledger.debit(ledger.BANK, Money(2500)), ledger.credit(ledger.POOL, Money(2500))]
    await ledger.post(work, source="manual", external_id="full", description="A gift", postings=full)
    assert (await queue.ask(work, account_id)).state == "begun"


async def stray(units: Units, cents: int) -> UUID:
    async with units.read() as work:
        return next(one.id for one in await transactions.unmatched(work) if one.amount.minor == cents)


@pytest.mark.parametrize("below", PAGES)
async def test_nobody_but_stewards_comes_to_the_desk(
    client: httpx.AsyncClient, units: Units, below: str
) -> None:
    await people.signed_in_client(client, units)

    assert (await client.get(f"/steward{below}")).status_code == 403


@pytest.mark.usefixtures("tess")
async def test_a_steward_who_is_no_treasurer_cannot_tell_who_paid(
    client: httpx.AsyncClient, units: Units
) -> None:
    async with units.open() as work:
        ada = await people.found(work, "ada")
        await matching.receive(
            work, account_id=ada.id, amount=Money(2500), purpose="dues", method="cash", external_id="cash:1"
        )
    bob = await people.register(units, "bob", email="bob@example.org")
    async with units.open() as work:
        await sponsored(work, bob.id)
    await desk.steward(units, await people.signed_in_client(client, units, "sue"))

    refused = {below: (await client.get(f"/steward{below}")).status_code for below in PAGES}
    counts = (await client.get("/steward")).text
    looks = [
        (await client.post("/steward/member", data={"handle": handle, "reason": "Asked for help"})).text
        for handle in ("ada", "bob")
    ]

    assert {below for below, status in refused.items() if status == 200} == {"", "/member"}
    assert set(refused.values()) == {200, 403}
    assert "figure" not in counts
    assert "<dd>Member</dd>" in looks[0]
    assert looks[0].replace("ada", "bob") == looks[1]


@pytest.mark.usefixtures("tess")
async def test_the_desk_counts_what_waits_and_names_nobody(client: httpx.AsyncClient) -> None:
    text = (await client.get("/steward")).text

    counted = [int(found) for found in re.findall(r'class="figure">(\d+)<', text)]
    assert counted == [1, 2, 1, 0, 0, 0]
    assert "ada" not in text
    for below in PAGES:
        assert (await client.get(f"/steward{below}")).status_code == 200


@pytest.mark.usefixtures("tess")
async def test_a_credit_is_given_to_its_member(client: httpx.AsyncClient, units: Units) -> None:
    path = f"/steward/payments/{await stray(units, 2500)}"
    refused = await client.post(path, data={"what": "dues", "handle": "nobody", "reason": "She wrote"})
    assert refused.status_code == 400
    assert 'href="#handle"' in refused.text

    answer = await client.post(path, data={"what": "dues", "handle": "ada", "reason": "She wrote"})

    assert answer.headers["location"] == "/steward/payments?done=decided"
    assert (await client.get(path)).status_code == 404


@pytest.mark.usefixtures("tess")
async def test_a_large_credit_is_only_proposed(client: httpx.AsyncClient, units: Units) -> None:
    path = f"/steward/payments/{await stray(units, 25000)}"
    assert "second treasurer" in (await client.get(path)).text

    answer = await client.post(path, data={"what": "pool", "reason": "It says so"})

    assert answer.headers["location"] == "/steward/proposals?done=proposed"
    assert "A bank transfer is a gift to the pool" in (await client.get("/steward/proposals")).text


@pytest.mark.usefixtures("tess")
async def test_cash_counts_when_a_second_treasurer_approves(client: httpx.AsyncClient, units: Units) -> None:
    text = (await client.get("/steward/proposals")).text
    assert "/approve" not in text
    theo = await people.register(units, "theo")
    await desk.treasurer(units, theo)
    await people.signed_in(client, units, theo)
    found = re.search(r"/steward/proposals/[0-9a-f-]+/approve", (await client.get("/steward/proposals")).text)
    assert found

    answer = await client.post(found[0])

    assert answer.headers["location"] == "/steward/proposals?done=approved"
    async with units.read() as work:
        ada = (await people.found(work, "ada")).id
        assert (await standing.of(work, ada)).state == "active"


@pytest.mark.usefixtures("tess")
async def test_the_member_reads_who_looked_and_why(client: httpx.AsyncClient, units: Units) -> None:
    assert (await client.post("/steward/member", data={"handle": "ada"})).status_code == 400
    answer = await client.post("/steward/member", data={"handle": "ada", "reason": "She asked for help"})
    assert answer.status_code == 200

    async with units.read() as work:
        ada = await people.found(work, "ada")
    await people.signed_in(client, units, ada)
    text = (await client.get("/account/record")).text

    assert "Opened your record" in text
    assert "She asked for help" in text
    assert "tess" in text


@pytest.mark.usefixtures("tess")
async def test_a_treasurer_learns_whose_an_entry_is_and_its_person_reads_of_it(
    client: httpx.AsyncClient, units: Units
) -> None:
    async with units.open() as work:
        ada = await people.found(work, "ada")
        reference = str(await ledger.references.of(work, ada.id))
    for given, field in (
        ({"reference": reference}, "reason"),
        ({"reference": reference[:-1], "reason": "An audit"}, "reference"),
    ):
        refused = await client.post("/steward/entry", data=given)
        assert (refused.status_code, f'href="#{field}"' in refused.text) == (400, True)

    found = await client.post("/steward/entry", data={"reference": reference, "reason": "An audit"})
    nobody = await client.post("/steward/entry", data={"reference": str(uuid4()), "reason": "An audit"})
    sue = await people.register(units, "sue")
    await desk.steward(units, sue)
    await people.signed_in(client, units, sue)
    not_hers = await client.post("/steward/entry", data={"reference": reference, "reason": "Curious"})
    await people.signed_in(client, units, ada)
    record = (await client.get("/account/record")).text

    assert "<dd>ada</dd>" in found.text
    assert "leads to nobody" in nobody.text
    assert not_hers.status_code == 403
    assert "Looked up whose an entry in the books is" in record
    assert "An audit" in record
    assert "Curious" not in record


@pytest.mark.usefixtures("tess")
async def test_what_was_sent_is_off_the_list(client: httpx.AsyncClient) -> None:
    found = re.search(r"/steward/sending/credit/[0-9a-f-]+", (await client.get("/steward/sending")).text)
    assert found

    await client.post(found[0])

    assert "Nothing waits" in (await client.get("/steward/sending")).text


@pytest.mark.usefixtures("tess")
async def test_a_statement_is_tried_first_and_then_brought_in(client: httpx.AsyncClient) -> None:
    file = {"file": ("statement.csv", b"date,amount,text\n2026-03-09,9.00,hello\n", "text/csv")}

    tried = await client.post("/steward/statement", data={"what": "rehearse"}, files=file)
    assert "What would happen" in tried.text
    done = await client.post("/steward/statement", data={"what": "import"}, files=file)
    assert "Brought in" in done.text
    again = await client.post("/steward/statement", data={"what": "rehearse"}, files=file)

    assert re.search(r"Brought in before</dt><dd>1<", again.text)
    assert (
        await client.post("/steward/statement", data={"what": "import"}, files={"x": b""})
    ).status_code == 400


async def test_the_pay_page_offers_a_transfer_and_shows_where_to_send_it(
    client: httpx.AsyncClient, units: Units
) -> None:
    await cooperative.found(units)
    await people.signed_in_client(client, units, email="ada@example.org")
    assert 'value="transfer"' in (await client.get("/join")).text

    answer = await client.post("/join", data={"amount": "25.00", "renewal": "transfer"})
    assert answer.headers["location"] == "/account/transfer"
    text = (await client.get("/account/transfer")).text

    assert re.search(r"RF\d\d \d{4} \d{4} \d\d<", text)
    assert "US64 0000 1234" in text
    assert (await client.post("/account/transfer/withdraw", data={"purpose": "dues"})).status_code == 303
    assert (await client.get("/account/transfer")).headers["location"] == "/account/payments"


async def test_a_gift_by_transfer_has_its_own_reference(client: httpx.AsyncClient, units: Units) -> None:
    await cooperative.found(units)
    await people.signed_in_client(client, units)
    assert (await client.post("/sponsor/transfer", data={"amount": "x"})).status_code == 400

    await client.post("/sponsor/transfer", data={"amount": "5000"})

    assert "$5,000" in (await client.get("/account/transfer")).text


async def test_a_household_pays_by_transfer_on_its_page(client: httpx.AsyncClient, units: Units) -> None:
    await cooperative.found(units)
    bob = await people.register(units, "bob")
    ada = await people.signed_in_client(client, units)
    await accept(units, bob, await invitation(units, ada))
    assert 'value="transfer"' in (await client.get("/account/household/pay")).text

    answer = await client.post("/account/household/pay", data={"amount": "40.00", "way": "transfer"})
    text = (await client.get(answer.headers["location"])).text

    assert answer.headers["location"] == "/account/transfer"
    assert "$80" in text
    assert "ada, bob" in text
    for path in ("/account/household", "/account/payments"):
        assert "announced a bank transfer of $80" in (await client.get(path)).text
    back = await client.post("/account/transfer/withdraw", data={"purpose": "household"})
    assert back.headers["location"] == "/account/household"


async def test_a_gift_is_paid_by_transfer_and_handed_over_once_its_money_is_seen(
    client: httpx.AsyncClient, units: Units
) -> None:
    await cooperative.found(units)
    await people.signed_in_client(client, units)

    answer = await client.post("/gifts", data={"way": "transfer"})
    text = (await client.get(answer.headers["location"])).text
    reference = re.search(r"RF[\d ]+", text)
    assert reference
    assert "/card" not in (await client.get("/gifts")).text
    lines = f"date,amount,text\n2026-03-05,25.00,{reference[0]}\n".encode()
    await matching.bring_in(units, statements.read(lines, units.settings.money))
    card = re.search(r'href="(/gifts/[0-9a-f-]+/card)"', (await client.get("/gifts")).text)
    assert card

    assert "/gift/" in (await client.get(card[1])).text


@pytest.mark.usefixtures("tess")
async def test_a_credit_is_no_household_s_without_one_and_may_buy_a_gift(
    client: httpx.AsyncClient, units: Units
) -> None:
    path = f"/steward/payments/{await stray(units, 2500)}"
    given = {"what": "household", "handle": "ada", "reason": "She wrote"}
    assert 'href="#handle"' in (await client.post(path, data=given)).text

    answer = await client.post(path, data=given | {"what": "gift"})

    assert answer.headers["location"] == "/steward/payments?done=decided"


@pytest.fixture
async def owing(units: Units, tess: Account) -> Account:
    """Let a year bear VAT, so that something is owed."""
    msgspec.structs.force_setattr(units.settings, "vat_rates", "2300 from 2020-01-01")
    async with units.open() as work:
        await matching.receive(
            work,
            account_id=tess.id,
            amount=Money(2500),
            purpose="dues",
            method="bank",
            external_id="bank:1",
        )
    return tess


@pytest.mark.usefixtures("owing")
async def test_vat_is_recorded_as_paid_and_undone(client: httpx.AsyncClient) -> None:
    assert 'href="/steward/vat"' in (await client.get("/steward")).text
    assert "$4.67" in (await client.get("/steward/vat")).text
    given = {"period": "2026-03", "amount": "4.67", "reference": "TR 1", "reason": "Paid today"}
    refused = await client.post("/steward/vat", data=given | {"amount": "4.68"})
    assert (refused.status_code, 'href="#amount"' in refused.text) == (400, True)

    for _ in range(2):
        answer = await client.post("/steward/vat", data=given)
        assert answer.headers["location"] == "/steward/vat?done=decided"
    text = (await client.get("/steward/vat")).text
    assert re.search(r"Owed now</dt><dd>.*\$0<", text)
    undo = re.search(r'href="(/steward/vat/[0-9a-f-]+)"', text)
    assert undo
    assert (await client.post(undo[1], data={})).status_code == 400
    await client.post(undo[1], data={"reason": "It came back"})

    assert "Undone on" in (await client.get("/steward/vat")).text
    assert (await client.get(undo[1])).status_code == 404
