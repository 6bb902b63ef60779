"""Lower bounds of the mutual information of two columns, as measurements."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Scalar, World, checks, similar
from nearfar.objectives.kernel.pairs import between, logsumexp, reduce, reduce_count

BOUNDS = ("info_nce", "nwj", "jsd", "mine")

INFO = Objective(
    function="mutual_information",
    formula="I ≥ E_joint[f] − log E_product[exp f]  (MINE),  f = s/τ",
    paper="Poole et al. 2019; Belghazi et al. 2018; Hjelm et al. 2018; Nguyen et al. 2010",
    arxiv="1905.06922, 1801.04062, 1808.06670",
    takes="sides",
    symmetries=("rows", "groups"),
    data=("a measurement",),
    neighbours="The info_nce bound is ln(N) minus info_nce_between from left to right; maximising any of them trains.",
    min_rows=2,
    degenerate=lambda rows, views: 0.0,
    no_learning=lambda rows, views, _: 0.0,
)


def mutual_information(
    left: torch.Tensor, right: torch.Tensor, relation: Relation, *, bound: str = "info_nce", temperature: Scalar = 1.0,
    similarity: str = "cosine", world: World = ONE,
) -> Compared:  # fmt: skip
    """A lower bound of the mutual information I of the two sides, in nats, with the critic f_ij = s(l_i, r_j)/τ.

    The joint distribution is the N pairs (i, i), the product of the marginals the pairs (i, j) of different groups::

        info_nce   mean_i  f_ii − log( (exp f_ii + Σ_j exp f_ij) / (1 + |j|) )
        nwj        E_joint[f] − E_product[exp(f − 1)]
        mine       E_joint[f] − log E_product[exp f]
        jsd        2·ln 2 − E_joint[softplus(−f)] − E_product[softplus(f)]

    (van den Oord et al. 2018 as written by Poole et al. 2019, arXiv 1905.06922; Nguyen, Wainwright and Jordan 2010,
    IEEE Transactions on Information Theory; Donsker and Varadhan as used by Belghazi et al. 2018, arXiv 1801.04062;
    Hjelm et al. 2018, arXiv 1808.06670.)

    Needs pairs, and is a measurement, to be *maximised* if anything: its mean over batches is below I, a batch's value
    may be above by chance. Without learning (all similarities equal) info_nce and mine are 0. info_nce is at most
    ln(N): a batch of 256 cannot tell more than 5.5 nats. nwj and mine have no such limit but a variance that grows as
    exp(I); mine, as the logarithm of a mean over a batch, is biased upwards, and nwj overflows in float32 where f is
    above about 85. jsd is 2·ln 2 above what Hjelm et al. train with: with that constant it bounds twice the
    Jensen-Shannon divergence of joint and product, which is at most I and at most 2·ln 2. nwj is tight for f = 1 + log
    density ratio, the others for f = log density ratio (info_nce up to a function of l). The value is the same on
    every process. Numbers: ``anchors`` (joint pairs), ``product`` (product pairs), ``joint`` (mean critic of the joint
    pairs).

    Parameters
    ----------
    relation : Relation
        Group of each row; pairs of one group but not of one row count nowhere, nor do ignored ones.
    bound : {"info_nce", "nwj", "jsd", "mine"}
    """
    x, y = checks.sides(relation, left=left, right=right)
    tau = checks.temperature(temperature)
    checks.choice("bound", bound, BOUNDS)
    with torch.autocast(x.device.type, enabled=False):
        pairs = between(x, y, relation, world, similarity)
        f = similar.of_rows(pairs.rows, similar.prepared(y, similarity), similarity) / tau
        count = reduce_count(pairs, "negatives")
        n, m = (int(world.all_reduce(v)) for v in (torch.tensor(len(f), device=f.device), count.sum()))
        if m == 0:
            raise ValueError("relation.group: expected two rows of different groups, got none")
        joint = world.all_reduce(f.sum()) / n
        if bound == "info_nce":
            everything = torch.logaddexp(f, logsumexp(pairs, 1 / tau, "negatives"))
            value = joint - world.all_reduce((everything - (1 + count).to(f.dtype).log()).sum()) / n
        elif bound == "jsd":
            product = reduce(
                pairs, lambda t, k: t.only("negatives", F.softplus(k * t.similarity), 0.0), 1 / tau, how="sum"
            )
            value = 2 * math.log(2) - world.all_reduce(F.softplus(-f).sum()) / n - world.all_reduce(product.sum()) / m
        else:
            rows = world.gather(logsumexp(pairs, 1 / tau, "negatives"))
            log_mean = torch.logsumexp(rows, 0) - math.log(m)
            value = joint - (log_mean if bound == "mine" else torch.exp(log_mean - 1))
    numbers = {"anchors": torch.tensor(n, device=f.device), "product": torch.tensor(m, device=f.device)}
    return value, numbers | {"joint": joint.detach()}
