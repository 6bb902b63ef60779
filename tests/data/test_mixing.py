"""Batches of one set each."""

import csv

import numpy as np
import pytest

from nearfar.core.config import Config
from nearfar.core.errors import UserError
from nearfar.data.batches import by_source
from nearfar.training import train
from nearfar.training.plan.prepare import prepare

KNOBS = {"holdout": 0.0, "batch_size": 10, "epochs": 2, "threads": 1, "monitor_rows": 0, "encoder_options": {"dim": 8}}


def table(path, sizes, column="origin"):
    with path.open("w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["text", *([column] if column else [])])
        for name, size in sizes.items():
            w.writerows([f"{name} has a sentence {i} of its own", *([name] if column else [])] for i in range(size))
    return path


def planned(source, **more):
    config = Config().set("data.source", str(source))
    for key, value in (KNOBS | more).items():
        config = config.set(key, value)
    return prepare(config)


@pytest.mark.parametrize(("power", "steps"), [(1.0, [12, 6, 2]), (0.0, [7, 7, 6]), (0.5, [9, 7, 4])])
def test_every_batch_is_of_one_set(tmp_path, power, steps):
    plan = planned(table(tmp_path / "t.csv", {"a": 120, "b": 60, "c": 20}), sets="origin", mix=power)
    sampler = plan.sampler(plan.positives)
    assert sampler.steps_per_epoch == 20
    for epoch in range(2):
        order = sampler.order(epoch)
        batches = plan.table.sets[order].reshape(20, 10)
        assert (batches == batches[:, :1]).all()
        assert np.bincount(batches[:, 0]).tolist() == steps
        assert all(len(set(b)) == 10 for b in order.reshape(20, 10))  # no row twice in a batch
        if power == 1:
            assert sorted(order) == list(range(200))
    assert not np.array_equal(sampler.order(0), sampler.order(1))
    np.testing.assert_array_equal(sampler.order(1), plan.sampler(plan.positives).order(1))
    assert any(f"a {steps[0]} steps (120 rows)" in n for n in plan.notes)


def test_shares_sum_up_and_leave_out_what_is_not_there():
    draw = np.random.default_rng(0)
    for _ in range(50):
        size = draw.integers(0, 1000, 7) * draw.integers(0, 2, 7)
        size[0] += 1
        steps = by_source.shares(size, 97, float(draw.random()))
        assert steps.sum() == 97 and (steps[size == 0] == 0).all()


def test_files_are_sets_where_no_column_is_named(tmp_path):
    for name in ("one", "two"):
        table(tmp_path / f"{name}.csv", {name: 40}, column=None)
    plan = planned(tmp_path / "{one,two}.csv", mix=1.0)
    assert any("one.csv 4 steps" in n and "two.csv 4 steps" in n for n in plan.notes)
    trained = train.train(str(tmp_path / "{one,two}.csv"), mix=0.0, **KNOBS)
    assert np.isfinite(trained.metrics[-1]["loss"])


def test_what_cannot_be_mixed(tmp_path):
    path = table(tmp_path / "t.csv", {"a": 40, "b": 6})
    with pytest.raises(UserError, match="'b' has 6 rows"):
        planned(path, sets="origin", mix=1.0)
    with pytest.raises(UserError, match="one set"):
        planned(path, mix=1.0)
    with pytest.raises(UserError, match="orign.*origin"):
        planned(path, sets="orign", mix=1.0)
    with pytest.raises(UserError, match="either"):
        planned(path, sets="origin", mix=1.0, balance="2x5")
    holes = tmp_path / "h.csv"
    holes.write_text("text,origin\n" + "some words of a row,\n" * 3 + "other words of a row,x\n" * 30)
    with pytest.raises(UserError, match="3 rows are of no set"):
        planned(holes, sets="origin", mix=1.0)


def test_rows_keep_their_set_where_others_cannot_be_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "text,origin\n" + "".join(f"{'' if i == 3 else f'words of row {i}'},{'ab'[i % 2]}\n" for i in range(40))
    )
    plan = planned(path, sets="origin", mix=1.0, max_bad=0.1)
    assert len(plan.table) == 39
    assert [plan.table.set_names[s] for s in plan.table.sets[:5]] == ["a", "b", "a", "a", "b"]
