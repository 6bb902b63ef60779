"""Tokenisers, one file a kind, found by name: ``hashed``, ``word_pairs``, ``bpe:8000``, ``unigram:8000``,
``transformers:NAME``.

A kind's file has two functions. ``plan`` learns from texts whatever there is to learn and
puts it down as JSON values, so that a run holds its tokeniser; ``tokenise`` needs nothing but those. A third,
``spelt``, is for showing views.

================================================== =====================================================
``plan(texts, argument) -> dict``                  what to store; has ``vocabulary``, the largest id
``tokenise(texts, spec, length) -> int32 (N, L)``  ids of each text, cut to `length`; 0 where there is none
``Spec``                                           optional: what that has to fit, see `nearfar.core.schema`
``spelt(text, spec, length) -> list of str``       optional: what each positive id of a text stands for, in order
``beside(spec) -> dict``                           optional: options of encoders and fixed features that have
                                                   them, where the latter stand beside
================================================== =====================================================

A positive id begins a word, a negative one belongs to the same word as the id before it, so that views can move whole
words. Its absolute value is the token. Of a text no more than `CHARACTERS` × `length` characters are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import numpy as np

from nearfar.core import values
from nearfar.core.errors import ConfigError, NearfarError, UnknownName, reason
from nearfar.core.registry import TOKENISERS, line_of_plugin
from nearfar.core.schema import within

CHARACTERS = 32  # for each token that is kept, so many of a text are looked at
MOST = 2**24  # ids of a vocabulary
Vocabulary = Annotated[int, within(1, 2**31 - 2)]


class AnySpec(TypedDict):
    """What is known of a tokeniser whose file has no ``Spec``."""

    kind: str
    vocabulary: Vocabulary


def plan(text: str, texts: Sequence[str]) -> dict[str, Any]:
    """What `tokenise` needs of ``kind:argument``, learnt from texts: JSON values, with the kind beside them."""
    module, argument = TOKENISERS.find(text, "data.tokens")
    try:
        spec = {"kind": text.partition(":")[0], **module.plan(texts, argument)}
        if not isinstance(spec.get("vocabulary"), int):
            raise ConfigError("its plan says no 'vocabulary', the number of its tokens.", where=module.__file__)
        return spec
    except NearfarError:
        raise
    except Exception as e:  # of a library
        if line_of_plugin(e):
            raise
        raise ConfigError(f"{text!r} cannot be learnt from these texts ({reason(e)}).", where="data.tokens") from e


def spec_of(spec: dict[str, Any]) -> Any:
    """What a spec has to fit: the ``Spec`` of its kind, or what all have."""
    kind = spec.get("kind")
    if not isinstance(kind, str) or kind not in TOKENISERS:
        raise UnknownName("tokeniser", str(kind), TOKENISERS)
    return getattr(TOKENISERS.get(kind), "Spec", AnySpec)


def tokenise(texts: Sequence[str], spec: dict[str, Any], length: int) -> np.ndarray:
    """Ids of each text, int32 (N, length), 0 after its end."""
    return TOKENISERS.get(spec["kind"]).tokenise(texts, spec, length)


def spelt(text: str, spec: dict[str, Any], length: int) -> list[str]:
    """The words of a text as they are seen, one for each positive id; the ids where the kind cannot spell them."""
    if hasattr(kind := TOKENISERS.get(spec["kind"]), "spelt"):
        return kind.spelt(text, spec, length)
    ids = tokenise([text], spec, length)[0]
    return [f"#{i}" for i in ids[ids > 0]]


def whole(argument: str, default: int, what: str, most: int = MOST) -> int:
    """The argument of a kind as a whole number from 2 to `most`, or the default where there is none."""
    return values.whole(argument, f"the number of {what}", 2, "data.tokens", most) if argument else default
