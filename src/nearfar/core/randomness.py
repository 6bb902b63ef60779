"""Random numbers as a formula: every generator is seeded by what it is for, so a run can be continued anywhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *purpose: object) -> int:
    """A 63-bit seed from the run's seed and what it is for, such as ``("views", epoch, step, column, view)``."""
    text = "\x1f".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A fresh CPU generator seeded by `derive`."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *purpose))
