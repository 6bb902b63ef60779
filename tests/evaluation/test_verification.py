"""Verification against scikit-learn's ROC curve, and where its figures are known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import Features
from nearfar.evaluation.protocols import verification as v


def people(rows=240, count=8, spread=1.5):
    draw = np.random.default_rng(0)
    y = draw.integers(0, count, rows)
    x = draw.normal(size=(count, 12))[y] + spread * draw.normal(size=(rows, 12))
    return Features(x.astype(np.float32), y, count)


def of(test):
    return v.measure(test, test)


def test_as_scikit_learn(monkeypatch):
    monkeypatch.setattr(v, "TILE", 100)
    test = people()
    found = of(test)
    unit = test.x / np.linalg.norm(test.x, axis=1, keepdims=True)
    i, j = np.triu_indices(len(test.y), 1)
    truth, score = test.y[i] == test.y[j], (unit @ unit.T)[i, j]
    assert found["auc"] == pytest.approx(roc_auc_score(truth, score), abs=1e-4)
    false, true, _ = roc_curve(truth, score, drop_intermediate=False)
    at = np.argmin(np.abs(false - (1 - true)))
    assert found["eer"] == pytest.approx((false[at] + 1 - true[at]) / 2, abs=1e-3)
    assert found["true_accepts"] == pytest.approx(np.interp(0.01, false, true), abs=2e-3)
    assert found["settings"]["genuine"] == truth.sum()
    low, high = found["auc_interval"]
    assert low < found["auc"] < high < 1


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_a_collapsed_embedding_is_chance(scale):
    y = np.arange(40) % 4
    x = np.tile(np.random.default_rng(0).normal(size=(1, 64)), (40, 1)).astype(np.float32) * scale
    found = of(Features(x, y, 4))
    assert found["auc"] == 0.5
    assert found["eer"] == 0.5


def test_perfect_and_reversed():
    x = np.array([[1, 0.01], [1, 0], [0, 1], [0.01, 1]], np.float32)
    found = of(Features(x, np.array([0, 0, 1, 1]), 2))
    assert (found["eer"], found["auc"]) == (0.0, 1.0)
    found = of(Features(x, np.array([0, 1, 0, 1]), 2))
    assert found["auc"] < 0.5 < found["eer"]


@pytest.mark.parametrize(("y", "said"), [([0, 0, 0], "different labels"), ([0, 1, 2], "rows of one label")])
def test_pairs_of_one_kind_are_refused(y, said):
    with pytest.raises(DataError, match=said):
        of(Features(np.eye(3, dtype=np.float32), np.array(y), 3))


def test_the_interval_covers():
    """Of 12 samples of 80 rows, nearly all intervals hold the area of 3,000 rows."""
    whole, inside = people(rows=3000), 0
    truth = of(whole)["auc"]
    for seed in range(12):
        some = np.random.default_rng(seed).permutation(3000)[:80]
        low, high = of(Features(whole.x[some], whole.y[some], 8))["auc_interval"]
        inside += low <= truth <= high
    assert inside >= 10
