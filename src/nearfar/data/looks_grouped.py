"""Whether names or columns look as if rows belonged together, such as the frames of one clip, though nobody said so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearfar.core.errors import BadCell
from nearfar.data.groups import TABLE, cut, found_in, names, numbered
from nearfar.data.readers.raw import Raw

LOOKED_AT, BLOCK = 20_000, 500  # names at most, in blocks of neighbours
MATCHED = 0.8  # share of the names that must be of such a form
PURE = 0.9  # share of a group's rows that must be of one class
FEWEST = 5  # groups, where there are no classes to tell by
GAPS = 1.5  # numbers from the first to the last of a group, for each row
LARGEST = 0.05  # share of the rows that such a group has at most then

WHO = ("patient", "subject", "subj", "sub", "participant", "person", "speaker", "driver", "animal", "session")
WHAT = ("clip", "video", "track", "scene", "document", "doc", "author", "user", "site", "group")
COLUMN = rf"({'|'.join(WHO + WHAT)})([ _-]?(id|no|nr|number|name))?"


@dataclass(frozen=True)
class Form:
    """A way in which names tell what belongs together."""

    pattern: str  # for --group-from
    several: float = 0.8  # share of the rows that must not be alone in their group
    who: bool = False  # it names somebody, whose rows may be of several classes
    # The second parentheses hold a number; there must be classes, and each group must be numbered through.
    counted: bool = False


FORMS = (
    *(Form(rf"(?<![a-zA-Z])((?i:{w})[-_ ]?[0-9]+)", who=True) for w in WHO),  # patient07-slice3.png
    Form(r"([^/:]+?)([_-](aug|crop|copy|flip|rot|mirror|orig)[^/.]*)?([.]\w+)?$", several=0.5),  # 12.png, 12_aug1.png
    Form(r"([^/:]*[0-9][^/:]*)[_-][a-zA-Z]*[0-9]+([.]\w+)?$"),  # 00017_00003.png, clip7-frame12.png
    Form(r"([^/:]*[0-9])[_-][a-zA-Z]+([.]\w+)?$"),  # 10_left.png, 10_right.png
    Form(r"([^/:]*[0-9][^/:]*)/[^/]*[0-9]+([.]\w+)?$"),  # clip7/frame12.png
    Form(r"([^/:]+)[_-]([0-9]+)([.]\w+)?$", counted=True),  # anna-01.wav
)


def hint(
    raw: Raw, labels: np.ndarray | None, splits: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
) -> tuple[str, bool] | None:
    """A sentence with the option to type, and whether such groups lie in several splits; None where nothing looks so.

    Of `raw` the columns of labels and scores were taken; those that are embedded are `wanted`.
    """
    for name, cells in raw.columns.items():
        if name not in wanted and re.fullmatch(COLUMN, name, re.IGNORECASE) and (said := _values(cells)):
            groups = numbered(said)
            if _plausible(groups, labels, Form("", several=0.5, who=True)):
                return _sentence(f"The column {name!r} looks", groups, f"--group {name}"), bool(cut(groups, splits))
    called = names(raw, wanted)
    if TABLE.search(called[0]):
        return None  # rows of a file, which have no names
    rows = np.arange(len(called))
    if len(rows) > LOOKED_AT:  # blocks from everywhere
        starts = np.linspace(0, len(called) - BLOCK, LOOKED_AT // BLOCK).astype(np.int64)
        rows = np.unique((starts[:, None] + np.arange(BLOCK)).reshape(-1))
    some = [called[i] for i in rows]
    for form in FORMS:
        for pattern in (form.pattern,) if form.who else (form.pattern, rf"([^/]+/{form.pattern[1:]}"):
            groups = numbered(found_in(some, pattern))
            if _plausible(groups, None if labels is None else labels[rows], form) and not (
                form.counted and (labels is None or not _numbered_through(some, pattern, groups))
            ):
                crossing = bool(splits) and bool(cut(numbered(found_in(called, pattern)), splits))
                number, counts = np.unique(groups[groups >= 0], return_counts=True)
                both = np.flatnonzero(groups == number[counts > 1][0])[:2]  # two names of one group
                subject = f"Names such as {' and '.join(some[i] for i in both)} look"
                return _sentence(subject, groups, f"--group-from '{pattern}'"), crossing
    return None


def _sentence(subject: str, groups: np.ndarray, option: str) -> str:
    named = groups[groups >= 0]
    return (
        f"{subject} as if rows belonged together ({len(np.unique(named)):,} groups among {len(groups):,} rows). "
        f"If they do, figures on held-out rows are too good: pass {option} to hold out whole groups."
    )


def _values(cells: object) -> list[str | None]:
    """The cells of a column as words; none where they are something else."""
    if isinstance(cells, np.ndarray) and cells.ndim > 1:
        return []
    try:
        words = [None if c is None or c == "" or c != c else c for c in cells]  # type: ignore[attr-defined]
    except BadCell:  # of archives
        return []
    kinds = str | int | float | np.integer | np.floating | None
    return [None if c is None else str(c) for c in words] if all(isinstance(c, kinds) for c in words) else []


def _numbered_through(called: Sequence[str], pattern: str, groups: np.ndarray) -> bool:
    """Whether most rows are of groups whose numbers have few gaps."""
    some = np.flatnonzero(groups >= 0)
    value = [int(re.search(pattern, called[i])[2]) for i in some]  # type: ignore[index]
    _, number, counts = np.unique(groups[some], return_inverse=True, return_counts=True)
    low, high = np.full(len(counts), np.iinfo(np.int64).max), np.zeros(len(counts), np.int64)
    np.minimum.at(low, number, value)
    np.maximum.at(high, number, value)
    return bool(counts[high - low + 1 <= GAPS * counts].sum() > len(some) / 2)


def _plausible(groups: np.ndarray, labels: np.ndarray | None, form: Form) -> bool:
    """Whether groups (−1 − i for a row without one) are several rows each, and neither the classes nor random."""
    named = groups >= 0
    _, number, counts = np.unique(groups[named], return_inverse=True, return_counts=True)
    rows, count = len(number), len(counts)
    if rows < MATCHED * len(groups) or not 2 <= count <= rows / 2 or counts[counts > 1].sum() < form.several * rows:
        return False
    y = None if labels is None else labels[named]
    if y is None or (y >= 0).sum() < rows / 2:
        return count >= FEWEST and (form.who or np.median(counts) <= max(LARGEST * rows, 2))
    number, y = number[y >= 0], y[y >= 0]
    pairs, size = np.unique(np.stack([number, y]), axis=1, return_counts=True)
    most = np.zeros(count)
    np.maximum.at(most, pairs[0], size)
    pure = most.sum() / len(y) >= PURE
    return (form.who or pure) and not (pure and count < 1.5 * len(np.unique(y)))
