"""Who belongs together, who is no negative of whom, and in which order rows come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nearfar.core.console import SILENT
from nearfar.core.errors import ConfigError
from nearfar.data import duplicates
from nearfar.data.batches import balanced, by_source
from nearfar.training import positives

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.core.console import Console
    from nearfar.data.table import Table
    from nearfar.training.positives import Positives


def relations(
    kind: str, config: Config, table: Table, train: np.ndarray, heldout: np.ndarray, console: Console = SILENT
) -> tuple[Positives, np.ndarray | None, list[str]]:
    """Who belongs together, who is no negative of whom, and what to say of both."""
    t = config.train
    labels = None if table.labels is None else np.full(len(table), -1)
    if labels is not None:  # of other rows nothing is learnt
        labels[train] = table.labels[train]
    built = positives.build(kind, positives.Context(config, table, train, heldout, labels, len(train) // t.batch_size))
    ignore, about_ignored = duplicates.ignored(table, train, config.data.ignore_duplicates, t.seed)
    if ignore is None and (built.mines or table.negatives):
        ignore = positives.own(len(table))
    said = [built.note, about_ignored]
    if built.doubt:
        console.warn(built.doubt)
    if t.mix is not None and t.balance is not None:
        raise ConfigError("batches are either of one set each or of balanced classes.", where="train.mix")
    if t.mix is not None:
        number, names = by_source.sets(table)
        said.append(by_source.about(number[train], names, t.batch_size, t.mix))
    if t.balance is not None:
        said.append(balanced.about(t.balance, built.groups[train], t.batch_size, may_change=built.changes))
    return built, ignore, [sentence for sentence in said if sentence]
