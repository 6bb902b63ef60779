"""From waveforms to what an encoder of sounds sees: log-mel spectrograms of a whole batch, on its device."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F

from nearfar.transforms.sound._mel import edges

QUIETEST = 1e-10  # of a power, before the logarithm
RANGE = 80.0  # decibels below a clip's loudest point; what is quieter counts as so loud


def log_mel(waves: torch.Tensor, lengths: torch.Tensor, *, rate: int, mels: int, window: int, hop: int) -> torch.Tensor:
    """Log-mel spectrograms in decibels, (N, mels, T), as librosa defines them for each clip by itself.

    That is ``power_to_db(melspectrogram(y, sr=rate, n_fft=window, hop_length=hop, n_mels=mels))``: a Hann window
    around every `hop` samples, zeros outside of the clip, Slaney's mel scale with filters of equal area.

    Parameters
    ----------
    waves : Tensor (N, L), float32 or float64
        Samples; zero from each clip's length on.
    lengths : Tensor (N,), int
        Samples of each clip.
    rate : int
        Samples per second.
    mels, window, hop : int
        Number of filters; samples of a window and between two windows.

    Returns
    -------
    Tensor (N, mels, T), of which the first `frames_of` are the clip's; what follows is padding.
    """
    hann = torch.hann_window(window, device=waves.device, dtype=waves.dtype)
    padded = F.pad(waves, (window // 2, window // 2))
    spectrum = torch.fft.rfft(padded.unfold(1, window, hop) * hann).abs().square()  # (N, T, bins)
    power = (spectrum @ filters(rate, mels, window, waves.device).to(waves.dtype)).mT
    decibels = 10 * power.clamp_(min=QUIETEST).log10_()
    there = torch.arange(decibels.shape[2], device=waves.device) < frames_of(lengths, hop)[:, None]
    loudest = decibels.masked_fill(~there[:, None], -math.inf).amax((1, 2), keepdim=True)
    return torch.maximum(decibels, loudest - RANGE)


def frames_of(lengths: torch.Tensor, hop: int) -> torch.Tensor:
    """Frames of clips of so many samples."""
    return 1 + lengths // hop


@functools.lru_cache(maxsize=8)
def filters(rate: int, mels: int, window: int, device: torch.device) -> torch.Tensor:
    """Triangular filters on Slaney's mel scale from 0 Hz to half the rate, float64 (window // 2 + 1, mels).

    Each has the same area, as in the Auditory Toolbox (Slaney 1998).
    """
    bins = torch.linspace(0, rate / 2, window // 2 + 1, dtype=torch.float64)
    ends = edges(rate, mels)
    rising = (bins[:, None] - ends[:-2]) / (ends[1:-1] - ends[:-2])
    falling = (ends[2:] - bins[:, None]) / (ends[2:] - ends[1:-1])
    triangles = torch.minimum(rising, falling).clamp(min=0) * (2 / (ends[2:] - ends[:-2]))
    return triangles.to(device)


def length_of(waves: torch.Tensor) -> torch.Tensor:
    """Samples (N,) up to the last that is not zero, at least one: what is stored behind a sound is zero."""
    places = torch.arange(1, waves.shape[1] + 1, device=waves.device)
    return ((waves != 0) * places).amax(1).clamp(min=1)


def stretched(x: torch.Tensor, frames: torch.Tensor, moments: int) -> torch.Tensor:
    """The first `frames` (N,) of each spectrogram (N, mels, T) as so many moments, (N, mels, moments).

    Each is the mean over the stretch that it stands for, so that shrinking loses nothing.
    """
    # Means of what is constant within a frame are differences of its integral, which is linear within a frame.
    integral = F.pad(x.double().cumsum(2), (1, 0))
    ends = frames[:, None] * torch.linspace(0, 1, moments + 1, device=x.device, dtype=torch.float64)
    low = ends.floor().long().clamp(max=x.shape[2] - 1)
    index = low[:, None].expand(-1, x.shape[1], -1)
    at = torch.lerp(integral.gather(2, index), integral.gather(2, index + 1), (ends - low)[:, None])
    return (at.diff(dim=2) * moments / frames[:, None, None]).to(x.dtype)
