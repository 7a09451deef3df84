"""Accounts and networks, as the tests of this folder need them."""

from uuid import UUID

from coop.fetching import Fetcher
from coop.identity.accounts import Account
from coop.networks import networks, sending
from coop.unit_of_work import Units
from tests.cooperative import adopt_law


async def account(units: Units, handle: str) -> UUID:
    """Make an account."""
    async with units.open() as work:
        made = Account(handle=handle, created_at=work.now)
        work.session.add(made)
    return made.id


async def network(units: Units, name: str = "Lagoon", *, kind: str = "own") -> UUID:
    """Register a network at an address made from its name."""
    async with units.open() as work:
        await adopt_law(work)
        made = await networks.register(
            work, kind=kind, name=name, origin=f"https://{name.lower().replace(' ', '')}.example"
        )
    return made.id


async def deliver(units: Units, fetcher: Fetcher) -> int:
    """Send all that is due, as the worker's errands do, and return how much arrived."""
    return await sending.deliver_quick(units, fetcher) + await sending.deliver_slow(units, fetcher)
