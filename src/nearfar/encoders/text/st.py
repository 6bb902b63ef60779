"""Models of sentence-transformers, as ``st:NAME``, a folder or a name on the hub: a transformer, a pooling, layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfar.core.errors import ConfigError
from nearfar.encoders.offer import Offer
from nearfar.encoders.text import pretrained as source
from nearfar.encoders.text import transformers

MODALITIES = ("text",)
TOKENS = "transformers"
FETCHES = True
ADAPTED = transformers.ADAPTED
MODULES = "modules.json"
build = transformers.TransformersEncoder


def recognises(path: Path) -> bool:
    return (path / MODULES).is_file()


def offers(name: str) -> Offer:
    """Its tokeniser, the length at which it cuts texts, and its prompts."""
    settled = settle({"name": name})
    about = source.json_of(name, "config_sentence_transformers.json") or {}
    prompts = {k: v for k, v in (about.get("prompts") or {}).items() if v}
    if prompts and not (source.json_of(name, _pooling_file(name)) or {}).get("include_prompt", True):
        raise _unsupported(name, "a pooling that leaves out the prompt")
    length = settled["positions"] and settled["positions"] - len(settled["prefix"]) - len(settled["suffix"])
    tokens = {"tokens": f"{TOKENS}:{settled['pretrained']}", "length": length}
    return Offer({"text": ("text", tokens)}, settled, prompts=prompts, prompt=about.get("default_prompt_name") or "",
                 licence=source.licence(name))  # fmt: skip


def settle(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `nearfar.encoders.text.transformers`, and the layers behind the pooling.

    Raises
    ------
    ConfigError
        There is no such model, or it has a module that is not supported here.
    """
    if "architecture" in options:
        return transformers.settle(options)
    settled, name = dict(options), str(options.get("name", ""))
    modules = source.json_of(name, MODULES)
    if modules is None:
        raise ConfigError(f"{name!r} is no model of sentence-transformers: it has no {MODULES}.", where=source.WHERE,
                          hint=f"Name it as transformers:{name}, or as another kind of model.")  # fmt: skip
    kinds = [(m["type"].rpartition(".")[2], m["path"]) for m in modules]
    if [kind for kind, _ in kinds[:2]] != ["Transformer", "Pooling"]:
        raise _unsupported(name, f"the module {kinds[0][0]} at its start")
    pooling = _pooling_file(name)
    if "pooling" not in settled and source.json_of(name, pooling) is None:  # the mean would be a guess
        raise ConfigError(f"{name!r} has a pooling, and no file {pooling} that says which.", where=source.WHERE,
                          hint=source.HINT)  # fmt: skip
    inside = kinds[0][1]  # a folder of the transformer's own, of early models
    home = f"{name}/{inside}" if inside else name
    described = source.described(home)
    texts = source.json_of(home, "sentence_bert_config.json") or {}
    if most := texts.get("max_seq_length"):
        described["positions"] = min(most, described["positions"] or most)
    if texts.get("do_lower_case") and source.tells_case(home):
        raise _unsupported(name, "texts in lower case before its tokeniser, which tells cases apart")
    dense = [_dense(name, path) for kind, path in kinds[2:] if kind == "Dense"]
    if odd := [kind for kind, _ in kinds[2:] if kind not in ("Dense", "Dropout", "Normalize")]:
        raise _unsupported(name, f"the module {odd[0]}")
    more = {"dense": dense} if dense else {}
    more |= {"normalize": True} if "Normalize" in [kind for kind, _ in kinds] else {}
    pretrained = settled.pop("pretrained", True)
    return transformers.settle({
        "name": name, "pooling": source.pooling_of(name, pooling),
        "pretrained": home if pretrained is True else pretrained, **described, **more, **settled,
    })  # fmt: skip


def _pooling_file(name: str) -> str:
    return f"{source.json_of(name, MODULES)[1]['path']}/config.json"


def _dense(name: str, path: str) -> dict[str, Any]:
    about = source.json_of(name, f"{path}/config.json") or {}
    kept = {k: about[k] for k in ("in_features", "out_features")} | {"bias": about.get("bias", True)}
    activation = str(about.get("activation_function", "Tanh")).rpartition(".")[2]
    return {**kept, "activation": activation, "weights": f"{name}/{path}"}


def _unsupported(name: str, what: str) -> ConfigError:
    return ConfigError(f"{name!r} has {what}, which is not supported.", where=source.WHERE,
                       hint="Name another model, or give its vectors as a table of numbers.")  # fmt: skip
