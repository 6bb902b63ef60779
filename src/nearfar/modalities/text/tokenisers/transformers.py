"""The tokeniser of a pretrained model, as ``transformers:NAME`` (needs the extra `transformers`)."""

from collections.abc import Sequence
from typing import Any

from nearfar.core.errors import ConfigError, library
from nearfar.modalities.text.tokenisers import _trained

Spec = _trained.Spec
tokenise = _trained.tokenise
spelt = _trained.spelt


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """The tokeniser of the model `argument`, a folder or a name on the hub; nothing is learnt from the texts."""
    if not argument:
        raise ConfigError("no model is named.", where="data.tokens", hint="For example transformers:NAME.")
    auto = library("transformers", "transformers", "data.tokens").AutoTokenizer
    try:
        loaded = auto.from_pretrained(argument, use_fast=True, trust_remote_code=False)
    except (ImportError, OSError, ValueError) as e:
        said = str(e).splitlines()[0]
        raise ConfigError(f"the tokeniser of {argument!r} cannot be loaded ({said}).", where="data.tokens") from e
    if getattr(loaded, "backend_tokenizer", None) is None:
        raise ConfigError(f"the tokeniser of {argument!r} has no fast form, which is needed.", where="data.tokens")
    return _trained.spec(loaded.backend_tokenizer)
