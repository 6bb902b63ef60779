"""Every knob once: default, unit, range and a line of help, beside each other.

The same words serve in Python (``train(data, lr=0.01)``), in TOML and JSON files, and on the command line
(``--lr 0.01`` or ``--set optim.lr=0.01``). A value of ``"auto"`` is resolved and printed before training; none
survives into a run.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from nearfar.core import files
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.core.values import knob, override, plain

Auto = Literal["auto"]
LISTED = "`nearfar config` lists them with what they mean."


@dataclass(frozen=True)
class DataConfig:
    """What is read."""

    source: str = knob("", "folder, file or hub name")
    column: tuple[str, ...] = knob((), "column(s) to embed; several are sides of one row", flag=True)
    negative: tuple[str, ...] = knob((), "column(s) of hard negatives of the row's last side", flag=True)
    label: str | None = knob(None, "column of the labels", flag=True)
    score: str | None = knob(None, "column that says how alike the two sides of a pair are", flag=True)
    sets: str | None = knob(None, "column that says which set a row is of; none: its file")
    group: str | None = knob(None, "column whose equal values are never on two sides of a split", flag=True)
    group_from: str | None = knob(None, "the same by a regular expression found in each row's name", flag=True)
    split_column: str | None = knob(None, "column that says train, validation or test")
    train_split: str | None = knob(None, "name of the split to train on")
    test_split: str | None = knob(None, "name of the split to measure on")
    missing: tuple[str, ...] = knob((), "cells that mean a missing value, beside empty ones, such as NA", flag=True)
    holdout: float = knob(0.1, "share of the rows set aside where the data have no splits", low=0, high=0.9)
    size: int | Auto | None = knob("auto", "side of the stored pictures", unit="pixels", low=8, high=1024, flag=True)
    tokens: str | None = knob("auto", "tokeniser of texts: hashed, bpe:8000, transformers:NAME …", flag=True)
    length: int | Auto | None = knob("auto", "numbers that a text has at most", low=2, high=65536)
    depth: str = knob("auto", "bits of stored pictures: 8, or full (16 bits, floats)", choices=("auto", "8", "full"))
    stream: bool | Auto = knob("auto", "decode while training, not once; auto: if the cache lacks room", flag=True)
    workers: int | Auto = knob("auto", "processes that decode while training; 0: threads", low=0, high=64, resumes=True)
    buffer: int = knob(256, "encoded rows kept in memory while streaming Parquet", unit="MiB", low=1, resumes=True)
    max_bad: float = knob(0.05, "share of unreadable rows that is tolerated", low=0, high=1, resumes=True)
    limit: int | None = knob(None, "use only so many rows, drawn by seed", low=2)
    ignore_duplicates: str = knob(
        "auto",
        "rows that are no negatives of each other: off, exact, near or near:0.99 (cosine); auto: exact for text, pairs",
    )


@dataclass(frozen=True)
class ModelConfig:
    """What is trained."""

    method: str = knob("default", "how it learns, or auto to have it chosen; see `nearfar methods`", flag=True)
    encoder: str = knob("auto", "network: small_cnn, resnet18, mlp, timm:NAME, static, text_rnn …", flag=True)
    encoder_options: dict[str, Any] = knob({}, "further arguments of the encoder")
    fixed: str = knob(
        "auto", "untrained features beside the trained ones: lsa (text), pca (pictures, rows), or none", flag=True
    )
    fixed_options: dict[str, Any] = knob({}, "further arguments of the fixed features, such as dim")
    fixed_weight: float | Auto = knob("auto", "length of the fixed features; that of the trained ones is 1", above=0)
    share: bool | Auto = knob("auto", "columns of one modality have one encoder; auto: yes")
    positives: str = knob("auto", "who belongs together: views, labels, clusters:200 or teacher:RUN", flag=True)
    positives_options: dict[str, Any] = knob({}, "further arguments of the positives, such as warmup of clusters")
    init_from: str | None = knob(None, "start from the weights of this run, or image=RUN of one column's", flag=True)
    lock: tuple[str, ...] = knob((), "columns whose encoder stays as it is, such as image")


@dataclass(frozen=True)
class ViewsConfig:
    """What a view is."""

    recipe: str = knob("auto", "recipe of the views; see `nearfar views`", flag=True)
    add: tuple[str, ...] = knob((), "transforms that come to those of the recipe, such as rotate, cutout")
    flip: bool | Auto | None = knob(
        "auto", "mirror pictures; none: as the recipe does; auto: also, but not where mirrored ones look odd", flag=True
    )
    overrides: dict[str, Any] = knob({}, "changed numbers of the transforms, by name, such as crop.scale")


@dataclass(frozen=True)
class OptimConfig:
    """How the weights move."""

    name: str = knob("adamw", "optimiser", choices=("adamw", "sgd", "lars"))
    lr: float | Auto = knob("auto", "peak learning rate for the global batch", flag=True, above=0, resumes=True)
    weight_decay: float | Auto = knob("auto", "not applied to norms and biases", low=0, resumes=True)
    final_decay: float | Auto | None = knob(
        "auto", "weight decay at the end, reached by a cosine; none: it stays", low=0, resumes=True
    )
    momentum: float = knob(0.9, "of sgd and lars", low=0, high=1, resumes=True)
    warmup: float = knob(0.1, "share of the steps in which the rate rises", low=0, high=1, resumes=True)
    final_lr: float = knob(0.0, "rate at the end, as a share of the peak", low=0, high=1, resumes=True)
    clip: float | None = knob(None, "largest norm of the gradient; none or 0: any", low=0, resumes=True)


@dataclass(frozen=True)
class TrainConfig:
    """How training goes."""

    epochs: int | Auto = knob("auto", "times that every row is seen", flag=True, low=0, resumes=True)
    batch_size: int | Auto = knob("auto", "rows of the global batch, over all processes", flag=True, low=2)
    balance: str | None = knob(None, "classes in every batch × rows of each, such as 10x25")
    mix: float | None = knob(
        None, "batches of one set each, drawn by their sizes to this power: 1 as they are, 0 all alike", low=0, high=1
    )
    chunk: int | None = knob(
        None, "rows held in memory at once; the loss still sees the whole batch", low=1, resumes=True
    )
    average: float = knob(
        0.0, "share of the last steps whose weights are averaged; 0: none", low=0, high=1, resumes=True
    )
    select: str = knob(
        "best", "which weights become the model: the best by held-out rows, those before the first step among them, or "
        "the last; averaged ones are the last", choices=("best", "last"), flag=True, resumes=True,
    )  # fmt: skip
    patience: float | Auto = knob(
        "auto", "share of the steps after which training ends if held-out rows gain nothing; 0: never, as where epochs "
        "are named", low=0, high=1, resumes=True,
    )  # fmt: skip
    interpolate: float = knob(
        0.0, "share of the weights that the encoders begin with, kept in those at the end", low=0, high=1, resumes=True
    )
    seed: int = knob(0, "of everything that is drawn", flag=True, low=0, high=2**63 - 1)
    device: str = knob("auto", "cpu, cuda, cuda:1 …", flag=True, resumes=True)
    precision: str = knob("auto", "of the network", choices=("auto", "fp32", "bf16"), flag=True, resumes=True)
    threads: int | Auto = knob("auto", "of the processor, per process", low=1, high=1024, resumes=True)
    processes: int = knob(1, "processes that share the batch", low=1, high=1024, resumes=True)
    wrap: str = knob("ddp", "copies of the network, or shards of it", choices=("ddp", "shard"), resumes=True)
    compile: bool = knob(False, "compile the network with torch.compile", resumes=True)
    checkpoint_every: str = knob("60s", "such as 60s, 10m, 500steps, never", resumes=True)
    keep_optimizer: bool = knob(
        False, "keep the checkpoint at the end too, so that more epochs may follow", flag=True, resumes=True
    )
    log_every: int = knob(10, "steps between two lines of metrics", low=1, resumes=True)
    monitor_rows: int = knob(2000, "held-out rows watched while training; 0 for none", low=0, resumes=True)
    stop_after: str | None = knob(None, "stop, resumable, after this time, such as 55m", resumes=True)
    log: tuple[str, ...] = knob((), "further places for metrics: tensorboard", flag=True, resumes=True)


@dataclass(frozen=True)
class Config:
    """All knobs of a training. ``method`` holds the method's own numbers, such as ``temperature``."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    method: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Nested dict of JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The inverse of `as_dict`; also takes a part of it.

        Raises
        ------
        UnknownName, ConfigError
            A key that does not exist (the nearest is proposed), a value out of range or of the wrong kind.
        """
        return cls().changed(flatten(values))

    def set(self, path: str, value: Any) -> Config:
        """A copy with one value changed; `path` is ``section.key``, or a key that only one section has."""
        return self.changed([(path, value)])

    def changed(self, steps: Iterable[tuple[str, Any]]) -> Config:
        """A copy with some values changed, one after the other; paths are those of `set`."""
        new: dict[str, dict[str, Any]] = {}
        for path, value in steps:
            section, key = locate(path)
            head, *rest = key.split(".")
            own, there = new.setdefault(section, {}), getattr(self, section)
            before = own.get(head, there.get(head) if section == "method" else getattr(there, head))
            if section == "method" or isinstance(before, dict):
                value = plain(_literal(value), f"{section}.{key}")
            own[head] = _within(before, rest, value, f"{section}.{head}")
        if "method" in new:
            new["method"] = self.method | new["method"]
        return override(self, new)


SECTIONS = ("data", "model", "views", "optim", "train")


@functools.cache
def knobs() -> tuple[tuple[str, Field[Any], Any], ...]:
    """Every knob as (section, field, type), in the order of this file."""
    sections = {name: type(getattr(Config(), name)) for name in SECTIONS}
    hints = {name: typing.get_type_hints(section) for name, section in sections.items()}
    return tuple((name, f, hints[name][f.name]) for name, section in sections.items() for f in fields(section))


@functools.cache
def method_words() -> tuple[str, ...]:
    """The numbers of a method's own record, which may be set by their bare words, such as ``temperature``."""
    from nearfar.core.registry import METHODS

    return tuple(f.name for f in fields(METHODS.get("simclr").RECORD) if f.metadata.get("cites") is None)


