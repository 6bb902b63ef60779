"""Which columns are splits, labels, and what is to be embedded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nearfar.data import label_sets
from nearfar.data.lazy import blocks
from nearfar.data.raw import Cells, Chain, Raw
from nearfar.data.structure import SPLITS
from nearfar.errors import DataError, UnknownName
from nearfar.modalities import BadCell
from nearfar.registry import MODALITIES

LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")
SPLIT_NAMES = ("split", "subset", "partition")
SURE = 0.5  # a modality that is less sure than this does not claim a column
NAMED = 0.1  # nor than this one that the user has named
WORDS = "single words"
LOOKED_AT = 32  # cells of a column that a modality is shown


class Findings(list):
    """Sentences about how data were read, in their order.

    Parameters
    ----------
    notes : iterable of str
        Said where a person follows along.
    warnings : list of str
        What was left out or may surprise: said always, through `Console.warn`, which from Python is a
        `NearfarWarning`.
    """

    def __init__(self, notes: Iterable[str] = (), warnings: list[str] | None = None) -> None:
        super().__init__(notes)
        self.warnings = [] if warnings is None else warnings

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)


def take_splits(raw: Raw, name: str | None) -> dict[str, np.ndarray]:
    if name is not None and name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--split-column")
    if name is None:
        name = next((c for c in raw.columns if c.lower() in SPLIT_NAMES and _holds_splits(raw.columns[c])), None)
    values = raw.splits
    if name is not None:
        values = [SPLITS.get(str(v).lower(), str(v)) for v in raw.columns.pop(name)]
    if values is None:
        return {}
    array = np.asarray(values, dtype=object)
    return {str(s): np.flatnonzero(array == s) for s in dict.fromkeys(values)}


def _holds_splits(cells: Sequence[Any]) -> bool:
    some = [cells[i] for i in range(min(len(cells), 100))]
    return all(isinstance(v, str) and v.lower() in SPLITS for v in some)


def take_labels(
    raw: Raw, name: str | None, notes: Findings, wanted: Sequence[str] = ()
) -> tuple[np.ndarray | None, tuple[str, ...], str | None]:
    """Labels, names of the classes and the column they are in, which is taken out; never one that is `wanted`."""
    if name is not None and name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--label")
    if name is None:
        near = [raw.label] if raw.label else [c for c in raw.columns if c.lower() in LABEL_NAMES]
        near = [c for c in near if c not in wanted]
        if len(near) > 1:
            raise DataError(f"the columns {' and '.join(near)} may both be labels.", hint="Say which with --label.")
        name = near[0] if near else None
        if name is not None and name != "label":
            notes.append(f"Label column: {name!r} (change with --label).")
    if name is None or len(raw.columns) == 1:
        return None, (), None
    return *_encoded(raw.columns.pop(name), raw.classes.get(name), name, notes), name


def _encoded(
    cells: Sequence[Any], classes: list[str] | None, column: str, notes: Findings
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as whole numbers, −1 for empty ones, and the names of the classes."""
    values = [None if _empty(v) else v for v in label_sets.single([*map(_as_text, cells)], column)]
    if unread := sum(isinstance(v, bytes) for v in values):
        notes.append(f"Labels: {unread:,} of the column {column!r} are no UTF-8; these rows count as unlabelled.")
        values = [None if isinstance(v, bytes) else v for v in values]
    if classes is not None:
        labels = np.asarray([-1 if v is None or int(v) < 0 else int(v) for v in values], np.int64)
        return labels, tuple(classes)
    as_text = [
        None if v is None else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values
    ]
    names = sorted({t for t in as_text if t is not None}, key=_natural)
    number = {t: i for i, t in enumerate(names)}
    return np.asarray([-1 if t is None else number[t] for t in as_text], np.int64), tuple(names)


def _as_text(cell: Any) -> Any:
    """Bytes as text, where they are."""
    if not isinstance(cell, bytes):
        return cell
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell


def _empty(value: Any) -> bool:
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )


def _natural(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def take_scores(raw: Raw, name: str | None) -> np.ndarray | None:
    """How alike the two sides of each row are, float64 (N,); None where no column was named.

    Raises
    ------
    UnknownName, DataError
        There is no such column, or it holds no numbers.
    """
    if name is None:
        return None
    if name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="--score")
    cells = raw.columns.pop(name)
    try:
        return np.asarray([np.nan if _empty(v) else float(v) for v in cells])
    except (TypeError, ValueError) as e:
        raise DataError(f"the column {name!r} holds no numbers ({e}).", where="--score") from e


