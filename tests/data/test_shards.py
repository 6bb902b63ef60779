"""Shards: WebDataset archives, patterns of files, Parquet by page, the hub as needed."""

import io
import json
import os
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nearfar.core.errors import DataError
from nearfar.data.opening import expanded
from nearfar.data.read import read
from nearfar.data.readers import parquet as lazy


def picture(seed, size=(20, 18), kind="PNG"):
    buffer = io.BytesIO()
    array = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def add(tar, name, content, **changes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(content) if info.isreg() else None)


def shard(path, keys, first=0, **beside):
    """An archive with a picture for every key, and what `beside` gives by ending."""
    with tarfile.open(path, "w") as tar:
        for i, key in enumerate(keys):
            add(tar, f"{key}.png", picture(first + i))
            for ending, give in beside.items():
                add(tar, f"{key}.{ending}", give(i).encode())
    return path


# --- archives -----------------------------------------------------------------------------------------------------


def test_a_shard_with_classes(tmp_path):
    table = read(shard(tmp_path / "x.tar", [f"{i:03}" for i in range(12)], cls=lambda i: str(i % 3)))
    assert table.label_names == ("0", "1", "2")
    assert table.labels.tolist() == [0, 1, 2] * 4
    assert table.names[4] == "x.tar:004"
    alone = read([Image.open(io.BytesIO(picture(i))) for i in range(12)])
    assert np.array_equal(table.first.values, alone.first.values)


def test_labels_from_json_text_and_folders(tmp_path):
    keys = [f"{i:03}" for i in range(12)]
    words = shard(tmp_path / "json.tar", keys, json=lambda i: json.dumps({"label": "ab"[i % 2], "size": i, "more": []}))
    assert read(words).label_names == ("a", "b")
    text = read(shard(tmp_path / "txt.tar", keys, txt=lambda i: "cat" if i % 3 else "dog"))
    assert text.label_names == ("cat", "dog")
    assert any("'txt'" in n for n in text.source["notes"])
    captions = shard(tmp_path / "captions.tar", keys, txt=lambda i: f"picture number {i}")
    assert read(captions).labels is None
    assert len(read(captions, label="txt").label_names) == 12
    folders = read(shard(tmp_path / "folders.tar", [f"./{'uv'[i % 2]}/{i:03}" for i in range(12)]))
    assert folders.label_names == ("u", "v")
    splits = read(shard(tmp_path / "splits.tar", [f"{'train' if i < 8 else 'test'}/x/{i:03}" for i in range(12)]))
    assert {k: len(v) for k, v in splits.splits.items()} == {"train": 8, "test": 4}


def test_several_shards_by_folder_and_by_pattern(tmp_path):
    for s in range(3):
        extra = {"json": lambda i: '{"label": "x"}'} if s else {"cls": lambda i: "x"}
        shard(tmp_path / f"train-{s:05}.tar", [f"{s}-{i}" for i in range(4)], 4 * s, **extra)
    shard(tmp_path / "val-00000.tar", [f"v-{i}" for i in range(2)], 50, cls=lambda i: "x")
    whole = read(tmp_path)
    assert {k: len(v) for k, v in whole.splits.items()} == {"train": 12, "validation": 2}
    train = read(str(tmp_path / "train-{00000..00002}.tar"))
    assert np.array_equal(train.first.values, whole.first.values[:12])
    assert len(read(str(tmp_path / "train-*.tar"))) == 12
    assert len(read(str(tmp_path / "{train,val}-00000.tar"))) == 6
    assert os.path.isabs(train.source["source"])
    assert read(train.source["source"]).fingerprint == train.fingerprint
    with pytest.raises(DataError, match="train-00003.tar: there is no such file"):
        read(str(tmp_path / "train-{00000..00003}.tar"))


