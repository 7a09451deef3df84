"""Back-channel logout: each notice is sent to its client as a logout token (OpenID Connect Back-Channel Logout 1.0).

A token is signed anew at each attempt, since it is good for two minutes. Each client is served on its own, a few notices
at once, so that one that answers slowly, or never, delays nobody else. After half an hour nothing more is tried: a logout that
comes hours late serves nobody, and the member's receipt says that it did not arrive.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

import anyio
import structlog
from sqlalchemy import ColumnElement, and_, or_, select, update

from coop.authorization import claims, keys, notices
from coop.authorization.clients import Client
from coop.authorization.notices import LogoutNotice
from coop.errors import CoopError, Unavailable
from coop.fetching import Fetcher
from coop.networks import lanes
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

KIND = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = timedelta(minutes=2)
WINDOW = timedelta(minutes=30)
BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (5, 10, 20, 40, 80, 160, 300))
"""The waits between attempts; the last one again and again, until the window closes."""
BATCH = 8
"""Notices that one client is sent at the same moment."""
LEASE = timedelta(seconds=30)
"""Longer than an attempt can take (`fetching.TOTAL_SECONDS`); a worker that died is presumed dead after this."""
TAKEN = (HTTPStatus.OK, HTTPStatus.NO_CONTENT)

log = structlog.get_logger("coop.backchannel")


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed notice with what its sending needs."""

    id: UUID
    lease: UUID
    attempts: int
    written_at: datetime
    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    status: int | None
    failure: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the client signed the member out."""
        return self.status in TAKEN

    @property
    def final(self) -> bool:
        """Whether there is nothing to be gained by another attempt."""
        return self.taken or self.status == notices.REFUSED


def logout_token(
    settings: Settings, client: Client, notice: LogoutNotice, issued: int, key: tuple[str, bytes]
) -> str:
    """Return the token that asks `client` to sign a member out, by one session or everywhere (section 2.4)."""
    told: dict[str, object] = {
        "iss": settings.issuer,
        "sub": claims.subject(settings, client, notice.account_id),
        "aud": client.client_id,
        "iat": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
        "jti": secrets.token_urlsafe(16),
        "events": {EVENT: {}},
    }
    if notice.session_id is not None:
        told["sid"] = claims.sid(settings, client, notice.session_id)
    return keys.sign_with(settings, client.id_token_algorithm, *key, told, kind=KIND)


async def tell_due(units: Units, fetcher: Fetcher) -> int:
    """Send all notices that are due and return how many were taken; what becomes due meanwhile goes along."""
    return await lanes.serve(partial(_waiting, units), partial(_empty, units, fetcher))


async def _waiting(units: Units, busy: set[UUID], most: int) -> Sequence[UUID]:
    """Return clients with something due, but those that are being served."""
    async with units.read() as work:
        found = await work.session.scalars(
            select(LogoutNotice.client_id)
            .where(_due(work), LogoutNotice.client_id.not_in(busy))
            .distinct()
            .limit(most)
        )
        return found.all()


async def _empty(units: Units, fetcher: Fetcher, client_id: UUID) -> int:
    """Send all that is due to one client, a few at a time."""
    taken = 0

    async def run(errand: Errand) -> None:
        nonlocal taken
        outcome = await _send(fetcher, errand)
        async with units.open() as work:
            await _record(work, errand, outcome)
        taken += outcome.taken

    while errands := await _claim(units, client_id):
        async with anyio.create_task_group() as group:
            for errand in errands:
                group.start_soon(run, errand)
    return taken


async def _claim(units: Units, client_id: UUID) -> list[Errand]:
    async with units.open() as work:
        client = await work.session.get(Client, client_id)
        if client is None:
            return []
        key = (await work.session.execute(keys.active(client.id_token_algorithm))).first()
        if key is None:
            raise Unavailable
        kid, sealed = key
        lease = UUID(bytes=secrets.token_bytes(16))
        candidates = (
            select(LogoutNotice.id)
            .where(LogoutNotice.client_id == client_id, _due(work))
            .order_by(LogoutNotice.created_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = await work.session.scalars(
            update(LogoutNotice)
            .where(LogoutNotice.id.in_(candidates.scalar_subquery()))
            .values(lease=lease, leased_until=work.wall + LEASE, attempts=LogoutNotice.attempts + 1)
            .returning(LogoutNotice)
        )
        claimed = rows.all()
        url = client.backchannel_logout_uri
        if url is None:
            # The client does not want to be told any more.
            for notice in claimed:
                notice.due_at = None
            return []
    # Outside the transaction: an RSA signature takes a millisecond, and SQLite has one writer.
    issued = int(work.wall.timestamp())
    return [
        Errand(
            id=notice.id,
            lease=lease,
            attempts=notice.attempts,
            written_at=notice.created_at,
            url=url,
            token=logout_token(units.settings, client, notice, issued, (kid, sealed)),
        )
        for notice in claimed
    ]


async def _send(fetcher: Fetcher, errand: Errand) -> Outcome:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"logout_token": errand.token}).encode()
    try:
        answer = await fetcher.send("POST", errand.url, body=body, headers=headers)
    except CoopError as refusal:
        return Outcome(None, refusal.code)
    return Outcome(answer.status)


async def _record(work: UnitOfWork, errand: Errand, outcome: Outcome) -> None:
    """Write down how an attempt went, if the claim is still ours."""
    again_at = work.wall + BACK_OFF[min(errand.attempts, len(BACK_OFF)) - 1]
    in_vain = outcome.final or again_at >= errand.written_at + WINDOW
    await work.session.execute(
        update(LogoutNotice)
        .where(LogoutNotice.id == errand.id, LogoutNotice.lease == errand.lease)
        .values(
            due_at=None if in_vain else again_at,
            delivered_at=work.wall if outcome.taken else None,
            lease=None,
            leased_until=None,
            last_status=outcome.status,
            last_failure=outcome.failure,
        )
    )
    if not outcome.taken:
        log.info("sign_out_failed", attempt=errand.attempts, status=outcome.status)


def _due(work: UnitOfWork) -> ColumnElement[bool]:
    free = or_(LogoutNotice.leased_until.is_(None), LogoutNotice.leased_until < work.wall)
    return and_(LogoutNotice.due_at <= work.wall, free)
