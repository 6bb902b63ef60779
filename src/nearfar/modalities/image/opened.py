"""From a cell to a picture: a path, bytes or an array in, a Pillow image or an array out, or the reason why not."""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import BadCell, reason
from nearfar.modalities.image import bands

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS = 100_000_000  # a picture that declares more is a bomb, or no picture to learn from
SAMPLES_PER_PIXEL = 277  # TIFF tag
# How files begin that are no pictures (in lower case), and in which words the person who has to mend one knows them.
STARTS: Mapping[bytes, str] = {
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with `git lfs pull`",
    b"<!doctype html": "a web page", b"<html": "a web page", b"<?xml": "XML or SVG", b"<svg": "SVG",
    b"%pdf": "a PDF", b"%!ps": "PostScript", b"8bps": "a Photoshop file", b"\xff\x0a": "JPEG XL",
    b"pk\x03\x04": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"rar!": "a RAR archive",
    b"\x80\x02": "a Python pickle", b"\x80\x03": "a Python pickle", b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle", b"\x93numpy": "a NumPy array", b"\x89hdf": "HDF5", b"par1": "Parquet",
}  # fmt: skip
BRANDS: Mapping[bytes, str] = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"avif": "AVIF", b"crx ": "raw"}
PICTURES = (b"gif8", b"\x89png", b"\xff\xd8\xff", b"riff", b"bm", b"ii*\0", b"mm\0*", b"p5", b"p6")


