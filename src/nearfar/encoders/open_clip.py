"""CLIP models of open_clip, as ``open_clip:FOLDER`` or ``open_clip:NAME@weights.safetensors``: pictures and texts."""

from __future__ import annotations

import contextlib
import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nearfar.core.errors import ConfigError, library, reason
from nearfar.encoders.offer import Offer
from nearfar.encoders.text import pretrained as source
from nearfar.encoders.text.sequences import framed, in_buckets
from nearfar.encoders.weights import PICKLES, check_safe

MODALITIES = ("image", "text")
TOKENS = "open_clip"
FETCHES = True
CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "model.safetensors")
WHERE = "model.encoder"
SAFE = ".safetensors"
END_OF_TEXT = ("argmax", "eos")  # poolings that take the state of the end token, whatever stands behind it
MODES = {"shortest": "center", "squash": "squash"}
TOWERS = {"image": "vision_cfg", "text": "text_cfg"}
NEEDED = {"embed_dim", *TOWERS.values()}
# What would have to be looked up elsewhere, or is no plain tower.
REFUSED = {"hf_model_name": "a text tower of another library", "hf_tokenizer_name": "a tokeniser of another library"}
CLEANED = "lower"  # what the tokeniser does to a text, see `nearfar.modalities.text.tokenisers.open_clip`
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # Radford et al. 2021
TEXT_PARTS = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")


