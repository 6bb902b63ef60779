"""Clustering and shots against scikit-learn."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import v_measure_score

from nearfar.evaluation.protocols import Features, clustering, shots
from nearfar.evaluation.protocols.few_labels import draws
from nearfar.vectors import kmeans
from nearfar.vectors.basics import unit


def blobs(n=200, d=10, classes=4, seed=0, spread=1.0):
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, d)) * 2
    y = draw.integers(0, classes, n)
    return Features((centres[y] + spread * draw.normal(size=(n, d))).astype(np.float32), y, classes)


def test_clustering_is_k_means_of_the_test_rows():
    train, test = blobs(), blobs(seed=1, spread=2.5)
    found = clustering.measure(train, test, seed=2)
    for start, value in enumerate(found["draws"]):
        own = KMeans(4, n_init=1, random_state=20 + start).fit_predict(unit(test.x))
        assert value == pytest.approx(v_measure_score(test.y, own))
    assert found["mean"] == pytest.approx(np.mean(found["draws"]))
    assert found["std"] == pytest.approx(np.std(found["draws"], ddof=1))
    assert found == clustering.measure(blobs(30, seed=7), test, seed=2)
    assert found["mean"] > found["chance"] + 0.1
    noise = Features(np.random.default_rng(0).normal(size=(400, 10)).astype(np.float32), np.arange(400) % 4, 4)
    lost = clustering.measure(train, noise)
    assert lost["mean"] == pytest.approx(lost["chance"], abs=0.02)


def test_clustering_of_apart_equal_and_many_rows(monkeypatch, recwarn):
    apart = Features(np.repeat(np.eye(4, dtype=np.float32), 20, 0), np.repeat(np.arange(4), 20), 6)
    found = clustering.measure(apart, apart)
    assert found["mean"] == pytest.approx(1)
    assert found["settings"]["clusters"] == 4  # of the six, those that the rows have
    collapsed = Features(np.ones((40, 3), np.float32), np.arange(40) % 4, 4)
    assert clustering.measure(apart, collapsed)["mean"] == pytest.approx(0)
    assert not recwarn.list
    monkeypatch.setattr(kmeans, "EXACT", 50)
    assert "MiniBatch" in clustering.measure(apart, apart)["settings"]["algorithm"]
    assert clustering.measure(apart, blobs(spread=0.3))["mean"] > 0.8


def test_shots_equal_scikit_learn_on_the_same_draws():
    train, test = (blobs(300, d=5, classes=3, seed=s, spread=3) for s in (0, 1))
    found = shots.measure(train, test, seed=1)
    assert set(found) == {"8", "16"}
    for count, value in found.items():
        assert len(value["draws"]) == 10
        assert value["settings"]["labelled_rows"] == 3 * int(count)
        for accuracy, rows in zip(value["draws"], shots_rows(train, int(count), 1), strict=True):
            model = LogisticRegression(tol=1e-6, max_iter=500).fit(unit(train.x[rows].astype(float)), train.y[rows])
            assert accuracy == pytest.approx(model.score(unit(test.x), test.y), abs=0.01)
    assert found["16"]["mean"] > found["8"]["mean"]


def shots_rows(train, count, seed):
    chosen = draws(train.y, train.classes, count, seed, 10)
    assert all(np.bincount(train.y[rows]).tolist() == [count] * train.classes for rows in chosen)
    return chosen


def test_a_rare_class_gives_the_shots_it_has():
    train = blobs(100)
    rare = Features(train.x, np.where(np.arange(100) < 3, 3, train.y % 3), 5)  # three rows of class 3, none of class 4
    found = shots.measure(rare, rare)
    assert found["8"]["settings"]["labelled_rows"] == 3 * 8 + 3
    assert np.isfinite(found["16"]["mean"])
