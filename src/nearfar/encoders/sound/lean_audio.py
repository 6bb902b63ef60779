"""The default for sounds: a few convolutions over mels and time, for short sounds on a processor."""

import torch
from torch import nn

MODALITIES = ("sound",)
# Chosen on held-out training rows and speakers (docs/results/sound.md).
BATCH = 64
STEPS = 1200
NUMBERS = {"simclr": {"temperature": 0.3}}
RATES = {"simclr": 8e-3}


def _stage(inputs: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )


class LeanAudio(nn.Module):
    """Convolutions that halve mels and time, then mean and maximum over both: D = 2 · ``widths[-1]``.

    The mean says how much of a sound there is, the maximum whether it is there at all.
    """

    def __init__(self, *, channels: int, size: int, widths: tuple[int, ...] = (24, 48, 96, 128)) -> None:
        super().__init__()
        before, side, stages = channels, size, []
        for width in widths:
            halve = side > 4
            stages.append(_stage(before, width, 2 if halve else 1))
            before, side = width, -(-side // 2) if halve else side
        self.stages = nn.Sequential(*stages)
        self.out_features = 2 * before

    def steps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is there at each moment, (N, T, 2 · width): mean and maximum over the mels; all moments are there."""
        h = self.stages(x)
        states = torch.cat([h.mean(2), h.amax(2)], 1).mT
        return states, torch.ones(states.shape[:2], dtype=torch.bool, device=x.device)

    def pooled(self, states: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """One vector of all moments, (N, out_features)."""
        mean, most = states.chunk(2, 2)
        return torch.cat([mean.mean(1), most.amax(1)], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(*self.steps(x))


build = LeanAudio
