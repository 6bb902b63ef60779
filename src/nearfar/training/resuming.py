"""What a training that is gone on with may change, and what stays as it was: nothing that was said is passed over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core import files
from nearfar.core.config import Config, knobs, locate
from nearfar.core.errors import ConfigError, RunError

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.models.columns import Kinds
    from nearfar.models.run import Run
    from nearfar.training.plan.prepare import Plan
    from nearfar.training.trainer import Trainer

Changes = Mapping[str, tuple[Any, Any]]  # by knob: the value that it had, and the one that it has now
BRANCHES = "branches."  # what encoders and projectors are called in a checkpoint
OPEN = ("auto", "default")  # words that leave a decision open: it was made when the training began
SCHEDULED = ("train.epochs", *(f"optim.{n}" for n in ("lr", "warmup", "final_lr", "weight_decay", "final_decay")))


def changed(stored: Mapping[str, Any], given: Mapping[str, Any], where: str | Path) -> tuple[Config, Changes]:
    """The config of a training with what is asked for now.

    Parameters
    ----------
    stored : mapping
        What ``config.json`` or ``seeds.json`` says: ``config``, as it was decided, and ``asked``, as it was asked for.
    given : mapping of str
        Knobs by their words, as `nearfar.train` takes them. What is as it was is no change.
    where : path
        The folder, for the hint.

    Raises
    ------
    ConfigError
        A knob is to change that cannot while a training is gone on with.
    UnknownName
        There is no such knob.
    """
    config = Config.from_dict(stored["config"])
    asked = Config.from_dict(stored.get("asked", stored["config"]))
    found: dict[str, tuple[Any, Any]] = {}
    fixed = []
    for word, value in given.items():
        path = ".".join(locate(word))
        new = config.set(path, value)
        before, after = at(config, path), at(new, path)
        if after == before or (after == at(asked, path) and path not in _free()) or after in OPEN:
            continue
        if path in _free():
            config, found[path] = new, (before, after)
        else:
            fixed.append(f"{path} is {_shown(before)} in this training and cannot become {_shown(after)}")
    if "train.epochs" in found and "train.patience" not in found:
        config = config.set("train.patience", 0.0)  # who names epochs wants them
    if fixed:
        raise ConfigError(
            f"{'; '.join(fixed)} while it is gone on with.", where="--resume",
            hint=f"Leave it away, or begin another training with its weights: --init-from {where} --out OTHER.",
        )  # fmt: skip
    return config, found


def _free() -> set[str]:
    """The knobs that may change."""
    return {f"{section}.{f.name}" for section, f, _ in knobs() if f.metadata["resumes"]}


def at(config: Config, path: str) -> Any:
    """The value of a knob, or within one, by its path; a JSON value."""
    value: Any = config.as_dict()
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def free(config: Config) -> dict[str, Any]:
    """The knobs that may change, with what the config says of them."""
    return {path: at(config, path) for path in sorted(_free())}


def _shown(value: Any) -> str:
    return "none" if value in (None, [], {}) else str(value)


def refuse_config(config: Config | None) -> None:
    """Raise where a whole config comes with `resume`, of which nobody can say what is meant to change."""
    if config is not None:
        raise ConfigError("a training that is gone on with has its own config.", where="config",
                          hint="Name what is to change, such as epochs=8, and leave config away.")  # fmt: skip


def ended(run: Run, config: Config) -> bool:
    """Whether a run is finished and no further epochs are asked for.

    Raises
    ------
    RunError
        They are asked for, and the checkpoint from which they would go on was not kept.
    """
    done, wanted = run.config["config"]["train"]["epochs"], config.train.epochs
    if not run.finished or not isinstance(wanted, int) or wanted <= done:
        return run.finished
    if not os.path.exists(run.checkpoint_file):
        raise RunError(
            "its training is over, and the state of the optimiser, which more epochs need, was not kept.",
            where=str(run.path), hint=f"Begin another training with its weights: --init-from {run.path} --out OTHER. "
            "Trainings with --keep-optimizer can go on after their end.",
        )  # fmt: skip
    return False


def nothing_left(run: Run, config: Config, changes: Changes, console: Console) -> bool:
    """Whether a run is finished and no further epochs are asked for; says so.

    Raises
    ------
    ConfigError
        Something else was asked for, which would change nothing.
    RunError
        As `ended`.
    """
    if not ended(run, config):
        return False
    train = run.config["config"]["train"]
    done, longer = train["epochs"], train["keep_optimizer"] and os.path.exists(run.checkpoint_file)
    how = f"Say --epochs with more than {done} to train longer, or begin" if longer else "Begin"
    how += f" another training with its weights: --init-from {run.path} --out OTHER."
    if changes:
        names = " and ".join(changes)
        raise ConfigError(f"its training is over, and {names} would change nothing.", where=str(run.path),
                          hint=how)  # fmt: skip
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
    from nearfar.models.blueprint import compare, described
    from nearfar.training import narrowing

    networks, header = described(run, run.checkpoint_file)[0], files.tensor_header(run.checkpoint_file)
    held = {k.removeprefix(BRANCHES): t for k, t in header.items() if k.startswith(BRANCHES)}
    wanted = networks.tensors(held)
    wanted |= narrowing.beside(networks.drawn, held)
    compare({BRANCHES + k: t for k, t in held.items()}, {BRANCHES + k: t for k, t in wanted.items()}, networks.where)


def check_state(run: Run, plan: Plan) -> None:
    """Raise `RunError` where the checkpoint is not of the training that is planned, before its networks are built."""
    import torch

    from nearfar.models.blueprint import Blueprint, compare
    from nearfar.training import distributed, narrowing
    from nearfar.training.plan.warm_start import make_learner

    header = files.tensor_header(run.checkpoint_file)
    networks = Blueprint(lambda: make_learner(plan, distributed.world(), fresh=False), str(run.checkpoint_file))
    wanted, number = networks.tensors(header), torch.empty((), device="meta")
    wanted |= narrowing.beside(networks.drawn, header)
    beside = {f"positives/{k}": t for k, t in plan.positives.state().items()}
    for name, held in header.items():
        part, _, path = name.partition("/")
        if part == "optimizer":  # what it keeps of a weight is as large, or one number
            own = wanted.get(path.rpartition("/")[0])
            wanted[name] = number.to(held.dtype) if own is None or not held.shape else own
        elif part == "average":
            own = wanted.get(BRANCHES + path.removeprefix("mean/"))
            wanted[name] = number.long() if own is None else own
        elif part == "best" and (own := wanted.get(BRANCHES + path)) is not None:
            wanted[name] = own
        elif name in beside and held.ndim == beside[name].ndim:  # whole numbers are of all rows, or of none yet
            fits = held.is_floating_point() or len(held) in (0, len(plan.table))
            beside[name] = held.to(beside[name].dtype) if fits else beside[name]
    compare(header, wanted | beside, networks.where)


def check_data(run: Run, plan: Plan, source: Any, console: Console) -> None:
    """See whether these are the rows that the run was trained on.

    Raises
    ------
    RunError
        They are not: other data were named, or the rows have become more or fewer.
    """
    stored = run.config["data"]
    if stored.get("fingerprint") == plan.table.fingerprint:
        return
    count, named = stored["train_rows"], isinstance(source, str | Path)
    other = named and Path(source).absolute() != Path(run.config["config"]["data"]["source"]).absolute()
    if other or len(plan.train) != count:
        raise RunError(
            f"was trained on {count:,} rows{f' of {_source(run)}' * bool(_source(run))}, and "
            f"{'these are others' if len(plan.train) == count else f'now there are {len(plan.train):,}'}.",
            where=str(run.path), hint=f"Begin another training with its weights: --init-from {run.path} --out OTHER.",
        )  # fmt: skip
    console.warn("the data are not what they were when this training began; it goes on with what they are now.")


def as_trained(run: Run, source: Any, config: Config, console: Console) -> Plan:
    """The plan of a training that is finished; raises as `check_data`."""
    from nearfar.core.console import SILENT
    from nearfar.training.plan.prepare import prepare

    arrays = None if isinstance(source, str | Path) else source
    plan = prepare(config, arrays, console=SILENT, known=reading(run))
    check_data(run, plan, source, console)
    return plan


def _source(run: Run) -> str:
    return run.config["config"]["data"]["source"]


def check_steps(trainer: Trainer) -> None:
    """Raise a `ConfigError` where more steps are done than are asked for."""
    done, total = trainer.position.step, trainer.plan.steps
    if done > total:
        raise ConfigError(
            f"{done} steps are done already, and {trainer.config.train.epochs} epochs have {total}.",
            where="train.epochs", hint=f"Take at least {-(-done // trainer.sampler.steps_per_epoch)}.",
        )  # fmt: skip


def about(changes: Changes, trainer: Trainer) -> list[str]:
    """What goes on in another way from here on, in sentences."""
    done, total = trainer.position.step, trainer.plan.steps
    words = ", ".join(f"{path} {_shown(before)} → {_shown(after)}" for path, (before, after) in changes.items())
    said = [f"Resumed after step {done:,} of {total:,}{f': {words}' * bool(words)}."]
    if any(path in SCHEDULED for path in changes) and done < total:
        rate = trainer.schedule.value(done, total)
        said.append(f"The schedules are made anew over all {total:,} steps: the learning rate goes on at {rate:.3g}.")
    if done < total and trainer.run.model_file.exists():
        said.append("What was measured and classified with the weights so far is removed when they are replaced.")
    return said
