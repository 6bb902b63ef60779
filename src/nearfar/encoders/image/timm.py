"""Models of timm: ``timm:NAME``, ``timm:NAME@weights.safetensors``, or a folder as timm writes one.

Pretrained weights are taken where a file or a folder is named, or with ``encoder_options.pretrained=true``.
"""

import difflib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.core.errors import ConfigError, library, listed, reason
from nearfar.encoders.adaptation import Adaptation
from nearfar.encoders.offer import Offer
from nearfar.encoders.weights import WEIGHTS, check_safe

MODALITIES = ("image",)
WHERE = "model.encoder"
OUTSIDE = ("checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay")  # files of elsewhere
OURS = ("in_chans", "img_size", "num_classes", "pretrained")  # arguments of a model that the data and we decide
PIECE = 2**20  # pixels that are encoded at once: what becomes of more does not stay in the processor's cache
ADAPTED = {
    "labels": Adaptation(
        method="supcon", numbers={"projector": None, "count": 1, "temperature": 0.1},
        options={"frozen": 0.7, "statistics": False},
        knobs={"optim.lr": 2e-4, "views.recipe": "light", "train.batch_size": 100},
        steps=(10, 30), epochs=2, holdout=1000,
        why="all rows of a batch are compared by their labels, for few steps; the first layers stay as they are, and "
        "batch norms keep their statistics, which few rows would spoil",
    ),
}  # fmt: skip
HINT = "Name timm:NAME@FILE, or a folder of config.json and model.safetensors."


