"""Rows beside each other in their file as positives."""

import numpy as np
import pytest
import torch

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import UserError
from nearfar.objectives.kernel import pairs
from nearfar.training import train
from nearfar.training.plan.prepare import prepare
from nearfar.training.positives import beside
from nearfar.training.trainer import Trainer

KNOBS = {"holdout": 0.0, "batch_size": 4, "epochs": 1, "threads": 1, "monitor_rows": 0, "encoder_options": {"dim": 8}}


def planned(path, positives="beside", **more):
    config = Config()
    for key, value in (KNOBS | {"positives": positives} | more).items():
        config = config.set(key, value)
    return prepare(config.set("data.source", str(path)))


def lines(groups):
    """Documents of so many sentences, an empty line between them."""
    return "\n\n".join("\n".join(f"document {d} says sentence {i}" for i in range(n)) for d, n in enumerate(groups))


def test_partners_stay_in_their_document(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(lines([4, 3, 1]))
    plan = planned(path, max_bad=0.5)
    partners = plan.positives.partners
    assert [set(p) for p in partners] == [{1}, {0, 2}, {1, 3}, {2}, {5}, {4, 6}, {5}, {7}]
    wider = planned(path, "beside:2", max_bad=0.5).positives.partners
    assert [set(p) for p in wider] == [{1, 2}, {0, 2, 3}, {0, 1, 3}, {1, 2}, {5, 6}, {4, 6}, {4, 5}, {7}]
    assert "1 of 8 rows have none" in " ".join(plan.notes)
    for row in wider[:7]:  # whatever is drawn by its place is drawn nearly alike
        counts = np.unique(row, return_counts=True)[1]
        assert counts.max() - counts.min() <= 1


def test_rows_set_aside_are_nobodys_partner(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(lines([200]))
    plan = planned(path, "beside:3", holdout=0.3)
    aside = set(plan.heldout.tolist())
    assert aside and not aside & set(plan.positives.partners[plan.train].ravel().tolist())


def test_documents_by_name():
    names = ["a.csv:1", "a.csv:2", "a.csv:4", "b.csv:5", "b.csv:6"]
    assert beside.documents(names).tolist() == [0, 0, 1, 2, 2]
    assert beside.documents(["x", "y"]).tolist() == [0, 0]


def test_trains_and_refuses(tmp_path):
    texts = lines([40]).split("\n")
    trained = train.train(texts, positives="beside:2", **KNOBS)
    assert len(trained.metrics) > 0 and np.isfinite(trained.metrics[-1]["loss"])
    with pytest.raises(UserError, match="at least 1"):
        train.train(texts, positives="beside:0", **KNOBS)
    with pytest.raises(UserError, match="one column"):
        train.train({"a": texts, "b": texts[::-1]}, column=("a", "b"), positives="beside", **KNOBS)
    path = tmp_path / "apart.txt"
    path.write_text(lines([1] * 12))
    with pytest.raises(UserError, match="no row .* beside it"):
        planned(path, max_bad=0.6)


@pytest.mark.parametrize("duplicates", ["exact", "off"])
def test_what_partners_show_is_no_negative_of_itself(tmp_path, duplicates):
    """The second views are other rows: rows that show an equal text in any view are not negatives of each other."""
    said = lines([6, 6]).split("\n")
    said[9] = said[2]  # a sentence of one document stands in the other one too
    path = tmp_path / "book.txt"
    path.write_text("\n".join(said))
    plan = planned(path, max_bad=0.5, ignore_duplicates=duplicates)
    trainer = Trainer(plan, None, QUIET)
    rows = plan.train
    picked = [trainer.viewer._source(rows, 0, 0, view) for view in (0, 1)]
    batch = trainer.viewer.batch(rows, 0, 0)
    cells = [plan.table.first.hashes[p] if duplicates == "exact" else p for p in picked]
    shown = [set(pair) for pair in zip(*cells, strict=True)]
    wanted = np.array([[not a & b for b in shown] for a in shown])
    n = len(rows)
    z = torch.randn(n, 3)
    everything = slice(0, n)
    between_sides = pairs.between(z, z, batch.relation).negative(everything, everything)
    np.testing.assert_array_equal(between_sides, wanted)
    of_views = pairs.among([z, z], batch.relation).negative(slice(0, 2 * n), slice(0, 2 * n))
    np.testing.assert_array_equal(of_views, np.tile(wanted, (2, 2)))
    by_anchor = plan.table.first.hashes[rows]
    assert (by_anchor[:, None] != by_anchor)[~wanted].any()  # the anchors' cells alone would not have said it
