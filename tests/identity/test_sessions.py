from datetime import timedelta

import pytest
from sqlalchemy import select

from coop.clock import FixedClock
from coop.identity import browsers, housekeeping, sessions, throttle
from coop.identity.sessions import AccountLocked, SignInAgain
from coop.unit_of_work import Units
from tests.people import cheap_digest, register


async def begun(units: Units, handle: str = "ada") -> tuple[sessions.BrowserSession, str]:
    account = await register(units, handle)
    async with units.open() as work:
        return await sessions.begin(work, account, amr=("pwd",), user_agent="x" * 1000)


async def test_a_session_resumes_by_its_secret_only(units: Units) -> None:
    session, secret = await begun(units)

    async with units.read() as work:
        found = await sessions.resume(work, secret)
        assert found is not None
        assert found[0].id == session.id
        assert await sessions.resume(work, session.digest.hex()) is None
        assert await sessions.resume(work, "") is None


async def test_two_sign_ins_never_share_a_secret(units: Units) -> None:
    _, first = await begun(units)
    _, second = await begun(units, "eve")

    assert first != second
    assert len(first) >= 43


async def test_a_lock_ends_what_is_open(units: Units) -> None:
    session, secret = await begun(units)
    async with units.open() as work:
        found = await sessions.resume(work, secret)
        assert found is not None
        found[1].locked_at = work.wall

    async with units.read() as work:
        assert await sessions.resume(work, secret) is None
    assert session.account_id


async def test_a_password_that_was_changed_meanwhile_opens_nothing(units: Units) -> None:
    account = await register(units)
    async with units.open() as work:
        (await work.session.merge(account)).password_digest = cheap_digest("another")

    async with units.open() as work:
        secret = await sessions.open_for(
            work, account.id, amr=("pwd",), user_agent="", password_digest=account.password_digest
        )
    assert secret is None


async def test_a_locked_account_opens_nothing(units: Units) -> None:
    account = await register(units)
    async with units.open() as work:
        (await work.session.merge(account)).locked_at = work.wall

    with pytest.raises(AccountLocked):
        async with units.open() as work:
            await sessions.open_for(work, account.id, amr=("pwd",), user_agent="")


async def test_one_person_cannot_end_anothers_session(units: Units) -> None:
    session, secret = await begun(units)
    eve = await register(units, "eve")

    async with units.open() as work:
        await sessions.end_own(work, eve.id, session.id)

    async with units.read() as work:
        assert await sessions.resume(work, secret) is not None


def test_what_cannot_be_undone_asks_for_a_recent_sign_in(clock: FixedClock) -> None:
    at = clock.instant
    sessions.require_recent(at, at + sessions.RECENT)

    with pytest.raises(SignInAgain):
        sessions.require_recent(at, at + sessions.RECENT + timedelta(seconds=1))


async def test_what_expired_is_deleted_and_the_rest_stays(units: Units, clock: FixedClock) -> None:
    await begun(units)
    await throttle.admit(units, throttle.SIGN_UP.by("somewhere"))
    clock.advance(sessions.IDLE)
    _, kept = await begun(units, "eve")

    await housekeeping.sweep(units)

    async with units.read() as work:
        assert await sessions.resume(work, kept) is not None
        assert len(list(await work.session.scalars(select(sessions.BrowserSession)))) == 1
        assert list(await work.session.scalars(select(throttle.Attempts))) == []


async def test_a_browsers_mark_serves_its_own_account_only(units: Units) -> None:
    ada, eve = await register(units, "ada"), await register(units, "eve")
    mark = browsers.mark(units.settings, ada.id)

    assert browsers.known(units.settings, mark, ada.id)
    assert browsers.known(units.settings, mark, eve.id) is None
    assert browsers.known(units.settings, mark + "0", ada.id) is None
    assert browsers.known(units.settings, "é.é", ada.id) is None
    assert browsers.known(units.settings, None, ada.id) is None
