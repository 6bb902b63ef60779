"""Slaney's mel scale: linear up to 1 kHz and logarithmic above, as in the Auditory Toolbox (Slaney 1998)."""

import math

import torch

BREAK, LINEAR = 1000.0, 200.0 / 3  # Hz up to which it is linear, and Hz of one mel there
CORNER, STEP = BREAK / LINEAR, math.log(6.4) / 27  # the mel of that, and what one mel adds to the logarithm above


def mel_of(hertz: torch.Tensor) -> torch.Tensor:
    """Mels of frequencies."""
    above = CORNER + (hertz.clamp(min=BREAK) / BREAK).log() / STEP
    return torch.where(hertz < BREAK, hertz / LINEAR, above)


def hertz_of(mel: torch.Tensor) -> torch.Tensor:
    """Frequencies of mels."""
    return torch.where(mel < CORNER, mel * LINEAR, BREAK * ((mel - CORNER) * STEP).exp())


def edges(rate: int, mels: int) -> torch.Tensor:
    """Frequencies between 0 and half the rate where triangles of so many mels begin, peak and end, (mels + 2,)."""
    top = mel_of(torch.tensor(rate / 2, dtype=torch.float64))
    return hertz_of(torch.linspace(0, float(top), mels + 2, dtype=torch.float64))
