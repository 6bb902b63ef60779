"""What is cached is what is there: files that cells name are overwritten, added, removed, touched and replaced."""

import os
import shutil
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nearfar.data.decoding import cache
from nearfar.data.read import read

RED, BLUE = (220, 20, 20), (20, 20, 220)


def paint(file, colour, size=(20, 20)):
    Image.new("RGB", size, colour).save(file)


def is_blue(table, row=0):
    channels = np.asarray(table.first.values[row]).mean((1, 2))
    return bool(channels[2] > channels[0])


def containers(folder):
    """The same ten pictures as every container that names files instead of holding them."""
    names = [f"{i}.png" for i in range(10)]
    for name in names:
        paint(folder / name, RED)
    (folder / "a.csv").write_text("image\n" + "\n".join(names))
    (folder / "a.jsonl").write_text("\n".join(f'{{"image": "{n}"}}' for n in names))
    pq.write_table(pa.table({"image": names}), folder / "paths.parquet")
    pq.write_table(pa.table({"image": [{"path": str(folder / n), "bytes": None} for n in names]}),
                   folder / "structs.parquet")  # fmt: skip
    return [folder / "a.csv", folder / "a.jsonl", folder / "paths.parquet", folder / "structs.parquet"]


@pytest.mark.parametrize("which", range(4))
def test_a_picture_that_is_overwritten_is_read_again(tmp_path, which):
    file = containers(tmp_path)[which]
    assert not is_blue(read(file))
    paint(tmp_path / "0.png", BLUE)
    table = read(file)
    assert is_blue(table) and not is_blue(table, 1)


def test_same_size_and_given_back_time_hide_nothing(tmp_path):
    file = containers(tmp_path)[0]
    paint(tmp_path / "other.png", BLUE)
    size = (tmp_path / "0.png").stat().st_size
    assert (tmp_path / "other.png").stat().st_size == size  # one plain colour is as long as another
    long_ago = time.time() - 1000
    os.utime(tmp_path / "0.png", (long_ago, long_ago))
    assert not is_blue(read(file))
    (tmp_path / "0.png").write_bytes((tmp_path / "other.png").read_bytes())
    os.utime(tmp_path / "0.png", (long_ago, long_ago))
    assert is_blue(read(file))


def test_content_decides_where_the_clock_is_too_coarse(tmp_path, monkeypatch):
    """On a file system whose times and inodes do not move, a file that is written twice in a moment is noticed."""
    file = containers(tmp_path)[0]
    monkeypatch.setattr(cache, "_state", lambda path: "always the same")
    assert not is_blue(read(file))
    paint(tmp_path / "0.png", BLUE)
    assert is_blue(read(file))


def test_a_file_that_is_added_is_no_longer_missing(tmp_path):
    file = containers(tmp_path)[0]
    (tmp_path / "3.png").rename(tmp_path / "away.png")
    table = read(file, max_bad=0.2)
    assert [s.name for s in table.skipped] == ["a.csv:4"] and len(table) == 9
    (tmp_path / "away.png").rename(tmp_path / "3.png")
    assert len(read(file)) == 10
    (tmp_path / "4.png").unlink()
    assert [s.name for s in read(file, max_bad=0.2).skipped] == ["a.csv:5"]


def test_a_file_that_becomes_a_link_is_read_through_it(tmp_path):
    file = containers(tmp_path)[0]
    assert not is_blue(read(file))
    paint(tmp_path / "target.png", BLUE)
    (tmp_path / "0.png").unlink()
    (tmp_path / "0.png").symlink_to(tmp_path / "target.png")
    assert is_blue(read(file))
    paint(tmp_path / "target.png", RED)
    assert not is_blue(read(file))


def test_folders_notice_the_same(tmp_path):
    containers(tmp_path)
    for name in ("a.csv", "a.jsonl", "paths.parquet", "structs.parquet"):
        (tmp_path / name).unlink()
    assert not is_blue(read(tmp_path))
    paint(tmp_path / "0.png", BLUE)
    assert is_blue(read(tmp_path))
    shutil.copy(tmp_path / "0.png", tmp_path / "10.png")
    assert len(read(tmp_path)) == 11


def test_what_has_not_changed_is_not_decoded_again(tmp_path, monkeypatch):
    file = containers(tmp_path)[0]
    before = read(file)

    def fail(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr("nearfar.data.decoding.decode._form", fail)
    assert np.array_equal(read(file).first.values, before.first.values)


def test_structs_of_which_some_hold_the_content_and_others_a_path(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(6)]
    for i, file in enumerate(files):
        Image.new("RGB", (20, 20), (40 * i, 0, 0)).save(file)
    cells = [{"bytes": f.read_bytes() if i == 0 else None, "path": str(f)} for i, f in enumerate(files)]
    pq.write_table(pa.table({"image": cells}), tmp_path / "t.parquet")
    before = np.asarray(read(tmp_path / "t.parquet").first.values[:])
    Image.new("RGB", (20, 20), (0, 200, 0)).save(files[3])
    after = np.asarray(read(tmp_path / "t.parquet").first.values[:])
    assert [bool((a == b).all()) for a, b in zip(after, before, strict=True)] == [True, True, True, False, True, True]


def test_files_after_many_rows_without_one(tmp_path):
    for i in range(20):
        Image.new("RGB", (20, 20), (10 * i, 0, 0)).save(tmp_path / f"{i}.png")
    pq.write_table(pa.table({"image": [None] * 40 + [f"{i}.png" for i in range(20)]}), tmp_path / "t.parquet")
    before = np.asarray(read(tmp_path / "t.parquet", max_bad=0.9).first.values[:])
    Image.new("RGB", (20, 20), (0, 200, 0)).save(tmp_path / "3.png")
    assert not np.array_equal(np.asarray(read(tmp_path / "t.parquet", max_bad=0.9).first.values[:])[3], before[3])


def test_a_damaged_manifest_is_none(tmp_path):
    (tmp_path / "t.csv").write_text("text\n" + "\n".join(f"the sentence number {i} of a few" for i in range(20)))
    read(tmp_path / "t.csv")
    for text in ("[]", "{}", "nonsense", '{"arrays": 3}'):
        for manifest in cache.root().glob("*/manifest.json"):
            manifest.write_text(text)
        assert len(read(tmp_path / "t.csv")) == 20
