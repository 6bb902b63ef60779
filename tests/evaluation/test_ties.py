"""Where numbers are equal, neither the order of rows nor that of classes decides: figures are the expected ones."""

import itertools

import numpy as np
import pytest

from nearfar.downstream.classify import selection
from nearfar.evaluation import floors
from nearfar.evaluation.protocols import Features, few_labels, linear_probe
from nearfar.evaluation.protocols import knn as knn_protocol
from nearfar.vectors import knn, rejection
from nearfar.vectors.basics import chosen, right, unit


def few_points(n=60, q=20, points=5, classes=3, seed=0):
    """Rows at so few places that most of them are as near to a query as others, of other classes."""
    draw = np.random.default_rng(seed)
    places = draw.normal(size=(points, 4)).astype(np.float32)
    rows = places[draw.integers(0, points, n)], draw.integers(0, classes, n)
    return *rows, places[draw.integers(0, points, q)], draw.integers(0, classes, q)


@pytest.mark.parametrize("tau", [0.07, None])
def test_votes_are_the_mean_over_all_orders_of_equally_near_rows(tau):
    gallery = np.array([[1, 0], [1, 0.5], [1, 0.5], [1, -0.5], [0, 1]], np.float32)
    y, query, k = np.array([0, 0, 1, 2, 1]), np.array([[1, 0]], np.float32), 2
    cosine = unit(gallery) @ query[0]
    weight = np.ones(5) if tau is None else np.exp((cosine - 1) / tau)
    drawn = []
    for order in itertools.permutations(range(5)):
        near = sorted(order, key=lambda i: -round(float(cosine[i]), 6))[:k]
        drawn.append(np.bincount(y[near], weight[near], minlength=3))
    assert knn.votes(gallery, y, query, 3, k, tau)[0].numpy() == pytest.approx(np.mean(drawn, 0), rel=1e-5)


@pytest.mark.parametrize("k", [1, 3, 20, 60])
def test_knn_depends_on_no_order(k, monkeypatch):
    x, y, q, truth = few_points()
    expected, draw = knn.hits(x, y, q, truth, 3, k, 0.07), np.random.default_rng(1)
    for _ in range(10):
        rows, names, ask = draw.permutation(60), draw.permutation(3), draw.permutation(20)
        found = knn.hits(x[rows], names[y][rows], q[ask], names[truth][ask], 3, k, 0.07)
        assert found == pytest.approx(expected[ask], abs=1e-6)
    monkeypatch.setattr(knn, "CELLS", 1)
    assert knn.hits(x, y, q, truth, 3, k, 0.07) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_collapsed_embedding_scores_the_prior(value):
    y, truth = np.repeat([2, 1, 0], [50, 30, 20]), np.repeat([0, 1, 2], [10, 20, 30])
    flat, asked = np.full((100, 8), value, np.float32), np.full((60, 8), value, np.float32)
    assert knn.votes(flat, y, asked, 3, 20, 0.07).numpy() == pytest.approx(np.tile([4.0, 6.0, 10.0], (60, 1)), rel=1e-5)
    assert knn_protocol.measure(Features(flat, y, 3), Features(asked, truth, 3))["accuracy"] == 0.5
    even = np.arange(60) % 3
    assert knn_protocol.measure(Features(flat[:60], even, 3), Features(asked, truth, 3))["accuracy"] == pytest.approx(
        1 / 3
    )
    for names in itertools.permutations(range(3)):
        again = np.array(names)[even]
        assert knn_protocol.measure(Features(flat[:60], again, 3), Features(asked, truth, 3))[
            "accuracy"
        ] == pytest.approx(1 / 3)


def test_probes_of_a_collapsed_embedding_score_chance_whatever_class_comes_first():
    """Equally many rows of each class teach nothing, so the largest class of the test rows is no better than another."""
    truth = np.repeat([0, 1, 2], [40, 10, 10])
    train = Features(np.ones((60, 4), np.float32), np.arange(60) % 3, 3)
    for names in itertools.permutations(range(3)):
        test = Features(np.ones((60, 4), np.float32), np.array(names)[truth], 3)
        assert few_labels.measure(train, test)["5"]["mean"] == pytest.approx(1 / 3)
        found = linear_probe.measure(train, test)
        assert found["accuracy"] == pytest.approx(1 / 3)
        assert np.trace(found["confusion"]) / 60 == pytest.approx(found["accuracy"])
        assert floors.majority(train.y, test.y) == pytest.approx(1 / 3)
    tried = selection.candidates(train.x, train.y, 3, cs=(1.0,), k=5)
    assert [c.accuracy for c in tried] == pytest.approx([1 / 3, 1 / 3], abs=0.01)


def test_equal_scores_are_chosen_with_equal_probability():
    scores = np.array([[1.0, 1.0 - 1e-7, 0.5], [-np.inf, 2.0, 1.9], [1e4, 1e4 + 1e-3, 0.0]])
    assert chosen(scores).tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0.5, 0.5, 0]]
    assert right(scores, np.array([1, 1, 2])).tolist() == [0.5, 1, 0]


def test_rows_as_near_as_the_threshold_are_not_refused():
    x = unit(np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32).repeat(40, 0))
    threshold = rejection.threshold(rejection.leave_one_out(x, np.zeros(40, int)), 0.5)
    assert (rejection.to_class(x, np.zeros(40, int), x[:7], np.zeros(7, int)) >= threshold).all()
