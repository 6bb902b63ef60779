"""Byte-level byte-pair encoding, learnt from the user's texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.modalities.text.tokenisers import _trained, whole

SUMMARY = "byte-level byte-pair encoding learnt from the texts, as bpe:8000 (needs the extra `text`)"
SIZE = 8000

Spec = _trained.Spec


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """Learn `argument` tokens from texts (Sennrich et al. 2016, arXiv 1508.07909; bytes: Radford et al. 2019).

    Raises
    ------
    ConfigError
        The library `tokenizers` is not installed.
    """
    t = _trained.library()
    tokenizer = t.Tokenizer(t.models.BPE())
    tokenizer.normalizer = t.normalizers.NFKC()
    tokenizer.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = t.decoders.ByteLevel()
    trainer = t.trainers.BpeTrainer(
        vocab_size=max(260, whole(argument, SIZE, "tokens", _trained.MOST)), show_progress=False,
        initial_alphabet=t.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return _trained.spec(tokenizer)


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids of each text, int32 (N, length)."""
    return _trained.tokenise(texts, spec, length)


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """What each word of a text is, as written."""
    return _trained.spelt(text, spec, length)
