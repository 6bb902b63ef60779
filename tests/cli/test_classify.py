"""``nearfar classify``: from a run and labelled rows to a file of predictions, and the mistakes on the way."""

import csv
import json
import shutil
from functools import partial

import numpy as np
import pytest
from PIL import Image

import nearfar
from nearfar.downstream.classify.classifier import Classifier
from nearfar.training import train
from tests.conftest import TINY


@pytest.fixture
def command(command):
    return partial(command, "classify")


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A run on digits."""
    out = tmp_path_factory.mktemp("classify") / "run"
    train.train(digits, out=out, **TINY)
    return out


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it, to write into."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def data(digits, tmp_path):
    """Digits as files: labelled ones, new ones with and without labels."""
    (x, y), (new, truth) = digits["train"], digits["test"]
    np.savez(tmp_path / "labelled.npz", x=x, y=y)
    np.savez(tmp_path / "few.npz", x=x[:100], y=np.where(np.arange(100) < 40, y[:100], np.nan))
    np.savez(tmp_path / "new.npz", x=new, y=truth)
    np.save(tmp_path / "bare.npy", new)
    return tmp_path


def lines_of(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def test_from_labelled_rows_to_a_file_and_again_with_what_was_kept(command, run, data, digits):
    code, out, err = command(run, data / "labelled.npz", data / "new.npz", "--out", data / "p.csv", "--json")
    assert code == 0, err
    for said in ("400 rows of 10 classes", "out-of-fold accuracy", "calibrated", "None of these", "none of these",
                 "Measured on 200", "calibration error"):  # fmt: skip
        assert said in err
    found = json.loads(out)
    assert found["verb"] == "classify"
    assert found["rows"] == 200
    assert found["predictions"] is None
    lines, truth = lines_of(data / "p.csv"), digits["test"][1]
    right = np.mean([line["likeliest"] == str(t) for line, t in zip(lines, truth, strict=True)])
    assert right == pytest.approx(found["figures"]["accuracy"])
    assert right > 0.7
    assert abs(found["out_of_fold"]["accuracy"] - right) < 0.1
    kept = np.mean([line["prediction"] != "" for line in lines])
    assert kept == pytest.approx(found["figures"]["coverage"])
    assert kept > 0.9
    assert all(line["prediction"] in ("", line["likeliest"]) for line in lines)
    assert {p.name for p in (run / "classifier" / "default").iterdir()} == {"classifier.json", "weights.safetensors"}

    code, out, err = command(run, data / "bare.npy", "--use", "default", "--out", data / "again.csv", "--json")
    assert code == 0, err
    assert json.loads(out)["figures"] is None
    again = lines_of(data / "again.csv")
    assert [line | {"name": ""} for line in again] == [line | {"name": ""} for line in lines]


def test_without_new_rows_the_classifier_is_kept(command, run, data):
    code, _, err = command(run, data / "few.npz", "--name", "few", "--kind", "knn", "--reject", "0.2")
    assert code == 0, err
    assert "60 rows without a label are left out" in err
    assert "--use few" in err
    kept = Classifier.load(run / "classifier" / "few")
    assert (kept.kind, kept.reject, len(kept.rows)) == ("knn", 0.2, 40)
    code, out, err = command(run, data / "bare.npy", "--use", "few", "--json")
    assert code == 0, err
    assert "--out" in err
    predictions = json.loads(out)["predictions"]
    assert len(predictions) == 200
    assert predictions[0]["nearest"] in kept.rows
    code, out, err = command(run, data / "bare.npy", "--use", "few", "-q")
    assert (code, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["labelled.npz", "new.npz", "--out", "p.txt"], ".csv"),
        (["labelled.npz", "new.npz", "--out", "nowhere/p.csv"], "no folder"),
        (["labelled.npz", "--out", "p.csv"], "no new rows"),
        (["labelled.npz", "new.npz", "--use", "default"], "the only data"),
        (["new.npz", "--use", "default", "--kind", "knn"], "--kind"),
        (["new.npz", "--use", "default"], "no classifier named 'default'"),
        (["labelled.npz", "--kind", "tree"], "kind of classifier"),
        (["labelled.npz", "--reject", "1.5"], "--reject"),
        (["labelled.npz", "--name", "../up"], "--name"),
        (["labelled.npz", "--label", "z"], "'z'"),
        (["bare.npy"], "no labels"),
        (["missing.npz"], "missing.npz"),
        ([], "LABELLED"),
    ],
)
def test_mistakes_are_sentences_with_status_2(command, run, data, monkeypatch, args, said):
    monkeypatch.chdir(data)
    code, out, err = command(run, *args)
    assert code == 2, err
    assert said in err
    assert out == ""
    assert not (run / "classifier").exists()
    assert not (data / "p.csv").exists()
    code, out, _ = command(run, *args, "--json")
    assert set(json.loads(out)["error"]) == {"kind", "message", "where", "hint"}


def test_ids_and_single_classes_are_asked_about(command, run, digits, tmp_path):
    x = digits["train"][0]
    np.savez(tmp_path / "ids.npz", x=x, y=np.arange(400))
    code, _, err = command(run, tmp_path / "ids.npz")
    assert code == 2
    assert "is that column an id?" in err
    np.savez(tmp_path / "one.npz", x=x, y=np.zeros(400, int))
    code, _, err = command(run, tmp_path / "one.npz")
    assert code == 2
    assert "two classes" in err


def test_other_weights_and_damage_are_told(command, run, data, digits):
    assert command(run, data / "few.npz")[0] == 0
    weights = run / "classifier" / "default" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, _, err = command(run, data / "bare.npy", "--use", "default")
    assert code == 2
    assert "damaged" in err
    weights.write_bytes(whole)
    assert command(run, data / "bare.npy", "--use", "default")[0] == 0
    shutil.copytree(run / "classifier", data / "elsewhere")
    train.train(digits, out=run, overwrite=True, **TINY | {"epochs": 1})
    assert not (run / "classifier").exists()
    shutil.copytree(data / "elsewhere", run / "classifier")
    code, _, err = command(run, data / "bare.npy", "--use", "default")
    assert code == 2
    assert "other weights" in err


def test_folders_of_pictures(command, pictures, tmp_path):
    train.train(pictures, out=tmp_path / "run", size=16, **TINY | {"batch_size": 8, "epochs": 1})
    (tmp_path / "new" / "green").mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (20, 24), (20, 220 + i, 20)).save(tmp_path / "new" / "green" / f"{i}.png")
    shutil.copytree(pictures / "red", tmp_path / "new" / "red")
    (tmp_path / "new" / "red" / "broken.png").write_bytes(b"no picture")
    code, out, err = command(tmp_path / "run", pictures, tmp_path / "new", "--out", tmp_path / "p.csv", "--json")
    assert code == 0, err
    assert "Skipped: " in err
    assert "12 of the 15 new rows are among the labelled ones" in err
    assert "Of other classes: 3 rows" in err
    found = json.loads(out)["figures"]
    assert (found["rows"], found["strangers"]) == (12, 3)
    lines = {line["name"]: line for line in lines_of(tmp_path / "p.csv")}
    assert len(lines) == 15
    same = lines["red/03.png"]
    assert (same["likeliest"], same["nearest"]) == ("red", "red/03.png")
    code, _, err = command(tmp_path / "run", pictures / "blue" / "03.png", "--use", "default")
    assert code == 0, err
    assert "1 new row: blue (1)" in err


def table(path, rows, **columns):
    with open(path, "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(columns)
        writer.writerows([values[i] for values in columns.values()] for i in rows)


def test_tables_whose_label_column_is_named(command, tmp_path):
    draw = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = draw.normal(size=(80, 4)) + 3 * y[:, None]
    columns = {f"f{i}": x[:, i] for i in range(4)}
    train.train(x, out=tmp_path / "run", epochs=1, batch_size=16, threads=1, holdout=0.0)
    kind = np.where(y, "high", "low")
    table(tmp_path / "labelled.csv", range(40), **columns, kind=kind)
    table(tmp_path / "bare.csv", range(40, 80), **columns)
    table(tmp_path / "new.csv", range(40, 80), **columns, kind=kind)
    args = (tmp_path / "run", tmp_path / "labelled.csv", tmp_path / "bare.csv", "--label", "kind", "--json")
    code, out, err = command(*args)
    assert code == 0, err
    found = json.loads(out)
    assert found["figures"] is None
    right = [p["likeliest"] == kind[40 + i] for i, p in enumerate(found["predictions"])]
    assert np.mean(right) > 0.9
    code, out, err = command(tmp_path / "run", tmp_path / "new.csv", "--use", "default", "--json")
    assert code == 0, err
    assert json.loads(out)["figures"]["accuracy"] == pytest.approx(np.mean(right))


def test_a_column_is_named_where_there_are_several(command, pictures, tmp_path):
    train.train(pictures, out=tmp_path / "run", size=16, **TINY | {"batch_size": 8, "epochs": 1})
    files = sorted(pictures.rglob("*.png"))
    columns = {"front": [str(f) for f in files], "back": [str(f) for f in reversed(files)],
               "kind": [f.parent.name for f in files]}  # fmt: skip
    table(tmp_path / "pairs.csv", range(24), **columns)
    args = (tmp_path / "run", tmp_path / "pairs.csv", "--label", "kind")
    code, _, err = command(*args)
    assert code == 2
    assert "--column" in err
    found = []
    for column in ("front", "back"):
        code, _, err = command(*args, "--column", column, "--name", column)
        assert code == 0, err
        found.append(Classifier.load(tmp_path / "run" / "classifier" / column))
    np.testing.assert_allclose(found[0].x, found[1].x[::-1], atol=1e-5)


def test_an_ensemble_and_python(command, trained, run, data, digits, tmp_path):
    nearfar.ensemble([trained, run], out=tmp_path / "both")
    code, out, err = command(tmp_path / "both", data / "labelled.npz", data / "new.npz", "--kind", "knn", "--json")
    assert code == 0, err
    from_command = json.loads(out)["figures"]
    code, out, err = command(tmp_path / "both", data / "new.npz", "--use", "default", "--json")
    assert code == 0, err
    assert json.loads(out)["figures"] == from_command
    found = nearfar.classify(
        nearfar.load(tmp_path / "both"), digits["train"], digits["test"], kind="knn", name="python"
    )
    assert found.path == tmp_path / "both" / "classifier" / "python"
    assert found.figures == from_command
    assert found.lines()[0]["likeliest"] == found.classifier.names[found.predictions.likeliest[0]]


def test_a_model_without_a_folder_keeps_nothing(digits):
    model = train.train(digits, **TINY | {"epochs": 1}).model
    found = nearfar.classify(model, digits["train"], kind="knn")
    assert (found.path, found.predictions, found.lines()) == (None, None, [])
    with pytest.raises(nearfar.NearfarError, match="keeps no classifiers"):
        nearfar.classify(model, new=digits["test"][0], use="default")
    for wrong in ({}, {"labelled": digits["train"], "use": "default"}):
        with pytest.raises(nearfar.NearfarError, match="Name one of the three"):
            nearfar.classify(model, **wrong)
    with pytest.raises(nearfar.NearfarError, match="nothing to use"):
        nearfar.classify(model, use="default")


def test_what_is_wrong_with_new_rows_leaves_the_kept_classifier_as_it_was(command, run, data, monkeypatch):
    monkeypatch.chdir(data)
    assert command(run, "labelled.npz", "--kind", "knn")[0] == 0
    folder = run / "classifier" / "default"
    kept = {p.name: p.read_bytes() for p in folder.iterdir()}
    (data / "taken.csv").mkdir()
    np.save("broken.npy", np.full((4, 3), np.nan))
    for args in (["nowhere/"], ["missing.npz"], ["broken.npy"], ["bare.npy", "--out", "taken.csv"]):
        code, _, err = command(run, "few.npz", *args, "--kind", "logistic")
        assert code == 2, err
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == kept, args

    def full(*_):
        raise nearfar.core.errors.StorageError("the disk is full.")

    monkeypatch.setattr("nearfar.models.predictions.write", full)
    assert command(run, "few.npz", "bare.npy", "--out", "p.csv", "--kind", "logistic")[0] != 0
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == kept


def test_predictions_of_texts_hold_the_texts(command, tmp_path):
    words = {"a": ["red rose", "red cherry, ripe", "a red car"], "b": ["blue sea", "the blue sky", 'blue "jay"']}
    labelled = [(t, label) for label, texts in words.items() for t in texts]
    rows = [f"{t} {i}" for i in range(8) for t, _ in labelled]
    train.train(rows, out=tmp_path / "run", epochs=1, batch_size=16, threads=1, holdout=0.0, length=200,
              encoder_options={"dim": 16})  # fmt: skip
    texts, kinds = zip(*labelled, strict=True)
    table(tmp_path / "labelled.csv", range(6), text=texts, label=kinds)
    new = ['say "red", then go', "two\nlines of blue", "日本語 です"]
    table(tmp_path / "new.csv", range(3), text=new)
    code, out, err = command(tmp_path / "run", tmp_path / "labelled.csv", tmp_path / "new.csv", "--json")
    assert code == 0, err
    assert [p["text"] for p in json.loads(out)["predictions"]] == new
    args = (tmp_path / "run", tmp_path / "new.csv", "--use", "default", "--out", tmp_path / "p.csv")
    assert command(*args)[0] == 0
    lines = lines_of(tmp_path / "p.csv")
    assert [line["text"] for line in lines] == new
    assert [line["name"] for line in lines] == ["new.csv:1", "new.csv:2", "new.csv:3"]
    assert list(lines[0])[:3] == ["name", "text", "prediction"]
