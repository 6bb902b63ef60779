"""A finished run keeps what serves it: its checkpoint goes once the model is there and the run says that it is finished."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import nearfar
from nearfar.core.config import Config
from nearfar.core.errors import RunError, StorageError
from nearfar.models.run import Run
from nearfar.training import train
from tests.conftest import TINY
from tests.faults.trainings import EVERY
from tests.helpers.two import trainings
from tests.training.test_resume import contents, killed

KEPT = {"config.json", "model.safetensors", "rows.safetensors", "metrics.jsonl", "README.md", "report.html"}
TRIED = (  # a twin and a queue, prototypes, two columns, weights that are averaged, groups that are found again
    "moco_v2 on pictures", "byol on numbers", "swav on texts", "clip on pairs", "averaged", "clusters", "locked",
)  # fmt: skip


def of(name, folder):
    """The data and the knobs of a training, which keeps what it keeps by default."""
    training = EVERY[name]
    needed = None
    if training.needs:
        needed = folder / "needed"
        data, given = of(training.needs, folder)
        if not needed.exists():
            train.train(data, out=needed, quiet=True, **given)
    given = {k: v for k, v in training.given(needed).items() if k != "keep_optimizer"}
    return training.data(folder / "data"), given


@pytest.fixture(scope="module", params=TRIED)
def made(request, tmp_path_factory):
    """Data, knobs and the run of a training."""
    folder = tmp_path_factory.mktemp("finished")
    data, given = of(request.param, folder)
    return data, given, train.train(data, out=folder / "run", quiet=True, **given).path


def test_the_checkpoint_is_gone_and_resume_finds_nothing_left(made, capsys):
    data, _, run = made
    assert not Config().train.keep_optimizer
    assert {p.name for p in run.iterdir()} == KEPT
    before = contents(run)
    train.train(data, out=run, resume=True)
    assert contents(run) == before
    assert "nothing is left to do" in (said := capsys.readouterr().err) and "--init-from" in said and "--epochs" not in said
    assert train.rehearse(data, out=run, resume=True, quiet=True).config.train.epochs == Run(run).config["config"]["train"]["epochs"]
    for going_on in (train.train, train.rehearse):
        with pytest.raises(RunError, match=r"state of the optimiser.* was not kept.*--init-from .*--keep-optimizer"):
            going_on(data, out=run, resume=True, epochs=50, quiet=True)
    assert contents(run) == before


@pytest.mark.parametrize("place", ["model saved", "said to be finished", "checkpoint removed"])
def test_a_kill_between_two_operations_of_the_end_loses_nothing(made, tmp_path, monkeypatch, place):
    data, given, run = made
    out, finish, write, rmdir = tmp_path / "run", Run.finish, Run.write_config, Path.rmdir

    def dies_when_saved(self):
        raise KeyboardInterrupt

    def dies_when_said(self, values):
        write(self, values)
        if values["finished"]:
            raise KeyboardInterrupt

    def dies_when_removed(self):
        if self.name == "checkpoint":
            raise KeyboardInterrupt
        rmdir(self)

    owner, name, does = {
        "model saved": (Run, "finish", dies_when_saved), "said to be finished": (Run, "write_config", dies_when_said),
        "checkpoint removed": (Path, "rmdir", dies_when_removed),
    }[place]  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, does)
        with pytest.raises(KeyboardInterrupt):
            train.train(data, out=out, quiet=True, **given)
    assert Run.finish is finish and (out / "model.safetensors").exists()
    assert Run(out).finished == (place != "model saved")
    assert Run(out).checkpoint_file.exists() == (place != "checkpoint removed")
    assert (out / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    train.train(data, out=out, resume=True, quiet=True)
    assert Run(out).finished and {p.name for p in out.iterdir()} == KEPT
    for file in ("model.safetensors", "rows.safetensors"):
        assert (out / file).read_bytes() == (run / file).read_bytes()


def test_a_table_of_words_leaves_no_more_than_the_model(tmp_path):
    words = np.random.default_rng(0).integers(0, 5000, (400, 6))
    data = {"text": [" ".join(f"w{n}" for n in row) for row in words]}
    given = {"tokens": "hashed:30000", "epochs": 1, "threads": 1, "quiet": True, "encoder_options": {"dim": 64},
             "select": "last"}  # fmt: skip
    slim, kept = (
        train.train(data, out=tmp_path / str(keep), **given, **{"keep_optimizer": True} if keep else {}).path
        for keep in (False, True)
    )
    size = {run: sum(p.stat().st_size for p in run.rglob("*")) for run in (slim, kept)}
    model = (slim / "model.safetensors").stat().st_size
    assert model > 5e6
    assert size[slim] <= model + 2e6 < 2 * model < size[kept]
    assert (slim / "model.safetensors").read_bytes() == (kept / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def few(digits):
    return {split: tuple(a[:128] for a in found) for split, found in digits.items()}


def test_whoever_keeps_it_goes_on(few, tmp_path, monkeypatch):
    given = TINY | {"checkpoint_every": "1steps", "quiet": True}
    whole = train.train(few, out=tmp_path / "whole", **given, keep_optimizer=True).path
    killed(few, tmp_path / "cut", 3, monkeypatch, **given)
    cut = train.train(few, out=tmp_path / "cut", resume=True, quiet=True, keep_optimizer=True).path  # said later
    assert Run(cut).load_checkpoint()[1]["step"] == Run(whole).load_checkpoint()[1]["step"] == 4
    runs = [train.train(few, out=run, resume=True, epochs=4, quiet=True).path for run in (whole, cut)]
    assert all(Run(run).load_checkpoint()[1]["step"] == 8 for run in runs)
    runs[1] = train.train(few, out=cut, resume=True, epochs=5, keep_optimizer=False, quiet=True).path
    assert not (cut / "checkpoint").exists() and not Run(cut).config["config"]["train"]["keep_optimizer"]


def test_a_run_of_an_earlier_version_keeps_its_checkpoint(few, tmp_path):
    run = train.train(few, out=tmp_path / "run", keep_optimizer=True, quiet=True, **TINY).path
    config = json.loads((run / "config.json").read_text())
    del config["config"]["train"]["keep_optimizer"], config["asked"]["train"]["keep_optimizer"]
    (run / "config.json").write_text(json.dumps(config))
    before = contents(run)
    train.train(few, out=run, resume=True, quiet=True)
    assert contents(run) == before
    assert train.train(few, out=run, resume=True, epochs=3, quiet=True).metrics[-1]["step"] == 6
    assert (run / "checkpoint").exists()


def test_a_disk_that_removes_nothing_leaves_a_finished_run(few, tmp_path, monkeypatch):
    unlink = Path.unlink

    def fails(self, **given):
        if self.name == "state.safetensors":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlink(self, **given)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fails)
        with pytest.raises(StorageError, match=r"state\.safetensors"):
            train.train(few, out=tmp_path / "run", quiet=True, **TINY)
        assert Run(tmp_path / "run").finished
        train.train(few, out=tmp_path / "run", resume=True, quiet=True)  # opens all the same
    train.train(few, out=tmp_path / "run", resume=True, quiet=True)
    assert {p.name for p in (tmp_path / "run").iterdir()} == KEPT


def test_seeds_are_finished_without_checkpoints(few, tmp_path):
    out, given = tmp_path / "two", TINY | {"quiet": True}
    nearfar.train(few, seeds=2, out=out, **given)
    assert all({p.name for p in (out / f"seed{n}").iterdir()} == KEPT for n in (0, 1))
    before = contents(out)
    for dry_run in (False, True):
        with pytest.raises(RunError, match="seed0: its training is over.* was not kept"):
            nearfar.train(few, out=out, resume=True, epochs=3, quiet=True, dry_run=dry_run)
    assert contents(out) == before
    more = nearfar.train(few, seeds=3, out=out, resume=True, quiet=True)
    assert [t.path.name for t in more] == ["seed0", "seed1", "seed2"]
    after = contents(out)
    assert all(after[name] == content for name, content in before.items() if name.name != "seeds.json")
    ensemble = nearfar.ensemble([out / "seed0", out / "seed1"], out=tmp_path / "both", quiet=True).path
    with pytest.raises(RunError, match="no checkpoint to resume from"):
        train.train(few, out=ensemble, resume=True, quiet=True)
    again = nearfar.train(few, seeds=2, out=out, overwrite=True, **given | {"seed": 5})
    assert [{p.name for p in t.path.iterdir()} for t in again] == [KEPT, KEPT]


def test_two_processes_leave_none_either(few, tmp_path):
    given = TINY | {"average": 0.5}
    runs = trainings(few, tmp_path, ddp=given, shard=given | {"wrap": "shard"}, kept=given | {"keep_optimizer": True})
    own = {name: {p.name for p in trained.path.iterdir() if "rank" not in p.name} for name, trained in runs.items()}
    assert own == {"ddp": KEPT, "shard": KEPT, "kept": KEPT | {"checkpoint"}}
    for name in ("ddp", "shard"):
        before = contents(runs[name].path)
        assert train.train(few, out=runs[name].path, resume=True, quiet=True).metrics[-1]["step"] == 4
        assert contents(runs[name].path) == before
    cut = shutil.copytree(runs["kept"].path, tmp_path / "killed")  # as a kill leaves it before the removal
    config = json.loads((cut / "config.json").read_text())
    config["config"]["train"]["keep_optimizer"] = config["asked"]["train"]["keep_optimizer"] = False
    (cut / "config.json").write_text(json.dumps(config))
    train.train(few, out=cut, resume=True, quiet=True)
    assert not (cut / "checkpoint").exists()
