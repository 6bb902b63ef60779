"""What was asked, what the data are, and so what will be done: every "auto" is resolved here and said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar import auto, branches, distributed, negatives, positives, record
from nearfar.config import Config
from nearfar.data import balance, duplicates, facts, mixing, split, workers
from nearfar.data.read import read
from nearfar.data.sampler import Sampler
from nearfar.data.table import Column, Table
from nearfar.errors import ConfigError, DataError
from nearfar.registry import METHODS, MODALITIES, OBJECTIVES
from nearfar.schedule import Schedule, at

if TYPE_CHECKING:
    import torch

    from nearfar.console import Console
    from nearfar.negatives import Hard
    from nearfar.positives import Positives
    from nearfar.record import Method

TARGET_STEPS = 3000  # "auto" epochs aim at about so many steps, within 10 … 200 epochs
MILD = "mild"  # the recipe that stands for each modality's own when two columns are views of a row already
MONITOR_LABELS = 2  # classes needed for the online kNN to say anything


@dataclass(frozen=True)
class Plan:
    """A training, decided.

    Attributes
    ----------
    config : Config
        Nothing in it is "auto" any more.
    record : Method
        The method with the user's changes.
    table : Table
    train, heldout : ndarray of int64
        Row numbers trained on, and set aside to be watched.
    positives : Positives
        Who belongs together.
    ignore : ndarray of int64 (N_table,) or None
        Rows of equal number are no negatives of each other.
    recipes : mapping of str to tuple
        Recipes of the views, by column.
    notes : tuple of str
        What was understood and decided, in sentences.
    """

    config: Config
    record: Method
    table: Table
    train: np.ndarray
    heldout: np.ndarray
    positives: Positives
    ignore: np.ndarray | None
    recipes: Mapping[str, tuple[Any, ...]]
    notes: tuple[str, ...]

    @property
    def columns(self) -> Mapping[str, Column]:
        """The columns that are trained on."""
        return self.table.columns

    @property
    def scores(self) -> np.ndarray | None:
        """How alike the two sides of each row are, float32 (N_table,), where the method learns from that."""
        return self.table.scores.astype(np.float32) if self.record.takes == "scored pairs" else None

    @property
    def hard(self) -> list[Hard]:
        """The hard negatives that columns of the data hold."""
        if not self.table.negatives:
            return []
        return negatives.of_columns(self.table.negatives, self.table.columns, self.ignore)

    @property
    def groups(self) -> np.ndarray:
        """Group of every row of the table, as it is before training: int64 (N_table,)."""
        return self.positives.groups

    def sampler(self, found: Positives) -> Sampler:
        """Which rows come when; `found` are the positives as training knows them."""
        t = self.config.train
        if t.mix is not None:
            return mixing.Mixed(self.train, t.batch_size, t.seed, None, mixing.sets(self.table)[0], t.mix)
        if t.balance is None:
            return Sampler(self.train, t.batch_size, t.seed, self.table.first.blocks)
        classes, each = balance.parse(t.balance)
        return balance.Balanced(self.train, t.batch_size, t.seed, None, classes, each, lambda: found.groups)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.config.train.epochs * (len(self.train) // self.config.train.batch_size)

    def encoders(self) -> dict[str, torch.nn.Module]:
        """Fresh encoders by column, drawn from the run's seed."""
        return branches.encoders(self.config.model, kinds(self.table), self.config.train.seed)


