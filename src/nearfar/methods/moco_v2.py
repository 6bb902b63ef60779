"""MoCo v2: a query agrees with its key from the momentum twin, against a queue of earlier keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Memory, Mlp, Twin
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

RECORD = Method(
    name="moco_v2",
    idea="a query agrees with the twin's key of its other view, against a queue of earlier keys",
    paper=Paper("Chen, Fan, Girshick, He", 2020, "2003.04297"),
    published=(
        Figure(0.929, "online linear", "CIFAR-10, ResNet-18, 1000 epochs (solo-learn, MoCo V2+)"),
        Figure(0.838, "kNN, maximum over epochs", "CIFAR-10, ResNet-18, 200 epochs (lightly)"),
    ),
    objective="info_nce",
    projector=Mlp(hidden=512, out=128, norm=False),
    twin=Twin(momentum=0.99, final=0.999),
    parts={"memory": Memory(4096)},
    symmetric=False,
    bn="per view",
    bn_groups=8,
    shuffle=True,
    temperature=0.2,
)


def compare(e: Embeddings, record: Method) -> Compared:
    from nearfar.objectives.info_nce import info_nce_against

    memory = e.parts["memory"]

    def one(query: int, key: int) -> Compared:
        return info_nce_against(
            e.online[query], e.target[key], e.relation, memory_keys=memory.keys, memory_groups=memory.groups,
            temperature=record.temperature, world=e.world,
        )  # fmt: skip

    return e.over_pairs(one)
