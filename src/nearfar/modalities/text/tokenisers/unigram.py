"""Unigram language model over sub-words, learnt from the user's texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.modalities.text.tokenisers import _trained, whole

SUMMARY = "sub-words of a unigram model learnt from the texts, as unigram:8000 (needs the extra `text`)"
SIZE = 8000

Spec = _trained.Spec


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """Learn at most `argument` tokens from texts (Kudo 2018, arXiv 1804.10959), in lower case.

    Raises
    ------
    ConfigError
        The library `tokenizers` is not installed.
    """
    t = _trained.library()
    tokenizer = t.Tokenizer(t.models.Unigram())
    tokenizer.normalizer = t.normalizers.Sequence([t.normalizers.NFKC(), t.normalizers.Lowercase()])
    tokenizer.pre_tokenizer = t.pre_tokenizers.Sequence(
        [t.pre_tokenizers.Whitespace(), t.pre_tokenizers.Metaspace(prepend_scheme="never")]
    )
    trainer = t.trainers.UnigramTrainer(
        vocab_size=whole(argument, SIZE, "tokens", _trained.MOST), unk_token="[UNK]", special_tokens=["[UNK]"],
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return _trained.spec(tokenizer)


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids of each text, int32 (N, length)."""
    return _trained.tokenise(texts, spec, length)


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """What each word of a text is, as written."""
    return _trained.spelt(text, spec, length)
