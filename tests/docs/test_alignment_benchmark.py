"""The test that benchmarks/align.py makes, and alignment by lengths."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, "align", raising=False)
    import align

    yield align
    sys.modules.pop("align", None)


def test_merged_and_left_out_as_said(bench):
    for seed in range(3):
        whole = bench.cut(1000, 0.0, np.random.default_rng(seed))
        assert [s for row in whole for s in row] == list(range(1000))
        assert len(whole) == 1000 - 100
        rows = bench.cut(1000, 0.05, np.random.default_rng(seed))
        assert len(rows) == 900 - 45
        assert set(rows) < set(whole)
        assert rows == sorted(rows)
    assert bench.cut(1000, 0.05, np.random.default_rng(0)) != bench.cut(1000, 0.05, np.random.default_rng(1))


def test_swaps_move_rows_by_one(bench):
    rows = [(k,) for k in range(200)]
    moved = bench.swapped(rows, 0.1, np.random.default_rng(0))
    by = np.array([r[0] for r in moved]) - np.arange(200)
    assert sorted(moved) == rows
    assert (np.abs(by) <= 1).all()
    assert (by != 0).sum() == 40
    assert bench.swapped(rows, 0.0, np.random.default_rng(0)) == rows


def test_what_belongs_together(bench):
    left = [(0,), (1, 2), (3,), (4,), (6, 7), (8,), (10,)]
    right = [(0,), (1,), (2, 3), (5,), (7,), (10,), (8,)]
    assert sorted(bench.truth(left, right), key=lambda p: (p[0] or (3.5,), p[1])) == [
        ((0,), (0,)), ((1, 2), (1, 2)), ((3,), ()), ((), (3,)), ((4,), (4,)), ((5,), (6,)), ((6,), (5,)),
    ]  # fmt: skip


def test_lengths_are_priced_as_in_the_paper(bench):
    from scipy.stats import norm

    for a, b, prior in ((50, 61, 0.89), (50, 0, 0.0099), (0, 7, 0.0099), (120, 119, 0.089)):
        delta = (a * 1.1 - b) / np.sqrt(6.8 * (a + b / 1.1) / 2)
        expected = -np.log(2 * norm.sf(abs(delta))) - np.log(prior)
        assert bench.surprise(np.array([a]), np.array([b]), 1.1, prior)[0] == pytest.approx(expected)


def test_lengths_alone_find_merged_and_left_out_rows(bench):
    draw = np.random.default_rng(0)
    left = ["x" * n for n in draw.integers(20, 200, 80)]
    right = [*left[:10], left[10] + left[11], *left[12:40], *left[41:]]
    found = bench.gale_church(left, right)
    true = [((i,), (i,)) for i in range(10)] + [((10, 11), (10,))] + [((i,), (i - 1,)) for i in range(12, 40)]
    true += [((40,), ())] + [((i,), (i - 2,)) for i in range(41, 80)]
    assert bench.evaluate(found, true)["strict"]["f1"] > 0.9
    assert ((10, 11), (10,)) in found


def test_both_conditions_are_measured(bench):
    words = np.random.default_rng(0).normal(size=(150, 64))
    pairs = tuple([f"{k}" for k in range(150)] for _ in range(2))

    def encode(side, texts):
        return np.array([words[[int(w) for w in t.split()]].sum(0) for t in texts])

    found = bench.measure(pairs, encode, [0, 1])
    assert list(found) == list(bench.CONDITIONS)
    assert len(found["in order"]["truth"]) == 2
    results = found["in order"]["results"]
    assert set(results) == {"lengths (Gale and Church)", *(f"{w}, skip {s}" for w in ("vectors added", "joined text encoded")
                                                           for s in bench.SKIPS)}  # fmt: skip
    best = results["vectors added, skip auto"]["strict"]
    assert best["f1"]["mean"] == pytest.approx(np.mean(best["f1"]["by_seed"]))
    assert best["recall"]["by_seed"] == [a / b for a, b in zip(best["recalled"]["by_seed"], best["true"]["by_seed"])]
    assert best["f1"]["mean"] > 0.9
    assert found["swapped"]["results"]["vectors added, skip auto"]["strict"]["f1"]["mean"] < best["f1"]["mean"] - 0.1
    assert results["joined text encoded, skip auto"]["strict"]["f1"]["mean"] > 0.9
    assert list(bench.measure(pairs, None, [0])["in order"]["results"]) == ["lengths (Gale and Church)"]


def test_one_file_or_two(bench, tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "both.csv").write_text('en,de\n"a, b",c\nd,"e\nf"\ng,h\n')
    parquet.write_table(pa.table({"de": ["c", "e"]}), tmp_path / "de.parquet")
    assert bench.sentences([tmp_path / "both.csv"], ["en", "de"], 2) == (["a, b", "d"], ["c", "e\nf"])
    assert bench.sentences([tmp_path / "both.csv", tmp_path / "de.parquet"], ["en", "de"], 2) == (
        ["a, b", "d"],
        ["c", "e"],
    )
    with pytest.raises(bench.DataError, match="3 and 2 rows"):
        bench.sentences([tmp_path / "both.csv", tmp_path / "de.parquet"], ["en", "de"])
    with pytest.raises(bench.UnknownName, match="fr"):
        bench.sentences([tmp_path / "both.csv"], ["en", "fr"])
