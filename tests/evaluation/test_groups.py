"""Figures on held-out rows of groups: without --group those of copies, with it those of new groups.

The planted rows: every group has five rows that are nearly equal, and the groups of a class are about as far from each
other as the classes, so a row's copies give its class away and its class alone does not.
"""

import dataclasses
import warnings

import numpy as np
import pytest

from nearfar import cli
from nearfar.core.errors import NearfarWarning
from nearfar.data import splits
from nearfar.downstream.classify import rejecting
from nearfar.downstream.classify.classifier import Classifier
from nearfar.downstream.classify.classify import classify
from nearfar.downstream.classify.selection import choose
from nearfar.evaluation import evaluate
from nearfar.evaluation.protocols import Features, few_labels, linear_probe
from nearfar.models import loading
from nearfar.training import train
from nearfar.training.tuning.score import parts
from nearfar.vectors import rejection
from nearfar.vectors.basics import unit

# a few steps on small data, which are about groups and not about how good the model is
pytestmark = pytest.mark.filterwarnings("ignore::nearfar.core.errors.WorseWarning")

CLASSES, EACH, WIDTH = 3, 5, 96
CENTRES = np.random.default_rng(7).normal(size=(CLASSES, WIDTH))


def planted(groups, seed=0):
    """Rows (5 · groups, 96) in mixed order, their classes, and their groups."""
    draw = np.random.default_rng(seed)
    kind = np.arange(groups) % CLASSES
    place = 0.2 * CENTRES[kind] + draw.normal(size=(groups, WIDTH))
    group = draw.permutation(np.repeat(np.arange(groups), EACH))
    return (place[group] + 0.05 * draw.normal(size=(len(group), WIDTH))).astype(np.float32), kind[group], group


def csv(path, groups, seed=0):
    x, y, group = planted(groups, seed)
    lines = [",".join([*(f"x{i}" for i in range(WIDTH)), "kind", "patient"])]
    lines += [",".join([*(f"{v:.6f}" for v in row), "abc"[c], f"{seed}-{g}"]) for row, c, g in
              zip(x, y, group, strict=True)]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path


def columns():
    return tuple(f"x{i}" for i in range(WIDTH))


def near(accuracy, other, groups):
    """Whether two accuracies on so many groups agree, within three standard deviations."""
    p = (accuracy + other) / 2
    return abs(accuracy - other) <= 3 * np.sqrt(2 * p * (1 - p) / groups)


# --- on vectors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["logistic", "knn"])
def test_out_of_fold_accuracy_is_that_of_new_groups(kind):
    (x, y, group), (new, truth, _) = planted(120), planted(120, seed=1)
    plain = Classifier.fit(x, y, "abc", kind=kind)
    whole = Classifier.fit(x, y, "abc", kind=kind, groups=group)
    on_new = float((whole.predict(new).likeliest == truth).mean())
    assert near(whole.out_of_fold["accuracy"], on_new, 120)
    assert whole.out_of_fold["rows"] == 600
    assert plain.out_of_fold["accuracy"] == 1  # what copies make of it
    sure = [float(m.predict(new).probabilities.max(1).mean()) for m in (plain, whole)]
    assert abs(sure[1] - on_new) < 0.1 < sure[0] - on_new  # what copies calibrate is far too sure of new groups


def test_the_threshold_keeps_the_share_of_new_groups_that_was_asked_for():
    (x, y, group), (new, truth, _) = planted(120), planted(120, seed=1)
    similarity = rejection.to_class(unit(x), y, unit(new), truth)
    plain, whole = (rejecting.decide(x, y, "knn", 20, 0.1, groups=g).threshold for g in (None, group))
    assert (similarity >= whole).mean() == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 120) + 0.03)
    assert (similarity >= plain).mean() < 0.6


