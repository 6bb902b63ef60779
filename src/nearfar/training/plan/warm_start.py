"""Encoders that begin where other runs ended (``model.init_from``), and those that stay as they are (``model.lock``).

A locked side is LiT (Zhai et al. 2022, arXiv 2111.07991): the pictures' encoder is taken from a run of pictures and
kept, and only the text side and the projectors learn to meet it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from nearfar import modalities
from nearfar.core import files
from nearfar.core.config import Config, DataConfig
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.core.randomness import derive
from nearfar.models import blueprint, columns, loading
from nearfar.models.run import Run
from nearfar.models.setup import begin, set_up
from nearfar.training.learner import Learner, check_room

if TYPE_CHECKING:
    from nearfar.models.columns import ColumnPlan, Kinds
    from nearfar.training.distributed import World
    from nearfar.training.plan.prepare import Plan

ANY = ""  # stands for the only column of data whose name is not known yet
WHERE = "model.init_from"


@dataclass(frozen=True)
class Start:
    """A column of another run, whose encoder a column of this one begins with."""

    run: Run
    config: Config  # of that run
    column: ColumnPlan

    @property
    def reading(self) -> dict[str, Any]:
        """The knobs of `DataConfig` that say how its cells were read."""
        tokens = {"tokens": self.config.data.tokens} if self.column.modality == "text" else {}
        return tokens | modalities.reading(self.column.modality, self.column.spec)

    def reads_alike(self, data: DataConfig) -> bool:
        """Whether nothing else is asked for than how its cells were read."""
        return all(getattr(data, k) in ("auto", None, value) for k, value in self.reading.items())


def starts(text: str | None, columns: Sequence[str]) -> dict[str, Start]:
    """The start of each column that ``RUN``, or ``image=RUN,caption=RUN`` names.

    Without a column, a run of one column starts one column, whatever they are called, and others start those of their
    columns' names. `columns` are those that are trained on; none where they are not known yet, and there will be one.
    """
    words: list[str] = []
    for part in text.split(",") if text else []:
        if words and part.strip().partition("=")[0] not in columns:
            words[-1] += f",{part}"  # a path may hold commas
        else:
            words.append(part.strip())
    results: dict[str, Start] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if equals and name in columns:
            results[name] = _only(_open(path), name)
        elif equals and not columns and not _is_run(word):
            results[ANY] = _only(_open(path), name)
        elif equals and not _is_run(word) and _is_run(path):
            raise UnknownName("column", name, columns, where=WHERE)
        else:
            results |= _of_run(_open(word), columns)
    return results


def of_libraries(config: Config) -> Config:
    """The config with pretrained models of libraries that ``model.init_from`` names as the encoders that they are.

    Raises
    ------
    ConfigError
        An encoder is named beside one.
    """
    words, runs = [], []
    for part in config.model.init_from.split(",") if config.model.init_from else []:
        column, equals, path = part.strip().partition("=")
        whole = loading.pretrained_word(part.strip())
        word = whole or (loading.pretrained_word(path) if equals else None)
        if word is None:
            runs.append(part)
        else:
            words.append(word if whole else f"{column}={word}")
    if not words:
        return config
    model = config.model
    if model.encoder != "auto":
        raise ConfigError(f"{words[0]} is an encoder itself, and {model.encoder!r} is named beside it.", where=WHERE,
                          hint="Leave out --encoder.")  # fmt: skip
    options, named = dict(model.encoder_options), [w.partition("=")[0] for w in words if "=" in w.partition(":")[0]]
    for column in named:
        options[column] = {"pretrained": True, **options.get(column, {})}
    options = options if named else {"pretrained": True, **options}
    columns.check(",".join(words), options, WHERE)
    init_from = ",".join(runs) or None
    return replace(config, model=replace(model, encoder=",".join(words), encoder_options=options, init_from=init_from))


def _open(path: str) -> Run:
    run = Run.open(path)
    if "ensemble" in run.config:
        raise RunError("is an ensemble, and has no encoder to start from.", where=path, hint="Name a member.")
    return run


def _is_run(path: str) -> bool:
    return os.path.exists(Run(path).config_file)


def _kinds(run: Run) -> Kinds:
    return {n: (c["modality"], c["spec"]) for n, c in run.config["columns"].items()}


def _start(run: Run, column: str) -> Start:
    config = Config.from_dict(run.config["config"])
    return Start(run, config, columns.plan(config.model, _kinds(run))[column])


def _only(run: Run, name: str) -> Start:
    """The run's column of that name, or its only one."""
    theirs = _kinds(run)
    if name not in theirs and len(theirs) > 1:
        raise RunError(f"has the columns {', '.join(theirs)} and none called {name!r}.", where=str(run.path))
    return _start(run, name if name in theirs else next(iter(theirs)))


def _of_run(run: Run, columns: Sequence[str]) -> dict[str, Start]:
    theirs = list(_kinds(run))
    together = _kinds(run)[theirs[0]][1].get("names", ())  # columns of single numbers, which are one
    if len(theirs) == 1 and together and set(columns) == set(together):
        return {ANY: _start(run, theirs[0])}
    if len(theirs) == 1 and len(columns) < 2:
        return {columns[0] if columns else ANY: _start(run, theirs[0])}
    starts = {name: _start(run, name) for name in columns if name in theirs}
    if not starts and columns:
        raise RunError(
            f"has the column{'s' * (len(theirs) > 1)} {', '.join(theirs)}, and these data have {', '.join(columns)}.",
            where=str(run.path), hint=f"Name the column that it starts: {WHERE}={columns[0]}={run.path}.",
        )  # fmt: skip
    return starts


