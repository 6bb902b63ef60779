"""The shape of an embedding, without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nearfar.vectors import geometry, label_free

ROWS = 5000


def describe(x: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Effective rank, uniformity and mean cosine of vectors (N, D).

    Sources: Roy and Vetterli 2007; Garrido et al. 2022 (RankMe, arXiv 2210.02885); Wang and Isola 2020
    (arXiv 2005.10242).
    """
    rows = np.random.default_rng(seed).permutation(len(x))[:ROWS]
    z = torch.from_numpy(np.ascontiguousarray(x[rows]))
    if len(z) < 3:
        return {"rows": len(z)}
    return {
        "effective_rank": float(geometry.effective_rank(z)), "rankme": label_free.rankme(z),
        "uniformity": float(geometry.uniformity(z[:2000])), "mean_cosine": float(geometry.mean_cosine(z)),
        "dimensions": int(z.shape[1]), "rows": len(z),
    }  # fmt: skip
