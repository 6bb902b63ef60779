"""Tables of texts as people have them, damaged in every way: read, or refused with a way out; nothing lost unsaid."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.core.config import Config
from nearfar.core.errors import DataError, NearfarWarning
from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.modalities import vector
from nearfar.training import train

ROWS = [f"the {a} cat sat by the {b} tree,{'xy'[b % 2]}" for a in range(10) for b in range(8)]
TEXTS = [r.rpartition(",")[0] for r in ROWS]


def write(file, rows, header="text,label", ends="\n", last="\n", start=b""):
    lines = [header, *rows] if header else rows
    file.write_bytes(start + (ends.join(lines) + last).encode())
    return file


def notes(table):
    return " ".join(table.source["notes"])


def reasons(table):
    return [(s.name.partition(":")[2], s.reason) for s in table.skipped]


@pytest.mark.parametrize("ending", ["csv", "txt", "jsonl"])
@pytest.mark.parametrize(("ends", "last", "start"), [
    ("\n", "\n", b""), ("\n", "", b""), ("\r\n", "\r\n", b""), ("\r\n", "", b"\xef\xbb\xbf"),
])  # fmt: skip
def test_ends_of_lines_and_marks(tmp_path, ending, ends, last, start):
    rows = {"csv": ROWS, "txt": TEXTS, "jsonl": [json.dumps({"text": t}) for t in TEXTS]}[ending]
    header = "text,label" if ending == "csv" else None
    table = read(write(tmp_path / f"a.{ending}", rows, header, ends, last, start))
    assert [table.first.shown(i) for i in range(len(table))] == TEXTS
    assert (read(TEXTS).first.values == table.first.values).all()


@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_lines_of_old_macs(tmp_path, ending):
    rows, header = (ROWS, "text,label") if ending == "csv" else (TEXTS, None)
    table = read(write(tmp_path / f"a.{ending}", rows, header, "\r", ""))
    assert [table.first.shown(i) for i in range(len(table))] == TEXTS


def test_rows_of_another_width_are_named_and_keep_their_numbers(tmp_path):
    table = read(write(tmp_path / "a.csv", [*ROWS[:3], "too,many,cells", *ROWS[3:], "too few"]))
    assert reasons(table) == [("4", "has 3 cells, expected 2"), ("82", "has 1 cell, expected 2")]
    assert table.names[3] == "a.csv:5" and table.first.shown(3) == TEXTS[3]
    assert (table.labels[:8] == [0, 1] * 4).all()
    with pytest.raises(DataError, match="Put texts with commas into quotation marks"):
        read(write(tmp_path / "b.csv", [f"{t}, and more" for t in TEXTS], "text"))


@pytest.mark.parametrize("row", ['"never closed,x', 'open,"never closed'])
def test_a_quotation_mark_that_is_never_closed_swallows_nothing(tmp_path, row):
    with pytest.raises(DataError, match="opens in row 41 is never closed, so 41 lines would be one cell"):
        read(write(tmp_path / "a.csv", [*ROWS[:40], row, *ROWS[40:]]))


def test_cells_on_several_lines(tmp_path):
    table = read(write(tmp_path / "a.csv", [*ROWS[:-1], '"the last text\nhas two lines","x\ny"']))
    assert len(table) == 80 and table.first.shown(79) == "the last text has two lines"
    assert table.label_names == ("x", "x\ny", "y")


@pytest.mark.parametrize(("mark", "said"), [(";", "';'"), ("\t", "a tab"), ("|", "'|'")])
def test_other_separators_are_said(tmp_path, mark, said):
    table = read(write(tmp_path / "a.csv", [mark.join(r.split(",")) for r in ROWS], f"text{mark}label"))
    assert table.label_names == ("x", "y") and table.first.shown(0) == TEXTS[0]
    assert f"separated by {said}" in notes(table)


def test_a_missing_line_of_names_is_told(tmp_path):
    assert "looks like a cell" in notes(read(write(tmp_path / "a.csv", TEXTS, None)))
    assert "looks like a cell" not in notes(read(write(tmp_path / "b.csv", ROWS)))


def test_rows_longer_than_what_arrow_reads_at_once(tmp_path):
    long = "word " * 300_000
    csv = read(write(tmp_path / "a.csv", [*ROWS, f"{long},x"]))
    lines = [json.dumps({"text": t}) for t in [*TEXTS, long]]
    jsonl = read(write(tmp_path / "a.jsonl", lines, None))
    for table in (csv, jsonl):
        assert len(table) == 81 and not table.skipped
        assert (table.first.lengths > table.first.spec["length"]).sum() == 1
        assert f"1 of 81 texts of 'text' is longer than {table.first.spec['length']:,} tokens" in notes(table)


def test_bytes_that_are_no_text(tmp_path):
    good = write(tmp_path / "good.csv", ROWS).read_bytes()
    (tmp_path / "label.csv").write_bytes(good + b"a good text here,\xff\n")
    with pytest.warns(NearfarWarning, match="1 of the column 'label' are not UTF-8"):
        table = read(tmp_path / "label.csv")
    assert table.label_names == ("x", "y") and table.labels[-1] == -1
    (tmp_path / "name.csv").write_bytes(b"te\xffxt,label\n" + good.partition(b"\n")[2])
    with pytest.raises(DataError, match="iconv"):
        read(tmp_path / "name.csv")
    for name, content in (("a.csv", good.decode().encode("utf-16")), ("a.txt", "one two\n".encode("utf-16"))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="is UTF-16, not UTF-8. Save it as UTF-8"):
            read(tmp_path / name)
    (tmp_path / "latin.txt").write_bytes("für alle\nüber uns\n".encode("latin1"))
    (tmp_path / "latin.csv").write_bytes("text\nfür alle\nüber uns\n".encode("latin1"))
    for name in ("latin.txt", "latin.csv"):
        with pytest.raises(DataError, match="Save .* as UTF-8, for example with `iconv -f latin1 -t utf-8`"):
            read(tmp_path / name)
    with pytest.raises(DataError, match="holds no text"):
        (tmp_path / "zeros.txt").write_bytes(bytes(2000))
        read(tmp_path / "zeros.txt")


def test_json_of_mixed_types_and_broken_lines(tmp_path):
    rows = [json.dumps({"text": t, "label": "x", "n": i}) for i, t in enumerate(TEXTS)]
    table = read(write(tmp_path / "a.jsonl", [
        *rows, '{"text": 17}', '{"text": [1, 2]}', '{"text": null}', '{"label": "y"}', '{"text": "cut of', '["a list"]',
    ], None), max_bad=0.1)  # fmt: skip
    assert len(table) == 81 and table.first.shown(80) == "17"
    assert [r for _, r in reasons(table)][:3] == ["is list, no text", "is empty", "is empty"]
    assert reasons(table)[3][1].startswith("is no JSON (Unterminated string")
    assert reasons(table)[4] == ("86", "is a list, no object")
    plain = read(write(tmp_path / "b.jsonl", rows, None))
    assert (plain.first.hashes == table.first.hashes[:80]).all()
    assert table.label_names == ("x", "y") and plain.label_names == ("x",)


def test_json_that_is_no_text_or_has_a_key_twice(tmp_path):
    rows = [json.dumps({"text": t}) for t in TEXTS]
    content = write(tmp_path / "a.jsonl", rows, None).read_bytes()
    (tmp_path / "a.jsonl").write_bytes(
        content + b'{"text": "bad \xff"}\n{"text": "half \\ud800"}\n{"text": "a b", "text": "c d"}\n'
    )
    assert reasons(read(tmp_path / "a.jsonl")) == [
        ("81", "is not UTF-8 (byte 0xff at 14)"), ("82", "has half of a surrogate pair, which is no character"),
        ("83", "is no JSON ('text' stands there twice)"),
    ]  # fmt: skip


def test_json_lists_of_objects(tmp_path):
    rows = [{"text": t, "label": 1} for t in TEXTS]
    for indent in (None, 1):
        (tmp_path / "a.json").write_text(json.dumps(rows, indent=indent))
        table = read(tmp_path / "a.json")
        assert len(table) == 80 and table.label_names == ("1",)
    for content in ("[1, 2", '"a"\n"b"\n', "", "nope\n"):
        (tmp_path / "b.json").write_text(content)
        with pytest.raises(DataError, match="A row is an object"):
            read(tmp_path / "b.json")


def test_texts_without_spaces(tmp_path):
    table = read(write(tmp_path / "a.csv", [f"東京は大きい{i},x" for i in range(40)]))
    assert table.first.modality == "text"
    with pytest.raises(DataError, match="text \\(single words\\) .* `--column text` takes its words as texts"):
        read(write(tmp_path / "b.csv", [f"word{i},x" for i in range(40)]))
    pq.write_table(pa.table({"text": [["a b", "c d"]] * 4}), tmp_path / "c.parquet")
    assert len(read(tmp_path / "c.parquet", column="text")) == 8  # lists of texts are several rows
    with pytest.raises(DataError, match="text \\(lists\\)"):
        pq.write_table(pa.table({"text": [[["a b"]]] * 4}), tmp_path / "f.parquet")
        read(tmp_path / "f.parquet")
    with pytest.raises(DataError, match="nothing but empty cells"):
        pq.write_table(pa.table({"text": pa.array([None] * 4, pa.string())}), tmp_path / "d.parquet")
        read(tmp_path / "d.parquet")
    late = [*(["7"] * 40), *[t for t in TEXTS for _ in range(2)]]  # the first cells say little
    assert read(write(tmp_path / "e.csv", [f"{t},x" for t in late])).first.modality == "text"


def test_two_columns_of_the_same_name_are_named(tmp_path):
    with pytest.raises(DataError, match="same name, 'text'. Rename"):
        read(write(tmp_path / "a.csv", [f"{t},{t}" for t in TEXTS], "text,text"))


def test_labels_that_are_names_of_rows(tmp_path):
    def planned(rows, **given):
        file = write(tmp_path / "a.csv", rows)
        config = Config().set("data.source", str(file))
        for knob, value in given.items():
            config = config.set(f"data.{knob}", value)
        return train.plan(config)

    ids = [f"the text of {i},id{i}" for i in range(1200)]
    plan = planned(ids)
    assert plan.table.labels is None
    said = "the column 'label' has 1,200 different values in 1,200 rows and looks like an identifier"
    assert [n for n in plan.notes if n.startswith("Labels")] == [
        f"Labels: none, since {said}. If these are classes, --label takes them."
    ]
    with pytest.raises(DataError, match=f"{said}: is it an id\\? Leave --label out"):
        planned(ids, label="label")
    pairs = [f"the text of {i},id{i // 2}" for i in range(2400)]
    assert planned(pairs).table.labels is None
    assert len(planned(pairs, label="label").table.label_names) == 1200
    assert len(planned(ids[:20]).table.label_names) == 20


def test_measuring_leaves_ids_out(tmp_path):
    rows = [f"the {a} cat sat by tree {i},id{i}" for i, a in enumerate(["old", "young"] * 60)]
    file = write(tmp_path / "a.csv", rows)
    given = {"epochs": 1, "batch_size": 32, "threads": 1, "encoder_options": {"dim": 8}}
    model = train.train(str(file), **given).model
    trained, ids = (pytest.warns(NearfarWarning, match=m) for m in ("was trained on", "looks like an identifier"))
    with trained, ids:
        assert evaluate.evaluate(model, str(file)).data["classes"] == []
    with pytest.raises(DataError, match="looks like an identifier: is it an id"):
        evaluate.evaluate(model, str(file), label="label")


def test_equal_texts_teach_nothing():
    with pytest.raises(DataError, match="all 40 rows to train on are equal"):
        train.plan(Config(), source={"text": ["the same text"] * 40})
    same = [f"text number {i}" for i in range(40)]
    train.plan(
        Config().set("data.column", ["a", "b"]), source={"a": same, "b": same}
    )  # equal in a row, not across rows


def test_a_column_that_is_named_is_no_label():
    data = {"source": TEXTS, "target": [t[::-1] for t in TEXTS]}
    assert list(read(data, column=["source", "target"]).columns) == ["source", "target"]
    assert read({"text": TEXTS, "target": ["x", "y"] * 40}, column="text").label_names == ("x", "y")


def test_a_column_of_everything_is_no_column_of_numbers(tmp_path):
    """Lists of numbers among texts, truths and gaps do not make it one; a row of numbers may have gaps."""
    cells = [[1, 2], True, 7, "a few words", None] * 4
    (tmp_path / "mixed.jsonl").write_text("".join(json.dumps({"text": c}) + "\n" for c in cells))
    with pytest.raises(DataError, match="holds what can be embedded"):
        read(tmp_path / "mixed.jsonl", column="text")
    assert vector.recognise(cells) == 0
    assert vector.recognise([None, [1, None, 2.5], [3, 4, 5]]) > 0.5
    assert vector.plan([[1, None, 2.0], [3, 4, 5], [1, 2], "x", True, ["a", "b", "c"]], {})["features"] == 3
    with pytest.raises(DataError, match="no numbers"):
        vector.plan(["x", True], {})