def test_each_row_is_compared_with_other_groups_of_its_class():
    x = unit(np.asarray([[1, 0], [1, 0.01], [1, 1], [0, 1], [1, 3]], np.float32))
    y, group = np.asarray([0, 0, 0, 0, 1]), np.asarray([0, 0, 1, 0, 2])
    found = rejection.leave_one_out(x, y, group)
    cosine = x @ x.T
    assert found[2] == pytest.approx(cosine[2, [0, 1, 3]].mean())
    np.testing.assert_allclose(found[[0, 1, 3]], cosine[[0, 1, 3], 2], rtol=1e-6)
    assert np.isnan(found[4])


def test_no_two_groups_of_a_class_are_a_sentence():
    x, y, _ = planted(30)
    choice = choose(x, y, np.bincount(y), groups=y)
    assert choice.out_of_fold is None
    assert not choice.calibrated
    assert "no class has two rows of different groups" in choice.notes[0]
    assert Classifier.fit(x, y, "abc", groups=y).threshold is None


def test_c_is_chosen_on_whole_groups():
    x, y, group = planted(60)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        aside = linear_probe.tenth(len(y), group[order])
        assert aside.sum() == 30
        assert not set(group[order][aside]) & set(group[order][~aside])
    assert np.flatnonzero(linear_probe.tenth(50, None)).tolist() == [0, 1, 2, 3, 4]
    assert np.flatnonzero(linear_probe.tenth(50, np.arange(50))).tolist() == [0, 1, 2, 3, 4]
    loose, tight = (linear_probe.choose(Features(x, y, 3, groups=g), 0) for g in (None, group))
    assert max(loose[1].values()) == 1
    assert max(tight[1].values()) < 0.9


def test_few_labels_are_of_different_groups():
    x, y, group = planted(60)
    for rows in few_labels.draws(y, CLASSES, 5, 0, 20, group):
        assert len(np.unique(rows)) == len(np.unique(group[rows])) == 15
        assert np.bincount(y[rows]).tolist() == [5, 5, 5]
    few = planted(9)
    for rows in few_labels.draws(few[1], CLASSES, 5, 0, 20, few[2]):  # three groups a class
        assert sorted(np.bincount(few[2][rows], minlength=9)) == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    found = few_labels.measure(Features(few[0], few[1], 3, groups=few[2]), Features(x, y, 3), seed=0)
    assert found["5"]["settings"]["labelled_groups"] == 9
    same = few_labels.draws(y, CLASSES, 5, 0, 3), few_labels.draws(y, CLASSES, 5, 0, 3, np.arange(len(y)))
    assert all(np.array_equal(a, b) for a, b in zip(*same, strict=True))


# --- through the doors ------------------------------------------------------------------------------------------------

TINY = {"method": "simclr", "encoder": "mlp", "epochs": 2, "batch_size": 128, "device": "cpu", "precision": "fp32",
        "lr": 1e-4, "log_every": 1000, "holdout": 0.2}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    return csv(folder / "a.csv", 120), csv(folder / "new.csv", 120, seed=1)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "a"
    return train.train(data[0], out=path, label="kind", group="patient", **TINY)


def test_training_watches_whole_groups_and_keeps_how(run, data):
    plan = run.plan
    assert not set(plan.table.groups[plan.train]) & set(plan.table.groups[plan.heldout])
    assert len(plan.heldout) == 120
    assert plan.table.first.values.shape[1] == WIDTH
    assert loading.load(run.path).reading()["group"] == "patient"
    loose = train.train(data[0], label="kind", column=columns(), **TINY)
    assert any("--group patient" in n for n in loose.plan.notes)
    assert loose.metrics[-1]["knn"] == 1  # its copies are in the gallery
    assert run.metrics[-1]["knn"] < 0.8


