"""The tokeniser of a pretrained model, as ``transformers:NAME`` (needs the extra `transformers`)."""

from collections.abc import Sequence
from typing import Any

from nearfar.core.errors import ConfigError
from nearfar.encoders.text import pretrained
from nearfar.modalities.text.tokenisers import _trained

Spec = _trained.Spec
tokenise = _trained.tokenise
spelt = _trained.spelt


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """The tokeniser of the model `argument`, a folder or a name on the hub; nothing is learnt from the texts."""
    if not argument:
        raise ConfigError("no model is named.", where="data.tokens", hint="For example transformers:NAME.")
    loaded = pretrained.tokenizer_of(argument, "data.tokens")
    if getattr(loaded, "backend_tokenizer", None) is None:
        raise ConfigError(f"the tokeniser of {argument!r} has no fast form, which is needed.", where="data.tokens")
    return _trained.spec(loaded.backend_tokenizer)
