"""Embeddings whose first dimensions are embeddings (Matryoshka), and models that are cut to them."""

import numpy as np
import pytest
import torch

from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError
from nearfar.evaluation import evaluate
from nearfar.methods import record
from nearfar.methods.embeddings import View, ViewBatch
from nearfar.models import loading
from nearfar.objectives.info_nce import info_nce_between
from nearfar.training import train
from nearfar.training.distributed import World
from nearfar.training.learner import Learner
from nearfar.training.trainer import Trainer
from tests.helpers.inputs import build, gradients, reference_of
from tests.training.test_text_runs import QUICK, sentences


@pytest.fixture(scope="module")
def pairs():
    en, de, _ = sentences()
    return {"en": en, "de": de}


GIVEN = QUICK | {"column": ("en", "de"), "epochs": 15, "lr": 0.01}


@pytest.fixture(scope="module")
def nested(pairs, tmp_path_factory):
    return train.train(pairs, nested="4,8", out=tmp_path_factory.mktemp("runs") / "nested", **GIVEN)


def test_the_loss_is_that_of_every_size(nested):
    trainer = Trainer(nested.plan, None, QUIET)
    batch = trainer.viewer.batch(np.arange(16), 0, 0)
    loss, _, e = trainer.learner(batch)

    tau = trainer.learner.parts["temperature"]()
    losses = [info_nce_between(*(z[:, :m] for z in e.sides), e.relation, temperature=tau)[0] for m in (4, 8, 32)]
    assert float(loss.detach()) == pytest.approx(float(torch.stack(losses).mean().detach()), rel=1e-5)


class Identity(torch.nn.Module):
    out_features = 6

    def forward(self, x):
        return x


@pytest.mark.parametrize("objective", ["info_nce", "coding_rate"])
@pytest.mark.parametrize("sizes", [[], [2], [1, 2, 5]])
def test_loss_and_gradients_are_the_mean_of_those_of_each_size(objective, sizes):
    """Kusupati et al. 2022, equation 1, around the slow forms of two objectives, in float64."""
    changes = {"objective": objective, "nested": sizes, "projector": None}
    learner = Learner(record.resolve("simclr", changes), {"x": Identity()}, World())
    arguments = build("views", 7, 6, group="mixed")
    batch = ViewBatch(tuple(View(v, "x") for v in arguments["views"]), arguments["relation"])
    loss, _, _ = learner(batch)
    slow = reference_of(objective).reference
    wanted = torch.stack([slow([v[:, :m] for v in arguments["views"]], arguments["relation"]) for m in (*sizes, 6)]).mean()
    assert abs(float(loss.detach() - wanted.detach())) < 1e-10
    for a, b in zip(gradients(loss, arguments), gradients(wanted, arguments), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_few_dimensions_hold_more_than_without(pairs, nested):
    plain = train.train(pairs, **GIVEN).model
    en, de, _ = sentences(100, seed=1)

    def found(model):
        x, y = model.encode(en, column="en"), model.encode(de, column="de")
        return float(((x @ y.T).argmax(1) == np.arange(100)).mean())

    assert found(nested.model.cut(8)) > found(plain.cut(8)) + 0.1
    assert found(nested.model) > found(plain) - 0.05


def test_a_cut_model_gives_the_first_dimensions_at_unit_length(nested, pairs):
    model = loading.load(nested.path)
    whole, cut = model.encode(pairs["en"][:5], column="en"), model.cut(8).encode(pairs["en"][:5], column="en")
    assert cut.shape == (5, 8) and model.encode(pairs["en"][:1], column="en").shape == (1, 32)
    expected = torch.nn.functional.normalize(torch.from_numpy(whole[:, :8]), dim=1).numpy()
    np.testing.assert_allclose(cut, expected, atol=1e-6)
    assert model.cut(8).untrained().encode(pairs["en"][:1], column="en").shape == (1, 8)
    for wrong in (0, 32, 100):
        with pytest.raises(ConfigError, match="32 dimensions and cannot be cut"):
            model.cut(wrong)


def test_sizes_side_by_side(nested):
    en, de, _ = sentences(60, seed=1)
    model = loading.load(nested.path)
    found = evaluate.evaluate([model, model.cut(4)], {"en": en, "de": de}, column=("en", "de"))
    assert [r["run"] for r in found.results] == ["nested", "nested, 4 dimensions"]
    assert "nested, 4 dimensions" in found.table()


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"nested": "64"}, "has 32 dimensions"),
        ({"nested": "0"}, "it must be at least 1"),
        ({"nested": "a,b"}, "whole numbers such as 64,128"),
        ({"nested": [4, 40]}, "has 32 dimensions"),
    ],
)
def test_what_cannot_be_nested(pairs, knobs, why):
    with pytest.raises(ConfigError, match=why):
        train.train(pairs, **GIVEN | {"epochs": 1} | knobs)


def test_methods_of_one_column(digits, tiny):
    given = tiny | {"nested": (4, 8), "epochs": 1}
    x = digits["train"][0][:200]
    with pytest.raises(ConfigError, match="the features are kept"):
        train.train(x, method="simclr", **given)
    trained = train.train(x, method="simclr", keep="projection", **given)
    assert trained.model.cut(4).encode(x[:2]).shape == (2, 4)
    with pytest.raises(ConfigError, match="has all of them"):
        train.train(x, method="swav", keep="projection", **given)
