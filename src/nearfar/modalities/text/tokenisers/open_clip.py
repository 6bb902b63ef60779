"""The byte pairs of CLIP, as ``open_clip`` (needs the extra `open_clip`)."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.core.errors import ConfigError, library
from nearfar.modalities.text.tokenisers import CHARACTERS, _trained

Spec = _trained.Spec
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
LONGER = 8  # an entity of HTML such as &hellip; becomes one character, so that more of a text is looked at


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """The vocabulary that open_clip has; nothing is learnt from the texts (Radford et al. 2021, arXiv 2103.00020)."""
    if argument:
        raise ConfigError(f"open_clip has one vocabulary, and {argument!r} is none.", where="data.tokens")
    known = library("open_clip", "open_clip", "data.tokens").tokenizer.SimpleTokenizer()
    t = library("tokenizers", "text", "data.tokens")
    merges = sorted(known.bpe_ranks, key=known.bpe_ranks.get)
    model = t.models.BPE(vocab=dict(known.encoder), merges=merges, end_of_word_suffix="</w>")
    made = t.Tokenizer(model)
    normal = t.normalizers
    made.normalizer = normal.Sequence([normal.Replace(t.Regex(r"\s+"), " "), normal.Strip(), normal.Lowercase()])
    words = t.pre_tokenizers.Split(t.Regex(WORDS), behavior="removed", invert=True)
    made.pre_tokenizer = t.pre_tokenizers.Sequence(
        [words, t.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.add_special_tokens([known.decoder[i] for i in known.all_special_ids])
    return _trained.spec(made)


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids (N, length) of texts that are mended and in lower case, as the library has them."""
    return _trained.tokenise([cleaned(t, length) for t in texts], spec, length)


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    return _trained.spelt(cleaned(text, length), spec, length)


def cleaned(text: str, length: int) -> str:
    """Wrongly decoded characters and entities of HTML mended, blanks made one, lower case."""
    mended = library("ftfy", "open_clip", "data.tokens").fix_text(text[: LONGER * CHARACTERS * length])
    return " ".join(html.unescape(html.unescape(mended)).split()).lower()
