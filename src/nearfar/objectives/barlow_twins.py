"""Barlow Twins: dimensions agree between views and tell different things."""

from __future__ import annotations

from itertools import combinations

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, moments

INFO = Objective(
    function="barlow_twins",
    formula="L = Σ_i (1 − C_ii)² + λ·Σ_{i≠j} C_ij²,  C the correlation of dimension i of one view with j of the other",
    paper="Zbontar et al. 2021",
    arxiv="2103.03230",
    takes="views",
    neighbours="vicreg decorrelates each view by itself and compares rows; whitening makes C the identity exactly.",
    min_rows=2,
)


def barlow_twins(
    views: Views, relation: Relation, *, weight: float = 5e-3, eps: float = 1e-5, world: World = ONE
) -> Compared:
    """Redundancy reduction by the cross-correlation of V ≥ 2 views (Zbontar et al. 2021, arXiv 2103.03230).

    With x of view a and y of view b, each dimension centred and scaled over all rows of all processes::

        C_ij = 1/N Σ_n x_ni·y_nj / √((var x_i + ε)(var y_j + ε))
        L = mean over pairs of views  Σ_i (1 − C_ii)² + λ·Σ_i Σ_{j≠i} C_ij²

    Needs one column and views of it; there are no negatives. Without learning (all rows equal) it is D. With fewer
    rows than dimensions C cannot be the identity and the loss stays above 0. Memory is O(N·D + D²). The loss is the
    same on every process. Numbers: ``anchors`` (rows), ``diagonal`` (mean C_ii) and ``off_diagonal`` (root mean square
    of the others).

    Parameters
    ----------
    weight : float
        λ of the entries beside the diagonal.
    eps : float
        ε > 0, in squared units of the embeddings: added to each variance, as batch norm does in the paper's code; the
        paper's formula has none. A dimension that is constant then has correlation 0.
    """
    xs = checks.same_shapes("views", views, len(relation), least=2)
    checks.above("eps", eps)
    n, d = moments.count(xs[0], world, INFO.min_rows), xs[0].shape[1]
    with torch.autocast(xs[0].device.type, enabled=False):
        zs = [moments.centred(x, world, n) for x in xs]
        zs = [z * torch.rsqrt(world.all_reduce(z.square().sum(0)) / n + eps) for z in zs]
        cs = [moments.product(a, b, world) / n for a, b in combinations(zs, 2)]
        on = torch.stack([(1 - c.diagonal()).square().sum() for c in cs]).mean()
        off = torch.stack([c.square().sum() - c.diagonal().square().sum() for c in cs]).mean()
    numbers = {
        "anchors": torch.tensor(n, device=on.device),
        "diagonal": torch.stack([c.detach().diagonal().mean() for c in cs]).mean(),
        "off_diagonal": (off.detach().clamp(min=0) / max(1, d * (d - 1))).sqrt(),
    }
    return on + weight * off, numbers
