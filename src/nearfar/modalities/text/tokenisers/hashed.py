"""Words and the character 2- to 4-grams inside them, hashed to 65,536 ids: nothing is learnt, no word is unknown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, TypedDict
from zlib import crc32

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.core.schema import CLOSED, within
from nearfar.modalities.text.tokenisers import CHARACTERS, Vocabulary, whole

BUCKETS, SHORT, LONG = 2**16, 2, 4
KNOWN = 2**17  # words whose ids are remembered
REMEMBERED = 64  # characters of such a word
BYTES = 4  # of an id

# Runs of letters and digits, or one other sign; scripts that put no spaces between words are cut into characters.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+(?:'[^\W\d_]+)?|[^\w\s]|_")


class _Spec(TypedDict):
    kind: Literal["hashed"]
    vocabulary: Vocabulary
    shortest: Annotated[int, within(1, 9)]
    longest: Annotated[int, within(1, 9)]


def _in_order(spec: dict[str, Any]) -> str | None:
    return None if spec["shortest"] <= spec["longest"] else "in which longest is at least shortest"


Spec = Annotated[_Spec, CLOSED, _in_order]


def beside(spec: dict[str, Any]) -> dict[str, Any]:
    """N-grams repeat their word. Their weight was chosen on held-out rows of five sets (benchmarks/fixed.py)."""
    return {"ngram_weight": 0.25} if spec["shortest"] == SHORT else {}  # a word of one character has two of these


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """Nothing is learnt; `argument` is the number of buckets, the lengths of n-grams, or both: 2000,2-3."""
    buckets, comma, lengths = argument.partition(",")
    if not comma and "-" in argument:
        buckets, lengths = "", argument
    span = re.fullmatch(r"([1-9])-([1-9])", lengths or f"{SHORT}-{LONG}")
    if span is None or span[1] > span[2]:
        raise ConfigError(
            f"{lengths!r} are no lengths of n-grams.", where="data.tokens", hint=f"For example {SHORT}-{LONG}."
        )
    return {"vocabulary": whole(buckets, BUCKETS, "buckets"), "shortest": int(span[1]), "longest": int(span[2])}


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids (N, length) of the words of each text, each followed by its n-grams.

    A word is made lower case (with Unicode's compatibility forms made plain) and gets a mark at its beginning and end;
    of these characters all n-grams count (Bojanowski et al. 2017, arXiv 1607.04606). Words and n-grams share the
    buckets.
    """
    ids, most = _ids(spec["vocabulary"], spec["shortest"], spec["longest"]), BYTES * length
    rows = [_row(t, ids, length)[:most].ljust(most, b"\0") for t in texts]
    return np.frombuffer(bytearray().join(rows), np.int32).reshape(len(rows), length)


def _row(text: str, ids: _Ids, length: int) -> bytes:
    """The ids of a text, at least the first `length` of them, one after the other."""
    text = text[: CHARACTERS * length]
    if len(text) > 2 * length:  # words have more ids than characters, so these nearly always suffice
        cut = words(text[: 2 * length])[:-2]  # the last may go on, and two be one: don, ' and t
        row = b"".join(map(ids.__getitem__, cut))
        if len(row) >= BYTES * length:
            return row
    return b"".join(map(ids.__getitem__, words(text)))


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """The words that have an id among the first `length`, in lower case."""
    ids, used, seen = _ids(spec["vocabulary"], spec["shortest"], spec["longest"]), 0, []
    for word in words(text[: CHARACTERS * length]):
        if used >= length:
            break
        seen.append(word)
        used += len(ids[word]) // BYTES
    return seen


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _WORD.findall(plain.lower())


class _Ids(dict):
    """The ids of each word, as bytes of int32; those that were made are remembered, up to `KNOWN` words."""

    def __init__(self, buckets: int, shortest: int, longest: int) -> None:
        super().__init__()
        self.buckets, self.shortest, self.longest = buckets, shortest, longest

    def __missing__(self, word: str) -> bytes:
        marked = f"<{word}>"
        grams = {
            marked[i : i + n] for n in range(self.shortest, min(self.longest, len(marked) - 1) + 1)
            for i in range(len(marked) - n + 1)
        }  # fmt: skip
        rest = (-1 - crc32(g.encode("utf-8", "surrogatepass")) % self.buckets for g in sorted(grams))
        first = 1 + crc32(b"\0" + word.encode("utf-8", "surrogatepass")) % self.buckets
        ids = np.asarray([first, *rest], np.int32).tobytes()
        if len(self) >= KNOWN:
            self.clear()
        if len(word) <= REMEMBERED:
            self[word] = ids
        return ids


_ids = lru_cache(8)(_Ids)


def forget() -> None:
    """Let go of the words that are remembered; for measurements."""
    _ids.cache_clear()
