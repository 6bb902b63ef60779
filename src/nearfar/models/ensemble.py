"""Several models as one: their vectors side by side, or the mean of them in one space."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.core import files
from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.core.registry import MODALITIES
from nearfar.data.objects import settled
from nearfar.data.table import Column, Table
from nearfar.models import stored
from nearfar.models.model import LAYERS, Model
from nearfar.models.training_rows import TrainingRows
from nearfar.vectors.basics import unit

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.models.embedder import Embedder

HOW = ("concat", "average")
KEPT = "kept"  # the layer that each member keeps, which need not be the same


@dataclass(frozen=True)
class Readings(Column):
    """A column as the first member of an ensemble reads it, with what the others made of the same cells."""

    others: tuple[Column, ...] = ()


class Ensemble(Model):
    """Several models that are used as one, see `Model`.

    Parameters
    ----------
    members : sequence of Embedder
        At least two, which take the same modality. Encoders, methods and stored sizes may differ: each member reads
        new data its own way.
    how : {"concat", "average"}
        ``concat`` puts the members' unit vectors side by side and scales the whole to unit length, so its cosine is
        the mean of theirs. ``average`` is the mean of unit vectors of equal dimensions. Independently trained spaces
        are rotated against each other, so their plain mean mixes what does not belong together: every member is first
        rotated into the space of the first by the orthogonal map that brings its vectors of training rows nearest to
        the first's (Procrustes: Schönemann 1966), see `align`.
    maps : mapping of str to sequence of ndarray (D, D), optional
        By layer, the map of every member but the first. Without one the members are not aligned.
    name : str
    path : Path or None

    Raises
    ------
    ConfigError
        There are fewer than two members, or they take different modalities or columns.
    UnknownName
        There is no such `how`.
    """

    def __init__(
        self, members: Sequence[Embedder], how: str = "concat", *,
        maps: Mapping[str, Sequence[np.ndarray]] | None = None, name: str = "ensemble", path: Path | None = None,
    ) -> None:  # fmt: skip
        if how not in HOW:
            raise UnknownName("way to make one of several", how, HOW)
        if len(members) < 2:
            raise ConfigError("an ensemble needs at least two models.")
        for m in members:
            if len(m.members) > 1:
                raise ConfigError(f"{m.name} is an ensemble already.", hint="Name the models that it was made of.")
        _check_columns(members)
        self.members, self.how, self.maps, self.name, self.path = tuple(members), how, dict(maps or {}), name, path
        first = members[0]
        self.config, self.columns, self.fingerprint, self.device = (
            first.config, first.columns, first.fingerprint, first.device
        )  # fmt: skip
        self.agreement: list[dict[str, float]] = []  # what `align` measured

    def __repr__(self) -> str:
        names = f"An ensemble ({self.how}) of {', '.join(m.name for m in self.members)}."
        if self.path is None:
            return names
        return f"{names}\nThe ensemble is in {self.path}.\nNext: nearfar eval {shlex.quote(str(self.path))}"

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar ensemble --json`` prints."""
        return {"schema": 1, "verb": "ensemble", "run": self.path and str(self.path), "how": self.how,
                "members": [m.name for m in self.members], "agreement": self.agreement}  # fmt: skip

    @property
    def training_rows(self) -> TrainingRows | None:
        return TrainingRows.together([m.training_rows for m in self.members])

    @property
    def branches(self) -> torch.nn.Module:
        return torch.nn.ModuleList([m.branches for m in self.members])

    def cut(self, dimensions: int) -> Ensemble:
        raise ConfigError(f"{self.name} is an ensemble, whose first dimensions are those of one member.")

    def to(self, device: str) -> Ensemble:
        for m in self.members:
            m.to(device)
        self.device = device
        return self

    def untrained(self, seed: int | None = None) -> Ensemble:
        # Not aligned: `align` does that, where there are rows to do it by.
        fresh = [m.untrained(None if seed is None else seed + i) for i, m in enumerate(self.members)]
        return Ensemble(fresh, self.how, name="untrained encoders")

    def save(self, file: Path) -> None:
        tensors = {f"members/{i}/{k}": v for i, m in enumerate(self.members) for k, v in m.tensors().items()}
        for layer, maps in self.maps.items():
            tensors |= {f"maps/{layer}/{i}": torch.from_numpy(m) for i, m in enumerate(maps, 1)}
        made = stored.decide_together(self.how, [(m.config, m.columns) for m in self.members])
        files.save_tensors(file, tensors, {"made": made})

    # --- vectors ----------------------------------------------------------------------------------------------

    def read(self, inputs: Any, *, column: str | None = None, **options: Any) -> Table:
        if isinstance(inputs, Table):
            return inputs
        inputs, name = settled(inputs), column or self.only_column()
        table = self.members[0].read(inputs, column=name, **options)
        readings = {json.dumps(self.columns[name][1], sort_keys=True): table.first}  # by spec: each is read once
        others = []
        for member in self.members[1:]:
            theirs = _matching(member, name)
            spec = json.dumps(member.columns[theirs][1], sort_keys=True)
            if spec not in readings:
                again = member.read(inputs, column=theirs, usual=table.first.name, **options)
                if list(again.names) != list(table.names):
                    raise DataError(
                        f"{member.name} reads {len(again):,} rows of these data and {self.members[0].name} "
                        f"{len(table):,}.", hint="Remove the rows that cannot be read.",
                    )  # fmt: skip
                readings[spec] = again.first
            others.append(readings[spec])
        first = table.first
        shared = Readings(**{f.name: getattr(first, f.name) for f in fields(Column)}, others=tuple(others))
        return replace(table, columns={**table.columns, first.name: shared})

    def features(
        self, column: Column, rows: np.ndarray, layer: str | None = "features", *, normalize: bool = False,
        batch_size: int = 1000, console: Console | None = None,
    ) -> np.ndarray:  # fmt: skip
        parts = self._units(column, np.asarray(rows), layer, batch_size=batch_size, console=console)
        if self.how == "concat":
            z = np.concatenate(parts, 1) / np.float32(len(parts) ** 0.5)
        else:
            _check_dimensions(parts, layer or KEPT)
            maps = self.maps.get(layer or KEPT)
            if self.maps and maps is None:
                raise ConfigError(f"the members of {self.name} are not aligned in the layer {layer!r}.")
            turned = parts if maps is None else [parts[0], *(z @ m for z, m in zip(parts[1:], maps, strict=True))]
            z = np.mean(turned, axis=0, dtype=np.float32)  # shorter than 1 the less the members agree
        return unit(z) if normalize else z

    def _units(self, column: Column, rows: np.ndarray, layer: str | None, **options: Any) -> list[np.ndarray]:
        """Unit vectors of every member, each of what it takes of the column."""
        columns = (column, *column.others) if isinstance(column, Readings) else (column,) * len(self.members)
        shape = MODALITIES.get(column.modality).encoder_shape
        for member in () if isinstance(column, Readings) else self.members:
            modality, spec = member.columns[_matching(member, column.name)]
            if modality == column.modality and shape(spec) != shape(column.spec):
                is_for, is_here = (MODALITIES.get(modality).describe(s) for s in (spec, column.spec))
                raise ConfigError(
                    f"{member.name} takes {is_for}, the column {column.name!r} holds {is_here}.",
                    hint=f"Let {self.name} read the data; name it first where several models are measured.",
                )  # fmt: skip
        pairs = zip(self.members, columns, strict=True)
        return [unit(m.features(c, rows, layer or m.keeps, **options)) for m, c in pairs]

    def align(self, column: Column, rows: np.ndarray) -> list[dict[str, float]]:
        """Fit the maps of ``average`` on rows of a decoded column, for the kept layer and all whose dimensions agree.

        The map R of a member with unit vectors A (N, D), where the first member has B, is the orthogonal one that
        minimises ‖A·R − B‖: with the singular values A^T·B = U·S·V^T it is U·V^T. It keeps all angles within a member.

        Returns
        -------
        list of dict
            For every member but the first the mean cosine with the first's vectors of these rows, ``before`` and
            ``after``; empty for ``concat``, which needs no common space.

        Raises
        ------
        ConfigError
            The members' dimensions differ.
        """
        self.maps, self.agreement = {}, []
        for layer in (KEPT, *LAYERS) if self.how == "average" else ():
            first, *others = parts = self._units(column, np.asarray(rows), None if layer == KEPT else layer)
            if layer != KEPT and len({z.shape[1] for z in parts}) > 1:
                continue
            _check_dimensions(parts, layer)
            self.maps[layer] = [_rotation(z, first) for z in others]
            if layer == KEPT:
                self.agreement = [
                    {"before": float((z * first).sum(1).mean()), "after": float((z @ m * first).sum(1).mean())}
                    for z, m in zip(others, self.maps[layer], strict=True)
                ]
        return self.agreement


