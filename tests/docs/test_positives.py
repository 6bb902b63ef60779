"""The page of results says what the JSON says."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_written_from_the_json(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import pages_positives

    assert (ROOT / "docs/results/positives.md").read_text() == pages_positives.page()
