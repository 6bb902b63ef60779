"""Words and their character n-grams, each hashed to a number: nothing is learnt, and no word is unknown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np

from nearfar.tokenisers import filled, whole

SUMMARY = "words and the character 2- to 4-grams inside them, hashed to 65,536 numbers; nothing to learn"
BUCKETS, SHORT, LONG = 2**16, 2, 4
KNOWN = 2**17  # words whose numbers are remembered

# Runs of letters and digits, or one other sign; scripts that put no spaces between words are cut into characters.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+(?:'[^\W\d_]+)?|[^\w\s]|_")


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """Nothing is learnt from the texts; `argument` is the number of buckets."""
    return {"vocabulary": whole(argument, BUCKETS, "buckets"), "shortest": SHORT, "longest": LONG}


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids (N, length) of the words of each text, each followed by its n-grams.

    A word is made lower case (with Unicode's compatibility forms made plain) and gets a mark at its beginning and end;
    of these characters all n-grams count (Bojanowski et al. 2017, arXiv 1607.04606). Words and n-grams share the
    buckets.
    """
    ids = _numbers(spec["vocabulary"], spec["shortest"], spec["longest"])
    return filled((_row(t, ids, length) for t in texts), len(texts), length)


def _row(text: str, ids: Any, length: int) -> list[int]:
    found: list[int] = []
    for word in words(text[: 32 * length]):
        found += ids(word)
        if len(found) >= length:
            break
    return found


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """The words that have an id among the first `length`, in lower case."""
    ids, used, found = _numbers(spec["vocabulary"], spec["shortest"], spec["longest"]), 0, []
    for word in words(text[: 32 * length]):
        if used >= length:
            break
        found.append(word)
        used += len(ids(word))
    return found


def words(text: str) -> Iterator[str]:
    """The words of a text, in lower case."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return (m.group() for m in _WORD.finditer(plain.lower()))


@lru_cache(8)
def _numbers(buckets: int, shortest: int, longest: int) -> Any:
    """The function from a word to its ids, which remembers what it has seen."""

    @lru_cache(KNOWN)
    def ids(word: str) -> tuple[int, ...]:
        marked = f"<{word}>"
        grams = {
            marked[i : i + n] for n in range(shortest, min(longest, len(marked) - 1) + 1)
            for i in range(len(marked) - n + 1)
        }  # fmt: skip
        rest = (-1 - crc32(g.encode("utf-8", "surrogatepass")) % buckets for g in sorted(grams))
        return (1 + crc32(b"\0" + word.encode("utf-8", "surrogatepass")) % buckets, *rest)

    return ids
