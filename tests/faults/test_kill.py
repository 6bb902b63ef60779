"""What a checkpoint holds, a failing write, a damaged file; kills at any instant are in test_random_kills.py."""

import errno
import shutil
import subprocess
import sys

import pytest

from nearfar.core import files
from nearfar.core.errors import RunError, StorageError, TrainingError
from nearfar.models import loading
from nearfar.models.run import Run
from nearfar.training import train
from nearfar.training.trainer import Trainer
from tests.conftest import TINY, lines_of


def test_lines_between_a_line_and_its_checkpoint_are_not_lost(digits, tmp_path, monkeypatch):
    """Steps since the last line, and what was found for the next one, are part of the checkpoint."""
    data, step = {"train": tuple(a[:96] for a in digits["train"])}, Trainer.step
    given = TINY | {"batch_size": 16, "positives": "clusters:4", "positives_options": {"warmup": 0, "every": 3}}
    given |= {"log_every": 4}
    train.train(data, out=tmp_path / "whole", **given)
    for at, every in ((2, 1), (6, 5), (8, 7)):
        out = tmp_path / f"cut{at}"

        def dies(self, *args, at=at):
            if self.position.step == at:
                with open(self.run.path / "metrics.jsonl", "a") as f:
                    f.write('{"step": ')  # a line that was being written
                raise KeyboardInterrupt
            return step(self, *args)

        monkeypatch.setattr(Trainer, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            train.train(data, out=out, **given | {"checkpoint_every": f"{every}steps"})
        monkeypatch.setattr(Trainer, "step", step)
        train.train(data, out=out, resume=True)
        assert [line["step"] for line in lines_of(out)] == [4, 6, 10, 12]
        assert lines_of(out) == lines_of(tmp_path / "whole"), at


def test_every_write_may_fail(digits, tiny, tmp_path, monkeypatch):
    """The k-th write fails for lack of room: the run ends with a sentence and what was there is still whole."""
    real, count, fails_at = files.os.replace, 0, None

    def replace(a, b):
        nonlocal count
        count += 1
        if count == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(a, b)

    monkeypatch.setattr(files.os, "replace", replace)
    data = {k: tuple(a[:64] for a in v) for k, v in digits.items()}
    given = tiny | {"epochs": 2, "checkpoint_every": "1steps", "log_every": 1, "batch_size": 32}
    train.train(data, out=tmp_path / "free", **given)
    writes = count
    assert writes >= 5
    for k in range(1, writes + 1):
        count, fails_at = 0, k
        out = tmp_path / f"run{k}"
        with pytest.raises(StorageError, match="disk is full"):
            train.train(data, out=out, **given)
        fails_at = None
        assert not [p for p in out.rglob(".*") if p.name.startswith((".state", ".model", ".config"))]
        if (out / "checkpoint" / "state.safetensors").exists():
            Run(out).load_checkpoint()
            train.train(data, out=out, resume=True)
            assert (out / "model.safetensors").read_bytes() == (tmp_path / "free" / "model.safetensors").read_bytes()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(digits, tiny, tmp_path, monkeypatch):
    step = Trainer.step

    def spoilt(self, *args):
        loss, e, numbers = step(self, *args)
        return (loss * float("nan") if self.position.step == 4 else loss), e, numbers

    monkeypatch.setattr(Trainer, "step", spoilt)
    with pytest.raises(TrainingError, match="not finite at step 4"):
        train.train(digits, out=tmp_path / "run", **tiny | {"checkpoint_every": "2steps"})
    _, state = Run(tmp_path / "run").load_checkpoint()
    assert state["step"] == 2


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    train.train(digits, out=out, **TINY | {"epochs": 1})
    return out


@pytest.mark.parametrize("at", [0, 7, 40, -200, -1])
def test_a_flipped_bit_or_a_cut_is_noticed(trained, tmp_path, at):
    run = shutil.copytree(trained, tmp_path / "run")
    whole = (run / "model.safetensors").read_bytes()
    spoilt = bytearray(whole)
    spoilt[at] ^= 4
    for content in (bytes(spoilt), whole[: len(whole) // 2], b"", b"\x80\x04\x95pickle"):
        (run / "model.safetensors").write_bytes(content)
        with pytest.raises(RunError):
            loading.load(run)


def test_two_trainings_in_one_folder(digits, tiny, tmp_path):
    run = Run.create(tmp_path / "run")
    code = f"from nearfar.models.run import Run; Run.create({str(tmp_path / 'run')!r}, overwrite=True)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode != 0
    assert "another process is training" in found.stderr
    run.release()


def test_only_files_py_and_data_open_for_writing():
    """Writes go through one door, and nothing in the package can unpickle."""
    import re
    from pathlib import Path

    root = Path(train.__file__).parents[1]
    for file in root.rglob("*.py"):
        text = file.read_text()
        assert not re.search(
            r"\bimport (pickle|joblib|dill|cloudpickle|shelve|marshal)|torch\.(load|save)\(|allow_pickle=True", text
        ), file
        assert not re.search(r"(?<![.\w])(eval|exec)\(", text), file
