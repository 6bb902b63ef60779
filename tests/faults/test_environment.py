"""Whatever variables of the environment say: it works, or one sentence names the variable."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nearfar import cli
from nearfar.data.decoding import cache
from nearfar.training import distributed

NUMBERS = ("abc", "nan", "-1", "1e400", "inf", "-inf", "1,5", "0x10", "--", "x" * 5000, "\x1b[31m", "1e")
FOLDERS = ("{file}", "{file}/below", "/dev/null", "/proc/nowhere", "~nobody-of-that-name/x", "x" * 5000, "/dev/null/x")
USABLE = ("", " spaced ", "a\x1b[31mb", "relative/folder", "\udcff", "{empty}", "0")  # folders that can be made
LAUNCHED = {"RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A place to work in, with a file of rows that go through the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "file").write_text("I am no folder")
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"text": "the boat number {i} sails"}}\n' for i in range(40)))
    return tmp_path


def outcome(capsys, folder, *args):
    """Exit status and what stderr says last."""
    capsys.readouterr()
    status = cli.run([*args])
    return status, capsys.readouterr().err.strip().rpartition("\n")[2]


def read(capsys, folder):
    return outcome(capsys, folder, "train", str(folder / "rows.jsonl"), "--dry-run", "--quiet")


@pytest.mark.parametrize("value", NUMBERS, ids=lambda v: ascii(v[:12]))
def test_limit_of_the_cache(rows, monkeypatch, capsys, value):
    monkeypatch.setenv("NEARFAR_CACHE_LIMIT", value)
    status, said = read(capsys, rows)
    assert status == 2 and said.startswith("nearfar: NEARFAR_CACHE_LIMIT=") and len(said) < 200
    assert "must be a number of at least 0" in said and "\x1b" not in said


@pytest.mark.parametrize(("value", "limit"), (("", cache.LIMIT), ("1e10", 10**10), (" 5 ", 5), ("0", 0)))
def test_limit_that_can_be(monkeypatch, value, limit):
    monkeypatch.setenv("NEARFAR_CACHE_LIMIT", value)
    assert cache.limit() == limit


@pytest.mark.parametrize("value", FOLDERS, ids=lambda v: ascii(v[:12]))
@pytest.mark.parametrize("variable", ("NEARFAR_HOME", "XDG_CACHE_HOME"))
def test_folders_that_cannot_be(rows, monkeypatch, capsys, variable, value):
    monkeypatch.delenv("NEARFAR_HOME", raising=False)
    monkeypatch.setenv("HOME", str(rows / "home"))
    monkeypatch.setenv(variable, value.format(file=rows / "file"))
    status, said = read(capsys, rows)
    if variable == "XDG_CACHE_HOME" and not value.startswith(("{", "/", "~")):  # a relative one counts for nothing
        assert status == 0 and (rows / "home/.cache/nearfar/decoded").is_dir()
        return
    assert status == 2 and ("NEARFAR_HOME names another" in said or f"{variable}=" in said)
    assert len(said) < 500 and "\x1b" not in said and "fault" not in said


@pytest.mark.parametrize("value", USABLE, ids=ascii)
def test_folders_that_can_be(rows, monkeypatch, capsys, value):
    monkeypatch.setenv("HOME", str(rows / "home"))
    monkeypatch.setenv("NEARFAR_HOME", value.format(empty=rows))
    assert read(capsys, rows)[0] == 0
    assert (cache.root() / "..").exists()


@pytest.mark.parametrize("value", (*FOLDERS, "relative/folder", "{empty}/nowhere"), ids=lambda v: ascii(v[:12]))
def test_folders_of_plug_ins_that_are_none(rows, monkeypatch, capsys, value):
    monkeypatch.setenv("NEARFAR_PLUGINS", value.format(file=rows / "file", empty=rows))
    status, said = outcome(capsys, rows, "methods")
    assert status == 2 and said.startswith("nearfar: NEARFAR_PLUGINS=") and len(said) < 300 and "\x1b" not in said


@pytest.mark.parametrize(
    ("variable", "values"),
    (
        ("WORLD_SIZE", ("abc", "-1", "0", "1.5", "nan", "1e400", "inf", "x" * 500, "2 3", "0x2", "1e-3", "--")),
        ("RANK", ("abc", "-1", "2", "99", "nan", "1.5", "", "inf", "x" * 500, "1e400", "0x0", "--")),
        ("MASTER_PORT", ("abc", "-1", "0", "65536", "99999999", "nan", "1.5", "", "inf", "1e400", "0x50", "--")),
        ("MASTER_ADDR", ("",)),
    ),
)
def test_processes_that_cannot_be(rows, monkeypatch, capsys, variable, values):
    for name, value in {**LAUNCHED, "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    for value in values:
        monkeypatch.setenv(variable, value)
        status, said = outcome(capsys, rows, "train", str(rows / "rows.jsonl"), "--out", str(rows / "run"))
        assert status == 2 and variable in said and len(said) < 300, (value, said)
        assert not (rows / "run").exists()


def test_one_process_needs_nothing_beside(monkeypatch):
    for size in ("", "1", " 1 "):
        monkeypatch.setenv("WORLD_SIZE", size)
        distributed.join_if_launched()
        assert distributed.world().size == 1


def test_what_the_system_says_may_be_odd(tmp_path):
    """Size of the terminal, alphabet, time zone, places of temporary files: help and reading work, with exit status 0."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 3)))
    odd = {
        "COLUMNS": "abc", "LINES": "-1", "TERM": "nothing", "NO_COLOR": "", "LANG": "C", "LC_ALL": "POSIX",
        "PYTHONIOENCODING": "ascii", "TZ": "no/where", "TMPDIR": "/nowhere", "SOURCE_DATE_EPOCH": "abc",
        "CUDA_VISIBLE_DEVICES": "abc", "XDG_CACHE_HOME": "relative", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path),
        "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    for args in (["train", "--help"], ["train", str(tmp_path / "x.npy"), "--dry-run"]):
        done = subprocess.run([sys.executable, "-m", "nearfar", *args], env={**os.environ, **odd}, cwd=tmp_path,
                              capture_output=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
