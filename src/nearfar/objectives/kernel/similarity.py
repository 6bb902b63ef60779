"""Similarities of all rows with all columns of a tile; distances count negatively, so more is always nearer."""

from __future__ import annotations

import torch

SIMILARITIES = ("cosine", "dot", "euclidean", "squared_euclidean")
CANCELLED = 1e-3  # below this share of |x|² + |y|² the difference of squares has lost three digits or more
ZERO = 1e-12  # length that counts as none, as in torch.nn.functional.normalize
FEW = 8  # such pairs per row that are computed one by one


def prepared(x: torch.Tensor, similarity: str) -> torch.Tensor:
    """Rows as `of_tile` and `of_rows` want them: of unit length for the cosine."""
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity: expected one of {', '.join(SIMILARITIES)}, got {similarity!r}")
    return unit(x) if similarity == "cosine" else x


def unit(x: torch.Tensor) -> torch.Tensor:
    """Rows of length 1. One that is shorter than `ZERO` has no direction: it becomes 0 and gets no gradient."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.where(length > ZERO, x / length.clamp(min=ZERO), 0.0)


def of_tile(x: torch.Tensor, y: torch.Tensor, similarity: str) -> torch.Tensor:
    """Similarity of prepared rows x (A, D) with y (B, D), shape (A, B)."""
    return x @ y.T if similarity in ("cosine", "dot") else _of_squares(_squared_distance(x, y), similarity)


def of_rows(x: torch.Tensor, y: torch.Tensor, similarity: str) -> torch.Tensor:
    """Similarity of row with row: prepared x (…, D) with y (…, D), shape (…)."""
    return (x * y).sum(-1) if similarity in ("cosine", "dot") else _of_squares((x - y).square().sum(-1), similarity)


def _of_squares(squared: torch.Tensor, similarity: str) -> torch.Tensor:
    """−|x − y|² or −|x − y|, whose gradient is 0 where x is y: the root of 0 has none."""
    return -squared if similarity == "squared_euclidean" else -squared.clamp(min=torch.finfo(squared.dtype).tiny).sqrt()


def _squared_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """By one matrix product, and by differences where that would leave few digits."""
    size = x.square().sum(1)[:, None] + y.square().sum(1)[None]
    squared = torch.addmm(size, x, y.T, alpha=-2)
    near = (squared < CANCELLED * size).nonzero(as_tuple=True)
    if len(near[0]) > FEW * max(x.shape[0], y.shape[0]):  # a collapsed batch: all by differences
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
    if len(near[0]):
        squared = squared.index_put(near, (x[near[0]] - y[near[1]]).square().sum(1))
    return squared.clamp(min=0)
