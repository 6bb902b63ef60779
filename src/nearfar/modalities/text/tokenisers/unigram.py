"""Sub-words of a unigram model learnt from the texts, as ``unigram:8000`` (needs the extra `text`)."""

from collections.abc import Sequence
from typing import Any

from nearfar.core.errors import library
from nearfar.modalities.text.tokenisers import _trained, whole

SIZE = 8000

Spec = _trained.Spec
tokenise = _trained.tokenise
spelt = _trained.spelt


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """Learn at most `argument` tokens from texts (Kudo 2018, arXiv 1804.10959), in lower case."""
    t = library("tokenizers", "text", "data.tokens")
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
