"""From words to models: a run, an ensemble, a folder of several runs, or a pretrained model of another library."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core import files
from nearfar.core.errors import ConfigError, RunError
from nearfar.core.leftovers import is_left
from nearfar.core.names import real
from nearfar.core.options import checked
from nearfar.models.run import Run
from nearfar.models.stored import stored_seeds

if TYPE_CHECKING:
    import torch

    from nearfar.models.model import Model


@checked
def load(
    path: str | Path, device: str = "auto", cache: bool = True, precision: str | None = None, engine: str = "torch"
) -> Model:
    """The model of a run folder, from that folder alone: an `Embedder`, or an `Ensemble`, which is used like one.

    A pretrained model is opened as it is: the folder of a model of sentence-transformers, transformers or timm, or a
    word such as ``st:NAME``, ``transformers:NAME``, ``timm:NAME@weights.safetensors`` (docs/pretrained.md).

    Parameters
    ----------
    cache : bool
        Keep the vectors that it gives, and take those that are kept, where that is quicker (`nearfar.models.kept`).
    precision : {"fp32", "bf16", "auto"}, optional
        In which it computes; "auto" is bf16 where the hardware computes in it. By default that of the training, and
        fp32 for a pretrained model, whose vectors are those of its library to 1e-4; of bf16 they are not.
    engine : {"torch", "onnx", "onnx-int8"}
        What computes the vectors: ``onnx`` is ONNX Runtime, on the processor and in single precision, ``onnx-int8`` the
        same with products of matrices in 8 bits, which change the vectors a little (docs/export.md). What it needs is
        written once, below ``$NEARFAR_HOME``.

    Raises
    ------
    RunError
        No finished run is there, it is damaged, newer, or its weights do not fit its configuration; or the folder
        holds several runs.
    ConfigError
        The pretrained model cannot be opened, or not run by the engine; or there is no such precision.
    UnknownName
        There is no such engine.
    """
    if engine != "torch":
        from nearfar.models import engines

        if precision not in (None, "fp32"):
            raise ConfigError(f"the engine {engine} computes in single precision.", where="precision")
        return engines.with_engine(load(path, "cpu", cache, "fp32"), engine)
    if (word := pretrained_word(path)) is not None:
        from nearfar.core import devices
        from nearfar.models import pretrained

        return _placed(pretrained.opened(word), devices.device(device), cache, precision)
    if is_series(path):
        raise RunError("holds several runs.", where=str(path), hint="Name one of them, or make them one: ensemble.")
    if ":" in str(path) and not os.path.exists(path):
        from nearfar.models import pretrained

        pretrained.check_kind(str(path))
    run = Run.open(path)
    if not os.path.exists(run.model_file):
        raise RunError("the run has no model yet.", where=str(path), hint="Pass --resume to finish its training.")
    # What is wrong with a folder is said before torch is loaded.
    from nearfar.core import devices
    from nearfar.models import restoring

    return _placed(restoring.restored(run), devices.device(device), cache, precision)


def _placed(model: Model, device: torch.device, cache: bool, precision: str | None) -> Model:
    from nearfar.core import devices

    for member in model.members:
        member.cached = cache
        if precision is not None:
            given = member.config.set("train.precision", precision)
            member.config = given.set("train.precision", devices.precision(precision, device))
    return model.to(str(device))


def opened(run: Model | str | Path, device: str = "auto", **options: Any) -> tuple[Model, str]:
    """A model that is given as itself or by the path of its run, and what results call it; `options` as of `load`."""
    if isinstance(run, str | Path):
        return load(run, device, **options), str(run)
    return run, str(run.path or run.name)


def pretrained_word(path: str | Path) -> str | None:
    """The word ``KIND:NAME`` of a pretrained model of another library; None where the path is that of a run."""
    there = os.path.exists(path)
    config = Path(path) / "config.json"
    if os.path.lexists(Path(path) / "seeds.json") or (not there and ":" not in str(path)):
        return None
    if os.path.exists(config) and _is_of_run(config):
        return None
    from nearfar.models import pretrained

    return pretrained.word_of(path)


def _is_of_run(config: Path) -> bool:
    """Whether a ``config.json`` is that of a run, damaged or not; libraries call theirs so too."""
    try:
        values = files.read_json(config)
    except RunError:
        return True
    return not isinstance(values, dict) or "schema" in values or not {"model_type", "architecture"} & set(values)


def is_series(path: str | Path) -> bool:
    """Whether a folder holds the runs of a training from several seeds."""
    return os.path.exists(Path(path) / "seeds.json")


def folders(path: str | Path) -> list[str | Path]:
    """The run folders that a path stands for: itself, those of a training from several seeds, or all in the folder."""
    if (word := pretrained_word(path)) is not None:
        return [word]
    path = Path(path)
    if os.path.exists(path / "config.json") or not os.path.isdir(path):
        return [path]
    if is_series(path):
        return [path / f"seed{n}" for n in stored_seeds(path)["seeds"]]
    return sorted(p.parent for p in path.glob("*/config.json") if not is_left(p.parent.name)) or [path]


def models(runs: Iterable[Model | str | Path], device: str = "auto", **options: Any) -> list[Model]:
    """The models of runs; folders of several runs stand for all of them, which are then called ``FOLDER/RUN``.

    Runs of one name in different folders are called by their paths. `options` are those of `load`.
    """
    loaded, given = [], {}
    for run in runs:
        if not isinstance(run, str | Path):
            loaded.append(run)
            continue
        for folder in folders(run):
            model = load(folder, device, **options)
            if folder != Path(run) and model.path is not None:
                model.name = f"{real(run).name}/{model.name}"
            given[len(loaded)] = str(folder)
            loaded.append(model)
    # A model that is given as itself keeps its name, which its owner may have chosen.
    names = Counter(model.name for model in loaded)
    for i, path in given.items():
        if names[loaded[i].name] > 1:
            loaded[i].name = path
    return loaded
