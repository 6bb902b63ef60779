"""Labels that bring no rows together, or few, are said before anything is learnt from them."""

import numpy as np
import pandas as pd
import pytest

from nearfar.core.errors import DataError, NearfarWarning
from nearfar.evaluation import evaluate
from nearfar.training import train

ROWS = 40
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
SMALL = {"epochs": 1, "batch_size": 16, "threads": 1, "precision": "fp32", "holdout": 0.0, "device": "cpu"}
WAYS = ({"method": "supcon"}, {"method": "supervised"}, {"method": "simclr", "positives": "labels"})


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(
    ("labels", "said"),
    (
        (["a"] * ROWS, "all 40 rows to train on have the label 'a'|all labelled rows are of one class"),
        ([f"word{i}" for i in range(ROWS)], "no two of the 40 rows to train on have the same label"),
        (list(range(ROWS)), "no two of the 40 rows to train on have the same label"),
        ([None] * ROWS, "the data have none"),
    ),
    ids=("one", "distinct", "distinct numbers", "none"),
)
def test_nothing_can_be_learnt_from(way, labels, said):
    with pytest.raises(DataError, match=said):
        train.rehearse((X, labels), **SMALL, **way)


def test_most_rows_have_no_partner():
    few = ["a", "a", "b", "b", *(f"word{i}" for i in range(ROWS - 4))]
    with pytest.warns(NearfarWarning, match="36 of 40 rows to train on share their label with no other"):
        train.rehearse((X, few), method="supcon", **SMALL)
    with pytest.warns(NearfarWarning, match="36 of 40"):
        train.rehearse((X, ["a", "a", "b", "b"] + [None] * (ROWS - 4)), method="supcon", **SMALL)
    train.rehearse((X, ["a", "b"] * 10 + [None] * 20), method="supcon", **SMALL)


def test_infinite_labels_are_none():
    with pytest.warns(NearfarWarning, match="10 of the column 'y' are infinite; these rows count as unlabelled"):
        plan = train.rehearse(
            (X, np.where(np.arange(ROWS) % 4 == 0, np.inf, np.arange(ROWS) % 2)), method="supcon", **SMALL
        )
    assert plan.table.label_names == ("0", "1") and (plan.table.labels < 0).sum() == 10


@pytest.mark.parametrize(
    ("groups", "said"), (("one", "All 40 rows are of one group"), ("own", "No two of the 40 rows"))
)
def test_groups_that_change_nothing(groups, said):
    frame = pd.DataFrame(X, columns=list("abcd")).assign(g=["g1" if groups == "one" else f"g{i}" for i in range(ROWS)])
    with pytest.warns(NearfarWarning, match=said):
        train.rehearse(frame, group="g", **SMALL)


def test_clusters_of_one_row_each_are_no_measure(tmp_path):
    train.train((X, ["a", "b"] * 20), out=tmp_path / "run", method="random", **SMALL)
    with pytest.raises(DataError, match="each of the 40 rows that are scored is its own class"):
        evaluate.evaluate(tmp_path / "run", (X + 9, np.arange(ROWS)), protocols=("clustering",), floors=False)
