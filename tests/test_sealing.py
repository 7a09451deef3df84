import pytest
from cryptography.exceptions import InvalidTag

from coop import sealing
from coop.settings import BadSettings, Settings

SETTINGS = Settings(demo=True, secret_key="5e" * 32)


def test_what_was_sealed_opens_beside_what_it_was_bound_to() -> None:
    sealed = sealing.seal(SETTINGS, "keys", b"private", bound_to=b"kid")

    assert b"private" not in sealed
    assert sealing.unseal(SETTINGS, "keys", sealed, bound_to=b"kid") == b"private"


@pytest.mark.parametrize(
    ("settings", "purpose", "bound_to"),
    [
        (Settings(demo=True, secret_key="5f" * 32), "keys", b"kid"),
        (SETTINGS, "another purpose", b"kid"),
        (SETTINGS, "keys", b"another kid"),
    ],
)
def test_nothing_else_opens_it(settings: Settings, purpose: str, bound_to: bytes) -> None:
    sealed = sealing.seal(SETTINGS, "keys", b"private", bound_to=b"kid")

    with pytest.raises(InvalidTag):
        sealing.unseal(settings, purpose, sealed, bound_to=bound_to)


def test_without_a_secret_key_nothing_is_sealed() -> None:
    with pytest.raises(BadSettings, match="coop init"):
        sealing.seal(Settings(demo=True), "keys", b"private", bound_to=b"kid")
