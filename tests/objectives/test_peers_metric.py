"""Where definitions agree, the numbers of pytorch-metric-learning and of torch's own losses."""

import pytest
import torch
import torch.nn.functional as F

from nearfar.objectives.contrastive import contrastive
from nearfar.objectives.cosine_embedding import cosine_embedding
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.triplet import triplet, triplet_given
from tests.helpers.inputs import build

GROUP = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3, 4])


def same(ours, theirs, *xs):
    assert torch.allclose(ours, theirs, atol=1e-10)
    for a, b in zip(torch.autograd.grad(ours, xs), torch.autograd.grad(theirs, xs), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


@pytest.fixture
def pml():
    return pytest.importorskip("pytorch_metric_learning", reason="the extra 'bench' has it")


@pytest.fixture
def z():
    return torch.randn(10, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize(("margin", "average", "mining"), [
    (0.5, "all", "all"), (0.5, "active", "all"), (None, "all", "all"), (1.0, "all", "hard"), (None, "all", "hard"),
])  # fmt: skip
@pytest.mark.parametrize("similarity", ["euclidean", "cosine"])
def test_triplet(pml, z, margin, average, mining, similarity):
    from pytorch_metric_learning import distances, losses, miners, reducers

    def distance():
        return (
            distances.CosineSimilarity() if similarity == "cosine" else distances.LpDistance(normalize_embeddings=False)
        )

    reducer = reducers.AvgNonZeroReducer() if average == "active" else reducers.MeanReducer()
    loss = losses.TripletMarginLoss(margin or 0.0, smooth_loss=margin is None, distance=distance(), reducer=reducer)
    chosen = miners.BatchHardMiner(distance=distance())(z, GROUP) if mining == "hard" else None
    ours, _ = triplet([z], Relation(GROUP), mining=mining, margin=margin, average=average, similarity=similarity)
    same(ours, loss(z, GROUP, chosen), z)


def test_positives_of_contrastive(pml, z):
    """Negatives differ: theirs is max(0, margin − d), without the paper's square and half."""
    from pytorch_metric_learning import distances, losses, reducers

    theirs = losses.ContrastiveLoss(
        neg_margin=0.0,
        distance=distances.LpDistance(power=2, normalize_embeddings=False),
        reducer=reducers.MeanReducer(),
    )
    same(contrastive([z], Relation(GROUP), margin=1e-9)[0], theirs(z, GROUP) / 2, z)


def test_given_triplets_are_torchs():
    anchor, positive, negative = build("triplets", 8, 5).values()
    ours, _ = triplet_given(anchor, positive, negative[:, :1], margin=0.7)
    theirs = F.triplet_margin_with_distance_loss(
        anchor, positive, negative[:, 0], distance_function=lambda a, b: (a - b).norm(dim=-1), margin=0.7
    )
    same(ours, theirs, anchor, positive, negative)


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_cosine_embedding_is_torchs(margin):
    x = build("scored pairs", 12, 5)
    target = torch.where(x["relation"].score > 0, 1, -1)
    theirs = F.cosine_embedding_loss(x["left"], x["right"], target, margin=margin)
    same(cosine_embedding(**x, margin=margin)[0], theirs, x["left"], x["right"])
