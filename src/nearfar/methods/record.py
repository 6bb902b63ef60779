"""The frozen record by which a method declares its parts. Nothing heavy is imported here.

A method is a record and one comparison function (see ``nearfar/methods``). The learner builds what the record
declares and names no method; every further piece of state is a declared part, so that checkpoints, resume and
many-process tests cover all methods by walking the registry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nearfar.core import values
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.values import knob, of_kind, options, settable
from nearfar.methods.parts import Facts, Head, Learnt, Mlp, Part, Twin
from nearfar.methods.schedule import Number, Schedule, at

if TYPE_CHECKING:
    import torch

    from nearfar.methods.embeddings import Compared, Embeddings


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
class Loss:
    """An objective by name, with the keyword arguments (JSON values) that differ from its defaults.

    Calling it calls the objective: ``loss(*inputs, world=…, **more) → (loss, numbers)``.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *inputs: Any, **more: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.function(*inputs, **{**self.parameters, **more})

    @cached_property  # asked for in every step
    def function(self) -> Any:
        """The objective's function."""
        from nearfar.core.registry import OBJECTIVES

        module = OBJECTIVES.get(self.name)
        if not hasattr(module, module.INFO.function):
            raise ConfigError(f"does not define {module.INFO.function!r}, which INFO names.", where=module.__file__)
        return getattr(module, module.INFO.function)

    @cached_property
    def accepts(self) -> list[str]:
        """Names of its parameters."""
        import inspect

        parameters = inspect.signature(self.function).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "world"]

    def overridden(self, changes: str | Mapping[str, Any], where: str) -> Loss:
        """Another objective for the same inputs, or other parameters.

        `changes` is a name, or a mapping of ``name``, ``parameters``, and parameters by themselves.
        """
        from nearfar.core.registry import OBJECTIVES

        if not isinstance(changes, str | Mapping):
            raise ConfigError(f"expected the name of an objective, got {changes!r}.", where=where)
        given = {"name": changes} if isinstance(changes, str) else dict(changes)
        name = of_kind(str, given.pop("name", self.name), f"{where}.name")
        if name == FORMER:  # of a run of 0.1.0, whose model does not need its loss; `check_used` refuses it
            return self
        parameters = of_kind(dict, given.pop("parameters", {}), f"{where}.parameters")
        kept = self.parameters if name == self.name else {}
        new = Loss(name, {**kept, **parameters, **given})
        if name not in OBJECTIVES:
            raise UnknownName("objective", name, OBJECTIVES, where=where)
        mine, theirs = (OBJECTIVES.get(n).INFO.takes for n in (self.name, name))
        if mine != theirs:
            fitting = [o for o in OBJECTIVES if OBJECTIVES.get(o).INFO.takes == mine]
            raise ConfigError(
                f"the objective {name!r} takes {theirs}, the method gives {mine}.", where=where,
                hint=f"These fit: {', '.join(fitting)}.",
            )  # fmt: skip
        known = [key for key in new.accepts if key in settable(new.function)]
        for key in new.parameters:
            if key not in known:
                raise UnknownName(f"parameter of {name}", key, known, where=where)
        return replace(new, parameters=options(new.function, new.parameters, where, high=MOST))


