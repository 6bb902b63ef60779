"""Few rows, classes that only one side has, options that cannot be: the right figure, or a sentence."""

import shutil

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import v_measure_score

from nearfar import cli
from nearfar.core.errors import ConfigError, DataError, NearfarWarning
from nearfar.downstream.classify.classify import classify
from nearfar.evaluation import evaluate
from nearfar.evaluation.protocols import Features, clustering, few_labels, linear_probe, shares, shots
from nearfar.training import train
from nearfar.vectors import geometry
from nearfar.vectors.basics import standardised

NAMES = ("cat", "dog", "eel", "fox")
QUICK = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32", "encoder_options": {"width": 16, "out": 8}}


def apart(y, seed=0):
    """Rows of classes that lie far apart."""
    y = np.asarray(y)
    return Features((6 * np.eye(6)[y] + np.random.default_rng(seed).normal(size=(len(y), 6))).astype(np.float32), y, 4)


def written(path, y, split=None, names=NAMES, seed=0):
    head = ",".join([*(f"f{i}" for i in range(6)), "label", *(["split"] if split is not None else [])])
    lines = [
        ",".join([*(f"{v:.5f}" for v in row), names[c], *([split[i]] if split is not None else [])])
        for i, (row, c) in enumerate(zip(apart(y, seed).x, y, strict=True))
    ]
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    return train.train(written(home / "rows.csv", np.arange(60) % 3, seed=9), out=home / "run", **QUICK).path


@pytest.mark.parametrize("seed", range(8))
def test_a_probe_of_twenty_rows_does_not_say_the_frequent_class_of_all(seed):
    train, test = apart([0] * 15 + [1] * 5, seed), apart([0] * 10 + [1] * 10, 100 + seed)
    found = linear_probe.measure(train, test, seed=seed)
    assert found["accuracy"] >= 0.9
    assert found["settings"]["times"] == 10
    x, t = standardised(train.x, test.x)
    theirs = LogisticRegression(C=2 * found["settings"]["C"], tol=1e-8, max_iter=2000).fit(x, train.y)
    assert theirs.score(t, test.y) == pytest.approx(found["accuracy"])


def test_so_many_tenths_as_hold_a_hundred_rows():
    assert [linear_probe.turns(n) for n in (2, 5, 20, 200, 500, 999, 1000, 50_000)] == [2, 5, 10, 5, 2, 2, 1, 1]


def test_a_class_of_test_rows_alone_takes_no_figure_away():
    train, test = apart(np.repeat([0, 1, 2], 12)), apart(np.repeat([0, 1, 2, 3], 5), 1)
    three, others = Features(train.x, train.y, 3), Features(test.x[:15], test.y[:15], 3)
    for protocol in (few_labels, shots):
        with_fox, without = protocol.measure(train, test), protocol.measure(three, others)
        assert with_fox.keys() == without.keys() != set()
        for count, r in with_fox.items():
            assert r["draws"] == pytest.approx([0.75 * a for a in without[count]["draws"]])


@pytest.mark.parametrize(
    ("protocol", "labels", "said"),
    [
        (few_labels, np.repeat([0, 2], 9), "10 labels per class: not measured, a class has only 9 training rows."),
        (few_labels, [0, 0, 2], "2 and 5 and 10 labels per class: not measured, a class has only 1 training row."),
        (few_labels, np.repeat([0, 2], 10), ""),
        (shots, np.repeat([0, 2], 9), "16 labels per class: a class has only 9 training rows, and gives all."),
        (shares, np.repeat([0, 2], 30), "1 % of the labels: not measured, too few of 60 training rows of 2 classes."),
        (shares, np.repeat([0, 2], 200), ""),
    ],
)
def test_what_is_left_out_is_said(protocol, labels, said):
    assert protocol.left_out(np.asarray(labels)) == said
    y = np.asarray(labels)
    measured = protocol.measure(apart(y), apart([0, 2]))
    assert (len(measured) < len(getattr(protocol, "FEW", shares.SHARES).amounts)) == ("not measured" in said)


def test_what_is_left_out_stands_below_the_table(run, tmp_path):
    data = written(tmp_path / "few.csv", np.repeat([0, 1], 6), ["train", "test"] * 6)
    found = evaluate.evaluate(run, data, floors=False, protocols=["shares"], quiet=True)
    assert found.warnings[0].startswith("10 % of the labels: not measured") or any(
        w.startswith("1 % and 10 % of the labels: not measured") for w in found.warnings
    )
    assert "majority" not in found.table()  # there is no accuracy beside which it would stand
    assert "majority" in evaluate.evaluate(run, data, floors=False, protocols="knn", quiet=True).table()


