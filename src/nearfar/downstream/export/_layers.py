"""A projector as plain layers: a matrix, a bias and what follows them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.downstream.export import Unfit

ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU)


@dataclass
class Layer:
    """``activation(weight @ x + bias)``.

    Attributes
    ----------
    weight : float64 (D_out, D_in)
    bias : float64 (D_out,)
    activation : type of module or None
    """

    weight: torch.Tensor
    bias: torch.Tensor
    activation: type[nn.Module] | None = None


@torch.no_grad()
def layers(module: nn.Module) -> list[Layer]:
    """The layers of a module in evaluation, batch norm made part of the matrix before it, in double precision.

    Raises
    ------
    Unfit
        It is not made of matrices, batch norm and plain activations.
    """
    found: list[Layer] = []
    for part in _flat(module):
        open_ = bool(found) and found[-1].activation is None
        if isinstance(part, nn.Linear):
            weight = part.weight.double().cpu()
            bias = torch.zeros(len(weight)).double() if part.bias is None else part.bias.double().cpu()
            found.append(Layer(weight, bias))
        elif isinstance(part, _BatchNorm) and open_ and part.running_var is not None:
            _normed(found[-1], part)
        elif type(part) in ACTIVATIONS and open_ and getattr(part, "approximate", "none") == "none":
            found[-1].activation = type(part)
        else:
            raise Unfit(f"the projector has a {type(part).__name__}")
    return found


def scales(found: list[Layer]) -> bool:
    """Whether the layers map c·x to c·y for every c > 0: no bias, and nothing but ReLU."""
    return all(not layer.bias.any() and layer.activation in (None, nn.ReLU) for layer in found)


def _flat(module: nn.Module) -> list[nn.Module]:
    if isinstance(module, nn.Sequential):
        return [part for child in module for part in _flat(child)]
    return [] if isinstance(module, nn.Identity | nn.Dropout) else [module]


def _normed(layer: Layer, norm: _BatchNorm) -> None:
    scale = (norm.running_var.double().cpu() + norm.eps).rsqrt()
    shift = -norm.running_mean.double().cpu() * scale
    if norm.affine:
        scale, shift = scale * norm.weight.double().cpu(), shift * norm.weight.double().cpu() + norm.bias.double().cpu()
    layer.weight = layer.weight * scale[:, None]
    layer.bias = layer.bias * scale + shift
