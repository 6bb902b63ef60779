"""Every model of the `timm` library, by name: ``timm:resnet50``."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

import torch
from torch import nn

MODALITIES = ("image",)
SUMMARY = "any timm model, as timm:NAME; pretrained weights with encoder_options.pretrained=true"


class TimmEncoder(nn.Module):
    """A timm model without its classifier."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.out_features = model, model.num_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, S, S) to pooled features (N, D)."""
        return self.model(x)


def check(name: str) -> Any:
    """The library, which has a model of that name.

    Raises
    ------
    ValueError
        timm is not installed, or has no such model (the nearest is proposed).
    """
    try:
        import timm
    except ImportError as e:
        raise ValueError("timm models need the extra: pip install 'nearfar[timm]'") from e
    if not name:
        raise ValueError("say which model, for example timm:resnet50")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise ValueError(f"timm has no model {name!r}; near are {', '.join(near) or 'none'}")
    return timm


def build(*, channels: int, size: int, name: str, pretrained: bool = False, **options: object) -> TimmEncoder:
    """The model called `name`, for images of `channels` and side `size`.

    Raises
    ------
    ValueError
        timm is not installed, has no such model (the nearest is proposed), or cannot get its weights.
    """
    timm = check(name)
    if "img_size" in inspect.signature(timm.model_entrypoint(name)).parameters or "vit" in name:
        options = {"img_size": size, **options}
    try:
        model = timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=channels, **options)
    except (OSError, RuntimeError, TypeError, ValueError) as e:
        what = "its pretrained weights cannot be had" if pretrained else "it cannot be built so"
        raise ValueError(f"timm:{name}: {what} ({e})") from e
    encoder = TimmEncoder(model)
    with torch.no_grad():  # some models pool to another width than they say
        encoder.eval()
        encoder.out_features = encoder(torch.zeros(1, channels, size, size)).shape[1]
    return encoder.train()
