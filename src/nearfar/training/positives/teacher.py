"""Rows that a trained model finds alike belong together: its clusters as pseudo-labels, or its nearest neighbours."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import ClassVar

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.randomness import derive
from nearfar.models import branches, columns
from nearfar.models.embedder import Embedder
from nearfar.training.positives import Context, Encode, own, whole
from nearfar.training.positives.by_model import ByModel
from nearfar.vectors.basics import unit
from nearfar.vectors.kmeans import kmeans
from nearfar.vectors.neighbours import nearest_others

CLUSTERS, NEIGHBOURS = 200, 5  # where the text does not say how many
LEAST_ROWS = 20  # per cluster, where the number is ours
WAYS = ("clusters", "neighbours")


def build(context: Context, argument: str) -> Taught:
    """What a teacher's features say, found once, before the first step.

    Parameters
    ----------
    argument : str
        ``MODEL``, ``MODEL:clusters``, ``MODEL:clusters:100``, ``MODEL:neighbours`` or ``MODEL:neighbours:10``. MODEL is
        the folder of a run, or an encoder that has pretrained weights, such as ``timm:resnet18``.
    """
    name, way, count = parse(argument)
    if way == "clusters":
        count = count or max(2, min(CLUSTERS, len(context.rows) // LEAST_ROWS))
        needed, about = count, f"{count} clusters of the features of {name}"
    else:
        count = count or min(NEIGHBOURS, len(context.rows) - 1)
        needed, about = count + 1, f"further views come from the {count} nearest rows by the features of {name}"
    if needed > len(context.rows):
        raise DataError(f"{len(context.rows):,} rows to train on are too few for {count:,} {way}.")
    return Taught(context, name, way, count, f"Positives: {about}, found once.")


def parse(argument: str) -> tuple[str, str, int]:
    """Model, ``clusters`` or ``neighbours``, and how many (0: not said)."""
    name, count = argument, 0
    head, _, last = argument.rpartition(":")
    if last.isdecimal() and head.rpartition(":")[2] in WAYS:
        name, count = head, whole(last, "the number after the last colon", 1)
    head, _, way = name.rpartition(":")
    name, way = (head, way) if way in WAYS else (name, WAYS[0])
    if not name:
        hint = "For example --positives teacher:runs/first:neighbours, or teacher:timm:resnet18."
        raise ConfigError("the teacher is not named.", where="model.positives", hint=hint)
    return name, way, count


class Taught(ByModel):
    """Groups or partners by a teacher's features.

    Neighbours are partners and not `Relation.positive_rows`, because two given rows of N are in one batch of B in a
    share B/N of the steps only: as the source of the second view (NNCLR: Dwibedi et al. 2021, arXiv 2104.14548, who
    take it from a queue) a neighbour takes part in every step.
    """

    changing: ClassVar = {"groups": np.int64, "partners": np.int64}

    def __init__(self, context: Context, name: str, way: str, count: int, note: str) -> None:
        super().__init__(context, name, note)
        self.way, self.count = way, count

    @property
    def _pretrained(self) -> bool:
        """Whether the teacher is an encoder, such as ``timm:resnet18``, and no folder."""
        return ":" in self.name and not os.path.exists(self.name)

    def check_there(self) -> None:
        if self._pretrained:
            columns.check(self.name, {}, "model.positives")
        else:
            super().check_there()

    def check(self) -> None:
        self.model()

    def model(self) -> Embedder:
        config, column = self.context.config, self.context.table.first
        if not self._pretrained:
            model = super().model()
            self.check_takes(model, next(iter(model.columns)), column)
            return model
        kinds = {column.name: (column.modality, column.spec)}
        given = replace(config.model, encoder=self.name, encoder_options={"pretrained": True})
        try:
            encoders = branches.encoders(columns.resolved(given, columns.plan(given, kinds))[1], config.train.seed)
            for encoder in encoders.values():
                encoder.fetch()
            made = branches.Branches.of(encoders, None)
        except ConfigError as e:
            raise ConfigError(e.message, where="model.positives", hint="A teacher needs weights to teach with.") from e
        return Embedder(config, kinds, made, name=self.name, device=config.train.device)

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        rows = self.context.rows
        x = unit(self.model().features(self.context.table.first, rows))
        if self.way == "clusters":
            self.groups = self.count + own(len(self.groups))  # what is not trained on keeps a group of its own
            self.groups[rows] = kmeans(x, self.count, seed=derive(self.context.config.train.seed, "teacher"))[1]
        else:
            self.partners = np.repeat(own(len(self.groups))[:, None], self.count, axis=1)
            self.partners[rows] = rows[nearest_others(x, self.count)]
        return {}
