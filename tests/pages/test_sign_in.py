import re
import statistics
import time
from datetime import timedelta

import httpx
import pytest
from litestar._parsers import parse_url_encoded_form_data
from sqlalchemy import func, select

from coop.clock import FixedClock
from coop.identity import passwords, throttle
from coop.identity.sessions import ABSOLUTE, IDLE, BrowserSession
from coop.unit_of_work import Units
from tests.people import PASSWORD, register, signed_in, signed_in_client
from tests.statements import said_to

WRONG = "not the password at all"


def cookie_of(answer: httpx.Response, name: str = "session") -> str:
    """Return the Set-Cookie line of `name`."""
    return next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}="))


async def sign_in(
    client: httpx.AsyncClient, name: str = "ada", password: str = PASSWORD, **more: str
) -> httpx.Response:
    return await client.post("/sign-in", data={"name": name, "password": password, **more})


async def sessions_of(units: Units) -> int:
    async with units.read() as work:
        return await work.session.scalar(select(func.count()).select_from(BrowserSession)) or 0


async def test_the_right_password_opens_a_session_and_leads_on(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units)

    answer = await sign_in(client, next="/votes?open=1")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/votes?open=1"
    assert answer.headers["cache-control"] == "no-store"
    assert await sessions_of(units) == 1


async def test_a_verified_address_signs_in_as_well(client: httpx.AsyncClient, units: Units) -> None:
    await register(units, email="ada@example.org")

    assert (await sign_in(client, "Ada@Example.org")).status_code == 303


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units)

    line = cookie_of(await sign_in(client)).lower()

    assert "httponly" in line
    assert "samesite=lax" in line
    assert "path=/" in line
    assert "domain" not in line


@pytest.mark.parametrize(
    "away",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example"],
)
async def test_nobody_is_led_away_by_a_parameter(client: httpx.AsyncClient, units: Units, away: str) -> None:
    await register(units)

    assert (await sign_in(client, next=away)).headers["location"] == "/account"


async def test_a_wrong_password_keeps_the_name_and_never_the_secret(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units)

    answer = await sign_in(client, password=WRONG)

    assert answer.status_code == 400
    assert 'value="ada"' in answer.text
    assert WRONG not in answer.text
    assert 'id="password-error"' in answer.text
    assert "error-summary" in answer.text
    assert "session=" not in str(answer.headers)


async def test_what_is_missing_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sign-in", data={})

    assert answer.status_code == 400
    assert 'id="name-error"' in answer.text
    assert 'id="password-error"' in answer.text


async def test_an_unknown_account_gets_the_very_same_answer(client: httpx.AsyncClient, units: Units) -> None:
    await register(units, "grace")

    known = await sign_in(client, "grace", WRONG)
    unknown = await sign_in(client, "nobod", WRONG)

    assert known.status_code == unknown.status_code
    assert known.text.replace("grace", "-") == unknown.text.replace("nobod", "-")
    assert dict(known.headers) == dict(unknown.headers)


async def test_an_unknown_account_costs_the_same_time(client: httpx.AsyncClient, units: Units) -> None:
    digest = await passwords.Hasher(1).digest(PASSWORD)
    account = await register(units, "grace")
    async with units.open() as work:
        account = await work.session.merge(account)
        account.password_digest = digest
    took: dict[str, list[float]] = {"grace": [], "nobod": []}

    for _ in range(9):
        for name, seconds in took.items():
            # Processor time, of all threads: what else the machine is busy with does not count.
            begun = time.process_time()
            await sign_in(client, name, WRONG)
            seconds.append(time.process_time() - begun)

    assert 0.75 < statistics.median(took["grace"]) / statistics.median(took["nobod"]) < 1.33


async def test_a_session_planted_by_somebody_else_is_never_adopted(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units)
    client.cookies.set("session", "planted")

    line = cookie_of(await sign_in(client))

    assert "planted" not in line


async def test_signing_in_again_ends_the_session_before(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)
    before = client.cookies["session"]

    answer = await sign_in(client)

    assert cookie_of(answer) != before
    assert await sessions_of(units) == 1


async def test_who_is_signed_in_goes_straight_on(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)

    answer = await client.get("/sign-in", params={"next": "/books"})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/books"


async def test_who_must_prove_it_again_is_asked(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)

    answer = await client.get("/sign-in", params={"next": "/account/security", "reauthenticate": "yes"})

    assert answer.status_code == 200
    assert 'value="ada"' in answer.text


async def test_signing_out_ends_the_session(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)

    answer = await client.post("/sign-out")

    assert answer.status_code == 303
    assert 'session=""' in cookie_of(answer) or "session=;" in cookie_of(answer)
    assert await sessions_of(units) == 0


