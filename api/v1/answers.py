"""What the JSON API answers: closed structs, from which its OpenAPI document is made."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from coop.authorization import recipes
from coop.policies import Document

MOST_SUBJECTS = 1_000

SubjectText = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="A member's pairwise subject on the asking network: the `sub` of its ID Tokens.",
        examples=["rSVNNTkCdb0pv5AaB7_a-V-nr--BiqGPu2t6i9aT1pE"],
    ),
]


class EntitlementAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All that a network may know of a membership. It has one shape for everybody, whoever paid and whoever is unknown."""

    subject: SubjectText
    membership: Annotated[Literal["active", "none"], Meta(description="Grace counts as active.")]
    membership_until: Annotated[
        date | None,
        Meta(
            description="The last day of the month in which the membership ends if nothing is renewed.",
            examples=["2027-03-31"],
        ),
    ]
    entitlements: Annotated[
        tuple[str, ...], Meta(description="What the membership opens.", examples=[["ad-free"]])
    ]
    groups: Annotated[
        tuple[str, ...],
        Meta(description="The groups that tokens carry as well.", examples=[["coop-members"]]),
    ]


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The subjects that a network asks about at once."""

    subjects: Annotated[
        tuple[SubjectText, ...],
        Meta(
            min_length=1,
            max_length=MOST_SUBJECTS,
            examples=[["rSVNNTkCdb0pv5AaB7_a-V-nr--BiqGPu2t6i9aT1pE"]],
        ),
    ]


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer for each subject, in the order in which they were asked."""

    entitlements: tuple[EntitlementAnswer, ...]


class NetworkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A network that people can join."""

    slug: Annotated[str, Meta(examples=["blue-lagoon"])]
    name: Annotated[str, Meta(examples=["Blue Lagoon"])]
    kind: Annotated[str, Meta(description="Its software, or `own`.", examples=["mastodon"])]
    origin: Annotated[str, Meta(examples=["https://social.example"])]
    registered_at: datetime
    covenant_version: Annotated[
        int | None, Meta(description="The newest version of the covenant that it has signed.", examples=[1])
    ]


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """The networks of the cooperative, by name."""

    networks: tuple[NetworkAnswer, ...]


_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PORT = r"(?::[1-9][0-9]{0,3})?"


class NewNetwork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network that is to be plugged in."""

    kind: Annotated[
        str,
        Meta(
            description="Its software; `own` with a `callback` for any that has no recipe.",
            extra_json_schema={"enum": list(recipes.KINDS)},
        ),
    ]
    name: Annotated[
        str,
        Meta(
            description="What people call it.",
            # Every letter and digit of any script, and a little punctuation.
            pattern=r"^\w[\w .,'&()+-]{0,79}$",
            examples=["Blue Lagoon"],
        ),
    ]
    slug: Annotated[
        str,
        Meta(
            description="Its short name, in addresses and commands.",
            pattern=r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$",
            examples=["blue-lagoon"],
        ),
    ]
    origin: Annotated[
        str,
        Meta(
            description="Where it lives; it can be plugged in once.",
            pattern=f"^https://{_HOST}{_PORT}$",
            max_length=255,
            examples=["https://social.example"],
        ),
    ]
    callback: Annotated[
        Annotated[str, Meta(pattern=r"^/[A-Za-z0-9._~/?=&%:@+-]*$", max_length=200)] | None,
        Meta(description="The path at which it receives people back, where the kind does not say."),
    ] = None
    webhook: Annotated[
        Annotated[str, Meta(pattern=f"^https://{_HOST}{_PORT}/[A-Za-z0-9._~/-]*$", max_length=400)] | None,
        Meta(description="Where it wants to be told when a membership begins or ends."),
    ] = None
    members_only: Annotated[
        bool, Meta(description="Whether nobody but members are sent back to it, signed in.")
    ] = False


class PluggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A network that was plugged in. Its secrets are told this once."""

    network: NetworkAnswer
    issuer: Annotated[str, Meta(examples=["https://members.example"])]
    client_id: UUID
    client_secret: Annotated[str, Meta(examples=["coop_cs_SHOWN-ONCE"])]
    auth_method: Annotated[
        Literal["client_secret_basic", "client_secret_post"],
        Meta(description="How its software proves itself at the token endpoint."),
    ]
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    backchannel_logout_uri: str | None
    scope: str
    webhook_secret: Annotated[
        str | None, Meta(description="By which it verifies what it is told, if it wants to be told.")
    ]
    configuration: Annotated[
        str, Meta(description="What its software must be told, ready to paste: Markdown with fenced blocks.")
    ]


class PolicyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one kind of law."""

    id: UUID
    number: int
    act: Annotated[
        str, Meta(description="`founding`, `motion:<id>` or `emergency:<id>`.", examples=["founding"])
    ]
    adopted_at: datetime
    effective_at: datetime
    hash: Annotated[
        str, Meta(description="SHA-256 over document, number and the predecessor's hash, as canonical JSON.")
    ]
    replaces: Annotated[str | None, Meta(description="The predecessor's hash.")]
    document: Document


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of law: what is in force, and every version there has been or will be, the oldest first."""

    kind: Annotated[str, Meta(examples=["dues"])]
    in_force: UUID
    versions: tuple[PolicyAnswer, ...]


class MotionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A motion as everybody may read it. While it is open nothing is counted."""

    id: UUID
    title: str
    text: str
    state: str
    motion_class: str
    kind: Annotated[str | None, Meta(description="The kind of law it would change, if any.")]
    opened_at: datetime | None
    closes_at: datetime | None
    effective_at: datetime | None
    roll_size: int | None
    quorum: int | None
    votes_for: int | None
    votes_against: int | None
    abstained: int | None
    verdict: str | None


class Motions(msgspec.Struct, frozen=True, kw_only=True):
    """The motions that were put to the members, the latest first."""

    motions: tuple[MotionAnswer, ...]


def entitlement_schema() -> bytes:
    """Return the JSON Schema of the entitlement answer, as docs/schemas keeps it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(EntitlementAnswer))) + b"\n"
