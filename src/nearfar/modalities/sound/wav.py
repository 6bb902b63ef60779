"""WAV files of plain numbers, read without a further library: whole numbers of 8 to 32 bits, and floats."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from nearfar.core.errors import BadCell

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # codes of formats; the third stands for one that is said further on
UNKNOWN = (0, 0xFFFFFFFF)  # lengths that a program writes which does not know them yet


def is_wav(content: bytes) -> bool:
    """Whether bytes begin as a WAV file does."""
    return content[:4] == b"RIFF" and content[8:12] == b"WAVE"


def samples(content: bytes) -> tuple[np.ndarray, int] | None:
    """Samples float32 (L, channels), where 1 is full scale, and their rate; None where they are coded in another way.

    Raises `BadCell` where the file is damaged, such as cut short of the length that its header says.
    """
    form: tuple[int, ...] | None = None
    for name, declared, body in _chunks(content):
        if name == b"fmt " and len(body) >= 16:
            form = struct.unpack_from("<HHIIHH", body)
            if form[0] == EXTENSIBLE and len(body) >= 26:
                form = (*struct.unpack_from("<H", body, 24), *form[1:])
        elif name == b"data":
            if form is None:
                raise BadCell("is damaged (its samples come before it says their format)")
            return _read(body, declared, *form)
    raise BadCell("is damaged (a WAV file without samples)")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, declared length and content of each part of the file; of the last there may be less than is declared."""
    place = 12
    while place + 8 <= len(content):
        name, length = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if name == b"data" and length in UNKNOWN:
            length = len(content) - place - 8
        yield name, length, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _read(
    body: bytes, declared: int, code: int, channels: int, rate: int, _: int, frame: int, bits: int
) -> tuple[np.ndarray, int] | None:
    width = frame // channels if channels else 0  # bytes of a sample
    if (code, width) not in ((PCM, 1), (PCM, 2), (PCM, 3), (PCM, 4), (FLOAT, 4), (FLOAT, 8)) or bits > 8 * width:
        if channels == 0:
            raise BadCell("has no channels")
        return None
    if len(body) < declared:
        raise BadCell(f"is cut short: its header says {declared // frame:,} samples, and {len(body) // frame:,} are "
                      "there")  # fmt: skip
    body = body[: len(body) // frame * frame]
    if code == FLOAT:
        numbers = np.frombuffer(body, f"<f{width}").astype(np.float32)
    elif width == 1:
        numbers = (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        wide = np.zeros((len(body) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        numbers = wide.view("<i4")[:, 0].astype(np.float32) / 2**31
    else:
        numbers = np.frombuffer(body, f"<i{width}").astype(np.float32) / 2 ** (8 * width - 1)
    return numbers.reshape(-1, channels), rate
