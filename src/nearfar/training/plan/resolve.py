"""Every "auto" of a config becomes a number or a name, and is reported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar import modalities
from nearfar.core import devices
from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.core.registry import MODALITIES, OBJECTIVES, POSITIVES
from nearfar.data import duplicates
from nearfar.data.batches import balanced
from nearfar.data.decoding import workers
from nearfar.methods import record
from nearfar.methods.schedule import Schedule, at
from nearfar.models import columns
from nearfar.training import distributed, loggers
from nearfar.training.plan import adaptation, auto_method, recipes
from nearfar.training.stopping import Ticker
from nearfar.transforms.recipe import summary
from nearfar.transforms.recipes import RECIPES

if TYPE_CHECKING:
    from nearfar.core.config import Config, DataConfig, ModelConfig
    from nearfar.data.table import Table
    from nearfar.encoders.adaptation import Adaptation
    from nearfar.methods.record import Method
    from nearfar.models.columns import ColumnPlan

PATIENCE = 0.3  # share of the steps that "auto" epochs are, after which training ends if nothing is gained
BY_DATA = ("size", "length", "rate", "seconds", "normalise")  # knobs of data that the modality of a column decides
TARGET_STEPS = 3000  # "auto" epochs aim at about so many steps, within 10 … 200 epochs


def check_words(config: Config, begins: bool) -> None:
    """Raise a `UserError` where what a word names does not exist, before the data are read."""
    t, model = config.train, config.model
    if model.method == "auto" and config.method:
        raise ConfigError(f"{next(iter(config.method))} is a number of a method, and auto has not chosen one yet.",
                          where="method", hint="Name the method.")  # fmt: skip
    if model.method not in auto_method.OPEN:
        record.resolve(model.method, config.method)
        if begins:  # a run of before may hold what had no effect
            record.check_used(model.method, config.method)
    views = config.method.get("views")
    if views is not None and views not in (*RECIPES, recipes.MILD):
        raise UnknownName("recipe", str(views), RECIPES, where="method.views")
    if model.positives != "auto":
        POSITIVES.find(model.positives, "model.positives")
    columns.check(model.encoder, model.encoder_options)
    if model.fixed != "auto":
        columns.check_fixed(model.fixed)
    duplicates.parse(config.data.ignore_duplicates)
    if t.balance is not None:
        balanced.parse(t.balance)
    devices.device(t.device)
    loggers.check(t.log)
    Ticker(t.checkpoint_every, t.stop_after, distributed.world())


def method(
    config: Config, table: Table, by_column: Mapping[str, ColumnPlan], train: np.ndarray, begins: bool,
    adapted: Adaptation | None = None,
) -> tuple[Config, Method, list[str]]:  # fmt: skip
    """The method that is named, or that the data call for, and why where that has to be said.

    Where pretrained weights are `adapted`, that is the method which their encoder's file declares, with its numbers.
    """
    notes, named = [], config.model.method not in auto_method.OPEN
    if not named:
        on = devices.device(config.train.device).type
        name, why = auto_method.of(config.model.method, table, train, on, config.train.epochs)
        name, why = (name, why) if adapted is None else (adapted.method, "")
        config = replace(config, model=replace(config.model, method=name))
        notes = [f"Method: {name} was chosen, since {why}."] if why else []
        if begins:
            record.check_used(name, config.method)
    config, said = adaptation.settled(config, adapted, len(train), named)
    if begins and len(table.columns) == 1 and not config.model.init_from:
        numbers = getattr(by_column[table.first.name].entry, "NUMBERS", {}).get(config.model.method, {})
        config = replace(config, method=_beneath(numbers, config.method))
    return config, record.resolve(config.model.method, config.method), notes + said


def _beneath(usual: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers by name, those that were asked for above the usual ones; of mappings, by the names in them."""
    both = {k: {**usual[k], **v} for k, v in asked.items() if isinstance(v, Mapping) and k in usual}
    return {**usual, **asked, **both}


