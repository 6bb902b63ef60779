"""Classes from labelled vectors: right, calibrated, able to say none of these, kept to the bit."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from nearfar.core import files
from nearfar.core.errors import ConfigError, DataError, RunError, UnknownName
from nearfar.downstream.classify.classifier import Classifier
from nearfar.downstream.classify.selection import FOLDS, TAU, candidates, choose, folds
from nearfar.evaluation.protocols import linear_probe
from nearfar.models.predictions import Predictions, write
from nearfar.vectors import calibration, rejection
from nearfar.vectors.basics import standardised, unit
from nearfar.vectors.logistic import Problem

NAMES = ("a", "b", "c", "d")
CENTRES = np.random.default_rng(99).normal(size=(6, 16)) * 1.5


def blobs(each, classes=4, seed=0, spread=1.0):
    """`each` rows of every class, in mixed order."""
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.repeat(np.arange(classes), each))
    return (CENTRES[y] + spread * draw.normal(size=(len(y), 16))).astype(np.float32), y


def same(a, b):
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Predictions))


# --- being right ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["auto", "logistic", "knn"])
@pytest.mark.parametrize("each", [1, 5, 9])
def test_new_rows_get_their_classes(kind, each):
    (x, y), (new, truth) = blobs(each), blobs(100, seed=1)
    made = Classifier.fit(x, y, NAMES, kind=kind)
    found = made.predict(new)
    assert found.probabilities.shape == (400, 4)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
    assert (found.likeliest == truth).mean() > (0.8 if each == 1 else 0.95)
    assert made.calibrated == (each >= 5)
    said = " ".join(made.notes)
    assert ("not calibrated" in said) == (each < 5)
    assert f"{4 * each} rows of 4 classes, {each} a class" in said
    if each == 1:
        assert made.out_of_fold is None
        assert made.threshold is None
        assert "no class has two rows" in said
    else:
        assert made.out_of_fold["rows"] == 4 * each
        assert f"{made.out_of_fold['accuracy']:.3f}" in said


def test_logistic_regression_equals_scikit_learn():
    (x, y), (new, _) = blobs(5, spread=2.0), blobs(50, seed=1, spread=2.0)
    made = Classifier.fit(x, y, NAMES, kind="logistic")
    assert made.setting == 10
    logits = np.log(made.predict(new).probabilities) * made.temperature
    a, b = (s.astype(np.float64) for s in standardised(x, new))
    theirs = LogisticRegression(C=10, tol=1e-9, max_iter=5000).fit(a, y).decision_function(b)
    np.testing.assert_allclose(logits - logits.mean(1, keepdims=True), theirs, atol=0.05)


def test_knn_equals_scikit_learn():
    (x, y), (new, _) = blobs(30, spread=2.0), blobs(50, seed=1, spread=2.0)
    made = Classifier.fit(x, y, NAMES, kind="knn")
    assert made.setting == 20
    theirs = KNeighborsClassifier(20, weights=lambda d: np.exp(-d / TAU), metric="cosine", algorithm="brute")
    share = theirs.fit(x, y).predict_proba(new)
    d = theirs.kneighbors(new)[0]
    votes = np.exp(-(d - d[:, :1]) / TAU).sum(1, keepdims=True)  # the nearest row's is 1
    logits = np.log((share * votes + 0.25) / (votes + 1)) / made.temperature
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(made.predict(new).probabilities, wanted, atol=1e-4)
    untempered = dataclasses.replace(made, temperature=1.0)
    np.testing.assert_allclose(untempered.predict(new).probabilities, (share * votes + 0.25) / (votes + 1), atol=1e-4)


def test_the_kind_is_chosen_out_of_fold_where_there_are_enough_rows():
    draw = np.random.default_rng(0)
    x = draw.uniform(-1, 1, (300, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)  # opposite quarters: no plane parts them, neighbours do
    made = Classifier.fit(x, y, ("same", "other"))
    assert made.kind == "knn"
    assert "logistic regression" in " ".join(made.notes)
    assert Classifier.fit(x, y, ("same", "other"), kind="logistic").out_of_fold["accuracy"] < 0.7
    few = np.concatenate([np.flatnonzero(y == c)[:3] for c in (0, 1)])
    made = Classifier.fit(x[few], y[few], ("same", "other"))
    assert made.kind == "logistic"
    assert "too few to choose by" in " ".join(made.notes)


def test_many_classes_are_not_given_weights():
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(501), 2)
    x = (np.random.default_rng(1).normal(size=(501, 8))[y] + 0.1 * draw.normal(size=(1002, 8))).astype(np.float32)
    made = Classifier.fit(x, y, [str(i) for i in range(501)])
    assert (made.kind, made.weights) == ("knn", None)
    assert "more than 500 classes" in " ".join(made.notes)
    assert made.out_of_fold["accuracy"] > 0.5


def test_c_is_the_best_one_out_of_fold():
    x, y = blobs(15, spread=3.0)
    fold = folds(y, seed=3)
    accuracy = {}
    for c in linear_probe.CS:
        right = 0
        for f in range(FOLDS):
            a, b = standardised(x[fold != f], x[fold == f])
            right += (fold == f).sum() * linear_probe.accuracy(
                Problem(a, y[fold != f], 4).solve(c).weights, b, y[fold == f]
            )
        accuracy[c] = right / len(y)
    made = Classifier.fit(x, y, NAMES, kind="logistic", seed=3)
    assert accuracy[made.setting] == pytest.approx(max(accuracy.values()), abs=0.02)  # not started from one another
    assert made.out_of_fold["accuracy"] == pytest.approx(accuracy[made.setting], abs=0.02)


def test_folds_hold_their_share_of_every_class_and_leave_one_row_of_each():
    y = np.repeat(np.arange(5), (1, 2, 3, 11, 60))
    fold = folds(y, seed=1)
    assert (fold[y == 0] == -1).all()
    assert (fold[y > 0] >= 0).all()
    for c in range(1, 5):
        counts = np.bincount(fold[y == c], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
        assert all((fold[y == c] != f).any() for f in range(FOLDS))
    assert np.ptp(np.bincount(fold[fold >= 0])) <= 1
    assert (folds(y, seed=1) == fold).all()


def test_a_rare_class_does_not_keep_the_others_from_being_calibrated():
    x, y = blobs(9)
    kept = np.concatenate([np.flatnonzero(y > 0), np.flatnonzero(y == 0)[:1]])
    made = Classifier.fit(x[kept], y[kept], NAMES)
    assert made.calibrated
    assert made.out_of_fold["rows"] == 27


# --- probabilities ----------------------------------------------------------------------------------------------------


def test_calibration_mends_scores_that_are_too_sure():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(4000, 5))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (p.cumsum(1) > draw.uniform(size=(4000, 1))).argmax(1)  # drawn from p, so p is calibrated
    sure = 4 * logits
    t = calibration.temperature(sure[:2000], labels[:2000])
    assert t == pytest.approx(4, rel=0.15)

    def error(z):
        q = np.exp(z - z.max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
        return calibration.calibration_error(q.max(1), q.argmax(1) == labels[2000:])

    assert error(sure[2000:] / t) < 0.05 < 0.2 < error(sure[2000:])


def test_the_temperature_is_that_of_a_grid():
    x, y = blobs(30, spread=3.0)
    logits = (x @ CENTRES[:4].T).astype(np.float64)
    target = np.full((120, 4), 1 / 122 / 3)
    target[np.arange(120), y] = 121 / 122

    def loss(t):
        return -(target * torch.from_numpy(logits / t).log_softmax(1).numpy()).sum(1).mean()

    grid = np.geomspace(0.1, 100, 4000)
    wanted = grid[np.argmin([loss(t) for t in grid])]
    assert calibration.temperature(logits, y) == pytest.approx(wanted, rel=5e-3)


def test_right_rows_do_not_make_probabilities_of_one():
    logits = np.array([[3.0, 0.0]] * 10)
    t = calibration.temperature(logits, np.zeros(10, int))
    p = 1 / (1 + np.exp(-3 / t))
    assert p == pytest.approx(11 / 12, abs=1e-3)


def test_the_calibration_error_is_that_of_a_slow_loop():
    draw = np.random.default_rng(0)
    confidence, right = draw.uniform(size=500), draw.uniform(size=500) < 0.6
    confidence[:3] = 0.0, 1.0, 0.2  # 0.2 ends a bin
    slow = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15) | ((i == 0) & (confidence == 0))
        if inside.any():
            slow += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration.calibration_error(confidence, right) == pytest.approx(slow)
    assert calibration.calibration_error(confidence[:0], right[:0]) == 0


def test_a_classifier_is_better_calibrated_than_its_scores():
    """With few rows and many dimensions logistic regression parts the rows that it saw and is too sure of others."""
    (x, y), (new, truth) = blobs(9, spread=3.0), blobs(500, seed=1, spread=3.0)
    made = Classifier.fit(x, y, NAMES, kind="logistic")
    assert made.temperature > 1
    errors = []
    for c in (made, dataclasses.replace(made, temperature=1.0)):
        found = c.predict(new)
        errors.append(calibration.calibration_error(found.probabilities.max(1), found.likeliest == truth))
    assert errors[0] < 0.5 * errors[1]


# --- none of these ----------------------------------------------------------------------------------------------------


def slow_leave_one_out(x, y):
    u, out = x / np.linalg.norm(x, axis=1, keepdims=True), []
    for i in range(len(u)):
        others = [float(u[i] @ u[j]) for j in range(len(u)) if j != i and y[j] == y[i]]
        out.append(np.mean(sorted(others)[-5:]) if others else np.nan)
    return np.array(out)


@pytest.mark.parametrize("tile", [1, 64, 2**24])
def test_nearness_is_that_of_a_slow_loop(monkeypatch, tile):
    monkeypatch.setattr(rejection, "TILE", tile)
    x, y = blobs(12, spread=2.0)
    kept = np.concatenate([np.flatnonzero(y == c)[:n] for c, n in enumerate((1, 2, 4, 12))])
    x, y = x[kept], y[kept]
    np.testing.assert_allclose(rejection.leave_one_out(unit(x), y), slow_leave_one_out(x, y), atol=1e-5)
    new, asked = blobs(5, seed=1)
    u, q, wanted = unit(x), unit(new), []
    for i, c in enumerate(asked):
        members = sorted(float(q[i] @ v) for v in u[y == c])
        wanted.append(np.mean(members[-min(5, max(1, len(members) - 1)) :]))
    np.testing.assert_allclose(rejection.to_class(u, y, q, asked), wanted, atol=1e-5)


@pytest.mark.parametrize("reject", [0.01, 0.1])
def test_far_rows_are_none_of_these_and_rows_like_the_known_ones_rarely(reject):
    (x, y), (new, _) = blobs(200), blobs(500, seed=1)
    made = Classifier.fit(x, y, NAMES, kind="knn", reject=reject)
    found = made.predict(new)
    assert (found.labels < 0).mean() == pytest.approx(reject, abs=reject / 2 + 0.005)
    strangers, other = blobs(100, classes=6, seed=2)
    strangers = made.predict(strangers[other >= 4])
    assert (strangers.labels < 0).mean() > 0.95
    assert (strangers.likeliest >= 0).all()
    assert (made.predict(-new).labels < 0).mean() > 0.9
    kept = found.labels >= 0
    assert (found.labels[kept] == found.likeliest[kept]).all()
    assert (found.similarity[kept] >= made.threshold).all()
    assert (found.similarity[~kept] < made.threshold).all()


def test_nothing_is_refused_if_nothing_is_to_be():
    x, y = blobs(9)
    made = Classifier.fit(x, y, NAMES, reject=0)
    assert (made.predict(-x).labels >= 0).all()
    assert "No row is refused" in " ".join(made.notes)
    few = Classifier.fit(*blobs(5), NAMES)
    assert "about one in 21" in " ".join(few.notes)


def test_the_nearest_row_is_the_most_similar_of_all():
    (x, y), (new, _) = blobs(20), blobs(30, seed=1)
    rows = [f"row {i}" for i in range(80)]
    labels = np.where(np.arange(80) % 4, y, -1)  # a quarter has no label
    made = Classifier.fit(x, labels, NAMES, kind="knn", rows=rows)
    found = made.predict(new)
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = np.where(labels >= 0, new @ u.T, -np.inf)
    assert [made.rows[i] for i in found.nearest] == [rows[i] for i in cosine.argmax(1)]


# --- labels -----------------------------------------------------------------------------------------------------------


def test_rows_without_a_label_are_left_out_and_counted():
    x, y = blobs(20)
    labels = np.where(np.arange(80) < 50, -1, y)
    made, alone = Classifier.fit(x, labels, NAMES), Classifier.fit(x[50:], y[50:], NAMES)
    assert "50 rows without a label are left out" in made.notes[0]
    assert made.rows[0] == "50"
    assert same(made.predict(x), alone.predict(x))


@pytest.mark.parametrize("kind", ["logistic", "knn"])
def test_a_class_without_rows_is_never_predicted(kind):
    x, y = blobs(9)
    gap = np.asarray([0, 2, 3, 5])[y]
    made = Classifier.fit(x, gap, ("a", "no", "b", "c", "none", "d"), kind=kind)
    found = made.predict(x)
    assert set(found.likeliest) == {0, 2, 3, 5}
    assert (found.probabilities[:, [1, 4]] == 0).all()
    assert "2 classes have no rows" in made.notes[0]
    assert (found.likeliest == gap).mean() > 0.95


def test_labels_that_cannot_be_classes_are_refused():
    x, y = blobs(20)
    with pytest.raises(DataError, match=r"id.*--label"):
        Classifier.fit(x, np.arange(80), [f"id{i}" for i in range(80)])
    assert Classifier.fit(x, np.arange(80), [str(i) for i in range(80)], kind="knn").predict(x).likeliest[3] == 3
    assert (
        Classifier.fit(x[:40], np.arange(40), [str(i) for i in range(40)]).threshold is None
    )  # few enough to be classes
    with pytest.raises(DataError, match="two classes"):
        Classifier.fit(x, np.zeros(80, int), NAMES)
    with pytest.raises(DataError, match="no row has a label"):
        Classifier.fit(x, np.full(80, -1), NAMES)
    with pytest.raises(DataError, match="not finite"):
        Classifier.fit(np.where(x == x.max(), np.nan, x), y, NAMES)
    with pytest.raises(UnknownName, match="knn"):
        Classifier.fit(x, y, NAMES, kind="kn")
    for reject in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="share"):
            Classifier.fit(x, y, NAMES, reject=reject)
    with pytest.raises(ValueError, match="names"):
        Classifier.fit(x, y, NAMES[:2])
    made = Classifier.fit(x, y, NAMES, kind="knn")
    with pytest.raises(DataError, match="16 dimensions"):
        made.predict(x[:, :5])
    with pytest.raises(DataError, match="not finite"):
        made.predict(np.full((2, 16), np.inf))
    assert len(made.predict(x[:0])) == 0


def test_dimensions_that_say_nothing_do_no_harm():
    x, y = blobs(9)
    x = np.concatenate([x, np.full((36, 2), 3.0)], 1).astype(np.float32)
    made = Classifier.fit(x, y, NAMES, kind="logistic")
    assert (made.predict(x).likeliest == y).mean() > 0.95
    assert choose(x, y, np.bincount(y), "logistic").setting == made.setting


def test_more_rows_than_are_needed_to_choose_by(monkeypatch):
    from nearfar.downstream.classify import selection

    x, y = blobs(50)
    monkeypatch.setattr(selection, "ROWS", 60)
    found = candidates(x, y, 4, cs=(1.0,), k=5)
    assert [c.rows for c in found] == [60, 60]
    assert found[0].accuracy > 0.9


# --- keeping it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["logistic", "knn"])
def test_what_is_kept_is_the_same_to_the_bit(tmp_path, kind):
    (x, y), (new, _) = blobs(9, spread=2.0), blobs(30, seed=1, spread=2.0)
    rows = [f"ä\n{i}" for i in range(36)]
    made = Classifier.fit(x, y, NAMES, kind=kind, rows=rows, about={"label": None, "seed": 3})
    made.save(tmp_path / "c")
    assert {p.name for p in (tmp_path / "c").iterdir()} == {"classifier.json", "weights.safetensors"}
    again = Classifier.load(tmp_path / "c")
    assert same(made.predict(new), again.predict(new))
    for f in dataclasses.fields(Classifier):
        a, b = getattr(made, f.name), getattr(again, f.name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, f.name
    before = {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()}
    again.save(tmp_path / "c")
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()}


def test_damaged_files_are_sentences(tmp_path):
    made = Classifier.fit(*blobs(5), NAMES)
    with pytest.raises(RunError, match="cannot be read"):
        Classifier.load(tmp_path)
    description, weights = tmp_path / "classifier.json", tmp_path / "weights.safetensors"
    for file, content, said in (
        (description, b"{", "damaged"),
        (description, b"[1]", "must be a table"),
        (description, b'{"schema": 99}', "newer"),
        (weights, b"nonsense", "damaged"),
    ):
        made.save(tmp_path)
        file.write_bytes(content)
        with pytest.raises(RunError, match=said):
            Classifier.load(tmp_path)
    made.save(tmp_path)
    stored = json.loads(description.read_text())
    description.write_text(json.dumps(stored | {"threshold": 0.0}))
    with pytest.raises(RunError, match="does not belong"):
        Classifier.load(tmp_path)
    made.save(tmp_path)
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(RunError, match="not what was written"):
        Classifier.load(tmp_path)
    weights.unlink()
    with pytest.raises(RunError, match="missing"):
        Classifier.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros(3)}, {"y": np.full(20, 7)}, {"y": np.zeros(20, np.int64)}, {"rows": ("one",)},
        {"weights": np.zeros((2, 2), np.float32)}, {"weights": None}, {"kind": "tree"}, {"temperature": 0.0},
        {"setting": float("inf")}, {"x": np.full((20, 16), np.nan, np.float32)}, {"names": (1, 2, 3, 4)},
        {"threshold": "low"}, {"x": np.zeros((20, 16), np.float64)}, {"rows": (1,) * 20}, {"about": []},
    ],
    ids=lambda c: next(iter(c)),
)  # fmt: skip
def test_files_whose_parts_do_not_fit_are_refused(tmp_path, change):
    made = dataclasses.replace(Classifier.fit(*blobs(5), NAMES, kind="logistic"), **change)
    made.save(tmp_path)
    with pytest.raises(RunError, match="damaged|not finite|it must be"):
        Classifier.load(tmp_path)


# --- what is said of new rows -----------------------------------------------------------------------------------------


def predictions():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.35, 0.25], [0.05, 0.9, 0.05]], np.float32)
    return Predictions(np.array([0, -1, 0, 1]), p, np.array([0.9, 0.1, 0.8, 0.7], np.float32), np.array([1, 0, 1, 0]))


def test_lines_and_the_file(tmp_path):
    lines = predictions().lines(["x", 'y,"z', "ä", "\udcff"], ["a", "b", "c"], ["first", "second"])
    assert lines[1]["prediction"] is None
    assert (lines[1]["likeliest"], lines[1]["second"], lines[1]["nearest"]) == ("c", "b", "first")
    assert lines[2]["second_probability"] == pytest.approx(0.35)
    write(tmp_path / "p.csv", lines)
    with open(tmp_path / "p.csv", encoding="utf-8", newline="") as f:
        read = list(csv.DictReader(f))
    assert [r["name"] for r in read[:3]] == ["x", 'y,"z', "ä"]
    assert [r["prediction"] for r in read] == ["a", "", "a", "b"]
    assert float(read[0]["probability"]) == pytest.approx(0.7)
    assert list(read[0]) == ["name", "prediction", "likeliest", "probability", "second", "second_probability",
                             "similarity", "nearest"]  # fmt: skip


def test_figures_against_the_truth():
    found = predictions().figures(np.array([0, 2, 1, -1]))
    assert found["rows"] == 3
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["accuracy_kept"] == pytest.approx(1 / 2)
    assert found["accuracy_interval"][0] < 2 / 3 < found["accuracy_interval"][1]
    assert found["calibration_error"] == pytest.approx((0.3 + 0.4 + 0.4) / 3, abs=1e-6)
    assert (found["strangers"], found["strangers_refused"]) == (0, 0)
    strangers = predictions().figures(np.array([-2, -2, -2, -2]))
    assert (strangers["rows"], strangers["strangers"], strangers["strangers_refused"]) == (0, 4, 1)
    assert strangers["accuracy"] is None
    files.finite(strangers)
