"""Which label of a pair says that its two sides belong together."""

from __future__ import annotations

from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.data import opposites
from nearfar.data.table import Table

WHERE = "--positive"


def position(table: Table, asked: str | None, *, needed: bool) -> int | None:
    """Its position in `Table.label_names`; None where there are no pairs, or the labels do not judge them.

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
    if len(table.columns) == 1:
        if asked is not None:
            raise ConfigError("it is a label of pairs, and these data have one column.", where=WHERE)
        return None
    names = table.label_names
    if table.labels is None:
        if asked is not None:
            raise DataError("these data have no labels.", where=WHERE, hint="Name their column with --label.")
        return None
    if asked is not None:
        meant = [n for n in names if n == asked] or [n for n in names if opposites.plain(n) == opposites.plain(asked)]
        if len(meant) != 1:
            raise UnknownName("label", asked, names, where=WHERE)
        return names.index(meant[0])
    found = opposites.positive(names)
    if needed and found is None:
        some = ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
        raise DataError(
            f"which of the labels {some} says that the two sides of a pair belong together is not known.",
            where=WHERE, hint=f"Say {WHERE} {names[-1]!r}, for example.",
        )  # fmt: skip
    return found if needed or opposites.judges(names, alike(table)) else None


def alike(table: Table) -> bool:
    """Whether all columns are of one modality."""
    return len({c.modality for c in table.columns.values()}) == 1


def about(table: Table, place: int | None) -> list[str]:
    """What to say where labels decide which pairs count."""
    if place is None:
        return []
    others = int(((table.labels >= 0) & (table.labels != place)).sum())
    return [
        f"The label {table.label_names[place]!r} says that two sides belong together; {others:,} rows have another."
    ]
