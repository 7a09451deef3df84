import msgspec
import pytest

from coop.settings import Settings
from tests.till import sandbox, till

__all__ = ["sandbox", "till"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the cooperative a bank account."""
    return msgspec.structs.replace(settings, bank_account="US64 0000 1234", bank_holder="Commons")
