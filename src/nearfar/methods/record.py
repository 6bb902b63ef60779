"""The frozen record by which a method declares its parts. Nothing heavy is imported here.

A method is a record and one comparison function (see ``nearfar/methods``). The learner builds what the record
declares and names no method; every further piece of state is a declared part, so that checkpoints, resume and
many-process tests cover all methods by walking the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union

from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.values import alternatives, check_range, convert, declared, knob, of_kind, options, settable
from nearfar.methods.parts import Facts, Head, Mlp, Part, Twin
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
        from nearfar.core.registry import OBJECTIVES

        module = OBJECTIVES.get(self.name)
        if not hasattr(module, module.INFO.function):
            raise ConfigError(f"does not define {module.INFO.function!r}, which INFO names.", where=module.__file__)
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
        from nearfar.core.registry import OBJECTIVES

        if not isinstance(changes, str | Mapping):
            raise ConfigError(f"expected the name of an objective, got {changes!r}.", where=where)
        given = {"name": changes} if isinstance(changes, str) else dict(changes)
        name = of_kind(str, given.pop("name", self.name), f"{where}.name")
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
    takes : {"rows", "texts", "pairs", "scored pairs"}
        What it learns from: views of one column, of any kind or of text; two or more columns; two and their scores.
    positives : {"views", "labels"}
        Who belongs together: views of one row, or rows of one label too (unlabelled rows keep a group of their own).
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
    keep : {"features", "projection"}
        What `encode` gives.
    lr : float
        Default of the optimiser for a global batch of 256.
    weight_decay : float or Schedule
    """

    name: str
    idea: str
    paper: Paper | None = None
    published: tuple[Figure, ...] = ()
    expected: str = ""
    objective: Loss | str = ""
    takes: str = "rows"
    positives: str = "views"
    views: str | None = None
    own_views: bool = False
    count: int = knob(2, low=1, high=256)
    local: int = knob(0, low=0, high=256)
    projector: Head | None = field(default_factory=Mlp)
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
    wants: tuple[str, ...] = ()
    hard_negatives: bool = False
    trains: bool = True
    keep: str = knob("features", choices=("features", "projection"))
    lr: float = knob(1e-3, above=0)
    weight_decay: Number = knob(1e-4, low=0)

    def loss(self, *inputs: Any, e: Embeddings) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The objective of these inputs; it gets the method's temperature and the step as seed if it takes them."""
        known = {"temperature": self.temperature, "seed": e.step}
        more = {k: v for k, v in known.items() if v is not None and k in self.objective.accepts}
        return self.objective(*inputs, world=e.world, **more)

    def at(self, progress: float) -> Method:
        """The record with its schedules at their values once a share `progress` of the steps is done."""
        if not any(isinstance(v, Schedule) for v in (self.temperature, *self.options.values())):
            return self
        options = {k: at(v, progress) for k, v in self.options.items()}
        return replace(self, temperature=at(self.temperature, progress), options=options)

    def suited(self, facts: Facts) -> Method:
        """The record with the open numbers of its parts filled in from the data."""

        def own(part: Any) -> Any:
            return part.suited(facts) if hasattr(part, "suited") else part

        return replace(self, parts={n: own(p) for n, p in self.parts.items()}, projector=own(self.projector))

    @property
    def head(self) -> Head | None:
        """The projector that is to be built."""
        return self.projector if self.projector and self.projector.out else None

    @property
    def objective_name(self) -> str:
        """Name of the objective's module."""
        return self.objective.name if isinstance(self.objective, Loss) else self.objective

    @property
    def needs(self) -> str:
        """What a user must bring, in words."""
        found = [] if self.takes == "rows" else [self.takes]
        found += ["labels"] if self.positives == "labels" else []
        found += ["a twin"] if self.twin else []
        sizes = {name: part.size for name, part in self.parts.items() if hasattr(part, "size")}
        found += [f"{name} of {size}" if size else name for name, size in sizes.items()]
        return ", ".join([*found, *self.wants]) or "nothing more"

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


