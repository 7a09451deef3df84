"""Rotation: signing keys take over from one another while logins go on.

A key is published long before it signs, so that clients which keep the JWKS know it in time; and long after it has
signed, so that what it signed last can be verified. Every step is one transaction that guards what it found: any number
of processes may take it at once, and one that is interrupted leaves the step to be taken again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from sqlalchemy import ColumnElement, select, update

from coop.authorization import keys
from coop.authorization.clients import SIGNING_ALGORITHMS
from coop.authorization.keys import PUBLISHED, KeyState, SigningKey
from coop.database import changed
from coop.errors import Refused
from coop.unit_of_work import UnitOfWork, Units

PERIOD = timedelta(days=90)
"""How long a key signs."""
AHEAD = timedelta(hours=24)
"""How long the next one is published before it signs, by the schedule."""
SOONEST = timedelta(minutes=65)
"""The same when somebody commands it; more than the hour for which clients may keep the JWKS."""
OVERLAP = timedelta(hours=2)
"""How long a key is published after it has signed: an hour's ID Token, and as much again for clocks that go wrong."""
LATE = timedelta(days=1)


class RotatedMeanwhile(Refused):
    """Another process changed the keys in the same moment; look at them again."""

    code = "rotated_meanwhile"


@dataclass(frozen=True, slots=True)
class Succession:
    """The living keys of one algorithm."""

    active: SigningKey | None
    next: SigningKey | None

    def lacks_next(self, wall: datetime) -> bool:
        """Tell whether it is time to make the next key known."""
        return self.next is None and (
            self.active is None or self.active.activates_at + PERIOD - AHEAD <= wall
        )

    def is_due(self, wall: datetime) -> bool:
        """Tell whether the next key's time has come."""
        return self.next is not None and self.next.activates_at <= wall


async def rotate_due(units: Units) -> None:
    """Take every step that is due (a recurring job)."""
    await keys.prepare(units)
    async with units.read() as work:
        wall = work.wall
        found = {algorithm: await _succession(work, algorithm) for algorithm in SIGNING_ALGORITHMS}
        leaving = await work.session.scalar(select(SigningKey.kid).where(*_may_retire(wall)).limit(1))
    for algorithm, succession in found.items():
        if succession.lacks_next(wall):
            await _announce(units, algorithm, ahead=AHEAD)
        elif succession.is_due(wall):
            async with units.open() as work:
                await promote(work, algorithm)
    if leaving is not None:
        async with units.open() as work:
            await _retire(work)


async def rotate(units: Units, algorithm: str) -> SigningKey:
    """Have the next key take over as soon as clients can know it; return it with the moment at which it will."""
    async with units.read() as work:
        waiting = (await _succession(work, algorithm)).next
    if waiting is None:
        await _announce(units, algorithm, ahead=SOONEST)
    async with units.open() as work:
        await _hold(work, algorithm)
        following = (await _succession(work, algorithm)).next
        if following is None:
            raise RotatedMeanwhile
        following.activates_at = min(following.activates_at, max(following.created_at + SOONEST, work.wall))
    return following


async def replace(units: Units, algorithm: str) -> str:
    """Put a fresh key in the place of all others at once, since they may be known to a thief; return its identifier.

    What they signed is worth nothing from now on, for clients as soon as they read the JWKS again.
    """
    fresh = await keys.generate(algorithm)
    async with units.open() as work:
        await _hold(work, algorithm)
        await work.session.execute(
            update(SigningKey)
            .where(SigningKey.algorithm == algorithm, SigningKey.state.in_(PUBLISHED))
            .values(state=KeyState.REVOKED, sealed=b"", retires_at=work.wall)
        )
        if not await keys.keep(work, algorithm, fresh, KeyState.ACTIVE, activates_at=work.wall):
            raise RotatedMeanwhile
    return str(fresh.kid)


async def promote(work: UnitOfWork, algorithm: str) -> bool:
    """Let the next key take over if its time has come; of several that try at once, one does."""
    await _hold(work, algorithm)
    following = (await _succession(work, algorithm)).next
    # Whatever the plan was: no client may meet a signature by a key that it could not know.
    if following is None or work.wall < max(following.activates_at, following.created_at + SOONEST):
        return False
    await work.session.execute(
        update(SigningKey)
        .where(SigningKey.algorithm == algorithm, SigningKey.state == KeyState.ACTIVE)
        .values(state=KeyState.PAST, retires_at=work.wall + OVERLAP)
    )
    taken_over = await changed(
        work.session,
        update(SigningKey)
        .where(SigningKey.kid == following.kid, SigningKey.state == KeyState.NEXT)
        .values(state=KeyState.ACTIVE, activates_at=work.wall),
    )
    if not taken_over:
        # Raised, so that the active key stays the active one.
        raise RotatedMeanwhile
    return True


async def listed(work: UnitOfWork) -> Sequence[SigningKey]:
    """Return every key there ever was, by algorithm, the newest first."""
    rows = await work.session.scalars(
        select(SigningKey).order_by(SigningKey.algorithm, SigningKey.created_at.desc(), SigningKey.kid)
    )
    return rows.all()


async def faults(work: UnitOfWork) -> list[str]:
    """Return what is wrong with the keys, in words for whoever runs the service."""
    found = []
    for algorithm in SIGNING_ALGORITHMS:
        succession = await _succession(work, algorithm)
        active = succession.active
        if active is None:
            found.append(f"there is no active {algorithm} key; starting `coop serve` makes one")
            continue
        try:
            keys.opened(work.settings, algorithm, active.kid, active.sealed)
        except InvalidTag:
            found.append(f"the {algorithm} key was sealed under another secret_key; put that one back")
        ends = active.activates_at + PERIOD if succession.next is None else succession.next.activates_at
        if ends + LATE < work.wall:
            found.append(
                f"the {algorithm} key should have been rotated on {ends:%Y-%m-%d}; is a worker running?"
            )
    return found


async def _announce(units: Units, algorithm: str, *, ahead: timedelta) -> None:
    fresh = await keys.generate(algorithm)
    async with units.open() as work:
        # Where another process was quicker, its key is the next one.
        await keys.keep(work, algorithm, fresh, KeyState.NEXT, activates_at=work.wall + ahead)


async def _retire(work: UnitOfWork) -> None:
    """Take keys that signed long ago out of the JWKS, and destroy what signs; the public half still knows old hints."""
    await work.session.execute(
        update(SigningKey).where(*_may_retire(work.wall)).values(state=KeyState.RETIRED, sealed=b"")
    )


def _may_retire(wall: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SigningKey.state == KeyState.PAST, SigningKey.retires_at <= wall


async def _succession(work: UnitOfWork, algorithm: str) -> Succession:
    rows = await work.session.scalars(
        select(SigningKey)
        .where(SigningKey.algorithm == algorithm, SigningKey.state.in_((KeyState.ACTIVE, KeyState.NEXT)))
        .execution_options(populate_existing=True)
    )
    by_state = {row.state: row for row in rows}
    return Succession(by_state.get(KeyState.ACTIVE), by_state.get(KeyState.NEXT))


async def _hold(work: UnitOfWork, algorithm: str) -> None:
    """Let nobody else change the keys of `algorithm` until this unit ends; in one order, so that none waits for ever."""
    await work.session.execute(
        select(SigningKey.kid)
        .where(SigningKey.algorithm == algorithm, SigningKey.state.in_(PUBLISHED))
        .order_by(SigningKey.kid)
        .with_for_update()
    )
