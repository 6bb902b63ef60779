"""Figures of the same numbers are computed once, and never those of others."""

import json
import time
from dataclasses import replace
from functools import partial, wraps

import numpy as np
import pytest

import nearfar
from nearfar.evaluation.protocols import Features, knn
from nearfar.evaluation.protocols.few_labels import TRAINING, UNIT, FewLabels
from nearfar.models import kept_figures
from nearfar.models.kept_figures import figures


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))


@pytest.fixture
def rows():
    y = np.arange(120) % 3
    x = np.random.default_rng(0).normal(size=(120, 8)) + y[:, None]
    x = x.astype(np.float32)
    return Features(x[:90], y[:90], 3), Features(x[90:], y[90:], 3)


def broken(*args, **options):
    raise AssertionError("was computed")


broken.__module__ = knn.__name__
broken.__qualname__ = "measure"


def again(monkeypatch, *rows, **options):
    """Figures of a probe that cannot compute any."""
    with monkeypatch.context() as patched:
        patched.setattr(knn, "measure", broken)
        return figures(broken, *rows, **options)


def test_what_is_kept_is_the_same_to_the_bit(rows, monkeypatch):
    first = figures(knn.measure, *rows, seed=3)
    assert first == knn.measure(*rows, seed=3)
    assert again(monkeypatch, *rows, seed=3) == first


def test_anything_else_is_computed(rows, monkeypatch):
    figures(knn.measure, *rows, seed=3)
    train, test = rows
    nudged = train.x.copy()
    nudged[0, 0] = np.nextafter(nudged[0, 0], np.float32(9))
    others = [
        (replace(train, x=nudged), test, 3), (replace(train, y=np.roll(train.y, 1)), test, 3), (train, test, 4),
        (replace(train, directions=True), test, 3), (test, train, 3), (replace(train, groups=train.y), test, 3),
        (replace(train, x=train.x.reshape(45, 16), y=train.y[:45]), test, 3),
    ]  # fmt: skip
    for a, b, seed in others:
        with pytest.raises(AssertionError, match="was computed"):
            again(monkeypatch, a, b, seed=seed)


def test_methods_of_one_class_do_not_share(rows):
    """`few_labels`, `shots` and `shares` are one function with other settings."""
    given = [((2,), 2, 1.0, UNIT), ((2,), 3, 1.0, UNIT), ((2,), 2, 9.0, UNIT), ((2,), 2, 1.0, TRAINING)]
    settings = [FewLabels(*values) for values in given]
    found = [figures(s.measure, *rows, seed=0) for s in settings]
    assert found == [s.measure(*rows, seed=0) for s in settings]
    assert len(list(kept_figures.root().glob("*.json"))) == 4


def test_other_code_is_computed(rows, monkeypatch):
    figures(knn.measure, *rows)
    monkeypatch.setattr(kept_figures, "_code", lambda: b"changed")
    with pytest.raises(AssertionError, match="was computed"):
        again(monkeypatch, *rows)


def test_code_is_every_file_of_the_package(monkeypatch, tmp_path):
    kept_figures._code.cache_clear()
    before = kept_figures._code()
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(kept_figures, "PACKAGE", tmp_path)
    monkeypatch.setattr(kept_figures, "LOADED", time.time() + 9)
    kept_figures._code.cache_clear()
    one = kept_figures._code()
    (tmp_path / "__init__.py").write_text("# another\n")
    kept_figures._code.cache_clear()
    assert len({before, one, kept_figures._code()}) == 3
    kept_figures._code.cache_clear()


def test_plug_ins_and_what_json_changes_are_not_kept(rows, monkeypatch):
    def of_a_plug_in(*args, **options):
        return {"accuracy": 1.0}

    def with_a_tuple(*args, **options):
        return {"accuracy": (1, 2), "nothing": float("nan")}

    with_a_tuple.__module__, with_a_tuple.__qualname__ = knn.__name__, "tuples"
    monkeypatch.setattr(knn, "tuples", with_a_tuple, raising=False)
    for compute in (of_a_plug_in, with_a_tuple):
        assert repr(figures(compute, *rows)) == repr(compute())
        assert not list(kept_figures.root().glob("*"))


