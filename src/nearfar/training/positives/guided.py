"""Rows stay alone, and others of the batch that a guide finds nearer than the row's own other side are no negatives."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.core.registry import METHODS
from nearfar.models import columns
from nearfar.training.positives import Context, Encode
from nearfar.training.positives.by_model import ByModel
from nearfar.vectors.basics import unit


def build(context: Context, argument: str) -> Guided:
    """The false negatives that a guide finds (GISTEmbed: Solatorio 2024, arXiv 2402.16829).

    Parameters
    ----------
    argument : str
        The model that guides, named as everywhere; empty for the encoder with the weights that training begins with.
    """
    method = context.config.model.method
    if METHODS.get(method).RECORD.takes != "pairs":
        able = [m for m in METHODS if METHODS.get(m).RECORD.takes == "pairs"]
        raise ConfigError(f"a guide is for pairs that have negatives, and {method} learns from none.",
                          where="model.positives", hint=f"These do: {', '.join(able)}.")  # fmt: skip
    if not argument:
        _check_start(context)
    return Guided(context, argument)


def _check_start(context: Context) -> None:
    """Raise where the weights that training begins with know nothing that could guide."""
    model = context.config.model
    plans = columns.plan(model, context.table.kinds)
    begun = model.init_from or all(c.pretrained for c in plans.values())
    if not begun or len({c.leader for c in plans.values()}) > 1:
        raise ConfigError(
            "the encoders that training begins with cannot compare the columns.", where="model.positives",
            hint="Name the guide: --positives guided:MODEL.",
        )  # fmt: skip


class Guided(ByModel):
    """The vectors of all sides of the training rows by the guide, found once: none of them changes."""

    changing: ClassVar = {"guide": np.float16}

    def __init__(self, context: Context, name: str) -> None:
        by = name or "the encoder as it is before training"
        super().__init__(context, name, f"Negatives: without what {by} finds nearer than a row's own other side.")

    def check_there(self) -> None:
        if self.name:
            super().check_there()

    def check(self) -> None:
        if self.name:
            model = self.model()
            for column in self.context.table.columns.values():
                self.column_of(model, column)

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        rows, table = self.context.rows, self.context.table
        model = self.model() if self.name else None
        sides = [
            encode(rows, name) if model is None else self.vectors(model, column, rows)
            for name, column in table.columns.items()
        ]
        vectors = np.hstack([unit(side) for side in sides])
        self.guide = np.zeros((len(table), vectors.shape[1]), np.float16)  # half the room in memory and checkpoints
        self.guide[rows] = vectors
        return {}