def prepare(config: Config, source: Any = None, *, console: Console | None = None) -> Plan:
    """Read the data and decide everything that was left open.

    Parameters
    ----------
    config : Config
    source : optional
        Data from Python (arrays, a list of paths); by default ``config.data.source`` is read.

    Raises
    ------
    UserError
        The data or the request must change; the message says how.
    """
    named = config.model.method not in auto.OPEN
    if named:  # words that are wrong are told before the data are read
        record.resolve(config.model.method, config.method)
    if config.model.positives != "auto":
        positives.find(config.model.positives)
    duplicates.parse(config.data.ignore_duplicates)
    d = config.data
    table = read(
        source if source is not None else d.source, column=d.column or None, negative=d.negative, label=d.label,
        score=d.score, sets=d.sets,
        split_column=d.split_column, size=None if d.size == "auto" else d.size, max_bad=d.max_bad,
        limit=d.limit, seed=config.train.seed, depth=d.depth, stream=d.stream, workers=_workers(config),
        buffer=d.buffer, tokens=branches.tokens(config.model, d.tokens),
        length=None if d.length == "auto" else d.length, console=console,
    )  # fmt: skip
    rows = split.plan(
        table, train_split=d.train_split, test_split=d.test_split, holdout=d.holdout, seed=config.train.seed
    )
    notes = [*table.source.get("notes", ()), *rows.notes]
    table, doubt = _without_identifiers(table, asked=bool(d.label))
    notes += doubt
    if not named:
        on = distributed.device(config.train.device).type
        name, why = auto.of(config.model.method, table, rows.train, on, config.train.epochs)
        config = replace(config, model=replace(config.model, method=name))
        notes += [f"Method: {name} was chosen, since {why}."] if why else []
    method = record.resolve(config.model.method, config.method)
    _check_takes(method, table)
    _check_different(table, rows.train)
    if method.takes == "scored pairs":
        known = np.isfinite(table.scores)
        rows = replace(rows, train=rows.train[known[rows.train]])
        if len(np.unique(table.scores[rows.train])) < 2:
            raise DataError("all scores of the training rows are equal.", where="--score",
                            hint="For pairs that simply belong together take --method clip.")  # fmt: skip
        notes.append(f"Scores: {len(rows.train):,} training rows have one; the others are left out.")
    kind = method.positives if config.model.positives == "auto" else config.model.positives
    if not doubt:
        notes.append(_about_labels(kind, table, method.name))
    notes += filter(None, [facts.balance(table, rows.train), facts.about_duplicates(table, rows.train, rows.heldout)])

    method, counted = _with_views(method, config, table)
    config, decided = _resolved(config, method, table, len(rows.train))
    method = method.suited(_facts(config, table, rows.train))
    found, ignore, about = _relations(kind, config, table, rows.train)
    about += _about_negatives(method, table, found, ignore)
    method = record.override(method, {"positives": kind})
    recipes = {name: _recipes(column, config) for name, column in table.columns.items()}
    config = replace(config, method={k: v for k, v in record.as_dict(method).items() if k != "name"})
    return Plan(
        config,
        method,
        table,
        rows.train,
        rows.heldout,
        found,
        ignore,
        recipes,
        tuple(notes + counted + decided + about),
    )


def _without_identifiers(table: Table, *, asked: bool) -> tuple[Table, list[str]]:
    """The table without labels that must be names of rows, and what to say; a `DataError` where they were asked for."""
    about = facts.identifier(table, asked=asked)
    if about is None:
        return table, []
    if asked:
        raise DataError(
            f"{about}: is it an id?", where="--label",
            hint="Leave --label away to learn without labels, or name a column whose values repeat.",
        )  # fmt: skip
    said = f"Labels: none, since {about}. If these are classes, --label takes them."
    return replace(table, labels=None, label_names=()), [said]


def _check_different(table: Table, train: np.ndarray) -> None:
    """Raise a `DataError` where all rows to train on are the same."""
    if len(train) > 3 and all((c.hashes[train] == c.hashes[train[0]]).all() for c in table.columns.values()):
        raise DataError(f"all {len(train):,} rows to train on are equal, so there is nothing to tell apart.",
                        hint="Is it the right column?")  # fmt: skip


def _with_views(method: Method, config: Config, table: Table) -> tuple[Method, list[str]]:
    """The method with as many views as a recipe of several views names, if the user has chosen one."""
    if config.views.recipe in ("auto", method.views) or "count" in config.method or len(table.columns) > 1:
        return method, []
    count = len(_recipes(table.first, config))
    if count <= max(2, method.count) or method.count == 1:
        return method, []
    return record.override(method, {"count": count}), [
        f"The recipe {config.views.recipe!r} has {count} views of a row."
    ]


def _check_takes(method: Method, table: Table) -> None:
    """Raise a `ConfigError` where the method learns from something else than these columns."""
    several, text = len(table.columns) > 1, table.first.modality == "text"
    if method.takes in ("pairs", "scored pairs") and not several:
        raise ConfigError(
            f"{method.name} compares the columns of a row, and there is one.", where="model.method",
            hint="Name them with --pair A B.",
        )  # fmt: skip
    if method.takes == "scored pairs" and (table.scores is None or len(table.columns) != 2):
        raise ConfigError(f"{method.name} needs two columns and their scores.", where="model.method",
                          hint="Name the scores with --score.")  # fmt: skip
    if method.takes == "texts" and (several or not text):
        raise ConfigError(f"{method.name} is for one column of text.", where="model.method",
                          hint="For pairs there are clip and siglip, for pictures simclr.")  # fmt: skip