class TimmEncoder(nn.Module):
    """A timm model without its classifier, with random weights until `fetch` takes the pretrained ones.

    Further options are those of ``timm.create_model``.

    Parameters
    ----------
    name : str
        As timm calls it.
    pretrained : bool or str
        Where `fetch` finds the weights: a file, or for True the hub.
    frozen : float
        Share of the layers, from the input, that stay as they are while the others learn.
    statistics : bool
        Batch norms take new statistics while they learn; otherwise they keep those that they have.
    """

    def __init__(
        self, *, channels: int, size: int, name: str, pretrained: bool | str = False,
        frozen: float = 0.0, statistics: bool = True, **options: object,
    ) -> None:  # fmt: skip
        super().__init__()
        _library(name)
        if outside := [o for o in OUTSIDE if o in options]:
            raise ValueError(f"there is no option {', '.join(map(repr, outside))}")
        if not 0 <= frozen <= 1:
            raise ValueError(f"frozen is {frozen}, and a share of the layers is from 0 to 1")
        if _about(name).get("fixed_input_size"):
            options = {"img_size": size, **options}
        self.name, self.options, self.pretrained = name, {"in_chans": channels, **options}, pretrained
        self.model = self._created(num_classes=0)
        with torch.no_grad():  # some models pool to another width than they say
            self.out_features = self.model.eval()(torch.zeros(1, channels, size, size)).shape[1]
        self.kept = self._freeze(frozen, statistics)
        self.train()

    def _created(self, **more: Any) -> nn.Module:
        import timm

        try:
            return timm.create_model(self.name, pretrained=False, **more, **self.options)
        except (OSError, RuntimeError, TypeError, ValueError) as e:
            raise ValueError(f"timm:{self.name}: it cannot be built with these options ({e})") from e

    def _freeze(self, share: float, statistics: bool) -> list[str]:
        """The batch norms that keep their statistics, by name; layers that stay as they are get no gradient."""
        import timm

        names: set[str] = set()
        if share:
            layer = timm.models.group_parameters(self.model, self.model.group_matcher(), reverse=True)
            names = {name for name, i in layer.items() if i < round(share * (max(layer.values()) + 1))}
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(name not in names)
        norms = (name for name, module in self.model.named_modules() if isinstance(module, _BatchNorm))
        return [name for name in norms if not statistics or f"{name}.weight" in names]

    def train(self, mode: bool = True) -> "TimmEncoder":
        super().train(mode)
        for name in self.kept:
            self.model.get_submodule(name).eval()
        return self

    @torch.no_grad()
    def fetch(self) -> None:
        """Take the pretrained weights, without those of the classifier.

        Raises
        ------
        ConfigError
            They cannot be read, or are not those of this model.
        """
        if not self.pretrained:
            return
        file = self.pretrained if isinstance(self.pretrained, str) else _downloaded(self.name)
        weights = self._fitting(_tensors(file), file)
        self.model.load_state_dict(weights, strict=False)

    def _fitting(self, weights: dict[str, torch.Tensor], file: str) -> dict[str, torch.Tensor]:
        """The weights by the names that the model has, all of them and nothing else."""
        import timm

        wanted, about = self.model.state_dict(), _about(self.name)
        weights = {k: w for k, w in weights.items() if k not in _of_classifier(weights, about)}
        if weights.keys() ^ wanted.keys() or any(w.shape != wanted[k].shape for k, w in weights.items()):
            # timm converts what an earlier version wrote, and places of patches to pictures of another size.
            convert = getattr(sys.modules[timm.model_entrypoint(self.name).__module__], "checkpoint_filter_fn", dict)
            with suppress(Exception):  # whatever it raises about weights of another architecture
                weights = convert(dict(weights), self.model) if convert is not dict else weights
        for layer in _listed(about.get("first_conv")):
            first, ours = (w.get(f"{layer}.weight") for w in (weights, wanted))
            if first is not None and ours is not None and first.shape[1] != ours.shape[1]:
                weights[f"{layer}.weight"] = timm.models.adapt_input_conv(self.options["in_chans"], first)
        if missing := [k for k in wanted if k not in weights and not k.endswith("num_batches_tracked")]:
            raise _misfit(f"has no weights {listed(missing, 3)}", self.name, file)
        for key in wanted.keys() & weights.keys():
            if weights[key].shape != wanted[key].shape:
                shapes = f"{tuple(weights[key].shape)} where {tuple(wanted[key].shape)} is expected"
                raise _misfit(f"has a weight {key} of shape {shapes}", self.name, file)
        if left := weights.keys() - wanted.keys():
            # Some classifiers have layers of their own beside the last one.
            left -= self._created(num_classes=about.get("num_classes") or 1000).state_dict().keys()
        if left:
            raise _misfit(f"has weights that the model has not ({listed(sorted(left), 3)})", self.name, file)
        return {k: w for k, w in weights.items() if k in wanted}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        exporting = torch.compiler.is_exporting()  # then nothing may depend on the number of rows
        if self.training or torch.is_grad_enabled() or x.device.type != "cpu" or exporting:
            return self.model(x)
        rows = max(1, PIECE // (x.shape[-1] * x.shape[-2]))
        return torch.cat([self.model(part) for part in x.split(rows)])


build = TimmEncoder


def recognises(path: Path) -> bool:
    """Whether a folder is a model as timm writes one for the hub."""
    try:
        values = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and "architecture" in values and "schema" not in values


def offers(name: str) -> Offer:
    """The side of its pictures, and how timm's data config says that they are prepared.

    Raises
    ------
    ConfigError
        There is no such model, or it takes pictures that are not square, or of other channels than one or three.
    """
    settled = settle({"name": name})
    timm = _library(settled["name"])
    about = _config(name)["pretrained_cfg"] if _is_folder(name) else _about(settled["name"])
    data = timm.data.resolve_data_config({}, pretrained_cfg=about)
    channels, height, width = data["input_size"]
    if height != width or channels not in (1, 3):
        raise ConfigError(
            f"{name!r} takes pictures of {height} × {width} pixels and {channels} channels.", where=WHERE,
            hint="Models of square pictures, grey or in colour, can be used.",
        )  # fmt: skip
    prepared = {
        "mean": [float(v) for v in data["mean"]], "std": [float(v) for v in data["std"]],
        "interpolation": data["interpolation"], "crop": float(data["crop_pct"]), "mode": data["crop_mode"],
    }  # fmt: skip
    return Offer({"image": ("image", {"size": int(height), "preprocessing": prepared})}, licence=about.get("license"))


def settle(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the model's own name, and where its weights are: all that `build` needs without them.

    Raises
    ------
    ConfigError
        The file or folder that is named is not there, or holds a pickle.
    """
    settled = dict(options)
    name, at, file = str(settled.get("name", "")).partition("@")
    if _is_folder(name):
        if at:
            raise ConfigError("a folder has weights of its own.", where=WHERE, hint=f"Name it as timm:{name}.")
        about = _config(name)
        arguments = {k: v for k, v in (about.get("model_args") or {}).items() if k not in OURS}
        settled = arguments | settled | {"name": about["architecture"]}
        check_safe(name)
        file = os.path.join(name, WEIGHTS)
    elif at:
        settled["name"] = name
        check_safe(file)
    if (at or file) and settled.setdefault("pretrained", True) is True:
        if not os.path.isfile(file):
            raise ConfigError(f"there is no file {file or 'named'}.", where=WHERE, hint=HINT)
        settled["pretrained"] = os.path.abspath(file)
    return settled


def left_out(options: Mapping[str, Any]) -> str:
    """The weights of the classifier in the file that `settle` found, which are not taken."""
    file = options.get("pretrained")
    if not isinstance(file, str) or not os.path.isfile(file):  # it may be gone when a training is resumed
        return ""
    return listed(_of_classifier(_names(file), _about(options["name"])))


def check(name: str) -> Any:
    """The library, which has a model of that name; raises `ConfigError` or `ValueError` where it is not so."""
    # A folder may be gone when a training is resumed, which needs nothing of it any more.
    return library("timm", "timm", WHERE) if _is_folder(name) else _library(name.partition("@")[0])


def _library(name: str) -> Any:
    timm = library("timm", "timm", WHERE)
    if not name:
        raise ValueError("no model is named, for example timm:resnet50")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise ValueError(f"timm has no model {name!r}; near are {', '.join(near) or 'none'}")
    if "." in name and name not in (tags := timm.list_models(f"{name.partition('.')[0]}.*", include_tags=True)):
        raise ValueError(f"timm has no weights {name!r}; there are {listed(tags, 10) or 'none'}")
    return timm


def _about(name: str) -> dict[str, Any]:
    """What timm knows of the weights that go by this name, and of what they were trained on."""
    import timm

    about = timm.get_pretrained_cfg(name)
    return {"input_size": (3, 224, 224)} if about is None else about.to_dict()


def _is_folder(name: str) -> bool:
    return os.sep in name.partition("@")[0] or os.path.isdir(name)


def _config(folder: str) -> dict[str, Any]:
    """The ``config.json`` of a model's folder; early ones have all in one table."""
    path = Path(folder, "config.json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {"pretrained_cfg": values, **values, "architecture": str(values["architecture"])}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{folder!r} is no model of timm: its config.json cannot be read ({reason(e)}).", where=WHERE,
                          hint=HINT) from e  # fmt: skip


def _of_classifier(weights: Iterable[str], about: Mapping[str, Any]) -> list[str]:
    return [name for name in weights if name.rpartition(".")[0] in _listed(about.get("classifier"))]


def _listed(names: str | Sequence[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    check_safe(file)
    try:
        with safe_open(file, "pt") as f:
            yield f
    except (OSError, SafetensorError) as e:
        raise ConfigError(f"the weights cannot be read ({reason(e)}).", where=file) from e


def _names(file: str) -> list[str]:
    with _opened(file) as f:
        return sorted(f.keys())


def _tensors(file: str) -> dict[str, torch.Tensor]:
    with _opened(file) as f:
        return {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118


def _downloaded(name: str) -> str:
    """The file of weights on the hub, or in the hub's cache."""
    hub = _about(name).get("hf_hub_id")
    if not hub:
        url = _about(name).get("url")
        raise ConfigError(
            f"the hub has no pretrained weights of timm:{name}.", where=WHERE,
            hint=f"Convert those of {url} to safetensors, and name them: timm:{name}@FILE." if url else
                 f"Name a file of weights, timm:{name}@FILE, or another model.",
        )  # fmt: skip
    from huggingface_hub import hf_hub_download

    try:
        return hf_hub_download(hub, WEIGHTS)
    except Exception as e:  # of the network and of the hub there are many
        raise ConfigError(
            f"the pretrained weights of timm:{name} cannot be loaded ({reason(e)}).", where=WHERE,
            hint=f"Where there is a network, download https://huggingface.co/{hub}/resolve/main/{WEIGHTS}, and name "
                 f"the file: timm:{name}@{WEIGHTS}.",
        ) from e  # fmt: skip


def _misfit(what: str, name: str, file: str) -> ConfigError:
    return ConfigError(f"it {what}.", where=file, hint=f"Are these the weights of {name}, in timm's names?")
