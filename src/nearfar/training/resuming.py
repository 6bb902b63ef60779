"""What a training that is resumed may change, and what stays as it was: no option is passed over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nearfar.core import files
from nearfar.core.config import Config, knobs, locate
from nearfar.core.console import SILENT, Console
from nearfar.core.errors import ConfigError, RunError
from nearfar.models.blueprint import Blueprint, compare, described
from nearfar.models.columns import Kinds
from nearfar.models.run import Run
from nearfar.training import distributed, narrowing
from nearfar.training.plan.prepare import Plan, prepare
from nearfar.training.plan.warm_start import make_learner
from nearfar.training.trainer import Trainer

Changes = Mapping[str, tuple[Any, Any]]  # by knob: the value that it had, and the one that it has now
BRANCHES = "branches."  # what encoders and projectors are called in a checkpoint
OPEN = ("auto", "default")  # words that leave a decision open: it was made when the training began
OTHER = "Begin another training with its weights: --init-from {} --out OTHER."
SCHEDULED = ("train.epochs", *(f"optim.{n}" for n in ("lr", "warmup", "final_lr", "weight_decay", "final_decay")))


def changed(
    stored: Mapping[str, Any], given: Mapping[str, Any], where: str | Path, source: Any = None
) -> tuple[Config, Changes]:
    """The config of a training with the knobs and the source that are given now; what is as it was is no change.

    `stored` is what ``config.json`` or ``seeds.json`` says: ``config``, as it was decided, and ``asked``, as asked for.
    Raises a `ConfigError` where a knob is to change that cannot while a training is resumed.
    """
    config = Config.from_dict(stored["config"])
    asked = Config.from_dict(stored.get("asked", stored["config"]))
    changes: dict[str, tuple[Any, Any]] = {}
    fixed = []
    for word, value in given.items():
        path = ".".join(locate(word))
        new = config.set(path, value)
        before, after = at(config, path), at(new, path)
        if after == before or (after == at(asked, path) and path not in _free()) or after in OPEN:
            continue
        if path in _free():
            config, changes[path] = new, (before, after)
        else:
            fixed.append(f"{path} is {_shown(before)} in this training and cannot become {_shown(after)}")
    if "train.epochs" in changes and "train.patience" not in changes:
        config = config.set("train.patience", 0.0)  # who names epochs wants them
    if fixed:
        raise ConfigError(
            f"{'; '.join(fixed)} while it is resumed.", where="--resume",
            hint=f"Leave it out. {OTHER.format(where)}",
        )  # fmt: skip
    return config.set("data.source", str(source)) if isinstance(source, str | Path) else config, changes


def _free() -> set[str]:
    """The knobs that may change."""
    return {f"{section}.{f.name}" for section, f, _ in knobs() if f.metadata["resumes"]}


def at(config: Config, path: str) -> Any:
    """The JSON value at a path such as ``views.overrides.crop.scale``."""
    value: Any = config.as_dict()
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def free(config: Config) -> dict[str, Any]:
    """The knobs that may change, with what the config says of them."""
    return {path: at(config, path) for path in sorted(_free())}


def _shown(value: Any) -> str:
    return "none" if value in (None, [], {}) else str(value)


def check_request(out: str | Path | None, overwrite: bool, config: Config | None) -> None:
    """Raise where `resume` comes without what it needs, or with what contradicts it."""
    if out is None:
        raise ConfigError("--resume needs to know the folder.", hint="Pass --out FOLDER.")
    if overwrite:
        raise ConfigError("a training is either resumed or begun again.", hint="Pass --resume or --overwrite.")
    if config is not None:  # of a whole config nobody can say what is meant to change
        raise ConfigError("a training that is resumed has its own config.", where="config",
                          hint="Name what is to change, such as epochs=8, and leave config out.")  # fmt: skip


def ended(run: Run, config: Config) -> bool:
    """Whether a run is finished and no further epochs are asked for; raises where these cannot be loaded."""
    done, wanted = run.config["config"]["train"]["epochs"], config.train.epochs
    if not run.finished or not isinstance(wanted, int) or wanted <= done:
        return run.finished
    if not os.path.exists(run.checkpoint_file):
        raise RunError(
            "its training is over, and the state of the optimiser, which more epochs need, was not kept.",
            where=str(run.path),
            hint=f"{OTHER.format(run.path)} Trainings with --keep-optimizer can be resumed after their end.",
        )  # fmt: skip
    return False


def nothing_left(run: Run, config: Config, changes: Changes, console: Console) -> bool:
    """As `ended`, and says so; raises where something else is asked for, which would change nothing."""
    if not ended(run, config):
        return False
    train = run.config["config"]["train"]
    done, longer = train["epochs"], train["keep_optimizer"] and os.path.exists(run.checkpoint_file)
    how = f"Pass --epochs with more than {done} to train longer. " * bool(longer) + OTHER.format(run.path)
    if changes:
        why = f"its training is over, and {' and '.join(changes)} would change nothing."
        raise ConfigError(why, where=str(run.path), hint=how)
    console.say(f"{run.path} is finished, and nothing is left to do. {how}")
    return True


def reading(run: Run) -> Kinds:
    """The columns of text of a run whose tokeniser is a pretrained one, which is asked for nowhere again."""
    kinds = {n: (c["modality"], c["spec"]) for n, c in run.config["columns"].items()}
    return {n: k for n, k in kinds.items() if k[1].get("tokeniser", {}).get("kind") == "transformers"}


def check_networks(run: Run) -> None:
    """Raise `RunError` where a checkpoint is there that is not of the networks that ``config.json`` describes."""
    if not os.path.exists(run.checkpoint_file):
        return
    networks = described(run.config, str(run.checkpoint_file))[0]
    header = files.tensor_header(run.checkpoint_file)
    held = {k.removeprefix(BRANCHES): t for k, t in header.items() if k.startswith(BRANCHES)}
    wanted = networks.tensors(held)
    wanted |= narrowing.beside(networks.drawn, held)
    compare({BRANCHES + k: t for k, t in held.items()}, {BRANCHES + k: t for k, t in wanted.items()}, networks.where)


def check_state(run: Run, plan: Plan) -> None:
    """Raise `RunError` where the checkpoint is not of the training that is planned, before its networks are built."""
    header = files.tensor_header(run.checkpoint_file)
    networks = Blueprint(lambda: make_learner(plan, distributed.world(), fresh=False), str(run.checkpoint_file))
    wanted, number = networks.tensors(header), torch.empty((), device="meta")
    wanted |= narrowing.beside(networks.drawn, header)
    beside = {f"positives/{k}": t for k, t in plan.positives.state().items()}
    for name, held in header.items():
        part, _, path = name.partition("/")
        if part == "optimizer":  # what it keeps of a weight is as large, or one number
            tensor = wanted.get(path.rpartition("/")[0])
            wanted[name] = number.to(held.dtype) if tensor is None or not held.shape else tensor
        elif part == "average":
            tensor = wanted.get(BRANCHES + path.removeprefix("mean/"))
            wanted[name] = number.long() if tensor is None else tensor
        elif part == "best" and (tensor := wanted.get(BRANCHES + path)) is not None:
            wanted[name] = tensor
        elif name in beside and held.ndim == beside[name].ndim:  # whole numbers are of all rows, or of none yet
            fits = held.is_floating_point() or len(held) in (0, len(plan.table))
            beside[name] = held.to(beside[name].dtype) if fits else beside[name]
    compare(header, wanted | beside, networks.where)


def check_data(run: Run, plan: Plan, source: Any, console: Console) -> None:
    """Raise `RunError` where these are not the rows that the run was trained on, by their source or their number."""
    stored, began_with = run.config["data"], run.config["config"]["data"]["source"]
    if stored.get("fingerprint") == plan.table.fingerprint:
        return
    count, named = stored["train_rows"], isinstance(source, str | Path)
    if (named and Path(source).absolute() != Path(began_with).absolute()) or len(plan.train) != count:
        raise RunError(
            f"was trained on {count:,} rows{f' of {began_with}' * bool(began_with)}, and "
            f"{'these are others' if len(plan.train) == count else f'now there are {len(plan.train):,}'}.",
            where=str(run.path), hint=OTHER.format(run.path),
        )  # fmt: skip
    console.warn("the data are not what they were when this training began; it continues with what they are now.")


def as_trained(run: Run, source: Any, config: Config, console: Console) -> Plan:
    """The plan of a training that is finished; raises as `check_data`."""
    arrays = None if isinstance(source, str | Path) else source
    plan = prepare(config, arrays, console=SILENT, known=reading(run))
    check_data(run, plan, source, console)
    return plan


def check_steps(trainer: Trainer) -> None:
    """Raise a `ConfigError` where more steps are done than are asked for."""
    done, total = trainer.position.step, trainer.plan.steps
    if done > total:
        raise ConfigError(
            f"{done} steps are done already, and {trainer.config.train.epochs} epochs have {total}.",
            where="train.epochs", hint=f"Take at least {-(-done // trainer.sampler.steps_per_epoch)}.",
        )  # fmt: skip


def about(changes: Changes, trainer: Trainer) -> list[str]:
    """What is different from here on, in sentences."""
    done, total = trainer.position.step, trainer.plan.steps
    words = ", ".join(f"{path} {_shown(before)} → {_shown(after)}" for path, (before, after) in changes.items())
    said = [f"Resumed after step {done:,} of {total:,}{f': {words}' * bool(words)}."]
    if any(path in SCHEDULED for path in changes) and done < total:
        rate = trainer.schedule.value(done, total)
        said.append(
            f"The schedules are made again over all {total:,} steps: the learning rate continues at {rate:.3g}."
        )
    if done < total and trainer.run.model_file.exists():
        said.append("What was measured and classified with the weights so far is removed when they are replaced.")
    return said
