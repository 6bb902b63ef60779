"""Whether data are what a method learns from: which rows it can use, and what a person should know before it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.registry import ENCODERS, METHODS, OBJECTIVES
from nearfar.data import facts, opposites, splits
from nearfar.training.positives import hard_negatives

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nearfar.core.console import Console
    from nearfar.data.table import Table
    from nearfar.methods.record import Method
    from nearfar.models.columns import ColumnPlan
    from nearfar.training.positives import Positives


def without_identifiers(table: Table, *, asked: bool) -> tuple[Table, list[str]]:
    """The table without labels that must be names of rows, and what to say; a `DataError` where they were asked for."""
    about = facts.identifier(table, asked=asked)
    if about is None:
        return table, []
    if asked:
        raise DataError(
            f"{about}: is it an id?", where="--label",
            hint="Leave --label out to learn without labels, or name a column whose values repeat.",
        )  # fmt: skip
    said = f"Labels: none, since {about}. If these are classes, --label takes them."
    return replace(table, labels=None, label_names=()), [said]


def usable(
    method: Method, table: Table, rows: splits.SplitPlan, console: Console
) -> tuple[splits.SplitPlan, list[str]]:
    """The rows that the method can learn from, and what to say of the others; raises where there are none."""
    _check_takes(method, table)
    hashes = [c.hashes[rows.train] for c in table.columns.values()]
    if len(rows.train) > 3 and all((h == h[0]).all() for h in hashes):
        raise DataError(f"all {len(rows.train):,} rows to train on are equal, so there is nothing to tell apart.",
                        hint="Is it the right column?")  # fmt: skip
    if method.takes == "scored pairs":
        scored = np.isfinite(table.scores)
        rows = replace(rows, train=rows.train[scored[rows.train]])
        if len(np.unique(table.scores[rows.train])) < 2:
            raise DataError("all scores of the training rows are equal.", where="--score",
                            hint="For pairs that simply belong together take --method clip.")  # fmt: skip
        _check_signs(method, table.scores[rows.train], console)
        left = f"; {others:,} without one are left out" if (others := int((~scored).sum())) else ""
        return rows, [f"Scores: {len(rows.train):,} training rows have one{left}."]
    return (_belonging(table, rows, console) if len(table.columns) > 1 else rows), []


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
    if method.takes == "histories" and (several or table.first.modality != "ids"):
        raise ConfigError(f"{method.name} learns from what users took, one column of items.", where="model.method",
                          hint="Name users and items with --pair USER ITEM.")  # fmt: skip
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
        console.warn(
            f"{above}: {int((scores > 0).sum()):,} of {len(scores):,} do. Only cosent uses how high a score is."
        )


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


def about_hard(method: Method, table: Table, positives: Positives, ignore: np.ndarray | None) -> list[str]:
    """What to say of hard negatives; raises a `ConfigError` where the method or the columns cannot take them."""
    if not (table.negatives or positives.mines):
        return []
    if not method.hard_negatives:
        able = [m for m in METHODS if METHODS.get(m).RECORD.hard_negatives]
        raise ConfigError(
            f"{method.name} takes no hard negatives.", where="model.method", hint=f"These do: {', '.join(able)}."
        )
    if not table.negatives:
        return []
    return [hard_negatives.about(hard_negatives.of_columns(table.negatives, table.columns, ignore))]


def check_within(method: Method, table: Table) -> None:
    """Raise a `ConfigError` where negatives are to be within a column and the method compares none of the batch."""
    if table.within is not None and not method.compares_negatives:
        able = [m for m in METHODS if METHODS.get(m).RECORD.compares_negatives]
        raise ConfigError(f"{method.name} has no negatives from the batch, so it would have no effect.",
                          where="--within", hint=f"These have: {', '.join(able)}.")  # fmt: skip


def check_steps(method: Method, by_column: Mapping[str, ColumnPlan]) -> None:
    """Raise a `ConfigError` where a method compares steps of time that an encoder does not give."""
    for c in by_column.values() if method.steps else ():
        if not hasattr(c.entry.build, "steps"):
            able = [e for e in ENCODERS if hasattr(ENCODERS.get(e).build, "steps")]
            able = [e for e in able if c.modality in ENCODERS.get(e).MODALITIES]
            with_steps = f"These do for {c.modality}: {', '.join(able)}." if able else "Take another method."
            raise ConfigError(f"{method.name} compares steps of time, and {c.encoder} gives none.",
                              where="model.encoder", hint=with_steps)  # fmt: skip


def check_targets(method: Method, positives: Positives) -> None:
    """Raise a `ConfigError` where a method learns vectors that nobody gives, or is given some and learns none."""
    learns = METHODS.get(method.name).RECORD.positives == "teacher"
    given = positives.targets is not None or "targets" in positives.changing
    if learns and not given:
        raise ConfigError(f"{method.name} learns the vectors of a teacher.", where="model.positives",
                          hint="Name it: --positives teacher:MODEL.")  # fmt: skip
    if given and not learns:
        able = [m for m in METHODS if METHODS.get(m).RECORD.positives == "teacher"]
        raise ConfigError(f"{method.name} learns no vectors of a teacher.", where="model.method",
                          hint=f"These do: {', '.join(able)}.")  # fmt: skip


def about_labels(kind: str, table: Table, method: str) -> str:
    """How many rows have a label, and what for."""
    if table.labels is None:
        needed = "" if kind == "labels" or table.scores is not None else " nothing was labelled, nothing is needed."
        return f"Labels: none{';' if needed else '.'}{needed}"
    labelled = int((table.labels >= 0).sum())
    about = f"Labels: {labelled:,} rows in {len(table.label_names)} class{'' if len(table.label_names) == 1 else 'es'}"
    if kind == "labels":
        return f"{about}; {method} learns from those of the training rows."
    few = labelled < len(table) and len(table.label_names) > 1
    able = " (--method supcon learns from them; or give the rows that have one alone)" * few
    return f"{about}; not used for training, only to measure{able}."
