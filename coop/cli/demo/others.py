"""Those of the demo who do not pay for one year, by themselves and at once: a household, an organisation, one by instalments."""

from functools import partial
from typing import TYPE_CHECKING

from coop.cli.demo.people import Person
from coop.membership import households, organisations

if TYPE_CHECKING:
    from coop.cli.demo.life import Life

PAYER = Person("lotte_brandt", joins=590, habit="yearly")
HOUSEHOLD = (
    PAYER,
    Person("finn_brandt", joins=591, habit="yearly"),
    Person("mira_brandt", joins=592, habit="yearly"),
)
ORGANISATION = Person("oxbow_library", joins=640, habit="generous")
BY_INSTALMENTS = Person("tariq", joins=520, habit="yearly")
EVERYBODY = (*HOUSEHOLD, ORGANISATION, BY_INSTALMENTS)

PAYS_FOR_ITS_YEAR = 10000
PAYS_EACH = 2500
"""For each person's year, in cents."""


def called() -> dict[str, str]:
    """Return what the demo says of those that somebody may want to sign in as."""
    return {
        PAYER.handle: "pays for a household",
        ORGANISATION.handle: "is an organisation",
        BY_INSTALMENTS.handle: "pays by instalments",
    }


def arrive(life: "Life") -> None:
    """Let them come on their days."""
    for person in EVERYBODY:
        life.on(person.joins, partial(life.open_account, person))
    life.on(HOUSEHOLD[-1].joins + 1, partial(_pay_together, life))
    life.on(ORGANISATION.joins, partial(_join_as_organisation, life))
    life.on(BY_INSTALMENTS.joins, partial(life.pay, BY_INSTALMENTS.handle, PAYS_EACH, instalments=True))


async def _pay_together(life: "Life") -> None:
    """Let the payer invite, the others accept, and one charge begin a year for each."""
    for person in HOUSEHOLD[1:]:
        async with life.units.open() as work:
            invitation = await households.invite(work, life.accounts[PAYER.handle])
            await households.accept(
                work, life.accounts[person.handle], households.code(work.settings, invitation.id)
            )
    await life.pay(PAYER.handle, PAYS_EACH, "household")


async def _join_as_organisation(life: "Life") -> None:
    async with life.units.open() as work:
        await organisations.register(work, life.accounts[ORGANISATION.handle], "Oxbow Library")
    await life.pay(ORGANISATION.handle, PAYS_FOR_ITS_YEAR)
