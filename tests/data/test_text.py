"""Texts from every container, in any script, and what is wrong with some of them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.core.errors import DataError, NearfarWarning, UnknownName
from nearfar.data.read import read

TEXTS = ["the cat sat", "a dog ran off", "東京は大きい", "مرحبا بالعالم", "🙂 it is fun", "दुनिया को नमस्ते"]
LABELS = ["x", "y", "x", "y", "x", "y"]


def written(folder, kind):
    file = folder / f"data.{kind}"
    if kind == "txt":
        file.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    elif kind == "jsonl":
        file.write_text("\n".join(json.dumps({"text": t, "label": y}) for t, y in zip(TEXTS, LABELS)), encoding="utf-8")
    elif kind == "parquet":
        pq.write_table(pa.table({"text": TEXTS, "label": LABELS}), file)
    else:
        mark = "\t" if kind == "tsv" else ","
        file.write_text(
            "\n".join(f"{t}{mark}{y}" for t, y in [("text", "label"), *zip(TEXTS, LABELS)]), encoding="utf-8"
        )
    return file


@pytest.mark.parametrize("kind", ["txt", "csv", "tsv", "jsonl", "parquet"])
def test_containers(kind, tmp_path):
    table = read(written(tmp_path, kind))
    assert table.first.modality == "text" and len(table) == 6
    assert table.first.shown(2) == TEXTS[2]
    np.testing.assert_array_equal(table.first.values, read(list(TEXTS)).first.values)
    if kind != "txt":
        assert table.label_names == ("x", "y")


def test_from_python():
    plain = read(TEXTS).first.values
    for source in (tuple(TEXTS), np.asarray(TEXTS), {"text": TEXTS}, (TEXTS, np.arange(6)), pa.table({"text": TEXTS})):
        np.testing.assert_array_equal(read(source).first.values, plain)
    datasets = pytest.importorskip("datasets")
    np.testing.assert_array_equal(read(datasets.Dataset.from_dict({"text": TEXTS})).first.values, plain)


def test_what_is_no_text_is_named_and_skipped(tmp_path):
    lines = [b"good one here"] * 60 + [b"bad \xff byte", b"", b"last of all"]
    (tmp_path / "a.txt").write_bytes(b"\n".join(lines))
    table = read(tmp_path / "a.txt")
    assert len(table) == 61 and table.names[60] == "a.txt:63"
    assert [(s.name, s.reason) for s in table.skipped] == [("a.txt:61", "is not UTF-8 (byte 0xff at 4)")]
    assert "Passed over: 1 blank line of a.txt." in table.source["notes"]
    (tmp_path / "b.csv").write_bytes(b"text,n\n" + b"\n".join(line + b",1" for line in lines))
    table = read(tmp_path / "b.csv", column="text")
    assert [s.reason for s in table.skipped] == ["is not UTF-8 (byte 0xff at 4)", "is empty"]
    with pytest.raises(DataError, match="3 of 5 rows cannot be read"):
        read({"text": ["one two", None, float("nan"), "  ", "three four"]}, column="text")


def test_mixed_types_and_long_rows():
    table = read({"text": ["one two three", 17, 2.5, "word " * 20_000]}, column="text")
    assert len(table) == 4 and table.first.shown(1) == "17"
    assert table.first.values.shape[1] <= 1024


def test_which_column(tmp_path):
    data = {"title": ["one two", "three four"] * 10, "body": ["a longer text", "another text"] * 10}
    with pytest.raises(DataError, match="title and body can both be embedded"):
        read(data)
    with pytest.raises(UnknownName, match="body"):
        read(data, column="bodi")
    assert list(read(data, column=["title", "body"]).columns) == ["title", "body"]
    with pytest.raises(DataError, match="none of the columns"):
        read({"word": ["red", "blue"] * 10, "other": ["up", "down"] * 10})
    assert read({"word": ["red", "blue"] * 10}, column="word").first.modality == "text"


def test_equal_texts_have_equal_hashes_in_every_column():
    table = read({"a": ["one two", "three four"], "b": ["three four", "five six"]}, column=["a", "b"])
    a, b = table.columns.values()
    assert a.hashes[1] == b.hashes[0] and a.hashes[0] != b.hashes[1]
    assert a.spec == b.spec


def test_scores():
    with pytest.warns(NearfarWarning, match=r"none in 1 of 3 rows \(data:2\)"):
        data = {"a": ["one two"] * 3, "b": ["three four"] * 3, "s": [1.0, None, 3.0]}
        table = read(data, column=["a", "b"], score="s")
    np.testing.assert_array_equal(table.scores, [1, np.nan, 3])
    with pytest.raises(DataError, match="no numbers"):
        read({"a": ["one two"], "b": ["three four"], "s": ["high"]}, column=["a", "b"], score="s")
