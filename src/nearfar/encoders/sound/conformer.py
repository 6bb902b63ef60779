"""A small conformer: attention and convolution over the moments of a spectrogram."""

import torch
from torch import nn

MODALITIES = ("sound",)


class Block(nn.Module):
    """Half a feed-forward step, attention, convolution, the other half (Gulati et al. 2020, arXiv 2005.08100)."""

    def __init__(self, width: int, heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.before, self.after = _feed_forward(width, dropout), _feed_forward(width, dropout)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.widen = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GLU())
        self.depthwise = nn.Sequential(
            nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False), nn.BatchNorm1d(width),
            nn.SiLU(), nn.Conv1d(width, width, 1), nn.Dropout(dropout),
        )  # fmt: skip
        self.last = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + 0.5 * self.before(x)
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        x = x + self.depthwise(self.widen(x).mT).mT
        return self.last(x + 0.5 * self.after(x))


def _feed_forward(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(2 * width, width),
        nn.Dropout(dropout),
    )  # fmt: skip


class Conformer(nn.Module):
    """A convolution that halves mels and time, then `layers` blocks; mean and maximum over time: D = 2 · ``width``.

    Attention has `heads` heads, and the convolution of a block sees `kernel` moments, an odd number.
    """

    def __init__(
        self, *, channels: int, size: int, width: int = 96, layers: int = 2, heads: int = 4, kernel: int = 7,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if width % heads:
            raise ValueError(f"width: {width} is no multiple of {heads} heads")
        if kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd number, got {kernel}")
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        half = -(-size // 2)
        self.project = nn.Linear(16 * half, width)
        self.place = nn.Parameter(0.02 * torch.randn(half, width))
        self.blocks = nn.Sequential(*(Block(width, heads, kernel, dropout) for _ in range(layers)))
        self.out_features = 2 * width

    def steps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The states of all moments, (N, T, width), and that all are there."""
        h = self.stem(x)
        states = self.blocks(self.project(h.flatten(1, 2).mT) + self.place[: h.shape[3]])
        return states, torch.ones(states.shape[:2], dtype=torch.bool, device=x.device)

    def pooled(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Mean and maximum over time, (N, out_features)."""
        return torch.cat([states.mean(1), states.amax(1)], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(*self.steps(x))


build = Conformer
