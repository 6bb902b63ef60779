"""Labels whose names are words, for protocols that read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.core.errors import DataError
from nearfar.core.names import is_number
from nearfar.data.table import Column, Table
from nearfar.evaluation.features import Features
from nearfar.models import prompts

TAKES = "named labels"
JUDGED = {"true", "false", "yes", "no", "0", "1"}  # what is said of a pair, and of no picture


def words(name: str) -> str:
    """A label as a person would say it: ``guinea_pig`` is a guinea pig."""
    return " ".join(name.replace("_", " ").split())


def has_names(table: Table) -> bool:
    """Whether at least two classes have rows, and their names are words that say what a row shows."""
    if table.labels is None or len(np.unique(table.labels[table.labels >= 0])) < 2:
        return False
    names = {name.lower() for name in table.label_names}
    return not names <= JUDGED and not all(is_number(name) for name in names)


def reads(model: Any) -> bool:
    """Whether the model has a text side beside another, or text alone, and one of them reads prompts."""
    return bool(prompts.text_columns(model))


def columns(models: Sequence[Any], table: Table) -> list[Column]:
    """The columns whose rows are told by names: all that are no text; of one column that one."""
    if not all(reads(m) for m in models) or not has_names(table):
        return []
    if len(table.columns) == 1:
        return [table.first] if len(models[0].columns) > 1 else []
    return [c for c in table.columns.values() if c.modality != "text"]


def check(models: Sequence[Any], table: Table, protocol: str) -> None:
    """Raises `DataError` where a protocol that was asked for has no names to read, or no model that reads them."""
    if not has_names(table):
        what = "have no labels of two classes" if table.labels is None else "have labels that are no words"
        raise DataError(f"{protocol} reads the names of the classes, and these data {what}.", where="--protocol")
    if blind := next((m for m in models if not reads(m)), None):
        raise DataError(f"{protocol} needs a column of text, and {blind.name} has none.", where="--protocol")
    if len(table.columns) > 1 and not columns(models, table):
        raise DataError("all columns are text.", where="--protocol", hint="Say with --column whose rows are meant.")


def features(model: Any, column: Column, rows: np.ndarray, table: Table, templates: Sequence[str] | str) -> Features:
    """Vectors of rows, and those of the names of all classes in the same space."""
    names = [words(name) for name in table.label_names]
    made = prompts.make(model, names, templates, column=_other(model, column))
    x = model.features(column, rows, layer=made.layer)
    forms = list(prompts.checked(names, templates)[1])
    return Features(x, table.labels[rows], len(names), made.vectors, {"templates": forms, "layer": made.layer})


def _other(model: Any, column: Column) -> str | None:
    """The one column of text that is not the rows' own; None where the model has to say."""
    texts = prompts.text_columns(model)
    others = [name for name in texts if name != column.name] or texts
    return others[0] if len(others) == 1 else None
