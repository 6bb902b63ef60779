"""Which rows a model was trained on is known by their content, in a run, an ensemble and other data."""

import numpy as np

import nearfar
from nearfar.data.read import read
from nearfar.models import loading
from nearfar.models.training_rows import TrainingRows
from nearfar.training import train

QUICK = {"epochs": 1, "batch_size": 16, "threads": 1, "encoder_options": {"width": 16, "out": 8}}


def rows(n, seed, d=6):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_a_run_knows_its_training_rows_in_any_order_and_company(tmp_path):
    x = rows(200, 0)
    trained = train.train(x, out=tmp_path / "run", holdout=0.2, select="last", **QUICK)
    taught = np.zeros(200, bool)
    taught[trained.plan.train] = True
    assert 20 < (~taught).sum() < 60
    order = np.random.default_rng(1).permutation(250)
    new = np.concatenate([x, rows(50, 2)])[order]
    expected = np.concatenate([taught, np.zeros(50, bool)])[order]
    for model in (trained.model, loading.load(tmp_path / "run")):
        np.testing.assert_array_equal(model.training_rows.among(model.read(new)), expected)
    (tmp_path / "run" / "rows.safetensors").unlink()
    assert loading.load(tmp_path / "run").training_rows is None


def test_an_ensemble_was_trained_on_the_rows_of_all_members(tmp_path):
    x = rows(120, 0)
    runs = [train.train(x[:50], out=tmp_path / f"{i}", holdout=0.0, seed=i, **QUICK).path for i in range(2)]
    nearfar.ensemble(runs, out=tmp_path / "both")
    for model in (nearfar.ensemble(runs), loading.load(tmp_path / "both")):
        assert model.fingerprint == loading.load(runs[0]).fingerprint
        np.testing.assert_array_equal(model.training_rows.among(model.read(x)), np.arange(120) < 50)
    a, b = (TrainingRows(h, {"x": h}) for h in np.array([[1, 2], [2, 3]], np.uint64))
    assert TrainingRows.together([a, b]).rows.tolist() == [1, 2, 3]
    assert TrainingRows.together([a, b]).columns["x"].tolist() == [1, 2, 3]
    assert TrainingRows.together([a, None]) is None


def test_cells_of_one_column_of_a_pair():
    x, y = ([f"{word} {i}" for i in range(60)] for word in ("left", "right"))
    known = TrainingRows.of(read({"a": x, "b": y}, column=("a", "b"), length=64), np.arange(40))
    some = np.arange(60) < 40
    np.testing.assert_array_equal(known.among(read({"a": x, "b": y}, column=("a", "b"), length=64)), some)
    np.testing.assert_array_equal(known.among(read({"b": y}, column="b", length=64)), some)
    assert not known.among(read({"a": x, "b": y[::-1]}, column=("a", "b"), length=64)).any()
    assert not known.among(read({"c": x}, column="c", length=64)).any()


def test_the_hashes_are_kept_to_the_bit(tmp_path):
    high = np.array([0, 2**63, 2**64 - 1], np.uint64)
    for columns in ({"a": high}, {"a": high[:2], "b": high[1:]}):
        TrainingRows(high, columns).save(tmp_path)
        found = TrainingRows.load(tmp_path)
        np.testing.assert_array_equal(found.rows, high)
        assert {n: h.tolist() for n, h in found.columns.items()} == {n: h.tolist() for n, h in columns.items()}
