import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError

from coop.clock import FixedClock
from coop.identity.accounts import Account
from coop.stewardship import approvals, audit, roles
from coop.unit_of_work import Units


@pytest.fixture
async def people(units: Units) -> tuple[UUID, UUID, UUID]:
    """Return a steward, another steward and somebody who is none."""
    async with units.open() as work:
        accounts = [Account(handle=handle, created_at=work.now) for handle in ("ada", "ben", "cyd")]
        work.session.add_all(accounts)
        await work.session.flush()
        for account in accounts[:2]:
            await roles.grant(
                work,
                account.id,
                "steward",
                until=work.now + timedelta(days=365),
                act="founding",
                reason="First stewards",
            )
    return accounts[0].id, accounts[1].id, accounts[2].id


async def test_a_role_is_required_and_found(units: Units, people: tuple[UUID, UUID, UUID]) -> None:
    ada, _, cyd = people
    async with units.read() as work:
        await roles.require(work, ada, "steward", "treasurer")
        with pytest.raises(roles.RoleMissing):
            await roles.require(work, ada, "treasurer")
        with pytest.raises(roles.RoleMissing):
            await roles.require(work, cyd, "steward")


async def test_a_role_expires_by_itself(
    units: Units, clock: FixedClock, people: tuple[UUID, UUID, UUID]
) -> None:
    clock.advance(timedelta(days=365))
    async with units.read() as work:
        assert await roles.held(work, people[0]) == ()
        with pytest.raises(roles.RoleMissing):
            await roles.require(work, people[0], "steward")


async def test_a_role_without_an_end_in_sight_is_refused(
    units: Units, people: tuple[UUID, UUID, UUID]
) -> None:
    async with units.open() as work:
        for until in (work.now, work.now + roles.LONGEST + timedelta(seconds=1)):
            with pytest.raises(roles.BadRole):
                await roles.grant(work, people[2], "auditor", until=until, act="founding", reason="Audit")


async def test_granting_again_replaces_the_running_grant(
    units: Units, people: tuple[UUID, UUID, UUID]
) -> None:
    async with units.open() as work:
        await roles.grant(
            work, people[0], "steward", until=work.now + timedelta(days=9), act="motion:x", reason="Vote"
        )
    async with units.read() as work:
        mine = [role for role in await roles.holders(work) if role.account_id == people[0]]
    assert [role.act for role in mine] == ["motion:x"]


async def test_an_ended_role_is_gone_at_once(units: Units, people: tuple[UUID, UUID, UUID]) -> None:
    async with units.open() as work:
        assert await roles.end(work, people[0], "steward", reason="Stepped down")
        assert not await roles.end(work, people[0], "steward", reason="Stepped down")
        assert await roles.held(work, people[0]) == ()


async def test_nobody_approves_what_they_proposed(units: Units, people: tuple[UUID, UUID, UUID]) -> None:
    ada, ben, cyd = people
    async with units.open() as work:
        proposal = await approvals.propose(
            work, ada, kind="refund", document='{"amount":40000}', role="steward", reason="Charged twice"
        )
        with pytest.raises(approvals.OwnProposal):
            await approvals.approve(work, proposal.id, ada)
        with pytest.raises(roles.RoleMissing):
            await approvals.approve(work, proposal.id, cyd)
        approved = await approvals.approve(work, proposal.id, ben)
        assert (approved.state, approved.decided_by) == ("approved", ben)
        with pytest.raises(approvals.ProposalDecided):
            await approvals.approve(work, proposal.id, ben)


async def test_the_database_itself_refuses_a_one_person_approval(
    units: Units, people: tuple[UUID, UUID, UUID]
) -> None:
    async with units.open() as work:
        proposal = await approvals.propose(
            work, people[0], kind="payout", document="{}", role="steward", reason="March"
        )
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(
                update(approvals.Proposal)
                .where(approvals.Proposal.id == proposal.id)
                .values(state="approved", decided_by=people[0], decided_at=work.now)
            )


async def test_two_stewards_at_once_decide_once(units: Units, people: tuple[UUID, UUID, UUID]) -> None:
    ada, ben, cyd = people
    async with units.open() as work:
        await roles.grant(
            work, cyd, "steward", until=work.now + timedelta(days=1), act="founding", reason="Third"
        )
        proposal = await approvals.propose(
            work, ada, kind="payout", document="{}", role="steward", reason="May"
        )

    async def approve(account_id: UUID) -> bool:
        try:
            async with units.open() as work:
                await approvals.approve(work, proposal.id, account_id)
        except approvals.ProposalDecided:
            return False
        return True

    assert sorted(await asyncio.gather(approve(ben), approve(cyd))) == [False, True]


async def test_a_proposal_lapses(units: Units, clock: FixedClock, people: tuple[UUID, UUID, UUID]) -> None:
    async with units.open() as work:
        proposal = await approvals.propose(
            work, people[0], kind="payout", document="{}", role="steward", reason="May"
        )
    clock.advance(approvals.OPEN_FOR)
    async with units.open() as work:
        assert await approvals.waiting(work) == []
        with pytest.raises(approvals.ProposalDecided):
            await approvals.approve(work, proposal.id, people[1])


async def test_the_log_names_the_act_the_actor_and_the_person_concerned(
    units: Units, people: tuple[UUID, UUID, UUID]
) -> None:
    ada, _, cyd = people
    async with units.open() as work:
        await audit.record(work, act="member.viewed", reason="Asked by\nletter", actor=ada, about=cyd)
    async with units.read() as work:
        entry = (await audit.about(work, cyd))[0]
    assert (entry.act, entry.actor_id, entry.reason) == ("member.viewed", ada, "Asked by letter")


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 501, "nul\x00"])
async def test_no_act_without_a_reason(units: Units, reason: str) -> None:
    async with units.open() as work:
        with pytest.raises(audit.ReasonMissing):
            await audit.record(work, act="member.viewed", reason=reason, actor=None)


@pytest.mark.parametrize("change", ["update", "delete"])
async def test_the_log_is_append_only(units: Units, people: tuple[UUID, UUID, UUID], change: str) -> None:
    assert people
    statement = (
        update(audit.AuditEntry).values(reason="nothing") if change == "update" else delete(audit.AuditEntry)
    )
    with pytest.raises(DBAPIError):
        async with units.open() as work:
            await work.session.execute(statement)
    async with units.read() as work:
        assert await work.session.scalar(select(func.count(audit.AuditEntry.id))) == 2
