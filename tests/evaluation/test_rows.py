"""Which rows are scored: all that no model was trained on where nothing is fitted, else those that were held back."""

import json

import numpy as np
import pytest
from scipy import stats

import nearfar
from nearfar import cli
from nearfar.core.errors import DataError, NearfarWarning, UnknownName
from nearfar.data import splits as split
from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.models import loading
from nearfar.training import train

QUICK = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32"}
TEXTS = QUICK | {"encoder_options": {"dim": 16}, "length": 128}
VECTORS = QUICK | {"select": "last", "encoder_options": {"width": 16, "out": 8}}
WORDS = ["the", "cat", "dog", "sun", "rain", "tree", "house", "river", "road", "bird", "fish", "stone"]


def sentences(n, seed):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 5)) + f" {i}" for i in range(n)]


def rows(n, seed, classes=4):
    """Rows of classes that lie apart, and the classes."""
    y = np.arange(n) % classes
    return (2 * np.eye(6)[y] + np.random.default_rng(seed).normal(size=(n, 6))).astype(np.float32), y


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "texts"
    return train.train(sentences(60, 0), out=out, holdout=0.0, **TEXTS).path


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "scored.csv"
    score = np.random.default_rng(5).integers(0, 6, 70)
    lines = zip(sentences(70, 1), sentences(70, 2), score, strict=True)
    file.write_text("a,b,score\n" + "".join(f"{a},{b},{s}\n" for a, b, s in lines))
    return file


def test_scored_pairs_are_all_scored(texts, scored, capfd):
    model = loading.load(texts)
    found = evaluate.evaluate(model, scored, column=("a", "b"), score="score")
    sides = [model.encode(sentences(70, s)) for s in (1, 2)]
    score = np.random.default_rng(5).integers(0, 6, 70)
    expected = stats.spearmanr((sides[0] * sides[1]).sum(1).round(6), score).statistic
    assert found.results[0]["sts"]["spearman"] == pytest.approx(expected, abs=1e-6)
    assert found.results[0]["sts"]["settings"]["pairs"] == 70
    assert (found.data["test_rows"], found.data["train_rows"]) == (70, 0)
    assert "70 test rows, nothing is fitted; no test split, scored on all rows." in found.table()
    where = [str(scored), "--pair", "a", "b", "--score", "score"]
    for more, said in (
        (["--test-split", "nonsense"], "--test-split: there is no split named 'nonsense'"),
        (["--train-split", "nonsense"], "--train-split: there is no split named 'nonsense'"),
    ):
        assert cli.run(["eval", str(texts), "--on", *where, *more]) == 2
        assert said in capfd.readouterr().err


def test_retrieval_has_all_rows_as_its_gallery(texts):
    pairs = {"a": sentences(50, 3), "b": sentences(50, 4)}
    found = evaluate.evaluate(loading.load(texts), pairs, column=("a", "b"), floors=False)
    assert found.results[0]["retrieval"]["a->b"]["settings"]["queries"] == 50
    assert found.results[0]["bitext"]["a->b"]["settings"]["queries"] == 50


def test_pairs_that_a_model_was_trained_on_are_not_scored(tmp_path):
    a, b = sentences(200, 3), sentences(200, 4)
    trained = train.train({"a": a, "b": b}, column=("a", "b"), holdout=0.3, **TEXTS)
    aside = set(trained.plan.heldout.tolist())
    assert len(aside) >= split.LEAST
    more = {"a": a + sentences(30, 7), "b": b + sentences(30, 8)}
    for data, count in (({"a": a, "b": b}, 0), (more, 30)):
        found = evaluate.evaluate(trained.model, data, column=("a", "b"), protocols=["retrieval"], floors=False)
        assert set(found.rows.test.tolist()) == aside | set(range(200, 200 + count))
        assert "scored on rows that no model was trained on" in found.data["split"]
        assert not any("trained on" in w for w in found.warnings)