def _rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The orthogonal map (D, D) that brings the rows of `a` nearest to those of `b`."""
    u, _, vt = np.linalg.svd(a.astype(np.float64).T @ b.astype(np.float64))
    return np.ascontiguousarray(u @ vt, np.float32)


def _check_dimensions(parts: Sequence[np.ndarray], layer: str) -> None:
    dims = [z.shape[1] for z in parts]
    if len(set(dims)) > 1:
        raise ConfigError(
            f"vectors of {' and '.join(map(str, dims))} dimensions (layer {layer!r}) have no mean.", hint="Use concat."
        )


def _check_columns(members: Sequence[Embedder]) -> None:
    first = members[0]
    for m in members[1:]:
        named = len(first.columns) > 1 or len(m.columns) > 1
        if named and set(m.columns) != set(first.columns):
            raise ConfigError(
                f"{first.name} has the columns {', '.join(first.columns)}, {m.name} has {', '.join(m.columns)}."
            )
        for name, (modality, _) in first.columns.items():
            theirs = m.columns[_matching(m, name)][0]
            if theirs != modality:
                raise ConfigError(
                    f"{first.name} takes {modality}, {m.name} takes {theirs}: they have no input in common.",
                    hint="Members of an ensemble take the same modality.",
                )


def _matching(member: Embedder, name: str) -> str:
    """The member's column of that name; its only one, whatever it is called."""
    return name if name in member.columns else member.only_column()
