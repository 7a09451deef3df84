import msgspec
import pytest

from coop.settings import Settings
from tests.till import sandbox, till

__all__ = ["sandbox", "till"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Charge VAT, which leaves rows of its own."""
    return msgspec.structs.replace(settings, vat_rates="2300 from 2020-01-01", vat_number="PL5260001246")
