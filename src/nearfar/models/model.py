"""What is used as a model: an `Embedder`, or several of them as an `Ensemble`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.options import checked
from nearfar.core.values import whole
from nearfar.data.interactions import OF_INTERACTIONS

if TYPE_CHECKING:
    import torch

    from nearfar.core.config import Config
    from nearfar.core.console import Console
    from nearfar.data.table import Column
    from nearfar.models.prompts import ZeroShot
    from nearfar.models.training_rows import TrainingRows

LAYERS = ("features", "projection")


class Model(Protocol):
    """Anything of its modality in, vectors out.

    Attributes
    ----------
    name : str
    path : Path or None
        The run's folder.
    members : tuple of Embedder
        The networks that it consists of: an `Embedder` itself, the several of an `Ensemble`. What follows is of the
        first of them.
    config : Config
    columns : mapping of str to (modality, spec)
        What the model takes, by column.
    keeps : str
        The layer that the method says to keep.
    branches : nn.Module
        Encoders and projectors, of all members.
    fingerprint : str
        `Table.fingerprint` of what it was trained on.
    training_rows : TrainingRows or None
        The content of the rows that it was trained on, of all members, where that is known.
    device : str
    """

    name: str
    path: Path | None
    members: tuple[Any, ...]
    config: Config
    columns: Mapping[str, tuple[str, Mapping[str, Any]]]
    branches: torch.nn.Module
    fingerprint: str
    training_rows: TrainingRows | None
    device: str

    def features(
        self, column: Column, rows: np.ndarray, layer: str | None = "features", *, normalize: bool = False,
        batch_size: int = 1000, console: Console | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Vectors of rows of a decoded column, float32 (len(rows), D).

        They are not normalised, but for those of an ensemble by ``concat``, whose members' are. A layer of None is the
        one that each member keeps.

        Raises
        ------
        DataError
            A vector is not finite.
        ConfigError
            The column was decoded for another model, and cannot be brought into the form that this one takes.
        """

    def states(
        self, column: Column, rows: np.ndarray, *, normalize: bool = False, batch_size: int = 1000
    ) -> np.ndarray:  # fmt: skip
        """States of every step of rows of a decoded column, float32 (len(rows), T, D), NaN where there is no step.

        Raises
        ------
        ConfigError
            The encoder keeps no axis of time, or the model is an ensemble.
        """
        raise ConfigError("several models together have no states of steps.", where="per", hint="Load one of them.")

    def read(self, inputs: Any, *, column: str | None = None, **options: Any) -> Any:
        """New data as a `Table`, decoded the way that each member was trained. A `Table` passes through.

        `column` is one of the model's, ``data_column`` the one to read where several of the data's may be meant;
        several of these are sides of a row: the model's own by name or in their order, or all of one shared encoder.
        Further options are those of `nearfar.data.read.read`.

        Raises
        ------
        DataError
            The data cannot be read, or not as the same rows by all members.
        """

    def cut(self, dimensions: int) -> Model:
        """This model with the first dimensions only, as a method with ``nested`` trains them to stand by themselves.

        Raises
        ------
        ConfigError
            It gives no more than that, or is an ensemble, whose first dimensions are those of one member.
        """

    def prompted(self, *names: str) -> Model:
        """This model with its first prompt of these names before every text; itself where it has none of them."""
        return self

    def untrained(self, seed: int | None = None) -> Model:
        """The same architecture with fresh weights: the floor that training has to beat."""

    def to(self, device: str) -> Model:
        """This model on another device."""

    def save(self, file: Path) -> None:
        """Write all that was learnt, and nothing else, as safetensors."""

    def align(self, column: Column, rows: np.ndarray) -> list[dict[str, float]]:
        """Bring the members into one space by rows of a decoded column; a single one has nothing to be brought to."""
        return []

    @checked
    def encode(
        self, inputs: Any, *, column: str | None = None, layer: str | None = None, normalize: bool = True,
        batch_size: int = 256, per: str = "row", console: Console | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Vectors of new data.

        Parameters
        ----------
        inputs : path, text, picture, list, array, table or Table
            N rows, of which there are as many vectors: whatever the table of objects in ``docs/data.md`` lists. One
            picture, one row of numbers or, where the model takes texts, one string are one row.
        column : str, optional
            Which of the model's columns the inputs are; needed if it has several.
        layer : {"features", "projection"}, optional
            What the encoder gives, or what the loss saw. By default what the method says to keep.
        normalize : bool
            Unit length.
        batch_size : int
            Rows that go through the network at once.
        per : {"row", "step"}
            "step" gives the states that an encoder of series makes of each step, before they become one vector.

        Returns
        -------
        ndarray of float32, shape (N, D), or (N, T, D) per step, NaN where a series has no such step
            D is the sum of the members' dimensions for an ensemble by ``concat``, theirs for one by ``average``.

        Raises
        ------
        ConfigError, UnknownName
            `batch_size` is no whole number of at least 1; the model has no such column, or several and none was named.
        DataError
            A row cannot be read, or holds several texts or columns; no row is skipped or becomes several, so that rows
            and vectors correspond.
        """
        from nearfar.data.opening import one_at_a_time, one_text

        whole(batch_size, "batch_size", 1)  # before the inputs are read
        if per not in ("row", "step"):
            raise UnknownName("way to encode", per, ("row", "step"), where="per")
        name = column or self.only_column()
        if name not in self.columns:
            raise UnknownName("column", name, self.columns)
        inputs = one_text(inputs, self.columns[name][0])
        by_name = column if len(self.columns) > 1 else None  # data of several columns may have one of that name
        table = self.read(inputs, column=name, data_column=by_name, several=False, console=console)
        one_at_a_time(table, inputs)
        first = replace(table.first, name=name)  # `features` finds the branch by it
        if per == "step":
            return self.states(first, np.arange(len(table)), normalize=normalize, batch_size=batch_size)
        return self.features(
            first, np.arange(len(table)), layer, normalize=normalize, batch_size=batch_size, console=console
        )

    def zero_shot(
        self, classes: Sequence[str], templates: Sequence[str] | str = ("{}",), *, column: str | None = None,
        temperature: float | None = None,
    ) -> ZeroShot:  # fmt: skip
        """A classifier of rows of the other columns, made of the names of the classes alone.

        Each name goes into each template; the prompts' unit vectors are averaged over the templates and made unit
        again. A row is of the class whose vector is nearest; its probabilities are the softmax of the cosines over the
        model's temperature (Radford et al. 2021, arXiv 2103.00020, section 3.1).

        >>> cat_or_dog = model.zero_shot(["cat", "dog"], "a picture of a {}")          # doctest: +SKIP
        >>> cat_or_dog.predict(model.encode("new/", column="image")).labels            # doctest: +SKIP

        Parameters
        ----------
        classes : sequence of str
            C names, in the language of the captions that the model was trained on.
        templates : sequence of str
            Texts that hold ``{}``.
        column : str, optional
            Which of the model's columns reads the prompts; needed if several are text.
        temperature : float, optional
            By default what the loss of the training divided cosines by: the learnt number, or the method's.

        Raises
        ------
        ConfigError
            The model has no column of text, or is an ensemble; there are fewer than two classes; or a template has no
            ``{}``.
        """
        from nearfar.models import prompts

        return prompts.make(self, classes, templates, column=column, temperature=temperature)

    def only_column(self) -> str:
        """The name of the model's column; raises `ConfigError` where it has several with encoders of their own."""
        if len(self.members[0].branches) > 1:
            raise ConfigError(f"the model has the columns {', '.join(self.columns)}.", hint="Pass column=.")
        return next(iter(self.columns))

    def own_column(self, column: Column) -> str:
        """The model's column that reads a column of data: the one of its name, or the only one."""
        return column.name if column.name in self.columns else self.only_column()

    @property
    def keeps(self) -> str:
        """The layer that the method says to keep."""
        return self.config.method.get("keep", "features")

    def source(self) -> str:
        """What the model was trained on.

        Raises
        ------
        ConfigError
            That was data from Python, which a run cannot find again.
        """
        if not self.config.data.source:
            what = (
                "was trained on data from Python" if self.config.model.method != "random" else "has no data of its own"
            )
            raise ConfigError(f"the model {what}.", hint="Pass the data: --in for search, --on for other verbs.")
        return self.config.data.source

    def reading(self) -> dict[str, Any]:
        """How that was read: arguments of `nearfar.data.read.read`."""
        d = self.config.data
        alike = ("label", "score", "sets", "split_column", "group", "group_from", "limit", "buffer", "user", "window",
                 "hop")  # fmt: skip
        return {k: getattr(d, k) for k in (*alike, *OF_INTERACTIONS)} | {
            "seed": self.config.train.seed,
            "stream": d.stream or "auto",
        }
