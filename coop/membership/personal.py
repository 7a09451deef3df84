"""What membership holds about a person: their years, their household, and the organisation they stand for."""

from sqlalchemy import select

from coop.membership.households import Household, HouseholdInvitation, HouseholdMember
from coop.membership.obstacles import Obstacle
from coop.membership.organisations import Organisation
from coop.membership.renewal import RenewalNotice
from coop.membership.terms import Member, Term
from coop.personal import Held, Registered

_REGISTER = "the books of a year need it, and it names nobody any more"


HELD: Registered = (
    Held(table=Member, of=lambda person: Member.account_id == person.account_id, stays=_REGISTER),
    Held(table=Term, of=lambda person: Term.account_id == person.account_id, stays=_REGISTER),
    Held(
        table=RenewalNotice,
        of=lambda person: RenewalNotice.term_id.in_(
            select(Term.id).where(Term.account_id == person.account_id)
        ),
        stays=_REGISTER,
    ),
    Held(
        table=Obstacle,
        of=lambda person: Obstacle.account_id == person.account_id,
        stays="it goes with what it waits for, such as the end of a dispute",
    ),
    Held(
        table=HouseholdInvitation,
        of=lambda person: HouseholdInvitation.household_id.in_(
            select(Household.id).where(Household.payer_id == person.account_id)
        ),
        withheld={"digest": "secret"},
    ),
    Held(table=HouseholdMember, of=lambda person: HouseholdMember.account_id == person.account_id),
    Held(
        table=Household,
        of=lambda person: Household.id.in_(
            select(HouseholdMember.household_id).where(HouseholdMember.account_id == person.account_id)
        ),
        stays="it is the others' as well; whoever is gone pays for nobody, and is in none",
    ),
    Held(table=Organisation, of=lambda person: Organisation.account_id == person.account_id),
)
