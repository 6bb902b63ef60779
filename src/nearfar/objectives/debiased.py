"""Contrastive loss that allows for false negatives and looks harder at hard ones."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, Views, World, checks, mean_of_anchors
from nearfar.objectives.kernel.pairs import Pairs, Tile, among, logsumexp, positives, reduce, reduce_count

INFO = Objective(
    function="debiased",
    formula="L_i = log(1 + G_i e^{−s_ip/τ}),  G_i = max{(Σ_n ω_n e^{s_in/τ} − N τ⁺ e^{s_ip/τ})/(1 − τ⁺), N e^{−1/τ}}",
    paper="Chuang et al. 2020; Robinson et al. 2020 (hard negatives)",
    arxiv="2007.00224, 2010.04592",
    takes="views",
    neighbours="With τ⁺ = 0 and β = 0 and one positive per row this is NT-Xent (info_nce).",
    degenerate=lambda rows, views: math.log(1 + views * (rows - 1)),
    no_learning=lambda rows, views, _: math.log(1 + views * (rows - 1)),
)


def debiased(
    views: Views, relation: Relation, *, temperature: Scalar = 0.5, tau_plus: float = 0.1, beta: float = 0.0,
    world: World = ONE,
) -> Compared:  # fmt: skip
    """Debiased contrastive loss (Chuang et al. 2020, arXiv 2007.00224), and hard negatives (Robinson et al. 2020).

    Negatives are drawn at random, so a share τ⁺ of them belongs to the anchor's own class; their expected part is
    taken off. With cosines s, P(i) the positives of anchor i and N negatives n::

        L = mean_i mean_{p∈P(i)}  −log( exp(s_ip/τ) / (exp(s_ip/τ) + G_i) )
        G_i = max{ ( Σ_n ω_in exp(s_in/τ) − N τ⁺ mean_{p∈P(i)} exp(s_ip/τ) ) / (1 − τ⁺),  N exp(−1/τ) }
        ω_in = exp(β s_in/τ) / mean_m exp(β s_im/τ)

    ω is the importance of hard negatives (Robinson et al., arXiv 2010.04592), 1 for β = 0.

    Needs one column and views of it. Without learning it is ln(1 + V·(N − 1)), of two views ln(2N − 1). With τ⁺ = 0
    and β = 0 and one positive per row it is `info_nce`. The similarity is the cosine, on whose least value −1 the
    lower bound of G rests. The paper of hard negatives weighs by exp(β f·f') with embeddings of length 1/τ, its code
    by exp(β s/τ); this is the code's β. Gradients go through ω, as there.

    Parameters
    ----------
    tau_plus : float
        τ⁺, from 0 to below 1: chance that two rows are of one class, about 1/(number of classes).
    beta : float
        Hardness, from 0 (all negatives alike); 0.5 to 2 in the paper.
    """
    xs = checks.same_shapes("views", views, len(relation))
    tau, beta = checks.temperature(temperature), checks.at_least("beta", beta)
    if not 0 <= tau_plus < 1:
        raise ValueError(f"tau_plus: expected a number from 0 to below 1, got {tau_plus}")
    with torch.autocast(xs[0].device.type, enabled=False):
        pairs = among(xs, relation, world)
        positive, count = positives(pairs)
        has, single = count > 0, bool((count <= 1).all())
        if single:  # the mean over one positive is the positive
            of_positives = positive / tau
        else:
            of_positives = logsumexp(pairs, 1 / tau, "positives") - count.clamp(min=1).to(positive.dtype).log()
        log_g = _log_negatives(pairs, torch.where(has, of_positives, 0.0), tau, tau_plus, beta)
        if single:
            losses = _cross_entropy(positive / tau, log_g)
        else:
            total = reduce(pairs, _term, 1 / tau, log_g, how="sum", symmetric=False, over="positives")
            losses = total / count.clamp(min=1)
        return mean_of_anchors(losses, positive, has, world)


def _cross_entropy(positive: torch.Tensor, log_g: torch.Tensor) -> torch.Tensor:
    x = log_g - positive
    return torch.logaddexp(torch.zeros_like(x), x)


def _term(tile: Tile, factor: torch.Tensor, log_g: torch.Tensor) -> torch.Tensor:
    return tile.only("positives", _cross_entropy(factor * tile.similarity, log_g[tile.rows, None]), 0.0)


def _log_negatives(pairs: Pairs, of_positives: torch.Tensor, tau: Scalar, tau_plus: float, beta: float) -> torch.Tensor:
    """log G of each row; −inf for one without negatives. `of_positives` is log mean exp(s_ip/τ)."""
    n = reduce_count(pairs, "negatives")
    log_n = n.clamp(min=1).to(of_positives.dtype).log()
    everything = logsumexp(pairs, (1 + beta) / tau, "negatives")
    if beta:
        everything = everything - logsumexp(pairs, beta / tau, "negatives") + log_n
    everything = torch.where(n > 0, everything, 0.0)
    estimate = everything
    if tau_plus:
        # log(e^a − e^b) = a + log(1 − e^(b−a)); where nothing is left the lower bound holds
        gap = math.log(tau_plus) + log_n + of_positives - everything
        left = gap < -torch.finfo(gap.dtype).eps
        log_rest = everything + torch.log(-torch.expm1(torch.where(left, gap, -1.0)))
        estimate = torch.where(left, log_rest - math.log1p(-tau_plus), -torch.inf)
    return torch.where(n > 0, torch.maximum(estimate, log_n - 1 / tau), -torch.inf)
