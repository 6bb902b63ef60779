"""Negatives of the same speaker, camera or machine only: `Relation.within`."""

from dataclasses import replace

import pytest
import torch

from nearfar.core.registry import METHODS
from nearfar.objectives.dcl import dcl
from nearfar.objectives.info_nce import info_nce, info_nce_between
from nearfar.objectives.kernel.relation import Relation
from nearfar.methods.embeddings import View
from nearfar.training.distributed import World
from nearfar.training.learner import Learner
from tests.contract.test_methods import learner_and_batch
from tests.training.test_steps_and_answers import Along

WITHIN = torch.tensor([0, 0, 1, 1, 0, 2])


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_views(similarity):
    views = drawn(6, 5), drawn(6, 5, seed=1)
    fast, _ = info_nce(views, Relation(torch.arange(6), within=WITHIN), temperature=0.3, similarity=similarity)
    z, row = torch.cat(views), torch.arange(6).repeat(2)
    s = unit(z) @ unit(z).T if similarity == "cosine" else -torch.cdist(z, z)
    losses = []
    for i in range(12):
        others = [j for j in range(12) if j != i and WITHIN[row[i]] == WITHIN[row[j]]]
        losses.append(torch.logsumexp(s[i, others] / 0.3, 0) - s[i, (i + 6) % 12] / 0.3)
    assert float(fast) == pytest.approx(float(torch.stack(losses).mean()), abs=1e-9)


def test_hard_negatives_are_within_what_their_row_is_within():
    left, right, hard = drawn(6, 5), drawn(6, 5, seed=1), drawn(6, 2, 5, seed=2)
    relation = Relation(torch.arange(6), within=WITHIN)
    fast, _ = info_nce_between(left, right, relation, temperature=0.3, negatives=hard)
    a, b, h = unit(left), unit(right), unit(hard)
    losses = []
    for i in range(6):
        same = [j for j in range(6) if WITHIN[i] == WITHIN[j]]
        forth = torch.cat([a[i] @ b[same].T, *(a[i] @ h[j].T for j in same)])
        back = b[i] @ a[same].T
        losses.append((torch.logsumexp(forth / 0.3, 0) + torch.logsumexp(back / 0.3, 0)) / 2 - a[i] @ b[i] / 0.3)
    assert float(fast) == pytest.approx(float(torch.stack(losses).mean()), abs=1e-9)


def test_a_loss_without_the_positive_in_its_sum():
    views = drawn(6, 5), drawn(6, 5, seed=1)
    fast, numbers = dcl(views, Relation(torch.arange(6), within=WITHIN), temperature=0.3)
    z, row = unit(torch.cat(views)), torch.arange(6).repeat(2)
    losses = []
    for i in range(12):
        negatives = [j for j in range(12) if row[j] != row[i] and WITHIN[row[i]] == WITHIN[row[j]]]
        if negatives:
            losses.append(torch.logsumexp(z[i] @ z[negatives].T / 0.3, 0) - z[i] @ z[(i + 6) % 12] / 0.3)
    assert int(numbers["anchors"]) == len(losses) == 10, "row 5 is alone in its group and has no negative"
    assert float(fast) == pytest.approx(float(torch.stack(losses).mean()), abs=1e-9)


@pytest.mark.parametrize("name", list(METHODS))
def test_a_record_says_whether_negatives_of_the_batch_are_compared(name):
    if METHODS.get(name).RECORD.takes not in ("rows", "texts", "pairs") or not METHODS.get(name).RECORD.trains:
        return
    losses = []
    for within in (None, torch.arange(16) % 4):
        learner, batch = learner_and_batch(name)
        if learner.record.steps:
            torch.manual_seed(0)
            learner = Learner(learner.record, {"x": Along()}, World()).double()
            batch = replace(batch, views=tuple(View(drawn(16, 2, 8, seed=i), "x") for i in range(2)))
        losses.append(float(learner(replace(batch, relation=replace(batch.relation, within=within)))[0].detach()))
    assert (abs(losses[1] - losses[0]) > 1e-9) == learner.record.compares_negatives
