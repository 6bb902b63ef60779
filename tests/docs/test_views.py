"""The pages about views say what the code and the JSON say."""

from pathlib import Path

import pytest

from nearfar.transforms.recipe import kinds
from nearfar.transforms.recipes import RECIPES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/views.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_described(name):
    assert f"\n| `{name}` |" in PAGE


@pytest.mark.parametrize("name", kinds())
def test_every_transform_is_described(name):
    assert f"\n| `{name}` | {kinds()[name].kind} |" in PAGE
