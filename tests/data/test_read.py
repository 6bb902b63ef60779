"""What people have → a table: containers, splits, labels, damage."""

import csv
import io
import json
import multiprocessing
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nearfar.core.errors import DataError, UnknownName
from nearfar.data import splits
from nearfar.data.decoding import cache
from nearfar.data.read import read


def png(colour=(200, 30, 30), size=(20, 16), mode="RGB", kind="PNG"):
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind)
    return buffer.getvalue()


# --- folders ------------------------------------------------------------------------------------------------------


def test_folder_with_labels(pictures):
    table = read(pictures)
    assert len(table) == 24
    assert table.label_names == ("blue", "red")
    assert sorted(np.bincount(table.labels)) == [12, 12]
    column = table.first
    assert column.modality == "image"
    assert column.values.dtype == np.uint8
    assert column.values.shape == (24, 3, column.spec["size"], column.spec["size"])
    assert list(column.geometry[0]) == [20, 24]
    assert table.names[0] == os.path.join("blue", "00.png")
    red = column.values[table.labels == 1].mean((0, 2, 3))
    assert red[0] > red[2] + 50


def test_flat_folder_has_no_labels(pictures):
    table = read(pictures / "red")
    assert table.labels is None
    assert len(table) == 12


# --- tables -------------------------------------------------------------------------------------------------------


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows(rows)


def test_csv_with_paths_of_pictures(pictures):
    rows = (
        [["file", "kind"]]
        + [[f"red/{i:02}.png", "red"] for i in range(12)]
        + [[f"blue/{i:02}.png", ""] for i in range(12)]
    )
    write_csv(pictures / "list.csv", rows)
    table = read(pictures / "list.csv", label="kind")
    assert table.labels.tolist() == [0] * 12 + [-1] * 12
    assert table.names[0] == "list.csv:1"
    with pytest.raises(UnknownName, match="'kind'"):
        read(pictures / "list.csv", label="kid")
    with pytest.raises(UnknownName, match="'file'"):
        read(pictures / "list.csv", column="fiel")


def test_jsonl(pictures):
    lines = [{"image": f"red/{i:02}.png", "label": i % 2, "split": "train" if i < 8 else "test"} for i in range(12)]
    (pictures / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))
    table = read(pictures / "x.jsonl")
    assert len(table.splits["train"]) == 8
    assert table.labels[:4].tolist() == [0, 1, 0, 1]


def test_parquet_of_the_hub_with_class_names(tmp_path):
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    table = pa.table({"image": [{"bytes": png(), "path": "a"}] * 6, "label": [0, 1, 0, 1, 1, -1]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    pq.write_table(table.slice(0, 3), tmp_path / "test.parquet")
    got = read(tmp_path)
    assert got.label_names == ("cat", "dog")
    assert [len(got.splits[s]) for s in ("train", "test")] == [6, 3]
    assert got.labels[got.splits["train"]].tolist() == [0, 1, 0, 1, 1, -1]


def test_two_candidates_are_asked_about(tmp_path):
    table = pa.table({"front": [{"bytes": png()}] * 4, "back": [{"bytes": png()}] * 4})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match="--column"):
        read(tmp_path / "x.parquet")
    assert list(read(tmp_path / "x.parquet", column="back").columns) == ["back"]
    both = pa.table({"x": [1.0, 2.0], "label": [0, 1], "class": [1, 0]})
    pq.write_table(both, tmp_path / "y.parquet")
    with pytest.raises(DataError, match="--label"):
        read(tmp_path / "y.parquet")


def test_numeric_table(tmp_path):
    write_csv(tmp_path / "x.csv", [["a", "b", "label"], [1, 2, "u"], ["", 4, "v"], [5, 6, ""]])
    table = read(tmp_path / "x.csv")
    assert table.first.modality == "vector"
    assert table.first.spec["features"] == 2
    assert table.labels.tolist() == [0, 1, -1]
    assert np.isfinite(table.first.values).all()
    assert table.first.values[1, 0] == 0  # missing: the mean


def test_damaged_and_strange_tables(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match="x.parquet"):
        read(tmp_path / "x.parquet")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="empty.csv"):
        read(tmp_path / "empty.csv")
    write_csv(tmp_path / "text.csv", [["words"], ["hello"], ["there"]])
    with pytest.raises(DataError, match="words"):
        read(tmp_path / "text.csv")


# --- arrays -------------------------------------------------------------------------------------------------------


def test_arrays_from_python():
    images = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    assert read(images).first.values.shape == (10, 3, 16, 16)
    assert read((images, np.arange(10) % 2)).label_names == ("0", "1")
    import torch

    assert read(torch.rand(10, 1, 20, 20)).first.spec == {"size": 20, "channels": 1}
    table = read({"train": (images, np.zeros(10)), "test": (images[:4], np.zeros(4))})
    assert len(table.splits["test"]) == 4
    assert read(np.random.rand(9, 5)).first.modality == "vector"
    sixteen = read(np.full((4, 16, 16), 65535, np.uint16))
    assert int(sixteen.first.values.max()) == 255


