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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """Which data are read, and how."""

    source: str = knob("", "folder, file, or data set on the Hugging Face hub")
    column: tuple[str, ...] = knob((), "columns to embed; two or more are the sides of a pair", flag=True)
    modality: str | None = knob(
        None, "what the columns hold: image, text, vector, series …; none: recognised by the data", flag=True
    )
    window: int | Auto | None = knob(
        "auto", "steps of the windows that series are cut into; none: whole series; auto: whole ones unless there are "
        "fewer than 8 recordings", low=2, flag=True,
    )  # fmt: skip
    hop: int | Auto | None = knob("auto", "steps from one window to the next; auto: half a window", low=1, flag=True)
    negative: tuple[str, ...] = knob((), "columns of hard negatives for the last side of a pair", flag=True)
    label: str | None = knob(None, "column of the class labels", flag=True)
    score: str | None = knob(None, "column of the similarity of the two sides of a pair", flag=True)
    user: str | None = knob(None, "column of users; --pair USER ITEM sets it beside the column, and a row is a user")
    time: str | None = knob(None, "column of times, which order what a user took; else the rows of a "
                            "group, in their order, are one recording of all numeric columns", flag=True)  # fmt: skip
    rating: str | None = knob(None, "column of ratings of items by users", flag=True)
    min_rating: float | None = knob(None, "lowest rating that counts as liking the item", flag=True, low=0)
    items: str | None = knob(None, "table of what is known of the items; the column of ids is named as in the data or "
                                   "comes first", flag=True)  # fmt: skip
    leave_out: str = knob(
        "auto", "interactions of each user that are left out of training, to be measured on: random (a tenth for "
        "validation and a tenth for test), last (the last but one and the last), time (the latest two tenths of all) "
        "or none; auto: last where there are times, else random", choices=("auto", "random", "last", "time", "none"),
    )  # fmt: skip
    sets: str | None = knob(None, "column of the data set that a row comes from; none: its file")
    group: str | None = knob(None, "column of groups; rows of one group are never on two sides of a split", flag=True)
    group_from: str | None = knob(None, "regular expression that finds the group in the name of a row", flag=True)
    within: str | None = knob(
        None, "column such as speaker or camera; only rows that are equal in it are negatives of each other", flag=True
    )
    split_column: str | None = knob(None, "column that says train, validation or test")
    train_split: str | None = knob(None, "name of the split to train on")
    test_split: str | None = knob(None, "name of the split to evaluate on")
    missing: tuple[str, ...] = knob((), "texts that mean a missing value, beside empty cells, such as NA", flag=True)
    holdout: float | Auto = knob(
        "auto", "share of the rows held out where the data have no splits; auto: 0.1, and none of a few labelled rows "
        "that adapt a pretrained encoder", low=0, high=0.9,
    )  # fmt: skip
    size: int | Auto | None = knob(
        "auto",
        "side to which pictures are resized; number of mels, and of moments, of a sound",
        unit="pixels",
        low=8,
        high=1024,
        flag=True,
    )
    tokens: str | None = knob("auto", "tokeniser of texts: hashed, bpe:8000, transformers:NAME …", flag=True)
    length: int | Auto | None = knob("auto", "maximum tokens per text, or steps per series", low=2, high=65536)
    depth: str = knob("auto", "bits of a stored pixel: 8, or full for 16 bits or floats", choices=("auto", "8", "full"))
    rate: int | Auto | None = knob(
        "auto", "sampling rate of sounds; auto: the commonest", unit="Hz", low=100, high=1_000_000, flag=True
    )
    seconds: float | Auto | None = knob(
        "auto", "longest duration of a sound that is read; auto: that of 99 of 100, at most 10", unit="s", above=0,
        high=600, flag=True,
    )  # fmt: skip
    normalise: str = knob(
        "auto", "sounds and series get mean 0 and standard deviation 1: each by itself (utterance), all together "
        "(corpus), or not; auto: each sound, all series", choices=("auto", "utterance", "corpus", "none"),
    )  # fmt: skip
    trim: bool = knob(True, "leave out the silence around a sound")
    stream: bool | Auto = knob(
        "auto", "decode rows during training instead of once before it; auto: where the cache lacks space", flag=True
    )
    workers: int | Auto = knob("auto", "decoding processes during training; 0: threads", low=0, high=64, resumes=True)
    buffer: int = knob(256, "encoded rows kept in memory while streaming Parquet", unit="MiB", low=1, resumes=True)
    max_bad: float = knob(0.05, "share of unreadable rows that is tolerated", low=0, high=1, resumes=True)
    limit: int | None = knob(None, "maximum rows, drawn at random with the seed", low=2)
    ignore_duplicates: str = knob(
        "auto", "duplicates that are not negatives of each other: off, exact, near or near:0.99 (cosine similarity); "
        "auto: exact for texts and pairs",
    )  # fmt: skip


