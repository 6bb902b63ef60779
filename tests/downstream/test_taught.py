"""Rows that a model has learnt with their labels tell nothing of new ones: a classifier is measured on others."""

import shutil

import numpy as np
import pytest

import nearfar
from nearfar.downstream.classify.classifier import Classifier
from nearfar.models import loading
from nearfar.models.training_rows import TrainingRows
from nearfar.training import train

ROWS = 400
MEMORISES = {"batch_size": 50, "select": "last", "threads": 1, "precision": "fp32", "lr": 0.01,
             "encoder_options": {"width": 128, "out": 32}}  # fmt: skip


def chance(seed=0, rows=ROWS):
    """Rows of numbers whose labels say nothing about them: on new rows one of two is right half of the times."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(rows, 12)).astype(np.float32), draw.integers(0, 2, rows)


@pytest.fixture(scope="module")
def supervised(tmp_path_factory):
    """A run that knows the labels of its training rows by heart."""
    out = tmp_path_factory.mktemp("taught") / "run"
    return train.train(chance(), method="supervised", out=out, epochs=25, holdout=0.25, **MEMORISES)


def fitted(model, data=None, **options):
    return nearfar.classify(model, data or chance(), name="x", **options)


def about_chance(found):
    low, high = found["interval"]
    return low < 0.5 < high


# --- through a training -----------------------------------------------------------------------------------------------


def test_the_figure_is_of_rows_that_did_not_teach(supervised):
    model, plan = supervised.model, supervised.plan
    for given in (model, loading.load(model.path)):
        found = fitted(given).classifier
        assert found.out_of_fold["taught"] == len(plan.train)
        assert found.out_of_fold["rows"] == ROWS - len(plan.train)
        assert about_chance(found.out_of_fold)
        assert found.rejection is None
        assert f"has learnt {len(plan.train)} of these rows" in found.notes[1]
        assert any("other classes are refused is not known" in note for note in found.notes)
    known = model.training_rows
    model.training_rows = None  # a run of an earlier version
    try:
        found = fitted(model).classifier
    finally:
        model.training_rows = known
    assert found.out_of_fold["accuracy"] > 0.75 and found.out_of_fold["taught"] is None  # by heart
    assert "is not known: the run is of an earlier version" in found.notes[-1]


def test_no_figure_pretends_where_too_few_did_not_teach(supervised):
    (x, y), plan = chance(), supervised.plan
    rows = np.concatenate([plan.train, plan.heldout[:19]])
    found = fitted(supervised.model, (x[rows], y[rows])).classifier
    assert found.out_of_fold == {"accuracy": None, "interval": None, "rows": 0, "taught": len(plan.train)}
    assert not found.calibrated and found.temperature == 1
    said = " ".join(found.notes)
    assert "only 19 of the" in said and "its accuracy is not known" in said and "No row is refused" in said
    assert found.threshold is None
    again = Classifier.load(supervised.model.path / "classifier" / "x")
    assert (again.out_of_fold, again.rejection) == (found.out_of_fold, None)


def test_new_rows_that_taught_are_told(supervised):
    (x, y), plan = chance(), supervised.plan
    with pytest.warns(nearfar.NearfarWarning):
        found = fitted(supervised.model, new=(x[plan.train[:30]], y[plan.train[:30]]))
    assert any("the model has learnt 30 of the 30 labelled new rows" in w for w in found.warnings)
    (new, truth) = chance(1, 50)
    found = fitted(supervised.model, new=(new, truth))
    assert found.warnings == ()


def test_rows_without_a_label_did_not_teach():
    x, y = chance()
    some = np.where(np.arange(ROWS) < 200, y.astype(float), np.nan)
    trained = train.train((x, some), method="supervised", epochs=1, holdout=0.0, **MEMORISES)
    taught = trained.model.training_rows.teach(trained.model.read(x).first)
    np.testing.assert_array_equal(taught, np.arange(ROWS) < 200)


def test_what_is_learnt_without_labels_did_not_teach():
    found = fitted(train.train(chance(), method="simclr", epochs=1, **MEMORISES).model).classifier
    assert found.out_of_fold["rows"] == ROWS and "taught" not in found.out_of_fold
    assert found.out_of_fold["accuracy"] < 0.6  # the best of several C is a little better than chance


def test_another_column_teaches_as_labels_do(tmp_path):
    """The second column says the label, so that the first one's cells are known with it."""
    x, y = chance()
    columns = {"x": x, "said": np.eye(2, dtype=np.float32)[y] + np.float32(1e-3) * x[:, :2]}
    knobs = MEMORISES | {"encoder_options": {"x": {"width": 128, "out": 32}, "said": {"width": 16, "out": 32}}}
    trained = train.train(
        columns, column=("x", "said"), method="clip", epochs=40, holdout=0.25, share=False, out=tmp_path / "run", **knobs
    )
    found = nearfar.classify(trained.model, {"x": x, "label": y}, column="x", label="label").classifier
    assert found.out_of_fold["taught"] == len(trained.plan.train)
    assert about_chance(found.out_of_fold)