def test_one_split_is_enough(texts, tmp_path):
    x = sentences(40, 9)
    (tmp_path / "one").mkdir()
    lines = [f"{t},{'ab'[i % 2]}\n" for i, t in enumerate(x)]
    (tmp_path / "one" / "test.csv").write_text("text,label\n" + "".join(lines))
    model = loading.load(texts)
    table = model.read(tmp_path / "one")
    assert list(table.splits) == ["test"]
    found = evaluate.evaluate(model, tmp_path / "one", protocols=["clustering"], floors=False)
    assert found.results[0]["clustering"]["settings"]["rows"] == 40
    found = evaluate.evaluate(model, tmp_path / "one", protocols=["knn", "clustering"], floors=False)
    assert (found.data["train_rows"], found.data["test_rows"]) == (32, 8)
    assert "the split 'test' is divided, stratified 80%/20%, seed 0" in found.data["split"]
    assert "clustering: 40 test rows; scored on the split 'test'." in found.table()
    assert found.results[0]["clustering"]["settings"]["rows"] == 40


@pytest.mark.parametrize(
    ("splits", "given", "train", "test"),
    [
        ({"train": 20, "validation": 8, "test": 12}, {}, "train", "test"),
        ({"train": 20, "validation": 8}, {}, "train", "validation"),
        ({"train": 20, "validation": 8, "test": 12}, {"test_split": "validation"}, "train", "validation"),
        ({"train": 20, "validation": 8, "test": 12}, {"train_split": "validation"}, "validation", "test"),
        ({"validation": 20}, {"train_split": "validation"}, "validation", "validation"),
        ({"train": 20, "test": 12}, {"test_split": "train"}, "train", "train"),
        ({"test": 20}, {}, "test", "test"),
    ],
)
def test_probes_are_fitted_and_scored_on_different_rows(splits, given, train, test):
    x, y = rows(60, 0)
    table = read({name: (x[:n] + i, y[:n]) for i, (name, n) in enumerate(splits.items())})
    plan = split.evaluation_plan(table, **given)
    assert len(plan.train) and len(plan.test) and not set(plan.train) & set(plan.test)
    assert set(plan.train) <= set(table.splits[train]) and set(plan.test) <= set(table.splits[test])
    if train != test:
        assert (len(plan.train), len(plan.test)) == (splits[train], splits[test])
        assert plan.notes == (f"fitted on the split {train!r}, scored on the split {test!r}",)


def test_splits_that_are_not_there_or_empty():
    x, y = rows(60, 0)
    some, none = read({"train": (x, y), "test": (x + 1, y)}), read((x, y))
    for fits in (True, False):
        for given in ({"test_split": "tset"}, {"train_split": "trian"}):
            with pytest.raises(UnknownName, match="Did you mean"):
                split.evaluation_plan(some, fits=fits, **given)
            with pytest.raises(UnknownName, match="There are none"):
                split.evaluation_plan(none, fits=fits, **given)
    empty = {"train": np.arange(60), "test": np.arange(0)}
    with pytest.raises(DataError, match="'test' has no rows that can be read"):
        split.evaluation_plan(type(none)(**{**vars(none), "splits": empty}), fits=True)


def test_rows_of_the_training_are_known_in_other_files_and_parts_of_them(tmp_path):
    x, y = rows(400, 0)

    def write(file, x, y):
        lines = [",".join([*map(repr, r), "abcd"[c]]) for r, c in zip(x.tolist(), y, strict=True)]
        (tmp_path / file).write_text("\n".join(["p,q,r,s,t,u,label", *lines]) + "\n")
        return str(tmp_path / file)

    trained = train.train(write("all.csv", x, y), out=tmp_path / "run", label="label", holdout=0.2, **VECTORS)
    aside = set(trained.plan.heldout.tolist())
    model = loading.load(tmp_path / "run")

    def scored(source, **more):
        found = evaluate.evaluate(model, source, protocols=["knn"], floors=False, label="label", **more)
        line = [int(str(found.table_of_rows.names[r]).split(":")[1]) - 1 for r in found.rows.test]
        return found, set(line)

    assert scored(None)[1] == aside
    _, seen = scored(str(tmp_path / "all.csv"), limit=200)
    assert seen < aside and len(seen) >= split.LEAST
    # half of the rows are new ones: a fifth is drawn among these and the rows that training held out
    new, z = rows(400, 1)
    _, seen = scored(write("mixed.csv", np.concatenate([x, new]), np.concatenate([y, z])))
    assert len(seen) == 160 and seen <= aside | set(range(400, 800))
    # a test split that was trained on is scored as asked for, and said
    (tmp_path / "split").mkdir()
    write("split/train.csv", new, z)
    write("split/test.csv", x[:30], y[:30])
    with pytest.warns(NearfarWarning, match=r"run was trained on \d+ of the 30 rows that are scored here"):
        evaluate.evaluate(model, tmp_path / "split", protocols=["knn"], floors=False)
    # the same place, other content
    write("all.csv", new[:100], z[:100])
    with pytest.warns(NearfarWarning, match=r"all.csv has changed since run was .*: 0 of its 100 rows are known"):
        scored(str(tmp_path / "all.csv"))
    model.training_rows = None  # a run of an earlier version
    with pytest.warns(NearfarWarning, match="all.csv has changed since run was .*: so rows that are scored may"):
        scored(str(tmp_path / "all.csv"))


