"""Damaged and odd files: each is the right table, rows that are left out and said, or one sentence.

The walk draws its damage from a seed; with NEARFAR_WALKS=all it is the long one of benchmarks/damaged_files.py.
"""

import io
import os
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nearfar.core.errors import DataError, NearfarWarning
from nearfar.data.read import read

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
ROWS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
CASES = 2200 if os.environ.get("NEARFAR_WALKS") == "all" else 440


@pytest.fixture
def walks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import damaged_files

    yield damaged_files
    for name in ("damaged_files", "damages"):
        sys.modules.pop(name, None)


def test_the_walk(walks, tmp_path):
    found = walks.walk(0, CASES, tmp_path, walks.trained())
    assert found.faults == []
    assert found.tally.total() == CASES
    outcomes = {outcome for _, outcome in found.tally}
    assert outcomes == {"read", "skipped", "sentence"}


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def head(shape="(24, 3)", descr="'<f4'", order="False", version=(1, 0), content=None, rest=""):
    """An npy whose head says what it likes."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {rest}}}\n".encode("latin1")
    length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text + (ROWS.tobytes() if content is None else content)


def npz(*members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as z, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            z.writestr(name, content)
    return buffer.getvalue()


def encrypted(content):
    """The same zip, whose members say that they are encrypted."""
    changed = bytearray(content)
    for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.index(mark) + flag] |= 1
    return bytes(changed)


X = npy(ROWS)
REFUSED = {
    "huge.npy": (head("(1099511627776, 3)"), "declares 13,194,139,533,312 bytes .* and 288 follow"),
    "overflow.npy": (head(f"({2**63 - 1}, {2**63 - 1})"), "its header declares"),
    "beyond.npy": (head(f"({10**35}, 3)"), "its shape is"),
    "negative.npy": (head("(-24, 3)"), "its shape is"),
    "both_negative.npy": (head("(-24, -3)"), "its shape is"),
    "true.npy": (head("(True, 3)"), "its shape is"),
    "fraction.npy": (head("(24.0, 3)"), "shape is not valid"),
    "fewer.npy": (head("(10, 3)"), "declares 120 bytes of the shape .10, 3., and 288 follow"),
    "more.npy": (head("(34, 3)"), "declares 408 bytes"),
    "unclosed.npy": (head("((24, 3)"), "cannot be read as npy"),
    "deep.npy": (head("(" * 3000), "cannot be read as npy"),
    "version.npy": (head(version=(9, 0)), "its version 9.0 is unknown"),
    "object.npy": (head(descr="'|O'"), "Python objects, which could run code"),
    "objects.npy": (npy(np.array([1, "a", None] * 8, object)), "Python objects, which could run code"),
    "hidden.npy": (head(descr="[('x', [('y', '|O')])]"), "Python objects, which could run code"),
    "dtype.npy": (head(descr="'zzz'"), "not a valid dtype"),
    "wide.npy": (head(descr="'V99999999999'"), "not a valid dtype"),
    "other_width.npy": (head(descr="'<f8'"), "declares 576 bytes"),
    "code.npy": (head(descr="__import__('os').getcwd()"), "cannot be read as npy"),
    "twice.npy": (X + X, "cannot be read as npy"),
    "cut.npy": (X[:-1], "and 287 follow"),
    "empty.npy": (b"", "cannot be read as npy"),
    "wrong_name.npy": (npz(("x.npy", X)), "the magic string is not correct"),
    "complex.npy": (npy(ROWS + 1j), "values of the type complex64, expected numbers"),
    "complex_pictures.npy": (npy(np.ones((24, 8, 8), np.complex128)), "values of the type complex128"),
    "void.npy": (npy(np.zeros((24, 3), "V6")), "values of the type |V6"),
    "words.npy": (npy(np.full((24, 3), "word")), "holds texts, expected numbers"),
    "one_number.npy": (npy(np.float32(3)), "is a single value"),
    "no_rows.npy": (npy(ROWS[:0]), "there are no rows"),
    "no_columns.npy": (npy(ROWS[:, :0]), "there are no numbers"),
    "nothing.npz": (npz(), "holds no arrays"),
    "text.npz": (npz(("x.npy", X), ("readme.txt", b"I am no array")), "readme.txt: cannot be read as npy"),
    "folder.npz": (npz(("a/", b""), ("a/x.npy", X)), "cannot be read as npy"),
    "nested.npz": (npz(("x.npz", npz(("x.npy", X)))), "cannot be read as npy"),
    "same_name.npz": (npz(("x.npy", X), ("x.npy", X)), "holds two arrays of one name"),
    "nearly_same.npz": (npz(("x.npy", X), ("x", X)), "holds two arrays of one name"),
    "longer.npz": (npz(("x.npy", X + b"more")), "and 292 follow"),
    "bomb.npz": (npz(("x.npy", head("(1099511627776, 3)"))), "declares 13,194,139,533,312 bytes"),
    "encrypted.npz": (encrypted(npz(("x.npy", X))), "is encrypted"),
    "void_labels.npz": (npz(("x.npy", X), ("y.npy", npy(np.zeros(24, "V3")))), "values of the type |V3"),
    "complex_labels.npz": (npz(("x.npy", X), ("y.npy", npy(np.ones(24) * 1j))), "values of the type complex128"),
    "lengths.npz": (npz(("x.npy", X), ("y.npy", npy(np.arange(23)))), "different lengths: x .24, 3., y .23,."),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    content, said = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path / name)
    assert len(str(caught.value)) < 600


RIGHT = {
    "big_endian": ROWS.astype(">f8"), "fortran": np.asfortranarray(ROWS), "half": ROWS.astype(np.float16),
    "long": ROWS.astype(np.longdouble), "bytes": (10 * ROWS).astype(np.int8), "unsigned": (9 + ROWS).astype(">u4"),
    "truths": ROWS > 0,
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_arrays_of_every_type(tmp_path, name):
    np.save(tmp_path / "x.npy", RIGHT[name])
    np.savez(tmp_path / "x.npz", x=RIGHT[name], y=np.arange(24) % 2)
    expected = RIGHT[name].astype(np.float64)
    for file in ("x.npy", "x.npz"):
        table = read(tmp_path / file)
        assert len(table) == 24 and table.first.modality == "vector"
        assert np.allclose(table.first.spec["mean"], expected.mean(0), rtol=1e-12)
        assert np.allclose(table.first.values, (expected - expected.mean(0)) / expected.std(0), atol=1e-5)


def test_records_are_columns(tmp_path):
    records = np.zeros(24, [("a", "<f4"), ("b", ">i8"), ("label", "U4")])
    records["a"], records["b"], records["label"] = ROWS[:, 0], np.arange(24) % 5, ["red", "blue"] * 12
    np.save(tmp_path / "x.npy", records)
    table = read(tmp_path / "x.npy")
    assert table.first.spec["names"] == ["a", "b"] and table.label_names == ("blue", "red")
    assert np.allclose(table.first.spec["mean"], [ROWS[:, 0].mean(), (np.arange(24) % 5).mean()])


def test_names_of_members_are_names_only(tmp_path):
    (tmp_path / "x.npz").write_bytes(npz(("../x.npy", X), ("/y\x1b[31m.npy", npy(np.arange(24) % 2))))
    assert len(read(tmp_path / "x.npz", column="../x")) == 24
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_rows_of_another_width_that_are_no_text(tmp_path):
    """A row with too many cells, of which one is not UTF-8, is counted, and those after it keep their numbers."""
    lines = [f"{i / 3},{i % 4}".encode() for i in range(24)]
    lines[5] = b"\xff\xfe,1,2"
    (tmp_path / "x.csv").write_bytes(b"a,b\n" + b"\n".join(lines) + b"\n")
    table = read(tmp_path / "x.csv")
    assert [s.name for s in table.skipped] == ["x.csv:6"] and "has 3 cells, expected 2" in table.skipped[0].reason
    assert np.allclose(table.first.spec["mean"][0], np.mean([i / 3 for i in range(24) if i != 5]))


def test_checksums_of_parquet_are_looked_at(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    file = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]}), file, compression="none", use_dictionary=False,
                        write_page_checksum=True)  # fmt: skip
    content = bytearray(file.read_bytes())
    content[content.index(ROWS[3:5, 0].tobytes()) + 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as parquet .*CRC"):
        read(file)


@pytest.mark.parametrize("ending", ("npy", "npz", "csv", "jsonl", "json", "parquet", "txt", "tar", "png"))
def test_what_is_no_file(tmp_path, ending):
    for make in (os.mkfifo, os.mkdir, lambda p: os.symlink(p, p), lambda p: os.symlink("/dev/zero", p)):
        place = tmp_path / f"x.{ending}"
        make(place)
        with pytest.raises(DataError):
            read(place)
        place.rmdir() if place.is_dir() else place.unlink()


def test_cells_that_are_no_numbers(tmp_path):
    rows = ROWS.astype(object)
    rows[3, 1], rows[7, 2] = 1 + 2j, "1_000"
    table = read(rows.tolist(), max_bad=0.2)
    assert {s.name: s.reason for s in table.skipped} == {
        "data:4": "holds (1+2j), which is not a number", "data:8": "holds '1_000', which is not a number",
    }  # fmt: skip


@pytest.mark.parametrize("value", (np.inf, -np.inf, 10**400, -(10**400), np.longdouble("1e4000")), ids=lambda v: f"{v:.9}"[:9]
                         if not isinstance(v, int) else "whole")  # fmt: skip
def test_infinite_cells_are_said(value):
    rows = ROWS.astype(object)
    rows[3, 1] = value
    rest = np.delete(ROWS[:, 1].astype(np.float64), 3).mean()
    with pytest.warns(NearfarWarning, match="1 infinite numbers of 'x' count as missing"):
        table = read(rows.tolist())
    assert len(table) == 24 and table.first.values[3, 1] == 0
    assert np.allclose(table.first.spec["mean"][1], rest)
    with pytest.warns(NearfarWarning, match="1 infinite numbers of the column 'b' count as missing"):
        table = read({"a": ROWS[:, 0].tolist(), "b": rows[:, 1].tolist()})
    assert np.allclose(table.first.spec["mean"][1], rest)


def test_whole_numbers_that_floats_do_not_hold(tmp_path):
    numbers = np.stack([2**64 - 1 - np.arange(24, dtype=np.uint64), np.arange(24, dtype=np.uint64) % 5], 1)
    np.save(tmp_path / "x.npy", numbers)
    with pytest.warns(NearfarWarning, match="Rounded: 24 whole numbers of 'x' are beyond 2⁵³"):
        read(tmp_path / "x.npy")
    (tmp_path / "x.csv").write_text("a,b\n" + "".join(f"{2**64 + i},{i % 5}\n" for i in range(24)))
    with pytest.warns(NearfarWarning, match="Rounded: 24 whole numbers of the column 'a' are beyond 2⁵³"):
        read(tmp_path / "x.csv", column=("a", "b"))


def test_dates_that_python_does_not_have(tmp_path):
    import pyarrow as pa

    far = pa.array([2**62 + i for i in range(24)], pa.timestamp("us"))
    frame = pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1], "day": far})
    with pytest.warns(NearfarWarning, match="Left out: 'day'"):
        assert read(frame).first.spec["names"] == ["a", "b"]
    with pytest.warns(NearfarWarning, match="Labels: 24 of the column 'day' are not UTF-8, or cannot be read"):
        assert not (read(frame, label="day").labels >= 0).any()