def test_clusters_of_one_class_are_no_figure(run, tmp_path):
    with pytest.raises(DataError, match="clustering takes rows of two classes or more, and the 5 that are scored"):
        clustering.measure(apart([0, 1]), apart([1] * 5))
    y = np.random.default_rng(0).permutation(np.arange(60) % 3)
    found = clustering.measure(None, apart(y))
    assert found["mean"] == v_measure_score(y, y)
    table = evaluate.evaluate(run, written(tmp_path / "a.csv", y, seed=3), floors=False, protocols="clustering").table()
    assert "(chance 0." in table


def test_rows_of_one_class_to_fit_on_are_named(run, tmp_path):
    data = written(tmp_path / "one.csv", np.repeat([0, 1], 20), ["train"] * 20 + ["test"] * 20)
    with pytest.raises(DataError, match="all 20 labelled rows to fit on are 'cat'; there must be two classes"):
        evaluate.evaluate(run, data, quiet=True)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1.5}, {"limit": 1}, {"limit": -3}, {"limit": 2.5}])
def test_numbers_that_cannot_be_are_refused(run, tmp_path, wrong, capfd):
    data = written(tmp_path / "rows.csv", np.arange(40) % 2)
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=f"{name} is {value}; it must be a whole number"):
        evaluate.evaluate(run, data, quiet=True, **wrong)
    if name == "seed":
        with pytest.raises(ConfigError, match="seed is"):
            classify(run, data, quiet=True, **wrong)
    for verb in (
        ["eval", str(run), "--on", str(data)],
        *([["classify", str(run), str(data)]] if name == "seed" else []),
    ):
        assert cli.run([*verb, f"--{name}", str(value)]) == 2
        assert "fault of nearfar" not in capfd.readouterr().err


@pytest.mark.parametrize("reject", ["a", None, True, float("nan"), 1, -0.1])
def test_shares_to_refuse_that_cannot_be_are_refused(run, tmp_path, reject):
    data = written(tmp_path / "rows.csv", np.arange(40) % 2)
    with pytest.raises(ConfigError, match="is not a share from 0 to below 1"):
        classify(run, data, reject=reject, quiet=True)


@pytest.mark.filterwarnings("ignore::nearfar.core.errors.NearfarWarning")
def test_labels_of_new_rows_in_another_spelling_are_told(run, tmp_path):
    known, y = written(tmp_path / "known.csv", np.arange(60) % 3), np.arange(30) % 3
    other = written(tmp_path / "new.csv", y, names=("Cat", "dog", "EEL"), seed=5)
    found = classify(run, known, other, quiet=True)
    assert found.figures["rows"] == 10
    assert found.figures["strangers"] == 20
    assert found.warnings[0] == (
        "20 of the 30 labelled new rows are of classes that the classifier does not know: 'Cat', 'EEL'. "
        "It knows 'cat': is 'Cat' another spelling of it?"
    )
    other = written(tmp_path / "new.csv", y, names=("cat", "dog", "gnu"), seed=5)
    said = classify(run, known, other, quiet=True).warnings[0]
    assert said.endswith("10 of the 30 labelled new rows are of classes that the classifier does not know: 'gnu'.")


def test_a_classifier_that_cannot_leave_rows_out_says_why(run, tmp_path):
    data = written(tmp_path / "rows.csv", np.arange(40) % 2)
    lines = data.read_text().splitlines()
    data.write_text("\n".join([f"{lines[0]},g", *(f"{line},g{i % 2}" for i, line in enumerate(lines[1:]))]) + "\n")
    notes = " ".join(classify(run, data, group="g", quiet=True).classifier.notes)
    assert "too few" not in notes
    assert "no class has two rows of different groups to say how near is near" in notes


def test_the_mean_cosine_of_rows_of_zeros_is_zero():
    import torch

    assert float(geometry.mean_cosine(torch.zeros(20, 4))) == 0.0
    half = torch.cat([torch.zeros(10, 4), torch.ones(10, 4)])
    assert float(geometry.mean_cosine(half)) == pytest.approx(90 / 380)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("Cat", "cat", "dog"), "nearly the same \\('Cat', 'cat'\\)"),
        (("ice cream", "ice_cream", "dog"), "nearly the same \\('ice cream', 'ice_cream'\\)"),
        (("red", "red|blue", "blue"), "looks like several labels in one cell; each of 1 such"),
        (("red", "red;blue", "blue;green"), "looks like several labels in one cell; each of 2 such"),
    ],
)
def test_labels_that_look_like_one_class_or_like_several_are_told(tmp_path, names, said):
    from nearfar.data.read import read

    with pytest.warns(NearfarWarning, match=said):
        table = read(written(tmp_path / "rows.csv", np.arange(60) % 3, names=names))
    assert set(table.label_names) == set(names)


