"""STS and pair classification against scipy, scikit-learn and plain loops, and their intervals."""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from nearfar.core.errors import DataError
from nearfar.evaluation.protocols import pair_classification, sts
from nearfar.vectors import intervals
from tests.helpers.pairs import related, sides_of

# STS


def scored(n=120, seed=0, digits=None):
    draw = np.random.default_rng(seed)
    left = draw.normal(size=(n, 6))
    noise = draw.random(n)
    right = (1 - noise[:, None]) * left + noise[:, None] * draw.normal(size=(n, 6))
    score = -noise + 0.2 * draw.normal(size=n)
    return sides_of(left, right, score=score if digits is None else score.round(digits))


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_sts_equals_scipy(digits):
    sides = scored(digits=digits)
    cosine = np.array([np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in
                       zip(sides.left.astype(float), sides.right.astype(float), strict=True)])  # fmt: skip
    found = sts.measure(sides)
    assert found["spearman"] == pytest.approx(stats.spearmanr(cosine, sides.score).statistic, abs=1e-9)
    assert found["pearson"]["value"] == pytest.approx(stats.pearsonr(cosine, sides.score).statistic, abs=1e-5)
    low, high = found["interval"]
    assert low < found["spearman"] < high
    assert found == sts.measure(sides)
    assert found["interval"] != sts.measure(sides, seed=1)["interval"]


def test_equal_pairs_are_tied():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(30, 50)).astype(np.float32)
    assert len(np.unique(sides_of(x, 3.7 * x).cosines())) == 1
    y = np.where(np.arange(30)[:, None] < 15, x, draw.normal(size=(30, 50)))
    score = draw.permutation(30).astype(float)
    found = sts.measure(sides_of(x, y, score=score))
    cosine = np.where(np.arange(30) < 15, 1, sides_of(x, y).cosines())
    assert found["spearman"] == pytest.approx(stats.spearmanr(cosine, score).statistic, abs=1e-9)


def test_figures_of_resamples_equal_those_of_repeated_rows():
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=25).round(1), draw.normal(size=25).round(1)
    label = (draw.random(25) < 0.4).astype(int)
    rows = draw.integers(0, 25, (6, 25))
    counts = np.stack([np.bincount(r, minlength=25) for r in rows]).astype(float)
    spearman = sts.correlation(sts.ranks(a, counts), sts.ranks(b, counts), counts)
    pearson = sts.correlation(a, b, counts)
    precision = pair_classification.average_precision(a, label, counts)
    for i, r in enumerate(rows):
        assert spearman[i] == pytest.approx(stats.spearmanr(a[r], b[r]).statistic)
        assert pearson[i] == pytest.approx(stats.pearsonr(a[r], b[r]).statistic)
        assert precision[i] == pytest.approx(average_precision_score(label[r], a[r]))


def test_cosines_that_are_all_equal_order_nothing():
    found = sts.measure(sides_of(np.ones((20, 3)), np.ones((20, 3)), score=np.arange(20.0)))
    assert found["spearman"] == found["pearson"]["value"] == 0
    assert found["interval"] == [0, 0]
    constant = np.full(20, 0.1)  # 0.1 · 20 / 20 is not 0.1 in binary
    assert sts.correlation(constant, np.arange(20.0), np.ones((1, 20))) == 0


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say():
    draw, n, held, widths = np.random.default_rng(0), 50, 0, []
    for trial in range(60):
        x = draw.normal(size=n)
        low, high = intervals.interval(lambda counts, x=x: counts @ x / n, n, trial)
        widths.append((high - low) / (2 * 1.96 * x.std() / np.sqrt(n)))
        held += low < 0 < high
    assert np.mean(widths) == pytest.approx(1, abs=0.03)
    assert 50 <= held < 60


# pair classification


def judged(n=100, seed=0, noise=2.0):
    draw = np.random.default_rng(seed)
    left = draw.normal(size=(n, 6))
    label = (draw.random(n) < 0.3).astype(int)
    right = np.where(label[:, None] == 1, left + noise * draw.normal(size=(n, 6)), draw.normal(size=(n, 6)))
    return sides_of(left, right, label=label)


def test_average_precision_equals_scikit_learn():
    sides = judged()
    found = pair_classification.measure(sides)
    assert found["average_precision"] == pytest.approx(average_precision_score(sides.label, sides.cosines()))
    assert found["interval"][0] < found["average_precision"] < found["interval"][1]
    assert found["chance"] == pytest.approx(sides.label.mean())
    assert "at_threshold" not in found
    signs = sides_of(np.sign(sides.left), np.sign(sides.right), label=sides.label)
    assert len(np.unique(signs.cosines())) < 10
    expected = average_precision_score(signs.label, signs.cosines())
    assert pair_classification.measure(signs)["average_precision"] == pytest.approx(expected)
    flat = pair_classification.measure(sides_of(np.ones((9, 2)), np.ones((9, 2)), label=np.arange(9) % 3 // 2))
    assert flat["average_precision"] == pytest.approx(flat["chance"])


@pytest.mark.parametrize("noise", [0.3, 2.0])
def test_the_threshold_is_chosen_on_the_development_pairs(noise):
    dev, test = judged(60, 1, noise), judged(100, 2, noise)
    values = sorted(set(dev.cosines()))
    cuts = [-2.0, *[(a + b) / 2 for a, b in itertools.pairwise(values)], 2.0]
    accuracy = [((dev.cosines() >= c) == dev.label).mean() for c in cuts]
    threshold = cuts[max(range(len(cuts)), key=lambda i: (accuracy[i], i))]
    found = pair_classification.measure(test, dev=dev)["at_threshold"]
    assert found["settings"]["threshold"] == pytest.approx(threshold)
    assert found["accuracy"] == pytest.approx(((test.cosines() >= threshold) == test.label).mean())
    assert found["majority"] == pytest.approx((test.label == 0).mean())
    other = sides_of(test.left, test.right, label=1 - test.label)
    swapped = pair_classification.measure(other, dev=dev)["at_threshold"]
    assert swapped["settings"]["threshold"] == found["settings"]["threshold"]
    assert swapped["accuracy"] == pytest.approx(1 - found["accuracy"])


def test_a_threshold_may_lie_beyond_all_pairs():
    cosine = np.array([0.9, 0.5, 0.1])
    assert pair_classification.choose(cosine, np.array([0, 0, 1])) > 1
    assert pair_classification.choose(np.array([0.5, 0.5]), np.array([1, 1])) < -1


def test_protocols_say_what_they_miss():
    plain = related()
    with pytest.raises(DataError, match="no scores"):
        sts.measure(plain)
    with pytest.raises(DataError, match="labels of both kinds"):
        pair_classification.measure(plain)
    with pytest.raises(DataError, match="development pairs"):
        pair_classification.measure(judged(), dev=plain)
    one = related(1, score=np.ones(1), label=np.ones(1, int))
    with pytest.raises(DataError, match="all scores are equal"):
        sts.measure(one)
    with pytest.raises(DataError, match="both kinds"):
        pair_classification.measure(one)