def cites(default: Any = MISSING) -> Any:
    """A field that says what a method is, and is no number of it that a user could change."""
    return field(metadata={"cites": True}) if default is MISSING else field(default=default, metadata={"cites": True})


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
    takes : {"rows", "texts", "histories", "pairs", "scored pairs"}
        What it learns from: views of one column, of any kind, of text or of what users took; two or more columns; two
        and their scores.
    positives : {"views", "labels", "teacher"}
        Who belongs together: views of one row, or rows of one label too (unlabelled rows keep a group of their own).
        "teacher": each row learns the vector that another model gives of it.
    views : str or None
        Recipe of views where the data ask for no other, such as digits, which must not be mirrored; None leaves it to
        the modality.
    own_views : bool
        The method makes no sense with other views: its recipe is taken whatever the data are.
    count, local : int
        Views per row; how many of them are small crops (a quarter of the area, which `cost` counts).
    projector, predictor : Mlp or None
    twin : Twin or None
    parts : mapping of str to Part
        Further state: memory, prototypes, centre …
    symmetric : bool
        With a twin: every view is compared with every other one's target; else all others with view 1's target.
    bn : {"together", "per view"}
        Whether batch norm sees all views of a column at once or one by one.
    bn_groups : int
        Rows of the global batch are split into so many groups that batch norm sees separately; 1 is the whole.
    shuffle : bool
        The twin's groups hold other rows than the online network's (MoCo's shuffled batch norm).
    temperature : float, Schedule or None
    options : mapping of str to float or Schedule
        Other numbers that `compare` reads.
    nested : tuple of int
        The first so many dimensions are to be an embedding by themselves, for each number (Matryoshka: Kusupati et al.
        2022, arXiv 2205.13147): the loss is the mean of that of all these and of the whole.
    wants : tuple of str
        What it needs to do well that the fields above do not say, such as negatives or a big batch.
    hard_negatives : bool
        Whether it takes hard negatives of a row, from columns or mined.
    trains : bool
        False for a reference that is measured as it is drawn.
    steps : bool
        Whether it compares the encoder's states along time (`Embeddings.steps`), which the encoder then has to give.
    keep : {"features", "projection"}
        What `encode` gives.
    lr : float
        Default of the optimiser for a global batch of 256.
    weight_decay : float or Schedule
    """

    name: str = cites()
    idea: str = cites()
    paper: Paper | None = cites(None)
    published: tuple[Figure, ...] = cites(())
    expected: str = cites("")
    objective: Loss | str = ""
    takes: str = cites("rows")
    positives: str = "views"
    views: str | None = None
    own_views: bool = cites(False)
    count: int = knob(2, low=1, high=256)
    local: int = knob(0, low=0, high=256)
    projector: Mlp | Head | None = field(default_factory=Mlp)
    predictor: Mlp | None = None
    twin: Twin | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    symmetric: bool = True
    bn: str = knob("together", choices=("together", "per view"))
    bn_groups: int = knob(1, low=1, high=65536)
    shuffle: bool = False
    temperature: Number | None = knob(None, above=0)
    options: Mapping[str, Number] = field(default_factory=dict)
    nested: tuple[int, ...] = knob((), "whole numbers such as 64,128", low=1)
    wants: tuple[str, ...] = cites(())
    hard_negatives: bool = cites(False)
    trains: bool = cites(True)
    steps: bool = cites(False)
    keep: str = knob("features", choices=("features", "projection"))
    lr: float = knob(1e-3, above=0)
    weight_decay: Number = knob(1e-4, low=0)

    def loss(self, *inputs: Any, e: Embeddings, **given: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The objective of these inputs; it gets the method's temperature, the step as seed and what else is given, if
        it takes them.
        """
        known = {"temperature": self.temperature, "seed": e.step, **given}
        more = {k: v for k, v in known.items() if v is not None and k in self.objective.accepts}
        return self.objective(*inputs, world=e.world, **more)

    def at(self, progress: float) -> Method:
        """The record with its schedules at their values once a share `progress` of the steps is done."""
        if not any(isinstance(v, Schedule) for v in (self.temperature, *self.options.values())):
            return self
        options = {k: at(v, progress) for k, v in self.options.items()}
        return replace(self, temperature=at(self.temperature, progress), options=options)

    def resolved(self, facts: Facts) -> Method:
        """The record with the open numbers of its parts filled in from the data."""

        def filled(part: Any) -> Any:
            return part.resolved(facts) if hasattr(part, "resolved") else part

        return replace(self, parts={n: filled(p) for n, p in self.parts.items()}, projector=filled(self.projector))

    @property
    def compares_negatives(self) -> bool:
        """Whether rows of the batch are negatives of each other, of which some may be left out (`Relation.within`)."""
        return self.takes == "pairs" or "negatives from the batch" in self.wants

    @property
    def head(self) -> Head | None:
        """The projector that is to be built."""
        return self.projector if self.projector and self.projector.out else None

    @property
    def objective_name(self) -> str:
        """Name of the objective's module."""
        return self.objective.name if isinstance(self.objective, Loss) else self.objective

    @property
    def learnt_temperature(self) -> str | None:
        """The part that is its temperature, or the inverse of it, where that is learnt."""
        return next((n for n in ("temperature", "scale") if isinstance(self.parts.get(n), Learnt)), None)

    @property
    def reads_temperature(self) -> bool:
        """Whether it compares at a temperature that is given, which another loss than its own need not do."""
        from nearfar.core.registry import METHODS

        if isinstance(self.objective, Loss):
            return "temperature" in self.objective.accepts
        return METHODS.get(self.name).RECORD.temperature is not None

    @property
    def needs(self) -> str:
        """What a user must bring, in words."""
        needs = [] if self.takes == "rows" else [self.takes]
        needs += [of] if (of := {"labels": "labels", "teacher": "a teacher"}.get(self.positives)) else []
        needs += ["a twin"] if self.twin else []
        sizes = {name: part.size for name, part in self.parts.items() if hasattr(part, "size")}
        needs += [f"{name} of {size}" if size else name for name, size in sizes.items()]
        return ", ".join([*needs, *self.wants]) or "nothing more"

    @property
    def cost(self) -> float:
        """Work of a step by the pixels that pass through the networks, SimCLR's two views being 1.

        A view of the online network counts three times (forward, and backward about twice that), one of the twin once;
        a small crop is a quarter of a view.
        """
        one_way = self.twin is not None and not self.symmetric
        local = min(self.local, self.count)
        online = self.count - one_way - 0.75 * local
        target = 0 if self.twin is None else 1 if one_way else self.count - local
        return (3 * online + target) / 6 if self.trains else 0.0


def compare_views(e: Embeddings, record: Method) -> Compared:
    """Whatever compares all views of a row by an objective of views: most methods' sentence."""
    return record.loss(e.online, e.relation, e=e)


FORMER = "matryoshka"  # an objective of 0.1.0, whose place `Method.nested` took
MOST = 10_000  # a whole number that an objective is given: some go over so many rounds


def as_dict(record: Method) -> dict[str, Any]:
    """The record's numbers as JSON values; its citation, and a loss that cannot be exchanged, stay in its file."""
    kept = [f.name for f in fields(record) if f.name == "name" or f.name not in _fixed(record)]
    return json.loads(json.dumps({name: getattr(record, name) for name in kept}, default=asdict))


def _fixed(record: Method) -> list[str]:
    """The fields that cannot be changed: its citation, and a loss that is the method."""
    cited = [f.name for f in fields(record) if f.metadata.get("cites")]
    return cited if isinstance(record.objective, Loss) else [*cited, "objective"]


def override(record: Method, changes: Mapping[str, Any]) -> Method:
    """The method with some values changed; `changes` is nested as `as_dict`'s result is, or a part of it."""
    fixed = [name for name in _fixed(record) if name != "name"]
    return values.override(record, changes, "method", fixed=fixed)


def resolve(name: str, changes: Mapping[str, Any] | None = None) -> Method:
    """The method called `name` from the registry, with `changes` applied.

    A temperature that is learnt is a part; as a number, ``temperature`` is where it starts.
    """
    from nearfar.core.registry import METHODS

    module = METHODS.get(name)
    if module.RECORD.name != name:
        raise ConfigError(f"its record is named {module.RECORD.name!r}, and its file {name!r}.", where=module.__file__)
    result = override(module.RECORD, changes or {})
    if result.name != name:
        raise ConfigError(f"is the name of the method, {name!r}, and not one of its numbers.", where="method.name",
                          hint="Another method is chosen by --method.")  # fmt: skip
    if isinstance(result.temperature, float) and (part := result.learnt_temperature):
        learnt = result.parts[part]
        learnt = replace(learnt, start=learnt.temperature(result.temperature))
        result = replace(result, temperature=None, parts={**result.parts, part: learnt})
    if result.local > result.count:
        raise ConfigError(f"{result.local} of {result.count} views (count) cannot be local.", where="method.local")
    if result.count < 2 <= module.RECORD.count and result.takes in ("rows", "texts") and result.positives != "labels":
        raise ConfigError(f"{name} compares views of a row, and there is one.", where="method.count")
    return result


def check_used(name: str, changes: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` where a training that begins is given what the method would not look at."""
    from nearfar.core.registry import METHODS

    record, changed = METHODS.get(name).RECORD, resolve(name, changes)
    objective = changes.get("objective")
    if FORMER in (objective, objective.get("name") if isinstance(objective, Mapping) else None):
        raise ConfigError(f"the objective {FORMER!r} is a number of the method now.", where="method.objective",
                          hint="Pass --set method.nested=64,128, for example.")  # fmt: skip
    lacks = {
        "twin": record.twin is None, "predictor": record.predictor is None,
        "temperature": not record.learnt_temperature and not changed.reads_temperature,
    }  # fmt: skip
    for key in (k for k, is_missing in lacks.items() if is_missing and changes.get(k) is not None):
        others = [m for m in METHODS if getattr(METHODS.get(m).RECORD, key) is not None]
        exchanged = record.temperature is not None and key == "temperature"
        loss = f" with the loss {changed.objective_name}" * exchanged
        raise ConfigError(f"{name}{loss} has no {key}, so it would have no effect.", where=f"method.{key}",
                          hint=f"These methods have one: {', '.join(others)}.")  # fmt: skip
