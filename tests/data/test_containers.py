"""The same cells mean the same whatever holds them: words for missing cells, long numbers, dates, spellings, classes."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import nearfar
from nearfar.core.errors import ConfigError, DataError, NearfarWarning
from nearfar.data.read import read

TEXTS = [f"this is the sentence number {i} of a few" for i in range(20)]


def classes(source, **options):
    table = read(source, **options)
    return [None if i < 0 else table.label_names[i] for i in table.labels]


def brought(frame, folder, kind):
    """The table as a file or an object of that kind."""
    rows, file = frame.to_dict("records"), folder / f"table.{kind}"
    if kind == "csv":
        frame.to_csv(file, index=False)
    elif kind == "jsonl":
        file.write_text("\n".join(map(json.dumps, rows)))
    elif kind == "json":
        file.write_text(json.dumps(rows))
    elif kind == "parquet":
        frame.to_parquet(file, index=False)
    elif kind == "splits":
        for name, part in (("train", frame[:10]), ("test", frame[10:])):
            part.to_csv(folder / f"{name}.csv", index=False)
        return folder
    else:
        return {
            "pandas": lambda: frame, "categories": lambda: frame.astype({frame.columns[-1]: "category"}),
            "polars": lambda: pl.from_pandas(frame), "dict": lambda: {c: frame[c].tolist() for c in frame},
        }[kind]()  # fmt: skip
    return file


FILES = ("csv", "jsonl", "json", "parquet")
KINDS = (*FILES, "pandas", "categories", "polars", "dict")


@pytest.mark.parametrize("kind", (*KINDS, "splits"))
def test_words_for_missing_cells(tmp_path, kind):
    labels = [("NA", "a", "b")[i % 3] for i in range(20)]
    found = classes(brought(pd.DataFrame({"text": TEXTS, "label": labels}), tmp_path, kind), missing=["NA"])
    expected = [None if v == "NA" else v for v in labels]
    assert found == (expected[10:] + expected[:10] if kind == "splits" else expected)  # test.csv comes first


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_for_missing_cells_in_any_spelling(tmp_path, kind):
    spelt = "-999.0" if kind == "csv" else -999.0
    frame = pd.DataFrame({"b": [i % 3 for i in range(20)], "a": [spelt if i % 4 == 0 else i / 2 for i in range(20)]})
    table = read(brought(frame, tmp_path, kind), missing=["-999"])
    assert table.first.spec["mean"][1] == np.mean([i / 2 for i in range(20) if i % 4])
    decimals = pa.table({"a": pa.array([Decimal("-999.00") if i % 4 == 0 else Decimal(i) / 2 for i in range(20)]),
                         "b": [1.5 * i for i in range(20)]})  # fmt: skip
    assert read(decimals, missing=["-999"], limit=20).first.spec["mean"][0] == table.first.spec["mean"][1]


def test_words_for_missing_cells_are_part_of_what_is_cached(tmp_path):
    (tmp_path / "t.csv").write_text("text\n" + "\n".join(["nothing at all", *TEXTS[1:]]))
    first = read(tmp_path / "t.csv")
    same = {"modality": "text", "spec": first.first.spec}
    assert len(first) == len(read(tmp_path / "t.csv", **same)) == 20
    assert len(read(tmp_path / "t.csv", missing=["nothing at all"], **same)) == 19


@pytest.mark.parametrize("start", (2**53 + 1, 2**64 + 1))
@pytest.mark.parametrize("kind", ("csv", "jsonl", "json", "pandas", "dict"))
def test_long_numbers_stay_exact(tmp_path, kind, start):
    labels = [start + i // 2 for i in range(20)]
    frame = pd.DataFrame({"text": TEXTS, "label": pd.Series(labels, dtype=object)})
    assert classes(brought(frame, tmp_path, kind)) == [str(n) for n in labels]


def test_whole_numbers_that_arrow_does_not_have():
    frame = pl.DataFrame({"text": TEXTS, "label": [i // 2 for i in range(20)]})
    assert classes(frame.with_columns(pl.col("label").cast(pl.Int128))) == [str(i // 2) for i in range(20)]


@pytest.mark.parametrize("kind", FILES)
def test_dates_written_as_texts_stay_as_they_are_written(tmp_path, kind):
    labels = [f"2020-01-0{1 + i % 3}" for i in range(20)]
    assert classes(brought(pd.DataFrame({"text": TEXTS, "label": labels}), tmp_path, kind)) == labels


def test_numbers_as_labels_are_spelt_alike(tmp_path):
    expected = [str(i % 3) for i in range(20)]
    assert classes(pa.table({"text": TEXTS, "label": pa.array([Decimal(f"{i % 3}.00") for i in range(20)])})) == expected
    assert classes({"text": TEXTS, "label": [("0.0", 1, 2.0)[i % 3] for i in range(20)]}) == expected
    tenths = np.asarray([0.1 * (i % 3) for i in range(20)], np.float32)
    assert set(classes(pd.DataFrame({"text": TEXTS, "label": tenths}))) == {"0", "0.1", "0.2"}
    with pytest.warns(NearfarWarning, match="2 of the spellings in the column 'label' differ from others"):
        mixed = classes({"text": TEXTS, "label": [(True, "true", "FALSE", False)[i % 4] for i in range(20)]})
    assert mixed == ["True", "True", "False", "False"] * 5
    for name, labels in (("train", [True, False] * 10), ("test", [1, 0] * 10)):
        pq.write_table(pa.table({"text": [f"{t} {name}" for t in TEXTS], "label": labels}), tmp_path / f"{name}.parquet")
    assert classes(tmp_path) == ["True", "False"] * 20


def test_the_order_of_classes_depends_on_no_order_of_rows():
    words = ["nan", "3", "1", "inf", "2"] * 4
    assert read({"text": TEXTS, "label": words}).label_names == ("1", "2", "3", "inf", "nan")
    assert read({"text": TEXTS, "label": words[1:] + words[:1]}).label_names == ("1", "2", "3", "inf", "nan")


def named_classes(file, labels, names):
    """A Parquet file of numbers whose classes are named in its head, as `datasets` writes it."""
    about = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
    table = pa.table({"text": [f"{t} {file.stem}" for t in TEXTS], "label": labels})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), file)


def test_the_same_number_may_mean_another_class_in_each_file(tmp_path):
    named_classes(tmp_path / "train.parquet", [i % 2 for i in range(20)], ["cat", "dog"])
    named_classes(tmp_path / "test.parquet", [1 - i % 2 for i in range(20)], ["dog", "cat"])
    assert classes(tmp_path) == ["cat", "dog"] * 20
    named_classes(tmp_path / "test.parquet", [i % 2 for i in range(20)], ["cat", "dog"])
    assert read(tmp_path).label_names == ("cat", "dog")


def test_a_number_that_no_class_has_is_refused(tmp_path):
    named_classes(tmp_path / "t.parquet", [i % 3 for i in range(20)], ["cat", "dog"])
    with pytest.raises(DataError, match="'label' holds '2', which is none of its 2 classes"):
        read(tmp_path / "t.parquet")


@pytest.mark.parametrize("kind", FILES)
def test_paths_of_pictures(tmp_path, kind):
    (tmp_path / "pictures").mkdir()
    for i in range(20):
        Image.new("RGB", (20, 20), (10 * i, 0, 0)).save(tmp_path / f"pictures/{i}.png")
    frame = pd.DataFrame({"image": [f"pictures/{i}.png" for i in range(20)], "label": ["a", "b"] * 10})
    table = read(brought(frame, tmp_path, kind))
    assert (table.first.modality, len(table)) == ("image", 20)


def test_the_column_of_the_training_is_taken_by_its_name_beside_others():
    frame = pd.DataFrame({"longer": TEXTS, "word": [f"word{i}" for i in range(20)]})
    small = {"length": 128, "epochs": 1, "batch_size": 8, "threads": 1, "precision": "fp32", "encoder_options": {"dim": 8}}
    model = nearfar.train(frame, column="word", **small).model
    expected = model.encode(frame["word"].tolist())
    assert np.array_equal(model.encode(frame), expected)
    assert np.array_equal(model.encode(frame.rename(columns={"longer": "target"})), expected)
    assert not np.allclose(model.encode(frame[["longer"]]), expected, atol=0.1)  # whatever it is called, if alone
    with pytest.warns(NearfarWarning, match="'word', as in the training, holds single numbers; longer is read in its place"):
        model.encode(frame.assign(word=0.5))
    other = nearfar.train(frame, column="longer", **small).model
    both = nearfar.ensemble([model, other], quiet=True).encode(frame)  # of one column, as the first member reads it
    assert np.allclose(both, np.concatenate([expected, other.encode(frame["word"].tolist())], 1) / 2**0.5, atol=1e-6)
    target = nearfar.train(frame.rename(columns={"longer": "target"}), column="target", **small).model
    assert np.array_equal(target.encode(frame.rename(columns={"longer": "target"})), target.encode(TEXTS))


def table_of(folder, names, cells):
    file = folder / "t.csv"
    file.write_text(f"{names}\n" + "".join(f"{cells(i)}\n" for i in range(20)))
    return file


@pytest.mark.parametrize("space", (" ", "\u00a0", "\u202f", "'"))
def test_thousands_may_stand_apart(tmp_path, space):
    table = read(table_of(tmp_path, "a,b", lambda i: f"1{space}0{i:02d}.5,{i % 3}"))
    assert table.first.spec["names"] == ["a", "b"] and table.first.spec["mean"][0] == 1010.0


def test_texts_of_digits_and_words_stay_texts(tmp_path):
    table = read(table_of(tmp_path, "a,b", lambda i: f"1 {i:03d} boats in the harbour,{i % 3}"))
    assert table.first.modality == "text"


@pytest.mark.parametrize("name", ("id", "userId", "PatientID"))
def test_names_of_rows_are_no_features(tmp_path, name):
    file = table_of(tmp_path, f"{name},a,b", lambda i: f"{100 + i}.0,{i / 3},{i % 3}")
    with pytest.warns(NearfarWarning, match=f"Left out: '{name}' .numbers the rows"):
        assert read(file).first.spec["names"] == ["a", "b"]


def test_numbers_after_many_marks_are_numbers(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("a,b\n" + "".join(f"{'NA' if i < 1200 else i / 4},{i / 2}\n" for i in range(3000)))
    with pytest.warns(NearfarWarning, match="Missing: 'NA' .1,200. in the column 'a'"):
        assert read(file).first.spec["names"] == ["a", "b"]


def test_an_object_is_no_label():
    rows = pa.table({"text": TEXTS, "label": [{"x": i % 2} for i in range(20)]})
    with pytest.warns(NearfarWarning, match="'label' is left out: it holds several labels in a cell"):
        assert read(rows).labels is None


def test_options_that_cannot_be(tmp_path):
    file = table_of(tmp_path, "a,b", lambda i: f"{i / 3},{i % 3}")
    with pytest.raises(ConfigError, match="limit is 0; it must be a whole number of at least 1"):
        read(file, limit=0)
    file = table_of(tmp_path, "text,label", lambda i: f"this is the sentence {i},{('NA', 'N')[i % 2]}")
    assert read(file, missing="NA").label_names == ("N",)
    with pytest.raises(DataError, match="two columns of the same name, '0.5'. Put a line with the names"):
        read(table_of(tmp_path, "0.5,1,0.5", lambda i: f"{i / 3},{i % 3},{i}"))


def test_words_for_missing_cells_are_those_of_the_run_that_is_gone_on_with(tmp_path):
    frame = pd.DataFrame({"a": [-999.0 if i % 4 == 0 else i / 2 for i in range(40)], "b": [i % 3 for i in range(40)]})
    small = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32", "holdout": 0.0, "lr": 1e-9,
             "encoder_options": {"width": 8, "layers": 1, "out": 4}, "projector": {"hidden": 8, "out": 4}, "fixed": "none"}  # fmt: skip
    first = nearfar.train(frame, out=tmp_path / "first", missing=["-999"], **small).model
    second = nearfar.train(frame, init_from=str(tmp_path / "first"), **small)
    assert second.plan.config.data.missing == ("-999",)
    assert np.allclose(second.model.encode(frame), first.encode(frame), atol=1e-5)
