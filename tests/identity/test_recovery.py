import re
from datetime import timedelta

import anyio
import msgspec
import pytest
from sqlalchemy import select

from coop.clock import FixedClock
from coop.identity import accounts, links, recovery, sessions, throttle, verification
from coop.identity.accounts import Account
from coop.identity.links import DeadLink
from coop.identity.recovery import RecoveryAsked, WrongCode
from coop.identity.verification import AddressTaken
from coop.mail import Letter
from coop.outbox import OutboxMessage
from coop.unit_of_work import Units
from tests.people import cheap_digest, register

NEW = cheap_digest("seven lanterns over the old harbour")


async def letters(units: Units) -> list[Letter]:
    async with units.read() as work:
        rows = await work.session.scalars(
            select(OutboxMessage.payload).where(OutboxMessage.kind == "Letter").order_by(OutboxMessage.due_at)
        )
        return [msgspec.json.decode(payload, type=Letter) for payload in rows]


def token_in(letter: Letter) -> str:
    found = re.search(r"token=(\S+)", letter.body)
    assert found
    return found[1]


async def asked(units: Units, name: str) -> None:
    async with units.open() as work:
        await recovery.send_link(work, RecoveryAsked(name=name))


async def get(units: Units, account: Account) -> Account:
    async with units.read() as work:
        return await accounts.get(work, account.id)


async def test_a_verified_address_gets_a_way_back_in(units: Units) -> None:
    account = await register(units, email="ada@example.org")
    await asked(units, "Ada")
    (letter,) = await letters(units)

    async with units.open() as work:
        await recovery.by_link(work, token_in(letter), password_digest=NEW)

    assert letter.to == "ada@example.org"
    assert (await get(units, account)).password_digest == NEW


async def test_nobody_else_gets_a_letter(units: Units) -> None:
    await register(units, "ada", email="ada@example.org", verified=False)
    await register(units, "eve")

    for name in ("ada", "ada@example.org", "eve", "nobody", "", "x" * 254):
        await asked(units, name)

    assert await letters(units) == []


async def test_strangers_cannot_fill_a_mailbox(units: Units) -> None:
    await register(units, email="ada@example.org")

    for _ in range(20):
        await asked(units, "ada")

    assert len(await letters(units)) == throttle.LETTERS.times


async def test_a_link_serves_once_and_only_the_last_one_sent(units: Units) -> None:
    await register(units, email="ada@example.org")
    await asked(units, "ada")
    await asked(units, "ada")
    tokens = [token_in(letter) for letter in await letters(units)]
    outcomes: list[str] = []

    async def use(token: str) -> None:
        try:
            async with units.open() as work:
                await recovery.by_link(work, token, password_digest=NEW)
        except DeadLink:
            outcomes.append("dead")
        else:
            outcomes.append("served")

    async with anyio.create_task_group() as group:
        for token in tokens * 5:
            group.start_soon(use, token)

    assert sorted(outcomes) == ["dead"] * 9 + ["served"]


async def test_a_link_expires(units: Units, clock: FixedClock) -> None:
    await register(units, email="ada@example.org")
    await asked(units, "ada")
    (letter,) = await letters(units)

    clock.advance(timedelta(hours=1))

    with pytest.raises(DeadLink):
        async with units.open() as work:
            await recovery.by_link(work, token_in(letter), password_digest=NEW)


async def test_a_link_for_one_purpose_serves_no_other(units: Units) -> None:
    await register(units, email="ada@example.org")
    await asked(units, "ada")
    (letter,) = await letters(units)

    with pytest.raises(DeadLink):
        async with units.open() as work:
            await verification.confirm(work, token_in(letter))


@pytest.mark.parametrize("token", ["", "\0", "\ud800", "x" * 100])
async def test_a_made_up_link_is_dead(units: Units, token: str) -> None:
    async with units.read() as work:
        assert not await links.alive(work, "recover", token)


async def test_a_new_password_ends_the_sessions_opened_with_the_old_one(units: Units) -> None:
    account = await register(units, email="ada@example.org")
    async with units.open() as work:
        _, old = await sessions.begin(work, account, amr=("pwd",), user_agent="")
        here, kept = await sessions.begin(work, account, amr=("pwd",), user_agent="")

    async with units.open() as work:
        await recovery.set_password(work, await accounts.hold(work, account.id), NEW, keep=here.id)

    async with units.read() as work:
        assert await sessions.resume(work, old) is None
        assert await sessions.resume(work, kept) is not None
    assert [letter.to for letter in await letters(units)] == ["ada@example.org"]