def test_a_plug_in_that_bears_the_name_of_what_it_wraps_is_not_that(rows):
    @wraps(knn.measure)
    def measure(*args, **options):
        return knn.measure(*args, **options) | {"accuracy": 0.125}

    figures(knn.measure, *rows)
    assert figures(measure, *rows)["accuracy"] == 0.125
    assert figures(partial(knn.measure), *rows, seed=np.int64(3)) == knn.measure(*rows, seed=3)


def test_code_that_was_changed_while_it_ran_keeps_nothing(rows, monkeypatch, tmp_path):
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(kept_figures, "PACKAGE", tmp_path)
    monkeypatch.setattr(kept_figures, "LOADED", time.time() - 9)
    kept_figures._code.cache_clear()
    figures(knn.measure, *rows)
    assert not list(kept_figures.root().glob("*"))
    kept_figures._code.cache_clear()


def test_what_may_only_be_read_is_taken(rows, monkeypatch):
    first = figures(knn.measure, *rows, seed=3)

    def refused(*_):
        raise PermissionError(13, "only to be read")

    monkeypatch.setattr(kept_figures.os, "utime", refused)
    assert again(monkeypatch, *rows, seed=3) == first


def test_damage_a_full_disk_and_no_cache_are_no_errors(rows, monkeypatch):
    first = figures(knn.measure, *rows)
    (file,) = kept_figures.root().glob("*.json")
    whole = file.read_text()
    other = whole.replace(f"{first['accuracy']}", "0.125", 1)
    for damaged in ("{ half", "null", "[1, 2]", json.dumps(first), other):
        assert damaged != whole
        file.write_text(damaged)
        assert figures(knn.measure, *rows) == first
        assert file.read_text() == whole
    with pytest.raises(AssertionError, match="was computed"):
        again(monkeypatch, *rows, keep=False)
    monkeypatch.setenv("NEARFAR_VECTORS", "0")
    with pytest.raises(AssertionError, match="was computed"):
        again(monkeypatch, *rows)
    assert "none are kept" in kept_figures.about()
    monkeypatch.delenv("NEARFAR_VECTORS")
    monkeypatch.setattr(kept_figures.files, "write_json", lambda *_: (_ for _ in ()).throw(OSError("full")))
    assert figures(knn.measure, *rows, seed=9) == knn.measure(*rows, seed=9)


def test_files_stay_few(rows, monkeypatch):
    monkeypatch.setattr(kept_figures, "MOST", 4)
    for seed in range(7):
        figures(knn.measure, *rows, seed=seed)
        assert len(list(kept_figures.root().glob("*.json"))) <= 4
    assert "of at most 4" in kept_figures.about()


@pytest.mark.filterwarnings("ignore:.*was trained on:nearfar.core.errors.NearfarWarning")
def test_evaluations_and_classifiers_do_not_fit_twice(tmp_path, monkeypatch, rows):
    train, _ = rows
    model = nearfar.train((train.x, train.y), method="random", epochs=0, out=tmp_path / "run", quiet=True).model
    asked = {"protocols": ["knn", "linear_probe"], "floors": False, "quiet": True}
    first = nearfar.evaluate(model, (train.x, train.y), **asked).as_dict()
    classified = nearfar.classify(model, (train.x, train.y), quiet=True)
    monkeypatch.setattr("nearfar.vectors.logistic.Problem.solve", broken)
    monkeypatch.setattr("nearfar.vectors.geometry.rankme", broken)
    again = nearfar.evaluate(model, (train.x, train.y), **asked).as_dict()
    assert again["results"] == first["results"]
    with pytest.raises(AssertionError, match="was computed"):
        nearfar.evaluate(model, (train.x, train.y), cache=False, **asked)
    monkeypatch.undo()
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("nearfar.downstream.classify.selection.candidates", broken)
    assert nearfar.classify(model, (train.x, train.y), quiet=True).as_dict() == classified.as_dict()