def test_one_accented_label_in_two_encodings_is_one_class(tmp_path):
    from nearfar.data.read import read

    with pytest.warns(NearfarWarning, match="1 of the spellings"):
        table = read(written(tmp_path / "rows.csv", np.arange(60) % 3, names=("caf\u00e9", "cafe\u0301", "dog")))
    assert table.label_names == ("café", "dog")


def test_every_figure_stands_in_the_line_over_seeds(tmp_path):
    runs = [tmp_path / f"run{seed}" for seed in range(2)]
    for seed, out in enumerate(runs):
        train.train(written(tmp_path / "rows.csv", np.arange(60) % 3), out=out, seed=seed, **QUICK)
    data = written(tmp_path / "new.csv", np.arange(60) % 3, seed=4)
    found = evaluate.evaluate(runs, data, floors=False, protocols=["knn", "clustering"], quiet=True)
    knn = found.summary[0]["figures"]["knn"]["accuracy"]
    assert knn["mean"] == pytest.approx(np.mean([r["knn"]["accuracy"] for r in found.results]))
    assert f"{knn['mean']:.3f} ± {knn['sd']:.3f}" in found.table()
    assert "–" not in found.table()


def test_runs_of_one_name_are_called_by_their_paths(run, tmp_path):
    other = tmp_path / "elsewhere" / run.name
    shutil.copytree(run, other)
    data = written(tmp_path / "new.csv", np.arange(60) % 3, seed=4)
    found = evaluate.evaluate([run, other], data, floors=False, protocols="knn", quiet=True)
    assert [r["run"] for r in found.results] == [str(run), str(other)]
    assert evaluate.evaluate([run], data, floors=False, protocols="knn", quiet=True).results[0]["run"] == run.name


def test_labels_that_the_two_splits_spell_differently_are_no_accuracy_of_zero(run, tmp_path):
    data = written(tmp_path / "a.csv", np.arange(40) % 4, ["train", "train", "test", "test"] * 10)
    with pytest.raises(
        DataError, match="no row that is scored is of a class that there are rows to fit on: 'eel', 'fox'"
    ):
        evaluate.evaluate(run, data, quiet=True)


def test_classes_that_are_never_scored_are_counted(run, tmp_path):
    y = np.concatenate([np.zeros(30, int), np.ones(30, int), [2, 2, 3, 3]])
    found = evaluate.evaluate(run, written(tmp_path / "tail.csv", y), floors=False, protocols="knn", quiet=True)
    assert "2 of 4 classes have no row that is scored." in found.warnings
    few = written(tmp_path / "few.csv", np.repeat([0, 1, 2, 3], 2))
    with pytest.raises(
        DataError, match="8 rows of 4 classes are too few to measure anything on: 20% of each is no whole"
    ):
        evaluate.evaluate(run, few, quiet=True)


def test_test_rows_that_have_another_label_among_the_training_rows_are_counted(run, tmp_path):
    data = written(tmp_path / "a.csv", np.arange(40) % 2, ["train"] * 40)
    lines = data.read_text().splitlines()
    again = [line.replace(",train", ",test") for line in lines[1:31]]
    again[:7] = [x.replace("cat", "?").replace("dog", "cat").replace("?", "dog") for x in again[:7]]
    data.write_text("\n".join([*lines, *again]) + "\n")
    said = evaluate.evaluate(run, data, floors=False, protocols="knn", quiet=True).warnings
    assert (
        "30 of 30 test rows are also among the training rows, byte for byte; 7 of these have another label there."
        in said
    )


def test_one_file_by_two_paths_is_kept_once(run, tmp_path):
    home = tmp_path / run.name
    shutil.copytree(run, home)
    written(tmp_path / "new.csv", np.arange(60) % 3, seed=4)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "new.csv", tmp_path / "folder" / ".." / "new.csv"):
        assert cli.run(["eval", str(home), "--on", str(path), "--no-floors", "--protocol", "knn"]) == 0
    assert len(list((home / "evaluations").iterdir())) == 1
