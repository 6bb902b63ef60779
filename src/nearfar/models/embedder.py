"""A trained model as people use it: anything of its modality in, vectors out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import checks
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.options import checked
from nearfar.data.table import Column, Table
from nearfar.models.encoding import check_finite, to_encode
from nearfar.models.training_rows import TrainingRows

if TYPE_CHECKING:
    import torch

    from nearfar.core.config import Config
    from nearfar.core.console import Console
    from nearfar.models.blueprint import Blueprint
    from nearfar.models.branches import Branches
    from nearfar.models.prompts import ZeroShot
    from nearfar.models.run import Run

LAYERS = ("features", "projection")


class Embedder:
    """Encoders and projectors of a run, with what is needed to decode new data.

    Parameters
    ----------
    config : Config
    columns : mapping of str to (modality, spec)
        What the model takes, by column.
    branches : Branches
        Encoder and projector of each column.
    name : str
    path : Path or None
        The run's folder.
    device : str
    dimensions : int or None
        Only the first so many of every vector are given; see `cut`.
    fingerprint : str
        `Table.fingerprint` of what it was trained on.
    training_rows : TrainingRows, optional
        The content of the rows that it was trained on, where that is known.
    numbers : mapping of str to float
        Numbers that were learnt beside the networks, such as ``temperature``.
    """

    def __init__(
        self, config: Config, columns: Mapping[str, tuple[str, Mapping[str, Any]]], branches: Branches, *,
        name: str = "model", path: Path | None = None, device: str = "cpu", numbers: Mapping[str, float] | None = None,
        fingerprint: str = "", training_rows: TrainingRows | None = None,
    ) -> None:  # fmt: skip
        self.config, self.columns, self.name, self.path, self.device = config, dict(columns), name, path, device
        self.numbers, self.fingerprint, self.training_rows = dict(numbers or {}), fingerprint, training_rows
        self.dimensions: int | None = None
        from nearfar.core.devices import channels_last

        self.branches = channels_last(branches.eval().to(device))

    # --- making one -------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, run: Run, device: str = "auto") -> Embedder:
        """The model of a run that is finished; `nearfar.load` opens any folder.

        Raises
        ------
        RunError
            It is damaged, or its weights do not fit its configuration.
        """
        from nearfar.core import devices, files
        from nearfar.models import stored
        from nearfar.models.blueprint import check, described

        networks, config, columns = described(run)
        source = run.config.get("data", {}).get("source", {}).get("source")
        if source and Path(source).exists():  # what was typed may be right in another folder only
            config = replace(config, data=replace(config.data, source=source))
        weights, about = files.load_tensors(run.model_file, partial(check, networks))
        made = about.get("made", {})
        if not run.finished:
            config = stored.as_made(config, made)
        stored.check_made(made, stored.decides(config, columns), str(run.config_file))
        place = {
            "name": run.name, "path": run.path, "fingerprint": run.config.get("data", {}).get("fingerprint", ""),
            "training_rows": TrainingRows.load(run.path),
        }  # fmt: skip
        model = cls.filled(config, columns, networks, weights, **place)
        return model.to(str(devices.device(device)))

    @classmethod
    def filled(
        cls, config: Config, columns: Mapping[str, tuple[str, Mapping[str, Any]]], networks: Blueprint,
        weights: Mapping[str, torch.Tensor], **place: Any,
    ) -> Embedder:  # fmt: skip
        """The model of networks that are to have these weights, compared with what is `expected` of them."""
        from nearfar.models.blueprint import NUMBERS

        numbers = {k.removeprefix(NUMBERS): float(v) for k, v in weights.items() if k.startswith(NUMBERS)}
        own = {k: v for k, v in weights.items() if not k.startswith(NUMBERS)}
        return cls(config, columns, networks.filled(own), numbers=numbers, **place)

    @classmethod
    def of(cls, learner: torch.nn.Module, config: Config, columns: Mapping[str, Column], **place: Any) -> Embedder:
        """The model that a learner has become."""
        described = {n: (c.modality, c.spec) for n, c in columns.items()}
        device = str(next(learner.parameters()).device)
        return cls(config, described, learner.branches, device=device, numbers=learner.numbers, **place)

    def untrained(self, seed: int | None = None) -> Embedder:
        """The same architecture with fresh weights: the floor that training has to beat."""
        from nearfar.models import branches

        config = self.config
        if seed is not None:
            config = replace(config, train=replace(config.train, seed=seed))
        made = branches.fresh(config, self.columns)
        fresh = Embedder(config, self.columns, made, name="untrained encoder", device=self.device)
        fresh.dimensions = self.dimensions
        return fresh

    def cut(self, dimensions: int) -> Embedder:
        """This model with the first dimensions only, as a method with ``nested`` trains them to stand by themselves.

        Raises
        ------
        ConfigError
            It gives no more than that.
        """
        import copy

        from nearfar.models.blueprint import widths

        width = min(widths(self.config, self.branches, self.keeps))
        if not 1 <= dimensions < width:
            raise ConfigError(f"{self.name} gives {width} dimensions and cannot be cut to {dimensions}.")
        found = copy.copy(self)
        found.dimensions, found.name = dimensions, f"{self.name}, {dimensions} dimensions"
        return found

    def source(self) -> str:
        """What the model was trained on.

        Raises
        ------
        ConfigError
            That was data from Python, which a run cannot find again.
        """
        source = self.config.data.source
        if not source:
            raise ConfigError("the model was trained on data from Python.", hint="Say what to use with --on or --in.")
        return source

    def reading(self) -> dict[str, Any]:
        """How that was read."""
        d = self.config.data
        reading = {"label": d.label, "score": d.score, "sets": d.sets, "split_column": d.split_column}
        reading |= {"group": d.group, "group_from": d.group_from}
        return reading | {
            "limit": d.limit,
            "seed": self.config.train.seed,
            "stream": d.stream or "auto",
            "buffer": d.buffer,
        }

    def to(self, device: str) -> Embedder:
        """This model on another device."""
        self.device, self.branches = device, self.branches.to(device)
        return self

    def save(self, file: Path) -> None:
        """Write the weights and the numbers learnt beside them, and nothing else, as safetensors."""
        from nearfar.core import files
        from nearfar.models import stored

        files.save_tensors(file, self.tensors(), {"made": stored.decides(self.config, self.columns)})

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that was learnt, by name: what `filled` takes."""
        import torch

        from nearfar.models.blueprint import NUMBERS

        tensors = {k: v.detach().cpu().contiguous() for k, v in self.branches.state_dict().items()}
        return tensors | {NUMBERS + k: torch.tensor(v, dtype=torch.float64) for k, v in self.numbers.items()}

    # --- using it ---------------------------------------------------------------------------------------------

    @checked
    def encode(
        self, inputs: Any, *, column: str | None = None, layer: str | None = None, normalize: bool = True,
        batch_size: int = 256, console: Console | None = None,
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

        Returns
        -------
        ndarray of float32, shape (N, D)

        Raises
        ------
        DataError
            A row cannot be read, or holds several texts; nothing is skipped or spread here, so that rows and vectors
            correspond.
        """
        table, name = to_encode(self, inputs, column, batch_size, console)
        rows = np.arange(len(table))
        return self._encode(table.first, rows, name, layer or self.keeps, batch_size, normalize, console)

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

        Returns
        -------
        ZeroShot
            ``predict(vectors)``, ``probabilities(vectors)``.

        Raises
        ------
        ConfigError
            The model has no column of text, there are fewer than two classes, or a template has no ``{}``.
        """
        from nearfar.models import prompts

        return prompts.make(self, classes, templates, column=column, temperature=temperature)

    def read(
        self, inputs: Any, *, column: str | None = None, data_column: str | Sequence[str] | None = None,
        max_bad: float = 0.0, **options: Any,
    ) -> Any:  # fmt: skip
        """New data as a `Table`, decoded the way this model was trained. A `Table` passes through.

        `column` is one of the model's, `data_column` the one to read where several of the data's may be meant.
        Several of these are sides of a row: the model's own by name or in their order, or all of one shared encoder.
        """
        from nearfar.core.console import QUIET
        from nearfar.data.objects import settled

        if isinstance(inputs, Table):
            return inputs
        own = {"stream": "auto", "max_bad": max_bad, "missing": self.config.data.missing}
        table = self._read(settled(inputs), column, data_column, own | options)
        for name, found in table.columns.items():
            encoder = self.branches[name if name in self.columns else self.only_column()].encoder
            if said := found.too_long(getattr(encoder, "room", None)):
                (options.get("console") or QUIET).warn(said)
        return table

    def _read(
        self, inputs: Any, column: str | None, data_column: str | Sequence[str] | None, options: dict[str, Any]
    ) -> Any:
        from nearfar.data.read import read

        asked = (data_column,) if isinstance(data_column, str) else tuple(data_column or ())
        if column is None and len(self.columns) > 1 and not asked:
            asked = tuple(self.columns)
        if len(asked) < 2:
            own = column or (asked[0] if asked and asked[0] in self.columns else self.only_column())
            table = self._read_one(inputs, own, asked, options)
            if len(self.branches) < 2 or own in table.columns:
                return table
            return replace(table, columns={own: replace(table.first, name=own)})  # to find its branch by
        own = self._own(asked)
        kinds = {self.columns[c][0] for c in own.values()}
        known = {theirs: self.columns[mine] for theirs, mine in own.items()}
        table = read(inputs, column=asked, known=known, modality=kinds.pop() if len(kinds) == 1 else None, **options)
        if len(set(own.values())) < len(own):
            return table
        return replace(table, columns={own[n]: replace(c, name=own[n]) for n, c in table.columns.items()})

    def _read_one(self, inputs: Any, own: str, asked: tuple[str, ...], options: dict[str, Any]) -> Any:
        """Data for one of the model's columns; where they have none of that name, what fits it."""
        from nearfar.data.read import read

        modality, spec = self.columns[own]
        options = {"usual": own} | options
        try:
            return read(inputs, modality=modality, spec=spec, column=asked or None, **options)
        except UnknownName as e:
            if asked != (own,) or e.where != "--column":
                raise
        return read(inputs, modality=modality, spec=spec, **options)

    def _own(self, names: Sequence[str]) -> dict[str, str]:
        """The model's column for each of several columns of the data."""
        if all(n in self.columns for n in names):
            return {n: n for n in names}
        if len(names) == len(self.columns):  # names that are the model's are meant; the others go by their order
            others = iter(c for c in self.columns if c not in names)
            return {n: n if n in self.columns else next(others) for n in names}
        return dict.fromkeys(names, self.only_column())

    def features(
        self, column: Column, rows: np.ndarray, layer: str = "features", *, batch_size: int = 1000,
        console: Console | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Vectors of rows of a decoded column, not normalised, float32 (len(rows), D)."""
        name = column.name if column.name in self.columns else self.only_column()
        return self._encode(column, np.asarray(rows), name, layer, batch_size, False, console)

    def _encode(
        self, column: Column, rows: np.ndarray, name: str, layer: str, batch_size: int, normalize: bool,
        console: Console | None,
    ) -> np.ndarray:  # fmt: skip
        import torch

        from nearfar.core import devices
        from nearfar.core.console import QUIET
        from nearfar.core.registry import MODALITIES
        from nearfar.data import forms

        if layer not in LAYERS:
            raise UnknownName("layer", layer, LAYERS)
        modality, spec = self.columns[name]
        column, rows = forms.for_model(column, rows, modality, spec)
        module, branch, found = MODALITIES.get(modality), self.branches[name], None
        batch_size = checks.whole(batch_size, "batch_size", 1)
        device = torch.device(self.device)
        with torch.no_grad(), (console or QUIET).progress("encoding", len(rows), "rows") as progress:
            for start in range(0, len(rows), batch_size):
                values, geometry = column.take(rows[start : start + batch_size], device)
                with devices.autocast(device, self.config.train.precision):
                    x = module.neutral(values, geometry, spec)
                    z = branch.embed(x) if layer == "features" else branch(x)[1]
                z = z[:, : self.dimensions].float().cpu()
                check_finite(z, column, rows[start : start + batch_size])
                found = torch.empty(len(rows), z.shape[1]) if found is None else found
                found[start : start + len(z)] = torch.nn.functional.normalize(z, dim=1) if normalize else z
                progress.advance(len(values))
        nothing = np.zeros((0, branch.out_features), np.float32)[:, : self.dimensions]
        return nothing if found is None else found.numpy()

    def only_column(self) -> str:
        """The name of the model's column; raises `ConfigError` where it has several with encoders of their own."""
        if len(self.branches) > 1:
            raise ConfigError(f"the model has the columns {', '.join(self.columns)}.", hint="Say which with column=.")
        return next(iter(self.columns))

    @property
    def keeps(self) -> str:
        """The layer that the method says to keep."""
        return self.config.method.get("keep", "features")