def take_sets(raw: Raw, name: str | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Which set each row is of, int64 (N,), and the names of the sets; None where no column was named.

    Raises
    ------
    UnknownName, DataError
        There is no such column, or a row is of no set.
    """
    if name is None:
        return None, ()
    if name not in raw.columns:
        raise UnknownName("column", name, raw.columns, where="data.sets")
    number, names = _encoded(raw.columns.pop(name), raw.classes.get(name), name, Findings())
    if (number < 0).any():
        raise DataError(f"{int((number < 0).sum())} rows are of no set.", where=f"data.sets={name}")
    return number, names


@dataclass(frozen=True)
class Said:
    """What other columns say of the rows; the fields are those of `nearfar.data.table.Table`."""

    labels: np.ndarray | None
    label_names: tuple[str, ...]
    scores: np.ndarray | None
    sets: np.ndarray | None
    set_names: tuple[str, ...]
    groups: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> Said:
        """The same of some of the rows only."""
        names = ("labels", "scores", "sets", "groups")
        of_row = {n: v if v is None else v[rows] for n in names for v in (getattr(self, n),)}
        return replace(self, **of_row)


def choose(
    raw: Raw, wanted: tuple[str, ...], modality: str | None, notes: Findings
) -> dict[str, tuple[str, Any]]:  # fmt: skip
    """The column to embed with its modality, or the numeric columns together as one."""
    for name in wanted:
        if name not in raw.columns:
            raise UnknownName("column", name, raw.columns, where="--column")
    pool = {c: raw.columns[c] for c in (wanted or raw.columns)}
    sure = NAMED if wanted or (modality and len(pool) == 1) else SURE  # nothing else can be meant
    found = {c: kind for c, cells in pool.items() if (kind := _modality(cells, modality, sure))}
    if wanted and found and (rest := [c for c in wanted if c not in found]):
        raise DataError(f"the column {rest[0]!r} holds nothing that can be embedded ({', '.join(MODALITIES)}).")
    others = [c for c, kind in found.items() if kind != "text"]
    if not wanted and len(others) == 1 < len(found):
        notes.append(
            f"Text beside it: {', '.join(c for c in found if c not in others)}; --pair makes pairs of columns."
        )
        found = {c: found[c] for c in others}
    if found and not (len(found) > 1 and not wanted):
        notes.extend(f"Column: {c!r} ({k})." for c, k in found.items() if len(raw.columns) > 1)
        return {c: (k, pool[c]) for c, k in found.items()}
    if len(found) > 1:
        raise DataError(
            f"the columns {' and '.join(found)} can both be embedded.",
            hint="Say which with --column, or make pairs of them with --pair.",
        )
    numeric = [
        c
        for c, cells in pool.items()
        if isinstance(cells, np.ndarray) and cells.ndim == 1 and cells.dtype.kind in "iufb"
    ]
    if numeric and modality in (None, "vector"):
        if not wanted and len(numeric) > 1:
            notes.append(
                f"Columns: the {len(numeric)} numeric ones ({', '.join([*numeric[:6], *['…'] * (len(numeric) > 6)])})."
            )
        return {"vector": ("vector", np.stack([pool[c].astype(np.float64) for c in numeric], 1))}
    kinds = ", ".join(MODALITIES) if modality is None else modality
    held = {c: _held(cells) for c, cells in pool.items()}
    said = ", ".join(f"{c} ({what})" if what else c for c, what in held.items())
    words = [c for c, what in held.items() if what == WORDS]
    hint = f"`--column {words[0]}` takes its words as texts." if words else "Bring a column of texts, pictures or rows."
    raise DataError(
        f"none of the columns {said or '(none)'} holds what can be embedded ({kinds}).",
        hint=hint if modality is None else None,
    )


def _held(cells: Any) -> str:
    """What a column holds that is not embedded, in a word."""
    some = [c for i in _places(cells) if (c := _readable(cells, i)) is not None]
    if not some:
        return "nothing but empty cells"
    if isinstance(some[0], str):
        return WORDS if any(c.strip() for c in some if isinstance(c, str)) else "nothing but empty cells"
    return {list: "lists", dict: "objects"}.get(type(some[0]), "")


def _modality(cells: Any, only: str | None, least: float) -> str | None:
    if isinstance(cells, np.ndarray) and cells.ndim > 1:
        sample: Sequence[Any] = list(cells[:8])
    else:
        sample = [c for i in _places(cells) if (c := _readable(cells, i)) is not None]
    sure = {m: MODALITIES.get(m).recognise(sample) for m in ([only] if only else MODALITIES)}
    best = max(sure, key=lambda m: sure[m])
    return best if sure[best] >= least else None


def _places(cells: Sequence[Any]) -> list[int]:
    """Which cells to look at: from everywhere, but the first where others must be fetched from a file."""
    if len(cells) <= LOOKED_AT or blocks(cells) is not None or not isinstance(cells, list | Cells | Chain):
        return list(range(min(len(cells), LOOKED_AT)))
    return np.linspace(0, len(cells) - 1, LOOKED_AT).astype(int).tolist()


def _readable(cells: Sequence[Any], i: int) -> Any:
    try:
        return cells[i]
    except BadCell:
        return None


def limited(
    raw: Raw, splits: dict[str, np.ndarray], limit: int, seed: int
) -> tuple[Raw, dict[str, np.ndarray], np.ndarray]:
    """`limit` rows of every split, drawn by `seed`; the splits among them, and their numbers in `raw`."""
    generator = np.random.default_rng(seed)
    pools = splits or {"": np.arange(len(raw))}
    kept = {s: np.sort(generator.permutation(rows)[:limit]) for s, rows in pools.items()}
    rows = np.sort(np.concatenate(list(kept.values())))
    in_memory = {k for k, v in raw.columns.items() if isinstance(v, np.ndarray) and not isinstance(v, np.memmap)}
    columns = {k: v[rows] if k in in_memory else Picked(v, rows) for k, v in raw.columns.items()}
    names = [raw.names[int(i)] for i in rows]
    bad = {new: raw.bad[old] for new, old in enumerate(rows.tolist()) if old in raw.bad}
    smaller = Raw(columns, names, classes=raw.classes, files=raw.files, key=raw.key, bad=bad)
    new = {s: np.searchsorted(rows, r) for s, r in kept.items()} if splits else {}
    return smaller, new, rows


@dataclass(frozen=True)
class Picked(Sequence):
    """Some rows of a sequence."""

    cells: Sequence[Any]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.cells[int(self.rows[index])]

    def blocks(self) -> np.ndarray | None:
        """Pages of these rows."""
        found = blocks(self.cells)
        return None if found is None else found[self.rows]
