"""Vectors that are kept: the same as computed, found again by any process, and never in the way."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import nearfar
from nearfar.core import files
from nearfar.core.config import assemble
from nearfar.core.console import Console
from nearfar.models import branches, kept
from nearfar.models.embedder import Embedder
from nearfar.training import train

ROWS = 90


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(kept.VARIABLE, raising=False)
    return tmp_path / "home" / "vectors"


def pictures(seed=0, rows=ROWS):
    return np.random.default_rng(seed).integers(0, 256, (rows, 16, 16, 3), np.uint8)


def made(seed=0, **more):
    """A network of pictures with random weights that stay as they are."""
    config, _ = assemble(None, (), method="random", encoder="small_cnn", seed=seed, precision="fp32", threads=1)
    plan = train.plan(config, source=pictures())
    kinds = plan.table.kinds
    return Embedder(plan.config, kinds, branches.fresh(plan.config, kinds), **{"frozen": True, **more})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    before = os.environ.get("NEARFAR_HOME")
    os.environ["NEARFAR_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield made()
    os.environ["NEARFAR_HOME"] = before


@pytest.fixture
def counted(model, monkeypatch):
    """How many rows went through the network, in calls."""
    calls, forward = [], model.branches[model.only_column()].encoder.forward

    def count(x):
        calls.append(len(x))
        return forward(x)

    monkeypatch.setattr(model.branches[model.only_column()].encoder, "forward", count)
    return calls


def kept_files(home):
    return sorted(home.glob("*/*.safetensors"))


def test_no_row_is_encoded_twice_and_its_vector_is_always_the_same(model, counted, home):
    column = model.read(pictures()).first
    first = model.features(column, np.arange(50))
    assert sum(counted) == 50
    again = model.features(column, np.arange(ROWS))  # 50 are there
    assert sum(counted) == ROWS and len(kept_files(home)) == 2
    assert (again[:50] == first).all()
    backwards = model.features(column, np.arange(ROWS)[::-1])
    assert sum(counted) == ROWS and (backwards == again[::-1]).all()
    few = model.features(column, np.arange(kept.LEAST - 1))  # which are not worth a look
    assert sum(counted) == ROWS + kept.LEAST - 1
    np.testing.assert_allclose(few, again[: len(few)], atol=1e-5)
    counted.clear()
    model.cached = False
    try:
        np.testing.assert_allclose(model.features(column, np.arange(ROWS)), again, atol=1e-5)
    finally:
        del model.cached
    assert sum(counted) == ROWS


def test_equal_rows_have_one_vector(model, counted):
    column = model.read(np.concatenate([pictures(), pictures()[::-1]])).first
    z = model.features(column, np.arange(2 * ROWS))
    assert sum(counted) == ROWS
    assert (z[:ROWS] == z[ROWS:][::-1]).all()


def test_what_is_kept_is_whole_and_not_normalised(model, counted):
    column, rows = model.read(pictures()).first, np.arange(ROWS)
    whole = model.features(column, rows)
    few = model.cut(5)
    np.testing.assert_array_equal(few.features(column, rows), whole[:, :5])
    unit = model.features(column, rows, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(model.encode(pictures(), layer="features"), unit)
    assert sum(counted) == ROWS


def test_layers_weights_and_what_decides_them_are_kept_apart(model, counted, home):
    column, rows = model.read(pictures()).first, np.arange(ROWS)
    a = model.features(column, rows)
    model.features(column, rows, "projection")
    assert sum(counted) == 2 * ROWS
    other = made(seed=1)
    assert not np.allclose(other.features(column, rows), a)
    assert len({f.parent for f in kept_files(home)}) == 2


def test_a_picture_of_other_proportions_is_another_row():
    column = made().read(pictures()).first
    geometry = np.asarray(column.geometry).copy()
    same = kept.content(column, np.arange(3))
    geometry[1] = (5, 7)
    changed = kept.content(replace(column, geometry=geometry), np.arange(3))
    assert (same == changed).tolist() == [True, False, True]


def test_weights_that_may_change_and_quick_encoders_keep_nothing(home):
    training = made(frozen=False)
    training.features(training.read(pictures()).first, np.arange(ROWS))
    assert not home.exists()
    texts = [f"text number {i} of these" for i in range(ROWS)]
    config, _ = assemble(None, (), method="random", encoder="static", encoder_options={"dim": 16}, fixed="none")
    plan = train.plan(config, source=texts)
    static = Embedder(plan.config, plan.table.kinds, branches.fresh(plan.config, plan.table.kinds), frozen=True)
    static.encode(texts)
    assert not home.exists()


@pytest.mark.parametrize("how", ["cut", "changed", "of another kind", "empty", "a header alone"])
def test_a_damaged_file_is_removed_and_made_again(model, counted, home, how):
    column, rows = model.read(pictures()).first, np.arange(ROWS)
    before = model.features(column, rows)
    (file,) = kept_files(home)
    content = bytearray(file.read_bytes())
    if how == "cut":
        file.write_bytes(content[:-100])
    elif how == "changed":
        content[-50] ^= 1
        file.write_bytes(content)
    elif how == "of another kind":
        sqlite3.connect(file.with_name("x")).execute("create table t (a)")
        os.replace(file.with_name("x"), file)
    elif how == "empty":
        file.write_bytes(b"")
    else:
        files.save_tensors(file, {"keys": torch.zeros(3)}, {})
    np.testing.assert_allclose(model.features(column, rows), before, atol=1e-6)
    assert sum(counted) == 2 * ROWS
    model.features(column, rows)
    assert sum(counted) == 2 * ROWS and len(kept_files(home)) == 1


def test_a_disk_that_cannot_be_written_is_one_quiet_note(model, home, capsys, monkeypatch):
    column, rows = model.read(pictures()).first, np.arange(ROWS)
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file, where the folder should be")
    model.features(column, rows, console=Console())
    said = capsys.readouterr().err
    assert said.count("Vectors are not kept") == 1 and str(home) in said
    model.features(column, rows)  # nothing is said, and nothing raised: warnings are errors here
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_no_error(model, home, capsys, monkeypatch):
    column = model.read(pictures()).first
    monkeypatch.setattr(files, "free_bytes", lambda path: 1000)
    model.features(column, np.arange(ROWS), console=Console())
    assert "they may take 0 MiB" in capsys.readouterr().err
    assert not kept_files(home)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_is_read(model, counted, home):
    column, rows = model.read(pictures()).first, np.arange(ROWS)
    model.features(column, rows)
    (file,) = kept_files(home)
    file.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    model.features(column, rows)
    assert sum(counted) == ROWS


def test_the_model_that_was_not_used_for_longest_goes_first(model, home, monkeypatch):
    column, rows = model.read(pictures()).first, np.arange(ROWS)
    others = [made(seed=s) for s in (1, 2)]
    for m in (model, *others):
        m.features(column, rows)
    folders = [f.parent for f in kept_files(home)]
    size = sum(f.stat().st_size for f in kept_files(home))
    assert len(folders) == 3
    used = []
    for i, m in enumerate((others[0], model, others[1])):
        m.features(column, rows)
        used.append(max(folders, key=lambda p: p.stat().st_mtime_ns))
        os.utime(used[-1], (i, i))
    monkeypatch.setenv(kept.VARIABLE, str(size + 100))
    made(seed=3).features(column, rows)
    left = {f.parent for f in kept_files(home)}
    assert len(left) == 3 and set(used) - left == {used[0]}


def test_off_by_argument_and_by_variable(tmp_path, home, monkeypatch, counted, model):
    column, rows = model.read(pictures()).first, np.arange(ROWS)
    monkeypatch.setenv(kept.VARIABLE, "0")
    model.features(column, rows)
    assert not home.exists() and "none are kept" in kept.about()
    assert "NEARFAR_VECTORS=0" in nearfar.doctor().facts["vectors"]
    monkeypatch.setenv(kept.VARIABLE, "many")
    with pytest.raises(nearfar.NearfarError, match="NEARFAR_VECTORS=many: it must be a number"):
        model.features(column, rows)


def test_runs_by_argument_and_flag(tmp_path, home, command):
    x, y = pictures(), np.arange(ROWS) % 2
    x[y == 1, :, :, 0] = 255
    nearfar.train((x, y), out=tmp_path / "run", method="random", encoder="small_cnn", epochs=0, quiet=True, threads=1)
    shutil.rmtree(home, ignore_errors=True)
    np.save(tmp_path / "x.npy", x)
    nearfar.load(tmp_path / "run", cache=False).encode(x)
    status, _, said = command("embed", tmp_path / "run", tmp_path / "x.npy", "--out", tmp_path / "z.npy", "--no-cache")
    assert status == 0, said
    assert not kept_files(home)
    assert command("embed", tmp_path / "run", tmp_path / "x.npy", "--out", tmp_path / "z2.npy")[0] == 0
    assert len(kept_files(home)) == 1 and "1 model," in nearfar.doctor().facts["vectors"]
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), np.load(tmp_path / "z2.npy"), atol=1e-2)


def test_many_small_files_become_one(model, home, counted):
    x = pictures(seed=9, rows=kept.LEAST * (kept.MANY + 2))
    column = model.read(x).first
    for start in range(0, len(x), kept.LEAST):
        model.features(column, np.arange(start, start + kept.LEAST))
    assert len(kept_files(home)) <= 2
    before = sum(counted)
    model.features(column, np.arange(len(x)))
    assert sum(counted) == before == len(x)


TWO = """
import sys, numpy as np
sys.path.insert(0, {tests!r})
from tests.models.test_kept import made, pictures
m = made()
x = pictures(5, 40 * 30)
column, out = m.read(x).first, []
order = np.random.default_rng(int(sys.argv[1])).permutation(30)
for i in order:
    out.append((i, m.features(column, np.arange(40 * i, 40 * i + 40))))
np.save(sys.argv[2], np.concatenate([z for _, z in sorted(out, key=lambda p: p[0])]))
"""


def test_two_processes_at_once(tmp_path, home):
    """They write, unite and read the files of one model, and both give what it gives."""
    code = TWO.format(tests=os.getcwd())
    env = {**os.environ, "NEARFAR_HOME": str(home.parent)}
    both = [subprocess.Popen([sys.executable, "-c", code, str(i), tmp_path / f"{i}.npy"], env=env) for i in range(2)]
    assert [p.wait(120) for p in both] == [0, 0]
    a, b = (np.load(tmp_path / f"{i}.npy") for i in range(2))
    np.testing.assert_allclose(a, b, atol=1e-5)
    m = made()
    column = m.read(pictures(5, 1200)).first
    m.branches[m.only_column()].encoder.forward = None  # all rows are there
    np.testing.assert_allclose(m.features(column, np.arange(1200)), a, atol=1e-5)
    assert not [f for f in home.rglob("*") if f.name.endswith(".nearfar")]
