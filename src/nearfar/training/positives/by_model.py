"""What positives have in common that a trained model finds once, before the first step."""

from __future__ import annotations

import numpy as np

from nearfar.core.errors import ConfigError
from nearfar.core.registry import MODALITIES
from nearfar.data.table import Column
from nearfar.models.embedder import Embedder
from nearfar.models.loading import load, pretrained_word
from nearfar.models.run import Run
from nearfar.training.positives import Context, Positives, own


class ByModel(Positives):
    """Found by the model called `name`, the folder of a run."""

    def __init__(self, context: Context, name: str, note: str) -> None:
        super().__init__(own(len(context.table)), note)
        self.context, self.name = context, name
        self.check_there()  # now, and not after the data were read, in the first step

    def check_there(self) -> None:
        """Raise where there is no such model."""
        if pretrained_word(self.name) is None and not Run.open(self.name).model_file.exists():
            raise ConfigError(f"the run {self.name} has no model yet.", where="model.positives")

    def due(self, step: int) -> bool:
        return step == 0

    def model(self) -> Embedder:
        """The model, loaded."""
        return load(self.name, self.context.config.train.device)

    def check_takes(self, model: Embedder, name: str, column: Column) -> None:
        """Raise a `ConfigError` where the column `name` of the model takes other input than this column holds."""
        modality, spec = model.columns[name]
        if modality == column.modality == "text" and column.cells is not None:  # which are tokenised for the model
            return
        shape = MODALITIES.get(modality).encoder_shape
        if modality != column.modality or shape(spec) != shape(column.spec):
            kinds = ((modality, spec), (column.modality, column.spec))
            hint = "Give both trainings the same --size." if modality == column.modality else None
            takes, holds = (MODALITIES.get(m).describe(s) for m, s in kinds)
            raise ConfigError(
                f"{self.name} was trained on {takes}, the column {column.name!r} is {holds}.",
                where="model.positives", hint=hint,
            )  # fmt: skip

    def column_of(self, model: Embedder, column: Column) -> str:
        """The model's column that encodes the cells of a column of the data."""
        name = model.own_column(column)
        if column.texts is None:  # cells are encoded as they were written, whatever the run's tokeniser is
            self.check_takes(model, name, column)
        return name

    def vectors(self, model: Embedder, column: Column, rows: np.ndarray) -> np.ndarray:
        """The model's vectors of the cells of a column of the data in these rows, float32 (M, D)."""
        name = self.column_of(model, column)
        if column.texts is not None:
            return model.encode([column.texts[int(r)] for r in rows], column=name)
        return model.features(column, rows, model.keeps)
