"""A working cooperative for tests: founded, its books open."""

from coop import policies
from coop.unit_of_work import Units


async def found(units: Units) -> None:
    """Give the test's database its founding law and open books."""
    async with units.open() as work:
        await policies.found(work)
