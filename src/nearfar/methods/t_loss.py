"""T-Loss: a part of a series is near a part of that part, and far from parts of other series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.record import Figure, Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The paper draws 1 to 20 other series for each; here all others of the batch are its negatives.
RECORD = Method(
    name="t_loss",
    idea="a part of a series is near a part of that part, and far from parts of the other series",
    paper=Paper("Franceschi, Dieuleveut, Jaggi", 2019, "1901.10738"),
    published=(
        Figure(0.980, "RBF-SVM", "GunPoint, 10 negatives (the authors' results)"),
        Figure(0.954, "RBF-SVM", "ItalyPowerDemand, 10 negatives (the authors' results)"),
        Figure(0.979, "RBF-SVM", "PenDigits, 10 negatives (the authors' results)"),
    ),
    objective=Loss("sigmoid", {"scale": 1.0, "bias": 0.0, "similarity": "dot"}),
    views="subseries",
    own_views=True,
    projector=None,
    wants=("negatives from the batch",),
)


def compare(e: Embeddings, record: Method) -> Compared:
    return e.over_sides(lambda left, right, relation, _: record.loss(left, right, relation, e=e))
