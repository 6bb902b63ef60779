"""What encoders of histories share: events (N, L, 2), the item's number and one, 0 where there is none, and weight."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

UNIT = 1000  # a weight of 1 as it is stored
SPARSE = 100_000  # items from which on a table's gradient holds the rows that were looked up alone


class Events(NamedTuple):
    """The E events of N rows, one after the other."""

    items: torch.Tensor  # int64 (E,)
    weights: torch.Tensor  # float32 (E,)
    rows: torch.Tensor  # int64 (E,)
    back: torch.Tensor  # int64 (E,), how many events of the row come later
    offsets: torch.Tensor  # int64 (N,), where each row begins


def events(x: torch.Tensor) -> Events:
    """The events that are there."""
    there = x[:, :, 0] != 0
    rows, place = there.nonzero(as_tuple=True)
    counts = there.sum(1)
    own = x[rows, place]
    back = counts.cumsum(0)[rows] - 1 - torch.arange(len(rows), device=x.device)
    return Events(own[:, 0].long() - 1, own[:, 1].float() / UNIT, rows, back, counts.cumsum(0) - counts)


def bags(table: torch.Tensor, items: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted sum of the rows of a table for each row of events, (N, D)."""
    return F.embedding_bag(items, table, offsets, mode="sum", per_sample_weights=weights, sparse=sparse(table))


def rows_of(table: torch.Tensor, ids: torch.Tensor | None) -> torch.Tensor:
    """Some rows of a table, or all of them."""
    return table if ids is None else F.embedding(ids, table, sparse=sparse(table))


def sparse(table: torch.Tensor) -> bool:
    """Whether the gradient of a table holds only the rows that were looked up."""
    return len(table) >= SPARSE


def matrix(x: torch.Tensor, items: int, weights: torch.Tensor | None = None) -> object:
    """Rows by items as a scipy sparse matrix (N, I), of the weights given or ones."""
    from scipy.sparse import csr_array

    e = events(x)
    values = np.ones(len(e.items), np.float32) if weights is None else weights.cpu().numpy().astype(np.float32)
    return csr_array((values, (e.rows.cpu().numpy(), e.items.cpu().numpy())), shape=(len(x), items))


def of_features(content: np.ndarray | None, items: int) -> object:
    """Features by items as a scipy sparse matrix (F, I) of ones; `content` int (I, K) as ``known`` of the modality."""
    from scipy.sparse import csr_array

    if content is None:
        return csr_array((0, items), dtype=np.float32)
    item, place = np.nonzero(content)
    feature = content[item, place] - 1
    return csr_array((np.ones(len(item), np.float32), (feature, item)), shape=(int(feature.max(initial=-1)) + 1, items))