def resolved(
    config: Config, method: Method, table: Table, by_column: Mapping[str, ColumnPlan], rows: int, begins: bool = True
) -> tuple[Config, dict[str, ColumnPlan], list[str]]:
    """The config and its columns without any "auto", and what was decided.

    That of a training which does not begin here has been decided before: it keeps its own defaults.
    """
    column, t, o = table.first, config.train, config.optim
    first = by_column[column.name]
    alone = len(table.columns) == 1 and method.positives != "labels" and not config.model.init_from
    # An encoder's own defaults were measured on one column, learnt without labels from random weights.
    defaults = first.entry if alone else None
    model, by_column = columns.resolved(_with_fixed(config.model, method, table, defaults), by_column, begins)
    notes = []
    if model.fixed != "none":
        notes.append(f"Beside what is trained stand fixed features, computed from the training rows: {model.fixed} "
                     f"(--fixed none for none).")  # fmt: skip
    views = replace(config.views, recipe=recipes.default(config, method, table))
    by_column = {n: replace(by_column[n], recipes=own) for n, own in recipes.recipes(table.columns, views).items()}
    for name, c in table.columns.items():
        of = f" of {name!r}" if len(table.columns) > 1 else ""
        notes.append(f"Views{of}: the recipe {recipes.name_for(views.recipe, c, table.columns)!r}, for "
                     f"{MODALITIES.get(c.modality).describe(c.spec)}: {summary(by_column[name].recipes)}.")  # fmt: skip
    batch = batch_size_of(config, method, rows, defaults)
    steps = getattr(defaults, "STEPS", TARGET_STEPS)
    fewest = getattr(defaults, "EPOCHS_LEAST", 10)
    epochs = t.epochs if t.epochs != "auto" else int(np.clip(round(steps * batch / rows), fewest, 200))
    epochs = epochs if method.trains else 0
    # A number of epochs that somebody chose is trained to its end: no schedule is cut short unasked.
    patience = t.patience if t.patience != "auto" else PATIENCE if t.epochs == "auto" and epochs else 0.0
    device = devices.device(t.device)
    precision = devices.precision(t.precision, device)
    threads = t.threads if t.threads != "auto" else max(1, torch.get_num_threads() // t.processes)
    asked = "lr" in config.method  # a rate of the method's that somebody chose stands above the encoder's
    rate = method.lr if asked else getattr(defaults, "RATES", {}).get(method.name, method.lr)
    lr = rate * (batch / 256) ** getattr(defaults, "RATE_POWER", 1.0) if o.lr == "auto" else o.lr
    decay, final = o.weight_decay, o.final_decay
    if final == "auto":
        scheduled = isinstance(method.weight_decay, Schedule) and decay == "auto"
        final = method.weight_decay.end if scheduled else None
    decay = at(method.weight_decay, 0.0) if decay == "auto" else decay
    each = rows // batch
    length = f"{epochs} epoch{'s' * (epochs != 1)} of {each} step{'s' * (each != 1)} with {batch} rows"
    notes.append(
        f"Method: {method.name} ({method.idea}); encoder {model.encoder}; {'at most ' * bool(patience)}{length}; "
        f"learning rate {lr:.3g}; {precision} on {device}."
    )
    return replace(
        config,
        data=_data(config, table),
        model=replace(model, positives=method.positives if model.positives == "auto" else model.positives),
        views=views,
        optim=replace(o, lr=float(lr), weight_decay=float(decay), final_decay=final),
        train=replace(
            t, epochs=epochs, patience=patience, batch_size=batch, device=str(device), precision=precision,
            threads=threads,
        ),
    ), by_column, notes  # fmt: skip


def _data(config: Config, table: Table) -> DataConfig:
    """How the data were read, as it is written down: what another reading needs to be the same."""
    d, column = config.data, table.first
    has_text = any(c.modality == "text" for c in table.columns.values())
    tokens = columns.tokeniser(config.model, d.tokens) if has_text else None
    own = {k: v for c in reversed(table.columns.values()) for k, v in modalities.reading(c.modality, c.spec).items()}
    # "auto" of what no column has means nothing; what somebody has asked for stays as it was asked.
    own = {k: own.get(k) if getattr(d, k) == "auto" else getattr(d, k) for k in BY_DATA}
    return replace(
        # Columns of single numbers are one column of the table together, and several of the file.
        d, column=tuple(n for name, c in table.columns.items() for n in c.spec.get("names", (name,))),
        **own | {"normalise": own["normalise"] or "none"}, stream=column.streams, workers=workers_of(config),
        tokens="hashed" if tokens == "auto" else tokens, ignore_duplicates=duplicates.kind(d.ignore_duplicates, table),
        depth="full" if column.spec.get("dtype", "uint8") != "uint8" else "8",
        window=table.source.get("window"), hop=table.source.get("hop"),
    )  # fmt: skip


def _with_fixed(model: ModelConfig, method: Method, table: Table, defaults: ModuleType | None) -> ModelConfig:
    """The config with the fixed features that were asked for, or that the modality has where they are known to help.

    That is one column, learnt without labels from random weights, by an encoder whose file says ``BESIDE``.
    """
    usual, weight = getattr(MODALITIES.get(table.first.modality), "FIXED", ("none", 1.0))
    if method.positives == "teacher":  # which knows more of these rows than what is trained from nothing does
        weight /= 2
    name = model.fixed
    if name == "auto":
        helps = getattr(defaults, "BESIDE", None) is not None
        name = usual if helps and method.keep == "features" and not method.nested else "none"
    columns.check_fixed(name, [modality for modality, _ in table.kinds.values()])
    given = model.fixed_weight
    return replace(model, fixed=name, fixed_weight=given if given != "auto" else weight if name == usual else 1.0)


def workers_of(config: Config) -> int:
    """Processes that decode while training, for each process that trains."""
    d = config.data
    return workers.automatic(config.train.processes) if d.workers == "auto" else d.workers


def batch_size_of(config: Config, method: Method, rows: int, defaults: ModuleType | None = None) -> int:
    """The global batch size: a multiple of what processes and statistics groups need, and no larger than the data.

    Of "auto" it is a share of the rows between what an encoder's file says is least and most.
    """
    t = config.train
    unit = int(np.lcm(max(1, method.bn_groups), t.processes))
    if t.batch_size == "auto":
        usual = {"BATCH": 256, "BATCH_LEAST": 1, "BATCH_SHARE": 4}
        most, least, share = (getattr(defaults, name, number) for name, number in usual.items())
        batch = min(most, max(unit, min(least, rows // 2), rows // share))
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
