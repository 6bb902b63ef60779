"""PCL: a row agrees with its twin's key, and with the centres of the clusters that it lies in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nearfar.core.values import knob
from nearfar.methods import moco_v2
from nearfar.methods.parts import Facts
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from torch import nn

    from nearfar.methods.embeddings import Compared, Embeddings


@dataclass(frozen=True)
class Clusters:
    """The twin's last embedding of every row, clustered once an epoch into `size`, 2·`size`, … groups.

    None is filled in from the data: a hundred rows a cluster (at least 2 clusters), rows and steps of an epoch.
    """

    size: int | None = knob(None, low=2, high=2**20)
    levels: int = knob(3, low=1, high=10)
    rows: int | None = knob(None, low=1)
    every: int | None = knob(None, low=1)
    concentration: float = knob(10.0, above=0)

    def resolved(self, facts: Facts) -> Clusters:
        size = max(2, facts.train_rows // 100) if self.size is None else self.size
        return replace(self, size=size, rows=self.rows or facts.rows, every=self.every or facts.steps_per_epoch)

    def build(self, dim: int) -> nn.Module:
        from nearfar.methods.parts.cluster_bank import Clustering

        sizes = [self.size * 2**level for level in range(self.levels)]
        return Clustering(self.rows, dim, sizes, self.every, self.concentration)


# Temperature, smoothing and three levels are the paper's (25, 50 and 100 thousand clusters of ImageNet: 50, 25 and 13
# rows each). The first epoch has no clusters yet, the paper's warm-up. The paper embeds the whole set again before it
# clusters; here the embeddings that the epoch made anyway are clustered.
RECORD = replace(
    moco_v2.RECORD,
    name="pcl",
    idea="as moco_v2, and a row agrees with the centres of its clusters, found again in every epoch",
    paper=Paper("Li, Zhou, Xiong, Hoi", 2020, "2005.04966"),
    published=(Figure(0.676, "linear probe", "ImageNet, ResNet-50, 200 epochs (the paper's v2)"),),
    parts={**moco_v2.RECORD.parts, "clusters": Clusters()},
)


def compare(e: Embeddings, record: Method) -> Compared:
    loss, numbers = moco_v2.compare(e, record)
    query = e.pairs[0][0]
    more = e.parts["clusters"].loss(e.online[query], e.index, record.temperature, e.world)
    return (loss, numbers) if more is None else (loss + more, numbers | {"clusters": more.detach()})
