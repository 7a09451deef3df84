"""The recipes in docs/ are those that the product prints, with example values; `coop network recipe KIND` writes one."""

from pathlib import Path

import pytest

from coop.authorization import recipes
from coop.cli.network import example

FOLDER = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_a_recipe_is_documented_as_it_is_printed(kind: str) -> None:
    assert (FOLDER / f"{kind}.md").read_text(encoding="utf-8") == example(kind)


def test_no_recipe_is_documented_that_is_not_printed() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(recipes.KINDS)


@pytest.mark.parametrize("kind", recipes.KINDS)
def test_a_recipe_is_in_the_guide_with_what_it_promises(kind: str) -> None:
    guide = (FOLDER.parent / "networks.md").read_text(encoding="utf-8")
    recipe = recipes.find(kind)

    assert f"| [{recipe.name}](recipes/{kind}.md) | `{kind}` | {recipe.gate} | {recipe.lapse} |" in guide
