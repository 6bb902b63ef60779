"""What was left open: every "auto" of a config becomes a number or a name, and is said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import devices
from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.core.registry import ENCODERS, MODALITIES, OBJECTIVES, POSITIVES
from nearfar.data import duplicates
from nearfar.data.batches import balanced
from nearfar.data.decoding import workers
from nearfar.methods import record
from nearfar.methods.schedule import Schedule, at
from nearfar.models import branches
from nearfar.training import distributed, sinks
from nearfar.training.plan import auto_method
from nearfar.training.stopping import Ticker

if TYPE_CHECKING:
    from nearfar.core.config import Config, ModelConfig, ViewsConfig
    from nearfar.data.table import Column, Table
    from nearfar.methods.record import Method

PATIENCE = 0.3  # share of the steps that "auto" epochs are, after which training ends if nothing is gained
TARGET_STEPS = 3000  # "auto" epochs aim at about so many steps, within 10 … 200 epochs
MILD = "mild"  # the recipe that stands for each modality's own when two columns are views of a row already


def check_words(config: Config) -> None:
    """See whether what is named by a word is there, before the data are read.

    Raises
    ------
    UserError
        A word means nothing here; the nearest is proposed.
    """
    t, model = config.train, config.model
    if model.method not in auto_method.OPEN:
        record.resolve(model.method, config.method)
    elif model.method == "auto" and config.method:
        raise ConfigError(f"{next(iter(config.method))} is a number of a method, and auto has not chosen one yet.",
                          where="method", hint="Name the method.")  # fmt: skip
    from nearfar.transforms.recipes import RECIPES

    views = config.method.get("views")
    if views is not None and views not in RECIPES:
        raise UnknownName("recipe", str(views), RECIPES, where="method.views")
    if model.positives != "auto":
        POSITIVES.find(model.positives, "model.positives")
    branches.check(model.encoder, model.encoder_options)
    if model.fixed != "auto":
        branches.check_fixed(model.fixed)
    duplicates.parse(config.data.ignore_duplicates)
    if t.balance is not None:
        balanced.parse(t.balance)
    devices.device(t.device)
    sinks.check(t.log)
    Ticker(t.checkpoint_every, t.stop_after, distributed.world())


def resolved(
    config: Config, method: Method, table: Table, rows: int, begins: bool = True
) -> tuple[Config, list[str]]:
    """The config without any "auto", and what was decided; that of a training that goes on has been decided."""
    import torch

    from nearfar.transforms.recipe import summary

    column, t = table.first, config.train
    model, notes = branches.settled(_with_fixed(config.model, method, table), table.kinds, begins), []
    if model.fixed != "none":
        notes.append(f"Beside what is trained stand fixed features, computed from the training rows: {model.fixed} "
                     f"(--fixed none for none).")  # fmt: skip
    recipe = recipe_of(config, method, table)
    made = recipes(table.columns, replace(config.views, recipe=recipe))
    for name, c in table.columns.items():
        of = f" of {name!r}" if len(table.columns) > 1 else ""
        notes.append(f"Views{of}: the recipe {_recipe_name(recipe, c)!r}, for "
                     f"{MODALITIES.get(c.modality).describe(c.spec)}: {summary(made[name])}.")  # fmt: skip
    batch = batch_size_of(config, method, rows)
    steps = _target_steps(model, method, table)
    epochs = t.epochs if t.epochs != "auto" else int(np.clip(round(steps * batch / rows), 10, 200))
    epochs = epochs if method.trains else 0
    patience = t.patience if t.patience != "auto" else PATIENCE if t.epochs == "auto" and epochs else 0.0
    device = devices.device(t.device)
    precision = devices.precision(t.precision, device)
    threads = t.threads if t.threads != "auto" else max(1, torch.get_num_threads() // t.processes)
    lr = _rate(model, method, table) * batch / 256 if config.optim.lr == "auto" else config.optim.lr
    decay = at(method.weight_decay, 0.0) if config.optim.weight_decay == "auto" else config.optim.weight_decay
    final = config.optim.final_decay
    if final == "auto":
        scheduled = isinstance(method.weight_decay, Schedule) and config.optim.weight_decay == "auto"
        final = method.weight_decay.end if scheduled else None
    size = column.spec.get("size", 0) if config.data.size == "auto" else config.data.size
    notes.append(
        f"Method: {method.name} ({method.idea}); encoder {model.encoder}; {'at most ' * bool(patience)}{epochs} epochs "
        f"of {rows // batch} steps with {batch} rows; learning rate {lr:.3g}; {precision} on {device}."
    )
    return replace(
        config,
        data=replace(
            config.data, size=size or None, column=_columns(table), stream=column.streams,
            workers=workers_of(config), tokens=_tokens(config, table), length=column.spec.get("length"),
            ignore_duplicates=duplicates.kind(config.data.ignore_duplicates, table),
            depth="full" if column.spec.get("dtype", "uint8") != "uint8" else "8",
        ),
        model=replace(model, positives=method.positives if model.positives == "auto" else model.positives),
        views=replace(config.views, recipe=recipe),
        optim=replace(config.optim, lr=float(lr), weight_decay=float(decay), final_decay=final),
        train=replace(
            t, epochs=epochs, patience=patience, batch_size=batch, device=str(device), precision=precision,
            threads=threads,
        ),
    ), notes  # fmt: skip


def recipe_of(config: Config, method: Method, table: Table) -> str:
    """The recipe that was asked for, or what "auto" stands for."""
    if config.views.recipe != "auto":
        return config.views.recipe
    if len(table.columns) > 1:
        return MILD
    modality = MODALITIES.get(table.first.modality)
    recipe, general = modality.default_recipe(table.first.spec), getattr(modality, "GENERAL", None)
    return method.views if method.views and general and (recipe == general or method.own_views) else recipe


def _with_fixed(model: ModelConfig, method: Method, table: Table) -> ModelConfig:
    """The config with the fixed features that were asked for, or that the modality has where they are known to help.

    That is one column, learnt without labels from random weights, by an encoder whose file says ``BESIDE``.
    """
    usual, weight = getattr(MODALITIES.get(table.first.modality), "FIXED", ("none", 1.0))
    name = model.fixed
    if name == "auto":
        helps = _of_encoder("BESIDE", None, model, method, table) is not None
        name = usual if helps and method.keep == "features" and not method.nested else "none"
    branches.check_fixed(name, [modality for modality, _ in table.kinds.values()])
    given = model.fixed_weight
    return replace(model, fixed=name, fixed_weight=given if given != "auto" else weight if name == usual else 1.0)


def _target_steps(model: ModelConfig, method: Method, table: Table) -> int:
    """How many steps "auto" epochs aim at: the encoder's own number where one column is learnt without labels."""
    return _of_encoder("STEPS", TARGET_STEPS, model, method, table)