async def test_another_site_can_neither_sign_in_nor_out(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    for path in ("/sign-in", "/sign-up", "/sign-out"):
        assert (await client.post(path, headers=foreign)).status_code == 403
    assert await sessions_of(units) == 1


async def test_guessing_is_stopped_and_says_until_when(client: httpx.AsyncClient, units: Units) -> None:
    await register(units)

    answers = [await sign_in(client, password=WRONG) for _ in range(throttle.SIGN_IN_HERE.times + 1)]

    assert [answer.status_code for answer in answers] == [400] * throttle.SIGN_IN_HERE.times + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 900


async def test_guessing_at_nobody_is_stopped_alike(client: httpx.AsyncClient) -> None:
    answers = [await sign_in(client, "nobody_", WRONG) for _ in range(throttle.SIGN_IN_HERE.times + 1)]

    assert answers[-1].status_code == 429


async def test_guessing_at_one_account_leaves_others_alone(client: httpx.AsyncClient, units: Units) -> None:
    await register(units, "ada")
    await register(units, "grace")
    for _ in range(throttle.SIGN_IN_HERE.times + 1):
        await sign_in(client, password=WRONG)

    assert (await sign_in(client, "grace")).status_code == 303


async def test_the_limit_ends_when_it_said(
    client: httpx.AsyncClient, units: Units, clock: FixedClock
) -> None:
    await register(units)
    for _ in range(throttle.SIGN_IN_HERE.times * 3):
        await sign_in(client, password=WRONG)

    clock.advance(throttle.SIGN_IN_HERE.window)

    assert (await sign_in(client)).status_code == 303


async def test_strangers_who_guess_cannot_shut_the_owner_out(client: httpx.AsyncClient, units: Units) -> None:
    await register(units)
    await sign_in(client)
    mark = client.cookies["known"]
    await client.post("/sign-out")
    client.cookies.clear()
    for _ in range(throttle.SIGN_IN_HERE.times + 1):
        await sign_in(client, password=WRONG)

    client.cookies.set("known", mark)

    assert (await sign_in(client)).status_code == 303


async def test_a_mark_of_another_account_gives_no_more_guesses(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units, "ada")
    await register(units, "grace")
    await sign_in(client, "grace")
    client.cookies.delete("session")

    answers = [await sign_in(client, password=WRONG) for _ in range(throttle.SIGN_IN_HERE.times + 1)]

    assert answers[-1].status_code == 429


async def test_guesses_do_not_end_sessions(client: httpx.AsyncClient, units: Units) -> None:
    account = await register(units)
    for _ in range(throttle.SIGN_IN_HERE.times + 1):
        await sign_in(client, password=WRONG)
    await signed_in(client, units, account)

    assert (await client.get("/sign-in")).headers["location"] == "/account"


async def test_getting_it_right_forgives_what_went_wrong_before(
    client: httpx.AsyncClient, units: Units
) -> None:
    await register(units)
    for _ in range(3):
        for _ in range(throttle.SIGN_IN_HERE.times - 1):
            await sign_in(client, password=WRONG)
        assert (await sign_in(client)).status_code == 303
        client.cookies.clear()


@pytest.mark.parametrize("limit", [IDLE, ABSOLUTE])
async def test_a_session_ends_by_itself(
    client: httpx.AsyncClient, units: Units, clock: FixedClock, limit: timedelta
) -> None:
    await signed_in_client(client, units)
    if limit is ABSOLUTE:
        for _ in range(12):
            clock.advance(timedelta(days=7))
            assert (await client.get("/sign-in")).status_code == 303
        clock.advance(timedelta(days=6))
    else:
        clock.advance(IDLE)

    assert (await client.get("/sign-in")).status_code == 200


async def test_a_locked_account_is_told_so_only_with_the_right_password(
    client: httpx.AsyncClient, units: Units
) -> None:
    account = await register(units)
    async with units.open() as work:
        (await work.session.merge(account)).locked_at = work.wall

    assert (await sign_in(client, password=WRONG)).status_code == 400
    assert (await sign_in(client)).json()["code"] == "account_locked"


async def test_a_page_asks_the_database_once_who_is_there(client: httpx.AsyncClient, units: Units) -> None:
    await signed_in_client(client, units)

    with said_to(units) as said:
        await client.get("/sign-in")

    assert len([s for s in said if "browser_sessions" in s]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"name=ada&password=%ff%fe",
        b"name=%00&password=x",
        b"name=ada&name=eve&password=x",
        b"name=ada&password=%ED%A0%80",
        b"name=" + b"a" * 5000,
        b"surprise=1",
        b"&" * 20000,
    ],
)
async def test_hostile_input_gets_a_clear_refusal(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(
        "/sign-in", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert answer.status_code == 400


async def test_what_people_type_stays_text(client: httpx.AsyncClient) -> None:
    answer = await sign_in(client, "true", "123456789012345")

    assert re.search(r'value="true"', answer.text)


async def test_no_form_is_remembered_with_the_password_in_it(client: httpx.AsyncClient, units: Units) -> None:
    await register(units)

    await sign_in(client)

    assert parse_url_encoded_form_data.cache_info().currsize == 0


async def test_signing_in_takes_few_statements(client: httpx.AsyncClient, units: Units) -> None:
    await register(units)

    with said_to(units) as said:
        assert (await sign_in(client)).status_code == 303

    told_the_time = [statement for statement in said if "clock_offset" in statement]
    counted = [statement for statement in said if "attempts" in statement]
    rest = [statement for statement in said if statement not in told_the_time + counted]
    assert [statement.split()[0] for statement in counted] == ["INSERT", "DELETE", "UPDATE"]
    assert [statement.split()[0] for statement in rest] == ["SELECT", "SELECT", "INSERT"]


async def test_password_managers_find_where_to_change_a_password(client: httpx.AsyncClient) -> None:
    answer = await client.get("/.well-known/change-password")

    assert (answer.status_code, answer.headers["location"]) == (303, "/account/security/password")
