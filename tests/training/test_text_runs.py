"""Texts and pairs end to end: trained, resumed, reloaded, measured; columns that share an encoder."""

import json

import numpy as np
import pytest

from nearfar.core.config import Config
from nearfar.core.errors import ConfigError, DataError, NearfarWarning, UserError
from nearfar.evaluation import evaluate
from nearfar.models import loading
from nearfar.training import train

ANIMALS = ["cat", "dog", "horse", "bird", "fish", "mouse", "lion", "wolf"]
TIERE = ["katze", "hund", "pferd", "vogel", "fisch", "maus", "loewe", "wolf"]
VERBS, VERBEN = ["runs", "sleeps", "eats", "hides"], ["rennt", "schlaeft", "frisst", "versteckt"]
PLACES, ORTE = ["house", "garden", "river", "forest", "street"], ["haus", "garten", "fluss", "wald", "strasse"]
QUICK = {"batch_size": 32, "holdout": 0.0, "monitor_rows": 0, "threads": 1, "encoder_options": {"dim": 32}}


def sentences(count=160, seed=0):
    """A small language and its translation, word by word in another order; and who it is about."""
    draw = np.random.default_rng(seed)
    who, does, where = draw.integers(0, 8, count), draw.integers(0, 4, count), draw.integers(0, 5, count)
    number = draw.integers(0, 1000, count)
    en = [f"the {ANIMALS[a]} {VERBS[b]} in the {PLACES[c]} {n}" for a, b, c, n in zip(who, does, where, number)]
    de = [f"im {ORTE[c]} {VERBEN[b]} {n} {TIERE[a]}" for a, b, c, n in zip(who, does, where, number)]
    return en, de, who


@pytest.fixture(scope="module")
def pairs():
    en, de, _ = sentences()
    return {"en": en, "de": de}


