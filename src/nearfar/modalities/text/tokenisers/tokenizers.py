"""A tokeniser of the library `tokenizers`, as ``tokenizers:tokenizer.json`` (needs the extra `text`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearfar.core.errors import ConfigError, library, reason
from nearfar.modalities.text.tokenisers import _trained

Spec = _trained.Spec
tokenise = _trained.tokenise
spelt = _trained.spelt


def plan(texts: Sequence[str], argument: str = "") -> dict[str, Any]:
    """The tokeniser in the file `argument`; nothing is learnt from the texts."""
    if not argument:
        raise ConfigError("no file is named.", where="data.tokens", hint="For example tokenizers:tokenizer.json.")
    made = library("tokenizers", "text", "data.tokens").Tokenizer
    try:
        return _trained.spec(made.from_str(Path(argument).read_text(encoding="utf-8")))
    except OSError as e:
        raise ConfigError(f"cannot be read ({reason(e)}).", where=argument) from e
    except Exception as e:  # the library raises nothing more special
        raise ConfigError(f"is no tokeniser of the library tokenizers ({reason(e)}).", where=argument) from e
