"""What ``config.json`` and ``seeds.json`` of a run hold, and what is checked before anything is made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from nearfar.core import files
from nearfar.core.config import SECTIONS, Config, knobs
from nearfar.core.errors import RunError, UserError
from nearfar.core.registry import MODALITIES
from nearfar.core.schema import By, fits, long, shown, within
from nearfar.methods import record

SEEDS_SCHEMA = 1
Count = Annotated[int, within(0)]
Values = dict[str, Any]
PRECISION = "config.train.precision"
OPEN = ("auto", "default")  # words that leave a decision open, which no run does
NEEDED = {"train.epochs", "train.batch_size", "optim.lr", "model.method", "model.encoder"}  # decided in every run
EARLIER = (  # what a run means by knobs that the version which wrote it did not have
    ("model", "fixed", "none"), ("model", "fixed_weight", 1.0), ("views", "flip", None),
    ("train", "select", "last"), ("train", "patience", 0.0), ("train", "keep_optimizer", True),
    ("data", "leave_out", "none"),
)  # fmt: skip
NO_DATA = {"fingerprint": "", "train_rows": 0}
MODEL = ("method", "encoder", "encoder_options", "share", "fixed", "fixed_options", "fixed_weight")
TELLING = ("beside", "cut")  # what a spec says of its data without changing what is made of them


class _AnyColumn(TypedDict):
    modality: str
    spec: Values


# What a model takes; the spec is as its modality says.
Column = Annotated[_AnyColumn, By(lambda value: TypedDict(
    "_Column", {"modality": str, "spec": getattr(MODALITIES.get(value["modality"]), "Spec", Values)}
))]  # fmt: skip


class Source(TypedDict):
    """Where data were read from; None, or nothing, for data from Python."""

    source: NotRequired[str | None]


class Data(TypedDict):
    """The data that a run was trained on."""

    fingerprint: str
    train_rows: Count
    rows: NotRequired[Count]
    heldout_rows: NotRequired[Count]
    skipped: NotRequired[Count]
    label_names: NotRequired[list[str]]
    source: NotRequired[Source]


class Member(TypedDict):
    """One model of an ensemble."""

    name: str
    config: Values
    columns: Annotated[dict[str, Column], long(1)]


class Together(TypedDict):
    """An ensemble."""

    how: Literal["concat", "average"]
    members: Annotated[list[Member], long(2)]
    aligned_on: NotRequired[Count]
    agreement: NotRequired[list[dict[str, float]]]


class Resumed(TypedDict):
    """A training was resumed."""

    step: Count
    command: str
    changed: Values


class Stored(TypedDict):
    """``config.json``."""

    schema: Count
    config: Values
    columns: Annotated[dict[str, Column], long(1)]
    data: NotRequired[Data]  # none in what is exported
    nearfar: NotRequired[str]
    command: NotRequired[str]
    folder: NotRequired[str]
    finished: NotRequired[bool]
    kept: NotRequired[Count | None]  # step of the state that is the model, where that was chosen
    asked: NotRequired[Values]
    origins: NotRequired[dict[str, str]]  # of encoders that did not begin at random, by column
    notes: NotRequired[list[str]]
    resumed: NotRequired[list[Resumed]]
    ensemble: NotRequired[Together]


class Seeds(TypedDict):
    """``seeds.json``."""

    schema: Count
    seeds: Annotated[list[Count], long(1, 10_000)]
    config: Values
    command: NotRequired[str]


def stored_seeds(folder: str | Path) -> Values:
    """What ``seeds.json`` of a folder says; raises `RunError` where it is newer, or does not fit."""
    file = Path(folder) / "seeds.json"
    values = files.read_json(file)
    files.check_schema(values, SEEDS_SCHEMA, str(file))
    fits(values, Seeds, str(file))
    knobs_of(values["config"], str(file), "config")
    return values


def settled(values: Values, where: str) -> Values:
    """What ``config.json`` says, checked, with the knobs that an earlier version did not have.

    Raises
    ------
    RunError
        It does not fit, or leaves open what a training decides.
    """
    fits(values, Stored, where)
    whole = {"data": dict(NO_DATA), **values, "config": _settled(values["config"], where, "config")}
    if "asked" in values:
        knobs_of(values["asked"], where, "asked")
    for i, member in enumerate(values.get("ensemble", {}).get("members", ())):
        member["config"] = _settled(member["config"], where, f"ensemble.members[{i}].config")
    return whole


def _settled(given: Values, where: str, key: str) -> Values:
    """The config of a model."""
    whole = knobs_of(given, where, key)
    for section, f, _ in knobs():
        # A knob that is not in the file is one of a later version, which takes what EARLIER says, unless it is needed.
        asked = f.name in given.get(section, {}) or f"{section}.{f.name}" in NEEDED
        if asked and whole[section][f.name] in OPEN:
            message = f"{key}.{section}.{f.name} is {shown('auto')}; that is decided when a training begins."
            raise RunError(message, where=where)
    try:
        method = record.as_dict(record.resolve(whole["model"]["method"], whole["method"]))
    except UserError as e:
        raise _of_file(e, where, key) from e
    for section, name, meant in EARLIER:
        if name not in given.get(section, {}):
            whole[section][name] = meant
    whole["method"] = json.loads(json.dumps({k: v for k, v in method.items() if k != "name"})) | whole["method"]
    return whole


def knobs_of(values: Values, where: str, key: str) -> Values:
    """A whole config of knobs as values of JSON; raises `RunError` for what nearfar would not have written so."""
    fits(values, Values, where, key)
    try:
        whole = Config.from_dict(values).as_dict()
    except UserError as e:
        raise _of_file(e, where, key) from e
    for section in (*SECTIONS, "method"):
        for name, given in values.get(section, {}).items():
            if (meant := whole[section][name]) != given or isinstance(meant, bool) != isinstance(given, bool):
                raise RunError(f"{key}.{section}.{name} is {shown(given)}; it must be {shown(meant)}.", where=where)
    return whole


def _of_file(e: UserError, where: str, key: str) -> RunError:
    return RunError(f"{key}: {f'{e.where}: ' * bool(e.where)}{e.message:.300}", where=where, hint=e.hint)


# --- what weights were made with ----------------------------------------------------------------------------------


def decides(config: Config, columns: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Hashes of all that decides which vectors the weights of a model give, by where ``config.json`` says it."""
    whole = config.as_dict()
    values = {"columns": list(columns), "config.data.missing": whole["data"]["missing"]}
    values[PRECISION] = whole["train"]["precision"]
    for name, (modality, spec) in columns.items():
        values[f"columns.{name}.modality"] = modality
        values |= {f"columns.{name}.spec.{k}": v for k, v in spec.items() if k not in TELLING}
    values |= {f"config.model.{k}": whole["model"][k] for k in MODEL}
    values |= {f"config.method.{k}": v for k, v in whole["method"].items()}
    return {k: _hash(v) for k, v in values.items()}


