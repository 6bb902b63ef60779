"""TNC: states of steps near each other belong together; of far ones nobody knows, but most do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.methods.record import Loss, Method, Paper

if TYPE_CHECKING:
    from nearfar.methods.embeddings import Compared, Embeddings

# The paper finds by a test of stationarity how far a neighbourhood reaches, encodes windows and lets a network tell
# neighbours apart. Here a share of the steps is the neighbourhood, and dot products of states of steps are compared.
RECORD = Method(
    name="tnc",
    idea="steps near each other belong together, far ones mostly do not",
    paper=Paper("Tonekaboni, Eytan, Goldenberg", 2021, "2106.00750"),
    expected="for what changes its state over time, such as a long recording cut into windows",
    objective=Loss("neighbourhood"),
    projector=None,
    steps=True,
    wants=("an encoder that keeps time",),
)


def compare(e: Embeddings, record: Method) -> Compared:
    return record.loss(e.steps, e.there, e=e)
