"""What governance holds about a person: that they may vote and whether they did, never how; and what they proposed."""

from sqlalchemy import or_

from coop.governance.ballots import Ballot
from coop.governance.motions import Motion, Second
from coop.governance.roll import RollEntry
from coop.personal import Apart, Held, Registered

_RECORD = "the record of votes is public and names nobody"

HELD: Registered = (
    Held(
        table=RollEntry,
        of=lambda person: RollEntry.account_id == person.account_id,
        stays="who may vote is fixed until the decision has taken effect; then the roll is forgotten",
    ),
    Apart(table=Ballot, why="ballots lie apart from their voters"),
    Held(
        table=Motion,
        of=lambda person: or_(
            Motion.proposer_id == person.account_id, Motion.argument_against_by == person.account_id
        ),
        stays=_RECORD,
        withheld={"letters_sent": "inner", "reminded": "inner", "mixed": "inner"},
    ),
    Held(table=Second, of=lambda person: Second.account_id == person.account_id, stays=_RECORD),
)
