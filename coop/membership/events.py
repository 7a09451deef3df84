"""What membership announces to other rooms."""

from datetime import date
from uuid import UUID

from coop.outbox import Event


class MembershipActivated(Event, frozen=True, kw_only=True):
    """An account that was no member has become one; `until` is rounded to the month."""

    account_id: UUID
    until: date


class MembershipEnded(Event, frozen=True, kw_only=True):
    """An account is no member any more; why is nobody's business."""

    account_id: UUID


class TermBegan(Event, frozen=True, kw_only=True):
    """A year of membership was granted, a first one or a renewal, which may lie ahead."""

    account_id: UUID
    term_id: UUID
