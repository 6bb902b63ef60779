"""The marked places of the pages hold what the JSON in docs/results says, and what is made of it."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))
import tables  # noqa: E402

PAGES = [str(page.relative_to(tables.DOCS)) for page in tables.pages()]


def test_all_pages_of_results_have_marked_places():
    assert {str(p.relative_to(tables.DOCS)) for p in (tables.ROOT).glob("*.md")} <= set(PAGES)
    assert {"align.md", "classify.md", "losses.md", "reliability.md", "several.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_the_json_says(page):
    text = (tables.DOCS / page).read_text(encoding="utf-8")
    assert tables.filled(text) == text
    assert text.count("<!-- json: ") == text.count("<!-- /json -->")
    assert text.count("<!-- made: ") == text.count("<!-- /made -->")


def test_another_value_is_filled_in():
    text = "of <!-- json: several/digits.json#train_rows|, -->7<!-- /json --> rows"
    rows = json.loads((tables.ROOT / "several" / "digits.json").read_text())["train_rows"]
    assert tables.filled(text) == text.replace(">7<", f">{rows:,}<")


def test_the_figures_in_the_package_are_the_measured_ones():
    from pages import methods

    assert json.loads(methods.FIGURES.read_text()) == methods.figures()
