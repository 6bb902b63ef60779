"""The networks of a model: an encoder and a projector for each column, as its plan says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nearfar.core import values
from nearfar.core.errors import ConfigError
from nearfar.core.randomness import derive
from nearfar.core.registry import ENCODERS, FIXED, MODALITIES
from nearfar.methods import record
from nearfar.models import columns, room

if TYPE_CHECKING:
    from nearfar.core.config import Config, ModelConfig
    from nearfar.core.registry import Registry
    from nearfar.methods.parts import Head
    from nearfar.models.columns import ColumnPlan, Kinds

Fixed = tuple[Mapping[str, nn.Module], float]
MOST = 2**20  # numbers of a row's features


def fresh(config: Config, kinds: Kinds) -> Branches:
    """Branches with weights drawn as for training with this config."""
    plans = columns.plan(config.model, kinds)
    head = record.resolve(config.model.method, config.method).head
    return Branches.of(encoders(plans, config.train.seed), head, fixed(config.model, plans))


def encoders(plans: Mapping[str, ColumnPlan], seed: int) -> dict[str, nn.Module]:
    """Fresh encoders by column, drawn from the seed; columns of one leader have the same one."""
    torch.manual_seed(derive(seed, "weights"))
    made: dict[str, nn.Module] = {}
    for name, c in plans.items():
        made[name] = made[c.leader] if c.leader in made else _built(ENCODERS, c.encoder, c.options, c)
    return made


def trained_numbers(column: ColumnPlan) -> int:
    """How many numbers training keeps of the encoder of a column, of which none is taken into memory here."""
    settle = getattr(column.entry, "settle", dict)
    variant = column.encoder.partition(":")[2]
    options = settle({"name": variant, **column.options} if variant else column.options)
    with room.unfilled():
        weights = list(_built(ENCODERS, column.encoder, options, column).parameters())
    return sum(p.numel() * (room.COPIES if p.requires_grad else 1) for p in weights)


def fixed(model: ModelConfig, plans: Mapping[str, ColumnPlan]) -> Fixed:
    """What stands beside the encoders and is not trained, by column, and its weight."""
    if model.fixed == "none":
        return {}, 1.0
    made: dict[str, nn.Module] = {}
    for name, c in plans.items():
        made[name] = made[c.leader] if c.leader in made else _built(FIXED, model.fixed, model.fixed_options, c)
    return made, float(model.fixed_weight)


def _built(of: Registry, name: str, options: Mapping[str, Any], column: ColumnPlan) -> nn.Module:
    """One encoder, its weights drawn from torch's global generator, or one kind of fixed features."""
    where = "model.fixed" if of is FIXED else "model.encoder"
    what = f"the {of.kind}"
    module, _, variant = name.partition(":")
    build, shape = of.get(module).build, MODALITIES.get(column.modality).encoder_shape(column.spec)
    takes = inspect.signature(build).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in takes.values()):  # what it has no argument for it need not know
        shape = {k: v for k, v in shape.items() if k in takes}
    given = {**shape, **({"name": variant} if variant else {}), **options}
    if taken := [k for k in shape if given[k] != shape[k]]:
        raise ConfigError(f"is {shape[taken[0]]!r}, as the data are.", where=f"{where}_options.{taken[0]}")
    given = values.options(build, given, f"{where}_options")
    # Pretrained weights are read beside the network that takes them.
    copies = 2 if given.get("pretrained") else 1
    room.check(lambda: build(**given), f"{what} {name!r}", f"{where}_options", copies=copies)
    try:
        built = build(**given)
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as e:
        raise ConfigError(f"{what} {name!r} cannot be built: {e}.", where=where) from e
    # torch builds layers of width 0 with no more than a warning, and their outputs are constant.
    empty = any(not t.numel() for t in (*built.parameters(), *built.buffers()))
    if empty or getattr(built, "out_features", 1) == 0:
        raise ConfigError(f"{what} {name!r} has a layer of width 0.", where=f"{where}_options",
                          hint="Widths and numbers of features are at least 1.")  # fmt: skip
    if (dim := getattr(built, "out_features", 1)) > MOST:
        raise ConfigError(f"{what} {name!r} gives {dim:,} numbers for a row, and {MOST:,} are the most.",
                          where=f"{where}_options")  # fmt: skip
    if not hasattr(built, "out_features"):
        raise ConfigError("the network that 'build' gives has no 'out_features'.", where=of.get(module).__file__)
    return built


