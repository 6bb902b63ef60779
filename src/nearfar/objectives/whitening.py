"""Whitening MSE: positives agree once the batch has been given the identity as covariance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, mean, moments, similar
from nearfar.objectives.kernel.pairs import offset

INFO = Objective(
    function="whitening",
    formula="L_i = 2 − 2·cos(W_x(x_i − μ_x), W_y(y_i − μ_y)),  W the inverse Cholesky factor of the covariance",
    paper="Ermolov et al. 2020 (W-MSE)",
    arxiv="2007.06346",
    takes="views",
    symmetries=("views", "groups"),
    neighbours="barlow_twins and vicreg ask for the identity softly; negative_cosine is this without whitening.",
    min_rows=lambda dimensions: dimensions + 1,
)


def whitening(
    views: Views, relation: Relation, *, size: int | None = None, eps: float = 1e-4, similarity: str = "cosine",
    world: World = ONE,
) -> Compared:  # fmt: skip
    """W-MSE: distance of V ≥ 2 views' whitened embeddings (Ermolov et al. 2020, arXiv 2007.06346).

    Each view is whitened by itself, in groups of rows with mean μ and covariance Σ (divided by the rows − 1)::

        w_i = A⁻¹(x_i − μ),   A·Aᵀ = (1 − ε)·Σ + ε·I,   A lower triangular
        L = mean over rows i and pairs of views  |w_i/|w_i| − w'_i/|w'_i||²

    Needs one column and views of it; there are no negatives. Without learning (views of a row independent) it is about
    2. The overall scale of the embeddings should be about 1, see `eps`. The paper's code draws its groups again,
    several times a step; here rows come in the order of the batch, which is random already, so only a group's own rows
    may be exchanged. Memory is O(N·D + D²·groups). Numbers: ``anchors`` (rows) and ``groups``.

    Parameters
    ----------
    size : int, optional
        Rows of a group, at least D + 1 (the paper: 2·D); the last group takes what remains. Groups are consecutive
        rows of the global batch, whatever the number of processes. None: the whole batch is one group.
    eps : float
        ε in [0, 1): share of the identity in the covariance. In float32 the whitened rows lose as many digits as the
        condition of the covariance has, so 1e-4 leaves three; the paper's code has 0, which fails where dimensions
        are linearly dependent.
    similarity : {"cosine", "squared_euclidean"}
        Squared distance of the whitened rows at unit length, or as they are (the paper's code divides that by D).
    """
    xs = checks.same_shapes("views", views, len(relation), least=2)
    checks.choice("similarity", similarity, ("cosine", "squared_euclidean"))
    if not 0 <= eps < 1:
        raise ValueError(f"eps: expected a number in [0, 1), got {eps}")
    least = INFO.least_rows(xs[0].shape[1])
    if size is not None and size < least:
        raise ValueError(f"size: expected at least {least} rows to whiten {xs[0].shape[1]} dimensions, got {size}")
    n = moments.count(xs[0], world, least)
    number = max(1, n // size) if size else 1
    borders = [*range(0, number * (size or n), size or n), n]
    with torch.autocast(xs[0].device.type, enabled=False):
        ws = [similar.prepared(whitened(x, borders, eps, world), similarity) for x in xs]
        loss, anchors = mean(moments.squared_distance(ws), None, world)
    return loss, {"anchors": anchors, "groups": torch.tensor(number, device=xs[0].device)}


def whitened(x: torch.Tensor, borders: Sequence[int], eps: float, world: World) -> torch.Tensor:
    """This process's rows, each group of global rows (between two `borders`) whitened by its own statistics."""
    start = offset(len(x), world, x.device)
    groups = [slice(max(0, a - start), max(0, b - start)) for a, b in pairwise(borders)]
    sizes = x.new_tensor([b - a for a, b in pairwise(borders)])[:, None]
    means = world.all_reduce(torch.stack([x[g].sum(0) for g in groups])) / sizes
    parts = [x[g] - m for g, m in zip(groups, means, strict=True)]
    covariances = world.all_reduce(torch.stack([p.T @ p for p in parts])) / (sizes - 1)[..., None]
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    try:
        roots = torch.linalg.cholesky((1 - eps) * covariances + eps * identity)
    except torch.linalg.LinAlgError as e:
        raise ValueError(f"eps: expected a larger number, the covariance is singular, got {eps}") from e
    solved = [torch.linalg.solve_triangular(r, p.T, upper=False).T for r, p in zip(roots, parts, strict=True) if len(p)]
    return torch.cat(solved)