def _rate(model: ModelConfig, method: Method, table: Table) -> float:
    """The learning rate for 256 rows: the method's, or that which the encoder has for it."""
    return _of_encoder("RATES", {}, model, method, table).get(method.name, method.lr)


def _of_encoder(name: str, otherwise: Any, model: ModelConfig, method: Method, table: Table) -> Any:
    """What an encoder's file says of trainings of one column without labels, from random weights."""
    if len(table.columns) > 1 or method.positives != "views" or model.init_from:
        return otherwise
    encoder = branches.named(model.encoder, table.kinds)[table.first.name]
    return getattr(ENCODERS.get(encoder.partition(":")[0]), name, otherwise)


def _columns(table: Table) -> tuple[str, ...]:
    """The data's columns by their own names: those of single numbers are one column of the table together."""
    return tuple(n for name, c in table.columns.items() for n in c.spec.get("names", (name,)))


def _tokens(config: Config, table: Table) -> str | None:
    """The tokeniser, or None without a column of text."""
    if all(c.modality != "text" for c in table.columns.values()):
        return None
    asked = branches.tokens(config.model, config.data.tokens)
    return "hashed" if asked == "auto" else asked


def workers_of(config: Config) -> int:
    """Processes that decode while training, for each process that trains."""
    d = config.data
    return workers.automatic(config.train.processes) if d.workers == "auto" else d.workers


