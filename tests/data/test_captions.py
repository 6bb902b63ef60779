"""Several captions of one picture: as rows or as lists, in training, held-out rows and retrieval; and hostile pairs."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from nearfar import cli
from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, DataError, UserError
from nearfar.data import splits
from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.training import train
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer
from tests.helpers.colours import COLOURS, QUICK, pictures

PAIR = ("image", "caption")


def captions_of(colour, n, count):
    return [f"a {COLOURS[colour]} thing {n} seen {k} times" for k in range(count)]


@pytest.fixture(scope="module")
def listed():
    """64 pictures with one to four captions each."""
    x, colour, _ = pictures(64)
    return {"image": x, "caption": [captions_of(c, n, 1 + n % 4) for n, c in enumerate(colour)]}


@pytest.fixture(scope="module")
def rows(listed):
    """The same as rows."""
    owner = [i for i, texts in enumerate(listed["caption"]) for _ in texts]
    return {"image": listed["image"][owner], "caption": [t for texts in listed["caption"] for t in texts]}


# reading


def same(a, b):
    assert len(a) == len(b)
    np.testing.assert_array_equal(a.hashes, b.hashes)
    for name in a.columns:
        np.testing.assert_array_equal(np.asarray(a.columns[name].values[:]), np.asarray(b.columns[name].values[:]))
        np.testing.assert_array_equal(a.columns[name].hashes, b.columns[name].hashes)
    for name in a.splits:
        np.testing.assert_array_equal(a.splits[name], b.splits[name])


def test_a_list_of_texts_is_as_many_rows(listed, rows):
    table = read(listed, column=PAIR)
    same(table, read(rows, column=PAIR))
    assert any("holds 2.5 a row" in n and "160 in all from 64" in n for n in table.source["notes"])
    assert len(table.columns["image"].values.array) == 64  # each picture is there once
    assert table.names[1].endswith("(1)")
    assert table.names[2].endswith("(2)")
    assert table.columns["caption"].shown(2) == listed["caption"][1][1]


@pytest.mark.parametrize("stream", [False, True])
def test_json_lines_with_paths_splits_labels_and_a_picture_without_captions(tmp_path, stream):
    x, colour, _ = pictures(9)
    lists, flat = [], []
    for i in range(9):
        Image.fromarray(x[i]).save(tmp_path / f"{i}.png")
        texts = captions_of(colour[i], i, 3) if i != 4 else []
        one = {"image": f"{i}.png", "split": "train" if i < 6 else "test", "label": COLOURS[colour[i]]}
        lists.append(one | {"caption": texts})
        flat += [one | {"caption": t} for t in texts]
    for name, lines in (("lists", lists), ("flat", flat)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    a, b = (
        read(tmp_path / f"{n}.jsonl", column=PAIR, stream=stream, workers=0, max_bad=0.2) for n in ("lists", "flat")
    )
    same(a, b)
    assert a.label_names == b.label_names
    np.testing.assert_array_equal(a.labels, b.labels)
    assert [(s.name, s.reason) for s in a.skipped] == [("lists.jsonl:5 (1)", "is empty")]


def test_lists_that_say_too_little_or_are_not_meant_are_told(listed):
    both = listed | {"german": listed["caption"]}
    with pytest.raises(DataError, match="both hold lists"):
        read(both, column=("caption", "german"))
    model = train.train(listed, column=PAIR, **QUICK | {"epochs": 0}).model
    with pytest.raises(DataError, match="hold lists of texts"):
        model.encode(listed["caption"], column="caption")


# training


def test_training_on_lists_is_training_on_rows(listed, rows):
    a, b = (train.train(data, column=PAIR, **QUICK | {"epochs": 1}) for data in (listed, rows))
    assert [m["loss"] for m in a.metrics] == [m["loss"] for m in b.metrics]


def plan_of(data, **knobs):
    config = Config()
    for key, value in {"column": list(data), "method": "clip", **QUICK, **knobs}.items():
        config = config.set(key, value)
    return prepare(config, data, console=QUIET)


@pytest.mark.parametrize("method", ["clip", "siglip"])
def test_neither_a_picture_nor_a_caption_is_its_own_negative(method):
    x, _, captions = pictures(40)
    x[1], x[2], captions[3], captions[4] = x[0], x[0], captions[0], captions[5]  # 1, 2, 3 are linked by way of row 0
    data = {"image": x, "caption": captions}
    plan = plan_of(data, method=method)
    assert any("of 'image' 3 rows in 1 groups" in n and "of 'caption' 4 rows in 2 groups" in n for n in plan.notes)
    trainer, chosen = Trainer(plan, None, QUIET), np.arange(12)
    batch = trainer.viewer.batch(chosen, 0, 0)
    loss, _, e = trainer.learner(batch)
    u, v = (torch.nn.functional.normalize(z.detach().double(), dim=1) for z in e.sides)
    cosine = (u @ v.T).tolist()

    def counts(i, j):
        return i == j or not ((x[i] == x[j]).all() or captions[i] == captions[j])

    assert counts(1, 3)  # both are linked to row 0, but have neither in common
    if method == "clip":
        tau, terms = float(e.parts["temperature"]().detach()), []
        for i in chosen:
            for line in (
                [cosine[i][j] for j in chosen if counts(i, j)],
                [cosine[j][i] for j in chosen if counts(i, j)],
            ):
                terms.append(math.log(sum(math.exp(c / tau) for c in line)) - cosine[i][i] / tau)
        expected = sum(terms) / len(terms)
    else:
        scale, bias = (float(e.parts[p]().detach()) for p in ("scale", "bias"))
        expected = 0.0
        for i in chosen:
            for j in chosen:
                if counts(i, j):
                    expected += math.log1p(math.exp(-(1 if i == j else -1) * (scale * cosine[i][j] + bias))) / 12
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_picture_is_set_aside_with_all_its_captions(listed):
    table = read(listed, column=PAIR)
    picture = table.columns["image"].hashes
    found = splits.plan(table, holdout=0.2)
    assert 10 < len(found.heldout) < 70
    assert not set(picture[found.train]) & set(picture[found.heldout])
    measured = splits.evaluation_plan(table)
    assert 20 <= len(measured.test) <= 32
    assert not set(picture[measured.train]) & set(picture[measured.test])


def test_rows_that_share_nothing_are_set_aside_by_their_own_content():
    x, _, captions = pictures(100)
    table = read({"image": x, "caption": captions}, column=PAIR)
    aside = splits.plan(table, holdout=0.1).heldout
    expected = (table.hashes >> np.uint64(32)).astype(float) / 2**32 >= 0.9
    np.testing.assert_array_equal(aside, np.flatnonzero(expected))


# retrieval


def test_any_caption_of_a_picture_is_right_both_ways(listed, rows):
    model = train.train(listed, column=PAIR, **QUICK | {"epochs": 3}).model
    new = {"train": listed, "test": listed}
    found = evaluate.evaluate(model, new, column=PAIR, floors=False).results[0]["retrieval"]
    u, v = model.encode(listed["image"], column="image"), model.encode(rows["caption"], column="caption")
    owner = np.asarray([i for i, texts in enumerate(listed["caption"]) for _ in texts])
    cosine = u @ v.T
    best = [1 + min((cosine[i] > cosine[i, j]).sum() for j in np.flatnonzero(owner == i)) for i in range(len(u))]
    ranks = [1 + (cosine[:, j] > cosine[owner[j], j]).sum() for j in range(len(v))]
    for way, rank in (("image->caption", best), ("caption->image", ranks)):
        assert found[way]["settings"]["queries"] == len(rank)
        for k in (1, 5, 10):
            assert found[way]["recall"][str(k)] == pytest.approx(np.mean(np.asarray(rank) <= k), abs=0.02)


# hostile


@pytest.mark.parametrize(
    ("change", "column", "said"),
    [
        ({"caption": ["the same for all"] * 64}, PAIR, "all 64 training rows have the same 'caption'"),
        ({"image": np.zeros((64, 16, 16, 3), np.uint8)}, PAIR, "have the same 'image'"),
        ({"caption": [""] * 64}, PAIR, "'caption' holds nothing that can be embedded"),
        ({"caption": [None] * 64}, PAIR, "'caption' holds nothing that can be embedded"),
        ({"caption": [[]] * 64}, PAIR, "there are no numbers to learn from"),
        ({"caption": ["a few words"] * 40 + [None] * 24}, PAIR, "24 of 64 rows cannot be read"),
        ({"caption": ["too few"] * 9}, PAIR, "different lengths"),
        ({}, ("image", "image"), "named twice"),
        ({}, ("image", "captoin"), "captoin"),
    ],
)
def test_pairs_that_make_no_sense_are_told_in_a_sentence(change, column, said):
    x, _, captions = pictures(64)
    with pytest.raises(UserError, match=said):
        train.train({"image": x, "caption": captions} | change, column=column, epochs=1, **QUICK)


def test_two_lists_of_texts_of_different_length():
    with pytest.raises(DataError, match=r"different lengths: en \(40,\), de \(39,\)"):
        train.train({"en": ["a b"] * 40, "de": ["c d"] * 39}, column=("en", "de"))


def test_mostly_equal_captions_are_said():
    x, _, captions = pictures(64)
    plan = plan_of({"image": x, "caption": ["the usual picture"] * 56 + captions[:8]})
    assert any("of the pairs of rows differ in 'caption'" in n for n in plan.notes)


def test_a_few_empty_captions_are_left_out():
    x, _, captions = pictures(64)
    captions[3] = captions[9] = None
    trained = train.train({"image": x, "caption": captions}, column=PAIR, epochs=1, **QUICK)
    assert len(trained.plan.table) == 62
    assert trained.metrics


def test_a_column_paired_with_itself(capfd, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n" + "\n".join(f"word {i},wort {i}" for i in range(20)))
    assert cli.run(["train", str(tmp_path / "x.csv"), "--pair", "a", "a", "--dry-run"]) == 2
    assert "paired with itself" in capfd.readouterr().err
    assert cli.run(["train", str(tmp_path / "x.csv"), "--pair", "a", "--epochs", "1"]) == 2
    assert "--pair: 'a' is one column" in capfd.readouterr().err
    with pytest.raises(ConfigError):
        from nearfar.core.options import columns_of

        columns_of((("a", "b"), ("c", "d", "c")))
