"""Encoders of texts as modules of `sentence_transformers`, where that has such."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.sentence_transformer import modules as st
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.downstream.export import Unfit, _tokenizers
from nearfar.encoders.fixed.lsa import Lsa
from nearfar.encoders.text import static
from nearfar.encoders.text.static import Static
from nearfar.encoders.text.text_cnn import TextCnn
from nearfar.encoders.text.transformers import TransformersEncoder

POOLINGS = {"mean": "mean", "max": "max", "cls": "cls", "cls_before_pooler": "cls", "last": "lasttoken"}
ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU)
FAR_BELOW = -1e9


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
    projector = layers(branch.projector) if layer == "projection" else []
    encoder, length = branch.encoder, spec["length"]
    if layer == "features" and branch.fixed is not None:
        encoder = _joined(encoder, branch.fixed, branch.scale)
    stored = _tokenizers.plain(spec["tokeniser"], length)
    if isinstance(encoder, Static):
        made = _bag(encoder, stored, length, alone=scales(projector))
    elif isinstance(encoder, TextCnn):
        made = _cnn(encoder, stored, length)
    elif isinstance(encoder, TransformersEncoder):
        made = _transformer(encoder, stored, length, work)
    else:
        raise Unfit(f"there is nothing like {type(encoder).__name__}")
    return [*made, *map(_dense, projector), st.Normalize()]


def _joined(encoder: nn.Module, fixed: nn.Module, scale: torch.Tensor) -> Static:
    """A bag beside a bag of the same weights, as one bag."""
    if not (isinstance(encoder, Static) and isinstance(fixed, Lsa)):
        raise Unfit(f"there is nothing like {type(fixed).__name__} beside {type(encoder).__name__}")
    weights = encoder.log_weights.exp()[:, None]
    joined = static.build(vocabulary=len(weights) - 1, length=0, dim=encoder.out_features + fixed.out_features)
    joined.vectors.copy_(torch.cat([encoder.vectors, scale * fixed.vectors / weights], 1))
    joined.log_weights.copy_(encoder.log_weights)
    return joined.eval()


def _dense(layer: Layer) -> nn.Module:
    out, into = layer.weight.shape
    return st.Dense(
        into, out, activation_function=(layer.activation or nn.Identity)(),
        init_weight=layer.weight.float(), init_bias=layer.bias.float(),
    )  # fmt: skip


def _words(vectors: torch.Tensor, weights: torch.Tensor, stored: Mapping[str, Any], length: int) -> list[nn.Module]:
    """Vectors (V, D) of tokens times weights (V,), and zeros where a row is filled up."""
    names = [str(i) for i in range(len(vectors))]
    weighted = st.WordWeights(names, dict(zip(names, weights.tolist(), strict=True)))
    return [st.WordEmbeddings(_tokenizers.fast(stored), vectors.float(), max_seq_length=length), weighted]


def _bag(encoder: Static, stored: Mapping[str, Any], length: int, alone: bool) -> list[nn.Module]:
    weights, vectors = encoder.log_weights.double().exp()[1:], encoder.vectors.double()[1:]
    if alone:  # its mean of weighted vectors is ours up to a positive factor, of which nothing is left at unit length
        weighted = (vectors * weights[:, None]).float()
        return [st.StaticEmbedding(_tokenizers.opened(stored), embedding_weights=weighted)]
    vectors = vectors / weights[:, None]  # with vectors v/w and weights w², Σ w² (v/w) / √(Σ w²) is what we compute
    pooling = st.Pooling(vectors.shape[1], "mean_sqrt_len_tokens")
    return [*_words(vectors, weights.square(), stored, length), pooling]


def _cnn(encoder: TextCnn, stored: Mapping[str, Any], length: int) -> list[nn.Module]:
    """Filters of an even width are made odd by a zero, since theirs must be; ReLU after the maximum is ReLU before.

    Their maximum of a text without tokens is −∞, ours is 0. So one token more stands before every text: zeros like
    what is beyond the ends, and a dimension of its own, by which all filters are far below 0 there and nowhere else.
    """
    size, filters = encoder.vectors.weight.shape[1], encoder.convolutions[0].out_channels
    vectors = nn.functional.pad(encoder.vectors.weight[1:], (0, 1, 0, 1))
    vectors[-1, -1] = 1
    widths = [c.kernel_size[0] | 1 for c in encoder.convolutions]
    cnn = st.CNN(size + 1, filters, widths)
    for theirs, ours in zip(cnn.convs, encoder.convolutions, strict=True):
        theirs.weight.zero_()
        theirs.weight[:, :-1] = nn.functional.pad(ours.weight, (1 - ours.kernel_size[0] % 2, 0))
        theirs.weight[:, -1, theirs.kernel_size[0] // 2] = FAR_BELOW
        theirs.bias.copy_(ours.bias)
    out = encoder.out_features
    relu = st.Dense(out, out, activation_function=nn.ReLU(), init_weight=torch.eye(out), init_bias=torch.zeros(out))
    begun = _tokenizers.framed(stored, [len(vectors) - 1], [])
    words = _words(vectors, torch.ones(len(vectors)), begun, length + 1)
    return [*words, cnn, st.Pooling(out, "max"), relu]


def _transformer(encoder: TransformersEncoder, stored: Mapping[str, Any], length: int, work: Path) -> list[nn.Module]:
    model = merged(encoder.model)
    framed = _tokenizers.framed(stored, encoder.prefix, encoder.suffix)
    most = min(length, encoder.room) + len(encoder.prefix) + len(encoder.suffix)
    _save(model, work)
    _tokenizers.fast(framed, encoder.pad, most).save_pretrained(work)
    if encoder.pooling == "pooler":
        output = {"text": {"method": "forward", "method_output_name": "pooler_output"}}
        return [st.Transformer(str(work), modality_config=output, module_output_name="sentence_embedding")]
    return [st.Transformer(str(work)), st.Pooling(encoder.out_features, POOLINGS[encoder.pooling])]


def merged(model: nn.Module) -> nn.Module:
    """A copy of a model whose adapters (LoRA) are added to the layers that they stand beside."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if hasattr(module, "lora_A") and hasattr(module, "get_base_layer"):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())
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


