"""Every model of the `timm` library, by name: ``timm:resnet50``."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nearfar.core.errors import ConfigError

MODALITIES = ("image",)
SUMMARY = "any timm model, as timm:NAME; pretrained weights with encoder_options.pretrained=true"


OUTSIDE = ("checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay")  # files of elsewhere


class TimmEncoder(nn.Module):
    """A timm model without its classifier.

    Parameters
    ----------
    model : nn.Module
    pretrained : mapping, optional
        Arguments of `created` for the same model with the weights that `fetch` takes.
    """

    def __init__(self, model: nn.Module, pretrained: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.model, self.out_features, self.pretrained = model, model.num_features, pretrained

    @torch.no_grad()
    def fetch(self) -> None:
        """Take the pretrained weights, as a training does when it begins.

        Raises
        ------
        ConfigError
            They cannot be had.
        """
        if self.pretrained is None:
            return
        try:
            self.model.load_state_dict(created(**self.pretrained).state_dict())
        except ValueError as e:
            raise ConfigError(f"{e}.", where="model.encoder") from e

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


def created(name: str, *, pretrained: bool, **options: object) -> nn.Module:
    """What timm makes of a name; raises `ValueError` where it cannot."""
    import timm

    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except (OSError, RuntimeError, TypeError, ValueError) as e:
        what = "its pretrained weights cannot be had" if pretrained else "it cannot be built so"
        raise ValueError(f"timm:{name}: {what} ({e})") from e


def build(*, channels: int, size: int, name: str, pretrained: bool = False, **options: object) -> TimmEncoder:
    """The model called `name` with random weights, for images of `channels` and side `size`.

    Raises
    ------
    ValueError
        timm is not installed, has no such model (the nearest is proposed), or cannot build it with these options.
    """
    timm = check(name)
    if outside := [o for o in OUTSIDE if o in options]:
        raise ValueError(f"there is no option {', '.join(map(repr, outside))}")
    if "img_size" in inspect.signature(timm.model_entrypoint(name)).parameters or "vit" in name:
        options = {"img_size": size, **options}
    options = {"in_chans": channels, **options}
    weights = {"name": name, "pretrained": True, **options} if pretrained else None
    encoder = TimmEncoder(created(name, pretrained=False, **options), weights)
    with torch.no_grad():  # some models pool to another width than they say
        encoder.eval()
        encoder.out_features = encoder(torch.zeros(1, channels, size, size)).shape[1]
    return encoder.train()
