import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(test_\w+)`", TEXT)))
FILES = sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT)) - {"tests/documentation/test_security.py"})


@pytest.fixture(scope="module")
def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_a_clause_names_exists(name: str, sources: str) -> None:
    assert re.search(rf"def {name}\(", sources)


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_a_clause_names_has_tests(name: str) -> None:
    assert "def test_" in (ROOT / name).read_text(encoding="utf-8")
