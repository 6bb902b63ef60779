"""Any text model of the `transformers` library, as ``transformers:NAME``, a folder or a name on the hub."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nearfar.core.errors import ConfigError, library
from nearfar.encoders.adaptation import Adaptation
from nearfar.encoders.offer import Offer
from nearfar.encoders.text import pretrained as source
from nearfar.encoders.text.sequences import check_pooling, framed, in_buckets, pooled
from nearfar.encoders.weights import check_safe

MODALITIES = ("text",)
TOKENS = "transformers"
FETCHES = True
MOST = 1024  # tokens of a text where a model is used as it is; longer ones need --set data.length in a training
# Chosen on training rows that taught nothing, with 8 and 64 labels a class (docs/results/pretrained.md): rates of 5e-5
# to 2e-4 and 10 to 20 steps are alike. Rates that fall from layer to layer, the last layers alone, and cosines of pairs
# brought to 0 and 1 were lower; the table of tokens costs a third of a step and changes nothing.
_LABELS = Adaptation(
    method="supcon", numbers={"projector": None, "count": 1, "temperature": 0.1}, options={"tokens": False},
    knobs={"optim.lr": 1e-4, "views.recipe": "none", "train.batch_size": 64}, steps=(15, 300), epochs=10, holdout=1000,
    why="all rows of a batch are compared by their labels, for few steps and at a rate for pretrained weights; the "
    "table of tokens stays as it is",
)  # fmt: skip
_LORA = {
    "options": {"lora": {"r": 8, "lora_alpha": 16}},
    "why": "as few labels teach, by adapters beside frozen layers",
}
ADAPTED = {
    "labels": replace(_LABELS, lighter=replace(_LABELS, **_LORA, knobs={**_LABELS.knobs, "optim.lr": 2e-3})),
    # CoSENT's own temperature of 0.05 heeds the most wrong pairs of a batch alone, which are often those whose scores
    # are wrong: with it a pretrained model became worse on STS-B's development pairs; 0.5 and 1 gained half of 0.2.
    "scores": Adaptation(
        method="cosent", numbers={"temperature": 0.2}, options={"tokens": False},
        knobs={"optim.lr": 5e-5, "views.recipe": "none", "train.batch_size": 32}, steps=(100, 3000), epochs=3,
        why="scores are learnt at a rate for pretrained weights and a temperature that heeds all pairs of a batch; "
        "the table of tokens stays as it is",
    ),
    "pairs": Adaptation(
        method="clip", numbers={"temperature": 0.05}, options={"tokens": False},
        knobs={"optim.lr": 5e-5, "views.recipe": "none", "train.batch_size": 64}, steps=(100, 3000), epochs=1,
        why="the sides of a row find each other at a rate for pretrained weights; the table of tokens stays as it is",
    ),
    # Texts alone: what was trained (SimCSE by dropout, spans, a denoising auto-encoder, neighbours) raised one set and
    # lowered another, and nothing that needs no labels told which; what is computed beside lowered none of five.
    "views": Adaptation(
        method="random", steps=(100, 3000), epochs=1,
        knobs={"model.fixed": "lsa", "model.fixed_weight": 0.5, "optim.lr": 1e-5, "train.batch_size": 64},
        why="a method that is named has a rate for pretrained weights; where none is, these stay as they are, and what "
        "the words of these texts tell is computed beside them",
    ),
}  # fmt: skip
CALL = 128  # tokens of padding that take as long as one more call of a training step, which goes over all weights
IDENTITY = nn.Identity.__module__


class TransformersEncoder(nn.Module):
    """A model of `transformers`, what it puts around a text, and one vector of its last states.

    It has random weights until `fetch` takes the pretrained ones, and is made of these values alone, as `settle` gives
    them: nothing is looked up anywhere.

    Parameters
    ----------
    architecture : mapping
        The config of the model.
    prefix, suffix : sequence of int
        The model's ids before and after every text.
    positions : int or None
        Tokens that the tokeniser allows, with prefix and suffix; longer texts are cut.
    pretrained : str or None
        Where `fetch` finds the weights.
    pooling : str
        ``mean``, ``max`` and ``last`` count prefix and suffix as tokens. ``cls`` is the first state, and
        ``cls_before_pooler`` another name of it; ``pooler`` is what the model's own pooler makes of it.
    dense : sequence of mapping
        Linear layers behind the pooling: ``in_features``, ``out_features``, ``bias``, ``activation`` by its name in
        torch.nn, and ``weights``, the folder where `fetch` finds those.
    normalize : bool
        The vectors have unit length.
    lora : mapping, optional
        Arguments of ``peft.LoraConfig``: adapters beside frozen layers (Hu et al. 2021, arXiv 2106.09685).
    tokens : bool
        Whether the table of the tokens' vectors is trained too: half of a small model's numbers, which few texts touch.
    """

    def __init__(
        self, *, vocabulary: int, length: int, name: str = "", architecture: Mapping[str, Any] | None = None,
        prefix: Sequence[int] = (), suffix: Sequence[int] = (), positions: int | None = None,
        pretrained: str | bool | None = True, pooling: str = "auto", dense: Sequence[Mapping[str, Any]] = (),
        normalize: bool = False, lora: Mapping[str, Any] | None = None, tokens: bool = True,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if architecture is None:
            raise ValueError("its architecture is not there, and is looked up nowhere")
        if options:
            raise ValueError(f"there is no option {', '.join(map(repr, options))}")
        model, kind = _random(architecture), architecture["model_type"]
        if vocabulary > (known := model.get_input_embeddings().num_embeddings):
            raise ValueError(f"the tokeniser has {vocabulary} ids, {kind} knows {known}")
        pooler = getattr(model, "pooler", None)
        if check_pooling(pooling, source.POOLINGS) == "pooler" and pooler is None:
            raise ValueError(f"{kind} has no pooler")
        if lora:
            peft = library("peft", *source.EXTRA)
            source.check_lora(lora)
            model = peft.inject_adapter_in_model(peft.LoraConfig(**lora), model)
        if not tokens:
            model.get_input_embeddings().requires_grad_(False)
        if pooler is not None and pooling != "pooler":
            pooler.requires_grad_(False)  # nobody looks at its output, so it would have no gradient
        self.model, self.prefix, self.suffix = model, tuple(prefix), tuple(suffix)
        self.pooling, self.pretrained, around = pooling, pretrained or None, len(prefix) + len(suffix)
        longest = min((n for n in (positions, _positions(model)) if n), default=length + around)
        self.room = longest - around
        if self.room < 1:
            raise ValueError(f"of {longest} positions none is left for a text")
        pad = getattr(model.config, "pad_token_id", None)
        self.pad = pad if isinstance(pad, int) and pad >= 0 else 0
        self.normalize, self.dense_weights = normalize, [d["weights"] for d in dense]
        self.dense = nn.Sequential(*map(_dense, dense))
        # some models give another width than they say
        self.out_features = int(dense[-1]["out_features"]) if dense else self.probe().shape[-1]

    @torch.no_grad()
    def probe(self) -> torch.Tensor:
        """The states of a text of one token: the library raises where its config and what frames a text do not fit."""
        was = self.training
        inputs, _ = self.framed(torch.ones(1, 1, dtype=torch.int64, device=next(self.parameters()).device))
        outputs = self.eval().model(input_ids=inputs)  # no mask: its numbers are looked at, and may not be there
        self.train(was)
        return outputs.pooler_output if self.pooling == "pooler" else outputs.last_hidden_state

    @torch.no_grad()
    def fetch(self) -> None:
        if not self.pretrained:
            return
        auto = library("transformers", *source.EXTRA).AutoModel
        check_safe(self.pretrained)
        with source.said(self.pretrained, "the weights"):
            loaded, info = auto.from_pretrained(
                self.pretrained, trust_remote_code=False, use_safetensors=True, dtype=torch.float32,
                output_loading_info=True,
            )  # fmt: skip
        missing = {key.removeprefix("encoder.") if _halves(loaded) else key for key in info["missing_keys"]}
        weights = _encoder_of(loaded).state_dict()
        for name, weight in self.model.state_dict().items():
            theirs = name.replace(".base_layer.", ".")  # LoRA calls so the layer that it wraps
            if ".lora_" in name or (theirs.startswith("pooler.") and self.pooling != "pooler"):
                continue
            if theirs in missing or theirs not in weights or weights[theirs].shape != weight.shape:
                raise ConfigError(f"{self.pretrained!r} has no weight {theirs} that fits.", where=source.WHERE)
            weight.copy_(weights[theirs])
        for layer, folder in zip(self.dense, self.dense_weights, strict=True):
            source.fill(layer[0], folder)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return in_buckets(self.encode, x.abs(), CALL)

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Features of rows of ids ≥ 0, all at once."""
        return self.encode_framed(*self.framed(ids))

    def encode_framed(self, inputs: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Features of what `framed` gives."""
        seen = torch.cat((torch.ones_like(there[:, :1]), there[:, 1:]), 1)  # an empty row has to look at something
        outputs = self.model(input_ids=inputs, attention_mask=seen.long())
        if self.pooling == "pooler":
            vectors = outputs.pooler_output
        else:
            how = "cls" if self.pooling == "cls_before_pooler" else self.pooling
            vectors = pooled(outputs.last_hidden_state, there, how)
        vectors = self.dense(vectors)
        return nn.functional.normalize(vectors, dim=-1) if self.normalize else vectors

    def framed(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The model's own ids with prefix and suffix, int64 (N, P + L + S), and where they are no padding."""
        return framed(ids[:, : self.room], self.prefix, self.suffix, self.pad)


build = TransformersEncoder


def recognises(path: Path) -> bool:
    """Whether a folder is a model of the library, and of none that is built on it."""
    if not (path / "config.json").is_file() or (path / "modules.json").exists():
        return False
    return "model_type" in (source.json_of(str(path), "config.json") or {})


def offers(name: str) -> Offer:
    """Its tokeniser, and as many tokens as it takes."""
    settled = settle({"name": name})
    config = settled["architecture"]
    most = min(n for n in (settled["positions"], config.get("max_position_embeddings"), MOST) if n)
    length = most - len(settled["prefix"]) - len(settled["suffix"])
    tokens = {"tokens": f"{TOKENS}:{name}", "length": length}
    return Offer({"text": ("text", tokens)}, settled, licence=source.licence(name))


def settle(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with all that `build` needs to make the model again without its folder or the hub.

    Parameters
    ----------
    options : mapping
        ``name``: folder or name on the hub. ``pretrained``: False for random weights. ``pooling``: one of
        `nearfar.encoders.text.pretrained.POOLINGS`, or "auto": what the model's sentence-transformers file says, else
        the mean. ``dropout``: in place of the model's own. ``lora``: arguments of ``peft.LoraConfig``, layers by name.

    Raises
    ------
    ConfigError
        `transformers` or `peft` is not installed, there is no such model, or it needs code of its own.
    """
    settled = dict(options)
    dropout, name = settled.pop("dropout", None), str(settled.get("name", ""))
    if "architecture" not in settled:
        settled |= source.described(name)
    if settled.get("pooling", "auto") == "auto":
        settled["pooling"] = source.pooling_of(name)
    pretrained = settled.get("pretrained", True)
    settled["pretrained"] = name if pretrained is True else pretrained or None
    if dropout is not None:
        settled["architecture"] = source.dropping(settled["architecture"], dropout)
    if settled.get("lora"):
        settled["lora"] = source.targeted(settled["lora"], settled["architecture"]["model_type"])
    return settled


def _random(architecture: Mapping[str, Any]) -> nn.Module:
    """The model of a config, or its encoder if it has two halves, with weights from torch's global generator."""
    source.check_architecture(architecture)
    transformers, kind = library("transformers", *source.EXTRA), architecture["model_type"]
    if kind not in transformers.CONFIG_MAPPING:
        raise ValueError(f"the installed transformers knows no models of type {kind!r}")
    with source.offline():
        config = transformers.CONFIG_MAPPING[kind].from_dict(dict(architecture))
        config.use_cache = False
        return _encoder_of(transformers.AutoModel.from_config(config, trust_remote_code=False, dtype=torch.float32))


def _dense(about: Mapping[str, Any]) -> nn.Sequential:
    activation = getattr(nn, str(about["activation"]), None)
    if not (isinstance(activation, type) and activation.__module__ in ("torch.nn.modules.activation", IDENTITY)):
        raise ValueError(f"there is no activation {about['activation']!r}")
    return nn.Sequential(nn.Linear(about["in_features"], about["out_features"], bias=about["bias"]), activation())


def _halves(model: nn.Module) -> bool:
    return bool(getattr(model.config, "is_encoder_decoder", False))


def _encoder_of(model: nn.Module) -> nn.Module:
    return model.get_encoder() if _halves(model) else model


def _positions(model: nn.Module) -> int | None:
    """Tokens that fit: places of a learnt embedding, less those that RoBERTa keeps for padding; else the config's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return getattr(model.config, "max_position_embeddings", None)
