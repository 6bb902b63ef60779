"""What a model of `transformers` says of itself: its config, what stands around a text, how its states are pooled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core.errors import ConfigError, library
from nearfar.encoders.weights import WEIGHTS, check_safe

if TYPE_CHECKING:
    from torch import nn

# Keys of an architecture by which a library looks for files or code, and arguments by which peft does so or makes
# layers without end: a run's folder may come from anyone.
ELSEWHERE = ("auto_map", "attn_implementation", "_attn_implementation", "backbone", "use_pretrained_backbone",
             "quantization_config")  # fmt: skip
REFUSED = ("megatron_core", "megatron_config", "loftq_config", "eva_config", "corda_config", "layer_replication")
LAYERS = 10_000  # more than any model has; lists of so many are made before the first layer is
NAME = re.compile(r"[\w.-]*", re.ASCII)  # of a layer, or of what may be said in a word
POOLINGS = ("mean", "max", "cls", "cls_before_pooler", "pooler", "last")
POOLING_FILE = "1_Pooling/config.json"
WHERE = "model.encoder"
OPTIONS = "model.encoder_options"
EXTRA = "transformers", WHERE  # of both libraries
HINT = (
    "Give the folder of a model with safetensors weights, or its name on the hub where that can be reached; there, "
    "`hf download NAME --local-dir FOLDER` fetches one to be copied."
)


@contextmanager
def said(name: str, what: str, hint: str = HINT, where: str = WHERE) -> Iterator[None]:
    """Errors of the library and of the hub as a `ConfigError`."""
    from huggingface_hub.utils import logging as hub
    from safetensors import SafetensorError
    from transformers.utils import logging

    # Bars and retries of the libraries would stand among our own lines.
    bars, loud = logging.is_progress_bar_enabled(), hub.get_verbosity()
    logging.disable_progress_bar()
    hub.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as e:
        why = next(iter(str(e).strip().splitlines()), type(e).__name__).rstrip(".")
        why = f"a file lacks {why}" if isinstance(e, KeyError) else why
        raise ConfigError(f"{what} of {name!r} cannot be loaded ({why}).", where=where, hint=hint) from e
    finally:
        hub.set_verbosity(loud)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def offline() -> Iterator[None]:
    """Keep libraries from asking the hub."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def check_architecture(architecture: Mapping[str, Any]) -> None:
    """Raise `ValueError` where an architecture names what is elsewhere, or more layers than a model has."""
    for key, value in architecture.items():
        if key in ELSEWHERE and value:
            raise ValueError(f"its architecture names files or code elsewhere ({key})")
        if "layer" in key and isinstance(value, int) and value > LAYERS:
            raise ValueError(f"its architecture has {key}={value}, and {LAYERS:,} are the most")
        if isinstance(value, Mapping):
            check_architecture(value)


def check_lora(lora: Mapping[str, Any]) -> None:
    """Raise `ValueError` for arguments of an adapter that import modules, read files, or are patterns without end."""
    start = lora.get("init_lora_weights", True)
    if not isinstance(start, bool) and start not in ("gaussian", "orthogonal"):
        raise ValueError(f"an adapter cannot begin with {start!r}")
    if refused := [key for key in REFUSED if lora.get(key)]:
        raise ValueError(f"an adapter has no option {refused[0]!r} here")
    if odd := [text for text in _texts(lora) if not NAME.fullmatch(text)]:
        raise ValueError(f"an adapter takes names of layers in a list, and {odd[0]!r} is none")


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value of JSON, keys too: the library takes most of them for regular expressions."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, Sequence | Set):
        for item in value:
            yield from _texts(item)


def described(name: str) -> dict[str, Any]:
    """What a run has to know of the model `name`, a folder or a name on the hub, as JSON values.

    ``architecture``: its config. ``prefix``, ``suffix``: ids that its tokeniser puts around a text. ``positions``:
    tokens that its tokeniser allows, or None.
    """
    transformers = library("transformers", *EXTRA)
    if not name:
        raise ConfigError("no model is named.", where=WHERE, hint="For example transformers:NAME.")
    check_place(name)
    with said(name, "the config"):
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
    tokenizer = tokenizer_of(name)
    architecture = json.loads(config.to_json_string(use_diff=False))
    architecture.pop("_name_or_path", None)
    own = architecture.pop("auto_map", None) or {}
    if "AutoModel" in own:
        raise ConfigError(f"{name!r} has code of its own ({own['AutoModel']}), which is never run.", where=WHERE, hint=(
            f"Only where its network is just the library's own {architecture['model_type']}, take auto_map out of its "
            "config.json."))  # fmt: skip
    if architecture.get("quantization_config"):
        raise ConfigError(f"the weights of {name!r} are quantised, such cannot be trained.", where=WHERE)
    prefix, suffix = around(tokenizer)
    most = tokenizer.model_max_length
    return {
        "architecture": architecture, "prefix": prefix, "suffix": suffix,
        "positions": int(most) if most < 1_000_000 else None,  # one without a limit says 1e30
    }  # fmt: skip


def check_place(name: str) -> None:
    """Raise a `ConfigError` for what can only be a folder, and is none."""
    if not Path(name).is_dir() and (name.count("/") > 1 or name.startswith((".", "/", "~")) or Path(name).exists()):
        raise ConfigError("there is no folder of that name.", where=name, hint=HINT)


