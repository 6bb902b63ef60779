"""Alignment and uniformity on the hypersphere: positives near, all embeddings spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from nearfar.objectives.kernel import checks, moments
from nearfar.objectives.kernel.info import Objective
from nearfar.objectives.kernel.pairs import Pairs, among, logsumexp, positives, reduce_count
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import ONE, World, mean

INFO = Objective(
    function="alignment_uniformity",
    formula="L = E_positives |x − y|^α + λ·log E_pairs exp(−t·|x − y|²)",
    paper="Wang and Isola 2020",
    arxiv="2005.10242",
    takes="views",
    symmetries=("rows", "views", "groups"),
    data=("one column", "labels"),
    neighbours="What info_nce tends to with many negatives, its two terms apart; the first alone is negative_cosine.",
    min_rows=2,
    degenerate=lambda rows, views: 0.0,
    no_learning=lambda rows, views, _: 0.0,
)


def alignment_uniformity(
    views: Sequence[torch.Tensor], relation: Relation, *, alpha: int = 2, t: float = 2.0, weight: float = 1.0,
    pairs: str = "within", world: World = ONE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """Alignment plus weighted uniformity (Wang and Isola 2020, arXiv 2005.10242).

    With unit vectors x (a row of zeros stays 0)::

        L_align   = mean_i  1/|P(i)| Σ_{p∈P(i)} |x_i − x_p|^α
        L_uniform = log mean_{i≠j} exp(−t·|x_i − x_j|²),     |x − y|² = 2 − 2·cos(x, y)
        L = L_align + weight·L_uniform

    Parameters
    ----------
    views : sequence of V tensors (N, D)
        Embeddings of the same N rows; need not be normalised.
    relation : Relation
        Group of each row: who is aligned.
    alpha : {2, 1}
        α: squared or plain distance.
    t : float
        Sharpness t > 0 of the Gaussian potential, per squared distance (which is 0 to 4).
    weight : float
        λ of the uniformity.
    pairs : {"within", "all"}
        Pairs of the uniformity: those within each view, the logarithms averaged over views, as the paper has it; or
        those of all V·N embeddings together, views of one row too.
    world : World

    Returns
    -------
    loss : Tensor ()
        At least −4·t·weight.
    numbers : dict
        ``anchors``, ``alignment``, ``uniformity``.

    Raises
    ------
    ValueError
        An argument is not of the kind described; there is one row only; no row has a positive.

    Notes
    -----
    Needs one column and views of it, or labels. Pairs of the uniformity are all but that of an embedding with itself:
    positives count among them, as in the paper's code, which knows no groups; ignored pairs are left out. Without
    learning (all embeddings equal) both terms are 0, and better embeddings are below that. With alpha 2, twice as
    many terms inside of the logarithm and no mean over it, this is `info_nce` with many negatives.
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
            near, found = positives(together)
            distance = 2 - 2 * near
        else:
            near, found = positives(replace(together, similarity="squared_euclidean" if alpha == 2 else "euclidean"))
            distance = -near
        nobody = "relation.group: expected a row with a positive, every row is alone in its group"
        local, anchors = mean(distance, found > 0, world, nobody)
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
