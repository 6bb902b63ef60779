"""A thousand pictures with one of every known kind of damage: each is named with the right reason, the rest is read."""

import csv
import io
import json
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nearfar.core.errors import DataError
from nearfar.data import facts
from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.training import train

GOOD = 1000


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(seed=0, size=(16, 16), mode="RGB"):
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    array = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    return Image.fromarray(array)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_declaring(width, height):
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def flipped(content, at):
    content = bytearray(content)
    content[at] ^= 0x10
    return bytes(content)


PNG, JPEG = encoded(noise(1, (40, 40))), encoded(noise(2, (64, 64)), "JPEG")
GIF, WEBP, TIFF = encoded(noise(3), "GIF"), encoded(noise(4), "WEBP"), encoded(noise(5), "TIFF")
ISO = struct.pack(">I", 24) + b"ftyp%s\0\0\0\0mif1heic" + b"\0" * 100

DAMAGED = {
    "empty.png": (b"", "is empty"),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "is damaged (image file is truncated"),
    "truncated.png": (PNG[: len(PNG) // 2], "is damaged"),
    "truncated.gif": (GIF[: len(GIF) // 2], "damaged or cut short"),
    "truncated.webp": (WEBP[: len(WEBP) // 2], "is damaged"),
    "truncated.tif": (TIFF[:100], "is"),
    "header_only.jpg": (JPEG[:3], "is"),
    "checksum.png": (flipped(PNG, PNG.index(b"IDAT") + 200), "is damaged (broken PNG file"),
    "palette_missing.png": (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 99, 3, 0, 0, 0)) + chunk(b"IEND", b""), "is"
    ),
    "no_size.png": (png_declaring(0, 0), "is"),
    "bomb.png": (png_declaring(60000, 60000), "too many pixels"),
    "text.jpg": (b"I am no picture\n", "it is text"),
    "page.jpg": (b"<!DOCTYPE html><html>404</html>", "it is a web page"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    "zeros.jpg": (b"\0" * 5000, "it is nothing but zero bytes"),
    "vector.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is PostScript"),
    "drawing.png": (b'<?xml version="1.0"?><svg/>', "it is XML or SVG"),
    "paper.jpg": (b"%PDF-1.7\n", "it is a PDF"),
    "phone.jpg": (ISO.replace(b"%s", b"heic"), "it is HEIC"),
    "modern.jpg": (ISO.replace(b"%s", b"avif"), "it is AVIF"),
    "film.png": (ISO.replace(b"%s", b"isom"), "it is a video"),
    "archive.png": (b"PK\x03\x04" + b"\0" * 50, "it is a ZIP archive"),
    "pickle.png": (pickle.dumps([1]), "it is a Python pickle"),
    "random.bmp": (b"BM" + bytes(range(100)), "is"),
    "notanumber.ppm": (b"P6 x y 255\n" + b"\0" * 100, "is"),
}  # fmt: skip


def fine():
    """Unusual pictures that are read, and a pixel of theirs."""
    rgb = Image.new("RGB", (24, 24), (10, 200, 90))
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [Image.new("RGB", (24, 24), c) for c in ((10, 200, 90), (255, 0, 0))]
    return {
        "cmyk.jpg": (encoded(rgb.convert("CMYK"), "JPEG"), (10, 200, 90)),
        "palette.png": (encoded(rgb.quantize(4)), (10, 200, 90)),
        "palette.gif": (encoded(rgb, "GIF"), (10, 200, 90)),
        "deep.png": (encoded(Image.fromarray(np.full((24, 24), 0x8000, np.uint16))), (128, 128, 128)),
        "alpha.png": (encoded(Image.new("RGBA", (24, 24), (255, 0, 0, 0))), (255, 255, 255)),
        "grey_alpha.png": (encoded(Image.new("LA", (24, 24), (7, 255))), (7, 7, 7)),
        "one_bit.png": (encoded(Image.new("1", (24, 24), 1)), (255, 255, 255)),
        "exif.jpg": (encoded(rgb, "JPEG", exif=turned, quality=95), (10, 200, 90)),
        "animated.gif": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), (10, 200, 90)),
        "animated.webp": (
            encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True), (10, 200, 90)
        ),
        "animated.png": (encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]), (10, 200, 90)),
        "wrong_name.jpg": (encoded(rgb, "PNG"), (10, 200, 90)),
        "progressive.jpg": (encoded(rgb, "JPEG", progressive=True), (10, 200, 90)),
        "ycc.tif": (encoded(rgb, "TIFF", compression="jpeg"), (10, 200, 90)),
        "tiny.png": (encoded(Image.new("RGB", (1, 1), (10, 200, 90))), (10, 200, 90)),
        "long.png": (encoded(Image.new("RGB", (3000, 1), (10, 200, 90))), (10, 200, 90)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thousand")
    for i in range(GOOD):
        (folder / f"{i:04}.png").write_bytes(encoded(noise(i)))
    for name, (content, _) in (DAMAGED | fine()).items():
        (folder / name).write_bytes(content)
    (folder / "forbidden.png").write_bytes(PNG)
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    (folder / "folder.png").mkdir()
    return folder


@pytest.fixture
def forbidding(monkeypatch):
    """Root may read everything, so the refusal is simulated where the file is opened."""
    from nearfar.modalities.image import opened

    real = opened._stream

    def stream(cell):
        if str(cell).endswith("forbidden.png"):
            raise PermissionError(13, "Permission denied", str(cell))
        return real(cell)

    monkeypatch.setattr(opened, "_stream", stream)


def test_every_damage_has_its_name_and_reason(thousand, forbidding, tmp_path, monkeypatch):
    monkeypatch.setenv("NEARFAR_HOME", str(tmp_path / "home"))
    with open(tmp_path / "list.csv", "w", newline="") as f:
        rows = [[str(p)] for p in sorted(thousand.iterdir())] + [[str(thousand / "never_was.png")], [""]]
        csv.writer(f).writerows([["file"], *rows])
    table = read(tmp_path / "list.csv", size=16)
    said = {os.path.basename(rows[int(s.name.split(":")[1]) - 1][0]): s.reason for s in table.skipped}
    expected = {name: reason for name, (_, reason) in DAMAGED.items()} | {
        "forbidden.png": "may not be read (permission)", "dangling.png": "is missing", "never_was.png": "is missing",
        "folder.png": "is a folder", "": "is",
    }  # fmt: skip
    assert said.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in said[name], (name, said[name])
        assert "Traceback" not in said[name]
    assert len(table) == GOOD + len(fine())
    note = next(n for n in table.source["notes"] if n.startswith("Skipped"))
    assert note.startswith(f"Skipped: {len(expected)} unreadable rows (list.csv:")
    assert f"and {len(expected) - 5} more" in note


def test_unusual_pictures_are_read_rightly(thousand):
    names = list(fine())
    table = read([thousand / n for n in names], size=16)
    assert not table.skipped
    for name, values in zip(names, table.first.values, strict=True):
        assert np.abs(values.mean((1, 2)) - fine()[name][1]).max() <= 12, name


def test_too_much_damage_is_an_error(thousand):
    damaged = [thousand / n for n in DAMAGED]
    good = [thousand / f"{i:04}.png" for i in range(50)]
    with pytest.raises(DataError, match=f"{len(damaged)} of {50 + len(damaged)} rows cannot be read.*data.max_bad"):
        read(damaged + good)


def test_arrays_with_numbers_that_are_none():
    x = np.random.default_rng(0).random((100, 16, 16, 3))
    x[3, 2, 2, 0], x[7, 0, 0, 1] = np.nan, np.inf
    table = read(x)
    assert {s.name: s.reason for s in table.skipped} == dict.fromkeys(
        ("data:4", "data:8"), "has numbers that are not finite"
    )


# --- what is said at training, and stands in the report -----------------------------------------------------------

FAST = {
    "epochs": 1, "batch_size": 8, "encoder_options": {"widths": [8, 16]}, "projector": {"hidden": 16, "out": 8},
    "precision": "fp32", "threads": 1, "size": 16, "device": "cpu", "holdout": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Splits with 60 and 12 rows of two classes, duplicates within train and across, and bad rows."""
    folder = tmp_path_factory.mktemp("uneven")
    for split, counts in (("train", {"common": 60, "rare": 12}), ("test", {"common": 10, "rare": 10})):
        for label, count in counts.items():
            (folder / split / label).mkdir(parents=True)
            for i in range(count):
                seed = len(split) * 1000 + len(label) * 100 + i
                (folder / split / label / f"{i:02}.png").write_bytes(encoded(noise(seed)))
    first = (folder / "train" / "common" / "00.png").read_bytes()
    for copy in ("train/common/01.png", "train/common/02.png", "test/rare/00.png"):
        (folder / copy).write_bytes(first)
    for i in range(60):
        (folder / "train" / "rare" / f"bad{i:02}.png").write_bytes(b"" if i else b"text")
    return folder


@pytest.fixture(scope="module")
def run(uneven, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return train.train(uneven, out=out, max_bad=0.5, **FAST)


def test_it_is_said_at_training(run):
    notes = run.plan.notes
    assert "Classes: the largest is 'common' with 60 rows, the smallest 'rare' with 12; ratio 5." in notes
    assert "Duplicates, equal to the bit: 2 within train, 1 test in train; they stay." in notes
    assert any(n.startswith("Skipped: 60 unreadable rows (train/rare/bad00.png is not a picture") for n in notes)
    assert any("Rows: " in n and "'train'" in n for n in notes)


def test_it_stands_in_the_run_and_the_report(run):
    listed = (run.path / "skipped.csv").read_text().splitlines()
    assert len(listed) == 61
    page = (run.path / "report.html").read_text()
    assert "60 rows could not be read" in page
    for i in range(60):
        assert f"bad{i:02}.png" in page
    for said in ("Duplicates, equal to the bit", "ratio 5", "Skipped: 60"):
        assert said in page
    config = json.loads((run.path / "config.json").read_text())
    assert config["data"]["skipped"] == 60


def test_it_is_said_at_evaluation(run, uneven):
    found = evaluate.evaluate(run.path, uneven, max_bad=0.5, protocols=("knn",), floors=False)
    text = found.table()
    assert "scored on the split 'test'" in text
    assert "1 of 20 test rows are also among the training rows" in text
    assert "the largest is 'common' with 60 rows" in text
    assert "60 rows could not be read" in text
    assert found.as_dict()["data"]["duplicates"] == 1


def test_facts_without_labels_or_duplicates():
    table = read(np.random.default_rng(0).normal(size=(60, 4)))
    rows = np.arange(60)
    assert facts.balance(table, rows) is None
    assert facts.about_duplicates(table, rows[:50], rows[50:]) == "Duplicates: none among the rows, nor across splits."
    twice = read(np.repeat(np.random.default_rng(0).normal(size=(30, 4)), 2, 0))
    assert "30 within train" in facts.about_duplicates(twice, np.arange(60), rows[:0])
    assert facts.duplicates(twice, {"train": rows[:30], "test": rows[29:]}) == {
        "train": 15, "test": 15, "test in train": 1
    }  # fmt: skip


def test_the_report_names_rows_up_to_a_limit(tmp_path):
    from nearfar.evaluation.report.write import SKIPPED_SHOWN, write

    skipped = [(f"{i}.png", "is empty") for i in range(SKIPPED_SHOWN + 7)]
    page = write(tmp_path / "r.html", name="x", config={}, metrics=[], skipped=skipped).read_text()
    assert page.count("is empty") == SKIPPED_SHOWN
    assert "and 7 more, in skipped.csv" in page
