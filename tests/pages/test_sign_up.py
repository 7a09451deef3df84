import anyio
import httpx
import pytest
from litestar import Litestar
from sqlalchemy import func, select

from coop.identity import accounts
from coop.identity.accounts import Account
from coop.unit_of_work import Units
from tests.people import PASSWORD, register, signed_in_client
from tests.statements import statements


async def sign_up(client: httpx.AsyncClient, **typed: str) -> httpx.Response:
    return await client.post("/sign-up", data={"handle": "ada", "password": PASSWORD, **typed})


async def test_joining_takes_a_handle_and_a_password(client: httpx.AsyncClient, units: Units) -> None:
    answer = await sign_up(client, next="/oauth/authorize?client_id=x&state=y")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/join?next=%2Foauth%2Fauthorize%3Fclient_id%3Dx%26state%3Dy"
    async with units.read() as work:
        account = await accounts.by_handle(work, "ada")
    assert account is not None
    assert account.password_digest is not None
    assert account.password_digest.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_joining_takes_few_statements(app: Litestar, client: httpx.AsyncClient) -> None:
    with statements(app) as said:
        assert (await sign_up(client)).status_code == 303

    assert [statement.split()[:3] for statement in said if "clock_offset" not in statement] == [
        ["INSERT", "INTO", "attempts"],
        ["INSERT", "INTO", "accounts"],
        ["SELECT", "retired_handles.digest", "FROM"],
        ["INSERT", "INTO", "browser_sessions"],
        ["INSERT", "INTO", "outbox"],
    ]


async def test_whoever_joins_is_signed_in(client: httpx.AsyncClient) -> None:
    await sign_up(client)

    assert (await client.get("/sign-in")).headers["location"] == "/account"


async def test_the_form_asks_for_no_real_name_and_says_who_sees_what(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sign-up")

    assert answer.status_code == 200
    for field in ("handle", "password", "email"):
        assert f'id="{field}-who"' in answer.text
    assert 'autocomplete="new-password"' in answer.text
    assert 'autocomplete="name"' not in answer.text


async def test_every_fault_is_named_at_once_and_nothing_typed_is_lost_but_the_secret(
    client: httpx.AsyncClient,
) -> None:
    answer = await sign_up(client, handle="Ada Lovelace", password="short", email="nowhere")

    assert answer.status_code == 400
    for field in ("handle", "password", "email"):
        assert f'id="{field}-error"' in answer.text
        assert f'href="#{field}"' in answer.text
    assert 'value="Ada Lovelace"' in answer.text
    assert 'value="nowhere"' in answer.text
    assert 'value="short"' not in answer.text


async def test_a_taken_handle_is_said_beside_its_field(client: httpx.AsyncClient, units: Units) -> None:
    await register(units, "ada")

    answer = await sign_up(client)

    assert answer.status_code == 400
    assert 'id="handle-error"' in answer.text


async def test_an_address_that_somebody_has_already_makes_no_difference(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units, "grace", email="one@example.org")

    taken = await sign_up(client, handle="ada", email="one@example.org")
    client.cookies.clear()
    free = await sign_up(client, handle="eve", email="two@example.org")

    assert taken.status_code == free.status_code == 303
    assert taken.headers["location"] == free.headers["location"]


async def test_of_twenty_who_press_join_at_once_one_gets_the_handle(
    client: httpx.AsyncClient, units: Units
) -> None:
    statuses: list[int] = []

    async def press() -> None:
        statuses.append((await sign_up(client)).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(press)

    assert sorted(statuses) == [303] + [400] * 19
    async with units.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Account)) == 1


async def test_who_has_an_account_goes_straight_on_to_the_dues(
    client: httpx.AsyncClient, units: Units
) -> None:
    await signed_in_client(client, units)

    answer = await client.get("/sign-up", params={"next": "/books"})

    assert answer.headers["location"] == "/join?next=%2Fbooks"


@pytest.mark.parametrize("away", ["https://evil.example", "//evil.example"])
async def test_nobody_is_led_away_after_joining(client: httpx.AsyncClient, away: str) -> None:
    assert (await sign_up(client, next=away)).headers["location"] == "/join?next=%2Faccount"


async def test_markup_in_what_was_typed_is_text(client: httpx.AsyncClient) -> None:
    answer = await sign_up(client, handle='"><script>alert(1)</script>')

    assert "<script>alert" not in answer.text
