"""Rows go through a network in an order and in batches that suit the processor, and come back in their own."""

import numpy as np
import torch

from nearfar.core.config import assemble
from nearfar.models import branches, encoding
from nearfar.models.embedder import Embedder
from nearfar.training import train

WORDS = ("one", "two", "three", "four", "five")


def model_of(source, **options):
    config, _ = assemble(None, (), method="random", fixed="none", precision="fp32", threads=1, **options)
    plan = train.plan(config, source=source)
    return Embedder(plan.config, plan.table.kinds, branches.fresh(plan.config, plan.table.kinds)), plan.table


def test_texts_of_like_length_go_through_together(monkeypatch):
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, n)) for n in draw.integers(1, 60, 300)]
    model, table = model_of(texts, encoder="text_transformer", encoder_options={"width": 16, "layers": 1, "heads": 2})
    column, rows, widths = table.first, draw.permutation(300), []
    one_by_one = np.concatenate([model.features(column, rows[i : i + 1]) for i in range(300)])
    branch = model.branches[model.only_column()]
    output = branch.output

    def seen(values, layer):
        widths.append(values.shape[1])
        return output(values, layer)

    monkeypatch.setattr(branch, "output", seen)
    np.testing.assert_allclose(model.features(column, rows, batch_size=20), one_by_one, atol=1e-5)
    assert len(widths) == 15 and widths == sorted(widths, reverse=True) and widths[-1] < 10
    monkeypatch.setattr(encoding, "SORTED", 100)
    widths.clear()
    np.testing.assert_allclose(model.features(column, rows, batch_size=20), one_by_one, atol=1e-5)
    assert [w == max(widths[i - i % 5 : i - i % 5 + 5]) for i, w in enumerate(widths)][::5] == [True] * 3


def test_large_pictures_go_through_a_few_at_a_time_unless_norms_take_statistics(monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), np.uint8)
    model, table = model_of(x, encoder="small_cnn")
    batches, branch = [], model.branches[model.only_column()]
    output = branch.output
    monkeypatch.setattr(branch, "output", lambda v, layer: [batches.append(len(v)), output(v, layer)][1])
    monkeypatch.setattr(encoding, "AT_ONCE", 8 * 16 * 16 * 3)
    whole = model.features(table.first, np.arange(50))
    assert batches == [8] * 6 + [2]
    batches.clear()
    norm = next(m for m in branch.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.train()
    model.features(table.first, np.arange(50), batch_size=25)
    assert batches == [25, 25]
    norm.eval()
    assert whole.shape == (50, branch.out_features)
