"""Matryoshka: the first few dimensions of an embedding are an embedding too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from nearfar.objectives.info_nce import info_nce
from nearfar.objectives.kernel import checks
from nearfar.objectives.kernel.info import Objective
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE, World

SMALLEST = 8  # where the halving of dimensions ends, as in the paper

INFO = Objective(
    function="matryoshka",
    formula="L = Σ_m w_m·L(first m dimensions)",
    paper="Kusupati et al. 2022",
    arxiv="2205.13147",
    takes="views",
    symmetries=("rows", "views", "groups"),
    data=("one column", "labels"),
    neighbours="A wrapper of any objective of views; with one size that is D it is that objective.",
)

Loss = Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]]


def matryoshka(
    views: Sequence[torch.Tensor], relation: Relation, *, loss: Loss | None = None, dims: Sequence[int] | None = None,
    weights: Sequence[float] | None = None, world: World = ONE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """Weighted sum of an objective over the first dimensions (Kusupati et al. 2022, arXiv 2205.13147).

    ::

        L = Σ_m w_m·L(x_1[:, :m], …, x_V[:, :m])

    Parameters
    ----------
    views : sequence of V tensors (N, D)
        Embeddings of the same N rows.
    relation : Relation
        As `loss` needs it.
    loss : callable, optional
        ``loss(views, relation, world=…) → (loss, numbers)``: any objective that takes views, its parameters bound;
        default `info_nce`. One that normalises does so for each size anew.
    dims : sequence of int, optional
        Sizes m of 1 to D. Default: D, D/2, D/4 … down to 8 or more.
    weights : sequence of float, optional
        w_m of each size; default 1, as in the paper.
    world : World

    Returns
    -------
    loss : Tensor ()
    numbers : dict
        Those of the largest size, and ``loss_m`` for each size m.

    Raises
    ------
    ValueError
        An argument is not of the kind described, or `loss` says so.

    Notes
    -----
    Needs what `loss` needs. Without learning it is Σ w_m times the level of `loss`. The embedding can be cut to any of
    the sizes afterwards. Time is that of `loss` times the number of sizes.
    """
    xs = checks.same_shapes("views", views, len(relation))
    d = xs[0].shape[1]
    sizes = _halves(d) if dims is None else list(dims)
    if not sizes or not all(isinstance(m, int) and 1 <= m <= d for m in sizes):
        raise ValueError(f"dims: expected whole numbers of 1 to {d}, the embedding's dimensions, got {sizes}")
    factors = [1.0] * len(sizes) if weights is None else list(weights)
    if len(factors) != len(sizes):
        raise ValueError(f"weights: expected {len(sizes)}, one for each of dims, got {len(factors)}")
    results = {m: (loss or info_nce)([x[:, :m] for x in xs], relation, world=world) for m in sizes}
    total = torch.stack([w * results[m][0] for m, w in zip(sizes, factors, strict=True)]).sum()
    with torch.no_grad():
        each = {f"loss_{m}": world.all_reduce(value.detach()) / world.size for m, (value, _) in results.items()}
    return total, results[max(sizes)][1] | each


def _halves(d: int) -> list[int]:
    sizes = [d]
    while sizes[-1] // 2 >= SMALLEST:
        sizes.append(sizes[-1] // 2)
    return sizes
