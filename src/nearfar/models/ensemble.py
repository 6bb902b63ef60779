"""Several models as one: their vectors side by side, or the mean of them in one space."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError, RunError, UnknownName
from nearfar.core.options import checked
from nearfar.core.registry import MODALITIES
from nearfar.data.objects import settled
from nearfar.data.table import Column, Table
from nearfar.models.embedder import LAYERS, Embedder
from nearfar.models.encoding import to_encode
from nearfar.models.training_rows import TrainingRows
from nearfar.vectors.basics import unit

if TYPE_CHECKING:
    import torch

    from nearfar.core.config import Config
    from nearfar.core.console import Console
    from nearfar.models.blueprint import Blueprint
    from nearfar.models.run import Run

HOW = ("concat", "average")
KEPT = "kept"  # the layer that each member keeps, which need not be the same


@dataclass(frozen=True)
class Readings(Column):
    """A column as the first member of an ensemble reads it, with what the others made of the same cells."""

    others: tuple[Column, ...] = ()


class Ensemble:
    """Several models that are used as one: whatever takes an `Embedder` takes this.

    Parameters
    ----------
    members : sequence of Embedder
        At least two, which take the same modality. Encoders, methods and stored sizes may differ: each member reads
        new data its own way.
    how : {"concat", "average"}
        ``concat`` puts the members' unit vectors side by side and scales the whole to unit length, so its cosine is
        the mean of theirs. ``average`` is the mean of unit vectors of equal dimensions. Independently trained spaces
        are turned against each other in any way, so their plain mean mixes what does not belong together: every
        member is first turned into the space of the first by the orthogonal map that brings its vectors of training
        rows nearest to the first's (Procrustes: Schönemann 1966), see `align`.
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
            if isinstance(m, Ensemble):
                raise ConfigError(f"{m.name} is an ensemble already.", hint="Name the models that it was made of.")
        _check_columns(members)
        self.members, self.how, self.maps, self.name, self.path = tuple(members), how, dict(maps or {}), name, path
        self.agreement: list[dict[str, float]] = []  # what `align` found

    def __repr__(self) -> str:
        names = f"An ensemble ({self.how}) of {', '.join(m.name for m in self.members)}."
        if self.path is None:
            return names
        return f"{names}\nThe ensemble is in {self.path}.\nNext: nearfar eval {shlex.quote(str(self.path))}"

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar ensemble --json`` prints."""
        return {"schema": 1, "verb": "ensemble", "run": self.path and str(self.path), "how": self.how,
                "members": [m.name for m in self.members], "agreement": self.agreement}  # fmt: skip

    # --- what it is -------------------------------------------------------------------------------------------

    @property
    def config(self) -> Any:
        """Of the first member."""
        return self.members[0].config

    @property
    def columns(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """Of the first member."""
        return self.members[0].columns

    @property
    def fingerprint(self) -> str:
        """Of the first member."""
        return self.members[0].fingerprint

    @property
    def training_rows(self) -> TrainingRows | None:
        """Of all members, where that is known."""
        return TrainingRows.together([m.training_rows for m in self.members])

    @property
    def device(self) -> str:
        """Where the members are."""
        return self.members[0].device

    @property
    def branches(self) -> torch.nn.Module:
        """Encoders and projectors of all members."""
        import torch

        return torch.nn.ModuleList([m.branches for m in self.members])

    def only_column(self) -> str:
        """Of the first member; see `Embedder.only_column`."""
        return self.members[0].only_column()

    def source(self) -> str:
        """What the first member was trained on; see `Embedder.source`."""
        return self.members[0].source()

    def reading(self) -> dict[str, Any]:
        """How that was read."""
        return self.members[0].reading()

    def cut(self, dimensions: int) -> Ensemble:
        """No ensemble can be cut: its first dimensions are those of one member."""
        raise ConfigError(f"{self.name} is an ensemble, whose first dimensions are those of one member.")

    def to(self, device: str) -> Ensemble:
        """This ensemble on another device."""
        for m in self.members:
            m.to(device)
        return self

    def untrained(self, seed: int | None = None) -> Ensemble:
        """The same architectures with fresh weights, not aligned."""
        fresh = [m.untrained(None if seed is None else seed + i) for i, m in enumerate(self.members)]
        return Ensemble(fresh, self.how, name="untrained encoders")

    # --- reading ----------------------------------------------------------------------------------------------

    def read(self, inputs: Any, *, column: str | None = None, **options: Any) -> Table:
        """New data as a `Table`, decoded for every member the way that it was trained. A `Table` passes through.

        Raises
        ------
        DataError
            The members cannot read the same rows.
        """
        if isinstance(inputs, Table):
            return inputs
        inputs = settled(inputs)
        name = column or self.only_column()
        table = self.members[0].read(inputs, column=name, **options)
        known = {_spec(self.columns[name][1]): table.first}
        others = []
        for member in self.members[1:]:
            own = _matching(member, name)
            key = _spec(member.columns[own][1])
            if key not in known:
                again = member.read(inputs, column=own, usual=table.first.name, **options)
                if list(again.names) != list(table.names):
                    raise DataError(
                        f"{member.name} reads {len(again):,} rows of these data and {self.members[0].name} "
                        f"{len(table):,}.", hint="Remove the rows that cannot be read.",
                    )  # fmt: skip
                known[key] = again.first
            others.append(known[key])
        first = table.first
        shared = Readings(**{f.name: getattr(first, f.name) for f in fields(Column)}, others=tuple(others))
        return replace(table, columns={**table.columns, first.name: shared})

    def _columns(self, column: Column) -> tuple[Column, ...]:
        """What each member takes of a column."""
        if isinstance(column, Readings):
            return (column, *column.others)
        shape = MODALITIES.get(column.modality).encoder_shape
        for member in self.members:
            modality, spec = member.columns[_matching(member, column.name)]
            if modality == column.modality and shape(spec) != shape(column.spec):
                is_for, is_here = (MODALITIES.get(modality).describe(s) for s in (spec, column.spec))
                raise ConfigError(
                    f"{member.name} takes {is_for}, the column {column.name!r} holds {is_here}.",
                    hint=f"Let {self.name} read the data; name it first where several models are measured.",
                )  # fmt: skip
        return (column,) * len(self.members)

    # --- using it ---------------------------------------------------------------------------------------------

    @checked
    def encode(
        self, inputs: Any, *, column: str | None = None, layer: str | None = None, normalize: bool = True,
        batch_size: int = 256, console: Console | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Vectors of new data; see `Embedder.encode`.

        Returns
        -------
        ndarray of float32, shape (N, D)
            D is the sum of the members' dimensions for ``concat``, theirs for ``average``.
        """
        table, _ = to_encode(self, inputs, column, batch_size, console)
        z = self._joined(table.first, np.arange(len(table)), layer, batch_size, console)
        return unit(z) if normalize else z

    def features(
        self, column: Column, rows: np.ndarray, layer: str = "features", *, batch_size: int = 1000,
        console: Console | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Vectors of rows of a decoded column, float32 (len(rows), D).

        Those of ``concat`` have unit length, those of ``average`` are shorter the less the members agree.
        """
        return self._joined(column, np.asarray(rows), layer, batch_size, console)

    def _joined(
        self, column: Column, rows: np.ndarray, layer: str | None, batch_size: int, console: Console | None
    ) -> np.ndarray:
        parts = self._units(column, rows, layer, batch_size=batch_size, console=console)
        if self.how == "concat":
            return np.concatenate(parts, 1) / np.float32(len(parts) ** 0.5)
        self._check_dimensions(parts, layer or KEPT)
        maps = self.maps.get(layer or KEPT)
        if self.maps and maps is None:
            raise ConfigError(f"the members of {self.name} are not aligned in the layer {layer!r}.")
        turned = parts if maps is None else [parts[0], *(z @ m for z, m in zip(parts[1:], maps, strict=True))]
        return np.mean(turned, axis=0, dtype=np.float32)

    def _units(self, column: Column, rows: np.ndarray, layer: str | None, **options: Any) -> list[np.ndarray]:
        """Unit vectors of every member."""
        return [
            unit(m.features(c, rows, layer or m.keeps, **options))
            for m, c in zip(self.members, self._columns(column), strict=True)
        ]

    def _check_dimensions(self, parts: Sequence[np.ndarray], layer: str) -> None:
        dims = [z.shape[1] for z in parts]
        if len(set(dims)) > 1:
            raise ConfigError(
                f"vectors of {' and '.join(map(str, dims))} dimensions (layer {layer!r}) have no mean.",
                hint="Use concat.",
            )

    # --- one space --------------------------------------------------------------------------------------------

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
        rows = np.asarray(rows)
        self.maps, self.agreement = {}, []
        for_mean = (KEPT, *LAYERS) if self.how == "average" else ()
        for layer in for_mean:
            first, *others = parts = self._units(column, rows, None if layer == KEPT else layer)
            if layer != KEPT and len({z.shape[1] for z in parts}) > 1:
                continue
            self._check_dimensions(parts, layer)
            self.maps[layer] = [_rotation(z, first) for z in others]
            if layer == KEPT:
                self.agreement = [
                    {"before": _agreement(z, first), "after": _agreement(z @ m, first)}
                    for z, m in zip(others, self.maps[layer], strict=True)
                ]
        return self.agreement

    # --- keeping it -------------------------------------------------------------------------------------------

    def save(self, file: Path) -> None:
        """Write all members' weights, and the maps, as one safetensors file."""
        import torch

        from nearfar.core import files
        from nearfar.models import stored

        tensors = {f"members/{i}/{k}": v for i, m in enumerate(self.members) for k, v in m.tensors().items()}
        for layer, maps in self.maps.items():
            tensors |= {f"maps/{layer}/{i}": torch.from_numpy(m) for i, m in enumerate(maps, 1)}
        files.save_tensors(file, tensors, {"made": stored.decide_together(self.how, self.members)})

    @classmethod
    def load(cls, run: Run, device: str = "auto") -> Ensemble:
        """The ensemble of a run folder, from that folder alone.

        Raises
        ------
        RunError
            It is damaged, or its weights do not fit its configuration.
        """
        from nearfar.core import devices, files
        from nearfar.core.config import Config
        from nearfar.models import branches, stored
        from nearfar.models.blueprint import Blueprint

        together, where = run.config["ensemble"], str(run.model_file)
        described = [
            (Config.from_dict(m["config"]), {n: (c["modality"], c["spec"]) for n, c in m["columns"].items()})
            for m in together["members"]
        ]
        networks = [Blueprint(partial(branches.fresh, *d), where) for d in described]
        weights, about = files.load_tensors(run.model_file, lambda header: _check(header, networks, described[0][0]))
        # of all members together, which is what is asked of an ensemble
        place = {"fingerprint": run.config["data"]["fingerprint"], "training_rows": TrainingRows.load(run.path)}
        members = [
            Embedder.filled(*d, n, _of_member(i, weights), name=m["name"], **place)
            for i, (m, d, n) in enumerate(zip(together["members"], described, networks, strict=True))
        ]
        now = stored.decide_together(together["how"], members)
        stored.check_made(about.get("made", {}), now, str(run.config_file))
        maps = {}
        for layer in (KEPT, *LAYERS):
            found = [weights.get(f"maps/{layer}/{i}") for i in range(1, len(members))]
            if all(m is not None for m in found):
                maps[layer] = [m.numpy() for m in found]
        if together["how"] == "average" and KEPT not in maps:
            raise RunError("the maps that align the members are missing.", where=where)
        made = cls(members, together["how"], maps=maps, name=run.name, path=run.path)
        return made.to(str(devices.device(device)))


def _of_member(i: int, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A member's own tensors among those of all."""
    prefix = f"members/{i}/"
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check(header: Mapping[str, torch.Tensor], networks: Sequence[Blueprint], first: Config) -> None:
    """Raise `RunError` where a file holds anything but the members' weights and the maps between their vectors."""
    import torch

    from nearfar.models.blueprint import compare, expected, widths

    left = dict(header)
    for i, n in enumerate(networks):
        prefix, own = f"members/{i}/", _of_member(i, left)
        wanted = {prefix + k: t for k, t in expected(n, own).items()}
        compare({prefix + k: left.pop(prefix + k) for k in own}, wanted, n.where)
    wanted = {}
    for layer in (KEPT, *LAYERS):
        d = left.get(f"maps/{layer}/1")
        if d is not None:
            known = widths(first, networks[0].drawn, first.method.get("keep", "features") if layer == KEPT else layer)
            side = next((w for w in known if d.shape[:1] == (w,)), known[0])
            one = torch.empty((side, side), device="meta")
            wanted |= {f"maps/{layer}/{i}": one for i in range(1, len(networks))}
    compare(left, wanted, networks[0].where)


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


def _spec(spec: Mapping[str, Any]) -> str:
    return json.dumps(spec, sort_keys=True)


def _rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The orthogonal map (D, D) that brings the rows of `a` nearest to those of `b`."""
    u, _, vt = np.linalg.svd(a.astype(np.float64).T @ b.astype(np.float64))
    return np.ascontiguousarray(u @ vt, np.float32)


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum(1).mean())
