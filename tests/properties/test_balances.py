from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coop import ledger
from coop.ledger import DEFERRED_DUES, POOL, RESERVED, STRIPE_PENDING, checks, credit, debit
from coop.money import Money
from coop.unit_of_work import UnitOfWork, Units

# What can happen to the pool: debited, credited.
MOVES = {
    "sponsor": (STRIPE_PENDING, POOL),
    "reserve": (POOL, RESERVED),
    "release": (RESERVED, POOL),
    "spend": (RESERVED, DEFERRED_DUES),
    "grant": (POOL, DEFERRED_DUES),
}
histories = st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(1, 5000)), max_size=15)


async def move(work: UnitOfWork, what: str, amount: int) -> bool:
    source, target = MOVES[what]
    try:
        await ledger.post(
            work,
            source="property",
            external_id=uuid4().hex,
            description=what,
            postings=[debit(source, Money(amount)), credit(target, Money(amount))],
        )
    except ledger.NotEnough:
        return False
    return True


async def standing(work: UnitOfWork) -> dict[str, int]:
    return {name: (await ledger.balance(work, name)).minor for name in (POOL, RESERVED)}


# One database serves all examples, as it does in life: each begins where the one before has ended.
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories)
async def test_whatever_happens_the_pool_is_what_its_postings_say_and_never_below_zero(
    units: Units, history: list[tuple[str, int]]
) -> None:
    async with units.open() as work:
        expected = await standing(work)
        for what, amount in history:
            source, target = MOVES[what]
            affordable = source not in expected or expected[source] >= amount
            assert await move(work, what, amount) is affordable
            if affordable:
                for name, change in ((source, -amount), (target, amount)):
                    if name in expected:
                        expected[name] += change
        assert await standing(work) == expected

    async with units.snapshot() as work:
        report = await checks.run(work)
    wrong = {check.name for check in report.checks if not check.ok}
    # This history names no policy; the rest must hold.
    assert wrong <= {"policy_named"}