def _about_negatives(method: Method, table: Table, found: Positives, ignore: np.ndarray | None) -> list[str]:
    """What to say of hard negatives; raises a `ConfigError` where the method or the columns cannot take them."""
    if not (table.negatives or found.mines):
        return []
    if not method.hard_negatives:
        able = [m for m in METHODS if METHODS.get(m).RECORD.hard_negatives]
        raise ConfigError(
            f"{method.name} takes no hard negatives.", where="model.method", hint=f"These do: {', '.join(able)}."
        )
    if not table.negatives:
        return []
    return [negatives.about(negatives.of_columns(table.negatives, table.columns, ignore))]


def _facts(config: Config, table: Table, train: np.ndarray) -> record.Facts:
    return record.Facts(
        rows=len(table), train_rows=len(train), classes=len(table.label_names),
        steps_per_epoch=len(train) // config.train.batch_size,
        encoders=len(set(branches.leaders(config.model, kinds(table)).values())),
    )  # fmt: skip


def narrowed(
    plan: Plan, config: Config, train: np.ndarray, heldout: np.ndarray, *, like: Plan | None = None
) -> Plan:  # fmt: skip
    """A plan for fewer rows of the same table, and other numbers.

    Parameters
    ----------
    plan : Plan
    config : Config
        Like the plan's, nothing in it is "auto"; parts of the method that are left open are suited to the rows.
    train, heldout : ndarray of int64
        Row numbers trained on, and set aside.
    like : Plan, optional
        A narrowed plan of the same rows and batch size, whose positives are taken instead of found anew.

    Raises
    ------
    UserError
        The numbers do not fit so few rows.
    """
    method = record.resolve(config.model.method, config.method)
    config, _ = _resolved(config, method, plan.table, len(train))
    method = method.suited(_facts(config, plan.table, train))
    config = replace(config, method={k: v for k, v in record.as_dict(method).items() if k != "name"})
    if like is None:
        found, ignore, _ = _relations(method.positives, config, plan.table, train)
    else:
        found, ignore = like.positives, like.ignore
    recipes = {name: _recipes(column, config) for name, column in plan.columns.items()}
    return Plan(config, method, plan.table, train, heldout, found, ignore, recipes, ())


