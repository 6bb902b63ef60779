"""Which rows the models were trained on, and what is to be known of those that are scored."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.names import real
from nearfar.core.registry import PROTOCOLS
from nearfar.data import facts, splits
from nearfar.data.groups import doubts, shared
from nearfar.data.table import Table
from nearfar.evaluation.labels import has_classes
from nearfar.evaluation.protocols import fits
from nearfar.evaluation.recommend.measured import of_table

if TYPE_CHECKING:
    from nearfar.core.console import Console


def trained_on(model: Any, table: Table) -> np.ndarray:
    """Whether a model is known to have been trained on each row of `table`, which is as it reads the data; bool (N,).

    A run of an earlier version knows its training rows only where the data are those that it was trained on.
    """
    if of_table(table) is not None:  # what is scored are interactions that were left out of the users' rows
        return np.zeros(len(table), bool)
    if model.training_rows is not None:
        return model.training_rows.among(table)
    seen, d = np.zeros(len(table), bool), model.config.data
    if model.fingerprint and model.fingerprint == table.fingerprint:
        named = not table.splits or (d.train_split or "train") in table.splits
        plan = splits.plan(table, train_split=d.train_split, test_split=d.test_split, holdout=d.holdout)
        seen[plan.train if named else slice(None)] = True
    return seen


def content(table: Table) -> str:
    """Hash of all that a measurement takes of a table: rows, labels, scores and splits."""
    digest = hashlib.sha256(json.dumps([table.fingerprint, table.label_names]).encode())
    for name, values in {"labels": table.labels, "scores": table.scores, **table.splits}.items():
        digest.update(name.encode("utf-8", "surrogateescape"))
        digest.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _chose(model: Any, table: Table, seen: np.ndarray) -> bool:
    """Whether training chose its weights by held-out rows, which are those that are scored without a test split."""
    if of_table(table) is not None or table.splits or model.fingerprint != table.fingerprint or seen.any():
        return False
    configs = [(m.config.train, m.config.data) for m in model.members]
    return any(t.select == "best" and t.epochs and t.monitor_rows and d.holdout and not t.average for t, d in configs)


def warnings(
    models: Sequence[Any], tables: Sequence[Table], rows: splits.EvaluationPlan, *, seen: Sequence[np.ndarray],
    limited: bool, console: Console,
) -> list[str]:  # fmt: skip
    """What would make figures look better than they are, and which rows are missing from them.

    That a model was, or may have been, trained on what is scored is said at once. `tables` are the data as each model
    reads them, `seen` which rows each was trained on (`trained_on`); `limited` says that only some rows were read.
    """
    table, said = tables[0], []
    repeated = splits.duplicates(table, rows.train, rows.test)
    if len(repeated):
        said.append(f"{len(repeated)} of {len(rows.test)} test rows are also among the training rows, byte for byte"
                    f"{_contrary(table, rows.train, repeated)}.")  # fmt: skip
    if cut := shared(table, rows.train, rows.test):
        said.append(f"{cut:,} of {len(rows.test):,} test rows are of groups that have training rows too.")
    before, new = len(said), np.setdiff1d(rows.test, repeated)
    for model, as_read, own in zip(models, tables, seen, strict=True):
        if known := int(own[new].sum()):
            said.append(f"{model.name} was trained on {known:,} of the {len(rows.test):,} rows that are scored here: "
                        "the figures are too good for new ones.")  # fmt: skip
        if not table.splits and (changed := _changed(model, as_read, limited)):
            said.append(changed)
    for text in said[before:]:
        console.warn(text)
    chose = "has the weights that were best on rows scored here, so figures may be a little too good: use a test split."
    said += [f"{m.name} {chose}" for m, t, s in zip(models, tables, seen, strict=True) if _chose(m, t, s[rows.test])]
    counted = rows.train if len(rows.train) else rows.test
    if balance := facts.balance(table, counted):
        counts = np.bincount(table.labels[counted][table.labels[counted] >= 0])
        uneven = counts.max() > 3 * counts[counts > 0].min()
        said.append(f"{balance} They are uneven: accuracy speaks for the large ones." if uneven else balance)
    said += doubts(table, np.concatenate([rows.train, rows.test]))
    if table.groups is not None and 2 * (count := len(np.unique(table.groups[rows.test]))) <= len(rows.test):
        said.append(f"The {len(rows.test):,} test rows are of {count:,} groups; intervals count rows, so they are too "
                    "narrow for new groups.")  # fmt: skip
    guess = table.source.get("looks_grouped")
    if guess and len(rows.train) and (guess["cut"] or not table.splits):
        said.append(guess["hint"])
    if table.skipped:
        first = table.skipped[0]
        said.append(f"{len(table.skipped)} rows could not be read ({first.name} {first.reason} …).")
    if len(rows.test) < splits.LEAST:
        few = f"{len(rows.test)} row{'s are' if len(rows.test) > 1 else ' is'}"
        said.append(f"Only {few} scored, so the figures say little.")
    return said


def about_labels(
    table: Table, plans: Mapping[bool, splits.EvaluationPlan], protocols: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """What is to be known of the labelled rows of one column: facts, and warnings.

    Raises
    ------
    DataError
        They are too few, or no row that is scored is of a class that there are rows to fit on.
    """
    if not has_classes(table):
        return {}, ["There are no labels of two classes, so only the geometry is measured."]
    about, said, labels = {}, [], table.labels
    parts = {fit: [r[labels[r] >= 0] for r in (plan.train, plan.test)] for fit, plan in plans.items()}
    if True in parts:
        train, test = parts[True]
        said = _about_fitted(table, train, test, protocols)
        about = {"labelled_train_rows": len(train), "labelled_test_rows": len(test)}
    if False in parts:
        test = parts[False][1]
        if not len(test):
            raise DataError("no labelled rows to score.")
        about = about or {"labelled_train_rows": 0, "labelled_test_rows": len(test)}
        if True in parts:
            names = [p for p in protocols if not fits(p)]
            about["not_fitted"] = {"protocols": names, "test_rows": len(test), "split": plans[False].notes[0]}
    return about, said


def _about_fitted(table: Table, train: np.ndarray, test: np.ndarray, protocols: Sequence[str]) -> list[str]:
    """What is to be said of rows to fit on and to score; raises `DataError` where these two do not make a figure."""
    labels, said = table.labels, []
    if len(train) and len(np.unique(labels[train])) == 1:
        only = table.label_names[labels[train[0]]]
        raise DataError(
            f"all {len(train):,} labelled rows to fit on are {only!r}; there must be two classes.",
            hint="Name the splits with --train-split and --test-split.",
        )
    if len(train) < 2 or len(test) < 1:
        raise DataError(f"{len(train)} labelled rows to fit on and {len(test)} to score are too few.")
    if (new := int((~np.isin(labels[test], labels[train])).sum())) == len(test):
        names = [", ".join(repr(table.label_names[c]) for c in np.unique(labels[r])[:3]) for r in (test, train)]
        raise DataError(
            f"no row that is scored is of a class that there are rows to fit on: {names[0]} and {names[1]}.",
            hint="Spell the labels alike in all splits.",
        )
    if new:
        said.append(f"{new} test rows are of classes without training rows; they count as wrong.")
    if unscored := len(np.setdiff1d(labels[train], labels[test])):
        classes = len(np.union1d(labels[train], labels[test]))
        said.append(f"{unscored:,} of {classes:,} classes have no row that is scored.")
    left_out = (getattr(PROTOCOLS.get(name), "left_out", None) for name in protocols)
    return said + [missing for tell in left_out if tell is not None and (missing := tell(labels[train]))]


def _contrary(table: Table, train: np.ndarray, repeated: np.ndarray) -> str:
    """How many of the test rows that are among the training rows have no label there that is theirs."""
    if table.labels is None:
        return ""
    pairs = []
    for rows in (train, repeated):
        rows = rows[table.labels[rows] >= 0]
        pairs.append(list(zip(table.hashes[rows].tolist(), table.labels[rows].tolist(), strict=True)))
    known, hashes = set(pairs[0]), {row[0] for row in pairs[0]}
    other = sum(row[0] in hashes and row not in known for row in pairs[1])
    return f"; {other:,} of these have another label there" if other else ""


def _changed(model: Any, table: Table, limited: bool) -> str:
    """What to say of data that are at the place of those that `model` was trained on, and are others."""
    try:
        source, trained = table.source.get("source"), model.source()
    except ConfigError:
        return ""
    if not source or not trained or model.fingerprint == table.fingerprint:
        return ""
    if source != trained and real(Path(os.path.expanduser(source))) != real(Path(os.path.expanduser(trained))):
        return ""
    known = model.training_rows is not None
    if limited and known:
        return ""
    what = (
        f"{int(trained_on(model, table).sum()):,} of its {len(table):,} rows are known from the training"
        if known else "so rows that are scored may have been trained on"
    )  # fmt: skip
    return f"{source} has changed since {model.name} was trained on it, or is read in another way: {what}."
