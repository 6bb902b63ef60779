"""The frozen record by which a method declares its parts. Nothing heavy is imported here.

A method is a record and one comparison function (see ``nearfar/methods``). The learner builds what the record
declares and names no method; every further piece of state is a declared part, so that checkpoints, resume and
many-process tests cover all methods by walking the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from nearfar.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Paper:
    """Where a method was published."""

    authors: str
    year: int
    arxiv: str

    def __str__(self) -> str:
        return f"{self.authors} {self.year}, arXiv {self.arxiv}"


@dataclass(frozen=True)
class Figure:
    """A published figure with the setting that it holds for."""

    value: float
    what: str
    setting: str


@dataclass(frozen=True)
class Mlp:
    """Projector or predictor: `layers` linear layers with batch norm and ReLU between them."""

    hidden: int = 512
    out: int = 128
    layers: int = 2
    norm: bool = True
    norm_last: bool = False

    def build(self, features: int) -> torch.nn.Module:
        """The module, from `features` to `out` dimensions."""
        from nearfar.heads import mlp

        return mlp(features, self.hidden, self.out, layers=self.layers, norm=self.norm, norm_last=self.norm_last)


@dataclass(frozen=True)
class Twin:
    """A second network that follows the first: w' ← m·w' + (1 − m)·w, m rising from `momentum` to `final`."""

    momentum: float = 0.99
    final: float = 1.0


@dataclass(frozen=True)
class Loss:
    """An objective by name, with the parameters that differ from its defaults.

    Calling it calls the objective: ``loss(*inputs, world=…, **more) → (loss, numbers)``.

    Parameters
    ----------
    name : str
        Module in ``nearfar.objectives`` (or a plug-in).
    parameters : mapping of str
        Keyword arguments of its function; JSON values.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *inputs: Any, **more: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.function(*inputs, **{**self.parameters, **more})

    @cached_property  # asked for in every step
    def function(self) -> Any:
        """The objective's function."""
        from nearfar.registry import OBJECTIVES

        module = OBJECTIVES.get(self.name)
        return getattr(module, module.INFO.function)

    @cached_property
    def accepts(self) -> list[str]:
        """Names of its parameters."""
        import inspect

        found = inspect.signature(self.function).parameters.values()
        return [p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name != "world"]

    def instead(self, changes: str | Mapping[str, Any], where: str) -> Loss:
        """Another objective for the same inputs, or other parameters.

        `changes` is a name, or a mapping of ``name``, ``parameters``, and parameters by themselves.

        Raises
        ------
        UnknownName
            There is no such objective or parameter; the nearest is proposed.
        ConfigError
            The other objective takes other inputs.
        """
        from nearfar.registry import OBJECTIVES

        given = {"name": changes} if isinstance(changes, str) else dict(changes)
        name, parameters = given.pop("name", self.name), given.pop("parameters", {})
        kept = self.parameters if name == self.name else {}
        new = Loss(name, {**kept, **parameters, **given})
        mine, theirs = (OBJECTIVES.get(n).INFO.takes for n in (self.name, name))
        if mine != theirs:
            fitting = [o for o in OBJECTIVES if OBJECTIVES.get(o).INFO.takes == mine]
            raise ConfigError(
                f"the objective {name!r} takes {theirs}, the method gives {mine}.", where=where,
                hint=f"These fit: {', '.join(fitting)}.",
            )  # fmt: skip
        for key in new.parameters:
            if key not in new.accepts:
                raise UnknownName(f"parameter of {name}", key, new.accepts, where=where)
        return new


class Part(Protocol):
    """A further piece of state that a method declares, such as a memory, prototypes or a centre.

    ``build(dim)`` gives a module that keeps its state in parameters and buffers. If that module has a method
    ``after_step(embeddings)``, the learner calls it once the optimiser has stepped.
    """

    def build(self, dim: int) -> torch.nn.Module: ...


@dataclass(frozen=True)
class Memory:
    """A first-in-first-out queue of the twin's last `size` embeddings, with their groups."""

    size: int = 4096

    def build(self, dim: int) -> torch.nn.Module:
        """The queue, empty of groups that anything could be positive with."""
        from nearfar.memory import Queue

        return Queue(self.size, dim)


@dataclass(frozen=True)
class Learnt:
    """A number that is learnt, such as a temperature: ``e.parts[name]()`` gives it as a tensor ().

    CLIP (Radford et al. 2021, arXiv 2103.00020) learns τ from 0.07 on a logarithmic scale and keeps it above 0.01;
    SigLIP (Zhai et al. 2023, arXiv 2303.15343) a scale from 10 likewise, and a bias from −10 as it is.
    """

    start: float = 0.07
    low: float | None = 0.01
    high: float | None = None
    logarithmic: bool = True

    def build(self, dim: int) -> torch.nn.Module:
        """The number; it does not depend on `dim`."""
        from nearfar.learnt import LearntNumber

        return LearntNumber(self.start, self.low, self.high, logarithmic=self.logarithmic)


