"""Endings: whatever ends a session, or an account, ends what it opened on networks and tells them.

Identity announces the end by an event, in the transaction that brings it about, so that no way of ending can be forgotten:
the worker hands it to the listeners here. Pages that have just ended something call the same verbs themselves, so that no
token outlives their answer. All of them may be said twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

from coop.authorization import consents, grants, notices
from coop.identity import sessions
from coop.identity.accounts import AccountErased, AccountLocked
from coop.identity.sessions import CredentialsChanged, SessionEnded
from coop.membership.events import MembershipEnded
from coop.outbox import Event
from coop.unit_of_work import UnitOfWork


async def of_sessions(work: UnitOfWork, ended: Sequence[SessionEnded]) -> None:
    """End what was granted in sessions that have just ended, but for offline access, and tell the clients."""
    for each in ended:
        await grants.end_with_session(work, each.session_id)
        await notices.of_session(work, each.account_id, each.session_id)


async def of_credentials(
    work: UnitOfWork, account_id: UUID, *, at: datetime, kept: UUID | None = None
) -> None:
    """End all that was granted by then, offline access included, but in the session in which the change was made.

    Whoever changes a password or removes a passkey may be shutting somebody out who holds a refresh token.
    """
    await grants.revoke_before(work, account_id, at, kept=kept)
    await notices.of_sessions_before(work, account_id, at, kept=kept)


async def of_account(work: UnitOfWork, account_id: UUID) -> None:
    """End everything of an account that was locked or erased, and tell every client of it."""
    # Unannounced: each client is told of the whole account, not of one session after the other.
    await sessions.end_all(work, account_id, announced=False)
    await grants.revoke_before(work, account_id, work.wall, kept=None)
    for client, _ in await consents.of_account(work, account_id):
        await notices.of_client(work, client, account_id)


async def of_membership(work: UnitOfWork, account_id: UUID) -> None:
    """Have those networks sign somebody out who is no member any more that look at memberships at sign-in only.

    What was granted stays, so that whoever joins again finds all as it was.
    """
    for client, _ in await consents.of_account(work, account_id):
        if client.ends_with_membership or client.members_only:
            await notices.of_client(work, client, account_id)


async def session_ended(work: UnitOfWork, event: Event) -> None:
    """Listen to ended sessions."""
    if isinstance(event, SessionEnded):
        await of_sessions(work, [event])


async def credentials_changed(work: UnitOfWork, event: Event) -> None:
    """Listen to changed passwords and removed passkeys."""
    if isinstance(event, CredentialsChanged):
        await of_credentials(work, event.account_id, at=event.at, kept=event.kept)


async def account_shut(work: UnitOfWork, event: Event) -> None:
    """Listen to locks and erasures."""
    if isinstance(event, AccountLocked | AccountErased):
        await of_account(work, event.account_id)


async def membership_ended(work: UnitOfWork, event: Event) -> None:
    """Listen to memberships that end."""
    if isinstance(event, MembershipEnded):
        await of_membership(work, event.account_id)


handlers: dict[type[Event], Callable[[UnitOfWork, Event], Awaitable[None]]] = {
    SessionEnded: session_ended,
    CredentialsChanged: credentials_changed,
    AccountErased: account_shut,
    AccountLocked: account_shut,
    MembershipEnded: membership_ended,
}
