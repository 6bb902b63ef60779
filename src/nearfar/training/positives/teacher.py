"""Rows that a trained model finds alike belong together: its clusters as pseudo-labels, or its nearest neighbours."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.core.randomness import derive
from nearfar.core.registry import MODALITIES
from nearfar.training.positives import Context, Encode, Positives, own, whole
from nearfar.vectors.basics import unit
from nearfar.vectors.kmeans import kmeans
from nearfar.vectors.neighbours import nearest_others

if TYPE_CHECKING:
    import torch

    from nearfar.models.embedder import Embedder

CLUSTERS, NEIGHBOURS = 200, 5  # where the text does not say how many
LEAST_ROWS = 20  # per cluster, where the number is ours
WAYS = ("clusters", "neighbours")


def build(context: Context, argument: str) -> Positives:
    """What a teacher's features say, found once, before the first step.

    Parameters
    ----------
    context : Context
    argument : str
        ``MODEL``, ``MODEL:clusters``, ``MODEL:clusters:100``, ``MODEL:neighbours`` or ``MODEL:neighbours:10``. MODEL is
        the folder of a run, or an encoder that has pretrained weights, such as ``timm:resnet18``.

    Raises
    ------
    ConfigError
        The text is not of that form, there is no such model, or it takes other input.
    DataError
        There are too few rows.
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
    _check(name)
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
        raise ConfigError(
            "say which teacher.", where="model.positives",
            hint="For example --positives teacher:runs/first:neighbours, or teacher:timm:resnet18.",
        )  # fmt: skip
    return name, way, count


class Taught(Positives):
    """Groups or partners by a teacher's features.

    Neighbours are partners and not `Relation.positive_rows`, because two given rows of N are in one batch of B in a
    share B/N of the steps only: as the source of the second view (NNCLR: Dwibedi et al. 2021, arXiv 2104.14548, who
    take it from a queue) a neighbour takes part in every step.
    """

    changes = True

    def __init__(self, context: Context, name: str, way: str, count: int, note: str) -> None:
        super().__init__(own(len(context.table)), note)
        self.context, self.name, self.way, self.count = context, name, way, count

    def check(self) -> None:
        teacher(self.name, self.context)

    def due(self, step: int) -> bool:
        return step == 0

    def refresh(self, step: int, encode: Encode) -> dict[str, float]:
        rows, column = self.context.rows, self.context.table.first
        x = unit(teacher(self.name, self.context).features(column, rows))
        if self.way == "clusters":
            seed = derive(self.context.config.train.seed, "teacher")
            groups = self.count + own(len(self.groups))
            groups[rows] = kmeans(x, self.count, seed=seed)[1]
            self.groups = groups
        else:
            partners = np.repeat(own(len(self.groups))[:, None], self.count, axis=1)
            partners[rows] = rows[nearest_others(x, self.count)]
            self.partners = partners
        return {}

    def state(self) -> dict[str, torch.Tensor]:
        import torch

        partners = np.zeros((0, 0), np.int64) if self.partners is None else self.partners
        return {"groups": torch.from_numpy(self.groups), "partners": torch.from_numpy(partners)}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        self.groups, partners = (tensors[k].numpy() for k in ("groups", "partners"))
        self.partners = partners if len(partners) else None


def _check(name: str) -> None:
    """Raise now, and not after the data were read into the first step, where there is no such model."""
    from nearfar.models import columns
    from nearfar.models.run import Run

    if ":" in name and not os.path.exists(name):
        columns.check(name, {}, "model.positives")
    elif not Run.open(name).model_file.exists():
        raise ConfigError(f"the run {name} has no model yet.", where="model.positives")


def teacher(name: str, context: Context) -> Embedder:
    """The model called `name`, ready to encode the table's first column.

    Raises
    ------
    ConfigError
        It takes other input than the column holds, or its weights cannot be had.
    """
    from nearfar.models import branches, columns
    from nearfar.models.embedder import Embedder
    from nearfar.models.loading import load

    column, train = context.table.first, context.config.train
    kind, colon, variant = name.partition(":")
    if colon and not os.path.exists(name):
        model = replace(context.config.model, encoder=f"{kind}:{variant}", encoder_options={"pretrained": True})
        kinds = {column.name: (column.modality, column.spec)}
        try:
            encoders = branches.encoders(columns.resolved(model, columns.plan(model, kinds))[1], train.seed)
            for encoder in encoders.values():
                encoder.fetch()
            made = branches.Branches.of(encoders, None)
        except ConfigError as e:
            raise ConfigError(e.message, where="model.positives", hint="A teacher needs weights to teach with.") from e
        return Embedder(context.config, kinds, made, name=name, device=train.device)
    model = load(name, train.device)
    modality, spec = next(iter(model.columns.values()))
    shape = MODALITIES.get(modality).encoder_shape
    if modality != column.modality or shape(spec) != shape(column.spec):
        is_for, is_here = (MODALITIES.get(m).describe(s) for m, s in ((modality, spec), (column.modality, column.spec)))
        raise ConfigError(
            f"the teacher {name} was trained on {is_for}, the data are {is_here}.", where="model.positives",
            hint="Give both trainings the same --size.",
        )  # fmt: skip
    return model
