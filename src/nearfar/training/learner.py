"""From a batch of views to the loss: branches, heads, twin, and what a method compares. No method is named here.

N rows of the batch (this process's share), V views of each, D dimensions of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nearfar.core.errors import ConfigError, RunError
from nearfar.core.registry import METHODS
from nearfar.methods.embeddings import Compared, Embeddings, Maybe, Projections, View, ViewBatch
from nearfar.methods.parts.learnable import LearntNumber
from nearfar.methods.parts.twin import MomentumTwin
from nearfar.methods.record import Method
from nearfar.models import room
from nearfar.models.branches import Branches, Fixed
from nearfar.training.distributed import World


class Learner(nn.Module):
    """The networks of a method, and its loss on a batch.

    Parameters
    ----------
    record : Method
    encoders : mapping of str to module
        Encoder of each column; a module with ``out_features``. The same module twice is shared.
    world : World
    locked : sequence of str
        Columns whose encoder is not to change.
    fixed : mapping of str to module, and float
        The fixed features beside the encoders, by column, and their weight.
    """

    def __init__(
        self, record: Method, encoders: Mapping[str, nn.Module], world: World, locked: Sequence[str] = (),
        fixed: Fixed | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.record, self.world = record, world
        self.compare: Callable[[Embeddings, Method], Compared] = METHODS.get(record.name).compare
        head = record.head
        self.branches = Branches.of(encoders, head, fixed)
        for column in locked:
            self.branches[column].lock()
        self.dim = head.out if head else next(iter(encoders.values())).out_features
        self.predictor = record.predictor.build(self.dim) if record.predictor else None
        if record.predictor and record.predictor.out != self.dim:
            raise ConfigError(
                f"the predictor gives {record.predictor.out} dimensions, its target has {self.dim}.",
                where="method.predictor.out", hint=f"Set both to the same: method.predictor.out={self.dim}.",
            )  # fmt: skip
        self.parts = nn.ModuleDict({name: part.build(self.dim) for name, part in record.parts.items()})
        for part in self.parts.values():
            if hasattr(part, "attach"):
                part.attach(encoders)
        for branch in self.branches.values():
            branch.by_step = record.steps
        if record.nested:
            self._check_nested()
        self.twin = MomentumTwin(self.branches, record.twin.schedule) if record.twin else None
        if self.twin is not None:
            self.twin.network.drop_fixed()

    def _check_nested(self) -> None:
        r = self.record
        # A part that is as wide as the embedding (prototypes, a queue) cannot compare its first dimensions alone.
        sized = [name for name, part in self.parts.items() if not isinstance(part, LearntNumber)]
        if sized or any(m >= self.dim for m in r.nested):
            why = f"the method's {sized[0]} has all of them" if sized else f"the embedding has {self.dim} dimensions"
            raise ConfigError(f"{r.name} cannot nest {', '.join(map(str, r.nested))}: {why}.", where="method.nested")
        if r.head is not None and r.keep != "projection":
            raise ConfigError(
                "what is nested is the projection, and the features are kept.", where="method.nested",
                hint="Pass --set method.keep=projection, or take a method without a projector.",
            )  # fmt: skip

    @property
    def numbers(self) -> dict[str, float]:
        """The values of the learnt numbers among the parts, by name."""
        return {n: float(part().detach()) for n, part in self.parts.items() if isinstance(part, LearntNumber)}

    def forward(self, batch: ViewBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor], Embeddings]:
        """Loss of this process's share (its gradients, averaged over processes, are those of the whole batch)."""
        embeddings = self.embeddings(self.project(batch.views), batch)
        loss, numbers = self.loss(embeddings, batch)
        return loss, numbers, embeddings

    def loss(self, embeddings: Embeddings, batch: ViewBatch) -> Compared:
        """The method's loss and further numbers, with its schedules where they are at this step."""
        record = self.record.at(batch.progress)
        loss, numbers = self.compare(embeddings, record)
        if record.nested:
            cut = [self.compare(embeddings.cut(m), record)[0] for m in record.nested]
            loss = torch.stack([loss, *cut]).mean()
        return loss, numbers

    def project(self, views: Sequence[View], *, targets: bool = True) -> Projections:
        """Put the views through the branches, and through the twin if the method has one and `targets` is set."""
        record = self.record
        one_way = record.twin is not None and not record.symmetric
        # One way, the second view is only a target: MoCo's key.
        wanted = [v.role != "answer" and (not one_way or i != 1) for i, v in enumerate(views)]
        features, online, *along = self._through(self.branches, views, wanted)
        predicted = online
        if self.predictor is not None:
            predicted = tuple(z if z is None else self._grouped(self.predictor, [z])[0][0] for z in online)
        target: tuple[Maybe, ...] = (None,) * len(views)
        if self.twin is not None and targets:
            wanted = [v.role == "global" and (not one_way or i == 1) for i, v in enumerate(views)]
            with torch.no_grad():
                _, target, *_ = self._through(self.twin, views, wanted, shuffle=record.shuffle)
        steps, there = along or ((), ())
        return Projections(features, online, predicted, target, steps=steps, there=there)

    def embeddings(self, p: Projections, batch: ViewBatch) -> Embeddings:
        """The projections with everything else that a method compares by."""
        sides = p.target if self.twin is not None else p.online
        targets = [j for j, v in enumerate(batch.views) if sides[j] is not None and v.role == "global"]
        those = [i for i, z in enumerate(p.online) if z is not None and batch.views[i].role != "negative"]
        pairs = tuple((i, j) for j in targets for i in those if i != j)
        ignore = [v.ignore for v in batch.views if v.role == "negative"]
        return Embeddings(
            p.features, p.online, p.predicted, p.target,
            pairs=pairs, relation=batch.relation, parts=dict(self.parts.items()), world=self.world,
            index=batch.index, step=batch.step, roles=tuple(v.role for v in batch.views),
            negative_ignore=torch.stack(ignore, 1) if ignore else None, taught=batch.taught,
            answers=tuple(v.values for v in batch.views if v.role == "answer"), steps=p.steps, there=p.there,
        )  # fmt: skip

    @torch.no_grad()
    def after_step(self, embeddings: Embeddings, progress: float) -> None:
        """Move the twin and the declared parts once the optimiser has stepped; `progress` is 0 … 1."""
        if self.twin is not None:
            self.twin.follow(self.branches, progress)
        for part in self.parts.values():
            if hasattr(part, "after_step"):
                part.after_step(embeddings)

    def check_parts(self, where: str) -> None:
        """Raise `RunError` where a declared part that was loaded from the file `where` cannot be as it is."""
        for name, part in self.parts.items():
            if hasattr(part, "wrong") and (said := part.wrong()):
                raise RunError(f"{name}: {said}.", where=where, hint="The file was changed; train again.")

    def _through(
        self, network: nn.Module, views: Sequence[View], wanted: Sequence[bool], *, shuffle: bool = False
    ) -> list[tuple[Maybe, ...]]:
        """What a branch gives, each by view: one call per column and shape, or per view if batch norm asks for it."""
        calls: dict[Any, list[int]] = {}
        for i, view in enumerate(views):
            if wanted[i]:
                alone = i if self.record.bn == "per view" else None
                calls.setdefault((view.column, view.values.shape[1:], alone), []).append(i)
        nothing = (None,) * (4 if self.record.steps else 2)  # features and projection; states, and which there are
        made: list[tuple[Maybe, ...]] = [nothing] * len(views)
        for (column, _, _), members in calls.items():
            outputs = self._grouped(network, [views[i].values for i in members], column, shuffle=shuffle)
            for i, of_view in zip(members, outputs, strict=True):
                made[i] = of_view
        return list(zip(*made, strict=True))

    def _grouped(
        self, network: nn.Module, values: Sequence[torch.Tensor], *args: str, shuffle: bool = False
    ) -> list[tuple[torch.Tensor, ...]]:
        """Call `network` on several views of the same rows, each statistics group apart; the outputs by view."""
        # `bn_groups` are groups of the *global* batch: the numbers do not depend on how many processes share it.
        rows, groups = len(values[0]), max(1, self.record.bn_groups // self.world.size)
        if rows % groups:
            raise ValueError(f"{rows} rows cannot be split into {groups} equal groups for batch norm")
        order = _exchange(rows, groups).to(values[0].device) if shuffle and groups > 1 else None
        if order is not None:
            values = [v[order] for v in values]
        size = rows // groups
        by_group = []
        for start in range(0, rows, size):
            pieces = [v[start : start + size] for v in values] if groups > 1 else values
            outputs = network(torch.cat(pieces) if len(pieces) > 1 else pieces[0], *args)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            by_group.append(list(zip(*(o.split(size) for o in outputs), strict=True)))
        if groups == 1:
            return by_group[0]
        joined = [tuple(torch.cat(o) for o in zip(*view, strict=True)) for view in zip(*by_group, strict=True)]
        return joined if order is None else [tuple(o[order.argsort()] for o in view) for view in joined]


def _exchange(rows: int, groups: int) -> torch.Tensor:
    """An order in which every group holds half of its own rows and half of its neighbour's."""
    # MoCo shuffles rows among GPUs so that a query and its key never share batch statistics. That neighbouring groups
    # exchange every second row does the same, needs no communication and does not depend on the number of processes.
    order = torch.arange(rows).view(groups, -1)
    first, second = order[: groups - groups % 2 : 2, 1::2], order[1::2, 1::2]
    first[:], second[:] = second.clone(), first.clone()
    return order.flatten()


def check_room(record: Method, encoders: Mapping[str, nn.Module], world: World) -> None:
    """Raise a `ConfigError` where a learner of these, with what training keeps of it, does not fit into memory."""
    different = set(encoders.values())

    def heads() -> Learner:
        stubs = {encoder: nn.Identity() for encoder in different}  # encoders without weights, which are counted below
        for encoder, stub in stubs.items():
            stub.out_features = encoder.out_features
        return Learner(record, {column: stubs[encoder] for column, encoder in encoders.items()}, world)

    taken = sum(p.numel() for encoder in different for p in encoder.parameters())
    room.check(heads, f"{record.name} with these numbers", "method", taken, room.COPIES)
