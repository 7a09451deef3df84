"""Nobody can tell who was sponsored: everything that others see of one who paid and of one who was given a place."""

import json
import re
from collections import Counter
from datetime import timedelta

import httpx
import msgspec
import pytest
from sqlalchemy import select

from coop import schema
from coop.billing.offline import matching
from coop.billing.payments import Method
from coop.identity.accounts import Account
from coop.money import Money
from coop.networks import endpoints, networks
from coop.networks.deliveries import Delivery
from coop.settings import Settings
from coop.sponsorship import gifts, outlook, runs
from coop.stewardship import audit
from tests.membership.test_households import accept, invitation
from tests.protocol.relying_party import RelyingParty, register
from tests.till import Till

PUBLIC = (
    *("/", "/sponsor", "/books", "/books/books.json", "/books/books.csv", "/books/books.beancount"),
    *("/sponsors", "/networks", "/votes", "/transparency", "/v1/networks", "/v1/motions"),
)
TO_A_STRANGER = ("/place", "/sponsor", "/join", "/account", "/books", "/account/payments")
"""What somebody sees who signs in only to look."""
OWN = {
    *("checkouts", "gifts", "operations", "payments", "places"),
    # Their letters differ: one has a receipt.
    *("mailbox", "outbox"),
}
"""Tables that only their owner, and the treasurer, read from."""
TIMES = {"iat", "exp", "nbf", "auth_time", "updated_at"}
NAMES = {"sub", "subject", "jti", "sid", "at_hash", "preferred_username", "username", "nickname", "email"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Places begin within a day, as they do in earnest."""
    return msgspec.structs.replace(settings, sponsorship_delay_hours=24)


@pytest.fixture
async def party(till: Till) -> RelyingParty:
    """Plug a network in that listens."""
    async with httpx.AsyncClient() as nobody:
        made = await register(till.units, nobody, nobody)
    async with till.units.open() as work:
        (network,) = await networks.directory(work)
        await endpoints.create(work, network.id, "https://lantern.example/hooks")
    return made


def shape(told: object) -> object:
    """Return what was told with every name and every time masked: a network's own names differ in length by chance."""
    if isinstance(told, dict):
        return {
            name: "a time" if name in TIMES else "a name" if name in NAMES else shape(value)
            for name, value in told.items()
        }
    return [shape(one) for one in told] if isinstance(told, list) else told


def look(answer: httpx.Response, *names: str) -> object:
    """Return what can be seen of an answer: its headers' sizes, its own size, its body; all without the `names` in it."""
    assert answer.status_code == 200, answer.text
    headers = {name: len(value) for name, value in answer.headers.items() if name != "content-length"}
    size = len(answer.content) - sum(len(name) * answer.text.count(name) for name in names)
    return headers, size, shape(json.loads(answer.text))


async def sign_in(till: Till, party: RelyingParty, account: Account) -> tuple[str, object]:
    """Sign somebody in to the network; return their token, and what the network was told."""
    async with till.visitor(account) as browser, till.visitor() as wire:
        party.http, party.wire = browser, wire
        tokens = await party.tokens()
        claims = await party.userinfo(tokens["access_token"])
        worth = await party.introspect(tokens["access_token"])
        told = (
            {name: len(value) if isinstance(value, str) else value for name, value in tokens.items()},
            look(claims, claims.json()["sub"], claims.json()["preferred_username"]),
            shape(worth),
        )
    return claims.json()["sub"], told


async def asked(till: Till, party: RelyingParty, subject: str) -> object:
    """Return what the network's own questions bring."""
    async with till.visitor() as wire:
        party.wire = wire
        token = await party.token(grant_type="client_credentials", scope="entitlements")
        bearer = {"Authorization": f"Bearer {token.json()['access_token']}", "Accept": "application/json"}
        one = await wire.get(f"/v1/entitlements/{subject}", headers=bearer)
        many = await wire.post("/v1/entitlements", headers=bearer, json={"subjects": [subject]})
    return look(one, subject), look(many, subject)


async def webhooks(till: Till, account: Account) -> list[object]:
    """Return what the network was sent about somebody."""
    async with till.units.read() as work:
        rows = await work.session.scalars(
            select(Delivery).where(Delivery.account_id == account.id).order_by(Delivery.type)
        )
        return [(row.type, len(row.id), len(row.payload), list(json.loads(row.payload))) for row in rows]


async def public(till: Till, stranger: Account) -> dict[str, str]:
    """Return every page and file that others see, without the one-time keys of forms."""
    seen: dict[str, str] = {}
    async with till.visitor() as visitor:
        for path in PUBLIC:
            seen[path] = (await visitor.get(path)).text
    async with till.visitor(stranger) as visitor:
        for path in TO_A_STRANGER:
            seen[f"signed in: {path}"] = (await visitor.get(path)).text
    return {path: re.sub(r'name="key" value="[^"]+"', "", text) for path, text in seen.items()}


async def rows_of(till: Till, account: Account) -> Counter[str]:
    """Count what the database holds about somebody, table by table."""
    found: Counter[str] = Counter()
    async with till.units.read() as work:
        for table in schema.metadata.tables.values():
            if "account_id" in table.c:
                rows = await work.session.execute(select(table).where(table.c.account_id == account.id))
                found[table.name] = len(rows.all())
    return found


async def by_gift(till: Till, account: Account, giver: Account) -> None:
    """Have `giver` buy a year that `account` takes up."""
    await till.pay(giver, purpose="gift")
    async with till.units.read() as work:
        gift = (await gifts.given_by(work, giver.id))[0]
    await till.claim(account, gift)


async def by_hand(till: Till, account: Account, method: Method) -> None:
    """Have a treasurer see the money."""
    async with till.units.open() as work:
        await matching.receive(
            work,
            account_id=account.id,
            amount=Money(2500),
            purpose="dues",
            method=method,
            external_id=f"{method}:{account.id}",
        )


async def at_the_desk(till: Till, account: Account) -> None:
    """Leave the line in the log that the approval of cash leaves."""
    async with till.units.open() as work:
        await audit.record(
            work, act="money.cash.approved", reason="At the assembly", actor=None, about=account.id
        )


async def test_a_network_sees_no_difference_in_anything_it_is_told_or_may_ask(
    till: Till, party: RelyingParty
) -> None:
    await till.sponsor(5000)
    # By card, by the pool, in part by both, with something on top, as a gift, by bank transfer, in cash.
    everybody = ada, bob, cyd, dan, eve, fay, gil = [
        await till.person(name) for name in ("ada", "bob", "cyd", "dan", "eve", "fay", "gil")
    ]
    before = [await sign_in(till, party, person) for person in everybody]
    place = await till.ask(bob)
    assert place.due_at is not None
    till.clock.advance(place.due_at - till.clock.instant)
    await till.pay(ada)
    await runs.begin_due(till.units)
    await till.pay(cyd, 1000)
    await till.pay(dan, 4000)
    await by_gift(till, eve, ada)
    await by_hand(till, fay, "bank")
    await by_hand(till, gil, "cash")
    await till.work()
    assert [await till.state(person) for person in everybody] == ["active"] * 7

    after = [await sign_in(till, party, person) for person in everybody]
    answers = [await asked(till, party, subject) for subject, _ in after]
    sent = [await webhooks(till, person) for person in everybody]
    rows = [await rows_of(till, person) for person in everybody]

    assert len(sent[0]) == 2
    for number in range(1, 7):
        assert before[number][1] == before[0][1]
        assert after[number][1] == after[0][1]
        assert answers[number] == answers[0]
        assert sent[number] == sent[0]
        differ = {table for table in rows[0] | rows[number] if rows[0][table] != rows[number][table]}
        assert differ <= OWN


async def test_no_figure_that_others_see_moves_with_a_membership(till: Till, party: RelyingParty) -> None:
    del party
    await till.sponsor(5000)
    await outlook.note_morning(till.units)
    stranger = await till.person("eve")
    paying, sponsored, in_part = [await till.person(name) for name in ("ada", "bob", "cyd")]
    seen = [await public(till, stranger)]

    place = await till.ask(sponsored)
    seen.append(await public(till, stranger))
    url = await till.begin(in_part, 1000)
    seen.append(await public(till, stranger))
    await till.enter(url)
    await till.pay(paying, 4000)
    seen.append(await public(till, stranger))
    await by_gift(till, await till.person("fay"), paying)
    seen.append(await public(till, stranger))
    gil = await till.person("gil")
    await by_hand(till, gil, "cash")
    await at_the_desk(till, gil)
    seen.append(await public(till, stranger))
    assert place.due_at is not None
    till.clock.advance(min(place.due_at - till.clock.instant, timedelta(hours=11)))
    await runs.begin_due(till.units)
    await till.work()
    seen.append(await public(till, stranger))

    for later in seen[1:]:
        assert [path for path, text in later.items() if text != seen[0][path]] == []


async def test_stripe_knows_whose_card_was_used_and_nothing_of_anybody_else(till: Till) -> None:
    await till.sponsor(5000)
    ada, bob, cyd, eve = [await till.person(name) for name in ("ada", "bolek", "cyd", "ewelina")]
    await till.pay(ada)
    await till.pay(cyd, 1000)
    place = await till.ask(bob)
    assert place.due_at is not None
    till.clock.advance(place.due_at - till.clock.instant)
    await runs.begin_due(till.units)
    await by_gift(till, eve, ada)
    assert [await till.state(person) for person in (ada, bob, cyd, eve)] == ["active"] * 4

    rows = till.sandbox.store.rows("SELECT kind, body FROM objects")
    everything = "".join(row["body"] for row in rows)
    intents = [json.loads(row["body"]) for row in rows if row["kind"] == "payment_intent"]
    told = {(intent["amount"], intent["description"]) for intent in intents}

    assert "ada@example.org" in everything
    for unknown in ("bolek", "ewelina", *(str(person.id) for person in (ada, bob, cyd, eve))):
        assert unknown not in everything
    # Who pays by hand leaves no customer behind.
    assert [row["kind"] for row in rows if row["kind"] == "customer"] == []
    # The amount of a part is all that tells it from the whole.
    (in_part,) = (what for amount, what in told if amount == 1000)
    assert (2500, in_part) in told
    assert {key for intent in intents for key in intent["metadata"]} == {"operation"}


async def test_the_letter_with_which_a_year_begins_has_one_subject_whoever_paid(till: Till) -> None:
    await till.sponsor(5000)
    everybody = ada, bob, cyd, eve, gil, ida = [
        await till.person(name) for name in ("ada", "bob", "cyd", "eve", "gil", "ida")
    ]
    place = await till.ask(bob)
    assert place.due_at is not None
    till.clock.advance(place.due_at - till.clock.instant)
    await till.pay(ada)
    await runs.begin_due(till.units)
    await till.pay(cyd, 1000)
    giver = await till.person("giver")
    await by_gift(till, eve, giver)
    await by_hand(till, gil, "cash")
    await accept(till.units, ida, await invitation(till.units, giver))
    await till.pay(giver, 2500, purpose="household")
    await till.work()

    subjects = {
        person.handle: [
            letter.subject
            for letter in till.postbox.letters
            if letter.to == f"{person.handle}@example.org" and "runs until" in letter.body
        ]
        for person in everybody
    }

    subject = f"You are a member of {till.units.settings.name}"
    assert subjects == {handle: [subject] for handle in subjects}


async def test_the_morning_s_figures_are_the_next_morning_s_again(till: Till) -> None:
    await till.sponsor(5000)
    async with till.visitor() as visitor:
        assert "$50" not in (await visitor.get("/sponsor")).text
        await till.work()
        assert "$50" in (await visitor.get("/sponsor")).text
        await till.sponsor(2500, "hal")
        await till.work()
        assert "$75" not in (await visitor.get("/sponsor")).text
        till.clock.advance(timedelta(days=1))
        await till.work()
        assert "$75" in (await visitor.get("/sponsor")).text


async def test_a_place_begins_at_its_own_second_and_not_before(till: Till) -> None:
    await till.sponsor(2500)
    bob = await till.person("bob")
    place = await till.ask(bob)
    assert place.due_at is not None
    assert place.state == "awarded"

    till.clock.advance(place.due_at - till.clock.instant - timedelta(milliseconds=1))
    assert await runs.begin_due(till.units) == 0
    till.clock.advance(timedelta(milliseconds=1))

    assert await runs.begin_due(till.units) == 1
    assert await till.state(bob) == "active"
