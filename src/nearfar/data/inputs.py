"""Which columns are embedded, and as what: texts, pictures, rows of numbers, or many columns of single numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearfar.core.errors import BadCell, DataError, cell_or_error, nearest
from nearfar.core.registry import MODALITIES
from nearfar.data.columns import Findings, check
from nearfar.data.numeric import Numeric, names_of_rows, numeric
from nearfar.data.readers.raw import Cells, Chain, Raw, blocks

SURE = 0.5  # a modality that is less sure than this does not claim a column
NAMED = 0.1  # nor than this one that the user has named
WORDS = "single words"
EMPTY = "nothing but empty cells"
LOOKED_AT = 32  # cells of a column that a modality is shown
SHOWN = 8  # names of columns in a sentence
VECTOR = "vector"  # what columns of single numbers are called together, and their modality


@dataclass(frozen=True)
class Inputs:
    """What is to be embedded: columns as (modality, cells), and the names of those that became the rows of `VECTOR`."""

    columns: dict[str, tuple[str, Any]]
    features: tuple[str, ...] = ()


def choose(
    raw: Raw, wanted: tuple[str, ...], modality: str | None, notes: Findings, trained: Mapping[str, Any] | None = None,
    usual: str | None = None,
) -> Inputs:  # fmt: skip
    """The column to embed with its modality, or the columns of single numbers together as one.

    `wanted` are the columns that the user named, `modality` is the only one that is expected. `trained` is the spec of
    the model that the rows are for: its columns of numbers are found by their names. `usual` is what its column was
    called: taken where the data have it and nothing else is named.
    """
    for name in wanted:
        check(raw, name, "--column")
    said = {} if modality else raw.kinds
    if not wanted and modality != VECTOR and usual in raw.columns and modality_of(raw.columns[usual], modality, NAMED):
        wanted = (usual,)
    names = (trained or {}).get("names", ())
    if any(n in raw.columns and getattr(raw.columns[n], "ndim", 1) < 2 for n in names):
        return _matched(raw, wanted, names, (trained or {}).get("beside", ()), notes)
    pool = {c: raw.columns[c] for c in (wanted or [c for c in raw.columns if c not in raw.index])}
    numbers = _numbers(pool) if modality in (None, VECTOR) and wanted else {}
    others = {c: cells for c, cells in pool.items() if not isinstance(numbers.get(c), Numeric)}
    kinds = _recognised(others, numbers, wanted, modality, notes, said)
    if kinds:
        if names:
            notes.warn(f"The rows have no names of columns; they are taken in the model's order: {_listed(names)}.")
        if not wanted and modality != VECTOR and usual in raw.columns and usual not in kinds:
            notes.warn(f"The column {usual!r}, as in the training, holds {_held(raw.columns[usual])}; "
                       f"{' and '.join(kinds)} is read in its place.")  # fmt: skip
        return Inputs({c: (kind, pool[c]) for c, kind in kinds.items()})
    numbers = _numbers(pool) if modality in (None, VECTOR) else {}
    if names:
        raise _missing(names, list(raw.columns))
    if any(isinstance(f, Numeric) for f in numbers.values()):
        kept = _together(raw, pool, numbers, bool(wanted), notes)
        if trained is not None:
            notes.warn(f"The model keeps no names of columns; these are taken in their order: {_listed(kept)}.")
        return Inputs({VECTOR: (VECTOR, _stacked(kept))}, tuple(kept))
    held = {c: numbers.get(c) or _held(cells) for c, cells in pool.items()}
    said = ", ".join(f"{c} ({what})" if what else c for c, what in held.items())
    words = [c for c, what in held.items() if what == WORDS]
    hint = f"`--column {words[0]}` takes its words as texts." if words else "Bring a column of texts, pictures or rows."
    raise DataError(
        f"none of the columns {said or '(none)'} holds what can be embedded ({modality or ', '.join(MODALITIES)}).",
        hint=hint if modality is None else None,
    )


def _recognised(
    pool: Mapping[str, Any], numbers: Mapping[str, Any], wanted: tuple[str, ...], modality: str | None, notes: Findings,
    said: Mapping[str, str],
) -> dict[str, str]:  # fmt: skip
    """The columns that a modality claims, one unless they were named; an empty dict where none is.

    Of a column whose modality is `said` none is asked.
    """
    least = NAMED if wanted or (modality and len(pool) == 1) else SURE  # nothing else can be meant
    sure = {c: SURE if c in numbers else least for c in pool}  # what looks like numbers is no text of single words
    kinds = {c: kind for c, cells in pool.items() if (kind := said.get(c) or modality_of(cells, modality, sure[c]))}
    if wanted:
        if kinds and (rest := [c for c in wanted if c not in kinds]):
            held = _held(pool[rest[0]]) if rest[0] in pool else "single numbers"
            raise DataError(f"the column {rest[0]!r} holds nothing that can be embedded ({', '.join(MODALITIES)}) "
                            f"beside another: {held}.", where="--column")  # fmt: skip
        return kinds
    if modality is None:  # "1 234" is no text of two words
        kinds = {c: k for c, k in kinds.items() if k != "text" or not isinstance(numeric(pool[c]), Numeric)}
    others = [c for c, kind in kinds.items() if kind != "text"]
    if len(others) == 1 < len(kinds):
        texts = ", ".join(c for c in kinds if c not in others)
        notes.append(f"Text beside it: {texts}; --pair makes pairs of columns.")
        kinds = {c: kinds[c] for c in others}
    if len(kinds) > 1:
        raise DataError(
            f"the columns {' and '.join(kinds)} can both be embedded.",
            hint="Choose one with --column, or make pairs of them with --pair.",
        )
    if kinds and len(pool) > 1:
        notes.extend(f"Column: {c!r} ({k})." for c, k in kinds.items())
        notes.append(f"Left out: {_listed([c for c in pool if c not in kinds])}.")
    return kinds


# --- columns of single numbers ------------------------------------------------------------------------------------


def _numbers(pool: Mapping[str, Any]) -> dict[str, Numeric | str]:
    """The columns that hold numbers, or seem to with the reason why they do not; commas mean the same in all."""
    columns = {c: f for c, cells in pool.items() if (f := numeric(cells)) is not None}
    if not any(isinstance(f, Numeric) and f.commas for f in columns.values()):
        return columns
    return {c: numeric(pool[c], commas=True) if isinstance(f, str) else f for c, f in columns.items()}  # type: ignore[misc]


def _together(
    raw: Raw, pool: Mapping[str, Any], numbers: dict[str, Numeric | str], wanted: bool, notes: Findings
) -> dict[str, Numeric]:
    """All columns of numbers as one; what is left out is said with the reason."""
    out = {c: f if isinstance(f := numbers.get(c), str) else _held(cells) for c, cells in pool.items()
           if not isinstance(numbers.get(c), Numeric)}  # fmt: skip
    kept = {c: f for c, f in numbers.items() if isinstance(f, Numeric)}
    if wanted and out:
        name, why = next(iter(out.items()))
        raise DataError(f"the column {name!r} {_with_verb(why)}.", where="--column")
    if not wanted:
        out |= dict.fromkeys(raw.index, "is the index of the table")
        places = {c: i for i, c in enumerate(raw.columns)}
        ids = [c for c, f in kept.items() if names_of_rows(c, places[c], f)]
        out |= dict.fromkeys(ids, "numbers the rows")
        kept = {c: f for c, f in kept.items() if c not in ids}
    some = [f"{repr(c) if c else 'the column without a name'} ({why})" for c, why in list(out.items())[:SHOWN]]
    reasons = ", ".join(some) + (f" and {len(out) - SHOWN:,} more" if len(out) > SHOWN else "")
    if not kept:
        raise DataError(f"there is nothing to embed: {reasons}.", hint="--column takes a column all the same.")
    if out:
        notes.warn(f"Left out: {reasons}. --column, once for each column, takes those that are named.")
    _say_read(kept, notes)
    if not wanted and len(kept) > 1:
        notes.append(f"Columns: the {len(kept)} numeric ones ({_listed(kept)}).")
    return kept


def _matched(raw: Raw, wanted: tuple[str, ...], names: Sequence[str], beside: Sequence[str], notes: Findings) -> Inputs:
    """The columns that a model was trained on, by their names and in its order."""
    if missing := [n for n in names if n not in raw.columns]:
        raise _missing(missing, [c for c in raw.columns if c not in names])
    if other := [c for c in wanted if c not in names and c != VECTOR]:
        raise DataError(f"the model was not trained on the column {other[0]!r}.", where="--column",
                        hint=f"It takes {_listed(names)}.")  # fmt: skip
    columns = _numbers({n: raw.columns[n] for n in names})
    kept = {}
    for name in names:
        numbers = columns.get(name)
        if numbers is None and _held(raw.columns[name]) == EMPTY:
            numbers = Numeric(np.full(len(raw), np.nan))
        if not isinstance(numbers, Numeric):
            raise DataError(f"the column {name!r} {_with_verb(numbers or _held(raw.columns[name]))}, and the model "
                            "takes numbers there.")  # fmt: skip
        kept[name] = numbers
    if extra := [c for c in raw.columns if c not in kept and c not in beside and c not in raw.index]:
        notes.warn(f"Left out: {_listed(extra)}; the model was not trained on {'it' if len(extra) == 1 else 'them'}.")
    _say_read(kept, notes)
    return Inputs({VECTOR: (VECTOR, _stacked(kept))})


def _missing(names: Sequence[str], there: Sequence[str]) -> DataError:
    near = nearest(names[0], there)
    hint = f"Is it {' or '.join(repr(n) for n in near)}? Then rename it." if near else f"There are: {_listed(there)}."
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return DataError(f"there is no column {names[0]!r}{more}, which the model was trained on.", hint=hint)


def _stacked(kept: Mapping[str, Numeric]) -> np.ndarray:
    values = np.stack([f.values for f in kept.values()], 1)
    return np.where(np.isinf(values), np.nan, values)


def _say_read(kept: Mapping[str, Numeric], notes: Findings) -> None:
    """How cells were read that are not plainly numbers."""
    if commas := [c for c, f in kept.items() if f.commas]:
        notes.append(f"Decimal commas: in {_listed(commas)}.")
    for name, f in kept.items():
        if f.marks:
            marks = ", ".join(f"{m!r} ({n:,})" for m, n in f.marks.items())
            notes.warn(f"Missing: {marks} in the column {name!r} count as missing numbers, which become its mean.")
        if infinite := int(np.isinf(f.values).sum()):
            notes.warn(f"Missing: {infinite:,} infinite numbers of the column {name!r} count as missing ones.")
        if f.rounded:
            notes.warn(f"Rounded: {f.rounded:,} whole numbers of the column {name!r} are beyond 2⁵³, where neighbours "
                       "are not told apart.")  # fmt: skip
    if bad := {c: int(np.isnan(f.values).sum()) for c, f in kept.items() if np.isnan(f.values).any()}:
        notes.append(f"Missing numbers, which become the mean: {_listed([f'{c} ({n:,})' for c, n in bad.items()])}.")


# --- what to say ---------------------------------------------------------------------------------------------------


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    names = list(names)
    return ", ".join([*names[:SHOWN], *([f"… ({len(names):,} in all)"] if len(names) > SHOWN else [])])


def _with_verb(why: str) -> str:
    """``single words`` → ``holds single words``; a reason that is a sentence already stays."""
    return why if why.startswith(("has ", "is ", "numbers ")) else f"holds {why}"


def _held(cells: Any) -> str:
    """What a column holds that is not embedded, in a word."""
    some = _sample(cells)
    if not some:
        return EMPTY
    if isinstance(some[0], str):
        return WORDS if any(c.strip() for c in some if isinstance(c, str)) else EMPTY
    if isinstance(some[0], int | float | np.number):
        return "single numbers"
    if hasattr(some[0], "isoformat"):
        return "dates or times"
    return {list: "lists", dict: "objects", bytes: "bytes"}.get(type(some[0]), type(some[0]).__name__)


def modality_of(cells: Any, only: str | None, least: float) -> str | None:
    """The modality that is most sure of cells, of all or of the `only` one; None where that is less than `least`."""
    if isinstance(cells, np.ndarray) and cells.ndim > 1:
        sample: Sequence[Any] = list(cells[:8])
    else:
        sample = _sample(cells)
    sure = {m: MODALITIES.get(m).recognise(sample) for m in ([only] if only else MODALITIES)}
    best = max(sure, key=lambda m: sure[m])
    return best if sure[best] >= least else None


def _sample(cells: Sequence[Any]) -> list[Any]:
    """Cells from everywhere, but the first where others must be fetched from a file; missing ones are left out."""
    if len(cells) <= LOOKED_AT or blocks(cells) is not None or not isinstance(cells, list | Cells | Chain):
        places = list(range(min(len(cells), LOOKED_AT)))
    else:
        places = np.linspace(0, len(cells) - 1, LOOKED_AT).astype(int).tolist()
    return [c for i in places if not isinstance(c := cell_or_error(cells, i), BadCell) and c is not None]
