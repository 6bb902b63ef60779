"""Small valid files of every format that is read, and damage drawn from a seed."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator

import numpy as np

ROWS = 24
ODD = b"\0\xff\n\r\"',;{}[]()0919-eE|<>OVSUc%\x80\t "  # bytes that mean something in headers
WORDS = ["harbour", "boat", "sail", "rope", "tide", "anchor", "wind", "mast", "north", "light"]


def numbers(seed: int = 0) -> np.ndarray:
    """Rows of three numbers, float32."""
    return np.random.default_rng(seed).normal(size=(ROWS, 3)).astype(np.float32)


def labels() -> list[str]:
    """Two classes in turn."""
    return [("red", "blue")[i % 2] for i in range(ROWS)]


def sentences() -> list[str]:
    """A text a row, none twice."""
    return [f"the {WORDS[i % 10]} and the {WORDS[(3 * i + 1) % 10]} of day {i}" for i in range(ROWS)]


def picture(i: int, kind: str = "PNG") -> bytes:
    """A small picture of its own in each row."""
    from PIL import Image

    buffer = io.BytesIO()
    pixels = np.random.default_rng(i).integers(0, 256, (20, 18, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


# --- valid files --------------------------------------------------------------------------------------------------


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(save: Callable[..., None], **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def _table(*, comma: str = ",") -> str:
    lines = [comma.join(("a", "b", "c", "label"))]
    lines += [comma.join([*map(repr, map(float, x)), y]) for x, y in zip(numbers(), labels(), strict=True)]
    return "\n".join(lines) + "\n"


def _texts() -> list[dict[str, object]]:
    return [{"text": t, "label": y, "score": i / 4} for i, (t, y) in enumerate(zip(sentences(), labels(), strict=True))]


def _parquet(columns: dict[str, object], **options: object) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for i, y in enumerate(labels()):
            more = json.dumps({"day": i}).encode()
            for ending, content in (("png", picture(i)), ("cls", y.encode()), ("json", more)):
                member = tarfile.TarInfo(f"{i:03d}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _pictures() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (ROWS, 16, 16, 3), dtype=np.uint8)


VALID: dict[str, Callable[[], bytes]] = {
    "rows.npy": lambda: _npy(numbers()),
    "fortran.npy": lambda: _npy(np.asfortranarray(numbers().astype(">f8"))),
    "pictures.npy": lambda: _npy(_pictures()),
    "rows.npz": lambda: _npz(np.savez, x=numbers(), y=np.arange(ROWS) % 2),
    "packed.npz": lambda: _npz(np.savez_compressed, x_train=numbers(), y_train=np.arange(ROWS) % 2,
                               x_test=numbers(1), y_test=np.arange(ROWS) % 2),
    "rows.csv": lambda: _table().encode(),
    "rows.tsv": lambda: _table(comma="\t").encode(),
    "texts.jsonl": lambda: "\n".join(map(json.dumps, _texts())).encode(),
    "texts.json": lambda: json.dumps(_texts(), indent=1).encode(),
    "plain.parquet": lambda: _parquet({"text": sentences(), "label": labels()}, compression="none"),
    "lists.parquet": lambda: _parquet({"x": numbers().tolist(), "label": labels()}),
    "rows.parquet": lambda: _parquet({"a": numbers()[:, 0], "b": numbers()[:, 1], "label": labels()}),
    "texts.parquet": lambda: _parquet({"text": sentences(), "label": labels()}, compression="zstd",
                                      write_page_checksum=True),
    "pictures.parquet": lambda: _parquet({"image": [{"bytes": picture(i), "path": None} for i in range(ROWS)],
                                          "label": labels()}),
    "lines.txt": lambda: "\n".join(sentences()).encode(),
    "shard.tar": _tar,
    "one.png": lambda: picture(0),
    "one.jpg": lambda: picture(0, "JPEG"),
    "one.webp": lambda: picture(0, "WEBP"),
    "one.gif": lambda: picture(0, "GIF"),
    "one.bmp": lambda: picture(0, "BMP"),
    "one.tif": lambda: picture(0, "TIFF"),
    "one.ppm": lambda: picture(0, "PPM"),
}  # fmt: skip


# --- damage -------------------------------------------------------------------------------------------------------


def _near(size: int, draw: np.random.Generator, reach: int = 160) -> int:
    """A place in a file: the head and the end, where formats keep what they are, as often as all that lies between."""
    way = draw.integers(3)
    low, high = ((0, min(size, reach)), (max(0, size - reach), size), (0, size))[way]
    return int(draw.integers(low, max(low + 1, high)))


def flip(content: bytes, draw: np.random.Generator) -> bytes:
    """One bit of one to eight bytes."""
    changed = bytearray(content)
    for _ in range(int(draw.choice([1, 1, 2, 8]))):
        changed[_near(len(changed), draw)] ^= 1 << int(draw.integers(8))
    return bytes(changed)


def replace(content: bytes, draw: np.random.Generator) -> bytes:
    """One to eight bytes by others: any, or such as mean something in headers."""
    changed = bytearray(content)
    for _ in range(int(draw.choice([1, 1, 2, 8]))):
        other = draw.choice(list(ODD)) if draw.random() < 0.7 else draw.integers(256)
        changed[_near(len(changed), draw)] = int(other)
    return bytes(changed)


def cut(content: bytes, draw: np.random.Generator) -> bytes:
    """Nothing after some place."""
    return content[: _near(len(content), draw)]


def lose(content: bytes, draw: np.random.Generator) -> bytes:
    """A piece left out."""
    at = _near(len(content), draw)
    return content[:at] + content[at + int(draw.integers(1, 40)) :]


def repeat(content: bytes, draw: np.random.Generator) -> bytes:
    """A piece twice."""
    at, size = _near(len(content), draw), int(draw.integers(1, 400))
    return content[: at + size] + content[at:]


def wipe(content: bytes, draw: np.random.Generator) -> bytes:
    """A piece of zeros or ones, as a disk leaves it."""
    at, size = _near(len(content), draw), int(draw.choice([4, 16, 512]))
    return content[:at] + bytes([int(draw.choice([0, 255]))]) * min(size, len(content) - at) + content[at + size :]


def insert(content: bytes, draw: np.random.Generator) -> bytes:
    """Bytes in between."""
    at = _near(len(content), draw)
    return content[:at] + draw.bytes(int(draw.choice([1, 2, 8, 100]))) + content[at:]


def append(content: bytes, draw: np.random.Generator) -> bytes:
    """More at the end, such as the file once more."""
    return content + (content if draw.random() < 0.3 else draw.bytes(int(draw.choice([1, 7, 64, 5000]))))


def swap(content: bytes, draw: np.random.Generator) -> bytes:
    """Two pieces in each other's place."""
    size = int(draw.choice([1, 4, 64]))
    a, b = sorted((_near(len(content), draw), _near(len(content), draw)))
    if a + size > b or b + size > len(content):
        return flip(content, draw)
    return content[:a] + content[b : b + size] + content[a + size : b] + content[a : a + size] + content[b + size :]


