"""What the tokenisers of the library `tokenizers` share: learnt from texts, kept as its JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import numpy as np

from nearfar.core.errors import DataError, NearfarError, library, reason
from nearfar.core.schema import CLOSED
from nearfar.modalities.text.tokenisers import CHARACTERS, Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MOST = 2**20  # tokens that are learnt: the library takes memory for all of them at once
LONGER = 1000  # times, by all that is put into a text for what was there


class _Spec(TypedDict):
    kind: str
    vocabulary: Vocabulary
    tokenizer: dict[str, Any]


def _opens(spec: dict[str, Any]) -> str | None:
    """How a stored tokeniser, which may come from anyone, has to be where it is not; None where it is."""
    try:
        with _said("in which tokenizer is what the library tokenizers wrote"):
            vocabulary = _vocabulary(_tokenizer(spec))
    except DataError as e:
        return e.message
    if vocabulary != spec["vocabulary"]:
        return f"whose vocabulary is {vocabulary:,}, as its tokenizer has it"
    parts = [spec["tokenizer"].get(part) for part in ("normalizer", "pre_tokenizer")]
    longer = math.prod(len(text) for part in parts for text in _put(part))
    return None if longer <= LONGER else f"whose tokenizer makes texts no more than {LONGER} times longer"


def _put(part: Any) -> Iterator[str]:
    """The texts that a part of a tokenizer puts into what it reads."""
    for key, value in part.items() if isinstance(part, dict) else ():
        if key in ("content", "prepend", "replacement") and isinstance(value, str):
            yield value or " "
        for inner in value if isinstance(value, list) else (value,):
            yield from _put(inner)


@contextmanager
def _said(words: str) -> Iterator[None]:
    """What the library raises as a `DataError`; a panic of it is no `Exception`."""
    try:
        yield
    except (NearfarError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as e:
        raise DataError(f"{words} ({reason(e)})") from e


def _vocabulary(tokenizer: Tokenizer) -> int:
    """One more than the largest id, of which there may be fewer: some are left out, and some mean the same token."""
    return max(tokenizer.get_vocab_size(), 1 + max(tokenizer.get_vocab().values(), default=0))


Spec = Annotated[_Spec, CLOSED, _opens]


def spec(tokenizer: Tokenizer) -> dict[str, Any]:
    """The tokeniser as JSON values; our ids are its own plus one."""
    return {"vocabulary": _vocabulary(tokenizer), "tokenizer": json.loads(tokenizer.to_str())}


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids (N, length), of the library's tokens without special ones; the first of each word is positive."""
    with _said("the tokeniser cannot read these texts"):
        encoded = _tokenizer(spec).encode_batch([t[: CHARACTERS * length] for t in texts], add_special_tokens=False)
    rows = [e.ids for e in encoded]
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    ids = np.fromiter(chain.from_iterable(rows), np.int64, counts.sum())
    of_word = np.fromiter((-1 if w is None else w for e in encoded for w in e.word_ids), np.int64, len(ids))
    row = np.repeat(np.arange(len(rows)), counts)
    place = np.arange(len(ids)) - np.repeat(counts.cumsum() - counts, counts)
    goes_on = (place > 0) & (of_word >= 0) & (of_word == np.roll(of_word, 1))
    out, kept = np.zeros((len(rows), length), np.int32), place < length
    out[row[kept], place[kept]] = np.where(goes_on, -ids - 1, ids + 1)[kept]
    return out


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """The part of the text that each word of the library covers, as far as its first `length` tokens go."""
    text = text[: CHARACTERS * length]
    encoded = _tokenizer(spec).encode(text, add_special_tokens=False)
    spans: list[tuple[int, int]] = []
    for token, (start, end) in zip(tokenise([text], spec, length)[0], encoded.offsets, strict=False):
        spans.append((start, end) if token > 0 else (spans.pop()[0], end))
    return [text[a:b].strip() for a, b in spans]


_LAST: list[tuple[Any, Tokenizer]] = []  # the JSON that was opened last: to compare it by its text takes long


def _tokenizer(spec: dict[str, Any]) -> Tokenizer:
    held = spec["tokenizer"]
    last = next(iter(_LAST), (None, None))
    if last[0] is not held:
        last = held, _opened(json.dumps(held, sort_keys=True))
        _LAST[:] = [last]
    return last[1]


@lru_cache(4)
def _opened(text: str) -> Tokenizer:
    tokenizer = library("tokenizers", "text", "data.tokens").Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if getattr(tokenizer.model, "dropout", None):
        tokenizer.model.dropout = None  # by which one text would have other vectors each time
    return tokenizer
