"""Whatever file operation of whatever verb fails, or is the last before a kill: what was there before is whole."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.operations import in_a_child, watch

ROOT = Path(__file__).parents[2]
TRIED = {  # how many cases, drawn by the seed; "each": every operation meets something
    "train --overwrite": 4, "train --resume --epochs": 3, "classify again": 10, "eval": 3, "ensemble --overwrite": 4,
    "embed to .npy": "each", "cache": 4,
}  # fmt: skip
SEED = 0


def test_operations_of_verbs(tmp_path):
    """In a process of its own, from which each case is forked; all of them: benchmarks/failing_disk.py."""
    verbs = [f"{name}={sample}" for name, sample in TRIED.items()]
    command = [sys.executable, "-m", "tests.faults.walk", tmp_path / "walk", str(SEED), *verbs]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [f["verb"] for f in found] == list(TRIED)
    for f in found:
        assert f["operations"] >= 5
        assert f["cases"] == (f["operations"] if TRIED[f["verb"]] == "each" else TRIED[f["verb"]])
    assert [fault | {"verb": f["verb"]} for f in found for fault in f["faults"]] == []


def careless(folder):
    """Writes over what is there, in ten operations."""
    (folder / "new").mkdir()
    with open(folder / "old.txt", "w") as f:
        f.write("anew")
        f.flush()
        os.fsync(f.fileno())
    os.replace(folder / "old.txt", folder / "new" / "old.txt")
    os.chmod(folder / "new" / "old.txt", 0o600)
    shutil.rmtree(folder / "new")
    handle = os.open(folder / "again", os.O_WRONLY | os.O_CREAT)
    os.write(handle, b"1234")
    return 0


@pytest.mark.parametrize(("at", "how", "code", "left"), [
    (None, "", 0, {"again": "1234"}), (0, "kill", -9, {"old.txt": "what is there"}), (1, "eio", 5, {"new": None, "old.txt": "what is there"}),
    (2, "enospc", 28, {"new": None, "old.txt": "anew"}), (2, "half", 28, {"new": None, "old.txt": "an"}),
    (2, "cut", -9, {"new": None, "old.txt": "an"}), (4, "kill", -9, {"new": None, "old.txt": "anew"}),
    (7, "kill", -9, {"new": None}), (4, "full", 28, {"new": None, "old.txt": "anew"}), (9, "cut", -9, {"again": "12"}),
])  # fmt: skip
def test_operations_are_seen(tmp_path, at, how, code, left):
    """Each is counted, fails or is the last, and a write may do the half."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old.txt").write_text("what is there")

    def does():
        watch(folder, tmp_path / "log", at, how)
        try:
            return careless(folder)
        except OSError as e:
            return e.errno

    assert in_a_child(does, tmp_path / "said") == code, (tmp_path / "said").read_text()
    assert {p.name: p.read_text() if p.is_file() else None for p in folder.iterdir()} == left
    seen = ["mkdir new", "open old.txt", "write old.txt", "fsync old.txt", "rename new/old.txt", "chmod new/old.txt",
            "unlink new/old.txt", "rmdir new", "open again", "write again"]  # fmt: skip
    # what a buffer could not write it tries again when it is closed
    log = [line.replace("\t", " ") for line in (tmp_path / "log").read_text().splitlines()]
    tried = len(seen) if at is None else at + 1
    assert log[:tried] == seen[:tried]
    assert set(log[tried:]) <= {"write old.txt"}
