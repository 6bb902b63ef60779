"""What a method can be made of: heads, a twin, and further state. Nothing heavy is imported here.

A record declares its parts as the frozen dataclasses below; ``build`` gives the module, which lies in the file beside
that it imports. The embeddings that modules get and give are (N, D).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from nearfar.core.values import knob
from nearfar.methods.schedule import Schedule

if TYPE_CHECKING:
    import torch

WIDEST = 2**20  # dimensions of a layer


class Head(Protocol):
    """What comes after the encoder and is left out again when the model is used; `Mlp` is the usual one."""

    out: int

    def build(self, features: int) -> torch.nn.Module: ...


class Part(Protocol):
    """A further piece of state that a method declares, such as a memory, prototypes or a centre.

    ``build(dim)`` gives a module that keeps its state in parameters and buffers. If that module has a method
    ``after_step(embeddings)``, the learner calls it once the optimiser has stepped. ``attach(encoders)``, called when
    it is built, hands it the encoders by column, which are to be no modules of its own. A method ``wrong()`` says in
    words what cannot be in numbers that were loaded, or None. A part whose shape depends on the data has a method
    ``resolved(facts)``, which gives the same part with its open numbers (None) filled in.
    """

    def build(self, dim: int) -> torch.nn.Module: ...


@dataclass(frozen=True)
class Facts:
    """What a part may have to know of the data and of the networks."""

    rows: int
    train_rows: int
    classes: int
    steps_per_epoch: int
    encoders: int = 1


@dataclass(frozen=True)
class Mlp:
    """Projector or predictor: `layers` linear layers with batch norm and ReLU between them."""

    hidden: int = knob(512, low=1, high=WIDEST)
    out: int = knob(128, low=0, high=WIDEST)
    layers: int = knob(2, low=1, high=100)
    norm: bool = True
    norm_last: bool = False

    def build(self, features: int) -> torch.nn.Module:
        from nearfar.methods.parts.heads import mlp

        return mlp(features, self.hidden, self.out, layers=self.layers, norm=self.norm, norm_last=self.norm_last)


@dataclass(frozen=True)
class Meeting:
    """A projector where it is needed: a linear layer to `out` dimensions if columns have encoders of their own.

    One encoder for all columns gives one space already. `out` is 0 then, and None before that is known.
    """

    out: int | None = knob(None, low=0, high=WIDEST)
    usual: int = knob(256, low=1, high=WIDEST)

    def resolved(self, facts: Facts) -> Meeting:
        return self if self.out is not None else replace(self, out=self.usual if facts.encoders > 1 else 0)

    def build(self, features: int) -> torch.nn.Module:
        from nearfar.methods.parts.heads import mlp

        return mlp(features, 0, self.out, layers=1)


@dataclass(frozen=True)
class Twin:
    """A second network that follows the first: w' ← m·w' + (1 − m)·w, m rising from `momentum` to `final`."""

    momentum: float = knob(0.99, low=0, high=1)
    final: float = knob(1.0, low=0, high=1)

    @property
    def schedule(self) -> Schedule:
        """m over the steps."""
        return Schedule(self.momentum, self.final)


@dataclass(frozen=True)
class Memory:
    """A first-in-first-out queue of the last `size` embeddings, with their groups: the twin's, or the online ones."""

    size: int = knob(4096, low=1, high=2**24)
    side: str = knob("target", choices=("target", "online"))

    def build(self, dim: int) -> torch.nn.Module:
        from nearfar.methods.parts.queue import Queue

        return Queue(self.size, dim, self.side)


@dataclass(frozen=True)
class Prototypes:
    """`size` directions that are learnt; calling the part with embeddings (N, D) gives their cosines (N, size)."""

    size: int = knob(512, low=1, high=WIDEST)

    def build(self, dim: int) -> torch.nn.Module:
        from nearfar.methods.parts.heads import Directions

        return Directions(dim, self.size)


@dataclass(frozen=True)
class Learnt:
    """A number that is learnt, such as a temperature: ``e.parts[name]()`` gives it as a tensor ().

    CLIP (Radford et al. 2021, arXiv 2103.00020) learns τ from 0.07 on a logarithmic scale and keeps it above 0.01.
    """

    start: float = 0.07
    low: float | None = 0.01
    high: float | None = None
    logarithmic: bool = True

    def build(self, dim: int) -> torch.nn.Module:
        from nearfar.methods.parts.learnable import LearntNumber

        return LearntNumber(self.start, self.low, self.high, logarithmic=self.logarithmic)

    def temperature(self, number: float) -> float:
        """The temperature that a value of the number stands for; and the value that stands for a temperature."""
        return number


@dataclass(frozen=True)
class LearntScale(Learnt):
    """The inverse of a learnt temperature: SigLIP's (Zhai et al. 2023, arXiv 2303.15343), which starts at 10."""

    start: float = 10.0
    low: float | None = None
    high: float | None = 100.0

    def temperature(self, number: float) -> float:
        return 1 / number


@dataclass(frozen=True)
class Items:
    """The table of the items that the encoder knows; of more than `drawn` so many are drawn in each step."""

    drawn: int = knob(16384, low=1, high=2**24)
    power: float = knob(0.75, low=0, high=1)

    def build(self, dim: int) -> torch.nn.Module:
        from nearfar.methods.parts.items import ItemTable

        return ItemTable(self.drawn, self.power)
