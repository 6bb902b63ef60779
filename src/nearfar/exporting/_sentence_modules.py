"""Encoders of texts as modules of `sentence_transformers`, where that has such."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.sentence_transformer import modules as st
from torch import nn

from nearfar.encoders.static import Static
from nearfar.encoders.text_cnn import TextCnn
from nearfar.encoders.transformers import TransformersEncoder
from nearfar.exporting import Unfit, _layers, _tokenizers

POOLINGS = {"mean": "mean", "max": "max", "cls": "cls", "cls_before_pooler": "cls", "last": "lasttoken"}


@torch.no_grad()
def modules(branch: nn.Module, spec: Mapping[str, Any], layer: str, work: Path) -> list[nn.Module]:
    """The modules that together do what encoder and projector of a branch do, and make the result unit length.

    Parameters
    ----------
    branch : Branch
        In evaluation, on a processor, in single precision.
    spec : mapping
        Of the column: ``tokeniser`` and ``length``.
    layer : {"features", "projection"}
    work : Path
        A folder for files that are needed meanwhile.

    Raises
    ------
    Unfit
        There are no such modules.
    """
    projector = _layers.layers(branch.projector) if layer == "projection" else []
    encoder = branch.encoder
    stored = _tokenizers.plain(spec["tokeniser"], spec["length"])
    if isinstance(encoder, Static):
        found = _bag(encoder, stored) if _layers.scales(projector) else _weighted(encoder, stored)
    elif isinstance(encoder, TextCnn):
        found = _cnn(encoder, stored)
    elif isinstance(encoder, TransformersEncoder):
        found = _transformer(encoder, stored, spec["length"], work)
    else:
        raise Unfit(f"there is nothing like {type(encoder).__name__}")
    return [*found, *map(_dense, projector), st.Normalize()]


def _dense(layer: _layers.Layer) -> nn.Module:
    out, into = layer.weight.shape
    return st.Dense(
        into, out, activation_function=(layer.activation or nn.Identity)(),
        init_weight=layer.weight.float(), init_bias=layer.bias.float(),
    )  # fmt: skip


def _bag(encoder: Static, stored: Mapping[str, Any]) -> list[nn.Module]:
    """Its mean of weighted vectors is ours up to a positive factor, of which nothing is left at unit length."""
    vectors = encoder.vectors.double() * encoder.log_weights.double().exp()[:, None]
    return [st.StaticEmbedding(_tokenizers.opened(stored), embedding_weights=vectors[1:].float())]


def _words(vectors: torch.Tensor, weights: torch.Tensor, stored: Mapping[str, Any]) -> list[nn.Module]:
    """Vectors (V, D) of tokens times weights (V,): zeros where a row is filled up."""
    tokenizer = _tokenizers.fast(stored)
    names = [str(i) for i in range(len(vectors))]
    weighted = st.WordWeights(names, dict(zip(names, weights.tolist(), strict=True)))
    length = stored["truncation"]["max_length"]
    return [st.WordEmbeddings(tokenizer, vectors.float(), max_seq_length=length), weighted]


def _weighted(encoder: Static, stored: Mapping[str, Any]) -> list[nn.Module]:
    """With vectors v/w and weights w², Σ w² (v/w) / √(Σ w²) is what we compute."""
    weights = encoder.log_weights.double().exp()[1:]
    vectors = encoder.vectors.double()[1:] / weights[:, None]
    pooling = st.Pooling(vectors.shape[1], "mean_sqrt_len_tokens")
    return [*_words(vectors, weights.square(), {**stored, "padding": None}), pooling]


def _cnn(encoder: TextCnn, stored: Mapping[str, Any]) -> list[nn.Module]:
    """Filters of an even width are made odd by a zero, since theirs must be; ReLU after the maximum is ReLU before."""
    vectors = encoder.vectors.weight[1:]
    widths = [c.kernel_size[0] | 1 for c in encoder.convolutions]
    cnn = st.CNN(vectors.shape[1], encoder.convolutions[0].out_channels, widths)
    for theirs, own in zip(cnn.convs, encoder.convolutions, strict=True):
        theirs.weight.copy_(nn.functional.pad(own.weight, (1 - own.kernel_size[0] % 2, 0)))
        theirs.bias.copy_(own.bias)
    size = encoder.out_features
    relu = st.Dense(size, size, activation_function=nn.ReLU(), init_weight=torch.eye(size), init_bias=torch.zeros(size))
    return [*_words(vectors, torch.ones(len(vectors)), stored), cnn, st.Pooling(size, "max"), relu]


def _transformer(encoder: TransformersEncoder, stored: Mapping[str, Any], length: int, work: Path) -> list[nn.Module]:
    model = merged(encoder.model)
    framed = _tokenizers.framed(stored, encoder.prefix, encoder.suffix)
    most = min(length, encoder.room) + len(encoder.prefix) + len(encoder.suffix)
    _save(model, work)
    _tokenizers.fast(framed, encoder.pad, most).save_pretrained(work)
    if encoder.pooling == "pooler":
        said = {"text": {"method": "forward", "method_output_name": "pooler_output"}}
        return [st.Transformer(str(work), modality_config=said, module_output_name="sentence_embedding")]
    return [st.Transformer(str(work)), st.Pooling(encoder.out_features, POOLINGS[encoder.pooling])]


def merged(model: nn.Module) -> nn.Module:
    """A copy of a model whose adapters (LoRA) are added to the layers that they stand beside."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if hasattr(module, "lora_A") and hasattr(module, "get_base_layer"):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, module.get_base_layer())
    return model


def _save(model: Any, work: Path) -> None:
    """The model as its library saves it; the encoder of one with two halves under the names that it has there."""
    import transformers
    from safetensors.torch import save_file

    known = transformers.CONFIG_MAPPING[model.config.model_type]()
    if not getattr(known, "is_encoder_decoder", False):
        model.save_pretrained(work)
        return
    weights = {f"encoder.{name}": tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    weights["shared.weight"] = model.get_input_embeddings().weight.detach().clone()
    save_file(weights, work / "model.safetensors", {"format": "pt"})
    config = copy.deepcopy(model.config)
    config.is_encoder_decoder = True
    config.save_pretrained(work)