class OpenClipEncoder(nn.Module):
    """One tower of a CLIP model (Radford et al. 2021, arXiv 2103.00020), random until `fetch` takes weights.

    Parameters
    ----------
    architecture : mapping
        The library's config of the model: ``embed_dim``, ``vision_cfg``, ``text_cfg``, ``quick_gelu``.
    weights : str or None
        Where `fetch` finds them.
    prefix, suffix : sequence of int
        The ids of the start and end of a text.
    """

    def __init__(
        self, *, name: str = "", architecture: Mapping[str, Any] | None = None, weights: str | None = None,
        prefix: Sequence[int] = (), suffix: Sequence[int] = (), pretrained: bool = False,
        channels: int | None = None, size: int | None = None, vocabulary: int | None = None, length: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if architecture is None:
            raise ValueError("its architecture is not there, and is looked up nowhere")
        self.side = "text" if vocabulary is not None else "image"
        cfg = dict(architecture[TOWERS[self.side]])
        if self.side == "image" and (channels, size) != (3, cfg["image_size"]):
            raise ValueError(f"it takes pictures of 3 channels and {cfg['image_size']} pixels, and these have "
                             f"{channels} and {size}")  # fmt: skip
        if self.side == "text" and vocabulary > cfg.get("vocab_size", vocabulary):
            raise ValueError(f"the tokeniser has {vocabulary} ids, the model knows {cfg['vocab_size']}")
        made = getattr(library("open_clip.model", "open_clip", WHERE), f"_build_{TOWERS[self.side][:-4]}_tower")
        self.tower = made(architecture["embed_dim"], cfg, bool(architecture.get("quick_gelu")))
        self.out_features, self.weights = int(architecture["embed_dim"]), weights if pretrained else None
        self.prefix, self.suffix, self.numbers = tuple(prefix), tuple(suffix), {}
        self.context = int(cfg.get("context_length", 77))
        self.room = self.context - len(prefix) - len(suffix) if self.side == "text" else None
        self.cuts = cfg.get("pool_type", "argmax") in END_OF_TEXT and not cfg.get("no_causal_mask")
        if self.side == "text":
            self.tower.transformer.register_forward_pre_hook(_as_wide, with_kwargs=True)

    @torch.no_grad()
    def fetch(self) -> None:
        if not self.weights:
            return
        held, part = _held(self.weights), f"{_part(self.side)}."
        own = {k.removeprefix(part): t for k, t in held.items() if k.startswith(part)}
        for name, weight in self.tower.state_dict().items():
            if name not in own or own[name].shape != weight.shape:
                has = "none" if name not in own else str(tuple(own[name].shape))
                raise ConfigError(
                    f"has no weight {part}{name} of the shape {tuple(weight.shape)} ({has}).",
                    where=self.weights, hint="They are of another architecture, or not whole.",
                )  # fmt: skip
            weight.copy_(own[name])
        if "logit_scale" in held:
            self.numbers = {"temperature": math.exp(-float(held["logit_scale"]))}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.side == "image":
            return self.tower(x)
        return in_buckets(self.encode, x.abs())

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Features of rows of ids ≥ 0, all at once."""
        return self.encode_framed(*framed(ids[:, : self.room], self.prefix, self.suffix))

    def encode_framed(self, inputs: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Features of ids with the start and end of the text."""
        if not self.cuts:  # what fills up a row counts there
            inputs = nn.functional.pad(inputs, (0, self.context - inputs.shape[1]))
        return self.tower(inputs)

    @property
    def pad(self) -> int:
        return 0


build = OpenClipEncoder


def recognises(path: Path) -> bool:
    return (path / CONFIG).is_file()


def offers(name: str) -> Offer:
    """Its pictures' size and preprocessing, its tokeniser and the tokens that fit."""
    settled, prepared = settle({"name": name}), _found(name)[1]
    architecture = settled["architecture"]
    room = architecture["text_cfg"].get("context_length", 77) - len(settled["prefix"]) - len(settled["suffix"])
    mode = prepared.get("resize_mode", "shortest")
    if mode not in MODES:
        raise ConfigError(f"{name!r} resizes pictures by {mode!r}, which is not supported.", where=WHERE)
    preprocessing = {
        "mean": list(prepared.get("mean", MEAN)), "std": list(prepared.get("std", STD)), "mode": MODES[mode],
        "interpolation": prepared.get("interpolation", "bicubic"), "crop": 1.0,
    }  # fmt: skip
    image = {"size": architecture["vision_cfg"]["image_size"], "preprocessing": preprocessing}
    folder = name if Path(name).is_dir() else ""
    return Offer({"image": ("image", image), "text": ("text", {"tokens": TOKENS, "length": room})},
                 {"pretrained": True}, licence=source.licence(folder) if folder else None)  # fmt: skip


def check(name: str) -> None:
    """Raise a `ConfigError` where there is no such model."""
    _found(name)


def settle(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with all that `build` needs to make a tower without the model's folder.

    Raises
    ------
    ConfigError
        open_clip is not installed, has no such model, or the model has a part that is not supported.
    """
    settled = dict(options)
    if "architecture" in settled:
        return settled
    name = str(settled.get("name", ""))
    architecture, _, weights = _found(name)
    settled.setdefault("pretrained", weights is not None)
    if settled["pretrained"] and weights is None:
        tags = _tags(name)
        raise ConfigError(f"no weights of {name!r} are named.", where=WHERE, hint=(
            f"Name a file, open_clip:{name}@weights.safetensors, or weights of the library: "
            f"open_clip:{name}@{tags[0] if tags else 'TAG'}."
        ))  # fmt: skip
    known = library("open_clip", "open_clip", WHERE).tokenizer.SimpleTokenizer()
    frame = {"prefix": [known.sot_token_id], "suffix": [known.eot_token_id]}
    return {"architecture": architecture, "weights": weights if settled["pretrained"] else None, **frame, **settled}


def _found(name: str) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """The architecture of a model, how its pictures are prepared, and where its weights are."""
    open_clip = library("open_clip", "open_clip", WHERE)
    name, at, weights = name.partition("@")
    if not name:
        raise ConfigError("no model is named.", where=WHERE, hint="For example open_clip:ViT-B-32@weights.safetensors.")
    prepared: dict[str, Any] = {}
    if name in open_clip.list_models():
        architecture = open_clip.get_model_config(name)
        beside = Path(weights).parent / CONFIG
        if at and weights.endswith(SAFE) and beside.is_file():
            prepared = (_json(beside.read_text(encoding="utf-8"), str(beside))).get("preprocess_cfg", {})
        elif at and not Path(weights).exists():
            prepared = open_clip.get_pretrained_cfg(name, weights)
            if not prepared and not weights.endswith((SAFE, *PICKLES)):
                raise ConfigError(f"open_clip has no weights {weights!r} of {name}.", where=WHERE,
                                  hint=f"There are: {', '.join(_tags(name)) or 'none'}.")  # fmt: skip
            architecture["quick_gelu"] = architecture.get("quick_gelu") or prepared.get("quick_gelu", False)
        source_of = f"{name}@{weights}" if at else None
    else:
        about = _of_folder(name)
        architecture, prepared = about.get("model_cfg", {}), about.get("preprocess_cfg", {})
        source_of = name
    return _plain(architecture, name), prepared, source_of


def _of_folder(name: str) -> dict[str, Any]:
    """What the config of a folder, or of a name on the hub, says."""
    if Path(name).is_dir() or "/" in name:
        file = Path(name, CONFIG) if Path(name).is_dir() else _from_hub(name, CONFIG)
        if not file.is_file():
            raise ConfigError(f"has no {CONFIG}, so it is no model of open_clip.", where=name)
        return _json(file.read_text(encoding="utf-8"), str(file))
    near = difflib.get_close_matches(name, library("open_clip", "open_clip", WHERE).list_models(), n=3)
    hint = f"Near are {', '.join(near)}." if near else "Name a folder, or a model of the library."
    raise ConfigError(f"open_clip has no model {name!r}.", where=WHERE, hint=hint)


def _json(text: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as e:
        raise ConfigError(f"is no JSON ({reason(e)}).", where=where) from e
    if not isinstance(values, dict):
        raise ConfigError("is no config of open_clip.", where=where)
    return values


def _plain(architecture: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The architecture as it is kept, where it is one of two plain towers."""
    if not set(architecture) >= NEEDED:
        raise ConfigError(f"{name!r} is not described as a model of open_clip is.", where=WHERE)
    vision, text = architecture["vision_cfg"], architecture["text_cfg"]
    odd = next((what for key, what in REFUSED.items() if text.get(key)), None)
    if "multimodal_cfg" in architecture:
        odd = "a decoder of texts"
    if text.get("embed_cls") or text.get("output_tokens") or vision.get("output_tokens"):
        odd = "a tower that gives states"
    if text.get("tokenizer_kwargs", {}).get("clean", CLEANED) != CLEANED:
        odd = "a tokeniser that cleans texts in another way"
    if not isinstance(vision.get("image_size", 224), int):
        odd = "pictures that are no squares"
    if odd:
        raise ConfigError(f"{name!r} has {odd}, which is not supported.", where=WHERE)
    kept = {k: architecture[k] for k in ("embed_dim", *TOWERS.values(), "quick_gelu") if k in architecture}
    own = {"timm_model_pretrained": False} if "timm_model_name" in vision else {}
    kept["vision_cfg"] = {"image_size": 224, **vision, **own}
    return json.loads(json.dumps(kept))


def _tags(name: str) -> list[str]:
    return library("open_clip", "open_clip", WHERE).list_pretrained_tags_by_model(name.partition("@")[0])


def _as_wide(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The mask of attention as wide as the texts are, since the library's is for texts that are filled up."""
    mask, width = named.get("attn_mask"), given[0].shape[1]
    return given, named if mask is None else {**named, "attn_mask": mask[..., :width, :width]}


def _part(side: str) -> str:
    return "visual" if side == "image" else "text"


def _held(source_of: str) -> dict[str, torch.Tensor]:
    """The tensors of a model's file, those of the text tower under "text."."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = _file(source_of)
    check_safe(str(file))
    try:
        held = load_file(file)
    except (OSError, SafetensorError) as e:
        raise ConfigError(f"cannot be read as safetensors ({reason(e)}).", where=str(file)) from e
    held = {k.removeprefix("module."): t for k, t in held.items()}
    old = any(k.startswith("token_embedding") for k in held)
    return {f"text.{k}" if old and k.startswith(TEXT_PARTS) else k: t for k, t in held.items()}


def _file(source_of: str) -> Path:
    """Where the weights are, after asking the hub for those that are named by a tag."""
    name, at, weights = source_of.partition("@")
    if not at:
        if not Path(name).is_dir():
            return _from_hub(name, WEIGHTS[0])
        found = [Path(name, f) for f in WEIGHTS if Path(name, f).is_file()]
        odd = [f for f in sorted(Path(name).iterdir()) if f.suffix in PICKLES]
        if not found and not odd:
            raise ConfigError(f"has none of {', '.join(WEIGHTS)}.", where=name)
        return (found or odd)[0]
    if Path(weights).is_file():
        return Path(weights)
    open_clip = library("open_clip", "open_clip", WHERE)
    cfg = open_clip.get_pretrained_cfg(name, weights)
    if not cfg:
        raise ConfigError("there is no such file.", where=weights)
    with _asked(f"{name}@{weights}", cfg.get("hf_hub") or cfg.get("url", "")):
        return Path(open_clip.download_pretrained(cfg, prefer_hf_hub=True))


def _from_hub(name: str, file: str) -> Path:
    with _asked(name, f"{name}/{file}"):
        return Path(library("huggingface_hub", "open_clip", WHERE).hf_hub_download(name, file))


@contextlib.contextmanager
def _asked(name: str, what: str) -> Iterator[None]:
    """What goes wrong where the hub is asked, as a sentence."""
    try:
        yield
    except Exception as e:  # of the hub, of the network, whatever they raise
        raise ConfigError(
            f"{what} of {name!r} is not on this machine, and the hub cannot be reached.", where=WHERE,
            hint=f"Download it elsewhere, and name the file: open_clip:NAME@FILE{SAFE}, or its folder.",
        ) from e  # fmt: skip
