"""What governance announces to other rooms; each is published once, with the fact it reports."""

from uuid import UUID

from coop.outbox import Event


class MotionOpened(Event, frozen=True, kw_only=True, tag=True):
    """A motion was frozen and put to the vote."""

    motion_id: UUID


class MotionClosed(Event, frozen=True, kw_only=True, tag=True):
    """A vote was counted."""

    motion_id: UUID
    carried: bool


class PolicyChanged(Event, frozen=True, kw_only=True, tag=True):
    """A new version of a kind of law is in force, or will be from its date."""

    kind: str
    version_id: UUID
    act: str
