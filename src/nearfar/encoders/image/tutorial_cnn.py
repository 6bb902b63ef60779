"""The tutorial's CNN of two convolutions, with its flatten put right."""

import torch
from torch import nn

MODALITIES = ("image", "sound")


class TutorialCnn(nn.Module):
    """Two convolutions with pooling and one linear layer.

    The tutorial flattens to 128·4·4 after two poolings of a 32×32 image. The map is 128·8·8 then, so
    ``view(-1, 128·4·4)`` turns 64 images into 256 rows without an error, and rows no longer belong to images.
    """

    def __init__(self, *, channels: int, size: int, out: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(128 * (size // 4) ** 2, out),
        )  # fmt: skip
        self.out_features = out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


build = TutorialCnn
