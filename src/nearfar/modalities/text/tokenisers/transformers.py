"""The tokeniser of a pretrained model of `transformers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.modalities.text.tokenisers import _trained

SUMMARY = "the tokeniser of a pretrained model, as transformers:NAME (needs the extra `transformers`)"

Spec = _trained.Spec


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """The tokeniser of the model `argument`, a folder or a name on the hub; nothing is learnt from the texts.

    Raises
    ------
    ConfigError
        It cannot be had, or is none that `tokenizers` can keep.
    """
    if not argument:
        raise ConfigError("say whose tokeniser.", where="data.tokens", hint="For example transformers:NAME.")
    try:
        from transformers import AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(argument, use_fast=True, trust_remote_code=False)
    except ImportError as e:
        raise ConfigError(
            "this needs the library transformers.", where="data.tokens", hint="pip install 'nearfar[transformers]'"
        ) from e
    except (OSError, ValueError) as e:
        said = str(e).splitlines()[0]
        raise ConfigError(f"the tokeniser of {argument!r} cannot be loaded ({said}).", where="data.tokens") from e
    if getattr(loaded, "backend_tokenizer", None) is None:
        raise ConfigError(f"the tokeniser of {argument!r} has no fast form, which is needed.", where="data.tokens")
    return _trained.spec(loaded.backend_tokenizer)


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids of each text without special tokens, int32 (N, length); ours are the model's plus one."""
    return _trained.tokenise(texts, spec, length)


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """What each word of a text is, as written."""
    return _trained.spelt(text, spec, length)