def test_npz_and_its_dangers(tmp_path):
    np.savez(
        tmp_path / "x.npz", x_train=np.zeros((8, 4)), y_train=np.arange(8), x_test=np.ones((3, 4)), y_test=np.arange(3)
    )
    table = read(tmp_path / "x.npz")
    assert len(table.splits["train"]) == 8
    np.savez(tmp_path / "bad.npz", x=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="could run code"):
        read(tmp_path / "bad.npz")
    with pytest.raises(DataError, match="different lengths"):
        read({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))})


class Canary:
    def __reduce__(self):
        return (os.system, ("touch CANARY",))


def test_no_pickle_is_ever_read(tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    for name in ("x.npz", "x.parquet", "x.png", "x.csv", "x.jsonl", "state.json", "x.pkl", "x.pt"):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_bytes(pickle.dumps(Canary()))
        for source in (folder / name, folder):
            with pytest.raises(DataError):
                read(source)
    assert not (tmp_path / "CANARY").exists()


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_formats(tmp_path, kind):
    for i in range(3):
        (tmp_path / f"{i}.{kind.lower()}").write_bytes(png((30 * i, 200, 10), (40 + i, 30), kind=kind))
    table = read(tmp_path)
    assert len(table) == 3
    assert abs(int(table.first.values[0, 1].mean()) - 200) < 12


def save(folder, name, image, **options):
    folder.mkdir(exist_ok=True)
    image.save(folder / name, **options)


def test_modes(tmp_path):
    rgb = Image.new("RGB", (24, 24), (10, 200, 90))
    save(tmp_path / "m", "palette.png", rgb.quantize(4))
    save(tmp_path / "m", "cmyk.jpg", rgb.convert("CMYK"))
    alpha = Image.new("RGBA", (24, 24), (255, 0, 0, 0))
    save(tmp_path / "m", "alpha.png", alpha)
    deep = Image.fromarray(np.full((24, 24), 0x8000, np.uint16))
    save(tmp_path / "m", "deep.png", deep)
    save(tmp_path / "m", "one.png", Image.new("1", (24, 24), 1))
    table = read(tmp_path / "m")
    mean = {n: v.mean((1, 2)).round() for n, v in zip(table.names, table.first.values, strict=True)}
    assert abs(mean["palette.png"] - [10, 200, 90]).max() <= 2
    assert abs(mean["cmyk.jpg"] - [10, 200, 90]).max() <= 12
    assert mean["alpha.png"].min() == 255  # transparent is white
    assert abs(mean["deep.png"] - 128).max() <= 1  # 16 bits are scaled, not cut
    assert mean["one.png"].min() == 255


def test_turned_by_exif(tmp_path):
    image = Image.new("RGB", (40, 20), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    save(tmp_path / "e", "x.jpg", image, exif=exif, quality=95)
    save(tmp_path / "e", "y.jpg", image, exif=exif, quality=95)
    column = read(tmp_path / "e").first
    assert list(column.geometry[0]) == [40, 20]
    assert column.values[0, 0, :4].mean() > 200 > 60 > column.values[0, 0, -4:].mean()


def test_grey_pictures_keep_one_channel_and_sizes_are_chosen(tmp_path):
    for i, side in enumerate((28, 30, 31)):
        save(tmp_path / "g", f"{i}.png", Image.new("L", (side, side), 90))
    assert read(tmp_path / "g").first.spec == {"size": 32, "channels": 1}
    assert read(tmp_path / "g", size=48).first.spec["size"] == 48
    save(tmp_path / "l", "a.jpg", Image.new("RGB", (400, 300), (1, 2, 200)))
    assert read([tmp_path / "l" / "a.jpg"]).first.spec == {"size": 96, "channels": 3}
    save(tmp_path / "s", "a.png", Image.new("L", (8, 8), 3))
    assert read(tmp_path / "s").first.spec["size"] == 16


def damaged(folder):
    """A folder of 40 good pictures and one of every known kind of damage."""
    folder.mkdir()
    for i in range(40):
        (folder / f"good{i:02}.png").write_bytes(png((i, 2 * i, 200)))
    whole = png(size=(64, 64), kind="JPEG")
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("I am no picture")
    (folder / "vector.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return {
        "truncated.jpg": "damaged",
        "empty.png": "empty",
        "text.jpg": "not a picture",
        "vector.png": "not a picture",
        "bomb.png": "too many",
    }


def test_bad_pictures_are_skipped_counted_and_named(tmp_path):
    expected = damaged(tmp_path / "d")
    table = read(tmp_path / "d", max_bad=0.2)
    assert len(table) == 40
    found = {s.name: s.reason for s in table.skipped}
    assert set(found) == set(expected)
    for name, reason in expected.items():
        assert reason in found[name], (name, found[name])
    assert any("5 unreadable" in n for n in table.source["notes"])
    again = read(tmp_path / "d", max_bad=0.2)  # from the cache
    assert {s.name: s.reason for s in again.skipped} == found
    with pytest.raises(DataError, match="5 of 45 rows cannot be read"):
        read(tmp_path / "d")


def test_nothing_to_read(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "none")
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="folder is empty"):
        read(tmp_path / "photos")
    with pytest.raises(DataError, match="Did you mean 'photos'"):
        read(tmp_path / "photo")
    (tmp_path / "photos" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="holds nothing"):
        read(tmp_path / "photos")
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match="none of the 1 rows"):
        read(tmp_path / "photos")


