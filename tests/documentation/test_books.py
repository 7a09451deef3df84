from pathlib import Path

import pytest

from coop.billing import checks
from coop.ledger import chart
from coop.unit_of_work import Units

GUIDE = (Path(__file__).parents[2] / "docs" / "books.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", chart.CHART)
def test_every_ledger_account_is_explained(name: str) -> None:
    assert f"`{name}`" in GUIDE


async def test_every_check_is_explained(units: Units) -> None:
    async with units.snapshot() as work:
        report = await checks.run(work)

    assert [check.name for check in report.checks if f"| `{check.name}` |" not in GUIDE] == []
