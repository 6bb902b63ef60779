"""Which label of a pair says yes: told by its name, asked for where it does not tell, never decided by order."""

import json

import numpy as np
import pytest

import nearfar
from nearfar.core.errors import ConfigError, DataError, NearfarWarning, UnknownName
from nearfar.data.opposites import judges, positive
from nearfar.data.read import read
from nearfar.evaluation.protocols import pair_classification, retrieval
from tests.helpers.pairs import related, sides_of

OPPOSITES = [
    ("0", "1"), ("-1", "1"), ("0.0", "1.0"), ("No", "yes"), ("n", "Y"), ("False", "true"), ("F", "T"),
    ("negative", "positive"), ("neg", "pos"), ("nomatch", "match"), ("no match", "Match"), ("non-match", "match"),
    ("not_entailment", "entailment"), ("Not Equivalent", "equivalent"), ("not_A", "A"), ("unrelated", "related"),
    ("mismatch", "match"), ("dissimilar", "similar"), ("different", "same"), ("incorrect", "correct"),
    ("not a duplicate", "duplicate"), ("is_not_duplicate", "is_duplicate"), ("nein", "ja"), ("nicht_gleich", "gleich"),
]  # fmt: skip


@pytest.mark.parametrize(("no", "yes"), OPPOSITES)
def test_known_opposites(no, yes):
    assert positive([no, yes]) == 1
    assert positive([yes, no]) == 0


@pytest.mark.parametrize(
    "names", [("a", "b"), ("1", "2"), ("0", "2"), ("cat", "dog"), ("until", "til"), ("side", "inside"), ("no", "none")]
)
def test_what_is_no_pair_of_opposites(names):
    assert positive(names) is None
    assert positive([*names, "maybe"]) is None


def test_what_judges_a_pair_and_what_shows_a_row():
    assert judges(["nomatch", "match"], alike=False)
    assert judges(["0", "1"], alike=True)
    assert not judges(["0", "1"], alike=False)  # a picture and its report, of a class
    assert not judges(["negative", "positive"], alike=True)
    assert not judges(["good", "evil"], alike=True)


# 60 pairs of texts that are equal exactly where they match, so any model has an average precision of 1.
def judged(no, yes, n=60):
    draw = np.random.default_rng(0)
    words = np.array([f"{a}{b}" for a in ("red", "blue", "old", "new", "wet") for b in ("cat", "dog", "hen", "cow")])
    rows = [" ".join(draw.choice(words, 6)) for _ in range(n)]
    match = draw.random(n) < 0.4
    other = [r if m else " ".join(draw.choice(words, 6)) for r, m in zip(rows, match, strict=True)]
    return {"first": rows, "second": other, "label": [yes if m else no for m in match]}, match


@pytest.fixture(scope="module")
def model():
    data, _ = judged("no", "same thing")
    knobs = {"column": ("first", "second"), "method": "clip", "encoder": "static", "epochs": 1, "batch_size": 16}
    return nearfar.train(data, holdout=0.0, precision="fp32", threads=1, **knobs).model


def figures(model, data, **options):
    options = {"protocols": ["pair_classification"], "floors": False} | options
    return nearfar.evaluate(model, {"test": data, "train": data}, column=("first", "second"), **options)


@pytest.mark.parametrize(("no", "yes"), [("nomatch", "match"), ("0", "1"), ("unrelated", "related"), ("False", "True")])
def test_average_precision_is_that_of_the_positive_label(model, no, yes):
    data, match = judged(no, yes)
    evaluation = figures(model, data)
    found = evaluation.results[0]["pair_classification"]
    assert found["average_precision"] == 1
    assert found["positive"] == yes
    assert found["chance"] == pytest.approx(match.mean())
    assert f"(positive: {yes})" in evaluation.table()
    assert json.loads(json.dumps(evaluation.as_dict()))["results"][0]["pair_classification"]["positive"] == yes