def test_hub_names_without_a_network(monkeypatch):
    datasets, hub = pytest.importorskip("datasets"), pytest.importorskip("huggingface_hub")
    for settings in (datasets.config, hub.constants):  # what HF_HUB_OFFLINE=1 sets in a new process
        monkeypatch.setattr(settings, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"nearfar\[hub\]|cannot be read from the hub"):
        read("someone/some_pictures")


# --- cache --------------------------------------------------------------------------------------------------------


def test_decoded_once(pictures, monkeypatch):
    from nearfar.modalities.image import image

    first = read(pictures)
    monkeypatch.setattr(image, "decode", lambda *_: pytest.fail("decoded again"))
    second = read(pictures)
    assert np.array_equal(first.first.values, second.first.values)
    assert second.fingerprint == first.fingerprint


def test_a_changed_file_is_decoded_again(pictures):
    before = read(pictures).fingerprint
    (pictures / "red" / "00.png").write_bytes(png((1, 2, 3), (30, 30)))
    assert read(pictures).fingerprint != before


def test_an_entry_that_was_killed_half_way_is_begun_again(pictures):
    read(pictures)
    entry = max((p for p in cache.root().iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    (entry / "manifest.json").unlink()
    (entry / "values.npy").write_bytes(b"half")
    assert len(read(pictures)) == 24


def _read_in_process(folder, home, queue):
    os.environ["NEARFAR_HOME"] = home
    queue.put(read(folder).fingerprint)


def test_two_processes_at_once(pictures, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [
        context.Process(target=_read_in_process, args=(str(pictures), str(tmp_path / "home"), queue)) for _ in range(2)
    ]
    for w in workers:
        w.start()
    found = {queue.get(timeout=120) for _ in workers}
    for w in workers:
        w.join()
    assert len(found) == 1


def test_least_recently_used_goes_first(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    read(pictures, size=16)
    read(pictures, size=32)
    monkeypatch.setenv("NEARFAR_CACHE_LIMIT", "100000")
    read(pictures, size=24)
    sizes = {np.load(p / "values.npy", mmap_mode="r").shape[-1] for p in cache.root().iterdir() if p.is_dir()}
    assert 24 in sizes
    assert 16 not in sizes


def test_a_full_disk_is_a_sentence(pictures, tmp_path, monkeypatch):
    from nearfar.core import files
    from nearfar.core.errors import StorageError

    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(files, "free_bytes", lambda _: 1000)
    with pytest.raises(StorageError, match="MiB are free"):
        read(pictures)


# --- splits -------------------------------------------------------------------------------------------------------


def test_rows_set_aside_by_content(tmp_path):
    x = np.random.default_rng(0).normal(size=(500, 4))
    x[250:] = x[:250]  # every row twice
    table = read(x)
    plan = splits.plan(table)
    assert 20 < len(plan.heldout) < 90
    assert not np.isin(table.hashes[plan.train], table.hashes[plan.heldout]).any()
    assert splits.plan(table, holdout=0).heldout.size == 0


def test_evaluation_rows():
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 4
    table = read((x, y))
    plan = splits.evaluation_plan(table)
    assert np.bincount(table.labels[plan.test]).tolist() == [5, 5, 5, 5]
    assert not set(plan.train) & set(plan.test)
    table = read({"train": (x, y), "test": (x[:7], y[:7])})
    plan = splits.evaluation_plan(table)
    assert (len(plan.train), len(plan.test)) == (100, 7)
    assert len(splits.duplicates(table, plan.train, plan.test)) == 7


def test_limit():
    table = read({"train": np.random.rand(50, 3), "test": np.random.rand(30, 3)}, limit=10)
    assert [len(r) for r in table.splits.values()] == [10, 10]


@pytest.mark.parametrize("words", [["cat"], ["cat", "dog"]])
def test_single_words_are_texts_where_texts_are_meant(words):
    from nearfar.core.errors import DataError
    from nearfar.data.read import read

    assert len(read(words, modality="text")) == len(words)
    with pytest.raises(DataError):
        read(words)
