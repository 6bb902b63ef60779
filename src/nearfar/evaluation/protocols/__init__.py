"""Honest measurement: fixed protocols, one file each, with floors beside every figure.

A protocol's file says what it ``TAKES`` and how it is to ``measure`` that:

================  ============================================  ==================================================
``TAKES``         ``measure``                                   is handed
================  ============================================  ==================================================
"labels"          ``measure(train, test, *, seed) -> dict``     two `Features`
"named labels"    the same                                      with ``prompts``, the vectors of the classes' names
"pairs"           ``measure(sides, *, seed) -> dict``           `Sides`
"scored pairs"    the same                                      with ``score``
"labelled pairs"  the same                                      with ``label``
"histories"       ``measure(ranked, *, seed) -> dict``          `Ranked`
"streams"         ``measure(stream, *, seed) -> dict``          `Streams`
================  ============================================  ==================================================

A file without ``TAKES`` takes labels. ``FITS`` says whether something is fitted on `train`, for which rows have to be
held out; a protocol that fits nothing is scored on all rows that no model was trained on, or on the test split. By
default it is true of what takes labels. ``left_out(labels) -> str``, where there is one, is a sentence about figures
that these training rows have too few for, or an empty text.

The printed table and the report show the ``HEADLINE`` of what is given ("accuracy" where the file does not say) under
its ``TITLE``, with ``interval`` beside it, two numbers; of what is given in dicts by column or direction, one for each.
Where no figure has that name, all of them are shown. A file that wants something else has ``figures(result)``, which
gives a `Figure` for each column of the table. ``PLACE`` orders these (accuracies of what is fitted stand first, since
the majority class is shown under the first); a file without it comes last.

Probes and galleries are fitted on `train`, thresholds chosen on development pairs; test rows are scored once and never
chosen on; every setting stands beside its figure. `seed` decides all that is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nearfar.core.errors import DataError
from nearfar.core.registry import PROTOCOLS
from nearfar.data.histories import Histories
from nearfar.vectors.basics import check_finite, scaled, standardised, unit

DECIMALS = 6  # of a cosine: what follows is rounding of the vectors' 32 bits, so that equal pairs stay equal


@dataclass(frozen=True)
class Features:
    """Labelled vectors.

    Parameters
    ----------
    x : ndarray of float32 (N, D)
        Not normalised.
    y : ndarray of int64 (N,)
        Classes; no −1.
    classes : int
        How many there are.
    prompts : ndarray of float32 (classes, D), optional
        Unit vectors of the classes' names, where the model reads them.
    about : mapping, optional
        How those were made (JSON values).
    groups : ndarray of int64 (N,), optional
        Rows of equal number are never held out from each other, see `nearfar.data.groups.together`.
    directions : bool
        Vectors are compared by their directions, as those of other libraries' models are: a regression sees them at
        unit length and with one scale for all dimensions. A deviation of each dimension's own, from few rows, would
        make as much of those that hold little.

    Raises
    ------
    DataError
        Vectors are not finite.
    """

    x: np.ndarray
    y: np.ndarray
    classes: int
    prompts: np.ndarray | None = None
    about: Mapping[str, Any] | None = None
    groups: np.ndarray | None = None
    directions: bool = False

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"x: expected {len(self.y)} rows, got {len(self.x)}")
        if not np.isfinite(self.x).all():
            raise DataError("the vectors hold numbers that are not finite: the model is broken, or its input is.")

    def standardised(self, rows: np.ndarray | slice, *others: np.ndarray) -> list[np.ndarray]:
        """What a regression sees of some of the rows, and of other vectors: by the mean and scale of these rows."""
        return scaled(*map(unit, (self.x[rows], *others))) if self.directions else standardised(self.x[rows], *others)

    @property
    def form(self) -> str:
        """What `standardised` does, in words."""
        return "unit length, centred, one scale for all dimensions" if self.directions else "unnormalised, standardised"


@dataclass(frozen=True)
class Sides:
    """The two sides of rows that belong together.

    Parameters
    ----------
    left, right : ndarray of float32 (N, D)
        Not normalised.
    left_id, right_id : ndarray of int64 (N,)
        Equal content has equal numbers.
    names : tuple of str
        Of the two columns.
    score : ndarray of float (N,), optional
        How alike the sides are, in any unit.
    label : ndarray of int64 (N,), optional
        Whether the two sides belong together (1) or not (0), or −1 where nothing is said.
    positive : str
        The label that says that they do.

    Raises
    ------
    DataError
        There are no rows, vectors or scores are not finite, or a label is none of 1, 0 and −1.
    ValueError
        Lengths or widths differ.
    """

    left: np.ndarray
    right: np.ndarray
    left_id: np.ndarray
    right_id: np.ndarray
    names: tuple[str, str]
    score: np.ndarray | None = None
    label: np.ndarray | None = None
    positive: str = "1"

    def __post_init__(self) -> None:
        if self.left.ndim != 2 or self.left.shape != self.right.shape:
            raise ValueError(f"right: expected the shape of left, {self.left.shape}, got {self.right.shape}")
        for name in ("left_id", "right_id", "score", "label"):
            values = getattr(self, name)
            if values is not None and values.shape != (len(self.left),):
                raise ValueError(f"{name}: expected shape {(len(self.left),)}, got {values.shape}")
        if len(self.left) == 0:
            raise DataError("there are no pairs to measure on.")
        check_finite(self.left, self.names[0])
        check_finite(self.right, self.names[1])
        if self.score is not None and not np.isfinite(self.score).all():
            raise DataError("some scores are not finite numbers.")
        if self.label is not None and not np.isin(self.label, (-1, 0, 1)).all():
            raise DataError("a pair's label is 1 (the sides belong together) or 0, or -1 where nothing is said.")

    def cosines(self) -> np.ndarray:
        """Cosine of the two sides of each row, to six decimals, float64 (N,)."""
        left, right = unit(self.left.astype(np.float64)), unit(self.right.astype(np.float64))
        return np.einsum("nd,nd->n", left, right).round(DECIMALS)


@dataclass(frozen=True)
class Ranked:
    """Users whose items are to be ranked, and which of them are right.

    Parameters
    ----------
    known : Histories
        What the users took before: goes in, and is left out of the ranking.
    held : Histories
        What the same users took afterwards, of the same items: the right answers.
    taken : ndarray of int64 (I,)
        How many users took each item in training.
    scores : callable
        From histories of B users to float32 (B, I): more is better, minus infinity cannot be recommended.

    Raises
    ------
    DataError
        No user has a right answer.
    """

    known: Histories
    held: Histories
    taken: np.ndarray
    scores: Callable[[Histories], np.ndarray]

    def __post_init__(self) -> None:
        if len(self.held.indices) == 0:
            raise DataError("there is no interaction to measure on.", hint="Leave some out of training, with "
                            "--set data.leave_out=last, or bring later ones with --on.")  # fmt: skip


@dataclass(frozen=True)
class Streams:
    """Windows of long recordings with one score each, and labels of the steps.

    Parameters
    ----------
    scores : ndarray of float64 (N,)
        More is more unusual, or more of a change at a window's first step; NaN where nothing is said.
    owner, start, stop : ndarray of int64 (N,)
        Recording of each window, its first step and the one behind its last.
    labels : sequence of ndarray of int64 (T,)
        Of each recording's steps: 1 for an anomaly and 0 for none, or of changes any class; −1 where nothing is said.
    what : str
        "anomalies" or "changes".
    """

    scores: np.ndarray
    owner: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    labels: Sequence[np.ndarray]
    what: str = "anomalies"


class Figure(NamedTuple):
    """A figure of a result: a column of the table. Over seeds, numbers are mappings with ``n``, ``mean`` and ``sd``."""

    name: str
    value: Any
    about: str = ""  # its settings, in brackets after the name
    beside: str = ""  # what stands beside the value where there is no interval
    interval: Sequence[float] | None = None
    draws: Sequence[float] | None = None  # of which the value is the mean
    chance: Any = None
    digits: int = 3
    compared: bool = True  # with floors: more of it is better
    majority: bool = False  # a class that is always predicted is a floor of it


def takes(protocol: str) -> str:
    """What a protocol measures on."""
    return getattr(PROTOCOLS.get(protocol), "TAKES", "labels")


def fits(protocol: str) -> bool:
    """Whether a protocol fits something, for which rows have to be held out."""
    return getattr(PROTOCOLS.get(protocol), "FITS", takes(protocol) == "labels")


def shown(value: Any, digits: int = 3) -> str:
    """A number for people; over seeds the mean and the standard deviation. What is not finite is null in JSON."""
    if isinstance(value, Mapping):
        return f"{value['mean']:.{digits}f} ± {value['sd']:.{digits}f}"
    return "–" if value is None else value if isinstance(value, str) else f"{value:.{digits}f}"


def number(value: Any) -> float | None:
    """A number, or the mean of one over seeds; None for what is neither, or not finite."""
    value = value.get("mean") if isinstance(value, Mapping) else value
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def is_figure(value: Any) -> bool:
    """Whether it is a number, or its mean over seeds."""
    if isinstance(value, Mapping):
        return value.keys() == {"n", "mean", "sd"}
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