async def test_a_new_password_voids_links_that_were_sent(units: Units) -> None:
    account = await register(units, email="ada@example.org")
    await asked(units, "ada")
    (letter,) = await letters(units)

    async with units.open() as work:
        await recovery.set_password(work, await accounts.hold(work, account.id), NEW)

    async with units.read() as work:
        assert not await links.alive(work, "recover", token_in(letter))


async def test_of_twenty_who_use_one_recovery_code_at_once_one_gets_in(units: Units) -> None:
    account = await register(units)
    async with units.open() as work:
        code, *_ = await recovery.renew_codes(work, account.id)
    outcomes: list[str] = []

    async def use() -> None:
        try:
            async with units.open() as work:
                await recovery.by_code(work, account.id, code.upper(), password_digest=NEW)
        except WrongCode:
            outcomes.append("wrong")
        else:
            outcomes.append("in")

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(use)

    assert sorted(outcomes) == ["in"] + ["wrong"] * 19
    async with units.read() as work:
        assert await recovery.codes_left(work, account.id) == 9


async def test_codes_are_ten_and_belong_to_one_account(units: Units) -> None:
    ada, eve = await register(units, "ada"), await register(units, "eve")
    async with units.open() as work:
        codes = await recovery.renew_codes(work, ada.id)

    assert len(set(codes)) == 10
    with pytest.raises(WrongCode):
        async with units.open() as work:
            await recovery.by_code(work, eve.id, codes[0], password_digest=NEW)


async def test_new_codes_replace_the_old(units: Units) -> None:
    account = await register(units)
    async with units.open() as work:
        old, *_ = await recovery.renew_codes(work, account.id)
        await recovery.renew_codes(work, account.id)

    with pytest.raises(WrongCode):
        async with units.open() as work:
            await recovery.by_code(work, account.id, old, password_digest=NEW)


async def test_who_could_be_locked_out_for_good_is_known(units: Units) -> None:
    ada = await register(units, "ada")
    grace = await register(units, "grace", email="grace@example.org")

    async with units.open() as work:
        assert await recovery.lacking(work, ada)
        assert not await recovery.lacking(work, grace)
        await recovery.renew_codes(work, ada.id)
        assert not await recovery.lacking(work, ada)


async def ask_to_verify(units: Units, account: Account, address: str) -> str:
    async with units.open() as work:
        await verification.ask(work, await accounts.hold(work, account.id), address)
    return token_in([letter for letter in await letters(units) if letter.to == address][-1])


async def test_an_address_counts_once_its_link_was_used(units: Units) -> None:
    account = await register(units)
    token = await ask_to_verify(units, account, "ada@example.org")
    assert (await get(units, account)).email_verified_at is None

    async with units.open() as work:
        await verification.confirm(work, token)

    verified = await get(units, account)
    assert verified.email == "ada@example.org"
    assert verified.email_verified_at is not None


async def test_a_new_address_replaces_the_old_only_when_confirmed_and_the_old_one_is_told(
    units: Units,
) -> None:
    account = await register(units, email="old@example.org")
    token = await ask_to_verify(units, account, "new@example.org")
    assert (await get(units, account)).email == "old@example.org"

    async with units.open() as work:
        await verification.confirm(work, token)

    assert (await get(units, account)).email == "new@example.org"
    assert [letter.to for letter in await letters(units)] == ["new@example.org", "old@example.org"]


async def test_of_two_accounts_that_confirm_one_address_one_has_it(units: Units) -> None:
    ada, eve = await register(units, "ada"), await register(units, "eve")
    tokens = [await ask_to_verify(units, account, "one@example.org") for account in (ada, eve)]
    outcomes: list[str] = []

    async def confirm(token: str) -> None:
        try:
            async with units.open() as work:
                await verification.confirm(work, token)
        except AddressTaken:
            outcomes.append("taken")
        else:
            outcomes.append("confirmed")

    async with anyio.create_task_group() as group:
        for token in tokens:
            group.start_soon(confirm, token)

    assert sorted(outcomes) == ["confirmed", "taken"]