def decide_together(how: str, members: Sequence[tuple[Config, Any]]) -> dict[str, str]:
    """The same of an ensemble, by config and columns of its members."""
    hashes = {"ensemble.how": _hash(how), "ensemble.members": _hash(len(members))}
    for i, (config, columns) in enumerate(members):
        hashes |= {f"ensemble.members[{i}].{k}": v for k, v in decides(config, columns).items()}
    return hashes


def as_made(config: Config, made: Mapping[str, str]) -> Config:
    """The config with the precision that weights were made with: a training may be resumed in another."""
    choices = next(f.metadata["choices"] for section, f, _ in knobs() if f"config.{section}.{f.name}" == PRECISION)
    precision = next((p for p in choices if made.get(PRECISION) == _hash(p)), config.train.precision)
    return replace(config, train=replace(config.train, precision=precision))


def fixed(config: Config) -> dict[str, str]:
    """Hashes of all knobs that stay as they are while a training is resumed, by their paths."""
    whole = config.as_dict()
    paths = [(s, f.name) for s, f, _ in knobs() if not f.metadata["resumes"] and (s, f.name) != ("data", "source")]
    values = {f"config.{s}.{name}": whole[s][name] for s, name in paths}
    values |= {f"config.method.{k}": v for k, v in whole["method"].items()}
    return {k: _hash(v) for k, v in values.items()}


def check_made(made: Any, now: Mapping[str, str], where: str) -> None:
    """Raise `RunError` where something is not as it was when the weights were made."""
    fits(made, dict[str, str], where, "what the weights say")
    for key, was in made.items():
        if now.get(key) != was:
            raise RunError(
                f"{key} is not what the weights were made with.", where=where,
                hint="Restore config.json: with another value there the vectors would be others.",
            )  # fmt: skip


def _hash(value: Any) -> str:
    return hashlib.blake2b(json.dumps(files.finite(value), sort_keys=True).encode(), digest_size=6).hexdigest()
