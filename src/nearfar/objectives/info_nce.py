"""InfoNCE: find the positive among the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from nearfar.objectives import checks
from nearfar.objectives.info import Objective
from nearfar.objectives.relation import Relation
from nearfar.objectives.supcon import supcon
from nearfar.objectives.tiles import Exclusion, logsumexp_cross
from nearfar.objectives.world import ONE, World

INFO = Objective(
    function="info_nce",
    formula="L_i = −log( exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) )",
    paper="van den Oord et al. 2018; Chen et al. 2020 (NT-Xent)",
    arxiv="1807.03748, 2002.05709",
    takes="views",
    symmetries=("rows", "views", "groups"),
    no_learning=lambda rows, views, memory: math.log(memory + 1 if memory else rows * views - 1),
)


def info_nce(
    views: Sequence[torch.Tensor], relation: Relation, *, temperature: float | torch.Tensor = 0.2, world: World = ONE
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """NT-Xent, the symmetric InfoNCE of SimCLR (Chen et al. 2020, arXiv 2002.05709).

    Cross entropy of one embedding's other view among all other embeddings of the batch, itself left out::

        L = mean_i  −log( exp(s_ip/τ) / Σ_{a≠i} exp(s_ia/τ) ),   s the cosine

    Parameters
    ----------
    views : sequence of V ≥ 2 tensors (N, D)
        Embeddings of the same N rows; need not be normalised.
    relation : Relation
        Group of each row. Rows of one group are positives too, never negatives.
    temperature : float or tensor ()
        τ > 0, in units of the cosine; a tensor gets a gradient.
    world : World

    Returns
    -------
    loss : Tensor ()
    numbers : dict
        ``anchors`` and ``positive`` (mean cosine with the positive).

    Raises
    ------
    ValueError
        An argument is not of the kind described.

    Notes
    -----
    Without learning the loss is ln(V·N − 1). More than one positive per row makes it `supcon` ("out"). For keys
    from another network and a queue see `info_nce_against`.
    """
    checks.same_shapes("views", views, len(relation), least=2)
    return supcon(views, relation, temperature=temperature, world=world)


def info_nce_against(
    queries: torch.Tensor, keys: torch.Tensor, relation: Relation, *, memory_keys: torch.Tensor | None = None,
    memory_groups: torch.Tensor | None = None, temperature: float | torch.Tensor = 0.2, world: World = ONE,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """InfoNCE of queries against keys of another network (MoCo: He et al. 2020, arXiv 1911.05722).

    ::

        L = mean_i  −log( exp(q_i·k_i/τ) / (exp(q_i·k_i/τ) + Σ_{m} exp(q_i·m/τ)) )

    where m runs over the memory, or without one over the other keys of the batch; either way without those of i's
    own group, which are neither positive nor negative.

    Parameters
    ----------
    queries, keys : Tensor (N, D)
        Row i of the keys is the positive of row i of the queries.
    relation : Relation
    memory_keys : Tensor (K, D), optional
    memory_groups : LongTensor (K,), optional
        Group of each key in memory.
    temperature : float or tensor ()
    world : World

    Returns
    -------
    loss : Tensor ()
    numbers : dict

    Raises
    ------
    ValueError
        An argument is not of the kind described.

    Notes
    -----
    Without learning the loss is ln(K + 1).
    """
    q, k = checks.same_shapes("queries and keys", (queries, keys), len(relation))
    tau = checks.temperature(temperature)
    if (memory_keys is None) != (memory_groups is None):
        raise ValueError("memory_groups: expected together with memory_keys")
    with torch.autocast(q.device.type, enabled=False):
        q, k = F.normalize(q, dim=1), F.normalize(k, dim=1)
        if memory_keys is None:
            others, groups = world.gather(k), world.gather_int(relation.group)
        else:
            others = F.normalize(checks.embeddings("memory_keys", memory_keys), dim=1).to(q.dtype)
            groups = memory_groups
        seen = Exclusion(row_group=relation.group, column_group=groups, same_group=True)
        negatives = logsumexp_cross(q, others, 1 / tau, seen)
        cosine = (q * k).sum(1)
        count = world.all_reduce(torch.tensor(len(q), device=q.device))
        loss = (torch.logaddexp(cosine / tau, negatives) - cosine / tau).sum() * world.size / count
    with torch.no_grad():
        positive = world.all_reduce(cosine.sum()) / count
    return loss, {"anchors": count, "positive": positive}
