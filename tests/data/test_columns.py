"""What the columns of a table mean: matched by name, numbers in any spelling, indexes, missing cells, left-out columns."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearfar
from nearfar.core.errors import DataError, NearfarWarning, UnknownName
from nearfar.data.read import read

KNOBS = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32", "holdout": 0.0,
         "encoder_options": {"width": 8, "layers": 1, "out": 4}, "projector": {"hidden": 8, "out": 4}}  # fmt: skip


def frame(rows=60, seed=0):
    draw = np.random.default_rng(seed)
    return pd.DataFrame({
        "height": draw.normal(170, 10, rows), "weight": draw.normal(70, 5, rows), "age": draw.integers(20, 60, rows),
        "label": np.where(draw.random(rows) < 0.5, "a", "b"),
    })  # fmt: skip


def written(table, folder, kind):
    """The table as a file of that kind."""
    file = folder / f"table.{kind}"
    if kind == "csv":
        table.to_csv(file, index=False)
    elif kind == "jsonl":
        table.to_json(file, orient="records", lines=True)
    elif kind == "parquet":
        table.to_parquet(file, index=False)
    return file


CONTAINERS = ("csv", "jsonl", "parquet", "frame")


def brought(table, folder, kind):
    return table if kind == "frame" else written(table, folder, kind)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    trained = nearfar.train(written(frame(), folder, "csv"), out=folder / "run", **KNOBS)
    return trained.path


# --- by name, never by position -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_permuted_table_gives_the_same_vectors(run, tmp_path, kind):
    model, table = nearfar.load(run), frame(10, seed=1)
    expected = model.encode(brought(table, tmp_path, kind))
    assert np.array_equal(model.encode(brought(table[["label", "age", "weight", "height"]], tmp_path, kind)), expected)
    assert not np.allclose(expected[0], expected[1])


def test_columns_that_are_extra_missing_or_renamed(run):
    model, table = nearfar.load(run), frame(10, seed=1)
    expected = model.encode(table)
    with pytest.warns(NearfarWarning, match="Left out: shoe, income; the model was not trained on them"):
        assert np.array_equal(model.encode(table.assign(shoe=1.0, income=2.0)), expected)
    with pytest.raises(DataError, match="no column 'weight', which the model was trained on.*'weights'"):
        model.encode(table.rename(columns={"weight": "weights"}))
    with pytest.raises(DataError, match="no column 'age'"):
        model.encode(table.drop(columns="age").assign(zip=1.0))
    with pytest.raises(DataError, match="no column 'height' and 2 more"):
        model.encode(pd.DataFrame(np.zeros((5, 3)), columns=["a", "b", "c"]))
    with pytest.raises(DataError, match="the column 'age' holds single words"):
        model.encode(table.assign(age="old"))
    assert np.isfinite(model.encode(table.assign(age=None))).all()  # nothing is known of it: the mean


def test_arrays_have_positions_only_and_it_is_said(run):
    model, table = nearfar.load(run), frame(10, seed=1)
    with pytest.warns(NearfarWarning, match="taken in the model's order: height, weight, age"):
        by_position = model.encode(table[["height", "weight", "age"]].to_numpy(float))
    assert np.array_equal(by_position, model.encode(table))
    trained = nearfar.train(table[["height", "weight", "age"]].to_numpy(float), **KNOBS | {"batch_size": 4})
    with pytest.warns(NearfarWarning, match="keeps no names of columns; these are taken in their order"):
        trained.encode(table.drop(columns="label"))


def test_every_door_matches_by_name(run, tmp_path):
    straight, turned = tmp_path / "straight.csv", tmp_path / "turned.csv"
    table = frame(40, seed=2)
    table["label"] = np.where(table.height > 170, "tall", "short")
    table.to_csv(straight, index=False)
    table[["label", "age", "weight", "height"]].to_csv(turned, index=False)
    model = nearfar.load(run)
    figures = [nearfar.evaluate(model, file, protocols=["knn"], with_floors=False).results[0]["knn"]["accuracy"]
               for file in (straight, turned)]  # fmt: skip
    assert figures[0] == figures[1]
    from nearfar.downstream.classify.classify import classify

    with pytest.warns(NearfarWarning, match="among the labelled ones"):
        made = classify(model, straight, new=turned, name="door")
    assert made.figures["accuracy"] == classify(model, new=straight, use="door").figures["accuracy"]


def test_a_run_on_named_columns_keeps_them_and_resumes(run):
    stored = json.loads((run / "config.json").read_text())
    assert stored["config"]["data"]["column"] == ["height", "weight", "age"]
    assert stored["columns"]["vector"]["spec"]["names"] == ["height", "weight", "age"]
    nearfar.train(resume=True, out=run)


def test_pairs_are_matched_by_name_even_where_one_is_renamed(tmp_path):
    texts = [f"the word number {i} of many" for i in range(40)]
    pairs = pd.DataFrame({"en": texts, "de": [t[::-1] for t in texts]})
    trained = nearfar.train(pairs, column=["en", "de"], share=False, epochs=1, batch_size=16, threads=1,
                            encoder_options={"en": {"dim": 8}, "de": {"dim": 8}})  # fmt: skip
    table = trained.model.read(pairs.rename(columns={"en": "english"}), data_column=["de", "english"])
    assert np.array_equal(table.column("de").hashes, trained.model.read(pairs).column("de").hashes)
    assert np.array_equal(table.column("en").hashes, trained.model.read(pairs).column("en").hashes)


def test_the_estimator_puts_columns_in_order():
    table = frame().drop(columns="label")
    made = nearfar.ContrastiveEmbedding(epochs=1, n_components=4, width=8, layers=1, batch_size=16).fit(table)
    expected = made.transform(table)
    assert np.array_equal(made.transform(table[["age", "height", "weight"]]), expected)
    with pytest.warns(NearfarWarning, match="Left out: shoe"):
        assert np.array_equal(made.transform(table.assign(shoe=0.0)), expected)
    with pytest.raises(ValueError, match="weight"):
        made.transform(table.rename(columns={"weight": "kg"}))


# --- numbers ------------------------------------------------------------------------------------------------------


def vectors(file, text, **options):
    file.write_text(text)
    return read(file, **options)


def raw(table):
    """The numbers as they were before they were standardised."""
    spec = table.first.spec
    return np.asarray(table.first.values) * spec["spread"] + spec["mean"]


def test_decimal_commas_and_thousands(tmp_path):
    rows = "\n".join(f"{i};0,{466 + i};1.{100 + i},5;{i % 7}" for i in range(30))
    table = vectors(tmp_path / "a.csv", f"n;x;y;z\n{rows}\n", column=["x", "y", "z"])
    assert np.allclose(raw(table)[3], [0.469, 1103.5, 3])
    english = "\n".join(f'"{i + 1},234.5",{i}' for i in range(30))
    assert np.allclose(raw(vectors(tmp_path / "b.csv", f"x,y\n{english}\n", column="x"))[2], [3234.5])


def test_commas_that_may_be_either_are_not_guessed(tmp_path):
    rows = "\n".join(f"{i}.5;{i + 1},234" for i in range(30))
    with pytest.warns(NearfarWarning, match=r"Left out: 'b' \(has commas that may be decimal points or separate"):
        table = vectors(tmp_path / "a.csv", f"a;b\n{rows}\n")
    assert table.first.spec["names"] == ["a"]
    with pytest.raises(DataError, match="b .has commas that may be"):
        read(tmp_path / "a.csv", column="b")


@pytest.mark.parametrize("mark", ["?", "NA", "n/a", "-", "NaN", "null"])
def test_a_mark_of_a_missing_number_keeps_the_column(tmp_path, mark):
    rows = [f"{50 + i % 9},{1000 + 7 * (i % 11)},{'ab'[i % 2]}" for i in range(40)]
    rows[7] = f"{mark},1000,a"
    with pytest.warns(NearfarWarning, match=rf"Missing: '{re.escape(mark)}' \(1\) in the column 'hp'"):
        table = vectors(tmp_path / "a.csv", "hp,weight,label\n" + "\n".join(rows))
    assert table.first.spec["names"] == ["hp", "weight"] and table.first.values[7, 0] == 0


def test_other_cells_leave_a_column_out_by_name_and_cell(tmp_path):
    rows = [f"{50 + i % 9},{1000 + 7 * (i % 11)},red,2020-01-0{1 + i % 9}" for i in range(40)]
    rows[7] = "about fifty,1000,red,2020-01-01"
    with pytest.warns(NearfarWarning) as said:
        table = vectors(tmp_path / "a.csv", "hp,weight,colour,day\n" + "\n".join(rows))
    assert table.first.spec["names"] == ["weight"]
    text = str(said[0].message)
    assert "'hp' (has a cell that is no number, 'about fifty')" in text
    assert "'colour' (single words)" in text and "'day' (" in text


@pytest.mark.parametrize("kind", CONTAINERS)
def test_truths_are_numbers(tmp_path, kind):
    table = pd.DataFrame({"x": np.linspace(0, 1, 30) ** 2, "on": [i % 2 == 0 for i in range(30)]})
    assert raw(read(brought(table, tmp_path, kind)))[:2, 1].tolist() == [1.0, 0.0]


def test_large_ids_are_whole_and_never_a_fault(tmp_path):
    start = 2**53 + 1
    rows = "\n".join(f"{start + i},{i % 7}.5,{start + i // 10}" for i in range(40))
    text = f"id,x,label\n{rows}\n"
    with pytest.warns(NearfarWarning, match=r"Left out: 'id' \(numbers the rows\)"):
        table = vectors(tmp_path / "a.csv", text)
    assert table.first.spec["names"] == ["x"]
    assert table.label_names == tuple(str(start + i) for i in range(4))
    parquet = pa.table({"id": pa.array([None, *range(start, start + 39)], pa.int64()), "x": np.arange(40) % 7 + 0.5,
                        "label": pa.array([None, *(start + i // 10 for i in range(39))], pa.int64())})  # fmt: skip
    pq.write_table(parquet, tmp_path / "a.parquet")
    with pytest.warns(NearfarWarning, match="'id'"):
        table = read(tmp_path / "a.parquet")
    assert table.label_names == tuple(str(start + i) for i in range(4)) and table.labels[0] == -1
    lines = [json.dumps({"id": start + i if i else None, "x": i % 7 + 0.5, "label": start + i // 10}) for i in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.warns(NearfarWarning, match="'id'"):
        assert len(read(tmp_path / "a.jsonl").label_names) == 4


# --- what is no feature -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "__index_level_0__", "id"])
def test_an_index_is_no_feature_unless_named(tmp_path, name):
    rows = "\n".join(f"{2 * i + 5},{i % 5}.25,{i % 3}.5" for i in range(30))
    with pytest.warns(NearfarWarning, match=r"\(numbers the rows\)"):
        table = vectors(tmp_path / "a.csv", f"{name},a,b\n{rows}\n")
    assert table.first.spec["names"] == ["a", "b"]
    assert read(tmp_path / "a.csv", column=[name, "a"]).first.spec["names"] == [name, "a"]


def test_a_column_of_that_name_which_repeats_is_a_measurement(tmp_path):
    rows = "\n".join(f"{i % 4},{i % 5}.25" for i in range(30))
    assert vectors(tmp_path / "a.csv", f"index,a\n{rows}\n").first.spec["names"] == ["index", "a"]


def test_the_index_that_pandas_writes_into_parquet(tmp_path):
    table = frame().set_index(np.arange(60) % 7)  # not distinct: only the metadata tell
    table.index.name = "patient"
    table.to_parquet(tmp_path / "a.parquet")
    with pytest.warns(NearfarWarning, match=r"'patient' \(is the index of the table\)"):
        assert read(tmp_path / "a.parquet").first.spec["names"] == ["height", "weight", "age"]
    with pytest.warns(NearfarWarning, match="'patient'"):  # and where only some rows are taken
        assert read(tmp_path / "a.parquet", limit=20).first.spec["names"] == ["height", "weight", "age"]
    texts = pd.DataFrame({"text": [f"many words are here {i}" for i in range(10)]},
                         index=pd.Index([f"a long name of row {i}" for i in range(10)], name="name"))  # fmt: skip
    texts.to_parquet(tmp_path / "b.parquet")
    assert list(read(tmp_path / "b.parquet").columns) == ["text"]


def test_a_mark_that_is_no_utf8_is_in_no_cell(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(20)))
    found = read(tmp_path / "rows.csv", missing=["\udcff\udcfe"])
    assert np.isfinite(found.first.values).all() and len(found) == 20


# --- missing is an empty cell -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONTAINERS)
def test_words_for_missing_are_classes_and_texts(tmp_path, kind):
    words = ["NA", "null", "nan", "None", "n/a"]
    table = pd.DataFrame({"text": [*words, None, *(f"some words {i}" for i in range(44))],
                          "label": [*("EU", "NA", "null") * 16, None, "EU"]}).astype(object)  # fmt: skip
    got = read(brought(table, tmp_path, kind), column="text")
    assert got.label_names == ("EU", "NA", "null") and (got.labels == -1).sum() == 1
    assert len(got) == 49 and [str(got.first.cells[i]) for i in range(5)] == words
    got = read(brought(table, tmp_path, kind), column="text", missing=["NA", "n/a"], max_bad=0.2)
    assert got.label_names == ("EU", "null") and len(got) == 47


def test_missing_numbers_by_a_word_of_the_users(tmp_path):
    rows = "\n".join(f"{-999 if i == 3 else i % 5},{i % 3}.5" for i in range(30))
    table = vectors(tmp_path / "a.csv", f"a,b\n{rows}\n", missing=["-999"])
    assert table.first.values[3, 0] == 0 and table.first.spec["mean"][0] < 5
    pq.write_table(pa.table({"a": [-999 if i == 3 else i % 5 for i in range(30)]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", missing=["-999"], max_bad=0.1).first.spec["mean"][0] < 5


@pytest.mark.parametrize("kind", CONTAINERS)
def test_labels_are_spelt_alike_in_every_container(tmp_path, kind):
    table = pd.DataFrame({"x": np.arange(20.0) ** 2, "label": [1, 2, 10, 1] * 5})
    assert read(brought(table, tmp_path, kind)).label_names == ("1", "2", "10")
    table["label"] = table.label.astype(float).where(table.x > 0)  # one is missing, so pandas writes 1.0
    assert read(brought(table, tmp_path, kind)).label_names == ("1", "2", "10")
    table["label"] = [True, False] * 10
    assert read(brought(table, tmp_path, kind)).label_names == ("False", "True")


def test_leading_zeros_and_spaces_of_labels(tmp_path):
    rows = "\n".join(f"{i ** 2},{label}" for i, label in enumerate(["007", "7", "07", " 7"] * 5))
    with pytest.warns(NearfarWarning, match="1 of the spellings in the column 'label' differ from others by spaces"):
        table = vectors(tmp_path / "a.csv", f"x,label\n{rows}\n")
    assert table.label_names == ("007", "07", "7")


def test_rows_without_a_split_are_said(tmp_path):
    rows = "\n".join(f"{i ** 2},{s}" for i, s in enumerate(["train", "test", "", "Train"] * 5))
    with pytest.warns(NearfarWarning, match="5 rows have no split in the column 'split'"):
        table = vectors(tmp_path / "a.csv", f"x,split\n{rows}\n")
    assert {s: len(r) for s, r in table.splits.items()} == {"train": 10, "test": 5}


def test_what_was_left_out_stands_in_the_run_and_in_the_json(tmp_path, capsys):
    from nearfar.cli import run

    frame().assign(id=range(60), colour="red").to_csv(tmp_path / "a.csv", index=False)
    knobs = [f"--set=model.encoder_options={json.dumps(KNOBS['encoder_options'])}", "--set=train.threads=1"]
    assert run(["train", str(tmp_path / "a.csv"), "--out", str(tmp_path / "r"), "--epochs=1", "--json", *knobs]) == 0
    printed = capsys.readouterr()
    (said,) = json.loads(printed.out)["warnings"]
    assert "'id' (numbers the rows)" in said and "'colour' (single words)" in said
    assert f"warning: {said}" in printed.err and said in json.loads((tmp_path / "r/config.json").read_text())["notes"]


# --- hashes -------------------------------------------------------------------------------------------------------


def test_rows_hash_as_ordered_tuples():
    texts = [f"sentence number {i} of the book" for i in range(30)]
    equal = read({"a": texts, "b": list(texts)}, column=["a", "b"])
    assert len(set(equal.hashes.tolist())) == 30
    there = read({"a": texts, "b": [*texts[1:], texts[0]]}, column=["a", "b"])
    back = read({"a": [*texts[1:], texts[0]], "b": texts}, column=["a", "b"])
    assert not np.isin(there.hashes, back.hashes).any()
    three = read({"a": texts, "b": texts, "c": texts}, column=["a", "b", "c"])
    assert len(set(three.hashes.tolist())) == 30
    with pytest.raises(UnknownName):
        read({"a": texts}, column=["a", "d"])


# --- what spreadsheets and other programs write -------------------------------------------------------------------


def test_names_with_spaces_around_and_a_line_that_says_the_separator(tmp_path):
    rows = "\n".join(f"{i}.5, {i % 3}, x{i % 2}" for i in range(30))
    table = vectors(tmp_path / "a.csv", f"a, b, label\n{rows}\n")
    assert table.first.spec["names"] == ["a", "b"] and table.label_names == ("x0", "x1")
    rows = "\n".join(f"{i},5;{i % 3}" for i in range(30))
    table = vectors(tmp_path / "b.csv", f"sep=;\na;b\n{rows}\n1;2;3\n")
    assert np.allclose(raw(table)[3], [3.5, 0], atol=1e-5) and [s.name for s in table.skipped] == ["b.csv:31"]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_infinite_numbers_are_missing_and_said(tmp_path, kind):
    table = pd.DataFrame({"a": [*np.linspace(0, 1, 29) ** 2, np.inf], "b": np.arange(30) % 3})
    if kind == "jsonl":
        lines = [json.dumps({"a": str(a), "b": b % 3}) for b, a in enumerate(table.a)]
        (tmp_path / "table.jsonl").write_text("\n".join(lines))
        source = tmp_path / "table.jsonl"
    else:
        source = brought(table, tmp_path, kind)
    with pytest.warns(NearfarWarning, match="Missing: .*'a'"):
        table = read(source)
    assert table.first.values[29, 0] == 0 and table.first.spec["mean"][0] < 1


def test_lists_of_numbers_go_by_their_usual_length(tmp_path):
    rows = [{"v": [1.0 * i, None, i % 3], "label": i % 2} for i in range(40)]
    rows[0]["v"] = [1.0]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = read(tmp_path / "a.jsonl")
    assert [s.name for s in table.skipped] == ["a.jsonl:1"] and table.first.spec["features"] == 3
