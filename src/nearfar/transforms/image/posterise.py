"""Posterise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from nearfar.transforms import _spans
from nearfar.transforms.draws import Draws


@dataclass(frozen=True)
class Posterise:
    """Keep the highest bits of 8 only.

    Parameters
    ----------
    bits : (int, int)
        Bits kept, drawn for each row; both ends belong to it.
    p : float
        Probability per row.
    """

    bits: tuple[int, int] = (3, 7)
    p: float = 0.5
    kind: ClassVar[str] = "pixels"
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    def __post_init__(self) -> None:
        _spans.check("posterise.bits", self.bits, least=1, most=8)

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Images (N, C, H, W) in [0, 1] in, and out."""
        bits = draws.integers(self.bits[0], self.bits[1] + 1)
        on = draws.bernoulli(self.p)[:, None, None, None]
        return torch.where(on, posterised(images, bits), images)


def posterised(images: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) with `bits` (N,) of 8 left; values are rounded to 256 levels first."""
    step = (2.0 ** (8 - bits))[:, None, None, None]
    return ((images * 255).round() / step).floor() * (step / 255)
