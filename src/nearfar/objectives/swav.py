"""SwAV: a view's scores predict to which prototypes the other views are assigned, evenly over the batch."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Scalar, Views, World, checks, prototypes

INFO = Objective(
    function="swav",
    formula="L = mean_{i≠j} −Σ_k q_j(k)·log softmax_k(x_i/τ),  q by Sinkhorn",
    paper="Caron et al. 2020",
    arxiv="2006.09882",
    takes="prototypes",
    symmetries=("rows", "views"),
    neighbours="dino takes a momentum twin's softmax for the codes, and centring instead of Sinkhorn's even shares.",
    no_learning=lambda rows, views, prototypes: math.log(prototypes) if prototypes else math.inf,
)


def swav(
    scores: Views, targets: Views, *, temperature: Scalar = 0.1, epsilon: float = 0.05, iterations: int = 3,
    queue: Views | None = None, world: World = ONE,
) -> Compared:  # fmt: skip
    """Swapped prediction of cluster assignments (Caron et al. 2020, arXiv 2006.09882).

    With scores x_i of view i (the paper's are cosines) and codes q_j of view j::

        L = mean over rows and pairs i ≠ j  −Σ_k q_j(k)·log softmax_k(x_i/τ)
        q = exp(x/ε) scaled in turn: each prototype to the same total over all rows, each row to the total 1

    Needs one column and views of it, and prototypes that are learnt. Without learning (all scores equal) it is ln(K).
    The codes are those of the whole batch whatever the number of processes, and are computed as logarithms, so that a
    small ε does not overflow as the exponentials of the paper's code do. Numbers: ``anchors`` (rows times views) and
    ``entropy`` (of the codes, in nats).

    Parameters
    ----------
    targets : Views
        The same scores for the views that codes are made of, which are the 1 to V first ones (the paper's full-size
        crops); get no gradient.
    epsilon : float
        ε > 0, in units of the scores: the smaller, the harder the codes.
    iterations : int
        How often both are scaled.
    queue : sequence of tensors (Q, K), optional
        Scores of earlier rows, one tensor for each target, that share in the totals; the same on every process.
    """
    xs, ts = prototypes.inputs(scores, targets)
    tau = checks.temperature(temperature)
    if queue is not None and len(queue) != len(ts):
        raise ValueError(f"queue: expected one tensor for each of {len(ts)} targets, got {len(queue)}")
    with torch.autocast(xs[0].device.type, enabled=False):
        queues = [None] * len(ts) if queue is None else queue
        codes = [
            sinkhorn(t, epsilon=epsilon, iterations=iterations, queue=q, world=world)
            for t, q in zip(ts, queues, strict=True)
        ]
        return prototypes.swapped(xs, codes, tau, world)


@torch.no_grad()
def sinkhorn(
    scores: torch.Tensor, *, epsilon: float = 0.05, iterations: int = 3, queue: torch.Tensor | None = None,
    world: World = ONE,
) -> torch.Tensor:  # fmt: skip
    """Codes (N, K) of this process's rows by Sinkhorn and Knopp's scaling of the whole batch; each row adds up to 1."""
    checks.above("epsilon", epsilon)
    checks.above("iterations", iterations)
    rows = scores / epsilon
    old = rows[:0] if queue is None else checks.embeddings("queue", queue).to(rows) / epsilon
    if old.shape[1] != rows.shape[1]:
        raise ValueError(f"queue: expected {rows.shape[1]} prototypes, got {old.shape[1]}")
    for _ in range(iterations):
        totals = world.gather_int(rows.logsumexp(0)[None])  # a line per process: of each prototype, over its rows
        total = torch.cat((totals, old)).logsumexp(0)
        rows, old = (torch.log_softmax(x - total, 1) for x in (rows, old))
    return rows.exp()
