"""VICReg: views agree, dimensions vary, dimensions tell different things."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, moments

INFO = Objective(
    function="vicreg",
    formula="L = λ·mean (x − y)² + μ·mean_d max(0, 1 − std_d) + ν·1/D Σ_{d≠e} (Cov_de² of x + Cov_de² of y)",
    paper="Bardes et al. 2021",
    arxiv="2105.04906",
    takes="views",
    neighbours="barlow_twins correlates one view with the other; sigreg asks for all moments instead of two.",
    min_rows=2,
)


def vicreg(
    views: Views, relation: Relation, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0,
    eps: float = 1e-4, world: World = ONE,
) -> Compared:  # fmt: skip
    """Variance, invariance, covariance regularisation of V ≥ 2 views (Bardes et al. 2021, arXiv 2105.04906).

    With views x and y, and variances and covariances (divided by N − 1) over all rows of all processes::

        s(x, y) = 1/(N·D) Σ_n |x_n − y_n|²
        v(x) = 1/D Σ_d max(0, 1 − √(Var x_d + ε))
        c(x) = 1/D Σ_d Σ_{e≠d} Cov(x)_de²
        L = mean over pairs of views  λ·s(x, y) + μ·½(v(x) + v(y)) + ν·(c(x) + c(y))

    Needs one column and views of it; there are no negatives. The scale of the embeddings matters: each dimension is
    asked for standard deviation 1. Without learning (all rows equal) it is μ·(1 − √ε). The paper's text sums s over
    dimensions and has v(x) + v(y); its code, whose weights 25, 25, 1 and figures these are, takes means, as here
    (lightly does too, solo-learn sums the v). Memory is O(N·D + D²). The loss is the same on every process. Numbers:
    ``anchors`` (rows) and the three terms before they are weighted, ``invariance``, ``variance``, ``covariance``.

    Parameters
    ----------
    invariance, variance, covariance : float
        λ, μ and ν.
    eps : float
        ε > 0, in squared units of the embeddings: keeps the gradient finite where a dimension is constant.
    """
    xs = checks.same_shapes("views", views, len(relation), least=2)
    checks.above("eps", eps)
    n, d = moments.count(xs[0], world, INFO.min_rows), xs[0].shape[1]
    with torch.autocast(xs[0].device.type, enabled=False):
        s = world.all_reduce(moments.squared_distance(xs).sum()) / (n * d)
        covariances = [moments.product(z, z, world) / (n - 1) for z in (moments.centred(x, world, n) for x in xs)]
        variances = [c.diagonal() for c in covariances]
        v = torch.stack([F.relu(1 - (x + eps).sqrt()).mean() for x in variances]).mean()
        pairs = zip(covariances, variances, strict=True)
        c = 2 * torch.stack([(c.square().sum() - x.square().sum()) / d for c, x in pairs]).mean()
        loss = invariance * s + variance * v + covariance * c
    terms = {"invariance": s, "variance": v, "covariance": c}
    return loss, {"anchors": torch.tensor(n, device=xs[0].device)} | {k: x.detach() for k, x in terms.items()}
