import hashlib
from datetime import timedelta
from html.parser import HTMLParser
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from api.pages import clauses
from coop import policies
from coop.clock import FixedClock
from coop.governance import ballots, motions, outcome, roll
from coop.governance.motions import Motion
from coop.identity.accounts import Account
from coop.policies import Dues
from coop.unit_of_work import Units
from tests.governance.conftest import Assembly
from tests.people import signed_in


@pytest.fixture
def engine_name() -> str:
    """Answer from SQLite alone: the rules underneath are tested on both engines."""
    return "sqlite"


@pytest.fixture
async def assembly(units: Units, clock: FixedClock) -> Assembly:
    made = Assembly(units, clock)
    await made.gather()
    return made


async def as_member(client: httpx.AsyncClient, assembly: Assembly, member: int) -> None:
    async with assembly.units.read() as work:
        account = await work.session.get_one(Account, assembly.members[member])
    await signed_in(client, assembly.units, account)


async def motion(units: Units) -> Motion:
    async with units.read() as work:
        return (await work.session.scalars(select(Motion))).one()


class Inputs(HTMLParser):
    """Reads what a form would send as it stands."""

    def __init__(self, html: str):
        """Read `html`."""
        super().__init__()
        self.found: dict[str, str] = {}
        self._name = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note inputs, areas and chosen options."""
        values = dict(attrs)
        name = values.get("name") or ""
        if tag == "input" and (values.get("type") != "radio" or "checked" in values):
            self.found[name] = values.get("value") or ""
        elif tag == "textarea":
            self._name = name
            self.found[name] = ""
        elif tag == "select":
            self._name = name
        elif tag == "option" and "selected" in values:
            self.found[self._name] = values.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        """Leave an area."""
        if tag == "textarea":
            self._name = ""

    def handle_data(self, data: str) -> None:
        """Note the text of an area."""
        if self._name in self.found and self._name.startswith(("text", "argument", "law-text")):
            self.found[self._name] += data


async def test_the_whole_life_of_a_motion_from_the_form_to_the_price(
    client: httpx.AsyncClient, units: Units, clock: FixedClock, assembly: Assembly
) -> None:
    await as_member(client, assembly, 0)
    assert "What is your motion about?" in (await client.get("/votes/propose")).text
    typed = Inputs((await client.get("/votes/propose?about=dues")).text).found
    assert typed["law-price"] == "25.00"
    typed |= {"title": "Raise dues", "text": "To $27.", "argument_for": "Costs.", "law-price": "27"}
    typed.pop("locale", None)
    typed.pop("next", None)
    answer = await client.post("/votes/propose", data=typed)
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"]
    assert (await motion(units)).patch == '{"price":2700}'

    for member in (1, 2):
        await as_member(client, assembly, member)
        assert (await client.post(f"{path}/second")).status_code == 303
    assert (await client.post(f"{path}/against", data={"argument": "Too dear."})).status_code == 303
    clock.advance(timedelta(days=7))
    await as_member(client, assembly, 0)
    assert "Freeze it and open the vote" in (await client.get(path)).text
    assert (await client.post(f"{path}/announce")).status_code == 303

    text = (await client.get(path)).text
    for words in (
        "$25",
        "$27",
        "Costs.",
        "Too dear.",
        "at least 3 votes for",
        "0 of 6 have voted",
        "not yet verifiable",
    ):
        assert words in text, words
    for member in range(4):
        await as_member(client, assembly, member)
        checked = await client.post(f"{path}/check", data={"choice": "yes" if member < 3 else "no"})
        assert "Cast my vote" in checked.text
        cast = await client.post(f"{path}/cast", data={"choice": "yes" if member < 3 else "no"})
        assert (cast.status_code, cast.headers["location"]) == (303, path)
    assert "Your vote is counted" in (await client.get(path)).text
    assert "4 of 6 have voted" in (await client.get(path)).text
    assert (await client.get(f"{path}/result")).status_code == 404

    clock.advance(timedelta(days=15))
    await outcome.close_due(units)
    text = (await client.get(f"{path}/result")).text
    for words in ("3 of 4 votes for and against were for", "takes effect by itself", "$27"):
        assert words in text, words
    clock.advance(timedelta(days=7))
    await outcome.execute_due(units)
    assert "It took effect" in (await client.get(f"{path}/result")).text
    async with units.read() as work:
        assert (await policies.in_force(work, Dues)).document.price == 2700
    home = (await client.get("/")).text
    assert "$27" in home
    assert path in home


async def test_the_list_tells_what_awaits_me(client: httpx.AsyncClient, assembly: Assembly) -> None:
    opened = await assembly.open()
    await assembly.draft(patch={"price": 3000})
    assert "your vote is awaited" not in (await client.get("/votes")).text
    await as_member(client, assembly, 0)
    text = (await client.get("/votes")).text
    assert "your vote is awaited" in text
    assert "Coming" in text
    await assembly.vote(opened, "yes")
    assert "your vote is awaited" not in (await client.get("/votes")).text


async def test_the_rule_card_has_the_hash_that_the_page_shows(
    client: httpx.AsyncClient, assembly: Assembly
) -> None:
    opened = await assembly.open()
    card = await client.get(f"{opened.path}/card")
    assert hashlib.sha256(card.content).hexdigest() == opened.card_hash
    assert str(opened.card_hash) in (await client.get(opened.path)).text


async def test_words_of_members_are_markdown_and_never_html(
    client: httpx.AsyncClient, units: Units, assembly: Assembly
) -> None:
    async with units.open() as work:
        drafted = await motions.draft(
            work,
            assembly.members[0],
            title="<b>Title</b>",
            text="**Bold** <script>alert(1)</script>",
            argument_for="[x](javascript:alert(1))",
        )
    text = (await client.get(drafted.path)).text
    assert "<strong>Bold</strong>" in text
    assert "&lt;b&gt;Title" in text
    for bad in ("<script>alert", "<b>Title", 'href="javascript'):
        assert bad not in text


async def test_a_draft_has_no_rule_card_yet(client: httpx.AsyncClient, assembly: Assembly) -> None:
    assert (await client.get(f"/votes/{await assembly.draft()}/card")).status_code == 404


async def test_voting_without_a_choice_says_so_beside_the_question(
    client: httpx.AsyncClient, assembly: Assembly
) -> None:
    opened = await assembly.open()
    await as_member(client, assembly, 0)
    answer = await client.post(f"{opened.path}/check", data={})
    assert answer.status_code == 400
    assert "Choose yes, no or abstain." in answer.text
    assert (await client.post(f"{opened.path}/cast", data={"choice": "maybe"})).status_code == 400


async def test_a_second_vote_and_a_stranger_s_are_refused(
    client: httpx.AsyncClient, units: Units, assembly: Assembly
) -> None:
    opened = await assembly.open()
    assert (await client.post(f"{opened.path}/cast", data={"choice": "yes"})).status_code == 401
    await as_member(client, assembly, 0)
    assert (await client.post(f"{opened.path}/cast", data={"choice": "yes"})).status_code == 303
    again = await client.post(f"{opened.path}/cast", data={"choice": "no"})
    assert (again.status_code, again.json()["code"]) == (409, "already_voted")
    assert (await client.post(f"{opened.path}/check", data={"choice": "no"})).status_code == 409
    async with units.read() as work:
        assert await ballots.counts(work, opened.id) == {"yes": 1, "no": 0, "abstain": 0}
        assert await roll.turnout(work, opened.id) == 1


async def test_a_refused_value_stands_beside_its_field_and_nothing_typed_is_lost(
    client: httpx.AsyncClient, assembly: Assembly
) -> None:
    await as_member(client, assembly, 0)
    typed = {"about": "dues", "title": "Dear", "text": "Words", "argument_for": "Why", "law-price": "0.50"}
    answer = await client.post("/votes/propose", data=typed)
    assert answer.status_code == 400
    assert 'href="#law-price"' in answer.text
    assert 'value="Dear"' in answer.text
    assert 'value="0.50"' in answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("law-price", "27 dollars"), ("law-price", "1e9"), ("law-grace_days", "-1"), ("law-suggested", "5, x")],
)
async def test_values_that_are_no_numbers_are_refused(
    client: httpx.AsyncClient, assembly: Assembly, field: str, value: str
) -> None:
    await as_member(client, assembly, 0)
    typed = {"about": "dues", "title": "Dear", "text": "Words", "argument_for": "Why", field: value}
    answer = await client.post("/votes/propose", data=typed)
    assert answer.status_code == 400
    assert f'href="#{field}"' in answer.text


@pytest.mark.parametrize(
    "about", ["pool", "shares", "voting", "terms", "covenant", "privacy", "admission", "words"]
)
async def test_every_kind_of_law_has_a_form_that_sends_back_what_the_law_says(
    client: httpx.AsyncClient, assembly: Assembly, about: str
) -> None:
    await as_member(client, assembly, 0)
    typed = Inputs((await client.get(f"/votes/propose?about={about}")).text).found
    typed.pop("locale", None)
    typed.pop("next", None)
    typed |= {"title": "T", "text": "W", "argument_for": "A"}
    answer = await client.post("/votes/propose", data=typed)
    if about == "words":
        assert answer.status_code == 303
    else:
        assert answer.status_code == 400
        # Nothing was changed in the form, so nothing would change in the law.
        assert "That changes nothing" in answer.text or "name fields of this law" in answer.text


@pytest.mark.parametrize(
    ("typed", "patch"),
    [
        ({"law-notice_days": "45,10"}, '{"notice_days":[45,10]}'),
        ({"law-suggested": "5,00; 12,50"}, '{"suggested":[500,1250]}'),
        ({"law-suggested": "5, 12.50, 30"}, '{"suggested":[500,1250,3000]}'),
    ],
)
async def test_lists_are_read_however_people_write_them(
    client: httpx.AsyncClient, units: Units, assembly: Assembly, typed: dict[str, str], patch: str
) -> None:
    await as_member(client, assembly, 0)
    words = {"about": "dues", "title": "Lists", "text": "Words", "argument_for": "Why"}
    assert (await client.post("/votes/propose", data=words | typed)).status_code == 303
    assert (await motion(units)).patch == patch


def test_every_field_of_law_has_a_name_for_people() -> None:
    for kind in policies.KINDS.values():
        assert set(kind.__struct_fields__) <= set(clauses.LABELS), kind
    assert set(clauses.KINDS) == set(policies.KINDS)


async def test_a_visitor_reads_every_motion_and_proposes_none(
    client: httpx.AsyncClient, assembly: Assembly
) -> None:
    opened = await assembly.open()
    assert "Sign in to vote" in (await client.get(opened.path)).text
    answer = await client.get("/votes/propose", headers={"Accept": "text/html"})
    assert answer.headers["location"] == "/sign-in?next=%2Fvotes%2Fpropose"
    assert (await client.get(f"/votes/{UUID(int=0)}")).status_code == 404
    assert (await client.get("/votes/nonsense")).status_code == 404
