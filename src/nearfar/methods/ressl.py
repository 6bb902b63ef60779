"""ReSSL: a strong view is as near to earlier rows as the twin says that a weak view is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Memory, Mlp, Twin
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# Both temperatures are the paper's; the queue holds 4096 keys as in its runs on small sets.
RECORD = Method(
    name="ressl",
    idea="a strong view is as near to earlier rows as the twin says that a weak view is",
    paper=Paper("Zheng et al.", 2021, "2107.09282"),
    published=(
        Figure(0.906, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn)"),
        Figure(0.256, "linear probe", "CIFAR-10, ResNet-18, 10 epochs (EMP-SSL's table)"),
    ),
    objective="dino",
    views="ressl",
    projector=Mlp(hidden=512, out=128),
    twin=Twin(momentum=0.99, final=1.0),
    parts={"memory": Memory(4096)},
    symmetric=False,
    bn="per view",
    temperature=0.1,
    options={"target_temperature": 0.04},
)


def compare(e: Embeddings, record: Method) -> Compared:
    """The paper's sentence: cross entropy of the softmaxes over the queue, which is dino's without a centre."""
    from nearfar.objectives.dino import dino

    near = e.parts["memory"].similarity

    def one(i: int, j: int) -> Compared:
        target = near(e.target[j])
        return dino(
            [target, near(e.online[i])], [target], temperature=record.temperature,
            target_temperature=record.options["target_temperature"], world=e.world,
        )  # fmt: skip

    return e.over_pairs(one)
