"""What the labels of an evaluation mean: names that a model reads, or which pairs belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.data import opposites
from nearfar.data.table import Column, Table
from nearfar.evaluation.protocols import Features
from nearfar.models import prompts

NAMED = "named labels"
PAIR_LABELS = {"true", "false", "yes", "no", "0", "1"}  # what is said of a pair, and of no picture
POSITIVE = "--positive"


def has_classes(table: Table) -> bool:
    """Whether there are labels of two classes."""
    return table.labels is not None and len(np.unique(table.labels[table.labels >= 0])) > 1


# --- classes whose names are words ---------------------------------------------------------------------------------


def has_names(table: Table) -> bool:
    """Whether at least two classes have rows, and their names are words that say what a row shows."""
    names = {name.lower() for name in table.label_names}
    return has_classes(table) and not names <= PAIR_LABELS and not all(map(_is_number, names))


def reads(model: Any) -> bool:
    """Whether the model has a text side beside another, or text alone, and one of them reads prompts."""
    return bool(prompts.text_columns(model))


def named_columns(models: Sequence[Any], table: Table) -> list[Column]:
    """The columns whose rows are predicted by names: all that are no text; of one column that one."""
    if not all(reads(m) for m in models) or not has_names(table):
        return []
    if len(table.columns) == 1:
        return [table.first] if len(models[0].columns) > 1 else []
    return [c for c in table.columns.values() if c.modality != "text"]


def check_names(models: Sequence[Any], table: Table, protocol: str) -> None:
    """Raises `DataError` where a protocol that was asked for has no names to read, or no model that reads them."""
    if not has_names(table):
        what = "have no labels of two classes" if table.labels is None else "have labels that are no words"
        raise DataError(f"{protocol} reads the names of the classes, and these data {what}.", where="--protocol")
    if blind := next((m for m in models if not reads(m)), None):
        raise DataError(f"{protocol} needs a column of text, and {blind.name} has none.", where="--protocol")
    if len(table.columns) > 1 and not named_columns(models, table):
        raise DataError("all columns are text.", where="--protocol", hint="Name the column of the rows with --column.")


def named_features(
    model: Any, column: Column, rows: np.ndarray, table: Table, templates: Sequence[str] | str
) -> Features:
    """Vectors of rows, and those of the names of all classes in the same space."""
    names = [" ".join(name.replace("_", " ").split()) for name in table.label_names]  # guinea_pig is a guinea pig
    texts = prompts.text_columns(model)
    others = [name for name in texts if name != column.name] or texts
    # of several columns of text the model has to say which reads prompts
    made = prompts.make(model, names, templates, column=others[0] if len(others) == 1 else None)
    x = model.features(column, rows, layer=made.layer)
    forms = list(prompts.checked(names, templates)[1])
    return Features(x, table.labels[rows], len(names), made.vectors, {"templates": forms, "layer": made.layer})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- labels of pairs -----------------------------------------------------------------------------------------------


def positive_label(table: Table, asked: str | None, *, needed: bool) -> int | None:
    """The position in `Table.label_names` of the label that says that the two sides of a pair belong together.

    None where there are no pairs, or the labels are not of pairs.

    Parameters
    ----------
    table : Table
    asked : str, optional
        The label, where it was named.
    needed : bool
        Something is measured by it, so two opposites that might as well say what a row shows are taken as well.

    Raises
    ------
    UnknownName, DataError
        There is no such label, or one is needed and the names do not tell which it is.
    ConfigError
        One was named, and there are no pairs.
    """
    names = table.label_names
    if asked is not None and len(table.columns) == 1:
        raise ConfigError("it is a label of pairs, and these data have one column.", where=POSITIVE)
    if asked is not None and table.labels is None:
        raise DataError("these data have no labels.", where=POSITIVE, hint="Name their column with --label.")
    if len(table.columns) == 1 or table.labels is None:
        return None
    if asked is not None:
        meant = [n for n in names if n == asked] or [n for n in names if opposites.plain(n) == opposites.plain(asked)]
        if len(meant) != 1:
            raise UnknownName("label", asked, names, where=POSITIVE)
        return names.index(meant[0])
    place = opposites.positive(names)
    if needed and place is None:
        some = ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
        raise DataError(
            f"which of the labels {some} says that the two sides of a pair belong together is not known.",
            where=POSITIVE, hint=f"Pass {POSITIVE} {names[-1]!r}, for example.",
        )  # fmt: skip
    one_modality = len({c.modality for c in table.columns.values()}) == 1
    return place if needed or opposites.judges(names, one_modality) else None


def about_positive(table: Table, place: int | None) -> list[str]:
    """The sentence that says which labels decide which pairs count."""
    if place is None:
        return []
    others, name = int(((table.labels >= 0) & (table.labels != place)).sum()), table.label_names[place]
    return [f"The label {name!r} says that two sides belong together; {others:,} rows have another."]
