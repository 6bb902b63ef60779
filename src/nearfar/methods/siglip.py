"""SigLIP: every pair of the batch by itself is a match or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.parts import Learnt, LearntScale, Meeting
from nearfar.methods.record import Figure, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# Scale, the inverse of the temperature, and bias start where the paper's do and are learnt.
RECORD = Method(
    name="siglip",
    idea="each pair of the batch is asked by itself whether it belongs together; scale and bias are learnt",
    paper=Paper("Zhai, Mustafa, Kolesnikov, Beyer", 2023, "2303.15343"),
    published=(
        Figure(0.891, "recall@1, picture to caption", "Flickr30k, ViT-B-16, web-scale pretraining (open_clip)"),
    ),
    objective="sigmoid",
    takes="pairs",
    projector=Meeting(),
    parts={"scale": LearntScale(10.0), "bias": Learnt(-10.0, low=None, logarithmic=False)},
    keep="projection",
    lr=2e-3,
)


def compare(e: Embeddings, record: Method) -> Compared:
    """All pairs of columns."""
    from nearfar.objectives.sigmoid import sigmoid

    scale, bias = e.parts["scale"](), e.parts["bias"]()
    return e.over_sides(
        lambda left, right, relation, _: sigmoid(left, right, relation, scale=scale, bias=bias, world=e.world)
    )
