"""A gated recurrent network over time, in both directions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nearfar.encoders.series.steps import OverTime, from_start, turned

MODALITIES = ("series",)


class Gru(OverTime):
    """A GRU (Cho et al. 2014, arXiv 1406.1078); features are the mean and the maximum of its states: D = 2 `out`.

    Parameters
    ----------
    out : int
        Numbers of a state, half of them of each direction.
    missing : bool
        Whether steps may be missing: then a further channel for each says where something was measured.
    """

    def __init__(
        self, *, channels: int, length: int, missing: bool = False, out: int = 128, layers: int = 1
    ) -> None:  # fmt: skip
        super().__init__(channels, out, missing)
        if out % 2:
            raise ValueError(f"out: expected an even number, got {out}")
        self.recurrent = nn.GRU(self.inputs, out // 2, layers, batch_first=True, bidirectional=True)

    def states(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        steps, back = from_start(x.transpose(1, 2), there)
        packed = pack_padded_sequence(steps, there.sum(1).clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=x.shape[2])
        return turned(states, back)


build = Gru
