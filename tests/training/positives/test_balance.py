"""Balanced batches are a formula; what they hold, and what they say."""

import numpy as np
import pytest

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, DataError
from nearfar.data.batches.balanced import Balanced, about, parse
from nearfar.data.batches.sampler import Sampler
from nearfar.training.plan.prepare import prepare


def sampler(groups, batch=12, classes=3, each=3, rows=None):
    rows = np.arange(len(groups)) if rows is None else rows
    return Balanced(rows, batch, 0, None, classes, each, lambda: np.asarray(groups))


GROUPS = np.repeat([0, 1, 2, 3, 4], [40, 3, 20, 2, 15])


def test_every_batch_has_equally_many_rows_of_its_classes():
    s = sampler(GROUPS, batch=9)
    seen = np.zeros(5, int)
    for epoch in range(30):
        for step in range(s.steps_per_epoch):
            groups, counts = np.unique(GROUPS[s.batch(epoch, step)], return_counts=True)
            assert len(groups) == 3
            assert (counts == 3).all()
            seen[groups] += 1
    assert s.steps_per_epoch == 80 // 9
    assert seen.min() > 0.8 * seen.mean()  # small classes as often as large ones
    assert np.array_equal(s.batch(4, 2), s.order(4)[18:27])
    assert not np.array_equal(s.order(4), s.order(5))
    assert np.array_equal(s.order(4), sampler(GROUPS, batch=9).order(4))


def test_rows_of_a_class_take_turns_and_lie_apart():
    s = sampler(GROUPS, batch=9)
    order = s.order(0)
    counts = np.bincount(order, minlength=80)
    for group in range(5):
        mine = counts[group == GROUPS]
        assert mine.max() - mine.min() <= 1
    batch = GROUPS[order[:9]]
    assert (batch[:-1] != batch[1:]).all()  # slices of a batch hold all classes


def test_the_rest_of_a_batch_has_no_class():
    groups = np.concatenate([np.repeat([0, 1, 2], 10), np.arange(100, 150)])
    s = sampler(groups)
    for step in range(s.steps_per_epoch):
        batch = groups[s.batch(0, step)]
        assert (batch[:9] < 3).all()
        assert (batch[9:] >= 100).all()
    whole = sampler(np.repeat([0, 1, 2], 10))  # everybody has one
    assert (np.bincount(whole.batch(0, 0) // 10) >= 3).all()


def test_as_without_balance_until_classes_are_known():
    s = sampler(np.arange(50))
    assert np.array_equal(s.order(3), Sampler(np.arange(50), 12, 0).order(3))


def test_only_rows_that_are_trained_on_come():
    rows = np.arange(0, 80, 2)
    assert set(sampler(GROUPS, rows=rows).order(0)) <= set(rows)


def test_text():
    assert parse("10x25") == parse(" 10 × 25") == (10, 25)
    for text in ("10", "x", "1x5", "10x0", "axb"):
        with pytest.raises(ConfigError, match="10x25"):
            parse(text)


def test_what_is_said():
    assert "3 rows of any class" in about("3x3", GROUPS, 12, may_change=False)
    some = np.concatenate([np.repeat([0, 1, 2], 10), np.arange(100, 150)])
    assert "3 rows without a class" in about("3x3", some, 12, may_change=False)
    assert "50 rows without a class are never seen" in about("3x4", some, 12, may_change=False)
    with pytest.raises(ConfigError, match="--batch-size 12"):
        about("3x4", GROUPS, 10, may_change=False)
    with pytest.raises(DataError, match="--positives labels"):
        about("3x4", np.arange(50), 12, may_change=False)
    assert "3 classes" in about("3x4", np.arange(50), 12, may_change=True)


def test_a_batch_is_as_large_as_its_classes(digits):
    config = Config().set("balance", "10x4").set("method", "supcon")
    plan = prepare(config, digits, console=QUIET)
    assert plan.config.train.batch_size == 40
    assert any("10 classes of 4 rows" in n for n in plan.notes)
    batch = plan.sampler(plan.positives).batch(0, 0)
    assert (np.bincount(plan.table.labels[batch]) == 4).all()
    with pytest.raises(DataError, match="--positives labels"):
        prepare(config.set("method", "simclr"), digits, console=QUIET)
