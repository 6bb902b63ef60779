"""Encoders that begin where other runs ended (``model.init_from``), and those that stay as they are (``model.lock``).

A locked side is LiT (Zhai et al. 2022, arXiv 2111.07991): the pictures' encoder is taken from a run of pictures and
kept, and only the text side and the projectors learn to meet it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nearfar.core import files
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.core.randomness import derive
from nearfar.models import branches
from nearfar.models.blueprint import check, described
from nearfar.models.setup import begin, set_up

if TYPE_CHECKING:
    from nearfar.core.config import Config, DataConfig, ModelConfig
    from nearfar.models.branches import Kinds
    from nearfar.models.run import Run
    from nearfar.training.distributed import World
    from nearfar.training.learner import Learner
    from nearfar.training.plan.prepare import Plan

ANY = ""  # stands for the only column of data whose name is not known yet
WHERE = "model.init_from"


@dataclass(frozen=True)
class Start:
    """A column of a run, whose encoder is to be gone on with.

    Parameters
    ----------
    run : Run
    column : str
        What it is called there.
    modality : str
    spec : mapping
        How its cells were read.
    config : Config
        Of that run.
    """

    run: Run
    column: str
    modality: str
    spec: Mapping[str, Any]
    config: Config

    @property
    def encoder(self) -> tuple[str, dict[str, Any]]:
        """Name of the encoder, and its options."""
        kinds = _kinds(self.run)
        model = self.config.model
        return branches.named(model.encoder, kinds)[self.column], branches.options_of(model, self.column, kinds)

    @property
    def reading(self) -> dict[str, Any]:
        """The knobs of `DataConfig` that say how its cells were read."""
        if self.modality == "text":
            return {"tokens": self.config.data.tokens, "length": self.spec["length"]}
        if self.modality == "image":
            return {"size": self.spec["size"], "depth": "8" if self.spec.get("dtype", "uint8") == "uint8" else "full"}
        return {}

    def reads_alike(self, data: DataConfig) -> bool:
        """Whether nothing else is asked for than how its cells were read."""
        return all(getattr(data, k) in ("auto", None, value) for k, value in self.reading.items())


def starts(text: str | None, columns: Sequence[str]) -> dict[str, Start]:
    """The start of each column that ``RUN``, or ``image=RUN,caption=RUN`` names.

    Without a column, a run of one column starts one column, whatever they are called, and others start those of their
    columns' names.

    Parameters
    ----------
    text : str or None
    columns : sequence of str
        Those that are trained on; none where they are not known yet, and there will be one.

    Raises
    ------
    UnknownName, RunError
        There is no such column or run, or they have no column in common.
    """
    found: dict[str, Start] = {}
    for word in _words(text, columns):
        name, equals, path = word.partition("=")
        if equals and name in columns:
            found[name] = _only(_open(path), name)
        elif equals and not columns and not _is_run(word):
            found[ANY] = _only(_open(path), name)
        elif equals and not _is_run(word) and _is_run(path):
            raise UnknownName("column", name, columns, where=WHERE)
        else:
            found |= _of_run(_open(word), columns)
    return found


def _words(text: str | None, columns: Sequence[str]) -> list[str]:
    """The text cut at its commas, where what follows them names a column: a path may hold commas."""
    words: list[str] = []
    for part in text.split(",") if text else []:
        if words and part.strip().partition("=")[0] not in columns:
            words[-1] += f",{part}"
        else:
            words.append(part.strip())
    return words


def _open(path: str) -> Run:
    from nearfar.models.run import Run

    run = Run.open(path)
    if "ensemble" in run.config:
        raise RunError("is an ensemble, and has no encoder to begin with.", where=path, hint="Name a member.")
    return run


def _is_run(path: str) -> bool:
    from nearfar.models.run import Run

    return os.path.exists(Run(path).config_file)


def _kinds(run: Run) -> dict[str, tuple[str, Mapping[str, Any]]]:
    return {n: (c["modality"], c["spec"]) for n, c in run.config["columns"].items()}


def _start(run: Run, column: str) -> Start:
    from nearfar.core.config import Config

    return Start(run, column, *_kinds(run)[column], Config.from_dict(run.config["config"]))


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
    found = {name: _start(run, name) for name in columns if name in theirs}
    if not found and columns:
        raise RunError(
            f"has the column{'s' * (len(theirs) > 1)} {', '.join(theirs)}, and these data have {', '.join(columns)}.",
            where=str(run.path), hint=f"Say which it starts: {WHERE}={columns[0]}={run.path}.",
        )  # fmt: skip
    return found


# --- what follows for reading, for encoders and weights -----------------------------------------------------------


def reading(found: Mapping[str, Start], data: DataConfig) -> dict[str, Any]:
    """Further arguments of `nearfar.data.read.read`: cells are read as they were, unless asked for otherwise."""
    alike = {name: s for name, s in found.items() if s.reads_alike(data)}
    if not alike:
        return {}
    if ANY in alike or len(data.column) < 2:
        (start,) = alike.values()
        return {"modality": start.modality, "spec": dict(start.spec)}
    return {"known": {name: (s.modality, dict(s.spec)) for name, s in alike.items()}}


def adopted(config: Config, found: Mapping[str, Start], kinds: Kinds) -> Config:
    """The config with the runs' tokenisers, and their encoders, with their options, where no other is named.

    Raises
    ------
    ConfigError
        A column holds something else than the run's.
    RunError
        The weights of a run are not those that its config describes.
    """
    for run in {str(s.run.path): s.run for s in found.values()}.values():
        check(described(run)[0], files.tensor_header(run.model_file))
    model, columns = config.model, dict(kinds)
    options = {c: branches.options_of(model, c, columns) for c in columns}
    words = []
    for name, start in found.items():
        if columns[name][0] != start.modality:
            raise ConfigError(
                f"the column {name!r} holds {columns[name][0]}, and {start.run.path} learnt from {start.modality}.",
                where=WHERE,
            )
        if start.modality == "text" and start.reads_alike(config.data):
            config = replace(config, data=replace(config.data, tokens=start.config.data.tokens))
        encoder, own = start.encoder
        asked = _asked(model, name, columns)
        if asked in (None, encoder):
            if asked is None:
                words.append(f"{name}={encoder}")
            options[name] = options[name] or own
    if found:
        kept = [w for w in (w.strip() for w in model.encoder.split(",")) if w not in ("", "auto")]
        chosen = options if len(columns) > 1 else options[next(iter(columns))]
        model = replace(model, encoder=",".join(kept + words) or "auto", encoder_options=chosen)
    return replace(config, model=model)


def _asked(model: ModelConfig, column: str, columns: Kinds) -> str | None:
    """The encoder that the user named for a column, if any."""
    from nearfar.core.registry import ENCODERS

    for word in (w.strip() for w in model.encoder.split(",")):
        of, equals, name = word.rpartition("=")
        if not name or name == "auto" or (equals and of != column):
            continue
        if equals or columns[column][0] in ENCODERS.get(name.partition(":")[0]).MODALITIES:
            return name
    return None


def check_lock(model: ModelConfig, kinds: Kinds) -> None:
    """Raise `UnknownName` or `ConfigError` where what is locked is no column, or leaves nothing to learn."""
    for name in model.lock:
        if name not in kinds:
            raise UnknownName("column", name, kinds, where="model.lock")
    if not model.lock:
        return
    if set(kinds) <= set(model.lock):
        raise ConfigError(
            "all columns are locked, so no encoder is left to learn.", where="model.lock", hint="Leave one free."
        )
    leads = branches.leaders(model, kinds)
    locked = {leads[name]: name for name in model.lock}
    if shared := [c for c in kinds if c not in model.lock and leads[c] in locked]:
        raise ConfigError(
            f"{locked[leads[shared[0]]]!r} and {shared[0]!r} have one encoder, and only one of them is to be locked.",
            where="model.lock", hint="Say model.share=false.",
        )  # fmt: skip


def learnt_before(model: ModelConfig, kinds: Kinds) -> list[str]:
    """The columns whose encoders begin with weights of a run, or of a library, such as ``transformers:NAME``."""
    found, names = starts(model.init_from, list(kinds)), branches.named(model.encoder, kinds)
    return [c for c in kinds if c in found or ":" in names[c]]


def check_interpolate(config: Config, kinds: Kinds) -> None:
    """Raise `ConfigError` where there is nothing to keep: no encoder has learnt before."""
    if config.train.interpolate and not learnt_before(config.model, kinds):
        raise ConfigError(
            "the encoders begin at random, which is nothing to keep.", where="train.interpolate",
            hint=f"Name the run to begin with: {WHERE}=RUN.",
        )  # fmt: skip


def about(found: Mapping[str, Start], model: ModelConfig) -> list[str]:
    """What begins elsewhere and what is locked, in sentences."""
    said = [f"Start: the encoder of {name!r} is that of {s.run.path} ({s.column!r})." for name, s in found.items()]
    for name in model.lock:
        fresh = "" if name in found else ", as it is built: no run to begin with was named (model.init_from)"
        said.append(f"Locked: the encoder of {name!r} stays as it is{fresh}.")
    return said


def make_learner(plan: Plan, world: World, *, fresh: bool = True) -> Learner:
    """The learner of a plan, as it begins: drawn from the seed, or ``model.init_from``; any weights if not `fresh`."""
    import torch

    from nearfar.training.learner import Learner, check_room

    encoders = plan.encoders()
    if fresh:
        begin(encoders, plan.columns, plan.train)  # before a twin is copied
    fixed = plan.fixed()
    if fresh:
        set_up(fixed[0], plan.columns, plan.train)
    check_room(plan.record, encoders, world)
    torch.manual_seed(derive(plan.config.train.seed, "heads"))
    try:
        learner = Learner(plan.record, encoders, world, plan.config.model.lock, fixed)
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as e:
        raise ConfigError(f"{plan.record.name} cannot be built so: {e}.", where="method") from e
    if fresh:
        copy(starts(plan.config.model.init_from, list(plan.columns)), learner)
    return learner


def copy(found: Mapping[str, Start], learner: Learner) -> None:
    """Give a learner the weights of its starts: their encoders, and projectors that fit.

    Raises
    ------
    RunError
        An encoder is another one.
    """
    for name, start in found.items():
        weights, _ = files.load_tensors(start.run.model_file)
        leader = branches.leaders(start.config.model, _kinds(start.run))[start.column]
        for part, tensor in learner.branches[name].state_dict().items():
            theirs = weights.get(f"{leader}.{part}")
            if part.startswith("fixed."):  # is computed from the rows
                continue
            if theirs is not None and theirs.shape == tensor.shape:
                tensor.copy_(theirs)
            elif part.startswith("encoder."):
                raise RunError(f"the encoder of that run does not fit: {part} of {name!r}.", where=str(start.run.path))
    if found and learner.twin is not None:
        held = learner.twin.network.state_dict()
        weights = learner.branches.state_dict()
        learner.twin.network.load_state_dict({name: weights[name] for name in held})
