"""What webhooks say: thin facts under the network's own subject, from which the network looks the rest up."""

from datetime import datetime

import msgspec


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The member that a fact is about."""

    subject: str
    """The member's pairwise subject on this network: the `sub` of its ID Tokens."""


class Covenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version of the covenant that a fact is about."""

    version: int
    """Its number."""
    url: str
    """Where it can be read."""


class Payload(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """A fact as it is sent; `type` names it (Standard Webhooks)."""

    timestamp: datetime
    """When it is told to this network, which is not quite when it happened."""


class Linked(Payload, frozen=True, kw_only=True, tag="member.linked"):
    """A member began to use this network."""

    data: Member


class Activated(Payload, frozen=True, kw_only=True, tag="membership.activated"):
    """A membership began, or began again."""

    data: Member


class Ended(Payload, frozen=True, kw_only=True, tag="membership.ended"):
    """A membership ended; why is nobody's business."""

    data: Member


class CovenantChanged(Payload, frozen=True, kw_only=True, tag="covenant.changed"):
    """The members adopted a new version of the covenant."""

    data: Covenant


Fact = Linked | Activated | Ended | CovenantChanged
TYPES: tuple[str, ...] = tuple(
    str(fact.__struct_config__.tag) for fact in (Linked, Activated, Ended, CovenantChanged)
)


def schema() -> bytes:
    """Return the JSON Schema of every payload, as docs/schemas keeps it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Fact))) + b"\n"