def json_of(name: str, file: str, hint: str = HINT) -> Any:
    """What a JSON file of the model `name` says; None where it has no such file."""
    path = file_of(name, file, hint)
    if path is None:
        return None
    with said(name, file):
        return json.loads(path.read_text(encoding="utf-8"))


def file_of(name: str, file: str, hint: str = HINT) -> Path | None:
    """A file of a model that is a folder or a name on the hub; None where the model has none of that name."""
    check_place(name)
    if Path(name).is_dir():
        return Path(name, file) if Path(name, file).is_file() else None
    from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache
    from transformers.utils import cached_file

    with said(name, file):
        there = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
    if there is None and try_to_load_from_cache(name, file) is not _CACHED_NO_EXIST:
        # That there is none is only known once the hub was asked.
        raise ConfigError(f"{file} of {name!r} cannot be loaded (no hub in reach).", where=WHERE, hint=hint)
    return None if there is None else Path(there)


def fill(layer: nn.Linear, folder: str) -> None:
    """Give a linear layer the weights of sentence-transformers' module in a folder."""
    from safetensors.torch import load_file

    check_safe(folder)
    with said(folder, "the weights of a layer"):
        weights = {k.removeprefix("linear."): t for k, t in load_file(Path(folder, WEIGHTS)).items()}
        if {k: t.shape for k, t in weights.items()} != {k: t.shape for k, t in layer.state_dict().items()}:
            raise ValueError("they are of other sizes than its config says")
    layer.load_state_dict(weights)


def licence(name: str) -> str | None:
    """The licence that the head of the model's README states."""
    with suppress(ConfigError, OSError):
        readme = file_of(name, "README.md")
        head = "" if readme is None else readme.read_text(encoding="utf-8", errors="replace")[:2000]
        if match := re.search(r"^license:\s*([\w.+-]+)", head, re.M):
            return match[1]
    return None


def tokenizer_of(name: str, where: str = WHERE) -> Any:
    """The tokeniser of a model, a folder or a name on the hub, which the knob `where` says."""
    auto = library("transformers", EXTRA[0], where).AutoTokenizer
    check_place(name)
    with said(name, "the tokeniser", where=where):
        made = auto.from_pretrained(name, trust_remote_code=False)
        files = {"tokenizer.json", *made.vocab_files_names.values()}
        # Without any of its files the library makes one of no words, and every text would be unknown.
        if Path(name).is_dir() and not any(Path(name, file).exists() for file in files):
            raise ValueError(f"there is none of {', '.join(sorted(files))}")
    return made


def tells_case(name: str) -> bool:
    """Whether the tokeniser makes other tokens of capital letters than of small ones."""
    tokenizer = tokenizer_of(name)
    return tokenizer("Paris IN May")["input_ids"] != tokenizer("paris in may")["input_ids"]


def around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that a tokeniser puts before and after a text."""
    for text in ("a", "the", "1"):
        plain, whole = tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer(text)["input_ids"]
        for start in range(len(whole) - len(plain) + 1 if plain else 0):
            if whole[start : start + len(plain)] == plain:
                return whole[:start], whole[start + len(plain) :]
    raise ConfigError("the tokeniser does not show what it puts around a text.", where=WHERE)


def pooling_of(name: str, file: str = POOLING_FILE) -> str:
    """The pooling that the model's sentence-transformers file says; the mean where it has none."""
    values = json_of(name, file, "Set the pooling, for example encoder_options.pooling=mean.")
    if values is None:
        return "mean"
    names = {"cls_token": "cls", "max_tokens": "max", "mean_tokens": "mean", "lasttoken": "last"}
    before = "pooling_mode_"  # until sentence-transformers 5 each mode was a switch
    modes = values.get("pooling_mode") or [k.removeprefix(before) for k, on in values.items() if before in k and on]
    modes = [modes] if isinstance(modes, str) else modes
    mode = names.get(modes[0], modes[0]) if len(modes) == 1 else None
    if mode not in POOLINGS:
        raise ConfigError(
            f"{name!r} was trained with a pooling that is not here ({', '.join(modes)}).", where=WHERE,
            hint=f"Choose one with encoder_options.pooling: {', '.join(POOLINGS)}.",
        )  # fmt: skip
    return mode


def dropping(architecture: Mapping[str, Any], dropout: float) -> dict[str, Any]:
    """The config with this dropout wherever it has one."""
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ConfigError(f"dropout is {dropout!r}; it is a share, at least 0 and less than 1.", where=OPTIONS)
    dropout = float(dropout)
    return {
        k: dropout if type(v) in (int, float) and ("dropout" in k or k.endswith("pdrop")) else v
        for k, v in architecture.items()
    }


def targeted(lora: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    """The adapter's numbers with the layers that it goes to: those that `peft` knows for the model, else all linear."""
    if not isinstance(lora, Mapping):
        raise ConfigError(f"lora is no table, but {lora!r}.", where=OPTIONS,
                          hint="For example encoder_options.lora.r=8.")  # fmt: skip
    by_type = library("peft", *EXTRA).utils.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    known = by_type.get(model_type, "all-linear")
    return {"target_modules": known if isinstance(known, str) else sorted(known), **lora}
