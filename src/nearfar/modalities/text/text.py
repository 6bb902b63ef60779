"""Text: words or pieces of words as tokens, in rows of one length."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

import numpy as np

from nearfar.core.errors import BadCell
from nearfar.core.schema import CLOSED, By, within
from nearfar.modalities import of_kind
from nearfar.modalities.text import tokenisers
from nearfar.modalities.text.tokenisers import hashed

if TYPE_CHECKING:
    import torch
    from PIL import Image

NAME = "text"
MILD = "tokens"
DEFAULT_METHOD = "simcse"
FIXED = "lsa", 1.0
SAMPLE = 50_000  # cells that a tokeniser learns from
LOOKED_AT = 2_000  # cells whose lengths are looked at
LONGEST = 1024  # tokens of a row at most, unless asked for
COVERED = 0.99  # of the rows fit whole
RAW = 2048  # dimensions of the raw input as numbers
_HALF = re.compile("[\ud800-\udfff]")
UNSPACED = re.compile(f"[{hashed.UNSPACED}]")


class _Spec(TypedDict):
    tokeniser: Annotated[dict[str, Any], By(tokenisers.spec_of)]
    length: Annotated[int, within(1, 2**20)]
    prompt: NotRequired[str]  # put before every text
    cut: NotRequired[Any]  # of an earlier version


Spec = Annotated[_Spec, CLOSED]
recipes, takes = of_kind("words")


def recognise(cells: Sequence[Any]) -> float:
    """Strings: 0.8 where most have several words, little for single words, which may be names of anything.

    A cell may be a list of strings, such as several captions, and is judged by its first.
    """
    cells = [next(iter(c), None) if isinstance(c, list | tuple) else c for c in cells]
    texts = [t for c in cells if isinstance(c, str | bytes) and (t := _lenient(c)).strip()]
    if not texts or len(texts) < len(cells) / 2:
        return 0.0
    # Scripts without spaces show words by a few characters.
    several = (len(t) > 24 or len(t.split()) > 1 or len(UNSPACED.findall(t[:24])) >= 5 for t in texts)
    return 0.8 if sum(several) / len(texts) > 0.5 else 0.3


def _lenient(cell: str | bytes) -> str:
    """Text for a look at it only; pictures are no text."""
    if isinstance(cell, str):
        return cell
    return "" if b"\0" in cell[:200] else cell.decode("utf-8", "replace")


def plan(cells: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The tokeniser ``options["tokens"]``, learnt from a sample, a row's length, and a model's prompt."""
    texts = []
    for i in range(0, len(cells), max(1, len(cells) // SAMPLE)):
        try:
            texts.append(text_of(cells[i]))
        except BadCell:
            continue
    kind = options.get("tokens") or "auto"
    spec = tokenisers.plan("hashed" if kind == "auto" else kind, texts)
    length = options.get("length")
    if length is None:
        looked_at = texts[:: max(1, len(texts) // LOOKED_AT)]
        used = (tokenisers.tokenise(looked_at, spec, LONGEST + 1) != 0).sum(1)
        length = np.clip(-(-np.quantile(used, COVERED) // 8) * 8, 8, LONGEST) if len(used) else LONGEST
    prompt = options.get("prompt")
    return {"tokeniser": spec, "length": int(length)} | ({"prompt": prompt} if prompt else {})


def text_of(cell: Any) -> str:
    """A cell as text; raises `BadCell` where it is empty, no UTF-8, no text, or holds what is no character."""
    if isinstance(cell, bytes):
        try:
            cell = cell.decode("utf-8")
        except UnicodeDecodeError as e:
            raise BadCell(f"is not UTF-8 (byte {cell[e.start]:#04x} at {e.start})") from e
    if cell is None or (isinstance(cell, float) and cell != cell):
        raise BadCell("is empty")
    if isinstance(cell, list | dict | np.ndarray):
        raise BadCell(f"is {type(cell).__name__}, no text")
    text = str(cell)
    if not text or text.isspace():
        raise BadCell("is empty")
    if not text.isascii() and _HALF.search(text):
        raise BadCell("has half of a surrogate pair, which is no character")
    return text


def decode(cell: Any, spec: Mapping[str, Any]) -> tuple[np.ndarray, None]:
    """The tokens of one text, int32 (L,); see `nearfar.modalities.text.tokenisers`."""
    return _tokens([text_of(cell)], spec, spec["length"])[0], None


def _tokens(texts: Sequence[str], spec: Mapping[str, Any], length: int) -> np.ndarray:
    """Tokens of texts with the prompt before them, int32 (N, length); an empty text has none."""
    if prompt := spec.get("prompt"):
        texts = [prompt + t if t else t for t in texts]
    return tokenisers.tokenise(texts, spec["tokeniser"], length)


def decode_many(cells: Sequence[Any], spec: Mapping[str, Any]) -> tuple[np.ndarray, dict[int, str]]:
    """Many texts at once, int32 (N, L), and what is wrong with those that are none, by their place."""
    texts, bad = [], {}
    for i, cell in enumerate(cells):
        try:
            if isinstance(cell, BadCell):
                raise cell
            texts.append(text_of(cell))
        except BadCell as e:
            texts.append("")
            bad[i] = str(e)
    return _tokens(texts, spec, spec["length"]), bad


def lengths(cells: Sequence[Any], values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Tokens of each text whose first ones are `values`, int32 (N,); one more than are kept stands for any more."""
    length, counts = spec["length"], (values != 0).sum(1, dtype=np.int32)
    end = tokenisers.CHARACTERS * length  # where tokenisers stop to look
    far = np.fromiter((isinstance(c, str | bytes) and len(c) > end for c in cells), bool, len(cells))
    doubtful = np.flatnonzero((counts == length) | ((counts > 0) & far))
    texts = [text_of(cells[i]) for i in doubtful]
    more = _tokens(texts, spec, length + 1)[:, length] != 0
    more |= np.fromiter((bool(t[end:].strip()) for t in texts), bool, len(texts))
    counts[doubtful[more]] = length + 1
    return counts


def too_long(name: str, lengths: np.ndarray, most: int) -> str | None:
    count = int((lengths > most).sum())
    if not count:
        return None
    are, each = ("is", "it") if count == 1 else ("are", "each")
    return (
        f"{count:,} of {len(lengths):,} texts of {name!r} {are} longer than {most:,} tokens; "
        f"the rest of {each} is not read."
    )


def views(
    values: torch.Tensor, geometry: None, recipe: tuple[Any, ...], draws: Any, spec: Mapping[str, Any]
) -> torch.Tensor:
    """One random view of each text: ids (N, L'), without gaps, L' what the longest text takes up before."""
    from nearfar.transforms.text import _words

    width = _words.width(values)
    for transform in recipe:
        values = transform.apply(values, draws)  # on all of L, since what is drawn must not depend on this share
    return (_words.closed(values) if recipe else values)[:, :width]


def neutral(values: torch.Tensor, geometry: None, spec: Mapping[str, Any]) -> torch.Tensor:
    """The texts, as wide as the longest."""
    from nearfar.transforms.text import _words

    return values[:, : _words.width(values)]


def default_recipe(spec: Mapping[str, Any]) -> str:
    return "words"


def default_encoder(spec: Mapping[str, Any]) -> str:
    return "static"  # quick, and hard to beat without pretraining


def encoder_shape(spec: Mapping[str, Any]) -> dict[str, int]:
    return {"vocabulary": spec["tokeniser"]["vocabulary"], "length": spec["length"]}


def raw_features(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """How often each token comes, folded to 2048 dimensions with signs and made unit length: float32 (N, F)."""
    ids = np.abs(values.astype(np.int64))
    mixed = (ids * 2654435761) % 2**32
    sign = np.where(mixed & 2**31, 1.0, -1.0) * (ids > 0)
    place = np.arange(len(ids))[:, None] * RAW + mixed % RAW
    counts = np.bincount(place.ravel(), sign.ravel(), len(ids) * RAW).reshape(len(ids), RAW)
    return (counts / np.maximum(1e-12, np.linalg.norm(counts, axis=1, keepdims=True))).astype(np.float32)


def thumbnail(values: np.ndarray, geometry: None, spec: Mapping[str, Any]) -> Image.Image:
    """The tokens as 16 lines of 16 greys; the text itself cannot be drawn from them."""
    from PIL import Image

    ids = np.abs(values[values != 0].astype(np.int64))
    shades = np.full(256, 255, np.uint8)
    shades[: min(256, len(ids))] = (ids[:256] * 2654435761 % 2**32 >> 24).astype(np.uint8)
    return Image.fromarray(shades.reshape(16, 16)).resize((64, 64), Image.Resampling.NEAREST)


def reading(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"length": spec["length"]}


def describe(spec: Mapping[str, Any]) -> str:
    t = spec["tokeniser"]
    return f"texts of at most {spec['length']} tokens, out of {t['vocabulary']:,} ({t['kind']})"
