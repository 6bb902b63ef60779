"""Who belongs together: one file a kind.

``--positives clusters:200`` calls ``build(context, "200", **options)`` of ``clusters.py`` with the options of
``model.positives_options`` and gets a `Positives`. A further kind is a further file that defines ``build``. Every
``build`` raises a `ConfigError` where the argument or an option is not as described, and a `DataError` where the data
do not have what the kind needs.

The training loop asks `Positives.due` before every step and has process 0 `refresh` what is due; it knows no kinds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from nearfar.core import values
from nearfar.core.config import Config
from nearfar.core.errors import ConfigError, RunError, UnknownName
from nearfar.core.registry import POSITIVES
from nearfar.data.table import Table

# Row numbers (M,), and a column's name (the first, if none is given) → features (M, D) of its encoder as it is now.
Encode = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Context:
    """What a kind of positives is built from."""

    config: Config  # nothing in it is "auto", except ``model.positives``
    table: Table
    rows: np.ndarray  # int64 (N_train,): rows that are trained on
    heldout: np.ndarray  # int64 (N_heldout,): rows that are watched while training; of others nothing is ever asked
    labels: np.ndarray | None  # int64 (N_table,): class, -1 where there is none and on rows that are not trained on
    steps_per_epoch: int


class Positives:
    """Who belongs together; these never change.

    Parameters
    ----------
    groups : ndarray of int64 (N_table,)
        Rows of equal group are positives of each other; not negative.
    note : str
        What to say about them before training.
    doubt : str
        What may surprise about them, which is a warning.

    Attributes
    ----------
    partners : ndarray of int64 (N_table, K) or None
        Rows that the second and further views of a row are taken from, one drawn again for each view; None where all
        views are the row's own.
    negatives : ndarray of int64 (N_table, K) or None
        Rows whose cell of the last column is a hard negative of a row.
    targets : ndarray of float32 (N_table, D) or None
        What the embedding of a row is to become, 0 in rows that are neither trained on nor watched.
    guide : ndarray of float16 (N_table, S·D) or None
        Unit vectors of the S sides of every row by another model, one after the other: see `Relation.guide`.
    changing : mapping of str to type
        The attributes, arrays of these types or None, that are found while training. A checkpoint keeps them.
    """

    changing: ClassVar[Mapping[str, type]] = {}

    def __init__(self, groups: np.ndarray, note: str = "", doubt: str = "") -> None:
        self.groups, self.note, self.doubt = groups, note, doubt
        self.partners: np.ndarray | None = None
        self.negatives: np.ndarray | None = None
        self.targets: np.ndarray | None = None
        self.guide: np.ndarray | None = None

    @property
    def changes(self) -> bool:
        """Whether something is found while training."""
        return bool(self.changing)

    @property
    def mines(self) -> bool:
        """Whether hard negatives are found while training."""
        return "negatives" in self.changing

    def check(self) -> None:
        """Raise what the first `refresh` would, as far as that can be known without it."""

    def due(self, step: int) -> bool:
        """Whether to `refresh` before `step`: a formula of it, so a resumed run refreshes where the whole one did."""
        return False

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        """Find what changes, on process 0 only; gives numbers for the next line of metrics.

        What is drawn must be a formula of the seed and `step`.
        """
        return {}

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors that a checkpoint keeps and other processes get; always of the same names, types and axes."""
        arrays = {name: getattr(self, name) for name in self.changing}
        empty = {name: np.zeros((0, 0), kind) for name, kind in self.changing.items()}  # not found yet
        return {name: torch.from_numpy(empty[name] if x is None else x) for name, x in arrays.items()}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """The inverse of `state`."""
        for name in self.changing:
            array = tensors[name].numpy()
            setattr(self, name, array if len(array) else None)

    def go_on(self, tensors: dict[str, torch.Tensor], where: str) -> None:
        """Take what a checkpoint kept, if anything; raises a `RunError` where it names rows that there are not."""
        if not tensors:
            return
        self.restore(tensors)
        rows = len(self.groups)
        if self.guide is not None and len(self.guide) != rows:
            raise RunError(f"positives/guide has {len(self.guide):,} rows instead of {rows:,}.", where=where,
                           hint="The file was changed; train again.")  # fmt: skip
        for what, end in {"groups": np.inf, "partners": rows, "negatives": rows}.items():
            array = getattr(self, what)
            if array is not None and array.size and not (array.min() >= 0 and array.max() < end):
                raise RunError(
                    f"positives/{what} has numbers from {array.min()} to {array.max()}, and there are {rows:,} rows.",
                    where=where, hint="The file was changed; train again.",
                )  # fmt: skip


def own(rows: int) -> np.ndarray:
    """Every row a group of its own, int64 (N,)."""
    return np.arange(rows, dtype=np.int64)


def build(text: str, context: Context) -> Positives:
    """The positives that ``kind:argument`` and ``model.positives_options`` describe; raises as their kind does."""
    module, argument = POSITIVES.find(text, "model.positives")
    options = context.config.model.positives_options
    known = list(inspect.signature(module.build).parameters)[2:]
    for name in options:
        if name not in known:
            raise UnknownName("option of these positives", name, known, where="model.positives_options")
    return module.build(context, argument, **values.options(module.build, options, "model.positives_options"))


def nothing(argument: str, kind: str) -> None:
    """Raise a `ConfigError` where a kind that takes no argument got one."""
    if argument:
        said = f"{kind!r} takes no argument, and was given {argument!r}."
        raise ConfigError(said, where="model.positives", hint=f"Pass {kind} alone.")


def whole(value: Any, name: str, low: int) -> int:
    """An argument or option as a whole number of at least `low`; see `nearfar.core.values.whole`."""
    return values.whole(value, name, low, "model.positives")
