"""What is overwritten stays until the new is there as a whole, and only what nearfar wrote is ever removed."""

import errno
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

import nearfar
from nearfar.core import files, leftovers, replacing
from nearfar.core.errors import ConfigError, RunError, StorageError, TrainingError
from nearfar.evaluation import evaluate
from nearfar.evaluation.report import of_run
from nearfar.models import loading
from nearfar.models.run import Run
from nearfar.training import train
from nearfar.training.trainer import Trainer
from tests.conftest import TINY

OWN = {"notes.txt": b"mine", "figures/plot.svg": b"<svg/>", "evaluations/remarks.txt": b"also mine"}


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def with_own(folder):
    for name, content in OWN.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    os.symlink("/etc/hostname", folder / "link")
    return contents(folder)


@pytest.fixture
def old(digits, tmp_path):
    train.train(digits, out=tmp_path / "run", **TINY | {"epochs": 1})
    return tmp_path / "run"


def nothing_beside(folder):
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".")] == []


# --- runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"lr": -1}, {"encoder": "none such"}, {"limit": 1}])
def test_a_request_that_is_refused_leaves_the_old_run(digits, old, wrong):
    before = with_own(old)
    with pytest.raises(nearfar.core.errors.UserError):
        train.train(digits, out=old, overwrite=True, **TINY | wrong)
    assert contents(old) == before
    nothing_beside(old)


def test_the_old_run_stays_until_the_new_one_has_a_checkpoint(digits, old, monkeypatch):
    before, step, seen = with_own(old), Trainer.step, []

    def watched(self, *args):
        seen.append(contents(old))
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", watched)
    train.train(digits, out=old, overwrite=True, **TINY | {"epochs": 1, "seed": 5, "checkpoint_every": "2steps"})
    assert {k: v for k, v in seen[1].items() if k != ".lock"} == before
    assert Run(old).config["config"]["train"]["seed"] == 5
    assert "checkpoint/state.safetensors" in seen[3] and "model.safetensors" not in seen[3]
    after = contents(old)
    assert {k: after[k] for k in OWN} == OWN
    assert (old / "empty").is_dir() and os.readlink(old / "link") == "/etc/hostname"
    nothing_beside(old)


def test_a_training_that_fails_before_its_first_checkpoint_leaves_the_old_run(digits, old, monkeypatch):
    before = with_own(old)
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self, *a: (lambda x: (x[0] * float("nan"), *x[1:]))(step(self, *a)))
    with pytest.raises(TrainingError, match="not finite"):
        train.train(digits, out=old, overwrite=True, **TINY)
    assert contents(old) == before
    nothing_beside(old)


def test_a_full_disk_at_the_swap_leaves_the_old_run(digits, old, monkeypatch):
    before = with_own(old)

    def full(new, place):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(replacing, "_exchange", full)
    with pytest.raises(StorageError, match="disk is full"):
        train.train(digits, out=old, overwrite=True, **TINY | {"epochs": 1})
    assert contents(old) == before
    nothing_beside(old)


def test_where_folders_cannot_be_exchanged_two_renames_do(digits, old, monkeypatch):
    with_own(old)
    monkeypatch.setattr(replacing, "_at_once", lambda *_: False)
    train.train(digits, out=old, overwrite=True, **TINY | {"epochs": 1, "seed": 5})
    assert Run(old).config["config"]["train"]["seed"] == 5
    assert {k: contents(old)[k] for k in OWN} == OWN
    nothing_beside(old)
    before, rename = contents(old), os.rename

    def between(a, b):  # the old one has left, and the new one has not come
        if str(a).endswith(".nearfar"):
            raise KeyboardInterrupt
        return rename(a, b)

    monkeypatch.setattr(replacing.os, "rename", between)
    with pytest.raises(KeyboardInterrupt):
        train.train(digits, out=old, overwrite=True, **TINY | {"epochs": 1})
    monkeypatch.setattr(replacing.os, "rename", rename)
    loading.load(old)  # puts it back
    assert contents(old) == before | {".lock": b""}  # which the process that ended can no longer remove
    nothing_beside(old)


def test_folders_that_are_no_runs_are_never_overwritten(digits, tmp_path):
    theirs = {
        "a model of another library": {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"weights"},
        "damaged": {"config.json": b"{", "README.md": b"mine"}, "files": {"a.txt": b""},
    }  # fmt: skip
    for name, given in theirs.items():
        out = tmp_path / name
        out.mkdir()
        for file, content in given.items():
            (out / file).write_bytes(content)
        for overwrite in (False, True):
            with pytest.raises(RunError, match="not empty and not a run"):
                train.train(digits, out=out, overwrite=overwrite, **TINY)
        assert {k: v for k, v in contents(out).items()} == given


