"""What the tokenisers of the library `tokenizers` share: learnt from texts, kept as its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import ConfigError
from nearfar.tokenisers import filled

if TYPE_CHECKING:
    from tokenizers import Tokenizer

EXTRA = "pip install 'nearfar[text]'"


def library() -> Any:
    """The module `tokenizers`; raises `ConfigError` where it is not installed."""
    try:
        import tokenizers
    except ImportError as e:
        raise ConfigError("this needs the library tokenizers.", where="data.tokens", hint=EXTRA) from e
    return tokenizers


def spec(tokenizer: Tokenizer) -> dict[str, Any]:
    """The tokeniser as JSON values; our ids are its own plus one."""
    return {"vocabulary": tokenizer.get_vocab_size(), "tokenizer": json.loads(tokenizer.to_str())}


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids (N, length), of the library's tokens without special ones; the first of each word is positive."""
    tokenizer = _opened(json.dumps(spec["tokenizer"], sort_keys=True))
    found = tokenizer.encode_batch([t[: 32 * length] for t in texts], add_special_tokens=False)
    return filled((_signed(f.ids, f.word_ids) for f in found), len(texts), length)


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """The part of the text that each word of the library covers, as far as its first `length` tokens go."""
    tokenizer = _opened(json.dumps(spec["tokenizer"], sort_keys=True))
    text = text[: 32 * length]
    found = tokenizer.encode(text, add_special_tokens=False)
    spans: list[tuple[int, int]] = []
    for token, (start, end) in zip(_signed(found.ids, found.word_ids)[:length], found.offsets, strict=False):
        spans.append((start, end) if token > 0 else (spans.pop()[0], end))
    return [text[a:b].strip() for a, b in spans]


def _signed(ids: list[int], words: Iterable[int | None]) -> list[int]:
    before, signed = None, []
    for token, word in zip(ids, words, strict=True):
        signed.append(-token - 1 if word is not None and word == before else token + 1)
        before = word
    return signed


@lru_cache(4)
def _opened(text: str) -> Tokenizer:
    tokenizer = library().Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
