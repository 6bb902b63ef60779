"""Encoders that begin with pretrained weights are adapted, not trained anew: what their files declare for that.

See `nearfar.encoders.adaptation.Adaptation`. A knob that somebody set stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nearfar.data.batches import balanced
from nearfar.methods import record
from nearfar.models import branches, room
from nearfar.training.plan import auto_method

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.data import splits
    from nearfar.data.table import Table
    from nearfar.encoders.adaptation import Adaptation
    from nearfar.models.columns import ColumnPlan

HOLDOUT = 0.1  # share of the rows that is held out of a training, unless they are too few to adapt with
BATCH = "train.batch_size"


def supervision(config: Config, table: Table) -> str:
    """What there is to learn from: "labels", "scores", "pairs", or nothing but "views" of the rows.

    A method that is named says it; else labels are learnt from where most rows have one.
    """
    if config.model.method not in auto_method.OPEN:
        method = record.resolve(config.model.method, config.method)
        kinds = {"scored pairs": "scores", "pairs": "pairs"}
        return kinds.get(method.takes) or ("labels" if method.positives == "labels" else "views")
    if len(table.columns) > 1:
        return "pairs" if table.scores is None else "scores"
    return "labels" if auto_method.labelled(table, np.arange(len(table))) >= auto_method.LABELLED else "views"


def of(config: Config, table: Table, by_column: Mapping[str, ColumnPlan]) -> Adaptation | None:
    """What the encoders' file declares for these data; None where not all columns begin with pretrained weights."""
    columns = list(by_column.values())
    if not all(c.pretrained and not c.locked for c in columns):
        return None
    kind = supervision(config, table)
    declared = [getattr(c.entry, "ADAPTED", {}).get(kind) for c in columns]
    return declared[0] if all(d is declared[0] for d in declared) else None


def with_holdout(config: Config, adaptation: Adaptation | None, table: Table) -> Config:
    """The config with the share of rows that are held out."""
    if config.data.holdout != "auto":
        return config
    if config.data.user is not None:  # users are known by their histories, of which parts are left out
        return replace(config, data=replace(config.data, holdout=0.0))
    rows = len(table) if table.labels is None or len(table.columns) > 1 else int((table.labels >= 0).sum())
    few = adaptation is not None and rows < adaptation.holdout
    return replace(config, data=replace(config.data, holdout=0.0 if few else HOLDOUT))


def unmeasured(adaptation: Adaptation | None, rows: splits.SplitPlan) -> list[str]:
    """What to say where no rows are held out that could tell whether the pretrained weights were better."""
    if adaptation is None or len(rows.heldout):
        return []
    return [f"Held out: none of the {len(rows.train):,} rows, of which a tenth would tell no states apart. So it is "
            "not measured whether the model becomes better; new rows with labels tell (nearfar classify)."]  # fmt: skip


def fitting(
    adaptation: Adaptation | None, by_column: Mapping[str, ColumnPlan]
) -> tuple[Adaptation | None, dict[str, ColumnPlan], list[str]]:
    """What is declared, the lighter way where the other one does not fit into memory; the columns with its options."""
    notes: list[str] = []
    if adaptation is not None and adaptation.lighter is not None:
        columns = _with_options(adaptation, by_column)
        numbers = {c.leader: branches.trained_numbers(c) for c in columns.values()}
        needed, free = room.WIDTH * sum(numbers.values()), room.free()
        if needed > free:
            adaptation = adaptation.lighter
            notes = [f"Memory: to train all weights takes {needed / 2**30:,.1f} GiB and {free / 2**30:,.1f} GiB are "
                     f"free, so {', '.join(adaptation.options)} is taken."]  # fmt: skip
    return adaptation, _with_options(adaptation, by_column), notes


def _with_options(adaptation: Adaptation | None, by_column: Mapping[str, ColumnPlan]) -> dict[str, ColumnPlan]:
    more = {} if adaptation is None else adaptation.options
    return {n: replace(c, options={**more, **c.options}) for n, c in by_column.items()}


def settled(config: Config, adaptation: Adaptation | None, rows: int, named: bool = False) -> tuple[Config, list[str]]:
    """The config with what is declared in place of "auto", for so many training rows, and what to say of it.

    Where somebody `named` the method, nothing is put beside its features that they did not ask for.
    """
    if adaptation is None:
        return config, []
    numbers = adaptation.numbers if config.model.method == adaptation.method else {}
    config = replace(config, method={**numbers, **config.method})
    t, most = config.train, rows - rows % config.train.processes
    for path, value in adaptation.knobs.items():
        section, _, key = path.partition(".")
        if path == BATCH:
            value = math.prod(balanced.parse(t.balance)) if t.balance else min(value, most)
        if getattr(getattr(config, section), key) == "auto" and not (named and section == "model"):
            config = config.set(path, value)
    batch = config.train.batch_size
    if t.epochs == "auto" and isinstance(batch, int):
        an_epoch, (least, limit) = max(1, rows // batch), adaptation.steps
        epochs = min(max(adaptation.epochs, math.ceil(least / an_epoch)), limit // an_epoch)
        config = config.set("train.epochs", max(1, epochs))
    return config, [f"Adapting: {adaptation.why}."]