def test_a_run_of_an_earlier_version_knows_its_own_data(tmp_path):
    x, y = rows(400, 0)
    trained = train.train((x, y), out=tmp_path / "run", holdout=0.2, **VECTORS)
    (tmp_path / "run" / "rows.safetensors").unlink()
    found = evaluate.evaluate(tmp_path / "run", (x, y), protocols=["knn"], floors=False)
    assert set(found.rows.test) == set(trained.plan.heldout)


def test_each_model_reads_the_data_its_own_way(tmp_path):
    x, _ = rows(80, 0)
    a = train.train(x, holdout=0.0, **VECTORS).model
    b = train.train(x * 7 + 3, holdout=0.0, **VECTORS).model
    a.name, b.name = "a", "b"
    new = {"train": rows(40, 1), "test": rows(40, 2)}
    both = evaluate.evaluate([a, b], new, protocols=["knn"], floors=False).results
    alone = [evaluate.evaluate(m, new, protocols=["knn"], floors=False).results[0] for m in (a, b)]
    assert json.dumps(both) == json.dumps(alone)


def test_protocols_that_lack_what_they_take_are_refused(texts):
    with pytest.raises(DataError, match="knn takes labels of two classes or more, and these data have none"):
        evaluate.evaluate(loading.load(texts), sentences(30, 5), protocols=["knn"])
    found = evaluate.evaluate(loading.load(texts), sentences(30, 5))
    assert (found.data["test_rows"], found.data["train_rows"]) == (30, 0)


def test_rows_without_a_judgement_are_not_judged(texts):
    pairs = {"a": sentences(40, 3), "b": sentences(40, 4), "label": ["no", "yes", "", "yes"] * 10}
    found = evaluate.evaluate(
        loading.load(texts), pairs, column=("a", "b"), protocols=["pair_classification"], floors=False
    )
    r = found.results[0]["pair_classification"]
    assert r["settings"]["pairs"] == 30
    assert r["chance"] == pytest.approx(2 / 3)


def test_options_that_do_not_exist_are_refused_by_name(texts):
    model = loading.load(texts)
    for call, near in (
        (lambda: evaluate.evaluate(model, sentences(30, 5), flors=False), "'floors'"),
        (lambda: evaluate.evaluate(model, sentences(30, 5), lable="x"), "'label'"),
        (lambda: evaluate.evaluate(model, sentences(30, 5), size=3), "There are: "),
        (lambda: model.encode(sentences(3, 5), normalise=False), "'normalize'"),
        (lambda: loading.load(texts, divice="cpu"), "'device'"),
    ):
        with pytest.raises(UnknownName, match="there is no option named") as e:
            call()
        assert near in str(e.value)
    for word in ("floors", "with_floors"):
        assert evaluate.evaluate(model, sentences(30, 5), **{word: False}).results[0]["floors"] == {}


def test_rows_that_chose_the_weights_are_said():
    x = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    given = {"encoder": "mlp", "epochs": 1, "batch_size": 32, "threads": 1, "quiet": True, "lr": 1e-5, "fixed": "none"}
    data = (x, np.arange(600) % 2)
    tested = {"train": (x[:450], data[1][:450]), "test": (x[450:], data[1][450:])}
    for source, select, said in ((data, "best", True), (data, "last", False), (tested, "best", False)):
        trained = nearfar.train(source, select=select, **given)
        found = nearfar.evaluate(trained.model, source, protocols=["knn"], floors=False, quiet=True)
        assert any("the weights that were best on rows scored here" in w for w in found.warnings) == said
