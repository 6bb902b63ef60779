"""What was asked, what the data are, and so what will be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import devices
from nearfar.core.config import Config
from nearfar.core.console import QUIET, SILENT
from nearfar.core.errors import ConfigError, DataError
from nearfar.core.registry import METHODS, OBJECTIVES
from nearfar.data import duplicates, facts, groups, opposites, splits
from nearfar.data.batches import balanced, by_source
from nearfar.data.batches.sampler import Sampler
from nearfar.data.read import read
from nearfar.data.table import Column, Table
from nearfar.methods import record
from nearfar.models import branches
from nearfar.training import positives
from nearfar.training.plan import auto_method, mirroring, resolve, warm_start
from nearfar.training.positives import hard_negatives

if TYPE_CHECKING:
    import torch

    from nearfar.core.console import Console
    from nearfar.methods.record import Method
    from nearfar.models.branches import Fixed, Kinds
    from nearfar.training.positives import Positives
    from nearfar.training.positives.hard_negatives import Hard

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
    ignore : ndarray of int64 (N_table,) or (N_table, columns), or None
        Rows of equal number are no negatives of each other; of several columns, rows of one equal number.
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
    def taught(self) -> np.ndarray:
        """Training rows of which more is learnt than their own content: their label, or what another column holds."""
        if len(self.columns) > 1:
            return self.train
        if self.record.positives != "labels":
            return self.train[:0]
        return self.train[self.table.labels[self.train] >= 0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out of the data or may surprise; said when they were read."""
        return tuple(self.table.source.get("warnings", ()))

    @property
    def scores(self) -> np.ndarray | None:
        """How alike the two sides of each row are, float32 (N_table,), where the method learns from that."""
        return self.table.scores.astype(np.float32) if self.record.takes == "scored pairs" else None

    @property
    def hard(self) -> list[Hard]:
        """The hard negatives that columns of the data hold."""
        if not self.table.negatives:
            return []
        return hard_negatives.of_columns(self.table.negatives, self.table.columns, self.ignore)

    @property
    def groups(self) -> np.ndarray:
        """Group of every row of the table, as it is before training: int64 (N_table,)."""
        return self.positives.groups

    def sampler(self, found: Positives) -> Sampler:
        """Which rows come when; `found` are the positives as training knows them."""
        t = self.config.train
        if t.mix is not None:
            return by_source.Mixed(self.train, t.batch_size, t.seed, None, by_source.sets(self.table)[0], t.mix)
        if t.balance is None:
            return Sampler(self.train, t.batch_size, t.seed, self.table.first.blocks)
        classes, each = balanced.parse(t.balance)
        return balanced.Balanced(self.train, t.batch_size, t.seed, None, classes, each, lambda: found.groups)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.config.train.epochs * (len(self.train) // self.config.train.batch_size)

    def encoders(self) -> dict[str, torch.nn.Module]:
        """Fresh encoders by column, drawn from the run's seed."""
        return branches.encoders(self.config.model, self.table.kinds, self.config.train.seed)

    def fixed(self) -> Fixed:
        """What stands beside them and is not trained, by column, and its weight."""
        return branches.fixed(self.config.model, self.table.kinds)


def prepare(
    config: Config, source: Any = None, *, console: Console | None = None, known: Kinds | None = None
) -> Plan:
    """Read the data and decide everything that was left open.

    Parameters
    ----------
    config : Config
    source : optional
        Data from Python (arrays, a list of paths); by default ``config.data.source`` is read.
    known : mapping of str to (modality, spec), optional
        Columns that are read as a run read them which is gone on with.

    Raises
    ------
    UserError
        The data or the request must change; the message says how.
    """
    resolve.check_words(config)
    named = config.model.method not in auto_method.OPEN
    d = config.data
    first = warm_start.starts(config.model.init_from, d.column)
    if not d.missing:  # as the run read its cells that is gone on with
        d = replace(d, missing=next((s.config.data.missing for s in first.values()), ()))
        config = replace(config, data=d)
    begin = warm_start.reading(first, d)
    table = read(
        source if source is not None else d.source, column=d.column or None, negative=d.negative, label=d.label,
        score=d.score, sets=d.sets, group=d.group, group_from=d.group_from, missing=d.missing,
        split_column=d.split_column, size=None if d.size == "auto" else d.size, max_bad=d.max_bad,
        limit=d.limit, seed=config.train.seed, depth=d.depth, stream=d.stream, workers=resolve.workers_of(config),
        buffer=d.buffer, tokens=branches.tokens(config.model, d.tokens),
        length=None if d.length == "auto" else d.length, console=console,
        **begin | ({"known": {**begin.get("known", {}), **known}} if known else {}),
    )  # fmt: skip
    begin = warm_start.starts(config.model.init_from, list(table.columns))
    config = warm_start.adopted(config, begin, table.kinds)
    rows = splits.plan(
        table, train_split=d.train_split, test_split=d.test_split, holdout=d.holdout, seed=config.train.seed
    )
    notes = [*table.source.get("notes", ()), *rows.notes]
    table, doubt = _without_identifiers(table, asked=bool(d.label))
    notes += doubt
    if not named:
        on = devices.device(config.train.device).type
        name, why = auto_method.of(config.model.method, table, rows.train, on, config.train.epochs)
        config = replace(config, model=replace(config.model, method=name))
        notes += [f"Method: {name} was chosen, since {why}."] if why else []
    if known is None:  # a run of before may hold what had no effect
        record.check_used(config.model.method, config.method)
    method = record.resolve(config.model.method, config.method)
    _check_takes(method, table)
    _check_different(table, rows.train)
    for doubt in groups.doubts(table, np.concatenate([rows.train, rows.heldout])):
        (console or QUIET).warn(doubt)
    if method.takes == "scored pairs":
        known = np.isfinite(table.scores)
        rows = replace(rows, train=rows.train[known[rows.train]])
        if len(np.unique(table.scores[rows.train])) < 2:
            raise DataError("all scores of the training rows are equal.", where="--score",
                            hint="For pairs that simply belong together take --method clip.")  # fmt: skip
        notes.append(f"Scores: {len(rows.train):,} training rows have one; the others are left out.")
        _check_signs(method, table.scores[rows.train], console or QUIET)
    elif len(table.columns) > 1:
        rows = _belonging(table, rows, console or QUIET)
    kind = method.positives if config.model.positives == "auto" else config.model.positives
    if doubt and kind == "labels":
        raise DataError(f"{method.name} learns from labels. {doubt[0]}")
    if not doubt:
        notes.append(_about_labels(kind, table, method.name))
    notes += filter(None, [facts.balance(table, rows.train), facts.about_duplicates(table, rows.train, rows.heldout)])

    method, counted = _with_views(method, config, table)
    config, mirrored = mirroring.settled(config, method, table, rows.train)
    config, decided = resolve.resolved(config, method, table, len(rows.train), begins=known is None)
    warm_start.check_lock(config.model, table.kinds)
    warm_start.check_interpolate(config, table.kinds)
    decided += warm_start.about(begin, config.model)
    method = method.suited(_facts(config, table, rows.train))
    found, ignore, about = _relations(kind, config, table, rows.train, console or QUIET)
    about += _about_hard(method, table, found, ignore)
    if method.takes == "pairs":
        about += duplicates.about_negatives(table, rows.train, ignore)
    method = record.override(method, {"positives": kind})
    recipes = resolve.recipes(table.columns, config.views)
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
        tuple(notes + counted + decided + mirrored + about),
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
    count = len(resolve.recipes(table.columns, config.views)[table.first.name])
    if count <= max(2, method.count) or method.count == 1:
        return method, []
    return record.override(method, {"count": count}), [
        f"The recipe {config.views.recipe!r} has {count} views of a row."
    ]


def _belonging(table: Table, rows: splits.SplitPlan, console: Console) -> splits.SplitPlan:
    """Rows without those whose label says that their sides do not belong together."""
    if not opposites.judges(table.label_names, len({c.modality for c in table.columns.values()}) == 1):
        return rows
    yes = opposites.positive(table.label_names)
    kept = [r[(table.labels[r] < 0) | (table.labels[r] == yes)] for r in (rows.train, rows.heldout)]
    if not len(kept[0]):
        raise DataError(f"no training row has the label {table.label_names[yes]!r}, so no sides belong together.")
    if left := len(rows.train) - len(kept[0]):
        no, yes = table.label_names[1 - yes], table.label_names[yes]
        console.warn(
            f"{left:,} rows with the label {no!r} are not trained on: their sides do not belong together, as {yes!r} "
            "says. If these labels mean something else, leave their column out or name it with other words."
        )
    return replace(rows, train=kept[0], heldout=kept[1])


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


def _check_signs(method: Method, scores: np.ndarray, console: Console) -> None:
    """Raise a `DataError`, or warn, where a loss reads only which scores are above 0 and they say more, or nothing."""
    loss = method.objective
    if loss is None or OBJECTIVES.get(loss.name).INFO.scores != "sign":
        return
    above = f"{loss.name} takes pairs with a score above 0 as belonging together, and the others as not"
    if (scores > 0).all() or not (scores > 0).any():
        raise DataError(
            f"{above}; {'all' if (scores > 0).all() else 'none'} of the {len(scores):,} scores are above 0.",
            where="--score", hint="Give the pairs that do not belong together 0 or -1, or keep the loss cosent.",
        )  # fmt: skip
    if len(np.unique(scores)) > 2:
        console.warn(f"{above}: {int((scores > 0).sum()):,} of {len(scores):,} do. How high a score is, cosent reads.")


def _about_hard(method: Method, table: Table, found: Positives, ignore: np.ndarray | None) -> list[str]:
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
    return [hard_negatives.about(hard_negatives.of_columns(table.negatives, table.columns, ignore))]


def _facts(config: Config, table: Table, train: np.ndarray) -> record.Facts:
    return record.Facts(
        rows=len(table), train_rows=len(train), classes=len(table.label_names),
        steps_per_epoch=len(train) // config.train.batch_size,
        encoders=len(set(branches.leaders(config.model, table.kinds).values())),
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
    config, _ = resolve.resolved(config, method, plan.table, len(train), begins=False)
    method = method.suited(_facts(config, plan.table, train))
    config = replace(config, method={k: v for k, v in record.as_dict(method).items() if k != "name"})
    if like is None:
        found, ignore, _ = _relations(method.positives, config, plan.table, train)
    else:
        found, ignore = like.positives, like.ignore
    recipes = resolve.recipes(plan.columns, config.views)
    return Plan(config, method, plan.table, train, heldout, found, ignore, recipes, ())


def _relations(
    kind: str, config: Config, table: Table, train: np.ndarray, console: Console = SILENT
) -> tuple[Positives, np.ndarray | None, list[str]]:
    """Who belongs together, who is no negative of whom, and what to say of both."""
    t = config.train
    labels = None if table.labels is None else np.where(_mask(len(table), train), table.labels, -1)
    found = positives.build(kind, positives.Context(config, table, train, labels, len(train) // t.batch_size))
    ignore, about_ignored = duplicates.ignored(table, train, config.data.ignore_duplicates, t.seed)
    if ignore is None and (found.mines or table.negatives):
        ignore = positives.own(len(table))
    said = [found.note, about_ignored]
    if found.doubt:
        console.warn(found.doubt)
    if t.mix is not None and t.balance is not None:
        raise ConfigError("batches are either of one set each or of balanced classes.", where="train.mix")
    if t.mix is not None:
        number, names = by_source.sets(table)
        said.append(by_source.about(number[train], names, t.batch_size, t.mix))
    if t.balance is not None:
        said.append(balanced.about(t.balance, found.groups[train], t.batch_size, may_change=found.changes))
    return found, ignore, [sentence for sentence in said if sentence]


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