def test_what_a_kill_left_is_swept_and_is_no_run(digits, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    leftovers.beside(out / "config.json").write_bytes(b"half")
    staged = leftovers.beside(out)
    staged.mkdir()
    (staged / "config.json").write_text("{}")
    mine = tmp_path / ".run.backup.nearfar"
    mine.write_text("no name that nearfar gives")
    train.train(digits, out=out, **TINY | {"epochs": 1})
    assert not staged.exists() and not list(out.glob(".*")) and mine.exists()


def test_what_another_process_is_writing_is_not_swept(tmp_path):
    place = leftovers.beside(tmp_path / "x")
    place.write_bytes(b"")
    code = (
        "import sys\nfrom pathlib import Path\nfrom nearfar.core import leftovers\n"
        f"held = leftovers.hold(Path({str(place)!r}))\nprint('held', flush=True)\nsys.stdin.readline()"
    )
    p = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "held\n"
    files.write_text(tmp_path / "x", "new")
    assert place.exists()
    p.communicate("\n")
    files.write_text(tmp_path / "x", "newer")
    assert not place.exists()


def test_a_run_is_not_replaced_by_what_begins_with_it(digits, old):
    before = contents(old)
    with pytest.raises(ConfigError, match="begins with"):
        train.train(digits, out=old, overwrite=True, init_from=str(old), **TINY)
    assert contents(old) == before


def test_paths_are_shown_as_they_were_given(digits, old, monkeypatch):
    monkeypatch.chdir(old.parent)
    found = train.train(digits, out="run", overwrite=True, **TINY | {"epochs": 1})
    assert (str(found.path), str(found.model.path), found.model.name) == ("run", "run", "run")


def test_the_folder_that_one_is_in_is_not_replaced(digits, old, monkeypatch):
    monkeypatch.chdir(old)
    with pytest.raises(RunError, match="the folder that you are in"):
        train.train(digits, out=".", overwrite=True, **TINY)


def test_a_link_to_a_run_stays_a_link(digits, old, tmp_path):
    (tmp_path / "latest").symlink_to(old)
    found = train.train(digits, out=tmp_path / "latest", overwrite=True, **TINY | {"epochs": 1, "seed": 5})
    assert found.path == tmp_path / "latest"
    assert os.readlink(tmp_path / "latest") == str(old)
    assert Run(old).config["config"]["train"]["seed"] == 5


def test_nobody_trains_in_a_folder_that_is_being_replaced(digits, old, monkeypatch):
    step, codes = Trainer.step, []
    code = f"from nearfar.models.run import Run; Run.create({str(old)!r}, overwrite=True)"

    def tried(self, *args):
        if self.position.step in (1, 3):
            codes.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr)
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", tried)
    train.train(digits, out=old, overwrite=True, **TINY | {"epochs": 1, "checkpoint_every": "2steps"})
    assert len(codes) == 2 and all("another process is training" in c for c in codes)


def test_curves_go_on_in_the_place(digits, old):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train.train(digits, out=old, overwrite=True, **TINY | {"log": ("tensorboard",), "log_every": 1, "epochs": 1,
              "checkpoint_every": "2steps"})  # fmt: skip
    points = EventAccumulator(str(old / "tensorboard")).Reload().Scalars("loss")
    assert [p.step for p in points] == [line["step"] for line in Run(old).metrics()]
    nothing_beside(old)


# --- several seeds, ensembles, classifiers ------------------------------------------------------------------------


def test_several_seeds_are_replaced_as_a_whole(digits, tmp_path, monkeypatch):
    out, given = tmp_path / "three", TINY | {"epochs": 1}
    nearfar.train(digits, seeds=3, out=out, **given)
    (out / "seed0" / ".lock").touch()  # as a kill leaves it
    before = with_own(out)
    with pytest.raises(ConfigError):
        nearfar.train(digits, seeds=2, out=out, overwrite=True, **given | {"temperature": 0})
    assert contents(out) == before
    step = Trainer.step

    def dies(self, *args):
        if self.config.train.seed == 11:
            raise KeyboardInterrupt
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        nearfar.train(digits, seeds=2, out=out, overwrite=True, **given | {"seed": 10})
    monkeypatch.setattr(Trainer, "step", step)
    assert sorted(p.name for p in out.glob("seed*")) == ["seed10", "seed11", "seeds.json"]
    trained = nearfar.train(digits, out=out, resume=True)
    assert [t.path for t in trained] == [out / "seed10", out / "seed11"]
    assert {k: contents(out)[k] for k in OWN} == OWN
    nothing_beside(out)


def test_a_first_seed_that_cannot_begin_leaves_nothing(digits, tmp_path):
    with pytest.raises(ConfigError):
        nearfar.train(digits, seeds=2, out=tmp_path / "two", **TINY | {"temperature": 0})
    assert not (tmp_path / "two").exists()


def test_folders_that_a_stopped_seed_left_empty_are_in_nobodys_way(digits, tmp_path):
    out, given = tmp_path / "two", TINY | {"epochs": 1}
    (out / "seed0").mkdir(parents=True)  # as a disk leaves it that fails at the first lock
    nearfar.train(digits, seeds=2, out=out, **given)
    (out / "seed1" / "checkpoint").mkdir()  # as a kill at the first checkpoint of a seed leaves it
    leftovers.beside(out / "seed1" / "checkpoint" / "state.safetensors").touch()
    nearfar.train(digits, seeds=2, out=out, overwrite=True, **given)
    assert Run.open(out / "seed1").finished


