"""What a trained model says of the rows: its clusters as pseudo-labels, its nearest neighbours, or its vectors."""

from __future__ import annotations

import os
from typing import ClassVar

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.randomness import derive
from nearfar.core.registry import METHODS
from nearfar.models import columns, pretrained
from nearfar.models.loading import load, pretrained_word
from nearfar.models.model import Model
from nearfar.training.positives import Context, Encode, own, whole
from nearfar.training.positives.by_model import ByModel
from nearfar.vectors.basics import unit
from nearfar.vectors.kmeans import kmeans
from nearfar.vectors.neighbours import nearest_others

CLUSTERS, NEIGHBOURS = 200, 5  # where the text does not say how many
LEAST_ROWS = 20  # per cluster, where the number is ours
TOGETHER = 1024  # rows that are read for the teacher at once
COUNTED = ("clusters", "neighbours")
VECTORS = "vectors"
WAYS = (*COUNTED, VECTORS)


def build(context: Context, argument: str) -> ByTeacher:
    """What a teacher's features say, found once, before the first step.

    Parameters
    ----------
    argument : str
        ``MODEL``, ``MODEL:clusters``, ``MODEL:clusters:100``, ``MODEL:neighbours``, ``MODEL:neighbours:10`` or
        ``MODEL:vectors``. MODEL is the folder of a run, or a pretrained model, such as ``st:FOLDER``. Without a way
        it is clusters, and vectors for a method that learns from these.
    """
    name, way, count = parse(argument)
    if not way:
        way = VECTORS if METHODS.get(context.config.model.method).RECORD.positives == "teacher" else COUNTED[0]
    if way == VECTORS:
        return Vectors(context, name)
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
    """Model, way ("": not said), and how many (0: not said)."""
    name, count = argument, 0
    head, _, last = argument.rpartition(":")
    if last.isdecimal() and head.rpartition(":")[2] in COUNTED:
        name, count = head, whole(last, "the number after the last colon", 1)
    head, _, way = name.rpartition(":")
    name, way = (head, way) if way in WAYS else (name, "")
    if not name:
        hint = "For example --positives teacher:runs/first:neighbours, or teacher:st:FOLDER."
        raise ConfigError("the teacher is not named.", where="model.positives", hint=hint)
    return name, way, count


class ByTeacher(ByModel):
    """What the features of a run, or of a pretrained model, say of the rows of the first column."""

    def check_there(self) -> None:
        if (word := pretrained_word(self.name)) is not None:
            pretrained.offer(word)
        else:
            if ":" in self.name and not os.path.exists(self.name):
                columns.check(self.name, {}, "model.positives")  # a kind of models that is mistyped
            super().check_there()

    def check(self) -> None:
        self.model()

    def model(self) -> Model:
        column, model = self.context.table.first, load(self.name, self.context.config.train.device)
        name = model.own_column(column)
        # Cells are read as the teacher wants them.
        if column.cells is None or model.columns[name][0] != column.modality:
            self.check_takes(model, name, column)
        return model

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Unit vectors of rows of the table, float32 (len(rows), D)."""
        model, column = self.model(), self.context.table.first
        parts = [model.features(column, rows[i : i + TOGETHER], model.keeps) for i in range(0, len(rows), TOGETHER)]
        return unit(np.concatenate(parts))


class Taught(ByTeacher):
    """Groups or partners by a teacher's features.

    Neighbours are partners and not `Relation.positive_rows`, because two given rows of N are in one batch of B in a
    share B/N of the steps only: as the source of the second view (NNCLR: Dwibedi et al. 2021, arXiv 2104.14548, who
    take it from a queue) a neighbour takes part in every step.
    """

    changing: ClassVar = {"groups": np.int64, "partners": np.int64}

    def __init__(self, context: Context, name: str, way: str, count: int, note: str) -> None:
        super().__init__(context, name, note)
        self.way, self.count = way, count

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        rows = self.context.rows
        x = self.vectors(rows)
        if self.way == "clusters":
            self.groups = self.count + own(len(self.groups))  # what is not trained on keeps a group of its own
            self.groups[rows] = kmeans(x, self.count, seed=derive(self.context.config.train.seed, "teacher"))[1]
        else:
            self.partners = np.repeat(own(len(self.groups))[:, None], self.count, axis=1)
            self.partners[rows] = rows[nearest_others(x, self.count)]
        return {}


class Vectors(ByTeacher):
    """The teacher's vectors, each the target of what the encoder makes of its row (`Positives.targets`).

    They are principal components: the unit vectors less their mean, in their principal axes, of which the first are
    taken where the encoder has fewer dimensions; where it has more, the others are to be 0. What all rows have in
    common, which is most of what networks of positive features give, tells none apart, and a loss of angles would learn
    little else. Leaving out the last axes changes distances least (Eckart & Young 1936).
    """

    changing: ClassVar = {"targets": np.float32}

    def __init__(self, context: Context, name: str) -> None:
        word = pretrained_word(name)
        licence = pretrained.offer(word).licence if word else None
        said = f" (licence {licence})" if licence else ""
        super().__init__(context, name, f"Targets: the vectors of {name}{said}, found once.")

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        rows = np.concatenate([self.context.rows, self.context.heldout])
        self.targets = np.zeros((len(self.groups), encode(rows[:1]).shape[1]), np.float32)
        z = principal(self.vectors(rows), len(self.context.rows))[:, : self.targets.shape[1]]
        self.targets[rows, : z.shape[1]] = z
        return {}


def principal(x: np.ndarray, count: int) -> np.ndarray:
    """Principal components of vectors (N, D): mean and axes, in falling order of variance, are of the first `count`."""
    mean = x[:count].mean(0, dtype=np.float64)
    first = x[:count] - mean
    axes = np.linalg.eigh(first.T @ first)[1][:, ::-1]
    return ((x - mean) @ axes).astype(np.float32)