def test_patterns(tmp_path):
    for name in ("a-1.csv", "a-2.csv", "b-1.csv"):
        (tmp_path / name).write_text("x\n1\n")
    given = str(tmp_path)
    assert [p.name for p in expanded(f"{given}/a-*.csv")] == ["a-1.csv", "a-2.csv"]
    assert [p.name for p in expanded(f"{given}/{{a,b}}-1.csv")] == ["a-1.csv", "b-1.csv"]
    assert expanded(f"{given}/a-1.csv") == []
    with pytest.raises(DataError, match="more than"):
        expanded("x-{0..99999999999}.tar")
    with pytest.raises(DataError, match="more than"):
        expanded("x-{0..99999}-{0..99999}.tar")
    with pytest.raises(DataError, match="no such file"):
        read(str(tmp_path / "none-*.tar"))


def test_members_that_are_no_pictures_are_named(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for i in range(40):
            add(tar, f"{i:02}.png", picture(i))
        add(tar, "link.png", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "hard.png", b"", type=tarfile.LNKTYPE, linkname="00.png")
        add(tar, "device.png", b"", type=tarfile.CHRTYPE)
        add(tar, "alone.cls", b"3")
        add(tar, "text.png", b"I am no picture")
        add(tar, "../../outside.png", picture(99))
        add(tar, "00.seg.png", picture(98))
    table = read(path, max_bad=0.2)
    said = {s.name: s.reason for s in table.skipped}
    assert said.keys() == {f"x.tar:{k}" for k in ("link", "hard", "device", "alone", "text")}
    for key in ("link", "hard", "device"):
        assert "not followed" in said[f"x.tar:{key}"]
    assert "no picture" in said["x.tar:alone"]
    assert said["x.tar:text"].endswith("it is text")
    assert "x.tar:../../outside" in table.names  # a name, and nothing but a name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tar"]
    assert any(n == "Passed over: 1 members of x.tar that end in .seg.png." for n in table.source["notes"])


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_archive_says_so(tmp_path, how):
    path = shard(tmp_path / "x.tar", [f"{i:02}" for i in range(40)])
    whole = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-2]
    if how == "cut":
        whole = whole[: last.offset_data + 10]
    else:
        whole[last.offset + 3] ^= 0xFF
    path.write_bytes(bytes(whole))
    table = read(path, max_bad=0.2)
    assert len(table) == 38
    assert any("lost" in s.reason for s in table.skipped)
    assert table.skipped[-1].name == "x.tar:(the rest)"


def test_archives_that_are_not_read(tmp_path):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        add(tar, "0.png", picture(0))
    with pytest.raises(DataError, match="gunzip"):
        read(tmp_path / "x.tar.gz")
    (tmp_path / "no.tar").write_bytes(b"no archive at all" * 100)
    with pytest.raises(DataError, match="cannot be read as tar"):
        read(tmp_path / "no.tar")
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        add(tar, "readme.md", b"x")
    with pytest.raises(DataError, match="no pictures"):
        read(tmp_path / "empty.tar")


def test_streamed_from_an_archive(tmp_path):
    path = shard(tmp_path / "x.tar", [f"{i:02}" for i in range(40)], cls=lambda i: str(i % 2))
    streamed, whole = read(path, stream=True, workers=1), read(path)
    assert streamed.fingerprint == whole.fingerprint
    assert streamed.first.blocks is None  # every row is as near as any other
    rows = np.random.default_rng(0).permutation(40)
    with streamed.first.values.expecting(iter([rows])):
        assert np.array_equal(streamed.first.values[rows], whole.first.values[rows])


# --- Parquet ------------------------------------------------------------------------------------------------------


def parquet(path, rows, group, first=0):
    table = pa.table({
        "image": [{"bytes": picture(first + i), "path": f"{i}.png"} for i in range(rows)],
        "label": [i % 3 for i in range(rows)],
        "note": [f"row {i}" for i in range(rows)],
    })  # fmt: skip
    pq.write_table(table, path, row_group_size=group)
    return path


