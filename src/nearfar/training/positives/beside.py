"""Rows that follow each other in their file belong together: sentences of one document, frames of one recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfar.core.errors import DataError
from nearfar.training.positives import Context, Positives, own, whole


def build(context: Context, argument: str) -> Positives:
    """Further views come from the rows at most `argument` places before or after, by default 1.

    A skipped row, such as an empty line of a text, ends a document, as the end of a file does: what stands behind it is
    no neighbour of what stands before it. Rows of several columns are refused: the columns are each other's positives.
    Neighbours as positives are Kiros et al. 2015 (arXiv 1506.06726) and Logeswaran & Lee 2018 (arXiv 1803.02893). As
    with a teacher's neighbours, the partner of a row is drawn again for each view. A row without one is its own.
    """
    distance = whole(argument or 1, "the number after the colon", 1)
    if len(context.table.columns) > 1:
        raise DataError("rows beside each other are positives of one column only.", where="model.positives")
    document = documents(context.table.names)
    partners = own(len(document))[:, None] + np.setdiff1d(np.arange(-distance, distance + 1), 0)
    trained = np.zeros(len(document), bool)
    trained[context.rows] = True
    inside = partners.clip(0, len(document) - 1)
    fits = (inside == partners) & trained[inside] & (document[inside] == document[:, None])
    have = fits.any(1)
    if not have[context.rows].any():
        raise DataError("no row that is trained on has another beside it.", where="model.positives")
    fits[~have, 0], inside[~have, 0] = True, np.flatnonzero(~have)
    # Whatever fits is repeated over the places of what does not, so that a partner is drawn by its place alone.
    places = np.argsort(~fits, 1, kind="stable")
    turn = np.arange(inside.shape[1]) % fits.sum(1)[:, None]
    positives = Positives(
        own(len(document)),
        f"Positives: further views of a row come from rows at most {distance} before or after it in its document; "
        f"{int((~have[context.rows]).sum()):,} of {len(context.rows):,} rows have none.",
    )
    positives.partners = np.take_along_axis(inside, np.take_along_axis(places, turn, 1), 1)
    return positives


def documents(names: Sequence[str]) -> np.ndarray:
    """Number of the document of each row, int64 (N,), from names such as ``book.txt:17``; all one without numbers."""
    parts = [str(n).rpartition(":") for n in names]
    if not all(p[2].isdecimal() for p in parts):
        return np.zeros(len(parts), np.int64)
    line = np.asarray([int(p[2]) for p in parts])
    file = np.unique([p[0] for p in parts], return_inverse=True)[1]
    new = (np.diff(line) != 1) | (np.diff(file) != 0)
    return np.concatenate(([0], np.cumsum(new)))