# --- projectors ---------------------------------------------------------------------------------------------------


@dataclass
class Layer:
    """``activation(weight @ x + bias)``: float64 (D_out, D_in) and (D_out,), and the type of a module, or None."""

    weight: torch.Tensor
    bias: torch.Tensor
    activation: type[nn.Module] | None = None


@torch.no_grad()
def layers(module: nn.Module) -> list[Layer]:
    """The layers of a module in evaluation, batch norm made part of the matrix before it.

    Raises
    ------
    Unfit
        It is not made of matrices, batch norm and plain activations.
    """
    made: list[Layer] = []
    for part in _flat(module):
        open_ = bool(made) and made[-1].activation is None
        if isinstance(part, nn.Linear):
            weight = part.weight.double().cpu()
            bias = torch.zeros(len(weight)).double() if part.bias is None else part.bias.double().cpu()
            made.append(Layer(weight, bias))
        elif isinstance(part, _BatchNorm) and open_ and part.running_var is not None:
            scale = (part.running_var.double().cpu() + part.eps).rsqrt()
            shift = -part.running_mean.double().cpu() * scale
            if part.affine:
                weight, bias = part.weight.double().cpu(), part.bias.double().cpu()
                scale, shift = scale * weight, shift * weight + bias
            made[-1].weight = made[-1].weight * scale[:, None]
            made[-1].bias = made[-1].bias * scale + shift
        elif type(part) in ACTIVATIONS and open_ and getattr(part, "approximate", "none") == "none":
            made[-1].activation = type(part)
        else:
            raise Unfit(f"the projector has a {type(part).__name__}")
    return made


def _flat(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, nn.Sequential):
        return [part for child in module for part in _flat(child)]
    return [] if isinstance(module, nn.Identity | nn.Dropout) else [module]


def scales(made: list[Layer]) -> bool:
    """Whether the layers map c·x to c·y for every c > 0: no bias, and nothing but ReLU."""
    return all(not layer.bias.any() and layer.activation in (None, nn.ReLU) for layer in made)
