"""Total coding rate: views agree, and the batch fills as much of the space as it can."""

from __future__ import annotations

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, moments, similar

INFO = Objective(
    function="coding_rate",
    formula="L = −½·log det(I + D/(N·ε²)·ZᵀZ) − λ·mean cos(z_v, z̄)",
    paper="Tong et al. 2023 (EMP-SSL); Yu et al. 2020 (MCR²)",
    arxiv="2304.03977, 2006.08558",
    takes="views",
    neighbours="vicreg's covariance term with a bound instead of a penalty; alignment_uniformity spreads by pairs.",
)


def coding_rate(
    views: Views, relation: Relation, *, weight: float = 200.0, squared_eps: float = 0.2, world: World = ONE
) -> Compared:
    """Total coding rate and invariance, of many patches (EMP-SSL: Tong et al. 2023, arXiv 2304.03977).

    With unit vectors z, Z_v the N rows of view v over all processes and z̄ the mean of a row's views::

        R(Z) = ½·log det(I + D/(N·ε²)·ZᵀZ)
        L = mean_v −R(Z_v) − λ·mean_{v, n} cos(z_vn, z̄_n)

    Needs one column and views of it, the more the better (the paper has 20 and more); there are no negatives. Without
    learning (all rows equal) R is ½·ln(1 + D/ε²), its least value for unit vectors, and L is −½·ln(1 + D/ε²) − λ. The
    determinant is that of D × D or of N × N, whichever is smaller, by Cholesky. (lightly 1.6 adds R instead of
    subtracting it, which rewards collapse.) The loss is the same on every process. Numbers: ``anchors`` (rows),
    ``rate`` (mean R, in nats) and ``invariance`` (mean cosine with the mean view).

    Parameters
    ----------
    weight : float
        λ of the invariance.
    squared_eps : float
        ε² > 0, the distortion that the rate allows (Yu et al. 2020, arXiv 2006.08558). The paper squares 0.2, its
        code takes 0.2 as the square, as here.
    """
    xs = checks.same_shapes("views", views, len(relation))
    checks.above("squared_eps", squared_eps)
    n = moments.count(xs[0], world)
    with torch.autocast(xs[0].device.type, enabled=False):
        zs = [similar.unit(x) for x in xs]
        rate = torch.stack([_rate(z, squared_eps, n, world) for z in zs]).mean()
        centre = similar.unit(sum(zs))
        cosine = world.all_reduce(torch.stack([(z * centre).sum() for z in zs]).sum()) / (n * len(zs))
    numbers = {"anchors": torch.tensor(n, device=xs[0].device), "rate": rate.detach(), "invariance": cosine.detach()}
    return -rate - weight * cosine, numbers


def _rate(z: torch.Tensor, squared_eps: float, n: int, world: World) -> torch.Tensor:
    """½·log det(I + c·ZᵀZ) = ½·log det(I + c·ZZᵀ)."""
    d = z.shape[1]
    if d <= n:
        gram = moments.product(z, z, world)
    else:
        everybody = world.gather(z)
        gram = everybody @ everybody.T
    identity = torch.eye(len(gram), dtype=z.dtype, device=z.device)
    return torch.linalg.cholesky(identity + d / (n * squared_eps) * gram).diagonal().log().sum()