@dataclass(frozen=True)
class ModelConfig:
    """Which networks are trained, and with which loss."""

    method: str = knob("default", "training method; auto chooses by the data; see `nearfar methods`", flag=True)
    encoder: str = knob("auto", "encoder: pooled_cnn, resnet18, static, mlp, st:FOLDER, timm:NAME …", flag=True)
    encoder_options: dict[str, Any] = knob({}, "keyword arguments of the encoder")
    fixed: str = knob(
        "auto", "untrained features concatenated to the trained ones: lsa (text), pca (pictures, rows) or none",
        flag=True,
    )  # fmt: skip
    fixed_options: dict[str, Any] = knob({}, "keyword arguments of the fixed features, such as dim")
    fixed_weight: float | Auto = knob("auto", "norm of the fixed features relative to the trained ones", above=0)
    share: bool | Auto = knob("auto", "columns of one modality share an encoder; auto: yes")
    positives: str = knob(
        "auto", "which rows are positives of each other: views, labels, clusters:200, teacher:RUN, mined:RUN or "
        "guided; auto: what the method says", flag=True,
    )  # fmt: skip
    positives_options: dict[str, Any] = knob({}, "keyword arguments of the positives, such as warmup of clusters")
    init_from: str | None = knob(
        None,
        "run, or pretrained model such as st:FOLDER, whose weights the encoders start from; image=RUN for those of "
        "one column",
        flag=True,
    )
    lock: tuple[str, ...] = knob((), "columns whose encoder is frozen")


