"""How near a row is to the rows of a class, and from where on it is none of them.

Rows are told apart from those that belong by the distance of their nearest neighbours, as in Sun et al. 2022
(arXiv 2204.06507), here within one class.
"""

from __future__ import annotations

import numpy as np
import torch

from nearfar.vectors.basics import TIE
from nearfar.vectors.neighbours import search

NEAREST = 5
TILE = 2**24  # similarities at once


def to_class(gallery: np.ndarray, y: np.ndarray, queries: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Mean cosine of each query with the nearest gallery rows of the class given for it, float32 (Q,).

    The mean is over 5 rows, or one fewer than the class has: as many as `leave_one_out` can take, so that the two
    may be compared.

    Parameters
    ----------
    gallery, queries : ndarray of float32 (N, D), (Q, D)
        Unit vectors.
    y : ndarray of int64 (N,)
    classes : ndarray of int64 (Q,)
        Each with a row in the gallery.
    """
    similar = np.zeros(len(queries), np.float32)
    for c in np.unique(classes):
        asked, members = classes == c, gallery[y == c]
        similar[asked] = search(queries[asked], members, _count(len(members)))[0].mean(1)
    return similar


def leave_one_out(gallery: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Mean cosine of each gallery row with the nearest others of its class, float32 (N,); NaN where there are none.

    Rows of the same one of `groups`, int64 (N,), are left out with it.
    """
    groups = np.arange(len(y)) if groups is None else groups
    similar = np.full(len(gallery), np.nan, np.float32)
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)
        members, group = torch.from_numpy(gallery[rows]), torch.from_numpy(groups[rows])
        for place in torch.arange(len(rows)).split(max(1, TILE // len(rows))) if len(rows) > 1 else ():
            cosine = members[place] @ members.T
            cosine[group[place][:, None] == group[None]] = -torch.inf
            near = cosine.topk(_count(len(rows)), dim=1).values
            known = ~near.isinf()
            # 0 / 0, which is NaN, where all others of the class are of the row's group
            similar[rows[place.numpy()]] = (near.masked_fill(~known, 0).sum(1) / known.sum(1)).numpy()
    return similar


def threshold(known: np.ndarray, share: float) -> float | None:
    """The cosine below which `share` of rows of known classes, of such similarities to their own, would be refused.

    None where nothing is to be refused (`share` is 0), or there are no rows. Rows that are as near as the threshold
    says are not refused, whatever the last bits of their cosines.
    """
    return float(np.quantile(known, share)) - TIE if share and len(known) else None


def _count(rows: int) -> int:
    return min(NEAREST, max(1, rows - 1))
