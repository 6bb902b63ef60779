"""Words and pairs of neighbouring words, hashed to 65,536 ids: some order, and no spelling; nothing is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypedDict
from zlib import crc32

import numpy as np

from nearfar.core.schema import CLOSED
from nearfar.modalities.text.tokenisers import CHARACTERS, Vocabulary, hashed, whole


class _Spec(TypedDict):
    kind: Literal["word_pairs"]
    vocabulary: Vocabulary


Spec = Annotated[_Spec, CLOSED]


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """Nothing is learnt from the texts; `argument` is the number of buckets."""
    return {"vocabulary": whole(argument, hashed.BUCKETS, "buckets")}


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids (N, length): each word, then its pair with the word before it (the first with the beginning).

    Words in order are what bags of words lack (Wang and Manning 2012, "Baselines and bigrams"); hashing pairs is from
    Joulin et al. 2016, arXiv 1607.01759. Words have the ids that `hashed` gives them, and share the buckets.
    """
    ids, buckets = np.zeros((len(texts), length), np.int32), spec["vocabulary"]
    for row, text in zip(ids, texts, strict=True):
        tokens, before = [], b""
        for word in hashed.words(text[: CHARACTERS * length])[: (length + 1) // 2]:
            this = b"\0" + word.encode("utf-8", "surrogatepass")
            tokens += (1 + crc32(this) % buckets, -1 - crc32(before + this + b"\0") % buckets)
            before = this
        row[: len(tokens)] = tokens[:length]
    return ids


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """The words that have an id among the first `length`, in lower case."""
    return hashed.words(text[: CHARACTERS * length])[: (length + 1) // 2]
