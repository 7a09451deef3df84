"""What webhooks say: thin facts under the network's own subject, from which the network looks the rest up."""

from datetime import datetime
from typing import get_args

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


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing at all: the fact is its type."""


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


class Locked(Payload, frozen=True, kw_only=True, tag="account.locked"):
    """A member's account was locked, since it was taken over or the law demands it; which, is nobody's business."""

    data: Member


class Unlocked(Payload, frozen=True, kw_only=True, tag="account.unlocked"):
    """A lock was lifted; what the member is entitled to now stands in the entitlement answer."""

    data: Member


class Erased(Payload, frozen=True, kw_only=True, tag="account.erased"):
    """A member had their account erased; their subject will never sign in again."""

    data: Member


class CovenantChanged(Payload, frozen=True, kw_only=True, tag="covenant.changed"):
    """The members adopted a new version of the covenant."""

    data: Covenant


class Test(Payload, frozen=True, kw_only=True, tag="endpoint.test"):
    """Somebody who administers the network wants to see whether its endpoint answers."""

    data: Nothing


MemberFact = Linked | Activated | Ended | Locked | Unlocked | Erased
Fact = MemberFact | CovenantChanged | Test
TYPES: tuple[str, ...] = tuple(str(fact.__struct_config__.tag) for fact in get_args(Fact))
TEST = str(Test.__struct_config__.tag)


def schema() -> bytes:
    """Return the JSON Schema of every payload, as docs/schemas keeps it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Fact))) + b"\n"
