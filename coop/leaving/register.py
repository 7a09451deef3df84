"""Everything that is held about people, joined from what each package registers."""

from sqlalchemy import false

import coop.authorization.personal
import coop.billing.personal
import coop.governance.personal
import coop.identity.personal
import coop.ledger.personal
import coop.membership.personal
import coop.networks.personal
import coop.sponsorship.personal
import coop.stewardship.personal
from coop.leaving.erasures import Erasure
from coop.mail import MailboxLetter
from coop.outbox import OutboxMessage, addressed_to, speaks_of
from coop.personal import Apart, Held, Registered, Why

# A link in a letter may sign in, and a steward may be the one who exports.
_WAITING: dict[str, Why] = {
    "payload": "secret",
    "dedupe_key": "inner",
    "lease": "inner",
    "leased_until": "inner",
}

GROUND: Registered = (
    Held(
        table=Erasure,
        of=lambda person: Erasure.account_id == person.account_id,
        stays="proof that it was asked for and done, which leads to nobody",
        withheld={"paused": "inner"},
    ),
    Held(
        table=OutboxMessage,
        called="letters_waiting",
        of=lambda person: addressed_to(person.email) if person.email else false(),
        withheld=_WAITING,
    ),
    Held(
        table=OutboxMessage,
        called="announcements_waiting",
        of=lambda person: speaks_of(person.account_id),
        stays="it is carried out within moments, and then empty",
        withheld=_WAITING,
    ),
    Held(
        table=MailboxLetter,
        called="letters",
        of=lambda person: MailboxLetter.recipient == person.email if person.email else false(),
        withheld={"body": "secret", "key": "inner"},
    ),
)

REGISTERED: Registered = (
    *coop.identity.personal.HELD,
    *coop.membership.personal.HELD,
    *coop.billing.personal.HELD,
    *coop.ledger.personal.HELD,
    *coop.sponsorship.personal.HELD,
    *coop.networks.personal.HELD,
    *coop.authorization.personal.HELD,
    *coop.governance.personal.HELD,
    *coop.stewardship.personal.HELD,
    *GROUND,
)

HELD: tuple[Held, ...] = tuple(one for one in REGISTERED if isinstance(one, Held))
APART: tuple[Apart, ...] = tuple(one for one in REGISTERED if isinstance(one, Apart))