def number(content: bytes, draw: np.random.Generator) -> bytes:
    """A whole number of two, four or eight bytes by one at an end of its range."""
    at, size = _near(len(content), draw), int(draw.choice([2, 4, 8]))
    top = 2 ** (8 * size)
    value = (0, 1, top // 2 - 1, top // 2, top - 1)[int(draw.integers(5))]
    return content[:at] + value.to_bytes(size, ("little", "big")[int(draw.integers(2))]) + content[at + size :]


DAMAGES = (flip, flip, replace, replace, cut, cut, lose, repeat, wipe, insert, append, swap, number)


def damaged(name: str, draw: np.random.Generator) -> tuple[str, bytes]:
    """What was done to a valid file, and what it is then."""
    content = VALID[name]()
    if draw.random() < 0.04:
        other = str(draw.choice([n for n in VALID if n != name]))
        return f"is {other}", VALID[other]()
    kinds = [DAMAGES[i] for i in draw.integers(len(DAMAGES), size=1 if draw.random() < 0.7 else 2)]
    for kind in kinds:
        content = kind(content, draw) if content else content
    return "+".join(k.__name__ for k in kinds), content


def cases(seed: int, count: int) -> Iterator[tuple[str, str, bytes]]:
    """`count` damaged files, formats in turn: file name, what was done, content."""
    names = list(VALID)
    for i in range(count):
        name = names[i % len(names)]
        yield name, *damaged(name, np.random.default_rng((seed, i)))
