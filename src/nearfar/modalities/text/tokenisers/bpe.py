"""Byte-level byte-pair encoding learnt from the texts, as ``bpe:8000`` (needs the extra `text`)."""

from collections.abc import Sequence
from typing import Any

from nearfar.core.errors import library
from nearfar.modalities.text.tokenisers import _trained, whole

SIZE = 8000

Spec = _trained.Spec
tokenise = _trained.tokenise
spelt = _trained.spelt


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """Learn `argument` tokens from texts (Sennrich et al. 2016, arXiv 1508.07909; bytes: Radford et al. 2019)."""
    t = library("tokenizers", "text", "data.tokens")
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