@dataclass(frozen=True)
class Method:
    """What a method is made of.

    Parameters
    ----------
    name, idea : str
        Name as typed; the idea in one line.
    paper : Paper
    published : tuple of Figure
        What the authors or the best peers reached, with the setting.
    expected : str
        Time and accuracy to expect here, as measured.
    objective : Loss or str
        The loss that `compare` calls as ``record.loss(…)``, which a user may exchange for another one of the same
        inputs; or, where the loss cannot be exchanged, the name of the module that says what no learning looks like.
    positives : {"views", "labels"}
        Who belongs together: views of one row, or rows of one label too (unlabelled rows keep a group of their own).
    views : str or None
        Recipe of views; None leaves it to the modality.
    count : int
        Views per row.
    projector, predictor : Mlp or None
    twin : Twin or None
    parts : mapping of str to Part
        Further state: memory, prototypes, centre …
    symmetric : bool
        With a twin: every view is compared with every other one's target; else only view 0 with target 1.
    bn : {"together", "per view"}
        Whether batch norm sees all views of a column at once or one by one.
    bn_groups : int
        Rows of the global batch are split into so many groups that batch norm sees separately; 1 is the whole.
    shuffle : bool
        The twin's groups hold other rows than the online network's (MoCo's shuffled batch norm).
    temperature : float or None
    options : mapping of str to float
        Other numbers that `compare` reads.
    keep : {"features", "projection"}
        What `encode` gives.
    lr, weight_decay : float
        Defaults of the optimiser for a global batch of 256.
    """

    name: str
    idea: str
    paper: Paper | None = None
    published: tuple[Figure, ...] = ()
    expected: str = ""
    objective: Loss | str = ""
    positives: str = "views"
    views: str | None = None
    count: int = 2
    projector: Mlp | None = field(default_factory=Mlp)
    predictor: Mlp | None = None
    twin: Twin | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    symmetric: bool = True
    bn: str = "together"
    bn_groups: int = 1
    shuffle: bool = False
    temperature: float | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    keep: str = "features"
    lr: float = 1e-3
    weight_decay: float = 1e-4

    def loss(self, *inputs: Any, world: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The objective of these inputs, at the method's temperature if it has one."""
        warm = self.temperature is not None and "temperature" in self.objective.accepts
        return self.objective(*inputs, world=world, **({"temperature": self.temperature} if warm else {}))

    @property
    def objective_name(self) -> str:
        """Name of the objective's module."""
        return self.objective.name if isinstance(self.objective, Loss) else self.objective

    @property
    def needs(self) -> str:
        """What a user must bring, in words."""
        found = ["labels"] if self.positives == "labels" else []
        found += ["twin"] if self.twin else []
        found += [f"{name} of {part.size}" for name, part in self.parts.items() if hasattr(part, "size")]
        return ", ".join(found) or "nothing more"


CITATION = ("name", "idea", "paper", "published", "expected")
_PART_FIELDS = {"projector": Mlp, "predictor": Mlp, "twin": Twin}


def as_dict(record: Method) -> dict[str, Any]:
    """The record's numbers as JSON values (its citation stays in the method's file)."""
    values = {"name": record.name}
    for f in fields(record):
        if f.name in CITATION:
            continue
        value = getattr(record, f.name)
        if f.name == "objective" and isinstance(value, str):
            continue  # it belongs to the method
        if f.name == "parts":
            values["parts"] = {name: asdict(part) for name, part in value.items()}
        elif is_dataclass(value):
            values[f.name] = asdict(value)
        else:
            values[f.name] = dict(value) if isinstance(value, Mapping) else value
    return values


def override(record: Any, changes: Mapping[str, Any], where: str = "method") -> Any:
    """The record with some values changed; `changes` is nested like `as_dict`'s result, or partly so.

    Raises
    ------
    UnknownName
        A key is no field; the nearest is proposed.
    ConfigError
        A value is not of the field's kind.
    """
    fixed = (*CITATION[1:], *(() if isinstance(getattr(record, "objective", None), Loss) else ("objective",)))
    known = [f.name for f in fields(record) if f.name not in fixed]
    new: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise UnknownName("value", key, known, where=where)
        new[key] = _changed(getattr(record, key), value, key, f"{where}.{key}")
    return replace(record, **new)


def _changed(old: Any, value: Any, key: str, where: str) -> Any:
    if isinstance(old, Loss):
        return old.instead(value, where)
    if key in _PART_FIELDS and isinstance(value, Mapping):
        return override(old or _PART_FIELDS[key](), value, where)
    if isinstance(old, Mapping) and isinstance(value, Mapping):
        for name in value:
            if name not in old:
                raise UnknownName("value", name, old, where=where)
        kept = {name: part for name, part in old.items() if value.get(name, part) is not None}
        return {
            name: override(part, value.get(name, {}), f"{where}.{name}")
            if is_dataclass(part)
            else value.get(name, part)
            for name, part in kept.items()
        }
    if old is None or value is None:
        return value
    if isinstance(old, bool) != isinstance(value, bool):
        raise ConfigError(f"{value!r} is not true or false.", where=where)
    if isinstance(old, float) and isinstance(value, int):
        return float(value)
    if not isinstance(value, type(old)):
        raise ConfigError(f"expected {type(old).__name__}, got {value!r}.", where=where)
    return value


def resolve(name: str, changes: Mapping[str, Any] | None = None) -> Method:
    """The method called `name` from the registry, with `changes` applied."""
    from nearfar.registry import METHODS

    return override(METHODS.get(name).RECORD, dict(changes or {}))
