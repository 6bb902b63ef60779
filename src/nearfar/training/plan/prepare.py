"""A plan: what was asked and what the data are become what will be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import DataError
from nearfar.data import duplicates, facts, groups, interactions, splits
from nearfar.data.batches import balanced, by_source
from nearfar.data.batches.sampler import Sampler
from nearfar.data.read import read
from nearfar.data.table import Column, Table
from nearfar.methods import record
from nearfar.models import branches, columns
from nearfar.training.plan import adaptation, checks, mirroring, recipes, relate, resolve, warm_start
from nearfar.training.positives import hard_negatives

if TYPE_CHECKING:
    import torch

    from nearfar.core.console import Console
    from nearfar.methods.record import Method
    from nearfar.models.branches import Fixed
    from nearfar.models.columns import ColumnPlan, Kinds
    from nearfar.training.positives import Positives
    from nearfar.training.positives.hard_negatives import Hard


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
    by_column : mapping of str to ColumnPlan
        What the model makes of each column: its encoder, the recipes of its views, and where it starts.
    train, heldout : ndarray of int64
        Row numbers trained on, and held out to be evaluated during training.
    positives : Positives
        Who belongs together.
    ignore : ndarray of int64 (N_table,) or (N_table, columns), or None
        Rows of equal number are not negatives of each other; of several columns, rows of one equal number.
    notes : tuple of str
        What was read and decided, in sentences.
    """

    config: Config
    record: Method
    table: Table
    by_column: Mapping[str, ColumnPlan]
    train: np.ndarray
    heldout: np.ndarray
    positives: Positives
    ignore: np.ndarray | None
    notes: tuple[str, ...]

    @property
    def columns(self) -> Mapping[str, Column]:
        """The columns that are trained on."""
        return self.table.columns

    @property
    def recipes(self) -> dict[str, recipes.Recipes]:
        """Recipes of the views, by column."""
        return {name: c.recipes for name, c in self.by_column.items()}

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

    def sampler(self, current: Positives) -> Sampler:
        """Which rows come when; `current` are the positives as training knows them."""
        t = self.config.train
        if t.mix is not None:
            return by_source.Mixed(self.train, t.batch_size, t.seed, None, by_source.sets(self.table)[0], t.mix)
        if t.balance is None:
            return Sampler(self.train, t.batch_size, t.seed, self.table.first.blocks)
        classes, each = balanced.parse(t.balance)
        return balanced.Balanced(self.train, t.batch_size, t.seed, None, classes, each, lambda: current.groups)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.config.train.epochs * (len(self.train) // self.config.train.batch_size)

    def encoders(self) -> dict[str, torch.nn.Module]:
        """Fresh encoders by column, drawn from the run's seed."""
        return branches.encoders(self.by_column, self.config.train.seed)

    def fixed(self) -> Fixed:
        """What stands beside them and is not trained, by column, and its weight."""
        return branches.fixed(self.config.model, self.by_column)


def prepare(config: Config, source: Any = None, *, console: Console | None = None, known: Kinds | None = None) -> Plan:
    """Read the data and decide everything that was left open.

    `source` are data from Python, by default ``config.data.source``; `known` columns (modality, spec) that are read as
    the run read them which is resumed, None where a training begins.
    """
    console, begins = console or QUIET, known is None

    # Read: the table, its splits, and the runs that columns begin with.
    resolve.check_words(config, begins)
    config, table, starts = _read(config, source, known, console)
    table, doubt = checks.without_identifiers(table, asked=bool(config.data.label))
    by_column = columns.plan(config.model, table.kinds, starts)
    adapted = adaptation.of(config, table, by_column) if begins else None
    adapted, by_column, lighter = adaptation.fitting(adapted, by_column)
    config = adaptation.with_holdout(config, adapted, table)
    d = config.data
    rows = splits.plan(table, train_split=d.train_split, test_split=d.test_split, holdout=d.holdout)
    notes = [*table.source.get("notes", ()), *rows.notes, *adaptation.unmeasured(adapted, rows)]

    # Check: a method, and the rows that it can learn from.
    config, method, chosen = resolve.method(config, table, by_column, rows.train, begins, adapted)
    for said in groups.doubts(table, np.concatenate([rows.train, rows.heldout])):
        console.warn(said)
    rows, scored = checks.usable(method, table, rows, console)
    kind = method.positives if config.model.positives == "auto" else config.model.positives
    if doubt and kind == "labels":
        raise DataError(f"{method.name} learns from labels. {doubt[0]}")
    notes += [*doubt, *chosen, *scored, *([] if doubt else [checks.about_labels(kind, table, method.name)])]
    notes += filter(None, [facts.balance(table, rows.train), facts.about_duplicates(table, rows.train, rows.heldout)])

    # Resolve: views, numbers and encoders without any "auto".
    method, counted = _with_views(method, config, table)
    config, mirrored = mirroring.settled(config, method, table, rows.train)
    config, by_column, decided = resolve.resolved(config, method, table, by_column, len(rows.train), begins)
    warm_start.check(config, by_column)
    method = method.resolved(_facts(config, by_column, table, rows.train))

    # Relate: who belongs together, and who is no negative of whom.
    positives, ignore, related = relate.relations(kind, config, table, rows.train, rows.heldout, console)
    checks.check_targets(method, positives)
    checks.check_within(method, table)
    checks.check_steps(method, by_column)
    related += checks.about_hard(method, table, positives, ignore)
    if method.takes == "pairs":
        related += duplicates.about_negatives(table, rows.train, ignore)
    method = record.override(method, {"positives": kind})
    config = replace(config, method=_numbers(method))
    notes += [*counted, *decided, *lighter, *warm_start.about(by_column), *mirrored, *related]
    return Plan(config, method, table, by_column, rows.train, rows.heldout, positives, ignore, tuple(notes))


def _read(
    config: Config, source: Any, known: Kinds | None, console: Console
) -> tuple[Config, Table, dict[str, warm_start.Start]]:
    """The table, the starts of its columns, and the config with what is read as the runs that they are of read it."""
    config = warm_start.of_libraries(config)
    d, begun = config.data, config.model.init_from
    d = replace(d, leave_out=interactions.left_out(d.leave_out, d.user, d.time))
    starts = warm_start.starts(begun, d.column)
    if not d.missing:
        d = replace(d, missing=next((s.config.data.missing for s in starts.values()), ()))
    reading = warm_start.reading(starts, d)
    prepared = {} if known else columns.preparation(config.model)
    asked = {"tokens": columns.tokeniser(config.model, d.tokens), "size": d.size, "length": d.length}
    asked |= {"rate": d.rate, "seconds": d.seconds, "normalise": d.normalise, "trim": d.trim}
    asked = prepared | {k: v for k, v in asked.items() if v != "auto"}
    asked |= {"modality": d.modality} if d.modality else {}
    table = read(
        source if source is not None else d.source, column=d.column or None, negative=d.negative, label=d.label,
        score=d.score, sets=d.sets, group=d.group, group_from=d.group_from, missing=d.missing,
        within=d.within, split_column=d.split_column, user=d.user, time=d.time, rating=d.rating,
        min_rating=d.min_rating, items=d.items, leave_out=d.leave_out, max_bad=d.max_bad,
        window=d.window, hop=d.hop,
        limit=d.limit, seed=config.train.seed, depth=d.depth, stream=d.stream, workers=resolve.workers_of(config),
        buffer=d.buffer, console=console, **asked,
        **reading | ({"known": {**reading.get("known", {}), **known}} if known else {}),
    )  # fmt: skip
    if set(starts) != set(table.columns):  # only now it is known what they are called
        starts = warm_start.starts(begun, list(table.columns))
    for start in starts.values():
        warm_start.check_weights(start)
        if start.column.modality == "text" and start.reads_alike(d):
            d = replace(d, tokens=start.config.data.tokens)
    return replace(config, data=d), table, starts


def _with_views(method: Method, config: Config, table: Table) -> tuple[Method, list[str]]:
    """The method with as many views as a recipe of several views names, if the user has chosen one."""
    if config.views.recipe in ("auto", method.views) or "count" in config.method or len(table.columns) > 1:
        return method, []
    count = len(recipes.recipes(table.columns, config.views)[table.first.name])
    if count <= max(2, method.count) or method.count == 1:
        return method, []
    return record.override(method, {"count": count}), [
        f"The recipe {config.views.recipe!r} has {count} views of a row."
    ]


def _facts(config: Config, by_column: Mapping[str, ColumnPlan], table: Table, train: np.ndarray) -> record.Facts:
    return record.Facts(
        rows=len(table), train_rows=len(train), classes=len(table.label_names),
        steps_per_epoch=len(train) // config.train.batch_size, encoders=len({c.leader for c in by_column.values()}),
    )  # fmt: skip


def _numbers(method: Method) -> dict[str, Any]:
    return {k: v for k, v in record.as_dict(method).items() if k != "name"}


def narrowed(
    plan: Plan, config: Config, train: np.ndarray, heldout: np.ndarray, *, like: Plan | None = None
) -> Plan:  # fmt: skip
    """A plan for fewer rows of the same table, and other numbers; raises a `UserError` where these do not fit.

    Nothing in `config` is "auto"; open numbers of the method's parts are resolved for the rows. `like` is a narrowed
    plan of the same rows and batch size, whose positives are taken instead of computed again.
    """
    method = record.resolve(config.model.method, config.method)
    config, by_column, _ = resolve.resolved(config, method, plan.table, plan.by_column, len(train), begins=False)
    method = method.resolved(_facts(config, by_column, plan.table, train))
    config = replace(config, method=_numbers(method))
    if like is None:
        positives, ignore, _ = relate.relations(method.positives, config, plan.table, train, heldout)
    else:
        positives, ignore = like.positives, like.ignore
    return Plan(config, method, plan.table, by_column, train, heldout, positives, ignore, ())
