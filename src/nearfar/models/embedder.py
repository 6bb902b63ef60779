"""A trained network as people use it: anything of its modality in, vectors out."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.core import devices, files
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.values import whole
from nearfar.data import forms
from nearfar.data.interactions import OF_INTERACTIONS
from nearfar.data.objects import settled
from nearfar.data.read import read
from nearfar.data.table import Column, Table
from nearfar.models import branches, kept, recommending, stored
from nearfar.models.blueprint import NUMBERS, widths
from nearfar.models.encoding import states, vectors
from nearfar.models.model import LAYERS, Model

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.core.console import Console
    from nearfar.data.histories import Histories
    from nearfar.encoders.offer import Offer
    from nearfar.models.branches import Branches
    from nearfar.models.training_rows import TrainingRows


class Embedder(Model):
    """Encoders and projectors of a run, with what is needed to decode new data. See `Model` for how it is used.

    Parameters
    ----------
    config, columns, name, path, device, fingerprint, training_rows
        See `Model`.
    branches : Branches
        Encoder and projector of each column.
    numbers : mapping of str to float
        Numbers that were learnt beside the networks, such as ``temperature``.
    frozen : bool
        The weights stay as they are: they are not those of a training that goes on.
    """

    cached: bool = True  # whether vectors are kept, and taken from what is kept (models/kept.py)
    offer: Offer | None = None  # of a pretrained model of another library that is used as it is

    def __init__(
        self, config: Config, columns: Mapping[str, tuple[str, Mapping[str, Any]]], branches: Branches, *,
        name: str = "model", path: Path | None = None, device: str = "cpu", numbers: Mapping[str, float] | None = None,
        fingerprint: str = "", training_rows: TrainingRows | None = None, frozen: bool = False,
    ) -> None:  # fmt: skip
        self.config, self.columns, self.name, self.path, self.device = config, dict(columns), name, path, device
        self.numbers, self.fingerprint, self.training_rows = dict(numbers or {}), fingerprint, training_rows
        self.frozen = frozen
        self.dimensions: int | None = None  # only the first so many of every vector are given, see `cut`
        self.branches = devices.channels_last(branches.eval().to(device))

    @classmethod
    def of(cls, learner: torch.nn.Module, config: Config, columns: Mapping[str, Column], **place: Any) -> Embedder:
        """The model that a learner has become."""
        described = {n: (c.modality, c.spec) for n, c in columns.items()}
        device = str(next(learner.parameters()).device)
        return cls(config, described, learner.branches, device=device, numbers=learner.numbers, **place)

    def __repr__(self) -> str:
        where = "" if self.path is None else f" in {self.path}"
        how = "as it was pretrained" if self.frozen else f"by {self.config.model.method}, {self.config.model.encoder}"
        return f"The model {self.name}{where}: {', '.join(self.columns)}, {how}."

    @cached_property
    def identity(self) -> str | None:
        """Hash of the weights and of all else that decides the vectors; None where the weights may change."""
        if not self.frozen:
            return None
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.branches.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        digest.update(json.dumps(stored.decides(self.config, self.columns), sort_keys=True).encode())
        return digest.hexdigest()

    @property
    def members(self) -> tuple[Embedder, ...]:
        return (self,)

    def untrained(self, seed: int | None = None) -> Embedder:
        config = self.config
        if seed is not None:
            config = replace(config, train=replace(config.train, seed=seed))
        made = branches.fresh(config, self.columns)
        fresh = Embedder(config, self.columns, made, name="untrained encoder", device=self.device)
        fresh.dimensions = self.dimensions
        return fresh

    def cut(self, dimensions: int) -> Embedder:
        width = min(widths(self.config, self.branches, self.keeps))
        if not 1 <= dimensions < width:
            raise ConfigError(f"{self.name} gives {width} dimensions and cannot be cut to {dimensions}.")
        shorter = copy.copy(self)
        shorter.dimensions, shorter.name = dimensions, f"{self.name}, {dimensions} dimensions"
        return shorter

    def prompted(self, *names: str) -> Embedder:
        there = self.offer.prompts if self.offer else {}
        name = next((n for n in names if n in there), None)
        if name is None:
            return self
        other = copy.copy(self)
        vars(other).pop("identity", None)
        prompt = {"prompt": there[name]}
        other.columns = {n: (m, {**spec, **(prompt if m == "text" else {})}) for n, (m, spec) in self.columns.items()}
        return other

    def to(self, device: str) -> Embedder:
        self.device, self.branches = device, self.branches.to(device)
        return self

    def save(self, file: Path) -> None:
        files.save_tensors(file, self.tensors(), {"made": stored.decides(self.config, self.columns)})

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that was learnt, by name: what a file of weights holds."""
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.branches.state_dict().items()}
        return tensors | {NUMBERS + k: torch.tensor(v, dtype=torch.float64) for k, v in self.numbers.items()}

    def features(
        self, column: Column, rows: np.ndarray, layer: str | None = "features", *, normalize: bool = False,
        batch_size: int = 1000, console: Console | None = None,
    ) -> np.ndarray:  # fmt: skip
        layer = layer or self.keeps
        if layer not in LAYERS:
            raise UnknownName("layer", layer, LAYERS)
        name, batch_size = self.own_column(column), whole(batch_size, "batch_size", 1)
        branch, (column, rows) = self.branches[name], forms.for_model(column, np.asarray(rows), *self.columns[name])
        console, size = console or QUIET, {"batch_size": batch_size}
        with console.progress("encoding", len(rows), "rows") as progress:

            def encode(some: np.ndarray, **options: Any) -> torch.Tensor:
                on = self.device, self.config.train.precision
                return vectors(branch, column, some, layer, *on, advance=progress.advance, **size, **options)

            if (shelf := kept.shelf(self, name, layer, len(rows))) is None:
                z = encode(rows, dimensions=self.dimensions)
            else:
                z = shelf.through(kept.content(column, rows), lambda at: encode(rows[at]), console)
                z = z[:, : self.dimensions].contiguous()
        return (torch.nn.functional.normalize(z, dim=1, out=z) if normalize else z).numpy()

    def scores(self, histories: Histories) -> np.ndarray:
        """Score of every item for every user, see `nearfar.models.recommending.scores`."""
        return recommending.scores(self, histories)

    def contributions(self, histories: Histories, items: np.ndarray) -> list[np.ndarray] | None:
        """What each event adds to a score, see `nearfar.models.recommending.contributions`."""
        return recommending.contributions(self, histories, items)

    def item_vectors(self) -> tuple[list[str], np.ndarray]:
        """Names and vectors of all items, see `nearfar.models.recommending.item_vectors`."""
        return recommending.item_vectors(self)

    def states(
        self, column: Column, rows: np.ndarray, *, normalize: bool = False, batch_size: int = 1000
    ) -> np.ndarray:  # fmt: skip
        name = self.own_column(column)
        branch, (column, rows) = self.branches[name], forms.for_model(column, np.asarray(rows), *self.columns[name])
        if not hasattr(branch.encoder, "steps"):
            encoder = type(branch.encoder).__name__
            raise ConfigError(f"the encoder {encoder} keeps no axis of time, so there are no states.", where="per")
        return states(branch, column, rows, self.device, self.config.train.precision, batch_size, normalize=normalize)

    def read(
        self, inputs: Any, *, column: str | None = None, data_column: str | Sequence[str] | None = None,
        max_bad: float = 0.0, **options: Any,
    ) -> Any:  # fmt: skip
        if isinstance(inputs, Table):
            return inputs
        asked = (data_column,) if isinstance(data_column, str) else tuple(data_column or ())
        if column is None and len(self.columns) > 1 and not asked:
            asked = tuple(self.columns)
        d = self.config.data
        given = {"stream": "auto", "max_bad": max_bad, "missing": d.missing, "window": d.window, "hop": d.hop}
        if d.user is not None and isinstance(inputs, str | Path):  # a table of interactions, as that of the training
            given |= {name: getattr(d, name) for name in ("user", *OF_INTERACTIONS)}
            asked = asked or d.column
        elif d.time and d.user is None:  # one of recordings
            given |= {"time": d.time, "group": d.group}
        reads = self._read_one if len(asked) < 2 else self._read_several
        table = reads(settled(inputs), column, asked, given | options)
        for name, read_column in table.columns.items():
            encoder = self.branches[name if name in self.columns else self.only_column()].encoder
            if text := read_column.too_long(getattr(encoder, "room", None)):
                (options.get("console") or QUIET).warn(text)
        return table

    def _read_one(self, inputs: Any, column: str | None, asked: tuple[str, ...], options: dict[str, Any]) -> Any:
        """Data for one of the model's columns; where they have none of that name, what fits it."""
        name = column or (asked[0] if asked and asked[0] in self.columns else self.only_column())
        modality, spec = self.columns[name]
        options = {"usual": name} | options
        try:
            table = read(inputs, modality=modality, spec=spec, column=asked or None, **options)
        except UnknownName as e:
            if asked != (name,) or e.where != "--column":
                raise
            table = read(inputs, modality=modality, spec=spec, **options)
        if len(self.branches) < 2 or name in table.columns:
            return table
        return replace(table, columns={name: replace(table.first, name=name)})  # `features` finds the branch by it

    def _read_several(self, inputs: Any, _: str | None, asked: tuple[str, ...], options: dict[str, Any]) -> Any:
        """Several columns of the data, each for one of the model's."""
        if len(asked) == len(self.columns):  # names that are the model's are meant; the others go by their order
            others = iter(c for c in self.columns if c not in asked)
            mine = {n: n if n in self.columns else next(others) for n in asked}
        elif all(n in self.columns for n in asked):
            mine = {n: n for n in asked}
        else:
            mine = dict.fromkeys(asked, self.only_column())
        kinds = {self.columns[c][0] for c in mine.values()}
        known = {theirs: self.columns[ours] for theirs, ours in mine.items()}
        table = read(inputs, column=asked, known=known, modality=kinds.pop() if len(kinds) == 1 else None, **options)
        if len(set(mine.values())) < len(mine):
            return table
        return replace(table, columns={mine[n]: replace(c, name=mine[n]) for n, c in table.columns.items()})
