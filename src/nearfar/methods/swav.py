"""SwAV: one view's prototypes predict those that another view was assigned to, evenly over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Mlp, Prototypes
from nearfar.methods.record import Figure, Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# Temperature and epsilon are the paper's. Two views, as in solo-learn's CIFAR setting: of a picture of 32 pixels the
# paper's small crops show a twentieth, which is too little, and the codes became even (the loss stayed at ln K).
# `views.recipe=swav` with `method.count=8 method.local=6` has them. 64 prototypes instead of 3000, and no queue:
# Sinkhorn shares out the rows of one batch evenly. The projection's batch norm keeps its rows apart in short runs.
RECORD = Method(
    name="swav",
    idea="a view's prototypes predict those of another view, which are shared out evenly over the batch",
    paper=Paper("Caron et al.", 2020, "2006.09882"),
    published=(
        Figure(0.892, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.532, "linear probe", "CIFAR-10, ResNet-18, 10 epochs (EMP-SSL's table)"),
    ),
    objective=Loss("swav"),
    projector=Mlp(hidden=1024, out=128, norm_last=True),
    parts={"prototypes": Prototypes(64)},
    temperature=0.1,
)


def compare(e: Embeddings, record: Method) -> Compared:
    near, (order, targets) = e.parts["prototypes"], e.global_first
    scores = [near(e.online[i]) for i in order]
    return record.loss(scores, scores[:targets], e=e)
