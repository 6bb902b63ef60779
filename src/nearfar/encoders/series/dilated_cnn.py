"""Dilated convolutions over time, each block looking twice as far; quick, and the usual encoder of series."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.series.steps import OverTime

MODALITIES = ("series",)
STEPS, EPOCHS_LEAST = 200, 4
BATCH_LEAST, BATCH_SHARE = 16, 250
RATE_POWER = 0.5
RATES = {"ts2vec": 4e-3, "t_loss": 4e-3, "tnc": 4e-3, "simclr": 4e-3}
DEEPEST = 10  # blocks that "auto" takes: the paper's


class _Block(nn.Module):
    def __init__(self, width: int, out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Conv1d(a, out, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation) for a in (width, out)
        )
        self.past = nn.Conv1d(width, out, 1) if width != out else nn.Identity()

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        # What is not there is 0 before every convolution, as its own padding is.
        h = self.first(F.gelu(x) * there)
        return (self.second(F.gelu(h) * there) + self.past(x)) * there


class DilatedCnn(OverTime):
    """Residual blocks of two dilated convolutions over time (Franceschi et al. 2019, arXiv 1901.10738).

    As in TS2Vec (Yue et al. 2022, arXiv 2106.10466) a step sees both sides of it. Features are the mean and the maximum
    of the states of all steps, side by side: D = 2 `out`.

    Parameters
    ----------
    layers : int, optional
        Blocks of `width`, whose dilations are 1, 2, 4 …, before the last one, of `out`; by default as many as it takes
        for a step to see `length` steps, and no more than 10.
    kernel : int
        Steps that a convolution takes together; an odd number.
    missing : bool
        Whether steps may be missing: then a further channel for each says where something was measured.
    """

    def __init__(
        self, *, channels: int, length: int, missing: bool = False, width: int = 32, out: int = 128,
        layers: int | None = None, kernel: int = 3,
    ) -> None:  # fmt: skip
        super().__init__(channels, out, missing)
        if kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd number, got {kernel}")
        depth = max(1, min(DEEPEST, math.ceil(math.log2(max(2, length))) - 1)) if layers is None else layers
        self.enter = nn.Conv1d(self.inputs, width, 1)
        widths = [*[width] * (depth + 1), out]
        self.blocks = nn.ModuleList(_Block(a, b, kernel, 2**i) for i, (a, b) in enumerate(pairwise(widths)))

    def states(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        mask = there[:, None].to(x.dtype)
        h = self.enter(x) * mask
        for block in self.blocks:
            h = block(h, mask)
        return h.transpose(1, 2)


build = DilatedCnn
