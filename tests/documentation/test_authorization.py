from pathlib import Path

import pytest

from coop.authorization import claims, clients, discovery, requests, scopes
from coop.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "authorization.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("scope", scopes.KNOWN)
def test_every_scope_is_documented(scope: str) -> None:
    assert f"| `{scope}` |" in TEXT


@pytest.mark.parametrize("claim", claims.SUPPORTED)
def test_every_claim_is_documented(claim: str) -> None:
    assert f"`{claim}`" in TEXT


@pytest.mark.parametrize(
    "word", [*requests.PROMPTS, *clients.AUTH_METHODS, *clients.GRANT_TYPES, *clients.SIGNING_ALGORITHMS]
)
def test_every_choice_of_the_protocol_is_documented(word: str) -> None:
    assert f"`{word}`" in TEXT


@pytest.mark.parametrize(
    "address",
    [
        str(v)
        for k, v in discovery.metadata(Settings(demo=True)).items()
        if k.endswith(("_endpoint", "jwks_uri"))
    ],
)
def test_every_endpoint_is_documented(address: str) -> None:
    assert f"`{address.removeprefix('http://127.0.0.1:8000')}`" in TEXT