@pytest.fixture(scope="module")
def translations(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "pairs"
    return train.train(pairs, column=("en", "de"), epochs=60, out=out, **QUICK)


def test_translations_find_each_other(translations):
    en, de, _ = sentences(60, seed=1)
    found = evaluate.evaluate(translations.model, {"en": en, "de": de}, column=("en", "de"))
    r = found.results[0]
    chance = r["retrieval"]["en->de"]["chance"]["1"]
    assert r["retrieval"]["en->de"]["recall"]["1"] > max(0.5, 10 * chance)
    assert (
        r["retrieval"]["en->de"]["recall"]["1"] > r["floors"]["untrained_encoder"]["retrieval"]["en->de"]["recall"]["1"]
    )
    assert "R@1 en->de" in found.table() and "nearest by margin" in found.table()
    assert json.dumps(found.as_dict())


def test_one_encoder_for_two_columns(translations, pairs):
    model = translations.model
    assert list(model.branches) == ["en"] and model.branches["de"] is model.branches["en"]
    assert translations.plan.config.method["projector"]["out"] == 0
    again = loading.load(translations.path)
    np.testing.assert_array_equal(again.encode(pairs["de"], column="de"), model.encode(pairs["de"], column="de"))
    np.testing.assert_array_equal(again.encode(pairs["de"]), again.encode(pairs["de"], column="de"))


@pytest.mark.parametrize("method", ["clip", "siglip"])
def test_encoders_of_their_own_meet_in_one_space(pairs, method, tmp_path):
    trained = train.train(
        pairs, column=("en", "de"), method=method, share=False, epochs=2, out=tmp_path / "run", **QUICK
    )
    assert list(trained.model.branches) == ["en", "de"]
    model = loading.load(tmp_path / "run")
    assert model.encode(["the cat"], column="en").shape == (1, 256)
    np.testing.assert_array_equal(
        model.encode(pairs["en"], column="en"), trained.model.encode(pairs["en"], column="en")
    )
    with pytest.raises(ConfigError, match="columns en, de"):
        model.encode(["the cat"])


def test_texts_beat_the_untrained_bag_with_few_labels():
    en, _, who = sentences(400)
    labels = who % 2  # which half of the animals
    table = {"train": (en[:300], labels[:300]), "test": (en[300:], labels[300:])}
    trained = train.train(en[:300], epochs=20, **QUICK)
    assert trained.plan.config.model.method == "simcse"
    found = evaluate.evaluate(trained.model, table, protocols=["shots", "knn"]).results[0]
    assert found["shots"]["8"]["mean"] > 0.5


def test_scores_order_the_pairs(tmp_path):
    en, _, who = sentences(200)
    other = np.random.default_rng(3).permutation(200)
    data = {"a": en, "b": [en[i] for i in other], "score": (who == who[other]).astype(float)}
    trained = train.train(data, column=("a", "b"), score="score", epochs=25, **QUICK)
    assert trained.plan.config.model.method == "cosent"
    with pytest.warns(NearfarWarning, match="was trained on 200 of the 200 rows that are scored"):
        found = evaluate.evaluate(trained.model, data, column=("a", "b"), score="score").results[0]
    assert found["sts"]["settings"]["pairs"] == 200
    assert found["sts"]["spearman"] > found["floors"]["untrained_encoder"]["sts"]["spearman"] + 0.2


def test_a_loss_that_reads_signs_says_what_it_takes_scores_for():
    en, _, _ = sentences(80)
    data = {"a": en, "b": en[::-1]}
    given = {"column": ("a", "b"), "score": "s", "method": "cosent", "objective": "cosine_embedding", "epochs": 1}
    with pytest.raises(DataError, match="all of the 80 scores are above 0. Give the pairs that do not belong"):
        train.train(data | {"s": np.arange(80) % 5 + 1.0}, **given, **QUICK)
    with pytest.warns(NearfarWarning, match="above 0 as belonging together, and the others as not: 64 of 80 do"):
        train.train(data | {"s": np.arange(80) % 5 + 0.0}, **given, **QUICK)
    train.train(data | {"s": np.arange(80) % 2 * 2.0 - 1}, **given, **QUICK)  # two values say just that


def test_pictures_and_captions(tmp_path):
    draw = np.random.default_rng(0)
    colour = draw.integers(0, 3, 96)
    x = np.zeros((96, 16, 16, 3), np.uint8) + draw.integers(0, 60, (96, 16, 16, 3), dtype=np.uint8)
    x[np.arange(96), :, :, colour] += 180
    captions = [f"a {['red', 'green', 'blue'][c]} picture number {n}" for n, c in enumerate(colour)]
    given = QUICK | {"encoder_options": {"image": {"widths": [16, 32, 32, 32]}, "caption": {"dim": 64}}}
    trained = train.train(
        {"image": x, "caption": captions}, column=("image", "caption"), epochs=10, out=tmp_path / "r", **given
    )
    assert trained.plan.config.model.encoder == "image=small_cnn,caption=static"
    model = loading.load(tmp_path / "r")
    z = model.encode(x[:20], column="image") @ model.encode(["a red", "a green", "a blue"], column="caption").T
    assert (z.argmax(1) == colour[:20]).mean() > 0.8


@pytest.mark.parametrize(
    ("data", "given", "what"),
    [
        ({"text": ["a b", "c d"] * 20}, {"method": "clip"}, "compares the columns"),
        ({"en": ["a b"] * 40, "de": ["c d"] * 40}, {"method": "simcse", "column": ("en", "de")}, "one column of text"),
        ({"en": ["a b"] * 40, "de": ["c d"] * 40}, {"method": "cosent", "column": ("en", "de")}, "scores"),
        ({"en": ["a b", "c d"] * 20}, {"column": ("en", "dee")}, "dee"),
        ({"text": ["a b", "c d"] * 20}, {"encoder": "pooled_cnn"}, "does not take text"),
        ({"text": ["a b", "c d"] * 20}, {"recipe": "simclr"}, "not for words"),
        ({"text": ["a b", "c d"] * 20}, {"tokens": "hashd"}, "hashed"),
    ],
)
def test_requests_that_make_no_sense(data, given, what):
    with pytest.raises(UserError, match=what):
        train.train(data, epochs=1, **(QUICK | given))


def test_two_texts_in_a_table_are_asked_about():
    with pytest.raises(DataError, match="can both be embedded"):
        train.plan(Config(), source={"a": ["one two", "three four"] * 20, "b": ["five six", "seven eight"] * 20})


def test_a_default_that_a_user_changes():
    trained = train.train({"text": sentences(64)[0]}, epochs=1, temperature=0.2, **QUICK)
    assert trained.plan.record.temperature == 0.2
    with pytest.raises(UserError, match="temperatur"):
        train.train({"text": sentences(64)[0]}, epochs=1, temperatur=0.2, **QUICK)
