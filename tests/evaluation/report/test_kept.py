"""Measurements are kept by data set and way of measuring; many classes; commands that are right from where they stand."""

import html
import json
import re
import shutil

import numpy as np
import pytest

from nearfar import cli
from nearfar.core import files
from nearfar.core.errors import ConfigError, NearfarWarning
from nearfar.evaluation import evaluate
from nearfar.evaluation.report import collect, kept, of_run
from nearfar.evaluation.report.write import write
from nearfar.models import loading
from nearfar.models.run import Run
from nearfar.training import train

QUICK = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32", "holdout": 0.0,
         "encoder_options": {"width": 16, "out": 8}}  # fmt: skip


def rows(n, seed, classes=4):
    y = np.arange(n) % classes
    return (2 * np.eye(6)[y] + np.random.default_rng(seed).normal(size=(n, 6))).astype(np.float32), y


def table(file, n, seed):
    x, y = rows(n, seed)
    lines = [",".join([*map(repr, r), "abcd"[c]]) for r, c in zip(x.tolist(), y, strict=True)]
    file.write_text("\n".join(["p,q,r,s,t,u,label", *lines]) + "\n")
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "my run"
    train.train(rows(60, 0)[0], out=out, **QUICK)
    return out


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "a run")


def measured(run):
    return [files.read_json(f) for f in sorted((run / "evaluations").glob("*.json"))]


def test_each_data_set_keeps_its_figures(run, tmp_path, capfd):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    first, second = table(tmp_path / "one" / "rows.csv", 60, 1), table(tmp_path / "two" / "rows.csv", 80, 2)
    asked = ["--protocol", "knn", "--no-floors", "--map", "pca"]

    def evaluate(file, *more):
        code = cli.run(["eval", str(run), "--on", str(file), *asked, *more])
        assert code == 0
        return capfd.readouterr().err

    evaluate(first)
    one = measured(run)[0]
    assert "beside 1 of other data or options" in evaluate(second)
    assert len(measured(run)) == 2 and one in measured(run)
    card = (run / "README.md").read_text()
    for file, count in ((first, 12), (second, 16)):
        assert f"`{file}`" in card and f"{count} test rows, {4 * count} to fit on" in card
    assert card.index(str(second)) < card.index(str(first))  # the latest first
    assert len(re.findall(r"### rows\.csv, \d{4}-\d\d-\d\d \d\d:\d\d UTC", card)) == 2
    latest = files.read_json(run / "evaluation.json")
    assert latest["data"]["source"] == str(second)
    page = (run / "report.html").read_text()
    assert f"Measured on <b>rows.csv</b> on {kept.about(latest)['day']}: <code>{second}</code>" in page
    assert f"<b>rows.csv</b>, {kept.about(one)['day']}" in page

    assert "This replaces the measurement of rows.csv" in evaluate(first)
    assert len(measured(run)) == 2 and one not in measured(run)
    assert files.read_json(run / "evaluation.json")["results"] == one["results"]
    assert "test rows, 64 to fit on" in (run / "README.md").read_text()


@pytest.mark.parametrize(
    "options", [{"layer": "projection"}, {"limit": 40}, {"seed": 1}, {"protocols": ["clustering"]}, {"floors": True}]
)
def test_other_options_are_another_measurement(run, options):
    model, data = loading.load(run), rows(60, 1)
    usual = {"protocols": ["knn"], "floors": False}
    for given in (usual, usual | options, usual):
        of_run.keep(model, evaluate.evaluate(model, data, **given), layout="pca")
    found = kept.every(Run.open(run))
    assert len(found) == len(measured(run)) == 2
    assert found[0]["options"]["protocols"] == ["knn"] and found[0]["data"]["source"] is None
    name, value = next(iter(options.items()))
    assert found[1]["options"][name] == value != found[0]["options"].get(name)
    assert (run / "README.md").read_text().count("### data from Python, ") == 2


def test_other_labels_or_splits_of_the_same_rows_are_other_data(run):
    model, (x, y) = loading.load(run), rows(60, 1)
    for data in ((x, y), (x, y[::-1].copy()), {"train": (x[:40], y[:40]), "test": (x[40:], y[40:])}):
        of_run.keep(model, evaluate.evaluate(model, data, protocols=["knn"], floors=False), layout="pca")
    assert len(measured(run)) == 3


def test_what_an_earlier_version_kept_stays_readable(run):
    model = loading.load(run)
    first = evaluate.evaluate(model, rows(60, 1), protocols=["knn"], floors=False).as_dict()
    old = {k: v for k, v in first.items() if k != "options"}
    old["data"] = {k: v for k, v in old["data"].items() if k != "content"}
    files.write_json(run / "evaluation.json", old)
    of_run.keep(model, evaluate.evaluate(model, rows(60, 2), protocols=["knn"], floors=False), layout="pca")
    assert [e["results"] for e in kept.every(Run.open(run))][1] == old["results"]
    assert len(measured(run)) == 2
    (run / "evaluations" / "damaged.json").write_text('{"data"')
    with pytest.warns(NearfarWarning, match="damaged.json: is damaged"):
        assert len(kept.every(Run.open(run))) == 2


