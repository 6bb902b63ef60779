"""Sounds for tests: tones and noise, as samples and as files."""

import struct

import numpy as np

RATE = 8000


def tone(seconds=0.3, hertz=440.0, rate=RATE, seed=0):
    """A tone with a little noise that fades in and out, float32 (L,)."""
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(size=len(t))
    return ((np.sin(2 * np.pi * hertz * t) + 0.05 * noise) * np.hanning(len(t)) * 0.5).astype(np.float32)


def wav(samples, rate=RATE, code=1, bits=16, channels=1, declared=None, extensible=False):
    """A WAV file as bytes; `declared` is the length that its header says, in bytes."""
    numbers = np.asarray(samples, np.float64)
    if code == 3:
        body = numbers.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        body = np.clip(np.round(numbers * 128 + 128), 0, 255).astype(np.uint8).tobytes()
    else:
        whole = np.clip(np.round(numbers * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype("<i8")
        body = whole[:, None].view(np.uint8).reshape(len(whole), 8)[:, : bits // 8].tobytes()
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else code, channels, rate, rate * frame, frame, bits)
    if extensible:
        form += struct.pack("<HHIH", 22, bits, 0, code) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"LIST" + struct.pack("<I", 3) + b"odd\0"  # a chunk of odd length is padded
    chunks += b"data" + struct.pack("<I", len(body) if declared is None else declared) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def folder(path, per_class=8, classes=(300.0, 900.0), seconds=0.2):
    """A folder of WAV files in sub-folders, one pitch each."""
    for c, hertz in enumerate(classes):
        (path / f"pitch{c}").mkdir(parents=True)
        for i in range(per_class):
            content = wav(tone(seconds + 0.01 * i, hertz * (1 + 0.02 * i), seed=100 * c + i))
            (path / f"pitch{c}" / f"{i}.wav").write_bytes(content)
    return path
