"""Which rows the models were trained on, and what is to be known of those that are scored."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.core.names import real
from nearfar.data import facts, splits
from nearfar.data.groups import doubts, shared
from nearfar.data.table import Table

if TYPE_CHECKING:
    from nearfar.core.console import Console


def trained_on(model: Any, table: Table) -> np.ndarray:
    """Whether a model is known to have been trained on each row of `table`, which is as it reads the data; bool (N,).

    A run of an earlier version knows its training rows only where the data are those that it was trained on.
    """
    if model.training_rows is not None:
        return model.training_rows.among(table)
    found, d = np.zeros(len(table), bool), model.config.data
    if model.fingerprint and model.fingerprint == table.fingerprint:
        named = not table.splits or (d.train_split or "train") in table.splits
        plan = splits.plan(table, train_split=d.train_split, test_split=d.test_split, holdout=d.holdout)
        found[plan.train if named else slice(None)] = True
    return found


def content(table: Table) -> str:
    """Hash of all that a measurement takes of a table: rows, labels, scores and splits."""
    digest = hashlib.sha256(json.dumps([table.fingerprint, table.label_names]).encode())
    for name, values in {"labels": table.labels, "scores": table.scores, **table.splits}.items():
        digest.update(name.encode("utf-8", "surrogateescape"))
        digest.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def warnings(
    models: Sequence[Any], tables: Sequence[Table], rows: splits.EvaluationPlan, *, limited: bool, console: Console
) -> list[str]:  # fmt: skip
    """What would make figures look better than they are, and which rows are missing from them.

    Parameters
    ----------
    models : sequence of Embedder
    tables : sequence of Table
        The data as each of them reads them.
    rows : EvaluationPlan
    limited : bool
        Only some rows of the data were read.
    console : Console
        That a model was, or may have been, trained on what is scored is said at once.
    """
    table, found = tables[0], []
    repeated = splits.duplicates(table, rows.train, rows.test)
    if len(repeated):
        found.append(f"{len(repeated)} of {len(rows.test)} test rows are also among the training rows, byte for byte"
                     f"{_contrary(table, rows.train, repeated)}.")  # fmt: skip
    if cut := shared(table, rows.train, rows.test):
        found.append(f"{cut:,} of {len(rows.test):,} test rows are of groups that have training rows too.")
    before, new = len(found), np.setdiff1d(rows.test, repeated)
    for model, own in zip(models, tables, strict=True):
        if taught := int(trained_on(model, own)[new].sum()):
            found.append(f"{model.name} was trained on {taught:,} of the {len(rows.test):,} rows that are scored here: "
                         "the figures are too good for new ones.")  # fmt: skip
        if not table.splits and (said := _changed(model, own, limited)):
            found.append(said)
    for text in found[before:]:
        console.warn(text)
    told = rows.train if len(rows.train) else rows.test
    if said := facts.balance(table, told):
        counts = np.bincount(table.labels[told][table.labels[told] >= 0])
        uneven = counts.max() > 3 * counts[counts > 0].min()
        found.append(f"{said} They are uneven: accuracy speaks for the large ones." if uneven else said)
    found += _about_groups(table, rows)
    if table.skipped:
        first = table.skipped[0]
        found.append(f"{len(table.skipped)} rows could not be read ({first.name} {first.reason} …).")
    if len(rows.test) < splits.LEAST:
        few = f"{len(rows.test)} row{'s are' if len(rows.test) > 1 else ' is'}"
        found.append(f"Only {few} scored, so the figures say little.")
    return found


def _contrary(table: Table, train: np.ndarray, repeated: np.ndarray) -> str:
    """How many of the test rows that are among the training rows have no label there that is theirs."""
    if table.labels is None:
        return ""
    train, repeated = (r[table.labels[r] >= 0] for r in (train, repeated))
    known = set(zip(table.hashes[train].tolist(), table.labels[train].tolist(), strict=True))
    content = set(table.hashes[train].tolist())
    own = zip(table.hashes[repeated].tolist(), table.labels[repeated].tolist(), strict=True)
    other = sum(row[0] in content and row not in known for row in own)
    return f"; {other:,} of these have another label there" if other else ""


def _about_groups(table: Table, rows: splits.EvaluationPlan) -> list[str]:
    """What to say of groups that were named, or seem to be there."""
    found = doubts(table, np.concatenate([rows.train, rows.test]))
    if table.groups is not None and 2 * (count := len(np.unique(table.groups[rows.test]))) <= len(rows.test):
        found.append(f"The {len(rows.test):,} test rows are of {count:,} groups; intervals count rows, so they are too "
                     "narrow for new groups.")  # fmt: skip
    guess = table.source.get("looks_grouped")
    if guess and len(rows.train) and (guess["cut"] or not table.splits):
        found.append(guess["hint"])
    return found


def _changed(model: Any, table: Table, limited: bool) -> str:
    """What to say of data that are at the place of those that `model` was trained on, and are others."""
    source, trained = table.source.get("source"), _source(model)
    if not source or not trained or model.fingerprint == table.fingerprint or not _same(source, trained):
        return ""
    known = model.training_rows is not None
    if limited and known:
        return ""
    what = (
        f"{int(trained_on(model, table).sum()):,} of its {len(table):,} rows are known from the training"
        if known else "so rows that are scored may have been trained on"
    )  # fmt: skip
    return f"{source} has changed since {model.name} was trained on it, or is read in another way: {what}."


def _source(model: Any) -> str:
    try:
        return model.source()
    except ConfigError:
        return ""


def _same(a: str, b: str) -> bool:
    return a == b or real(Path(os.path.expanduser(a))) == real(Path(os.path.expanduser(b)))
