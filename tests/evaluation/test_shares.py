"""Shares of the labels."""

import numpy as np

from nearfar.evaluation import evaluate
from nearfar.evaluation.protocols import Features, shares
from nearfar.evaluation.protocols.few_labels import draws
from nearfar.training import train


def clouds(n, seed, classes=4):
    draw = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(7).normal(size=(classes, 16))
    y = draw.integers(0, classes, n)
    return Features((centres[y] + 2 * draw.normal(size=(n, 16))).astype("f4"), y, classes)


def test_shares_by_hand():
    train, test = clouds(1000, 0), clouds(200, 1)
    found = shares.measure(train, test)
    assert list(found) == ["1 %", "10 %"]
    one, ten = found["1 %"], found["10 %"]
    assert one["settings"]["labelled_rows"] == sum(max(1, round(0.01 * n)) for n in np.bincount(train.y))
    assert 0.5 < one["mean"] < ten["mean"] <= 1
    assert len(one["draws"]) == 5 and len(set(one["draws"])) > 1
    assert found == shares.measure(train, test)  # seeded
    assert found["1 %"] != shares.measure(train, test, seed=1)["1 %"]
    # the labels of rows that were not drawn play no part
    hidden = train.y.copy()
    seen = np.concatenate(draws(train.y, 4, 0.01, seed=0, number=5))
    x = train.x.copy()
    x[np.setdiff1d(np.arange(len(x)), seen)] = 1e6
    assert shares.measure(Features(x, hidden, 4), test)["1 %"]["draws"] == one["draws"]


def test_small_data_leave_shares_out():
    assert list(shares.measure(clouds(100, 0), clouds(50, 1))) == ["10 %"]
    assert shares.measure(clouds(40, 0), clouds(50, 1)) == {}


def test_asked_for_in_an_evaluation(digits, tiny):
    trained = train.train({"train": digits["train"]}, **tiny | {"epochs": 1})
    found = evaluate.evaluate(trained.model, digits, protocols=["shares", "linear_probe"], floors=False)
    assert "10 % of the labels" in found.table()
