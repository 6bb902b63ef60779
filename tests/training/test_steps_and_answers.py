"""What a method may ask the learner for beside embeddings: states along time, and views that are not embedded."""

import pytest
import torch

from nearfar.core.errors import ConfigError
from nearfar.core.randomness import generator
from nearfar.methods.embeddings import View, ViewBatch
from nearfar.methods.record import Method
from nearfar.objectives.kernel.relation import Relation
from nearfar.training import gradient_cache
from nearfar.training.distributed import World
from nearfar.training.learner import Learner
from nearfar.transforms.draws import Draws
from nearfar.transforms.frame import Frame, role

SIMCLR = "simclr"  # whose comparison is exchanged below


class Along(torch.nn.Module):
    """States (N, T, 3) of a series (N, 2, T), of which those are there that are numbers."""

    out_features = 3

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)

    def steps(self, x):
        there = x.isfinite().all(1)
        return self.layer(x.nan_to_num(0.0).mT), there

    def pooled(self, states, there):
        return (states * there[..., None]).sum(1) / there.sum(1, keepdim=True)

    def forward(self, x):
        return self.pooled(*self.steps(x))


class Tied(torch.nn.Module):
    """A part that looks at the encoder."""

    def attach(self, encoders):
        self.seen = [encoders]


def learner_of(compare, **record):
    made = Method(name=SIMCLR, idea="", projector=None, **record)
    learner = Learner(made, {"x": Along()}, World())
    learner.compare = compare
    return learner


def batch_of(*views):
    n = len(views[0].values)
    return ViewBatch(tuple(views), Relation(torch.arange(n)), torch.arange(n))


def test_states_of_every_view_and_which_there_are():
    x = torch.randn(4, 2, 5)
    x[0, :, 3:] = torch.nan
    short = torch.randn(4, 2, 3)
    learner = learner_of(lambda e, r: (e.steps[0].sum() + e.steps[1].sum(), {}), steps=True)
    loss, _, e = learner(batch_of(View(x, "x"), View(short, "x")))
    assert [tuple(s.shape) for s in e.steps] == [(4, 5, 3), (4, 3, 3)]
    assert e.there[0].tolist() == [[True] * 3 + [False] * 2] + [[True] * 5] * 3
    expected = learner.branches["x"].encoder(x)
    assert torch.equal(e.features[0], expected)
    loss.backward()
    assert all(p.grad is not None for p in learner.parameters())
    with pytest.raises(ConfigError, match="steps of time"):
        gradient_cache.check_chunk(learner, 2)


def test_without_steps_there_are_none():
    _, _, e = learner_of(lambda e, r: (e.online[0].sum(), {}))(batch_of(View(torch.randn(4, 2, 5), "x")))
    assert e.steps == e.there == ()


def test_an_answer_goes_through_no_network_and_is_no_side():
    answer = torch.arange(4)
    learner = learner_of(lambda e, r: (e.online[0].sum(), {}))
    _, _, e = learner(batch_of(View(torch.randn(4, 2, 5), "x"), View(answer, "x", "answer")))
    assert e.online[1] is None
    assert e.answers == (answer,)
    assert len(e.sides) == 1
    assert e.pairs == ()
    assert role((Frame(1.0, "answer"),)) == "answer"


def test_a_part_may_look_at_the_encoders():
    class Part:
        def build(self, dim):
            return Tied()

    learner = learner_of(lambda e, r: (e.online[0].sum(), {}), parts={"table": Part()})
    (seen,) = learner.parts["table"].seen
    assert seen["x"] is learner.branches["x"].encoder
    assert len(list(learner.parameters())) == 2, "what it looks at is no parameter of its own"


def test_views_of_a_row_can_draw_the_same():
    def draws(view):
        return Draws(generator(0, "view", view), 6, slice(2, 5), common=generator(0, "common"))

    first, second = draws(0), draws(1)
    assert not torch.equal(first.uniform(0, 1), second.uniform(0, 1))
    assert torch.equal(first.common.uniform(0, 1), second.common.uniform(0, 1))
    whole = Draws(generator(0, "view", 0), 6, common=generator(0, "common"))
    assert torch.equal(whole.common.uniform(0, 1)[2:5], draws(1).common.uniform(0, 1))
    with pytest.raises(ValueError, match="one view alone"):
        _ = Draws(generator(0), 4).common
