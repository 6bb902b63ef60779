"""`--within COLUMN`: only rows that are equal in it are negatives of each other."""

import numpy as np
import pytest

import nearfar
from nearfar.core.config import Config
from nearfar.core.errors import DataError, UserError
from nearfar.training.plan.prepare import prepare

GIVEN = {"epochs": 1, "batch_size": 8, "threads": 1, "precision": "fp32"}


def table(tmp_path, speakers=("ann", "bob", "cid")):
    draw = np.random.default_rng(0)
    lines = [f"{','.join(f'{v:.4f}' for v in draw.normal(size=6))},{speakers[i % len(speakers)]}" for i in range(48)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["a,b,c,d,e,f,speaker", *lines]))
    return path


def test_the_views_know_what_their_rows_are_within(tmp_path):
    config = Config().set("data.source", str(table(tmp_path))).set("data.within", "speaker").set("train.batch_size", 8)
    plan = prepare(config)
    assert plan.table.first.spec["features"] == 6, "the column is not embedded"
    assert len(np.unique(plan.table.within)) == 3
    assert "Negatives: of the same speaker only, of which there are 3." in plan.notes
    said = np.array([0, 1, 2] * 16)
    assert (plan.table.within[:, None] == plan.table.within).tolist() == (said[:, None] == said).tolist()


def test_training_changes_with_it(tmp_path):
    path, given = table(tmp_path), {"column": ["a", "b", "c", "d", "e", "f"], **GIVEN}
    plain = nearfar.train(path, **given)
    within = nearfar.train(path, within="speaker", **given)
    x = dict(zip("abcdef", np.random.default_rng(1).normal(size=(6, 4)), strict=True))
    assert not np.allclose(plain.model.encode(x), within.model.encode(x))


@pytest.mark.parametrize(
    ("given", "said"),
    [({"within": "camera"}, "camera"), ({"within": "speaker", "method": "byol"}, "no negatives from the batch")],
)
def test_what_cannot_be(tmp_path, given, said):
    with pytest.raises(UserError, match=said):
        nearfar.train(table(tmp_path), out=tmp_path / "run", **GIVEN, **given)
    assert not (tmp_path / "run").exists()


def test_one_speaker_changes_nothing_and_is_refused(tmp_path):
    with pytest.raises(DataError, match="all rows have the same 'speaker'"):
        nearfar.train(table(tmp_path, ("ann",)), within="speaker", out=tmp_path / "run", **GIVEN)
