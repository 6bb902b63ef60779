"""Protocols against references, intervals, leakage, and the JSON form."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nearfar.core.errors import DataError, UnknownName
from nearfar.core.registry import PROTOCOLS
from nearfar.data.histories import TRAIN, of_lists
from nearfar.data.read import read
from nearfar.evaluation import evaluate, floors
from nearfar.evaluation.protocols import Features, Ranked, Sides, Streams, few_labels, linear_probe
from nearfar.evaluation.protocols import knn as knn_protocol
from nearfar.training import train
from nearfar.vectors import geometry, knn
from nearfar.vectors.basics import standardised
from nearfar.vectors.intervals import paired, wilson
from nearfar.vectors.logistic import Problem


def blobs(n=300, d=12, classes=4, seed=0, spread=2.0):
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, d)) * 1.5
    y = draw.integers(0, classes, n)
    return Features((centres[y] + spread * draw.normal(size=(n, d))).astype(np.float32), y, classes)


def slow_knn(train, test, k, tau):
    """Votes of Wu et al. 2018, section 3.4, row by row; the nearest row weighs 1."""
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    out = []
    for q in unit(test.x.astype(np.float64)):
        s = unit(train.x.astype(np.float64)) @ q
        near = np.argsort(-s)[:k]
        votes = np.zeros(train.classes)
        for i in near:
            votes[train.y[i]] += 1.0 if tau is None else np.exp((s[i] - s.max()) / tau)
        out.append(votes)
    return np.array(out)


@pytest.mark.parametrize(("k", "tau"), [(20, 0.07), (50, 0.1), (10, None)])
def test_knn(k, tau):
    train, test = blobs(), blobs(60, seed=1)
    fast = knn.votes(train.x, train.y, test.x, 4, k, tau).numpy()
    assert fast == pytest.approx(slow_knn(train, test, k, tau), rel=1e-4, abs=1e-5)
    few = Features(train.x[:5], train.y[:5], 4)
    assert knn_protocol.measure(few, test)["settings"]["k"] == 5


def test_linear_probe_equals_scikit_learn():
    train, test = blobs(), blobs(200, seed=1)
    x, t = standardised(train.x, test.x)
    for c in (0.01, 1.0, 100.0):
        ours = Problem(x, train.y, 4).solve(c).weights
        theirs = LogisticRegression(C=c, tol=1e-8, max_iter=2000).fit(x.astype(np.float64), train.y)
        assert linear_probe.accuracy(ours, t, theirs.predict(t)) >= 0.99

        def loss(w, b, c=c):
            s = x @ w + b
            s = s - s.max(1, keepdims=True)
            nll = np.log(np.exp(s).sum(1)) - s[np.arange(len(x)), train.y]
            return nll.mean() + (w**2).sum() / (2 * c * len(x))

        a = loss(ours[:-1].numpy(), ours[-1].numpy())
        b = loss(theirs.coef_.T, theirs.intercept_)
        assert a == pytest.approx(b, rel=1e-4)


def test_test_labels_decide_nothing():
    train, test = blobs(), blobs(100, seed=1)
    shuffled = Features(test.x, np.random.default_rng(0).permutation(test.y), 4)
    a, b = linear_probe.measure(train, test), linear_probe.measure(train, shuffled)
    assert a["settings"]["C"] == b["settings"]["C"]
    assert a["settings"]["accuracy there"] == b["settings"]["accuracy there"]


def test_few_labels_draws_are_balanced_and_shared():
    train, test = blobs(), blobs(100, seed=1)
    for rows in few_labels.draws(train.y, 4, 5, 0):
        assert np.bincount(train.y[rows]).tolist() == [5] * 4
    a, b = (few_labels.draws(train.y, 4, 2, 0) for _ in range(2))
    assert all((x == y).all() for x, y in zip(a, b, strict=True))
    found = few_labels.measure(train, test)
    assert set(found) == {"1", "2", "5", "10"}
    assert len(found["1"]["draws"]) == 20
    assert found["10"]["mean"] > found["1"]["mean"]
    rare = Features(train.x[:60], np.where(np.arange(60) < 3, 0, 1 + train.y[:60] % 3), 4)
    assert set(few_labels.measure(rare, test)) <= {"1", "2"}


def test_intervals():
    low, high = wilson(90, 100)
    assert (round(low, 3), round(high, 3)) == (0.826, 0.945)
    assert wilson(0, 10)[0] == 0
    d = paired(np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.5, 0.6]))
    assert d["mean"] == pytest.approx(0.1)
    assert d["interval"][0] == pytest.approx(0.1, abs=1e-6)


def test_geometry_of_known_shapes():
    draw = np.random.default_rng(0)
    flat = draw.normal(size=(400, 1)) @ draw.normal(size=(1, 20))
    full = draw.normal(size=(400, 20))
    assert geometry.describe(flat.astype(np.float32))["effective_rank"] == pytest.approx(1, abs=0.05)
    assert geometry.describe(full.astype(np.float32))["effective_rank"] > 19
    assert geometry.describe(np.ones((50, 8), np.float32))["mean_cosine"] == pytest.approx(1)


def test_broken_features_are_a_sentence():
    with pytest.raises(DataError, match="not finite"):
        Features(np.full((3, 2), np.nan, np.float32), np.zeros(3, np.int64), 1)


@pytest.fixture(scope="module")
def model(digits):
    from tests.conftest import TINY

    return train.train(digits, **TINY).model


def test_the_json_form(model, digits):
    evaluation = evaluate.evaluate(model, digits | {"train": tuple(a[:60] for a in digits["train"])})
    stored = evaluation.as_dict()
    assert stored["schema"] == 1
    assert stored["verb"] == "eval"
    result = stored["results"][0]
    for protocol in ("knn", "linear_probe"):
        assert set(result[protocol]) >= {"accuracy", "interval", "settings"}
        low, high = result[protocol]["interval"]
        assert low <= result[protocol]["accuracy"] <= high
    assert set(result["knn"]["settings"]) >= {"k", "temperature", "metric"}
    assert set(result["floors"]) == {"raw_input", "untrained_encoder", "majority"}
    assert result["few_labels"]["1"]["above"]["raw_input"]["draws"] == 20
    text = evaluation.table()
    for word in ("raw input", "untrained encoder", "majority class", "linear probe", "200 test rows"):
        assert word in text
    assert stored["data"]["test_rows"] == 200


def test_without_labels_only_the_geometry(model, digits):
    evaluation = evaluate.evaluate(model, digits["test"][0])
    assert "geometry" in evaluation.results[0]
    assert "knn" not in evaluation.results[0]
    assert any("no labels" in w for w in evaluation.warnings)
    assert evaluation.table()


def test_side_by_side_and_protocols_by_name(model, digits):
    evaluation = evaluate.evaluate([model, model], digits, protocols=["knn"], floors=False)
    assert len(evaluation.results) == 2
    with pytest.raises(UnknownName, match="'knn'"):
        evaluate.evaluate(model, digits, protocols=["knm"])


def test_duplicates_across_splits_are_counted(model, digits):
    images, labels = digits["train"]
    data = {"train": (images, labels), "test": (images[:50], labels[:50])}
    evaluation = evaluate.evaluate(model, data, protocols=["knn"], floors=False)
    assert evaluation.data["duplicates"] == 50
    assert any("byte for byte" in w for w in evaluation.warnings)


def test_untrained_floor_has_the_same_architecture_and_other_weights(model, digits):
    table = read(digits)
    fresh = floors.untrained(model, table, np.arange(200))
    own, other = model.branches.state_dict(), fresh.branches.state_dict()
    assert own.keys() == other.keys()
    assert any((own[k] != other[k]).any() for k in own if "weight" in k)
    assert np.isfinite(fresh.features(table.first, np.arange(20))).all()


def test_every_protocol_is_measured_the_same_way():
    train, test = blobs(), blobs(80, seed=3)
    draw, n = np.random.default_rng(0), 20
    read = replace(test, prompts=draw.normal(size=(test.classes, test.x.shape[1])).astype(np.float32))
    x, y = draw.normal(size=(2, n, 6)).astype(np.float32)
    sides = Sides(x, y, np.arange(n), np.arange(n), ("a", "b"), score=draw.normal(size=n), label=np.arange(n) % 2)
    users = of_lists([["a", "b"], ["b"]], ["a", "b", "c"])
    ranked = Ranked(users.of(TRAIN), of_lists([["c"], ["a"]], users.items), np.ones(3), lambda h: np.eye(3)[: len(h)])
    start = np.arange(0, 40, 4)
    stream = Streams(draw.normal(size=10), np.zeros(10, np.int64), start, start + 8, [(np.arange(48) > 30).astype(np.int64)])
    for name in PROTOCOLS:
        protocol = PROTOCOLS.get(name)
        assert protocol.TITLE
        assert protocol.TAKES in ("labels", "named labels", "pairs", "scored pairs", "labelled pairs", "histories", "streams")
        what = (train, read) if protocol.TAKES.endswith("labels") else (sides,)
        what = {"histories": (ranked,), "streams": (stream,)}.get(protocol.TAKES, what)
        found = protocol.measure(*what, seed=0)
        assert found
        json.dumps(found, allow_nan=False)
        assert "settings" in json.dumps(found)


def test_classes_that_only_the_test_rows_have(model, digits):
    images, labels = digits["train"]
    some = labels < 8
    data = {"train": (images[some], labels[some]), "test": digits["test"]}
    evaluation = evaluate.evaluate(model, data, protocols=["knn"], floors=False)
    assert any("without training rows" in w for w in evaluation.warnings)


@pytest.mark.parametrize("side", [16, 32, 33, 40, 48, 63, 64, 65, 100])
def test_pixels_are_averaged_by_area_down_to_32(side):
    """Each of the pixels that remain is the mean over its share of the picture, part pixels by their part."""
    from nearfar.modalities.image import image

    values = np.random.default_rng(0).integers(0, 256, (2, 3, side, side), np.uint8)
    found, count = image.raw_features(values, {"size": side, "channels": 3}), min(side, 32)
    assert found.shape == (2, 3 * count * count)
    fine = values.repeat(count, 2).repeat(count, 3) / 255  # so fine that areas are whole numbers of pixels
    expected = fine.reshape(2, 3, count, side, count, side).mean((3, 5)).reshape(2, -1)
    assert found == pytest.approx(expected, abs=1e-5)