def reading(starts: Mapping[str, Start], data: DataConfig) -> dict[str, Any]:
    """Further arguments of `nearfar.data.read.read`: cells are read as they were, unless asked for otherwise."""
    alike = {name: (s.column.modality, dict(s.column.spec)) for name, s in starts.items() if s.reads_alike(data)}
    if alike and (ANY in alike or len(data.column) < 2):
        ((modality, spec),) = alike.values()
        return {"modality": modality, "spec": spec}
    return {"known": alike} if alike else {}


def check_weights(start: Start) -> None:
    """Raise `RunError` where the weights of a run are not those that its config describes."""
    run = start.run
    blueprint.check(blueprint.described(run.config, str(run.model_file))[0], files.tensor_header(run.model_file))


def check(config: Config, by_column: Mapping[str, ColumnPlan]) -> None:
    """Raise a `UserError` where the columns cannot begin, be locked or be interpolated as it is asked for."""
    lock = config.model.lock
    for name, c in by_column.items():
        if c.start and c.start.column.modality != c.modality:
            raise ConfigError(f"the column {name!r} holds {c.modality}, and {c.start.run.path} learnt from "
                              f"{c.start.column.modality}.", where=WHERE)  # fmt: skip
    if unknown := [name for name in lock if name not in by_column]:
        raise UnknownName("column", unknown[0], by_column, where="model.lock")
    if lock and set(by_column) <= set(lock):
        raise ConfigError("all columns are locked, so no encoder is left to learn.", where="model.lock",
                          hint="Leave one free.")  # fmt: skip
    locked = {c.leader: name for name, c in by_column.items() if c.locked}
    if shared := [name for name, c in by_column.items() if not c.locked and c.leader in locked]:
        raise ConfigError(
            f"{locked[by_column[shared[0]].leader]!r} and {shared[0]!r} have one encoder, and only one of them is to "
            "be locked.", where="model.lock", hint="Give each its own with model.share=false.",
        )  # fmt: skip
    if config.train.interpolate and not any(c.pretrained for c in by_column.values()):
        raise ConfigError("no encoder begins with trained weights, so there is nothing to interpolate with.",
                          where="train.interpolate", hint=f"Name the run to begin with: {WHERE}=RUN.")  # fmt: skip


def about(by_column: Mapping[str, ColumnPlan]) -> list[str]:
    """What begins elsewhere and what is locked, in sentences."""
    said = [f"Start: the encoder of {name!r} is that of {c.start.run.path} ({c.start.column.name!r})."
            for name, c in by_column.items() if c.start]  # fmt: skip
    for name, c in by_column.items():
        if c.pretrained and hasattr(c.entry, "left_out") and (left := c.entry.left_out(c.options)):
            said.append(f"Start: the encoder of {name!r} is {c.encoder} without its classifier ({left}).")
        if c.locked:
            fresh = "" if c.start else ", as it is built: no run to begin with was named (model.init_from)"
            said.append(f"Locked: the encoder of {name!r} stays as it is{fresh}.")
    return said


def origins(by_column: Mapping[str, ColumnPlan]) -> dict[str, str]:
    """Where the encoder of each column comes from that does not begin at random, with its licence if that is known."""
    places = {}
    for name, c in by_column.items():
        if c.start:
            places[name] = f"{c.start.run.path} ({c.start.column.name})"
        elif c.pretrained and hasattr(c.entry, "offers"):
            licence = c.entry.offers(c.encoder.partition(":")[2]).licence
            places[name] = c.encoder + (f", licence {licence}" if licence else "")
    return places


def make_learner(plan: Plan, world: World, *, fresh: bool = True) -> Learner:
    """The learner of a plan, as it begins: drawn from the seed, or ``model.init_from``; any weights if not `fresh`."""
    encoders, fixed = plan.encoders(), plan.fixed()
    if fresh:
        begin(encoders, plan.columns, plan.train)  # before a twin is copied
        set_up(fixed[0], plan.columns, plan.train)
    check_room(plan.record, encoders, world)
    torch.manual_seed(derive(plan.config.train.seed, "heads"))
    try:
        learner = Learner(plan.record, encoders, world, plan.config.model.lock, fixed)
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as e:
        raise ConfigError(f"{plan.record.name} cannot be built so: {e}.", where="method") from e
    if fresh:
        copy(plan.by_column, learner)
    return learner


def copy(by_column: Mapping[str, ColumnPlan], learner: Learner) -> None:
    """Give a learner the weights that its columns start with: encoders, and projectors that fit."""
    starts = {name: c.start for name, c in by_column.items() if c.start}
    for name, start in starts.items():
        weights, _ = files.load_tensors(start.run.model_file)
        for part, tensor in learner.branches[name].state_dict().items():
            theirs = weights.get(f"{start.column.leader}.{part}")
            if part.startswith("fixed."):  # is computed from the rows
                continue
            if theirs is not None and theirs.shape == tensor.shape:
                tensor.copy_(theirs)
            elif part.startswith("encoder."):
                raise RunError(f"the encoder of that run does not fit: {part} of {name!r}.", where=str(start.run.path))
    if starts and learner.twin is not None:
        held = learner.twin.network.state_dict()
        weights = learner.branches.state_dict()
        learner.twin.network.load_state_dict({name: weights[name] for name in held})
