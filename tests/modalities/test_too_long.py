"""Texts of which a model reads the beginning only are counted and said, through every door, also out of the cache."""

import json
import warnings

import numpy as np
import pytest

import nearfar
from nearfar import cli
from nearfar.core.errors import NearfarWarning
from nearfar.core.registry import TOKENISERS
from nearfar.data.read import read
from nearfar.modalities.text import text
from nearfar.training import train

LENGTH = 12
KNOBS = {"epochs": 1, "batch_size": 16, "holdout": 0.0, "threads": 1, "tokens": "word_pairs", "length": LENGTH,
         "encoder_options": {"dim": 8}}  # fmt: skip


def rows(short, long):
    """Texts of six words, which are twelve tokens of `word_pairs`, and of seven, each different."""
    return [f"a b c d e s{i}" for i in range(short)] + [f"a b c d e f l{i}" for i in range(long)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    out = tmp_path_factory.mktemp("long") / "run"
    return train.train(rows(40, 0), out=out, **KNOBS).model


def said(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in found if issubclass(w.category, NearfarWarning)]


# --- the count --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hashed", "word_pairs", "bpe:300", "unigram:60"])
def test_lengths_are_those_of_the_whole_texts(kind):
    texts = ["abc " * n for n in range(1, 9)]
    spec = text.plan(texts, {"tokens": kind, "length": 8})
    values, _ = text.decode_many(texts, spec)
    whole = (TOKENISERS.get(spec["tokeniser"]["kind"]).tokenise(texts, spec["tokeniser"], 1000) != 0).sum(1)
    np.testing.assert_array_equal(text.lengths(texts, values, spec), np.minimum(whole, 9))
    far = [f"a{' ' * 900}a", "x" * 900, f"a{' ' * 900}"]  # no tokeniser looks at so many characters
    values, _ = text.decode_many(far, spec)
    cut = text.lengths(far, values, spec) > 8
    assert cut.tolist() == [True, True, kind == "bpe:300"]  # to which blanks are tokens


def test_bytes_and_bad_cells_are_counted_right():
    spec = text.plan(["a"], {"tokens": "word_pairs", "length": 4})
    cells = [b"a b c", "a b", None, b"\xff" * 200, 3.25]
    values, bad = text.decode_many(cells, spec)
    assert set(bad) == {2, 3}
    np.testing.assert_array_equal(text.lengths(cells, values, spec), [5, 4, 0, 0, 5])  # 3, a point and 25


# --- reading ----------------------------------------------------------------------------------------------------------


def test_reading_counts_also_out_of_the_cache_and_while_streaming(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("text,n\n" + "\n".join(f"{t},1" for t in rows(30, 12)) + "\n,1\n")
    options = {"column": "text", "tokens": "word_pairs", "length": LENGTH}
    wanted = f"12 of 42 texts of 'text' are longer than {LENGTH} tokens; the rest of each is not read."
    for _ in range(2):
        assert wanted in read(file, **options).source["notes"]
    assert wanted in read(file, stream=True, workers=0, **options).source["notes"]
    for _ in range(2):  # what is kept of streamed rows, then
        assert wanted in read(file, stream=True, workers=0, **options | {"length": LENGTH}).source["notes"]
    assert not any("longer" in n for n in read(file, **options | {"length": 14}).source["notes"])


def test_several_texts_a_cell_are_counted_one_by_one():
    table = read({"text": [["a b c", "a"], ["b"], ["a b c d", "b", "c"]]}, tokens="word_pairs", length=4)
    assert "2 of 6 texts of 'text' are longer than 4 tokens; the rest of each is not read." in table.source["notes"]


def test_training_says_it_as_a_note(tmp_path):
    plan = train.plan(nearfar.Config().set("tokens", "word_pairs").set("length", LENGTH), source=rows(20, 1))
    assert any("1 of 21 texts of 'text' is longer than 12 tokens" in note for note in plan.notes)


# --- doors ------------------------------------------------------------------------------------------------------------


def test_python_warns(model):
    wanted = [f"3 of 4 texts of 'text' are longer than {LENGTH} tokens; the rest of each is not read."]
    assert said(lambda: model.encode(rows(1, 3))) == wanted
    assert said(lambda: nearfar.load(model.path).encode(rows(1, 3))) == wanted
    assert said(lambda: model.encode(rows(4, 0))) == []
    assert said(lambda: nearfar.classify(model, (rows(4, 0), [0, 0, 1, 1]), rows(1, 3))) == wanted
    assert said(lambda: model.encode(rows(0, 1))) == [
        f"1 of 1 texts of 'text' is longer than {LENGTH} tokens; the rest of it is not read."
    ]


@pytest.mark.parametrize("verb", ["embed", "search", "classify", "eval", "align"])
def test_commands_say_it_even_when_quiet(verb, model, tmp_path, capfd):
    run, table = str(model.path), str(tmp_path / "a.csv")
    with open(table, "w", encoding="utf-8") as f:
        f.write("text,label\n" + "\n".join(f"{t},{i % 2}" for i, t in enumerate(rows(30, 12))))
    (tmp_path / "a.txt").write_text("\n".join(rows(30, 12)), encoding="utf-8")
    args = {
        "embed": [run, table, "--out", str(tmp_path / "z.npy")],
        "search": [run, rows(0, 1)[0], "--in", table],
        "classify": [run, table, table, "--out", str(tmp_path / "p.csv")],
        "eval": [run, "--on", table, "--no-floors"],
        "align": [str(tmp_path / "a.txt"), str(tmp_path / "a.txt"), "--run", run],
    }[verb]
    assert cli.run([verb, *args, "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert f"warning: 12 of 42 texts of 'text' are longer than {LENGTH} tokens; the rest of each is not read." in err
    if verb == "search":
        assert f"warning: 1 of 1 texts of 'text' is longer than {LENGTH} tokens; the rest of it is not read." in err


def test_each_column_is_counted(tmp_path, capfd):
    pairs = {"en": rows(30, 10), "de": rows(40, 0)}
    train.train(pairs, out=tmp_path / "run", column=("en", "de"), **KNOBS)
    file = tmp_path / "pairs.jsonl"
    lines = [{"en": a, "de": b} for a, b in zip(rows(38, 2), rows(37, 3), strict=True)]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert cli.run(["eval", str(tmp_path / "run"), "--on", str(file), "--no-floors", "--quiet"]) == 0
    err = capfd.readouterr().err
    assert f"2 of 40 texts of 'en' are longer than {LENGTH} tokens" in err
    assert f"3 of 40 texts of 'de' are longer than {LENGTH} tokens" in err


def test_a_pretrained_model_that_takes_less_than_is_kept(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the library transformers is not installed")
    from tests.encoders.test_transformers import config_of, tokenizer_of

    transformers.AutoModel.from_config(config_of("bert")).save_pretrained(tmp_path / "bert")
    tokenizer_of("bert").save_pretrained(tmp_path / "bert")
    texts = [" ".join(["cat"] * n) for n in range(10, 50)]  # 40 positions, of which two are the frame's: 38 words fit
    wanted = "11 of 40 texts of 'text' are longer than 38 tokens; the rest of each is not read."
    knobs = {"encoder": f"transformers:{tmp_path / 'bert'}", "length": 60, "threads": 1, "holdout": 0.0}
    made = []
    assert wanted in said(lambda: made.append(train.train(texts, epochs=1, batch_size=20, **knobs)))
    assert said(lambda: made[0].model.encode(texts)) == [wanted]
    assert said(lambda: made[0].model.encode(texts[:29])) == []