def test_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "PAGE", 5000)
    path = parquet(tmp_path / "x.parquet", 50, 20)
    column = lazy.LazyColumn(lambda: str(path), "image", pq.ParquetFile(path).metadata)
    expected = pq.read_table(path)["image"]
    assert len(column) == 50
    assert len(column.groups) > 6  # several pages in each row group of 20, 20 and 10
    assert column.starts[-1] == 50
    for i in [*range(50), *np.random.default_rng(0).permutation(50).tolist(), 49, 0]:
        assert column[i].as_py() == expected[i].as_py()
    assert np.array_equal(np.diff(column.blocks()) >= 0, np.ones(49, bool))
    with pytest.raises(IndexError):
        column[50]


def test_only_small_columns_are_read(tmp_path, monkeypatch):
    path = parquet(tmp_path / "x.parquet", 30, 10)
    raw = lazy.open_parquet(lambda: str(path), path.name, tmp_path, (path,))
    assert list(raw.columns) == ["image", "label", "note"]
    assert isinstance(raw.columns["image"].column, lazy.LazyColumn)
    assert raw.names[-1] == "x.parquet:30"
    assert read(path).labels.tolist() == [0, 1, 2] * 10


def test_a_damaged_page_costs_its_rows(tmp_path):
    path = parquet(tmp_path / "x.parquet", 60, 20)
    metadata = pq.ParquetFile(path).metadata
    chunk = metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + 2000] = b"\xff" * 2000
    path.write_bytes(bytes(content))
    table = read(path, max_bad=0.5)
    assert len(table) == 40
    assert {s.name for s in table.skipped} == {f"x.parquet:{i}" for i in range(21, 41)}
    assert "damaged part of the file" in table.skipped[0].reason


def test_many_shards_keep_few_files_open(tmp_path):
    for i in range(20):
        parquet(tmp_path / f"train-{i:05}-of-00020.parquet", 4, 4, 4 * i)
    before = len(os.listdir("/proc/self/fd"))
    table = read(tmp_path, stream=True, workers=0)
    assert len(table.splits["train"]) == 80
    assert np.array_equal(table.first.blocks.of_row, np.repeat(np.arange(20), 4))
    table.first.values[np.random.default_rng(0).permutation(80)]
    assert len(os.listdir("/proc/self/fd")) <= before + lazy.OPEN + 2


def test_streamed_parquet_in_one_pool_is_unstreamed(tmp_path):
    from nearfar.training import train
    from tests.data.test_stream import FAST, equal, weights

    path = parquet(tmp_path / "x.parquet", 40, 10)
    a = train.train(path, column="image", **FAST)
    b = train.train(path, column="image", stream=True, workers=1, **FAST)
    assert equal(weights(a), weights(b))


# --- the hub ------------------------------------------------------------------------------------------------------


def test_hub_as_needed_through_datasets(tmp_path, monkeypatch):
    """A folder stands for the hub: the library finds the files, their parts are read where they lie."""
    datasets = pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    parquet(tmp_path / "set" / "train-00000-of-00001.parquet", 30, 10)
    parquet(tmp_path / "set" / "test-00000-of-00001.parquet", 10, 10, 100)
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        datasets.DatasetBuilder, "download_and_prepare", lambda *_, **__: pytest.fail("downloaded the whole set")
    )
    name = f"hf:{tmp_path / 'set'}"
    streamed = read(name, stream=True, column="image")
    assert {k: len(v) for k, v in streamed.splits.items()} == {"train": 30, "test": 10}
    assert streamed.labels[:4].tolist() == [0, 1, 2, 0]
    assert isinstance(streamed.first.values, np.memmap)  # decoded into the cache; the encoded form was not kept
    local = read(tmp_path / "set", column="image")
    rows = [np.concatenate([t.splits["train"], t.splits["test"]]) for t in (streamed, local)]
    assert np.array_equal(streamed.first.values[rows[0]], local.first.values[rows[1]])


def test_hub_downloaded_is_cached_and_memory_mapped(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    parquet(tmp_path / "set" / "train-00000-of-00001.parquet", 30, 10)
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "hf"))
    table = read(f"hf:{tmp_path / 'set'}", column="image")
    assert isinstance(table.first.values, np.memmap)
    assert len(table) == 30
