"""One file is written as a whole, wherever its name leads, and what cannot be written to is said before any work."""

import os
import shutil
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from nearfar import cli
from nearfar.core import files, leftovers, replacing
from nearfar.core.errors import StorageError, UserError
from tests.models.test_stored_runs import STORED


def test_links_are_followed_and_what_is_no_file_is_written_into(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("later")
    (tmp_path / "loop").symlink_to("loop")
    files.write_text(tmp_path / "link", "new")
    files.write_text(tmp_path / "dangling", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"
    assert (tmp_path / "dangling").is_symlink() and (tmp_path / "later").read_text() == "new"
    with pytest.raises(UserError, match="symbolic links"):
        files.write_text(tmp_path / "loop", "new")
    with pytest.raises(UserError, match="directory"):
        files.write_text(tmp_path, "new")
    files.write_text("/dev/null", "new")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(StorageError, match="disk is full"):
        files.write_text("/dev/full", "new")
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    files.write_text(tmp_path / "pipe", "new")
    reader.join()
    assert found == ["new"] and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_an_out_that_cannot_be_is_said_before_any_work(tmp_path, capsys):
    """By every verb that writes one file; the run, which is not there, is not even looked for."""
    from nearfar.cli import run

    (tmp_path / "z.npy").mkdir()
    (tmp_path / "p.csv").mkdir()
    for args in (["embed", "nowhere", "x.npy"], ["align", "a.txt", "b.txt", "--run", "nowhere"],
                 ["classify", "nowhere", "x.npy", "--use", "a"]):  # fmt: skip
        name = "p.csv" if args[0] == "classify" else "z.npy"
        for out, said in ((tmp_path / name, "is a folder, not a file"), (tmp_path / "none" / name, "there is no folder")):
            assert run([*args, "--out", str(out)]) == 2
            assert said in capsys.readouterr().err


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("name", ["model.safetensors", "README.md", "checkpoint", "classifier"])
def test_what_is_in_the_way_of_a_run_is_said_before_it_is_trained(tmp_path, name, resume):
    from nearfar.models.run import Run

    run = Run(tmp_path / "run")
    run.checkpoint_file.parent.mkdir(parents=True)
    run.checkpoint_file.write_bytes(b"")
    shutil.copy(STORED / "pictures" / "config.json", run.config_file)
    assert Run.check(run.path, resume=resume, overwrite=not resume).path == run.path
    if name == "checkpoint":
        run.checkpoint_file.unlink()
        run.checkpoint_file.parent.rmdir()
    if "." in name:
        (run.path / name).mkdir()
    else:
        (run.path / name).write_text("mine")
    with pytest.raises(UserError, match=f"{name}: is (a|no) folder, and a run has|no checkpoint to resume from"):
        Run.check(run.path, resume=resume, overwrite=not resume)


def test_a_link_in_a_circle_is_a_slip_and_no_failing_disk(tmp_path, capsys):
    from nearfar.cli import run

    (tmp_path / "loop").symlink_to("loop")
    np.save(tmp_path / "x.npy", np.arange(64, dtype=np.float32).reshape(32, 2) ** 2)
    for args in (["train", tmp_path / "x.npy"], ["train", tmp_path / "x.npy", "--seeds", "2"]):
        assert run([*map(str, args), "--out", str(tmp_path / "loop")]) == 2
        assert "loop" in capsys.readouterr().err


def test_what_stdout_is_sent_to_is_written_into(tmp_path):
    code = "from nearfar.core import files; print('before', flush=True); files.write_text('/dev/stdout', 'new')"
    with open(tmp_path / "out", "a") as f:
        subprocess.run([sys.executable, "-c", code], stdout=f, check=True)
    assert "new" in (tmp_path / "out").read_text()


@pytest.mark.parametrize("length", [1, 200, 250, 255])
def test_long_names_can_be_written(tmp_path, length):
    files.write_text(tmp_path / ("é" * (length // 2) + "x" * (length % 2)), "new")
    with pytest.raises(UserError, match="too long"):
        files.write_text(tmp_path / ("x" * 256), "new")


def test_what_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """Two processes that write to one place at once do not take each other's beginnings for leftovers."""
    hold, swept = leftovers.hold, []

    def late(path):
        if path.exists() and not swept:
            leftovers.sweep(tmp_path / path.name.split(".")[1])
            swept.append(path.exists())
        return hold(path)

    monkeypatch.setattr(leftovers, "hold", late)
    files.write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new" and swept == [False]
    swept.clear()
    with replacing.replaced(tmp_path / "folder", lambda _: ()) as made:
        (made / "file").write_text("new")
    assert (tmp_path / "folder" / "file").read_text() == "new" and swept == [False]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_names_are_told_from_others(tmp_path):
    for name in ("config.json", ".hidden", "x" * 90, "a\nb", "a.b.c"):
        made = leftovers.beside(tmp_path / name).name
        assert leftovers.is_left(made) and leftovers.is_left(made, name) and not leftovers.is_left(name)
    assert not leftovers.is_left(leftovers.beside(tmp_path / "seed1").name, "seed")
    assert not leftovers.is_left(".run.12345678.nearfar.txt") and not leftovers.is_left(".run.1234567g.nearfar")


@pytest.mark.parametrize("args", [
    ["views", "{0}", "--out", "{0}"],
    ["align", "{0}", "other.csv", "--run", "run", "--out", "{0}"],
    ["classify", "run", "other.csv", "{0}", "--out", "{0}"], ["classify", "run", "{0}", "--use", "x", "--out", "{0}"],
])  # fmt: skip
def test_what_is_read_is_not_written_over(tmp_path, args, monkeypatch, capfd):
    """Nor by another name of the same file."""
    monkeypatch.chdir(tmp_path)
    rows = "a,b\n" + "".join(f"{i},{i % 7}\n" for i in range(40))
    for name in ("rows.csv", "other.csv"):
        (tmp_path / name).write_text(rows)
    (tmp_path / "link.csv").symlink_to("rows.csv")
    for out in ("rows.csv", "link.csv"):
        given = [a.format("rows.csv") for a in args]
        assert cli.run([*given[:-1], out]) == 2
        assert "is what is read" in capfd.readouterr().err
    assert (tmp_path / "rows.csv").read_text() == rows
    np.save(tmp_path / "rows.npy", np.zeros((4, 2)))
    assert cli.run(["embed", "run", "rows.npy", "--out", "./rows.npy"]) == 2
    assert "is what is read" in capfd.readouterr().err
