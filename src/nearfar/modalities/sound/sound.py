"""Sounds: files of any usual format in, waveforms of 16 bits stored, log-mel spectrograms as square pictures out."""

from __future__ import annotations

import io
import wave
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

import numpy as np

from nearfar.core.errors import BadCell, DataError
from nearfar.core.schema import CLOSED, above, long, within
from nearfar.data.readers.raw import SOUND_ENDINGS
from nearfar.modalities.sound import opened

if TYPE_CHECKING:
    import torch
    from PIL import Image

NAME = "sound"
MILD = "sound_light"
SAMPLE = 200  # cells looked at to plan
SIDE = 32  # mels, and moments, of a spectrogram
USUAL, MOST = 0.99, 10.0  # share of the sounds that are kept whole, and seconds that they are cut to at most
SILENCE = 35.0  # decibels below a sound's loudest moment
WINDOW, HOP = 0.032, 0.01  # seconds
RAW = 16  # moments of the floor of evaluations
NONE = (-40.0, 20.0)  # decibels taken away, and those that are 1, without normalisation
PEAK = 32767  # of 16 bits
CLIPPED, SEVERAL = 0.999, 3  # of full scale; samples in a row that reach it
BATCH = 256  # rows whose floor is computed at once


class _Spec(TypedDict):
    rate: Annotated[int, within(opened.LOWEST, opened.HIGHEST)]
    length: Annotated[int, within(1, 2**26)]  # samples
    size: Annotated[int, within(8, 1024)]
    window: Annotated[int, within(2, 2**17)]
    hop: Annotated[int, within(1, 2**17)]
    trim: Annotated[float, above(0)] | None
    scale: NotRequired[Annotated[list[float], long(2, 2)]]  # decibels taken away, and those that are 1


def _fits(spec: Mapping[str, Any]) -> str | None:
    return "whose scale is above 0" if spec.get("scale", (0, 1))[1] <= 0 else None


Spec = Annotated[_Spec, CLOSED, _fits]


def recognise(cells: Sequence[Any]) -> float:
    """1 for most paths, bytes, structs and pairs of samples with a rate that are sounds; never for a text."""
    there = [c for c in cells if c is not None]
    return float(bool(there) and 2 * sum(map(_is_sound, there)) > len(there))


def _is_sound(cell: Any) -> bool:
    if isinstance(cell, dict):
        content, path = cell.get("bytes"), cell.get("path") or ""
        return set(cell) >= opened.ARRAY or (_is_sound(content) if content is not None else _is_sound(Path(path)))
    if isinstance(cell, Path):
        return cell.name.lower().endswith(SOUND_ENDINGS)
    if isinstance(cell, tuple):
        return len(cell) == 2 and isinstance(cell[0], np.ndarray) and isinstance(cell[1], int | np.integer)
    return isinstance(cell, bytes) and opened.is_sound(cell)