def test_ensembles_and_what_a_run_begins_with(supervised, tmp_path):
    x, _ = chance()
    expected = np.zeros(ROWS, bool)
    expected[supervised.plan.train] = True
    path = str(supervised.model.path)
    shutil.copytree(path, tmp_path / "again")
    both = nearfar.ensemble([path, tmp_path / "again"], out=tmp_path / "both")
    knobs = {"method": "simclr", "epochs": 1, "threads": 1, "select": "last"}
    begun = train.train(x, init_from=path, out=tmp_path / "a", **knobs)
    led = train.train(x, positives=f"teacher:{path}:clusters:4", encoder_options={"width": 16, "out": 8}, **knobs)
    for model in (both, loading.load(tmp_path / "both"), begun.model, loading.load(tmp_path / "a"), led.model):
        np.testing.assert_array_equal(model.training_rows.teach(model.read(x).first), expected)


def test_hashes_of_what_taught_are_kept_to_the_bit(tmp_path):
    high = np.array([0, 2**63, 2**64 - 1], np.uint64)
    TrainingRows(high, {"a": high}, high[1:]).save(tmp_path)
    assert TrainingRows.load(tmp_path).taught.tolist() == high[1:].tolist()


# --- vectors alone ----------------------------------------------------------------------------------------------------


def vectors(seed, each=60, classes=6, spread=2.2):
    draw, centres = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(classes, 16))
    y = np.repeat(np.arange(classes), each)
    return (centres[y] * 1.5 + spread * draw.normal(size=(len(y), 16))).astype(np.float32), y, centres


@pytest.mark.parametrize("kind", ["logistic", "knn"])
def test_accuracy_probabilities_and_refusals_hold_on_new_rows(kind):
    """An encoder that knows rows by heart brings them to the middle of their class, and new ones where it can."""
    x, y, centres = vectors(0)
    taught = np.random.default_rng(1).uniform(size=len(y)) < 0.6
    x[taught] = centres[y[taught]] * 1.5 + 0.2 * (x[taught] - centres[y[taught]] * 1.5)
    new, truth, _ = vectors(2, each=300)
    names = [str(c) for c in range(6)]
    made = Classifier.fit(x, y, names, kind=kind, taught=taught, reject=0.05)
    blind = Classifier.fit(x, y, names, kind=kind, reject=0.05)
    found, believed = (c.predict(new).figures(truth) for c in (made, blind))
    low, high = made.out_of_fold["interval"]
    assert low - 0.02 < found["accuracy"] < high + 0.02
    assert blind.out_of_fold["interval"][0] > believed["accuracy"]  # what was said before
    assert made.out_of_fold["rows"] == (~taught).sum()
    assert found["coverage"] == pytest.approx(0.95, abs=0.04)
    assert believed["coverage"] < 0.9
    assert found["calibration_error"] < believed["calibration_error"]


