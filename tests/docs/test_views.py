"""The pages about views say what the code and the JSON say."""

import json
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


def test_results_say_what_the_json_says(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import pages_pictures
    import pages_views

    assert (ROOT / "docs/results/views.md").read_text(encoding="utf-8") == pages_views.views()
    assert (ROOT / "docs/results/pictures.md").read_text(encoding="utf-8") == pages_pictures.page()


def test_the_figures_that_were_asked_are_met():
    found = json.loads((ROOT / "docs/results/speed/views.json").read_text(encoding="utf-8"))
    for size in found["sizes"].values():
        assert size["ratio"]["torchvision per image"]["ratio"] >= size["asked_of_torchvision"]
        assert size["ratio"]["best batched peer"]["ratio"] > 1
    assert found["step"]["share"] <= found["step"]["asked"]