def loaded(cell: Any, draft: int | None = None) -> Image.Image | np.ndarray:
    """The picture in a cell, upright, as it is: a Pillow image, or an array (H, W, C); raises `BadCell`."""
    from PIL import Image, UnidentifiedImageError

    if cell is None:
        raise BadCell("is empty")
    if isinstance(cell, np.ndarray):
        return bands.channels_last(cell)
    if isinstance(cell, dict):
        cell = cell["bytes"] if cell.get("bytes") is not None else Path(cell.get("path") or "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked here, by MAX_PIXELS
            return _read(cell, draft)
    except Image.DecompressionBombError as e:
        raise BadCell("declares too many pixels") from e
    except UnidentifiedImageError as e:
        raise BadCell(f"is not a picture in a supported format ({', '.join(FORMATS)}){_as_what(cell)}") from e
    except PermissionError as e:
        raise BadCell("may not be read (permission)") from e
    except FileNotFoundError as e:
        raise BadCell("is missing") from e
    except IsADirectoryError as e:
        raise BadCell("is a folder, or no path at all") from e
    except BadCell:
        raise
    except Exception as e:  # Pillow raises anything about damaged bytes
        raise BadCell(f"is damaged ({reason(e)})") from e


def _read(cell: Any, draft: int | None) -> Image.Image | np.ndarray:
    from PIL import Image, ImageOps

    image = cell if isinstance(cell, Image.Image) else Image.open(_stream(cell), formats=FORMATS)
    if 0 in image.size:
        raise BadCell("has no pixels")
    if image.size[0] * image.size[1] > MAX_PIXELS:
        raise BadCell(f"declares {image.size[0]} × {image.size[1]} pixels, which is too many")
    if image is not cell and image.format == "PNG":
        with Image.open(_stream(cell), formats=("PNG",)) as again:
            again.verify()  # checksums, which reading alone passes over
    if draft and image.format == "JPEG":
        image.draft("RGB", (draft, draft))
    image.load()
    return _pages(image) if image.format == "TIFF" else ImageOps.exif_transpose(image)


def _pages(image: Image.Image) -> Image.Image | np.ndarray:
    """A TIFF: pages of 16 bits or floats are channels; of others the first page counts."""
    from PIL import ImageOps

    bands_there = image.tag_v2.get(SAMPLES_PER_PIXEL, 1)
    if bands_there > len(image.getbands()):  # Pillow would leave them out without a word
        raise BadCell(f"has {bands_there} bands, of which {len(image.getbands())} can be read; save it as an npy array")
    pages = getattr(image, "n_frames", 1)
    if image.mode in bands.DEEP_MODES and 1 < pages <= bands.MOST:
        planes = []
        for i in range(pages):
            image.seek(i)
            planes.append(np.array(image))
        if len({p.shape for p in planes}) == 1:
            return np.stack(planes, -1)
        image.seek(0)
    return ImageOps.exif_transpose(image)


def own_numbers(picture: Image.Image | np.ndarray) -> np.ndarray | None:
    """The picture's own numbers (H, W, C) where they are not plain 8 bits, else None."""
    if isinstance(picture, np.ndarray):
        return picture
    return np.asarray(picture)[..., None] if picture.mode in bands.DEEP_MODES else None


def _stream(cell: Any) -> Any:
    if isinstance(cell, bytes):
        if not cell:
            raise BadCell("is empty")
        return io.BytesIO(cell)
    path = Path(cell)
    about = path.stat()
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise BadCell("is a pipe, socket or device, no file")  # to open it might wait for ever
    if about.st_size == 0:
        raise BadCell("is empty")
    return path


def _as_what(cell: Any) -> str:
    """``"; it is a PDF"`` and the like, or nothing, for bytes or a path."""
    try:
        with io.BytesIO(cell) if isinstance(cell, bytes) else Path(cell).open("rb") as f:
            head = f.read(64)
    except (OSError, TypeError):
        return ""
    start = head.lower().lstrip()  # bytes: only ASCII letters change
    word = next((w for s, w in STARTS.items() if start.startswith(s)), None)
    if head[4:8] == b"ftyp":
        word = BRANDS.get(head[8:12], "a video")
    if word is None and head and not any(head):
        word = "nothing but zero bytes"
    if word is None and start.startswith(PICTURES):
        return "; it begins like one, so it is damaged or cut short"
    with suppress(UnicodeDecodeError):
        if word is None and (text := head.decode("utf-8")) and all(c.isprintable() or c.isspace() for c in text):
            word = "text"
    return f"; it is {word}" if word else ""


def plain(image: Image.Image | np.ndarray, top: float | None = None) -> Image.Image:
    """Mode L or RGB, whatever it was; `top` is the value that becomes 255, by default what the picture suggests."""
    from PIL import Image

    if (array := own_numbers(image)) is not None:
        return Image.fromarray(_as_bytes(array, top))
    if image.mode in ("L", "RGB", "1"):
        return image if image.mode != "1" else image.convert("L")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _as_bytes(array: np.ndarray, top: float | None = None) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) of an array (H, W, C); `top` becomes 255.

    Without `top` 16 bits are divided, and floats are in [0, 1] or up to 255.
    """
    if array.shape[2] not in (1, 3):
        raise BadCell(f"has {array.shape[2]} channels, expected one or three")
    array = array[:, :, 0] if array.shape[2] == 1 else array
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise BadCell("has numbers that are not finite")
    # What resampling leaves a little below or above is cut; more is another scale, or no picture.
    least, most = values.min(initial=0), values.max(initial=0)
    if top is None and bands.are_shares(values):
        top = 1
    elif top is None:
        top = (1 if most <= 1 else 255) if array.dtype.kind == "f" else (255 if most <= 255 else 65535)
    if least < (1 - bands.BEYOND) * np.clip(most, 1, top) or (most > bands.BEYOND * top and top in (1, 255, 65535)):
        raise BadCell(f"has numbers from {least:.3g} to {most:.3g}, expected 0 to 1, 0 to 255 or 0 to 65535")
    return np.clip(values * (255 / top) + 0.5, 0, 255).astype(np.uint8)


def is_grey(image: Image.Image) -> bool:
    """Whether a plain picture has no colour."""
    if image.mode == "L":
        return True
    small = np.asarray(image.resize((16, 16)), dtype=np.int16)
    return bool((np.abs(small[..., 1:] - small[..., :1]) <= 2).all())
