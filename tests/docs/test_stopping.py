"""docs/results/stopping.md says what the JSON says, and what it chose is what trainings choose by."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT.parents[1] / "benchmarks"))
    from pages import stopping

    return stopping


def test_what_trainings_choose_by_is_nearest_to_the_figures_with_labels(pages):
    found = pages.tables.read("stopping")
    chosen, *others = pages.CANDIDATES.values()
    for name in pages.FIGURES:
        best = float(pages.correlation(found, chosen, name))
        assert all(best >= float(pages.correlation(found, other, name)) for other in others), name


def test_of_every_training_that_must_go_wrong_something_is_said():
    files = sorted((ROOT / "stopping" / "planted").glob("*.json"))
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))
        assert found["said"], file.name