def test_a_label_that_is_not_known_is_asked_for(model):
    data, _ = judged("alpha", "beta")
    with pytest.raises(DataError, match=r"which of the labels 'alpha', 'beta'.*--positive"):
        figures(model, data)
    assert figures(model, data, positive="beta").results[0]["pair_classification"]["average_precision"] == 1
    assert figures(model, data, positive="BETA").results[0]["pair_classification"]["average_precision"] == 1
    turned = figures(model, data, positive="alpha").results[0]["pair_classification"]
    assert turned["average_precision"] < 0.7
    assert turned["positive"] == "alpha"
    with pytest.raises(UnknownName, match="beta"):
        figures(model, data, positive="betta")


def test_one_label_of_several_against_the_others(model):
    data, _ = judged("other", "entailment")
    data["label"] = [
        v if v == "entailment" else ("neutral", "contradiction")[i % 2] for i, v in enumerate(data["label"])
    ]
    with pytest.raises(DataError, match="--positive"):
        figures(model, data)
    found = figures(model, data, positive="entailment").results[0]["pair_classification"]
    assert found["average_precision"] == 1


def test_pairs_without_a_label_are_left_out(model):
    data, match = judged("no", "yes")
    blank = np.arange(60) % 3 == 0
    data["label"] = ["" if b else v for b, v in zip(blank, data["label"], strict=True)]
    found = figures(model, data).results[0]["pair_classification"]
    assert found["settings"]["pairs"] == 40
    assert found["chance"] == pytest.approx(match[~blank].mean())
    some = related(label=np.where(np.arange(40) < 10, -1, np.arange(40) % 2))
    assert pair_classification.measure(some)["settings"]["pairs"] == 30


def test_retrieval_takes_the_pairs_that_belong_together(model):
    data, match = judged("mismatch", "match")
    alone = figures(model, data, protocols=["retrieval"])
    beside = figures(model, data, protocols=["retrieval", "pair_classification"])
    assert alone.results[0]["retrieval"] == beside.results[0]["retrieval"]
    assert alone.results[0]["retrieval"]["first->second"]["settings"]["right answers"] == match.sum()
    assert alone.results[0]["retrieval"]["first->second"]["recall"]["1"] == 1
    assert any("'match'" in w for w in alone.warnings)
    unlabelled = sides_of(np.eye(4), np.eye(4), label=np.array([1, -1, 0, 1]))
    assert retrieval.measure(unlabelled)["left_to_right"]["settings"]["queries"] == 2


def test_pairs_that_do_not_belong_together_are_not_trained_on():
    data, match = judged("nomatch", "match")
    knobs = {"column": ("first", "second"), "method": "clip", "encoder": "static", "epochs": 1, "batch_size": 8}
    with pytest.warns(NearfarWarning, match=f"{(~match).sum()} rows with the label 'nomatch' are not trained on"):
        trained = nearfar.train(data, holdout=0.0, precision="fp32", threads=1, **knobs)
    assert trained.plan.train.tolist() == np.flatnonzero(match).tolist()
    data["label"] = ["nomatch"] * 59 + ["match"]
    data = {"train": {k: v[:59] for k, v in data.items()}, "test": {k: v[59:] for k, v in data.items()}}
    with pytest.raises(DataError, match="no training row has the label 'match'"):
        nearfar.train(data, holdout=0.0, precision="fp32", threads=1, **knobs)


def test_a_positive_label_without_pairs_is_refused(digits):
    model = nearfar.train(digits, epochs=1, encoder_options={"widths": [8, 16]}, threads=1).model
    with pytest.raises(ConfigError, match="one column"):
        nearfar.evaluate(model, digits, positive="1")


def test_names_of_classes_that_the_data_number_themselves():
    """GLUE's RTE numbers entailment 0 and not_entailment 1."""
    data, _ = judged("not_entailment", "entailment")
    table = read(data, column=("first", "second"))
    assert table.label_names[positive(table.label_names)] == "entailment"
    assert positive(["entailment", "not_entailment"]) == 0
