"""Angular-margin heads, CosFace and ArcFace: a softmax over classes that asks more of the right one."""

from __future__ import annotations

import math

import torch

from nearfar.objectives.kernel import ONE, Compared, Objective, Relation, Views, World, checks
from nearfar.objectives.kernel.classes import against

MARGINS = {"arcface": 0.5, "cosface": 0.35}  # radians; cosine
SCALE = 64.0

INFO = Objective(
    function="angular_margin",
    formula="L_i = −log( e^{s φ(θ_iy)} / (e^{s φ(θ_iy)} + Σ_{c≠y} e^{s cos θ_ic}) ),  φ(θ) = cos(θ + m) or cos θ − m",
    paper="Wang et al. 2018 (CosFace); Deng et al. 2018 (ArcFace); An et al. 2020 (Partial FC)",
    arxiv="1801.09414, 1801.07698, 2010.05222",
    takes="classes",
    symmetries=("rows", "views"),
    data=("labels",),
    neighbours="cross_entropy of scaled cosines with a margin at the right class; supcon needs no weights of classes.",
    no_learning=lambda rows, views, classes: (
        math.log1p((classes - 1) * math.exp(SCALE * math.sin(MARGINS["arcface"]))) if classes else math.inf
    ),
)


def angular_margin(
    views: Views, relation: Relation, weight: torch.Tensor, *, kind: str = "arcface", margin: float | None = None,
    scale: float = SCALE, sampled: torch.Tensor | None = None, world: World = ONE,
) -> Compared:  # fmt: skip
    """Softmax over classes with a margin: CosFace and ArcFace, with all or with sampled classes (Partial FC).

    Wang et al. 2018 (arXiv 1801.09414), Deng et al. 2018 (arXiv 1801.07698), An et al. 2020 (arXiv 2010.05222). With
    θ_ic the angle between embedding i and the weight of class c, and y the right class::

        L = mean_i  −log( exp(s φ(θ_iy)) / ( exp(s φ(θ_iy)) + Σ_{c≠y} exp(s cos θ_ic) ) )
        CosFace:  φ(θ) = cos θ − m
        ArcFace:  φ(θ) = cos(θ + m),  and cos θ − m sin m where θ + m > π

    Needs labels. Without learning (all angles 90°) it is ln(1 + (C − 1)·e^(s·sin m)) for ArcFace and ln(1 + (C −
    1)·e^(s·m)) for CosFace. Memory is O(N·D + C·D). Past θ = π − m the official code goes on with cos θ − m sin m,
    which keeps falling (with a step down); so does this. Its "easy margin" (no margin past 90°) is not offered. Without
    a margin it is a softmax over cosines; `supcon` compares rows with rows instead.

    Parameters
    ----------
    relation : Relation
        Group of each row is its class; groups from C on are unlabelled rows, which are left out.
    weight : Tensor (C, D)
        A direction for each class, the same tensor on all processes; need not be of unit length.
    kind : {"arcface", "cosface"}
    margin : float, optional
        m from 0; radians below π for ArcFace (0.5 by default), units of the cosine for CosFace (0.35).
    scale : float
        s > 0, what others call 1/τ.
    sampled : LongTensor (S,), optional
        Different class numbers, the same on all processes, of which the sum over c consists (Partial FC); a row's
        own class is always its numerator and counted once. See `nearfar.objectives.kernel.classes.sample_classes`.
    """
    checks.choice("kind", kind, tuple(MARGINS))
    m = checks.at_least("margin", MARGINS[kind] if margin is None else margin)
    checks.above("scale", scale)
    if kind == "arcface" and m >= math.pi:
        raise ValueError(f"margin: expected an angle below π, got {m}")
    with torch.autocast(relation.group.device.type, enabled=False):
        c = against(views, relation, weight, sampled, "cosine")
        target = c.own - m
        if kind == "arcface":
            # sin θ as half the product of |x − w| and |x + w|: √(1 − cos²) has few digits and no gradient near 0 and π
            sine = (c.pairs.rows - c.mine).norm(dim=1) * (c.pairs.rows + c.mine).norm(dim=1) / 2
            turned = c.own * math.cos(m) - sine * math.sin(m)
            target = torch.where(c.own > -math.cos(m), turned, c.own - m * math.sin(m))
        return c.softmax_loss(scale * target, scale, world)