MOST = 10_000  # a whole number that an objective is given: some go over so many rounds
CITATION = ("name", "idea", "paper", "published", "expected", "takes", "wants", "hard_negatives", "trains", "own_views")
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
        if is_dataclass(value):
            values[f.name] = asdict(value)
        elif isinstance(value, Mapping):
            values[f.name] = {k: asdict(v) if is_dataclass(v) else v for k, v in value.items()}
        elif isinstance(value, tuple):
            values[f.name] = list(value)
        else:
            values[f.name] = value
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
    own = declared(type(record))
    fixed = (*CITATION[1:], *(() if isinstance(getattr(record, "objective", None), Loss) else ("objective",)))
    known = [name for name in own if name not in fixed]
    new: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise UnknownName("value", key, known, where=where)
        new[key] = _changed(*own[key], getattr(record, key), value, f"{where}.{key}")
    return replace(record, **new)


def check(record: Method) -> None:
    """Raise a `ConfigError` for numbers of a record that do not fit each other."""
    if record.local > record.count:
        raise ConfigError(f"{record.local} of {record.count} views (count) cannot be small.", where="method.local")


def _changed(f: Field[Any], hint: Any, old: Any, value: Any, where: str) -> Any:
    kinds = alternatives(hint)
    if isinstance(old, Loss):
        return old.instead(value, where)
    if Schedule in kinds or isinstance(old, Schedule):
        return _number(f, hint, old, value, where)
    if is_dataclass(old) or f.name in _PART_FIELDS:
        if value is None and type(None) in kinds:
            return None
        if not isinstance(value, Mapping):
            raise ConfigError(f"expected numbers by name, or none, got {value!r}.", where=where)
        return override(old or _PART_FIELDS[f.name](), value, where)
    if isinstance(old, Mapping):
        return _by_name(old, value, where)
    return convert(f, type(old) if hint is None else hint, value, where)


def _by_name(old: Mapping[str, Any], value: Any, where: str) -> dict[str, Any]:
    """Numbers or parts by name, some of them changed; None takes a part out."""
    for name in of_kind(dict, value, where):
        if name not in old:
            raise UnknownName("value", name, old, where=where)
    new = dict(old)
    for name, change in value.items():
        place = f"{where}.{name}"
        if not is_dataclass(old[name]) or isinstance(old[name], Schedule):
            new[name] = _number(None, Number, old[name], change, place)
        elif change is None:
            del new[name]
        else:
            new[name] = override(old[name], of_kind(dict, change, place), place)
    return new


def _number(f: Field[Any] | None, hint: Any, old: Number | None, value: Any, where: str) -> Number | None:
    """A number, or a schedule as a mapping of what differs from `old`."""
    if isinstance(value, Mapping):
        found = override(old if isinstance(old, Schedule) else Schedule(old or 0.0, old or 0.0), value, where)
    else:
        found = of_kind(Union[tuple(k for k in alternatives(hint) if k is not Schedule)], value, where)  # noqa: UP007
    for end in (found.start, found.end) if isinstance(found, Schedule) else (found,):
        check_range(f.metadata if f else {}, end, where)
    return found


def resolve(name: str, changes: Mapping[str, Any] | None = None) -> Method:
    """The method called `name` from the registry, with `changes` applied."""
    from nearfar.core.registry import METHODS

    module = METHODS.get(name)
    if module.RECORD.name != name:
        raise ConfigError(f"its record is named {module.RECORD.name!r}, and its file {name!r}.", where=module.__file__)
    found = override(module.RECORD, changes or {})
    if found.name != name:
        raise ConfigError(f"is the name of the method, {name!r}, and no number of it.", where="method.name",
                          hint="Another method is chosen by --method.")  # fmt: skip
    check(found)
    if found.count < 2 <= module.RECORD.count and found.takes in ("rows", "texts") and found.positives != "labels":
        raise ConfigError(f"{name} compares views of a row, and there is one.", where="method.count")
    return found