def test_only_files_and_links_occupy_a_folder(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / ".lock").touch()
    leftovers.beside(tmp_path / "a" / "x").touch()
    assert not leftovers.occupied(tmp_path) and not leftovers.occupied(tmp_path / "nowhere")
    (tmp_path / "a" / "b" / "link").symlink_to(tmp_path)
    assert leftovers.occupied(tmp_path)


def test_an_ensemble_replaces_as_a_whole(digits, old, tmp_path, monkeypatch):
    other, both = tmp_path / "other", tmp_path / "both"
    train.train(digits, out=other, **TINY | {"epochs": 1, "seed": 1})
    nearfar.ensemble([old, other], out=both)
    before = with_own(both)
    real = files.write_atomic
    for fails in ("model.safetensors", "rows.safetensors", "README.md", "config.json"):

        def full(path, content, fails=fails):
            if os.path.basename(path) == fails:
                raise files.storage_error(path, OSError(errno.ENOSPC, "full"))
            real(path, content)

        monkeypatch.setattr(files, "write_atomic", full)
        with pytest.raises(StorageError):
            nearfar.ensemble([other, old], out=both, overwrite=True)
        assert contents(both) == before
        with pytest.raises(StorageError):
            nearfar.ensemble([other, old], out=tmp_path / "new")
        assert not (tmp_path / "new").exists()
    monkeypatch.setattr(files, "write_atomic", real)
    made = nearfar.ensemble([other, old], out=both, overwrite=True)
    assert (made.name, made.path) == ("both", both)
    assert [m["name"] for m in Run(both).config["ensemble"]["members"]] == ["other", "run"]
    assert "# both" in (both / "README.md").read_text()
    nothing_beside(both)


def test_a_classifier_is_replaced_in_one_swap(digits, old, monkeypatch):
    x, y = digits["train"]
    nearfar.classify(old, (x[:40], y[:40]), digits["test"][0])
    home, real = old / "classifier" / "default", files.write_atomic
    (home / "mine.txt").write_text("mine")
    before = contents(home)
    for fails in ("classifier.json", "weights.safetensors"):

        def full(path, content, fails=fails):
            if os.path.basename(path) == fails:
                raise files.storage_error(path, OSError(errno.EIO, "broken"))
            real(path, content)

        monkeypatch.setattr(files, "write_atomic", full)
        with pytest.raises(StorageError):
            nearfar.classify(old, (x[:60], y[:60]))
        monkeypatch.setattr(files, "write_atomic", real)
        assert contents(home) == before
        nothing_beside(home)
    nearfar.classify(old, (x[:60], y[:60]))
    assert contents(home) != before and (home / "mine.txt").read_text() == "mine"
    nearfar.classify(old, new=digits["test"][0], use="default")


def test_measurements_of_other_weights_go_even_after_a_kill(digits, tmp_path, monkeypatch):
    old = train.train(digits, out=tmp_path / "run", **TINY | {"epochs": 1, "keep_optimizer": True}).path
    of_run.keep(loading.load(old), evaluate.evaluate(old, digits, protocols=["knn"], quiet=True))
    x, y = digits["train"]
    nearfar.classify(old, (x[:40], y[:40]))

    def dies(self):
        raise KeyboardInterrupt

    forget = Run.forget
    monkeypatch.setattr(Run, "forget", dies)
    with pytest.raises(KeyboardInterrupt):
        train.train(digits, out=old, resume=True, epochs=2)  # the new weights are there, what is of the old ones too
    monkeypatch.setattr(Run, "forget", forget)
    assert (old / "evaluation.json").exists()
    train.train(digits, out=old, resume=True)
    assert not (old / "evaluation.json").exists() and not (old / "evaluations").exists()
    assert not (old / "classifier" / "default").exists()


# --- single files -------------------------------------------------------------------------------------------------


def test_permissions_are_those_of_the_old_file_or_of_the_process(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "new", "x")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
        for mode in (0o600, 0o664, 0o444, 0o755):
            (tmp_path / "new").chmod(mode)
            files.write_text(tmp_path / "new", "y")
            assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode
    finally:
        os.umask(before)


def test_arrays_are_as_before_a_failed_swap_of_foreign_files(tmp_path):
    """A file of one's own that bears a name of the new folder is not replaced."""
    old = tmp_path / "out"
    old.mkdir()
    np.save(old / "mine.npy", np.arange(3))
    with pytest.raises(RunError, match="did not write"), replacing.replaced(old, lambda _: ()) as made:
        (made / "mine.npy").write_bytes(b"")
    assert np.load(old / "mine.npy").tolist() == [0, 1, 2]
    nothing_beside(old)
