"""What sponsorship holds about a person: the place they asked for, gifts of theirs and to them, and whom they sponsor for.

Giver and receiver do not learn each other's names from here, nor the days by which they could be found.
"""

from sqlalchemy import String, case, cast, literal, or_, select

from coop.membership.terms import Term
from coop.personal import Held, Registered
from coop.sponsorship.gifts import Gift
from coop.sponsorship.institutions import Institution
from coop.sponsorship.places import Place
from coop.sponsorship.pool import Reservation

_BOOKS = "the pool's books need it, and it names nobody any more"

HELD: Registered = (
    Held(
        table=Place,
        of=lambda person: Place.account_id == person.account_id,
        stays=f"{_BOOKS}; a keyed digest of the address, for a year",
        withheld={"address": "secret"},
    ),
    Held(
        table=Reservation,
        of=lambda person: Reservation.key.in_(
            select(literal("place:") + cast(Place.id, String)).where(Place.account_id == person.account_id)
        ),
        stays=_BOOKS,
    ),
    Held(
        table=Gift,
        called="gifts_given",
        of=lambda person: Gift.account_id == person.account_id,
        stays=_BOOKS,
        withheld={
            "digest": "secret",
            "kept_for": "other",
            "term_id": "other",
            "claimed_at": "other",
            "state": "other",
        },
        # Whether its year has begun, or follows one that runs, is the receiver's.
        more={"became": case((Gift.state == "kept", "claimed"), else_=Gift.state)},
    ),
    Held(
        table=Gift,
        called="gifts_received",
        of=lambda person: or_(
            Gift.kept_for == person.account_id,
            Gift.term_id.in_(select(Term.id).where(Term.account_id == person.account_id)),
        ),
        stays=_BOOKS,
        withheld={
            "account_id": "other",
            "digest": "secret",
            "payment_id": "other",
            "bought_at": "other",
            "expires_at": "other",
        },
    ),
    Held(table=Institution, of=lambda person: Institution.account_id == person.account_id),
)