@dataclass(frozen=True)
class ViewsConfig:
    """How the random views of a row are made (data augmentation)."""

    recipe: str = knob("auto", "recipe of the random views; `nearfar views` draws them", flag=True)
    add: tuple[str, ...] = knob((), "transforms added to the recipe, such as rotate or cutout")
    flip: bool | Auto | None = knob(
        "auto", "flip pictures horizontally; none: as the recipe says; auto: as the recipe says, except where flipped "
        "pictures look unlike the others", flag=True,
    )  # fmt: skip
    overrides: dict[str, Any] = knob({}, "parameters of transforms by name, such as crop.scale")


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser and its schedule."""

    name: str = knob("adamw", "optimiser", choices=("adamw", "sgd", "lars"))
    lr: float | Auto = knob("auto", "peak learning rate for the global batch", flag=True, above=0, resumes=True)
    weight_decay: float | Auto = knob("auto", "weight decay; norms and biases are exempt", low=0, resumes=True)
    final_decay: float | Auto | None = knob(
        "auto", "weight decay at the last step, reached by a cosine schedule; none: constant", low=0, resumes=True
    )
    momentum: float = knob(0.9, "momentum of sgd and lars", low=0, high=1, resumes=True)
    warmup: float = knob(
        0.1, "share of the steps in which the learning rate rises linearly", low=0, high=1, resumes=True
    )
    final_lr: float = knob(0.0, "learning rate at the last step, as a share of the peak", low=0, high=1, resumes=True)
    clip: float | None = knob(None, "maximum norm of the gradient; none or 0: no clipping", low=0, resumes=True)


@dataclass(frozen=True)
class TrainConfig:
    """How long training takes, where it runs, and what it saves."""

    epochs: int | Auto = knob(
        "auto", "epochs; auto: a maximum by the number of rows, with early stopping", flag=True, low=0, resumes=True
    )
    batch_size: int | Auto = knob("auto", "rows of the global batch, over all processes", flag=True, low=2)
    balance: str | None = knob(None, "class-balanced batches: classes × rows of each, such as 10x25")
    mix: float | None = knob(
        None, "batches of one data set each, drawn in proportion to its size to this power: 1 by size, 0 uniformly",
        low=0, high=1,
    )  # fmt: skip
    chunk: int | None = knob(
        None, "rows whose activations are in memory at once; the loss still compares the whole batch", low=1,
        resumes=True,
    )  # fmt: skip
    average: float = knob(
        0.0, "share of the last steps whose weights are averaged; 0: none", low=0, high=1, resumes=True
    )
    select: str = knob(
        "best", "which weights become the model: best, by held-out rows and with the initial ones among them, or last; "
        "averaged weights are the last", choices=("best", "last"), flag=True, resumes=True,
    )  # fmt: skip
    patience: float | Auto = knob(
        "auto", "early stopping: share of the steps without improvement on held-out rows; 0: off; auto: off where "
        "epochs is a number", low=0, high=1, resumes=True,
    )  # fmt: skip
    interpolate: float = knob(
        0.0, "share of the initial weights of pretrained encoders in the final ones", low=0, high=1,
        resumes=True,
    )  # fmt: skip
    seed: int = knob(0, "random seed", flag=True, low=0, high=2**63 - 1)
    device: str = knob("auto", "device: cpu, cuda, cuda:1 …", flag=True, resumes=True)
    precision: str = knob(
        "auto", "precision of the networks' matrix products", choices=("auto", "fp32", "bf16"), flag=True, resumes=True
    )
    threads: int | Auto = knob("auto", "CPU threads of each process", low=1, high=1024, resumes=True)
    processes: int = knob(1, "processes of data-parallel training", low=1, high=1024, resumes=True)
    wrap: str = knob("ddp", "data parallelism: replicas, or sharded parameters", choices=("ddp", "shard"), resumes=True)
    compile: bool = knob(False, "compile the networks with torch.compile", resumes=True)
    checkpoint_every: str = knob("60s", "interval of checkpoints: 60s, 10m, 500steps or never", resumes=True)
    keep_optimizer: bool = knob(
        False, "keep the last checkpoint, with the state of the optimiser, so that more epochs can follow", flag=True,
        resumes=True,
    )  # fmt: skip
    log_every: int = knob(10, "steps between two lines of metrics", low=1, resumes=True)
    monitor_rows: int = knob(2000, "maximum held-out rows evaluated during training; 0: none", low=0, resumes=True)
    stop_after: str | None = knob(None, "time after which training stops, to be resumed, such as 55m", resumes=True)
    log: tuple[str, ...] = knob((), "further loggers of metrics, such as tensorboard", flag=True, resumes=True)


@dataclass(frozen=True)
class Config:
    """All knobs of a training; ``method`` holds parameters of the method, such as ``temperature``."""

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
        """The inverse of `as_dict`; also takes a part of it. Unknown keys and values out of range are refused."""
        return cls().changed(flatten(values))

    def set(self, path: str, value: Any) -> Config:
        """A copy with one value changed; `path` is ``section.key``, or a key that only one section has."""
        return self.changed([(path, value)])

    def changed(self, steps: Iterable[tuple[str, Any]]) -> Config:
        """A copy with some values changed, one after the other; paths are those of `set`."""
        new: dict[str, dict[str, Any]] = {}  # all steps before one check: a part may follow the table that it is in
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
    """Section and key of ``optim.lr``, or of a bare word: ``lr``, or ``temperature`` of the method's own numbers."""
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
    """The nested dict in a TOML or JSON file; a `ConfigError` with the line where it is missing or damaged."""
    path = Path(path)
    # a file without an ending is taken for TOML, which most configs are
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


def assemble(
    file: Config | str | Path | None, sets: Mapping[str, Any] | Sequence[str] = (), **given: Any
) -> tuple[Config, dict[str, str]]:
    """A config from defaults, then a file, then ``--set`` texts, then named values; and where each came from.

    `file` may be a config, instead of the defaults. Origins are the file, ``"--set"`` or ``"given"`` by
    ``section.key``; knobs at their default are absent.
    """
    config, origins = file if isinstance(file, Config) else Config(), {}
    steps: list[tuple[str, Any, str]] = []
    if file is not None and not isinstance(file, Config):
        stored = read_file(file)
        steps += [(p, v, str(file)) for p, v in flatten(_table(stored.get("config", stored), f"{file}: config"))]
    if isinstance(sets, Mapping):
        steps, sets = [*steps, *((path, value, "--set") for path, value in sets.items())], ()
    for text in [sets] if isinstance(sets, str) else sets:
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