def locate(path: str) -> tuple[str, str]:
    """Section and key of ``optim.lr``, or of a bare word: ``lr``, or ``temperature`` of the method's own numbers.

    Raises
    ------
    UnknownName
        There is no such knob; the nearest are proposed.
    """
    known = {f"{section}.{f.name}": f for section, f, _ in knobs()}
    head, _, rest = path.partition(".")
    if (head == "method" and rest) or path in known:
        return head, rest
    if homes := [p for p in known if p.endswith(f".{path}")]:
        return tuple(homes[0].split("."))  # type: ignore[return-value]
    if head in method_words() and (head not in SECTIONS or not rest):
        return "method", path
    if head in SECTIONS:
        base = ".".join(path.split(".")[:2])
        if base in known and rest.count(".") and known[base].type.startswith("dict"):
            return head, rest
        raise UnknownName("knob", path, known, see=LISTED)
    words = [p.split(".")[1] for p in known]
    raise UnknownName("knob", path, words, also=[*known, *method_words()], see=LISTED)


def _literal(value: Any) -> Any:
    """Text from a command line as the JSON value that it spells, or itself."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None if value.lower() == "none" else value


def _within(before: Any, keys: list[str], value: Any, where: str) -> Any:
    """`value`, or the table `before` with that value at the place within it that `keys` name."""
    if not keys:
        return value
    inner = {"name": before} if isinstance(before, str) else before or {}  # objective=triplet, objective.margin=0.3
    if not isinstance(inner, Mapping):
        raise ConfigError(f"is {inner!r}, which has no {keys[0]!r}.", where=where)
    return {**inner, keys[0]: _within(inner.get(keys[0]), keys[1:], value, f"{where}.{keys[0]}")}


def flatten(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, part in values.items():
        if section not in (*SECTIONS, "method"):
            yield section, part  # a bare word, or an error that proposes the nearest knob
        else:
            for key, value in _table(part, section).items():
                yield f"{section}.{key}", value


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected a table of knobs, got {value!r}.", where=where)
    return value


def read_file(path: str | Path) -> dict[str, Any]:
    """The nested dict in a TOML or JSON file.

    Raises
    ------
    ConfigError
        The file is missing or damaged; the message has the line.
    """
    path = Path(path)
    form = path.suffix[1:].lower() or "toml"
    if form not in ("toml", "json"):
        raise ConfigError(
            "is neither a .toml nor a .json file.", where=str(path),
            hint="Write the config in TOML or JSON; YAML and other formats are not read.",
        )  # fmt: skip
    try:
        content = files.read_bytes(path)
        values = files.json_of(content, str(path)) if form == "json" else tomllib.loads(content.decode("utf-8"))
    except RunError as e:
        raise ConfigError(e.message, where=e.where) from e
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"is not valid {form.upper()}: {e}.", where=str(path)) from e
    if not isinstance(values, dict):
        raise ConfigError("holds no table of knobs.", where=str(path), hint='For example {"train": {"epochs": 50}}.')
    return values


def assemble(file: str | Path | None, sets: tuple[str, ...] = (), **given: Any) -> tuple[Config, dict[str, str]]:
    """A config from defaults, then a file, then ``--set`` texts, then named values; and where each came from.

    Returns
    -------
    config : Config
    origins : dict
        ``section.key`` → ``"run.toml"``, ``"--set"`` or ``"given"``; knobs at their default are absent.
    """
    config, origins = Config(), {}
    steps: list[tuple[str, Any, str]] = []
    if file is not None:
        stored = read_file(file)
        steps += [(p, v, str(file)) for p, v in flatten(_table(stored.get("config", stored), f"{file}: config"))]
    for text in sets:
        path, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{text!r} is not of the form section.key=value.", where="--set")
        steps.append((path.strip(), value.strip(), "--set"))
    steps += [(path, value, "given") for path, value in given.items()]
    for path, value, origin in steps:
        config = config.set(path, value)
        origins[".".join(locate(path))] = origin
    return config, origins


def seconds(text: str, where: str) -> float:
    """``"90s"``, ``"10m"`` or ``"1.5h"`` in seconds."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(s|m|min|h)\s*", text, re.ASCII)
    if not match:
        raise ConfigError(f"{text!r} is not a time such as 90s, 10m or 1.5h.", where=where)
    return float(match[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[match[2]]
