"""From a cell to samples: a path, bytes or an array in, one channel of numbers out, or the reason why not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, library, reason
from nearfar.modalities.sound import wav

# How files of sounds begin; MPEG's frames begin with eleven bits that are one.
STARTS = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"FORM", b".snd", b"caff")
LOWEST, HIGHEST = 100, 1_000_000  # samples per second
CHANNELS = 64
ARRAY = {"array", "sampling_rate"}  # of a sound as `datasets` gives it


def is_sound(content: bytes) -> bool:
    """Whether bytes begin as a file of a sound does."""
    return wav.is_wav(content) or content.startswith(STARTS)


def loaded(cell: Any) -> tuple[np.ndarray, int]:
    """The sound in a cell: float32 (L,), where 1 is full scale, the mean of all channels; and samples per second.

    A cell is a path, bytes, a dict of bytes and path or of array and sampling_rate, or a pair (samples, rate), whose
    samples are (L,), (L, channels) or (channels, L). Raises `BadCell` where it is no sound, or a damaged one.
    """
    if cell is None:
        raise BadCell("is empty")
    if isinstance(cell, dict) and set(cell) >= ARRAY:
        cell = cell["array"], cell["sampling_rate"]
    if isinstance(cell, dict):
        cell = cell["bytes"] if cell.get("bytes") is not None else Path(cell.get("path") or "")
    numbers, rate = _of_array(*cell) if isinstance(cell, tuple | list) and len(cell) == 2 else _of_file(cell)
    if not LOWEST <= rate <= HIGHEST:
        raise BadCell(f"has {rate:,} samples per second, expected {LOWEST:,} to {HIGHEST:,}")
    if numbers.shape[1] > CHANNELS:
        raise BadCell(f"has {numbers.shape[1]} channels, expected at most {CHANNELS}")
    if numbers.size == 0:
        raise BadCell("has no samples")
    if not np.isfinite(numbers).all():
        raise BadCell("has samples that are not finite")
    return numbers.mean(1, dtype=np.float64).astype(np.float32), rate


def _of_array(samples: Any, rate: Any) -> tuple[np.ndarray, int]:
    try:
        array, rate = np.asarray(samples), int(rate)
    except (TypeError, ValueError, OverflowError) as e:
        raise BadCell("is no pair of samples and their rate") from e
    if array.ndim not in (1, 2) or array.dtype.kind not in "iuf":
        raise BadCell(f"has samples of shape {array.shape} and type {array.dtype}, expected numbers of one or two axes")
    array = array[:, None] if array.ndim == 1 else array.T if array.shape[0] < array.shape[1] else array
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / 128, rate
    scale = 1 if array.dtype.kind == "f" else -float(np.iinfo(array.dtype).min) or float(np.iinfo(array.dtype).max)
    return (array / scale).astype(np.float32), rate


def _of_file(cell: Any) -> tuple[np.ndarray, int]:
    content = _content(cell)
    if wav.is_wav(content) and (read := wav.samples(content)) is not None:
        return read
    if not is_sound(content):
        raise BadCell(f"is not a sound{_as_what(content)}")
    soundfile = library("soundfile", "sound", why="WAV files are read as they are; other sounds need soundfile.")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            declared, rate, subtype = file.frames, file.samplerate, file.subtype
            numbers = file.read(dtype="float32", always_2d=True)
    except Exception as e:  # libsndfile raises anything about damaged bytes
        raise BadCell(f"is damaged ({reason(e)})") from e
    if len(numbers) < declared and "MPEG" not in subtype:  # an MP3's length is an estimate
        raise BadCell(f"is cut short: its header says {declared:,} samples, and {len(numbers):,} are there")
    return numbers, rate


def _content(cell: Any) -> bytes:
    if isinstance(cell, bytes | bytearray | memoryview):
        content = bytes(cell)
    elif isinstance(cell, str | Path):
        path = Path(cell)
        try:
            if path.exists() and not path.is_file():
                raise BadCell("is no plain file")
            content = path.read_bytes()
        except FileNotFoundError as e:
            raise BadCell("is missing") from e
        except (OSError, ValueError) as e:
            raise BadCell(f"cannot be read ({reason(e)})") from e
    else:
        raise BadCell(f"is {type(cell).__name__}, no sound")
    if not content:
        raise BadCell("is empty")
    return content


def _as_what(content: bytes) -> str:
    """``"; it is text"``, or nothing."""
    try:
        text = content[:64].decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "; it is text" if all(c.isprintable() or c.isspace() for c in text) else ""


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The same sound with so many samples per second."""
    if rate == wanted:
        return samples
    soxr = library("soxr", "sound", why=f"sounds of {rate:,} samples per second among {wanted:,} need soxr.")
    return soxr.resample(samples, rate, wanted)


def trimmed(samples: np.ndarray, rate: int, below: float) -> np.ndarray:
    """Without the silence around it: what is more than `below` decibels quieter than the loudest moment.

    A moment is 30 milliseconds.
    """
    frame = max(1, rate // 100)
    count = -(-len(samples) // frame)
    energy = np.square(np.pad(samples, (0, count * frame - len(samples))).reshape(count, frame)).mean(1)
    energy = np.convolve(energy, np.full(3, 1 / 3), "same")
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-below / 10))
    return samples[loud[0] * frame : (loud[-1] + 1) * frame] if len(loud) else samples[:0]