def test_evaluation_scores_whole_groups(run, data):
    knn, both = ({"with_floors": False, "protocols": p} for p in (["knn"], ["knn", "linear_probe"]))
    found = evaluate.evaluate(run.path, **knn)  # reads its own data as they were read
    rows, table = found.rows, found.table_of_rows
    assert not set(table.groups[rows.train]) & set(table.groups[rows.test])
    assert set(rows.test) <= set(run.plan.heldout)
    again = evaluate.evaluate(run.path, data[0], label="kind", **knn)  # so it does where they are named
    assert np.array_equal(again.rows.test, rows.test)
    whole = evaluate.evaluate(run.path, data[1], label="kind", group="patient", **both)
    assert "by whole groups" in whole.data["split"]
    assert any("120 test rows are of 24 groups" in w for w in whole.warnings)
    loose = evaluate.evaluate(run.path, data[1], label="kind", column=columns(), **both)
    assert any("--group patient" in w for w in loose.warnings)
    assert not any("--group patient" in w for w in whole.warnings)
    for name in ("knn", "linear_probe"):
        assert loose.results[0][name]["accuracy"] > 0.95
        assert whole.results[0][name]["accuracy"] < 0.85


def test_a_split_that_cuts_groups_is_a_warning(run, data):
    draw = np.random.default_rng(0).permutation(600)
    table = run.plan.table
    with_splits = dataclasses.replace(table, splits={"train": np.sort(draw[:400]), "test": np.sort(draw[400:])})
    with pytest.warns(NearfarWarning, match="was trained on"):
        found = evaluate.evaluate(run.model, with_splits, with_floors=False, protocols=["knn"])
    cut = np.isin(table.groups[draw[400:]], table.groups[draw[:400]]).sum()
    assert any(f"{cut} of 200 test rows are of groups that have training rows too" in w for w in found.warnings)


@pytest.mark.filterwarnings("ignore::nearfar.core.errors.NearfarWarning")
def test_classify_leaves_whole_groups_out(run, data):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loose = classify(run.path, data[1], label="kind", column=columns(), name="loose").classifier
    assert any("--group patient" in str(w.message) for w in said)
    whole = classify(run.path, data[1], data[0], label="kind", group="patient", name="whole")
    own = classify(run.path, data[0], label="kind", name="own").classifier
    assert loose.out_of_fold["accuracy"] == 1
    assert near(whole.classifier.out_of_fold["accuracy"], whole.figures["accuracy"], 120)
    assert own.about["group"] == "patient"  # as its data were read in training
    assert own.out_of_fold["accuracy"] < 0.9
    assert any("one group are left out together: 120 groups" in n for n in own.notes)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        same = classify(run.path, data[1], data[1], label="kind", group="patient", name="whole")
    assert any("600 of the 600 new rows are of groups of labelled ones" in w for w in same.warnings)
    used = classify(run.path, new=data[0], use="whole")  # the column of groups is no feature there either
    assert np.array_equal(used.predictions.labels, whole.predictions.labels)


def test_trials_are_scored_on_whole_groups(run):
    plan = run.plan
    rows = parts(plan)
    groups = [set(plan.table.groups[r]) for r in (rows.train, rows.held)]
    assert not groups[0] & groups[1]
    measured = splits.evaluation_plan(plan.table)
    assert not (groups[0] | groups[1]) & set(plan.table.groups[measured.test])
    assert abs(len(rows.held) - 0.25 * (len(rows.train) + len(rows.held))) <= EACH


@pytest.mark.parametrize("verb", ["train", "eval", "classify"])
@pytest.mark.parametrize("wrong", [("--group", "patiant"), ("--group-from", "(")])
def test_the_command_refuses_what_says_no_groups(run, data, capsys, tmp_path, verb, wrong):
    args = {
        "train": ["train", str(data[0]), "--out", str(tmp_path / "r")],
        "eval": ["eval", str(run.path), "--on", str(data[1]), "--label", "kind"],
        "classify": ["classify", str(run.path), str(data[1]), "--label", "kind"],
    }[verb]
    assert cli.run([*args, *wrong]) == 2
    said = capsys.readouterr().err
    assert "patient" in said or "regular expression" in said
    assert "Traceback" not in said
