"""CoSENT: pairs in the order of their scores."""

from __future__ import annotations

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, World, checks, similar

INFO = Objective(
    function="cosent",
    formula="L = log(1 + Σ_{score_i > score_j} exp((s_j − s_i)/τ))",
    paper="Su 2022 (CoSENT)",
    arxiv="–",
    takes="scored pairs",
    symmetries=("rows", "groups", "sides"),
    data=("pairs with scores",),
    neighbours="cosine_embedding asks each pair for a cosine of its own, this for their order; circle has its form.",
    min_rows=2,
)


def cosent(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, *, temperature: Scalar = 0.05,
    similarity: str = "cosine", world: World = ONE,
) -> Compared:  # fmt: skip
    """CoSENT, a loss of the ranking of scored pairs (Su 2022, kexue.fm/archives/8847).

    With s_i the similarity of the two sides of pair i::

        L = log( 1 + Σ_{i,j: score_i > score_j} exp((s_j − s_i)/τ) )

    Needs pairs with scores of at least two values. Without learning it is ln(1 + comparisons). It is no mean: it
    grows with the logarithm of the batch, as in the paper and in sentence-transformers' CoSENTLoss, which masks the
    other terms by subtracting 10¹² and holds N² of them. Here pairs are sorted by their scores and every one meets
    the log-sum-exp of those below: time O(N·D + N log N), memory O(N·D). Processes exchange one number per pair; the
    loss is the same on each. Numbers: ``anchors``, how many pairs; ``comparisons``, how many terms the sum has.

    Parameters
    ----------
    relation : Relation
        ``score`` (N,): only its order counts; pairs of equal score are not compared.
    temperature : Scalar
        The paper's factor 20 is 1/τ.
    """
    x, y = checks.sides(relation, left=left, right=right)
    tau, score = checks.temperature(temperature), checks.score(relation, x)
    with torch.autocast(x.device.type, enabled=False):
        x, y = (similar.prepared(side, similarity) for side in (x, y))
        logits = world.gather(similar.of_rows(x, y, similarity) / tau)
        score, order = world.gather_int(score.double()).sort(stable=True)  # whole and half numbers alike, exactly
        logits = logits[order]
        below = torch.searchsorted(score, score)  # how many have a lower score
        comparisons = below.sum()
        if int(comparisons) == 0:
            raise ValueError(f"relation.score: expected at least two values, all {len(score)} are equal")
        lower = torch.logcumsumexp(logits, 0)[(below - 1).clamp(min=0)]
        terms = torch.where(below > 0, lower - logits, -torch.inf)
        loss = torch.logaddexp(terms.logsumexp(0), torch.zeros_like(terms[0]))
    return loss, {"anchors": torch.tensor(len(score), device=x.device), "comparisons": comparisons}
