"""Alignment and uniformity on the hypersphere: positives near, all embeddings evenly distributed."""

from __future__ import annotations

from dataclasses import replace

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks, mean, moments
from nearfar.objectives.kernel.pairs import Pairs, among, logsumexp, positives, reduce_count

INFO = Objective(
    function="alignment_uniformity",
    formula="L = E_positives |x − y|^α + λ·log E_pairs exp(−t·|x − y|²)",
    paper="Wang and Isola 2020",
    arxiv="2005.10242",
    takes="views",
    data=("one column", "labels"),
    neighbours="What info_nce tends to with many negatives, its two terms apart; the first alone is negative_cosine.",
    min_rows=2,
    degenerate=lambda rows, views: 0.0,
    no_learning=lambda rows, views, _: 0.0,
)


def alignment_uniformity(
    views: Views, relation: Relation, *, alpha: int = 2, t: float = 2.0, weight: float = 1.0, pairs: str = "within",
    world: World = ONE,
) -> Compared:  # fmt: skip
    """Alignment plus weighted uniformity (Wang and Isola 2020, arXiv 2005.10242).

    With unit vectors x (a row of zeros stays 0)::

        L_align   = mean_i  1/|P(i)| Σ_{p∈P(i)} |x_i − x_p|^α
        L_uniform = log mean_{i≠j} exp(−t·|x_i − x_j|²),     |x − y|² = 2 − 2·cos(x, y)
        L = L_align + weight·L_uniform

    Needs one column and views of it, or labels. Pairs of the uniformity are all but that of an embedding with itself:
    positives count among them, as in the paper's code, which knows no groups; ignored pairs are left out. Without
    learning (all embeddings equal) both terms are 0, and better embeddings are below that, down to −4·t·weight. With
    alpha 2, twice as many terms inside of the logarithm and no mean over it, this is `info_nce` with many negatives.
    Numbers: ``anchors``, ``alignment``, ``uniformity``.

    Parameters
    ----------
    alpha : {2, 1}
        α: squared or plain distance.
    t : float
        Sharpness t > 0 of the Gaussian potential, per squared distance (which is 0 to 4).
    weight : float
        λ of the uniformity.
    pairs : {"within", "all"}
        Pairs of the uniformity: those within each view, the logarithms averaged over views, as the paper has it; or
        those of all V·N embeddings together, views of one row too.
    """
    xs = checks.same_shapes("views", views, len(relation))
    if alpha not in (1, 2):
        raise ValueError(f"alpha: expected 1 or 2, got {alpha!r}")
    checks.above("t", t)
    checks.choice("pairs", pairs, ("within", "all"))
    moments.count(xs[0], world, INFO.min_rows)
    with torch.autocast(xs[0].device.type, enabled=False):
        together = among(xs, relation, world)
        of_unit_length = bool(together.columns.detach().any(1).all())  # all but a row of zeros, which has no direction
        if alpha == 2 and of_unit_length:
            near, count = positives(together)
            distance = 2 - 2 * near
        else:
            near, count = positives(replace(together, similarity="squared_euclidean" if alpha == 2 else "euclidean"))
            distance = -near
        local, anchors = mean(distance, count > 0, world)
        sets = [together] if pairs == "all" else [among([x], relation, world) for x in xs]
        uniformity = torch.stack([_uniformity(s, t, of_unit_length, world) for s in sets]).mean()
        loss = local + weight * uniformity
    with torch.no_grad():
        alignment = world.all_reduce(local) / world.size
    return loss, {"anchors": anchors.detach(), "alignment": alignment.detach(), "uniformity": uniformity.detach()}


def _uniformity(pairs: Pairs, t: float, of_unit_length: bool, world: World) -> torch.Tensor:
    """The same on every process: a number per row is all that is gathered."""
    if of_unit_length:
        rows = logsumexp(pairs, 2 * t, "others") - 2 * t
    else:
        rows = logsumexp(replace(pairs, similarity="squared_euclidean"), t, "others")
    total = world.all_reduce(reduce_count(pairs, "others").sum())
    return torch.logsumexp(world.gather(rows), 0) - total.to(rows.dtype).log()
