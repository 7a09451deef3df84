"""The kinds of law a cooperative lives by, as typed documents with bounds for every field.

Amounts are whole minor units of the home currency, shares are basis points (hundredths of a percent), periods are
days unless the name says hours. A text is Markdown.
"""

from typing import Annotated, ClassVar, Literal, get_args

import msgspec
from msgspec import Meta

from coop.errors import Invalid
from coop.money import WHOLE, Money, vat_within

Amount = Annotated[int, Meta(ge=0, le=1_000_000)]
Days = Annotated[int, Meta(ge=0, le=366)]
BasisPoints = Annotated[int, Meta(ge=0, le=WHOLE)]
Text = Annotated[str, Meta(min_length=200, max_length=60_000, pattern=r"^[^\x00]*$")]


class BadPolicy(Invalid):
    """That cannot become law: a value is out of its bounds."""

    code = "bad_policy"


class Policy(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """A document of law; each subclass is one kind."""

    title: ClassVar[str] = "Policy"

    @classmethod
    def kind(cls) -> str:
        """Return the name under which versions of this kind are kept."""
        return str(cls.__struct_config__.tag)


class Dues(Policy, frozen=True, tag="dues", omit_defaults=True):
    """What a year of membership costs, how it may be paid, and how its end is announced.

    A rule that came later has a default, under which older versions are read. The canonical spelling leaves it out
    while it has that value, so those versions keep the hash under which they became law: a default never changes.
    """

    title: ClassVar[str] = "Dues"

    price: Annotated[int, Meta(ge=100, le=100_000)]
    """What one year costs, whoever pays it."""
    suggested: Annotated[tuple[Amount, ...], Meta(min_length=1, max_length=6)]
    """The amounts that the join page offers; any other may be typed."""
    minimum_card: Annotated[int, Meta(ge=50, le=10_000)]
    """The least that a card is charged; below it, fees would take most."""
    grace_days: Annotated[int, Meta(ge=0, le=180)]
    """How long a membership stays open after its year has ended, unrenewed."""
    notice_days: Annotated[tuple[Annotated[int, Meta(ge=1, le=90)], ...], Meta(min_length=1, max_length=4)]
    """How many days ahead of a year's end the member is told."""
    withdrawal_days: Annotated[int, Meta(ge=14, le=90)]
    """How long a new year can be given back for the whole amount."""
    instalments: Literal[0, 2, 3, 4, 6, 12] = 0
    """Into how many charges a year may be divided: 12 are monthly, 4 quarterly; 0 offers none."""
    household: Annotated[int, Meta(ge=0, le=20)] = 0
    """How many people one of them may pay for at once, who have a vote each; 0 provides for no households."""
    organisation: Amount = 0
    """The least that an organisation pays for a year, which has no vote; 0 provides for no organisations."""

    def __post_init__(self) -> None:
        """Refuse presets in disorder, and a minimum above the price."""
        if list(self.suggested) != sorted(set(self.suggested)):
            raise BadPolicy("Suggested amounts must rise, without repetition.", field="suggested")
        if self.minimum_card > self.price:
            raise BadPolicy("The least card payment cannot exceed the price.", field="minimum_card")
        if list(self.notice_days) != sorted(set(self.notice_days), reverse=True):
            raise BadPolicy("Notices must come nearer to the end, without repetition.", field="notice_days")
        if 0 < self.organisation < self.price:
            raise BadPolicy("Organisations pay the price at least.", field="organisation")

    def instalment(self, amount: int) -> int:
        """Return what one instalment of `amount` is, rounded up; 0 if it cannot be paid so, also when a card is not charged so little."""
        each = -(-amount // self.instalments) if self.instalments else 0
        return each if each >= self.minimum_card else 0


class Pool(Policy, frozen=True, tag="pool"):
    """How the solidarity pool gives places."""

    title: ClassVar[str] = "Solidarity pool"

    order: Literal["first_asked_first_served"]
    """Strictly by the moment of asking; nobody is skipped for a smaller gap."""
    reservation_hours: Annotated[int, Meta(ge=1, le=72)]
    """How long the pool's part is held while a checkout is open."""
    offer_days: Annotated[int, Meta(ge=1, le=30)]
    """How long an offered place waits for its member."""
    reserve_before_end_days: Annotated[int, Meta(ge=1, le=30)]
    """A renewal's gap that is still not covered so many days before the end is not charged; the member queues."""
    credit_days: Annotated[int, Meta(ge=1, le=90)]
    """How long money that arrived too late waits for a place before it is sent back."""
    max_new_places_month: Annotated[int, Meta(ge=0, le=100_000)]
    """The most first places a month: it limits what thousands of free accounts could do."""
    verified_email: bool
    """Whether a first place needs a verified e-mail."""


class Shares(Policy, frozen=True, tag="shares"):
    """Where each dollar of dues goes."""

    title: ClassVar[str] = "Revenue shares"

    networks: BasisPoints
    operations: BasisPoints
    reserve: BasisPoints
    card_fee: BasisPoints
    """What the card processor takes of each payment; operations bears it."""
    card_fee_fixed: Annotated[int, Meta(ge=0, le=1_000)]
    """What the card processor takes besides, for each payment."""
    unused: Literal["common_fund"]
    """Who receives the networks' part of a member who used none in the period."""
    pool_funded_cap: BasisPoints
    """The most of a month's payout to one network that may stem from sponsored years."""
    pool_funded_delay_days: Days
    """How long the networks' part of sponsored years waits before it is paid."""
    minimum_contributors: Annotated[int, Meta(ge=2, le=1_000)]
    """Sums from fewer members are carried forward, so that no statement speaks of one person."""

    def __post_init__(self) -> None:
        """Refuse shares that give away more or less than everything."""
        if self.networks + self.operations + self.reserve != WHOLE:
            raise BadPolicy("The three shares must add up to 10000 basis points (100 %).", field="networks")

    def fee(self, price: int) -> int:
        """Return the card fee on `price`, rounded up, in minor units."""
        return -(-price * self.card_fee // WHOLE) + self.card_fee_fixed if price else 0

    def fees(self, dues: Dues) -> int:
        """Return the card fees on a year at its price, however it is paid: instalments make them dearer."""
        return max(self.fee(dues.price), dues.instalments * self.fee(dues.instalment(dues.price)))

    def covers_fees(self, dues: Dues, *, vat_rate: int = 0) -> bool:
        """Tell whether operations' part of the price, less the VAT in it, pays the card fees on it."""
        net = Money(dues.price) - vat_within(Money(dues.price), vat_rate)
        return net.minor * self.operations // WHOLE >= self.fees(dues)


class Majority(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What part of the votes for and against must be for; `strict` means more than it, not just as much."""

    numerator: Annotated[int, Meta(ge=1, le=100)]
    denominator: Annotated[int, Meta(ge=1, le=100)]
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuse majorities that a minority could reach, or nobody."""
        if not self.denominator <= 2 * self.numerator or self.numerator > self.denominator:
            raise BadPolicy("A majority lies between a half and the whole.")
        if 2 * self.numerator == self.denominator and not self.strict:
            raise BadPolicy("A half is a majority only if it must be exceeded.")
        if self.strict and self.numerator == self.denominator:
            raise BadPolicy("Nobody can exceed the whole.")


class Voting(Policy, frozen=True, tag="voting"):
    """How members decide: one member, one vote."""

    title: ClassVar[str] = "Voting"

    ordinary: Majority
    economic: Majority
    """For dues, pool and shares."""
    constitutional: Majority
    """For the covenant, terms, privacy, voting, admission and expulsions."""
    charter: Majority
    """For the charter's clauses, in two votes."""
    quorum_root: Annotated[int, Meta(ge=0, le=1_000)]
    """Votes for must reach this many hundredths of the square root of the roll …"""
    quorum_share: BasisPoints
    """… and this part of the roll, whichever is more; never more than half of the roll."""
    charter_quorum_share: BasisPoints
    """The part of the roll that must vote for a change of the charter."""
    seconders: Annotated[int, Meta(ge=1, le=100)]
    """How many other members must second a draft."""
    discussion_days: Annotated[int, Meta(ge=1, le=90)]
    voting_days: Annotated[int, Meta(ge=3, le=60)]
    cooling_off_days: Annotated[int, Meta(ge=1, le=90)]
    """Between the count and the day on which a carried motion takes effect."""
    minimum_membership_days: Days
    """How long one must have been a member at the record date to be on the roll."""
    max_growth: BasisPoints
    """A roll that grew by more than this in thirty days postpones the motion."""
    founding_until_members: Annotated[int, Meta(ge=3, le=10_000)]
    """The founding phase ends for ever once so many members have joined …"""
    founding_days: Annotated[int, Meta(ge=1, le=730)]
    """… or so many days after the founding, whichever comes first."""
    emergency_days: Annotated[int, Meta(ge=1, le=30)]
    """How long an emergency act stands unless a motion ratifies it."""


class Terms(Policy, frozen=True, tag="terms"):
    """The agreement between a member and the cooperative."""

    title: ClassVar[str] = "Terms of membership"

    text: Text
    notice_days: Annotated[int, Meta(ge=30, le=180)]
    """How long before a change members are told of it."""


class Covenant(Policy, frozen=True, tag="covenant"):
    """What every network promises by signature."""

    title: ClassVar[str] = "Covenant of the networks"

    text: Text
    sign_within_days: Annotated[int, Meta(ge=7, le=180)]
    """How long a network has to sign a new version."""


class Privacy(Policy, frozen=True, tag="privacy"):
    """What is held about a member, why, and who sees it."""

    title: ClassVar[str] = "Privacy"

    text: Text
    erasure_days: Annotated[int, Meta(ge=0, le=30)]
    """The cooling-off between asking for erasure and erasure."""


class Admission(Policy, frozen=True, tag="admission"):
    """Who may join, and how."""

    title: ClassVar[str] = "Admission"

    mode: Literal["open", "invitation", "vouching", "manual"]
    minimum_age: Annotated[int, Meta(ge=13, le=21)]
    """In years, by the newcomer's word; no proof is asked for."""
    email_required: bool


Document = Dues | Pool | Shares | Voting | Terms | Covenant | Privacy | Admission
KINDS: dict[str, type[Document]] = {kind.kind(): kind for kind in get_args(Document)}


def values(document: Policy) -> dict[str, object]:
    """Return every rule of `document` by its name, in the order of the law, as plain values."""
    return {name: msgspec.to_builtins(getattr(document, name)) for name in document.__struct_fields__}


def canonical(document: object) -> bytes:
    """Return the one spelling of `document` that is hashed: JSON, keys sorted, no spaces, UTF-8."""
    return msgspec.json.encode(document, order="sorted")


def read(text: bytes | str) -> Document:
    """Return the document that `text` spells, all bounds checked."""
    try:
        document: Document = msgspec.json.decode(text, type=Document)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        if isinstance(error.__cause__, BadPolicy):
            raise error.__cause__ from error
        raise BadPolicy(f"That cannot become law: {error}") from error
    return document


def check(document: Policy) -> None:
    """Refuse a document whose values are out of bounds; constructing one checks only how fields fit together."""
    read(canonical(document))