def test_a_measurement_of_several_goes_to_its_own_run(run, tmp_path):
    a, b = loading.load(run), train.train(rows(60, 5)[0], out=tmp_path / "b", **QUICK).model
    both = evaluate.evaluate([a, b], rows(60, 1), protocols=["knn"])
    of_run.keep(b, both, layout="pca")
    assert [r["run"] for r in files.read_json(tmp_path / "b" / "evaluation.json")["results"]] == ["b"]
    with pytest.raises(ConfigError, match="lies in no run folder"):
        of_run.keep(train.train(rows(60, 5)[0], **QUICK).model, both)
    with pytest.raises(ConfigError, match="not known which is that of b"):
        of_run.keep(b, evaluate.evaluate(a, rows(60, 1), protocols=["knn"], floors=False))


def test_other_weights_have_no_figures(run):
    model = loading.load(run)
    of_run.keep(model, evaluate.evaluate(model, rows(60, 1), protocols=["knn"], floors=False), layout="pca")
    train.train(rows(60, 0)[0], out=run, overwrite=True, seed=1, **QUICK)
    assert not (run / "evaluations").exists() and not (run / "evaluation.json").exists()
    assert "Not measured yet" in (run / "README.md").read_text()


def test_commands_are_right_from_where_they_stand(run):
    config = json.loads((run / "config.json").read_text())
    assert config["folder"] == str(__import__("pathlib").Path.cwd())
    train.train(rows(60, 0)[0], out=run, overwrite=True, **QUICK)
    page = html.unescape((run / "report.html").read_text())
    assert f"nearfar eval '{run}' --on LABELLED_DATA" in page
    assert f"$ cd {config['folder']}\n$ " in page
    card = (run / "README.md").read_text()
    assert 'nearfar.load(".")  # in this folder' in card and f"$ cd {config['folder']}\n$ " in card


def shown(labels, classes):
    """What the page shows of points with these labels."""
    from nearfar.data.read import read

    x = np.random.default_rng(0).normal(size=(len(labels), 6)).astype(np.float32)
    t = read({"x": x, "label": [classes[i] for i in labels]})
    at = np.arange(len(labels))
    return collect._map(t, t.first, at, x[:, :2], "pca") | {"of": len(labels)}


def test_the_largest_classes_have_a_colour():
    names = [f"class {i:03}" for i in range(100)]
    labels = np.repeat(np.arange(100), np.where(np.arange(100) % 2, 1, 3))  # the even ones are larger
    found = shown(labels, names)
    assert found["present"] == 100 and len(found["legend"]) == 40
    assert all(names[i] in names[::2] for i in found["legend"])
    few = shown(np.arange(40), names)
    assert few["legend"] == list(range(40)) and few["present"] == 40


@pytest.mark.parametrize("classes", [40, 41, 100])
def test_confusions_of_many_classes_are_listed(tmp_path, classes):
    names = [f"class {i:03}" for i in range(classes)]
    table = np.eye(classes, dtype=int) * 5
    table[0, 1], table[2, 3] = 4, 3
    table[np.arange(4, classes), 0] = 1
    result = {"run": "x", "floors": {}, "geometry": {"effective_rank": 2.0},
              "linear_probe": {"accuracy": 0.8, "interval": [0.7, 0.9], "confusion": table.tolist(),
                               "settings": {"C": 1.0, "chosen on": "a tenth"}}}  # fmt: skip
    data = {"source": None, "fingerprint": "0", "classes": names, "train_rows": 9, "test_rows": 9, "split": "all"}
    entry = {"data": data, "results": [result], "warnings": [], "date": "2026-01-02T03:04:05+00:00"}
    point = shown(np.arange(classes), names)
    file = write(tmp_path / "r.html", name="x", config={}, metrics=[], measured=[entry], shown={"map": point})
    page = file.read_text()
    assert "Confusion" in page
    if classes == 40:
        assert "too many" not in page and "class 000 taken for class 001: 4" in page
        assert "classes have a colour" not in page
        return
    assert f"40 of {classes} classes have a colour, those with the most points; the others are grey" in page
    assert f"{classes} classes are too many for a table of all" in page
    different = classes - 2
    if different > 40:
        assert f"the 40 most frequent of {different} different confusions" in page
    assert f"{classes - 4 + 7} rows in all are taken for another class" in page
    first, second = re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", page)[:2]
    assert first == ("class 000", "class 001", "4", "44%") and second == ("class 002", "class 003", "3", "38%")


def test_a_run_finds_its_own_data_from_any_folder(tmp_path, monkeypatch, capfd):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        table(tmp_path / place / "rows.csv", 60, len(place))  # another file of the same name lies there
    monkeypatch.chdir(tmp_path / "here")
    train.train("rows.csv", out="run", **QUICK | {"holdout": 0.4, "select": "last"})
    monkeypatch.chdir(tmp_path / "there")
    assert cli.run(["eval", "../here/run", "--protocol", "knn", "--no-floors", "--map", "pca", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["data"]
    assert found["source"] == str(tmp_path / "here" / "rows.csv")
    assert found["fingerprint"] == loading.load(tmp_path / "here" / "run").fingerprint