def plan(cells: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Rate, length, silence and scale from a sample of the cells, where `options` do not say them.

    The commonest rate; as many seconds as 99 of 100 sounds last without the silence around them, and no more than ten.
    ``normalise`` is "utterance" (each spectrogram gets mean 0 and standard deviation 1), "corpus" (all together) or
    "none".
    """
    sounds = []
    for i in range(0, len(cells), max(1, len(cells) // SAMPLE)):
        with suppress(BadCell):
            sounds.append(opened.loaded(cells[i]))
    if not sounds:
        raise DataError("none of the sounds that were looked at can be read.", hint=_why(cells))
    trim = None if options.get("trim") is False else SILENCE
    seconds = options.get("seconds")
    if seconds is None:
        lasting = [len(opened.trimmed(s, rate, trim) if trim else s) / rate for s, rate in sounds]
        seconds = min(MOST, float(np.quantile(lasting, USUAL)))
    rate = options.get("rate") or Counter(rate for _, rate in sounds).most_common(1)[0][0]
    size, window = options.get("size") or SIDE, 2
    while window < WINDOW * rate or (window < 2**16 and _hollow(rate, size, window)):
        window *= 2
    spec = {
        "rate": int(rate), "length": max(1, round(seconds * rate)), "size": int(size), "window": window,
        "hop": max(1, round(HOP * rate)), "trim": trim,
    }  # fmt: skip
    kind = {None: "utterance", "auto": "utterance"}.get(options.get("normalise"), options.get("normalise"))
    return spec if kind == "utterance" else spec | {"scale": list(NONE if kind == "none" else _measured(cells, spec))}


def _why(cells: Sequence[Any]) -> str | None:
    """The reason why the first cell cannot be read."""
    try:
        opened.loaded(cells[0])
    except BadCell as e:
        return f"The first {e}."
    return None


def _hollow(rate: int, mels: int, window: int) -> bool:
    """Whether a window tells frequencies apart less finely than the mels do."""
    import torch

    from nearfar.modalities.sound.spectrogram import filters

    return bool((filters(rate, mels, window, torch.device("cpu")).sum(0) == 0).any())


def _measured(cells: Sequence[Any], spec: Mapping[str, Any]) -> tuple[float, float]:
    """Mean and standard deviation of the decibels of a sample."""
    values = []
    for i in range(0, len(cells), max(1, len(cells) // SAMPLE)):
        with suppress(BadCell):
            values.append(decode(cells[i], {**spec, "scale": NONE})[0])
    decibels = _decibels(_tensor(np.stack(values)), spec)
    return float(decibels.mean()), max(1e-3, float(decibels.std()))


def doubts(name: str, cells: Sequence[Any]) -> list[str]:
    """That sounds are clipped, by a sample of them."""
    looked, clipped = 0, 0
    for i in range(0, len(cells), max(1, len(cells) // SAMPLE)):
        with suppress(BadCell):
            loud = np.abs(opened.loaded(cells[i])[0]) >= CLIPPED
            clipped += bool(len(loud) >= SEVERAL and np.convolve(loud, np.ones(SEVERAL), "valid").max() >= SEVERAL)
            looked += 1
    if 4 * clipped <= looked:
        return []
    return [f"Clipping: {clipped:,} of {looked:,} sounds of {name!r} that were looked at stay at full scale for "
            "several samples, as those that were recorded too loud."]  # fmt: skip


def decode(cell: Any, spec: Mapping[str, Any]) -> tuple[np.ndarray, None]:
    """One sound, int16 (length,): mono, at the rate of the spec, without silence around it; zeros follow a shorter one.

    A longer one is cut. Where each spectrogram is normalised by itself loudness says nothing, and the loudest sample
    becomes full scale, so that quiet sounds keep their bits.
    """
    samples = _whole(cell, spec)[: spec["length"]]
    peak = 1.0 if "scale" in spec else float(np.abs(samples).max())
    values = np.zeros(spec["length"], np.int16)
    values[: len(samples)] = np.round(np.clip(samples / max(peak, 1e-30), -1, 1) * PEAK)
    return values, None


def _whole(cell: Any, spec: Mapping[str, Any]) -> np.ndarray:
    samples, rate = opened.loaded(cell)
    if not np.abs(samples).max() > 0:
        raise BadCell("is silent")
    samples = opened.resampled(samples, rate, spec["rate"])
    samples = opened.trimmed(samples, spec["rate"], spec["trim"]) if spec["trim"] else samples
    if not len(samples) or not np.abs(samples[: spec["length"]]).max() > 0:
        raise BadCell("is too short")
    return samples


def lengths(cells: Sequence[Any], values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Samples of each sound, int32 (N,); one more than are kept stands for any more."""
    kept, most = [len(np.trim_zeros(v, "b")) for v in values], spec["length"]
    return np.asarray([n if n < most or len(_whole(c, spec)) <= most else most + 1
                       for c, n in zip(cells, kept, strict=True)], np.int32)  # fmt: skip


def too_long(name: str, lengths: np.ndarray, most: int) -> str | None:
    count = int((lengths > most).sum())
    if not count:
        return None
    are = "is" if count == 1 else "are"
    return f"{count:,} of {len(lengths):,} sounds of {name!r} {are} longer than is read; only the beginning counts."


def views(
    values: torch.Tensor, geometry: None, recipe: tuple[Any, ...], draws: Any, spec: Mapping[str, Any]
) -> torch.Tensor:
    """One random view of each sound, as the encoder takes it: float32 (N, 1, S, S).

    Transforms of waveforms come first, then those of spectrograms, which see standardised ones.
    """
    waves, of_waves = _unit(values), [t for t in recipe if t.kind == "waveform"]
    for transform in of_waves:
        waves = transform.apply(waves, draws, spec["rate"])
    x = _standardised(_decibels(waves, spec), spec)
    raw = draws.batch or (lambda: values)
    if len(draws) == draws.total and not of_waves:
        draws.batch = lambda whole=x: whole  # the rows are here already
    else:
        draws.batch = lambda: _standardised(_decibels(_unit(raw()), spec), spec)
    for transform in recipe:
        if transform.kind == "spectrogram":
            x = transform.apply(x, draws, spec["rate"])
    return (x if "scale" in spec else _by_utterance(x))[:, None]


def neutral(values: torch.Tensor, geometry: None, spec: Mapping[str, Any]) -> torch.Tensor:
    return _standardised(_decibels(_unit(values), spec), spec)[:, None]


def _unit(values: torch.Tensor) -> torch.Tensor:
    return values.float() / PEAK


def _tensor(values: np.ndarray) -> torch.Tensor:
    import torch

    return _unit(torch.from_numpy(np.array(values)))


def _decibels(waves: torch.Tensor, spec: Mapping[str, Any], moments: int = 0) -> torch.Tensor:
    """Log-mel spectrograms (N, S, S), low frequencies first; each sound is stretched over all of its moments."""
    from nearfar.modalities.sound.spectrogram import frames_of, length_of, log_mel, stretched

    lengths = length_of(waves)
    if waves.device.type == "cpu":  # elsewhere this would wait for the device
        waves = waves[:, : int(lengths.max())]
    x = log_mel(waves, lengths, rate=spec["rate"], mels=spec["size"], window=spec["window"], hop=spec["hop"])
    return stretched(x, frames_of(lengths, spec["hop"]), moments or spec["size"])


def _standardised(x: torch.Tensor, spec: Mapping[str, Any]) -> torch.Tensor:
    if "scale" not in spec:
        return _by_utterance(x)
    away, one = spec["scale"]
    return (x - away) / one


def _by_utterance(x: torch.Tensor) -> torch.Tensor:
    x = x - x.mean((1, 2), keepdim=True)
    return x / x.std((1, 2), keepdim=True).clamp(min=1e-6)


def recipes(name: str, spec: Mapping[str, Any]) -> tuple[Any, ...]:
    from nearfar.transforms.recipe import OF_SOUNDS
    from nearfar.transforms.recipes import of_kinds

    return of_kinds(name, OF_SOUNDS, "sounds")


def takes(transform: Any, spec: Mapping[str, Any]) -> bool:
    from nearfar.transforms.recipe import OF_SOUNDS

    return transform.kind in OF_SOUNDS


def default_recipe(spec: Mapping[str, Any]) -> str:
    return "sound"


def default_encoder(spec: Mapping[str, Any]) -> str:
    return "lean_audio"


def encoder_shape(spec: Mapping[str, Any]) -> dict[str, int]:
    """Spectrograms are grey pictures, so that networks for pictures read them too."""
    return {"channels": 1, "size": spec["size"]}


def raw_features(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Standardised log-mel of 16 moments, float32 (N, 16 · S): a strong floor of speech."""
    parts = [values[i : i + BATCH] for i in range(0, len(values), BATCH)]
    found = [_standardised(_decibels(_tensor(p), spec, RAW), spec).flatten(1).numpy() for p in parts]
    return np.concatenate(found) if found else np.zeros((0, RAW * spec["size"]), np.float32)


def thumbnail(values: np.ndarray, geometry: None, spec: Mapping[str, Any]) -> Image.Image:
    """The spectrogram, low frequencies at the bottom, from dark to bright over 60 decibels."""
    decibels = _decibels(_tensor(values[None]), spec, 2 * spec["size"])[0].numpy()
    return _coloured((decibels - decibels.max()) / 60 + 1)


def drawn(view: np.ndarray, spec: Mapping[str, Any]) -> Image.Image:
    """A view as the encoder takes it, (1, S, S): two and a half standard deviations around its mean."""
    return _coloured(view[0] / 5 + 0.5)


def audible(values: np.ndarray, spec: Mapping[str, Any]) -> bytes:
    """One stored sound as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(spec["rate"])
        file.writeframes(np.trim_zeros(values, "b").astype("<i2").tobytes())
    return buffer.getvalue()


def _coloured(shares: np.ndarray) -> Image.Image:
    """From dark (0) to bright (1), the first row at the bottom."""
    from PIL import Image

    shade = np.clip(shares, 0, 1)[::-1]
    colour = np.stack([shade**0.7, shade**1.6, 0.35 + 0.3 * shade * (1 - shade) + 0.2 * shade**4], -1)
    return Image.fromarray((255 * np.clip(colour, 0, 1)).astype(np.uint8)).resize((4 * RAW, 4 * RAW))


def reading(spec: Mapping[str, Any]) -> dict[str, Any]:
    loudness = {None: "utterance", NONE: "none"}.get(tuple(spec["scale"]) if "scale" in spec else None, "corpus")
    return {"rate": spec["rate"], "seconds": spec["length"] / spec["rate"], "size": spec["size"],
            "normalise": loudness, "trim": spec["trim"] is not None}  # fmt: skip


def describe(spec: Mapping[str, Any]) -> str:
    size, seconds = spec["size"], spec["length"] / spec["rate"]
    return f"sounds of {seconds:.3g} s at {spec['rate']:,} Hz as log-mel spectrograms of {size} × {size}"
