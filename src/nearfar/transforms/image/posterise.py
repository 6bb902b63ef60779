from dataclasses import dataclass

import torch

from nearfar.core.values import knob
from nearfar.transforms.draws import Draws, check_range


@dataclass(frozen=True)
class Posterise:
    """Keep the highest of 8 bits only; `bits` of them, drawn for each row, both ends included."""

    bits: tuple[int, int] = (3, 7)
    p: float = knob(0.5, low=0, high=1)
    kind = "pixels"
    channels = (1, 3)

    def __post_init__(self) -> None:
        check_range("posterise.bits", self.bits, least=1, most=8)

    def apply(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        bits = draws.integers(self.bits[0], self.bits[1] + 1)
        on = draws.bernoulli(self.p)[:, None, None, None]
        return torch.where(on, posterised(images, bits), images)


def posterised(images: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) with `bits` (N,) of 8 left; values are rounded to 256 levels first."""
    step = (2.0 ** (8 - bits))[:, None, None, None]
    return ((images * 255).round() / step).floor() * (step / 255)
