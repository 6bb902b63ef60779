"""Decoding while training: the same weights as from the cache, processes that come and go, what goes wrong meanwhile."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from nearfar.core.config import Config
from nearfar.core.console import Console
from nearfar.core.errors import DataError, StorageError
from nearfar.data.batches.sampler import Sampler
from nearfar.data.decoding import cache
from nearfar.data.decoding.decode import Decoded
from nearfar.data.decoding.streaming import AHEAD, Blocks, Streamed
from nearfar.data.read import read
from nearfar.data.readers import parquet
from nearfar.data.table import Column
from nearfar.training import train

FAST = {
    "epochs": 3, "batch_size": 8, "encoder_options": {"widths": [8, 16]}, "projector": {"hidden": 16, "out": 8},
    "precision": "fp32", "threads": 1, "size": 16, "holdout": 0.0, "device": "cpu",
}  # fmt: skip


def weights(trained):
    return {k: v.clone() for k, v in trained.model.branches.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def children():
    """Processes of this one that are still there."""
    return {p.pid for p in multiprocessing.active_children()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from PIL import Image

    root, draw = tmp_path_factory.mktemp("stream"), np.random.default_rng(1)
    for name in ("a", "b"):
        (root / name).mkdir()
        for i in range(24):
            array = draw.integers(0, 256, (20 + i % 5, 24, 3), dtype=np.uint8)
            Image.fromarray(array).save(root / name / f"{i:02}.png")
    return root


@pytest.fixture(scope="module")
def unstreamed(folder):
    return weights(train.train(folder, **FAST))


# --- the same ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_is_unstreamed_bit_for_bit(folder, unstreamed, workers):
    before = children()
    trained = train.train(folder, stream=True, workers=workers, **FAST)
    assert isinstance(trained.plan.table.first.values, Streamed)
    assert equal(weights(trained), unstreamed)
    assert children() <= before
    assert trained.plan.config.data.stream is True
    assert any(n.startswith("Streaming (asked for)") for n in trained.plan.notes)


def test_the_same_table(folder):
    whole, streamed = read(folder, size=16), read(folder, size=16, stream=True)
    assert streamed.fingerprint == whole.fingerprint
    assert streamed.first.values.shape == whole.first.values.shape
    assert streamed.first.values.nbytes == whole.first.values.nbytes
    assert np.array_equal(np.asarray(streamed.first.values), whole.first.values)
    assert np.array_equal(streamed.first.geometry, whole.first.geometry)
    rows = np.asarray([5, 3, 3, 40])
    for a, b in zip(streamed.first.take(rows), whole.first.take(rows), strict=True):
        assert torch.equal(a, b)
    assert np.array_equal(streamed.first.values[7], whole.first.values[7])


def test_bad_rows_are_left_out_of_both_alike(folder, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(folder, tmp_path / "x")
    (tmp_path / "x" / "a" / "03.png").write_bytes(b"")
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    streamed, whole = read(tmp_path / "x", stream=True), read(tmp_path / "x")
    again = read(tmp_path / "x", stream=True)
    assert [s.name for s in whole.skipped] == [s.name for s in streamed.skipped] == [os.path.join("a", "03.png")]
    assert whole.fingerprint == streamed.fingerprint == again.fingerprint
    assert not isinstance(whole.first.values, np.ndarray)  # no copy of what is memory-mapped
    assert np.array_equal(np.asarray(whole.first.values), np.asarray(streamed.first.values))


def test_stopped_and_resumed(folder, unstreamed, tmp_path, monkeypatch):
    from nearfar.core.errors import Stopped
    from nearfar.training.trainer import Trainer

    step = Trainer.step

    def stopping(self, *args):
        if self.position.step == 5:
            raise Stopped("enough")
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", stopping)
    with pytest.raises(Stopped):
        train.train(folder, out=tmp_path / "run", stream=True, workers=1, checkpoint_every="1steps", **FAST)
    monkeypatch.setattr(Trainer, "step", step)
    assert equal(weights(train.train(out=tmp_path / "run", resume=True)), unstreamed)


def test_what_is_ready_ahead_is_what_comes(folder):
    table = read(folder, size=16, stream=True, workers=0)
    values, sampler = table.first.values, Sampler(np.arange(len(table)), 8, 0)
    with values.expecting(sampler.upcoming(0, 13)):
        for step in range(13):
            assert len(values._ready) == min(AHEAD, 13 - step)
            epoch, index = divmod(step, sampler.steps_per_epoch)
            rows = sampler.batch(epoch, index)
            if step == 4:
                assert values[np.asarray([1, 2])].shape == (2, 3, 16, 16)  # not expected, and harmless
            assert np.array_equal(values[rows], np.asarray(values)[rows])


def test_a_wrong_guess_costs_nothing_but_time(folder):
    values = read(folder, size=16, stream=True, workers=0).first.values
    everything = np.asarray(values)
    wrong = [np.arange(8) + 30] * 5
    right = [np.arange(8) + i for i in range(12)]
    with values.expecting(iter([*wrong, *right])):
        for rows in [*right, right[0]]:
            assert np.array_equal(values[rows], everything[rows])


def test_upcoming_batches():
    sampler = Sampler(np.arange(10), 3, 0)
    batches = list(sampler.upcoming(0, 8))
    assert len(batches) == 8
    for start in (2, 3, 7):
        for a, b in zip(sampler.upcoming(start, 8), batches[start:], strict=True):
            assert np.array_equal(a, b)


# --- when ---------------------------------------------------------------------------------------------------------


class Listener(Console):
    def __init__(self):
        super().__init__()
        self.said = []

    def _write(self, text):
        self.said.append(text)


def test_the_cache_is_announced_before_it_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    to, real = Listener(), cache.allocate

    def allocate(*args):
        assert any(s.startswith("Cache: 48 rows of 0.8 KiB") and "MiB are free" in s for s in to.said)
        return real(*args)

    monkeypatch.setattr(cache, "allocate", allocate)
    read(folder, size=16, console=to)
    count = len(to.said)
    assert count == 1
    read(folder, size=16, console=to)
    assert len(to.said) == count  # nothing is written the second time


@pytest.mark.parametrize("lacking", ["disk", "limit"])
def test_where_the_cache_has_no_room_it_streams(folder, unstreamed, tmp_path, monkeypatch, lacking):
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    if lacking == "disk":
        monkeypatch.setattr(cache, "free", lambda: 20_000)
    else:
        monkeypatch.setenv("NEARFAR_CACHE_LIMIT", "20000")
    with pytest.raises(StorageError, match="--stream"):
        read(folder, size=16)
    trained = train.train(folder, workers=0, **FAST)
    assert equal(weights(trained), unstreamed)
    said = next(n for n in trained.plan.notes if n.startswith("Streaming"))
    assert ("are free" if lacking == "disk" else "NEARFAR_CACHE_LIMIT") in said
    assert sum(f.stat().st_size for f in (tmp_path / "home").rglob("*") if f.is_file()) < 20_000


def test_a_full_disk_is_noticed_before_writing_to_the_map(tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageError, match="disk is full"):
        cache.allocate(tmp_path / "x.npy", (10, 10), np.dtype(np.uint8))


def test_knobs():
    config = Config()
    assert config.data.stream == "auto"
    assert config.set("stream", "true").data.stream is True
    assert config.set("data.workers", "3").data.workers == 3


# --- on the device ------------------------------------------------------------------------------------------------


class FakeValues:
    def __init__(self, nbytes):
        self.nbytes = nbytes


@pytest.mark.parametrize(("nbytes", "moved"), [(250, True), (251, False)])
def test_data_go_to_the_device_where_they_fit_a_quarter_of_it(monkeypatch, nbytes, moved):
    from types import SimpleNamespace

    from nearfar.training import trainer

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=1000))
    monkeypatch.setattr(Column, "to", lambda self, device: "on the device")
    column = Column("x", "image", {}, FakeValues(nbytes))
    assert (trainer._placed(column, torch.device("cuda:0")) == "on the device") is moved
    assert trainer._placed(column, torch.device("cpu")) is column


def test_streamed_data_stay_where_they_are(folder, monkeypatch):
    from types import SimpleNamespace

    from nearfar.training import trainer

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=10**12))
    column = read(folder, size=16, stream=True).first
    assert trainer._placed(column, torch.device("cuda:0")) is column


def test_batches_for_a_gpu_go_through_pinned_memory(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t: pinned.append(t) or t)
    monkeypatch.setattr(torch.Tensor, "to", lambda t, device, non_blocking=False: (t, str(device), non_blocking))
    column = Column("x", "image", {}, np.zeros((4, 3, 2, 2), np.uint8))
    taken, _ = column.take(np.asarray([1, 2]), "cuda:0")
    assert taken[1:] == ("cuda:0", True)
    assert pinned[0] is taken[0]
    column.take(np.asarray([1]), "cpu")
    assert len(pinned) == 1


# --- what goes wrong meanwhile ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "said"), [(None, "is missing"), (b"", "is empty"), ("other", "was changed")])
def test_a_file_that_changes_while_training_stops_it(folder, tmp_path, content, said):
    import shutil

    from PIL import Image

    shutil.copytree(folder, tmp_path / "x")
    table = read(tmp_path / "x", size=16, stream=True, workers=1)
    file = tmp_path / "x" / "b" / "02.png"
    if content is None:
        file.unlink()
    elif content == "other":
        Image.new("RGB", (24, 20), (1, 2, 3)).save(file)
    else:
        file.write_bytes(content)
    before = children()
    with pytest.raises(DataError, match=said) as error, table.first.values.expecting(iter([np.arange(48)])):
        table.first.take(np.arange(48))
    assert error.value.where == os.path.join("b", "02.png")
    assert children() <= before


def test_a_process_that_is_killed_costs_time_only(folder, monkeypatch):
    said = []
    table = read(folder, size=16, stream=True, workers=2)
    values = table.first.values
    values.say = said.append
    expected = np.asarray(values)
    batches = [np.arange(i, i + 8) for i in range(0, 40, 4)]
    before = children()
    with values.expecting(iter(batches)):
        assert np.array_equal(values[batches[0]], expected[batches[0]])
        assert children() - before
        for pid in children() - before:
            os.kill(pid, signal.SIGKILL)
        for rows in batches[1:]:
            assert np.array_equal(values[rows], expected[rows])
    assert children() <= before
    assert len(said) <= 1


SCRIPT = """
import sys
from nearfar import cli
if __name__ == "__main__":
    sys.exit(cli.run(sys.argv[1:]))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_process_outlives_the_training(folder, tmp_path, number, status):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), "train", str(folder), "--out", str(tmp_path / "run"), "--stream", "--size", "16",
         "--epochs", "9000", "--batch-size", "8", "--set", "data.workers=2", "--set", "train.log_every=1",
         "--set", "model.encoder_options.widths=[8,16]", "--set", "data.holdout=0", "--set", "train.threads=1"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    metrics, deadline = tmp_path / "run" / "metrics.jsonl", time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size > 500) and time.monotonic() < deadline:
        time.sleep(0.05)

    def members():
        out = subprocess.run(["ps", "-o", "pid=", "-s", str(process.pid)], capture_output=True, text=True).stdout
        return {int(p) for p in out.split()}

    assert len(members()) >= 3  # the training, and two that decode
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as Ctrl-C on a terminal: everybody gets it
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while members() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not members()
    if number == signal.SIGINT:
        assert "--resume" in err