def test_rows_of_a_group_with_one_that_taught_are_not_scored():
    x, y, _ = vectors(0)
    groups = np.arange(len(y)) // 2
    taught = np.arange(len(y)) == 0
    made = Classifier.fit(x, y, list("abcdef"), taught=taught, groups=groups)
    assert made.out_of_fold["taught"] == 2
    assert made.out_of_fold["rows"] == len(y) - 2


def test_many_rows_are_drawn_so_that_those_that_can_be_scored_come_first(monkeypatch):
    from nearfar.downstream.classify import selection

    monkeypatch.setattr(selection, "ROWS", 100)
    x, y, _ = vectors(0)
    taught = np.arange(len(y)) % 6 > 0
    tried = selection.candidates(x, y, 6, cs=(1.0,), k=5, taught=taught)
    assert {c.rows for c in tried} == {60}


# --- rows of other classes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["logistic", "knn"])
@pytest.mark.parametrize("reject", [0.01, 0.1])
def test_leaving_classes_out_tells_what_becomes_of_rows_of_others(kind, reject):
    draw = np.random.default_rng(5)
    centres = draw.normal(size=(40, 12))
    y = np.repeat(np.arange(40), 30)
    x = (centres[y] * 1.6 + 1.2 * draw.normal(size=(len(y), 12))).astype(np.float32)
    known = y < 20
    rows = np.flatnonzero(known)[np.arange(known.sum()) % 30 < 8]  # eight of each
    names = [str(c) for c in range(40)]
    made = Classifier.fit(x[rows], y[rows], names, kind=kind, reject=reject)
    f = made.rejection
    actual = (made.predict(x[~known]).labels < 0).mean()
    low, high = f["interval"]
    assert low - 0.02 < actual < high + 0.02
    assert 0 < actual < 0.9 and high - low < 0.4
    assert (f["classes"], f["rows"], f["reject"]) == (20, 160, reject)
    similar = made.predict(x).similarity
    auroc = (similar[known][:, None] > similar[~known]).mean()
    assert f["auroc"] == pytest.approx(auroc, abs=0.08)
    if reject == 0.1:  # as good as any
        return
    proposed = Classifier.fit(x[rows], y[rows], names, kind=kind, reject=f["proposed"]["reject"])
    again = (proposed.predict(x[~known]).labels < 0).mean()
    assert f["proposed"]["interval"][0] - 0.03 < again < f["proposed"]["interval"][1] + 0.03
    assert again > actual
    assert f"--reject {f['proposed']['reject']:g}" in made.notes[-1]
    assert proposed.rejection["refused"] == pytest.approx(f["proposed"]["refused"])


def test_classes_that_taught_are_not_left_out():
    x, y, _ = vectors(0)
    made = Classifier.fit(x, y, list("abcdef"), taught=(y < 3) & (np.arange(len(y)) % 2 == 0))
    assert made.rejection["classes"] == 3
    assert Classifier.fit(x, y, list("abcdef"), taught=(y < 5) & (np.arange(len(y)) % 2 == 0)).rejection is None


def test_the_interval_widens_where_classes_differ():
    from nearfar.downstream.classify.rejecting import mean_share
    from nearfar.vectors.intervals import wilson

    labels = np.repeat(np.arange(10), 50)
    alike = (np.arange(500) % 2).astype(bool)
    found = mean_share(alike, labels)
    assert found["refused"] == 0.5 and found["interval"] == pytest.approx(wilson(250, 500))
    differ = labels < 5
    assert mean_share(differ, labels)["interval"] == pytest.approx(wilson(5, 10), abs=0.01)
    assert mean_share(np.zeros(500, bool), labels)["interval"] == pytest.approx(wilson(0, 10))