class Branch(nn.Module):
    """Encoder and projector of one column, and what stands beside the encoder and is not trained.

    Parameters
    ----------
    encoder : nn.Module
    projector : nn.Module or None
    fixed : nn.Module or None
        Gives further features of the same inputs, which no loss sees.
    weight : float
        Mean length of these, as a multiple of that of the encoder's.
    """

    def __init__(
        self, encoder: nn.Module, projector: nn.Module | None, fixed: nn.Module | None = None, weight: float = 1.0
    ) -> None:
        super().__init__()
        self.encoder, self.projector, self.locked = encoder, projector or nn.Identity(), False
        self.by_step = False  # whether `forward` gives the encoder's states along time too
        self.fixed, self.weight = fixed, weight
        if fixed is not None:
            self.register_buffer("scale", torch.ones(()))

    def lock(self) -> None:
        """Keep the encoder as it is, weights and buffers: no gradient, and evaluation mode while others train."""
        self.locked = True
        self.encoder.requires_grad_(False).eval()

    @property
    def learns(self) -> list[nn.Module]:
        """What training changes."""
        return [self.projector] if self.locked else [self.encoder, self.projector]

    def train(self, mode: bool = True) -> Branch:
        """As of any module, but for an encoder that is locked."""
        super().train(mode)
        # Otherwise its batch norms would go on taking statistics, and it would drop out.
        if self.locked:
            self.encoder.eval()
        return self

    @property
    def out_features(self) -> int:
        """Dimensions of what `embed` gives."""
        return self.encoder.out_features + (self.fixed.out_features if self.fixed is not None else 0)

    def embed(self, values: torch.Tensor) -> torch.Tensor:
        """Features as they are used (N, out_features): those of the encoder, and the fixed ones beside them."""
        features = self.encoder(values)
        if self.fixed is None:
            return features
        return torch.cat([features.float(), self.scale * self.fixed(values)], 1)

    def output(self, values: torch.Tensor, layer: str) -> torch.Tensor:
        """What the "encoder" gives by itself, the "features" as they are used (`embed`), or their "projection"."""
        if layer == "features":
            return self.embed(values)
        return self.encoder(values) if layer == "encoder" else self(values)[1]

    @torch.no_grad()
    def rescale(self, values: torch.Tensor) -> None:
        """Bring the fixed features to their weight beside those of the encoder, by the mean lengths over some rows.

        One factor for all rows, so that a bag of tokens beside a bag of tokens stays one.
        """
        if hasattr(self.fixed, "follow"):
            self.fixed.follow(self.encoder)
        own, fixed = (net(values).float().norm(dim=1).mean() for net in (self.encoder, self.fixed))
        self.scale.copy_(self.weight * own / fixed.clamp(min=1e-12))

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Features of the encoder (N, D_features) and their projection (N, D).

        With `by_step` also the states that the features are pooled from, (N, T, D_steps), and which there are, (N, T).
        """
        along: tuple[torch.Tensor, ...] = ()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.locked):
            if self.by_step:
                along = self.encoder.steps(values)
                features = self.encoder.pooled(*along)
            else:
                features = self.encoder(values)
        return features, self.projector(features), *along


class Branches(nn.ModuleDict):
    """One branch per column; columns may share one.

    Parameters
    ----------
    branches : mapping of str to Branch
    same : mapping of str to str
        Columns without a branch of their own, and whose they use.
    """

    def __init__(self, branches: Mapping[str, Branch], same: Mapping[str, str] | None = None) -> None:
        super().__init__(branches)
        self.same = dict(same or {})

    @classmethod
    def of(cls, encoders: Mapping[str, nn.Module], head: Head | None, fixed: Fixed | None = None) -> Branches:
        """Branches of these encoders, each with a projector of its own; the same encoder twice is shared with it."""
        beside, weight = fixed or ({}, 1.0)
        branches: dict[str, Branch] = {}
        same: dict[str, str] = {}
        for column, encoder in encoders.items():
            like = next((c for c, b in branches.items() if b.encoder is encoder), None)
            if like is None:
                projector = head.build(encoder.out_features) if head else None
                branches[column] = Branch(encoder, projector, beside.get(column), weight)
            else:
                same[column] = like
        return cls(branches, same)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """As of any module, but a column may be called "items" or "keys", which torch refuses as names of methods."""
        self._modules[name] = module

    def __getitem__(self, column: str) -> Branch:
        return super().__getitem__(self.same.get(column, column))

    def drop_fixed(self) -> None:
        """Leave the encoders alone, as a copy of them needs no more."""
        for branch in self.values():
            branch.fixed = None

    def encoders(self) -> list[nn.Module]:
        """Every encoder once."""
        return [branch.encoder for branch in self.values()]

    def forward(self, values: torch.Tensor, column: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and projection of one column's values."""
        return self[column](values)