def batch_size_of(config: Config, method: Method, rows: int) -> int:
    """The global batch size: a multiple of what processes and statistics groups need, and no larger than the data."""
    t = config.train
    unit = int(np.lcm(max(1, method.bn_groups), t.processes))
    if t.batch_size == "auto":
        batch = min(256, max(unit, rows // 4))
        batch -= batch % unit
        if t.balance:
            batch = math.prod(balanced.parse(t.balance))
    else:
        batch = t.batch_size
    if batch % unit:
        raise ConfigError(
            f"{batch} rows cannot be shared by {t.processes} processes and {method.bn_groups} batch-norm groups.",
            where="train.batch_size", hint=f"Take a multiple of {unit}.",
        )  # fmt: skip
    if rows < 4:
        raise DataError(f"there {'is' if rows == 1 else 'are'} {rows} row{'' if rows == 1 else 's'} to train on.",
                        hint="Contrast needs at least 4 rows.")  # fmt: skip
    if batch < 2 or batch > rows:
        raise DataError(
            f"a batch of {batch} rows does not fit {rows} rows to train on.",
            hint="Lower --batch-size, or bring more rows.",
        )
    if batch < (least := least_rows(method)):
        raise DataError(
            f"{method.name} needs at least {least} rows in a batch, and this one would have {batch}.",
            hint="Raise --batch-size, or lower method.projector.out." if rows >= least else "Bring more rows.",
        )
    if t.wrap == "shard" and (method.twin or t.chunk):
        raise ConfigError(
            "a sharded network cannot have a twin or be chunked yet.", where="train.wrap", hint="Use ddp."
        )
    if t.chunk and batch // t.processes % t.chunk:
        raise ConfigError(
            f"the share of {batch // t.processes} rows is not a multiple of {t.chunk}.", where="train.chunk"
        )
    return batch


def least_rows(method: Method) -> int:
    """Fewest rows of a batch that the method's objective can compare."""
    dimensions = method.head.out if method.head else 0
    return OBJECTIVES.get(method.objective_name).INFO.least_rows(dimensions) if method.objective else 1


def recipes(columns: Mapping[str, Column], views: ViewsConfig) -> dict[str, tuple[Any, ...]]:
    """The recipes of each column's views: the named ones, what is added to them, and changed numbers.

    Raises
    ------
    ConfigError, UnknownName
        A recipe, a transform or one of its numbers does not exist, or fits none of the columns.
    """
    from nearfar.transforms.recipe import name_of, override

    new = _added(columns, views.add)
    found = {n: _extended(c, _recipe_name(views.recipe, c), new.get(n, [])) for n, c in columns.items()}
    found = {n: _flipped(columns[n], own, views.flip) for n, own in found.items()}
    override(tuple(recipe for own in found.values() for recipe in own), views.overrides)  # each name is in one of them
    for name, own in found.items():
        here = {name_of(t) for recipe in own for t in recipe}
        found[name] = override(own, {t: numbers for t, numbers in views.overrides.items() if t in here})
    return found


def _extended(column: Column, recipe: str, new: Sequence[Any]) -> tuple[Any, ...]:
    """The recipes of that name, with new transforms."""
    from nearfar.transforms.recipe import added, name_of

    found = MODALITIES.get(column.modality).recipes(recipe, column.spec)
    for transform in new:
        if all(name_of(transform) in map(name_of, own) for own in found):
            name = name_of(transform)
            raise ConfigError(f"the recipe {recipe!r} has {name!r} already.", where="views.add",
                              hint=f"Change its numbers with views.overrides.{name}.")  # fmt: skip
    return tuple(added(own, new) for own in found)


def _flipped(column: Column, recipes: tuple[Any, ...], flip: object) -> tuple[Any, ...]:
    """The recipes with or without mirroring, as they are where `flip` is neither true nor false."""
    from nearfar.transforms.image.flip import Flip
    from nearfar.transforms.recipe import added, name_of

    if flip is True and takes(column, Flip()):
        return tuple(added(own, [Flip()]) for own in recipes)
    return tuple(tuple(t for t in own if flip is not False or name_of(t) != "flip") for own in recipes)


def _added(columns: Mapping[str, Column], words: Sequence[str]) -> dict[str, list[Any]]:
    """By column, the transforms that ``rotate`` (to every column that takes it) and ``caption=drop_words`` add."""
    from nearfar.transforms.recipe import kind, kinds

    found: dict[str, list[Any]] = {}
    for word in words:
        column, _, name = word.rpartition("=")
        if column and column not in columns:
            raise UnknownName("column", column, columns, where="views.add")
        transform = kind(name)()
        asked = {column: columns[column]} if column else columns
        fitting = [n for n, c in asked.items() if takes(c, transform)]
        if not fitting:
            c = next(iter(asked.values()))
            others = [n for n, k in kinds().items() if takes(c, k())]
            raise ConfigError(
                f"{name!r} is not for {MODALITIES.get(c.modality).describe(c.spec)}.", where="views.add",
                hint=f"These are: {', '.join(others)}." if others else "No transform is.",
            )  # fmt: skip
        for n in fitting:
            if transform in found.setdefault(n, []):
                raise ConfigError(f"{name!r} is named twice.", where="views.add")
            found[n].append(transform)
    return found


def takes(column: Column, transform: Any) -> bool:
    """Whether a transform may be added to the views of a column."""
    takes = getattr(MODALITIES.get(column.modality), "takes", None)
    return takes is not None and takes(transform, column.spec)


def _recipe_name(text: str, column: Column) -> str:
    """The recipe of a column that ``words``, ``mild`` or ``image=light,caption=words`` says."""
    words = [w.strip().rpartition("=") for w in text.split(",")]
    name = next((n for c, _, n in words if c == column.name), next((n for c, _, n in words if not c), MILD))
    return getattr(MODALITIES.get(column.modality), "MILD", "none") if name == MILD else name
