"""Any timm model, as ``timm:resnet50``; pretrained weights with ``encoder_options.pretrained=true``."""

import difflib
import inspect
from typing import Any

import torch
from torch import nn

from nearfar.core.errors import ConfigError, library

MODALITIES = ("image",)
OUTSIDE = ("checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay")  # files of elsewhere


class TimmEncoder(nn.Module):
    """A timm model without its classifier, with random weights until `fetch` takes the pretrained ones.

    Further options are those of ``timm.create_model``.
    """

    def __init__(self, *, channels: int, size: int, name: str, pretrained: bool = False, **options: object) -> None:
        super().__init__()
        timm = check(name)
        if outside := [o for o in OUTSIDE if o in options]:
            raise ValueError(f"there is no option {', '.join(map(repr, outside))}")
        if "img_size" in inspect.signature(timm.model_entrypoint(name)).parameters or "vit" in name:
            options = {"img_size": size, **options}
        self.name, self.options, self.pretrained = name, {"in_chans": channels, **options}, pretrained
        self.model = self._created(pretrained=False)
        with torch.no_grad():  # some models pool to another width than they say
            self.out_features = self.model.eval()(torch.zeros(1, channels, size, size)).shape[1]
        self.model.train()

    def _created(self, pretrained: bool) -> nn.Module:
        import timm

        try:
            return timm.create_model(self.name, pretrained=pretrained, num_classes=0, **self.options)
        except (OSError, RuntimeError, TypeError, ValueError) as e:
            what = "its pretrained weights cannot be loaded" if pretrained else "it cannot be built with these options"
            raise ValueError(f"timm:{self.name}: {what} ({e})") from e

    @torch.no_grad()
    def fetch(self) -> None:
        if not self.pretrained:
            return
        try:
            self.model.load_state_dict(self._created(pretrained=True).state_dict())
        except ValueError as e:
            raise ConfigError(f"{e}.", where="model.encoder") from e

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


build = TimmEncoder


def check(name: str) -> Any:
    """The library, which has a model of that name; raises `ConfigError` or `ValueError` where it is not so."""
    timm = library("timm", "timm", "model.encoder")
    if not name:
        raise ValueError("no model is named, for example timm:resnet50")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise ValueError(f"timm has no model {name!r}; near are {', '.join(near) or 'none'}")
    return timm