# --- rows that are read together ----------------------------------------------------------------------------------


def test_order_by_blocks():
    of_row = np.repeat(np.arange(10), 20)
    rows = np.arange(200)
    blocks = Sampler(rows, 8, 0, Blocks(of_row, 3))
    order = blocks.order(0)
    assert sorted(order) == rows.tolist()
    assert np.array_equal(order, blocks.order(0))
    assert not np.array_equal(order, blocks.order(1))
    for start in (0, 60, 120):  # three blocks at a time, each pool whole before the next
        assert len(set(of_row[order[start : start + 60]])) == 3
    inside = of_row[order[:60]]
    assert (np.diff(inside) != 0).sum() > 20  # mixed within the pool
    assert np.array_equal(Sampler(rows, 8, 0, Blocks(of_row, 10)).order(0), Sampler(rows, 8, 0).order(0))


def test_limits_of_what_is_kept():
    memory = parquet.Memory(100)
    for i in range(10):
        memory.put(i, f"page {i}", 30)
    assert [memory.get(i) for i in range(10)] == [None] * 7 + ["page 7", "page 8", "page 9"]
    memory.put("large", "page", 1000)
    assert memory.get("large") == "page"
    assert memory.get(9) is None
    assert Decoded(None, None, None, {}).notes == ()