def _relations(
    kind: str, config: Config, table: Table, train: np.ndarray
) -> tuple[Positives, np.ndarray | None, list[str]]:
    """Who belongs together, who is no negative of whom, and what to say of both."""
    t = config.train
    labels = None if table.labels is None else np.where(_mask(len(table), train), table.labels, -1)
    found = positives.build(kind, positives.Context(config, table, train, labels, len(train) // t.batch_size))
    ignore, about_ignored = duplicates.ignored(table, train, config.data.ignore_duplicates, t.seed)
    if ignore is None and (found.mines or table.negatives):
        ignore = positives.own(len(table))
    said = [found.note, about_ignored]
    if t.mix is not None and t.balance is not None:
        raise ConfigError("batches are either of one set each or of balanced classes.", where="train.mix")
    if t.mix is not None:
        number, names = mixing.sets(table)
        said.append(mixing.about(number[train], names, t.batch_size, t.mix))
    if t.balance is not None:
        said.append(balance.about(t.balance, found.groups[train], t.batch_size, may_change=found.changes))
    return found, ignore, [sentence for sentence in said if sentence]


def kinds(table: Table) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Modality and spec of every column."""
    return {name: (c.modality, c.spec) for name, c in table.columns.items()}


def _resolved(config: Config, method: Method, table: Table, rows: int) -> tuple[Config, list[str]]:
    """The config without any "auto", and what was decided."""
    import torch

    from nearfar.transforms.recipe import summary

    column, t = table.first, config.train
    modality = MODALITIES.get(column.modality)
    model, notes = branches.settled(config.model, kinds(table)), []
    recipe = config.views.recipe
    if recipe == "auto":
        recipe = MILD
        if len(table.columns) == 1:
            recipe = modality.default_recipe(column.spec)
            general = getattr(modality, "GENERAL", None)
            if method.views and general and (recipe == general or method.own_views):
                recipe = method.views
        for name, c in table.columns.items():
            own, made = (
                _recipe_name(recipe, c),
                summary(_recipes(c, replace(config, views=replace(config.views, recipe=recipe)))),
            )
            of = f" of {name!r}" if len(table.columns) > 1 else ""
            notes.append(f"Views{of}: the recipe {own!r}, for {MODALITIES.get(c.modality).describe(c.spec)}: {made}.")
    batch = batch_size_of(config, method, rows)
    epochs = t.epochs if t.epochs != "auto" else int(np.clip(round(TARGET_STEPS * batch / rows), 10, 200))
    epochs = epochs if method.trains else 0
    device = distributed.device(t.device)
    precision = distributed.precision(t.precision, device)
    threads = t.threads if t.threads != "auto" else max(1, torch.get_num_threads() // t.processes)
    lr = method.lr * batch / 256 if config.optim.lr == "auto" else config.optim.lr
    decay = at(method.weight_decay, 0.0) if config.optim.weight_decay == "auto" else config.optim.weight_decay
    final = config.optim.final_decay
    if final == "auto":
        scheduled = isinstance(method.weight_decay, Schedule) and config.optim.weight_decay == "auto"
        final = method.weight_decay.end if scheduled else None
    size = column.spec.get("size", 0) if config.data.size == "auto" else config.data.size
    notes.append(
        f"Method: {method.name} ({method.idea}); encoder {model.encoder}; {epochs} epochs of {rows // batch} steps "
        f"with {batch} rows; learning rate {lr:.3g}; {precision} on {device}."
    )
    return replace(
        config,
        data=replace(
            config.data, size=size or None, column=tuple(table.columns), stream=column.streams,
            workers=_workers(config), tokens=_tokens(config, table), length=column.spec.get("length"),
            ignore_duplicates=duplicates.kind(config.data.ignore_duplicates, table),
            depth="full" if column.spec.get("dtype", "uint8") != "uint8" else "8",
        ),
        model=replace(model, positives=method.positives if model.positives == "auto" else model.positives),
        views=replace(config.views, recipe=recipe),
        optim=replace(config.optim, lr=float(lr), weight_decay=float(decay), final_decay=final),
        train=replace(t, epochs=epochs, batch_size=batch, device=str(device), precision=precision, threads=threads),
    ), notes  # fmt: skip


def _tokens(config: Config, table: Table) -> str | None:
    """The tokeniser, or None without a column of text."""
    if all(c.modality != "text" for c in table.columns.values()):
        return None
    asked = branches.tokens(config.model, config.data.tokens)
    return "hashed" if asked == "auto" else asked


def _workers(config: Config) -> int:
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
            batch = math.prod(balance.parse(t.balance))
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
    if batch < (least := _least_rows(method)):
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


def _least_rows(method: Method) -> int:
    """Fewest rows of a batch that the method's objective can compare."""
    dimensions = method.head.out if method.head else 0
    return OBJECTIVES.get(method.objective_name).INFO.least_rows(dimensions) if method.objective else 1


def _recipes(column: Column, config: Config) -> tuple[Any, ...]:
    modality, name = MODALITIES.get(column.modality), _recipe_name(config.views.recipe, column)
    return modality.recipes(name, column.spec, config.views.overrides)


def _recipe_name(text: str, column: Column) -> str:
    """The recipe of a column that ``words``, ``mild`` or ``image=light,caption=words`` says."""
    words = [w.strip().rpartition("=") for w in text.split(",")]
    name = next((n for c, _, n in words if c == column.name), next((n for c, _, n in words if not c), MILD))
    return getattr(MODALITIES.get(column.modality), "MILD", "none") if name == MILD else name


def _mask(length: int, rows: np.ndarray) -> np.ndarray:
    mask = np.zeros(length, bool)
    mask[rows] = True
    return mask


def _about_labels(kind: str, table: Table, method: str) -> str:
    if table.labels is None:
        return "Labels: none; nothing was labelled, nothing is needed."
    labelled = int((table.labels >= 0).sum())
    found = f"Labels: {labelled:,} rows in {len(table.label_names)} class{'' if len(table.label_names) == 1 else 'es'}"
    if kind == "labels":
        return f"{found}; {method} learns from those of the training rows."
    return f"{found}; not used for training, only to measure."
