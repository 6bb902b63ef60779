"""DINO: the student's softmax of a view follows the teacher's of another, which is centred and sharpened."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Scalar, Views, World, checks, prototypes

INFO = Objective(
    function="dino",
    formula="L = mean_{i≠j} −Σ_k softmax_k((t_j − c)/τ_t)·log softmax_k(x_i/τ)",
    paper="Caron et al. 2021",
    arxiv="2104.14294",
    takes="prototypes",
    symmetries=("rows", "views"),
    neighbours="swav shares the codes out evenly by Sinkhorn; negative_cosine compares embeddings instead of scores.",
    no_learning=lambda rows, views, prototypes: math.log(prototypes) if prototypes else math.inf,
)


def dino(
    scores: Views, targets: Views, *, centre: torch.Tensor | None = None, temperature: Scalar = 0.1,
    target_temperature: float = 0.04, world: World = ONE,
) -> Compared:  # fmt: skip
    """Self-distillation without labels (Caron et al. 2021, arXiv 2104.14294).

    With the student's scores x_i of view i and the teacher's scores t_j of view j::

        L = mean over rows and pairs i ≠ j  −Σ_k softmax_k((t_j − c)/τ_t)·log softmax_k(x_i/τ)

    Needs one column and views of it, and a momentum twin. Without learning (all scores equal) it is ln(K). Centring
    alone leads to the uniform distribution, sharpening alone to one prototype for all; together they balance. Numbers:
    ``anchors`` (rows times views) and ``entropy`` (of the teacher, in nats; 0 or ln K in a collapse).

    Parameters
    ----------
    scores : Views
        The student's, V ≥ 2.
    targets : Views
        The teacher's, of the 1 to V first views (the paper's two global crops); get no gradient.
    centre : Tensor (K,), optional
        c, the running mean of the teacher's scores: see `next_centre`. None is 0.
    target_temperature : float
        τ_t > 0 of the teacher; smaller than τ, which sharpens.
    """
    xs, ts = prototypes.inputs(scores, targets)
    tau = checks.temperature(temperature)
    checks.above("target_temperature", target_temperature)
    if centre is not None and centre.shape != xs[0].shape[1:]:
        raise ValueError(f"centre: expected shape ({xs[0].shape[1]},), got {tuple(centre.shape)}")
    with torch.autocast(xs[0].device.type, enabled=False):
        c = 0 if centre is None else centre.detach().to(xs[0])
        codes = [torch.softmax((t - c) / target_temperature, 1) for t in ts]
        return prototypes.swapped(xs, codes, tau, world)


@torch.no_grad()
def next_centre(centre: torch.Tensor | None, targets: Views, momentum: float = 0.9, world: World = ONE) -> torch.Tensor:
    """m·c + (1 − m)·mean of the teacher's scores over rows, views and processes; where there is no c yet, the mean."""
    ts = checks.same_shapes("targets", targets, None)
    checks.within("momentum", momentum, 0, 1)
    sums = torch.stack([t.sum(0) for t in ts]).sum(0)
    count = world.all_reduce(torch.tensor(len(ts) * len(ts[0]), device=sums.device))
    mean = world.all_reduce(sums) / count
    return mean if centre is None else torch.lerp(mean, centre.to(mean), momentum)
