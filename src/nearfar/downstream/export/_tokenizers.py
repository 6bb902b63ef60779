"""The stored tokeniser of a run as other programs read it, giving the same ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nearfar.downstream.export import Unfit

if TYPE_CHECKING:
    from tokenizers import Tokenizer

A_TOKEN = 32  # characters; `nearfar.modalities.text.tokenisers` looks at so many for each token of a row


def plain(spec: Mapping[str, Any], length: int) -> dict[str, Any]:
    """JSON of the library `tokenizers` that gives a run's ids less one: nothing around a text, at most `length`.

    Raises
    ------
    Unfit
        The tokeniser is nearfar's own.
    """
    stored = spec.get("tokenizer")
    if stored is None:
        raise Unfit(f"the tokeniser {spec['kind']!r} is nearfar's own")
    # \K keeps what was matched before it, so that what is replaced by nothing is all that follows.
    cut = {
        "type": "Replace", "content": "",
        "pattern": {"Regex": rf"\A(?m:.{{{A_TOKEN}}}){{{length}}}\K(?m:.+)"},
    }  # fmt: skip
    own = stored.get("normalizer")
    return stored | {
        "normalizer": {"type": "Sequence", "normalizers": [cut, *([own] if own else [])]},
        "post_processor": None, "padding": None,
        "truncation": {"direction": "Right", "max_length": length, "strategy": "LongestFirst", "stride": 0},
    }  # fmt: skip


def framed(stored: Mapping[str, Any], prefix: Sequence[int], suffix: Sequence[int]) -> dict[str, Any]:
    """`plain` with ids before and after every text, and without a limit, which the opener sets."""
    special, single = {}, []
    for token in (*prefix, None, *suffix):
        if token is None:
            single.append({"Sequence": {"id": "A", "type_id": 0}})
            continue
        name = f"{token}"
        special[name] = {"id": name, "ids": [token], "tokens": [name]}
        single.append({"SpecialToken": {"id": name, "type_id": 0}})
    pair = [*single, {"Sequence": {"id": "B", "type_id": 0}}]
    template = {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
    return {**stored, "post_processor": template if special else None, "truncation": None}


def opened(stored: Mapping[str, Any]) -> Tokenizer:
    """The tokeniser of `tokenizers`."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps(stored))


def fast(stored: Mapping[str, Any], pad: int | None = None, most: int | None = None) -> Any:
    """The tokeniser of `transformers`; `most` is the limit with all that stands around a text.

    Raises
    ------
    Unfit
        Rows are to be filled up and there is no special token to do it with.
    """
    from transformers import PreTrainedTokenizerFast

    options: dict[str, Any] = {} if most is None else {"model_max_length": most}
    if pad is not None:
        special = {t["id"]: t["content"] for t in stored.get("added_tokens", []) if t["special"]}
        if not special:  # any other would no longer be found in texts
            raise Unfit("the tokeniser has no special token to fill up rows with")
        options["pad_token"] = special.get(pad) or next(iter(special.values()))
    return PreTrainedTokenizerFast(tokenizer_object=opened(stored), padding_side="right", **options)
