"""What a value must be, declared beside its default, and how it is changed: for the config, methods, recipes, options.

`override` is the one way in which a frozen dataclass takes other values, and `UnknownName` the one proposal for a word
that it does not have.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field, field, fields, is_dataclass, replace
from numbers import Integral
from typing import Any, Literal, TypeVar

from nearfar.core.errors import ConfigError, UnknownName

WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
LARGEST = 2**31 - 1  # of whole numbers without another bound: what every library takes
DEEPEST = 20  # tables and lists in each other
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", type(None): "none"}
NOTHING = object()
R = TypeVar("R")


def knob(default: Any, help: str = "", *, flag: bool = False, low: float | None = None, high: float | None = None,
         above: float | None = None, choices: tuple[str, ...] = (), unit: str = "",
         resumes: bool = False) -> Any:  # fmt: skip
    """A dataclass field that knows its help, range and unit; `flag` ones get a command-line option of their own.

    `resumes`: a resumed training may have another value.
    """
    metadata = {"help": help, "flag": flag, "low": low, "high": high, "above": above, "choices": choices, "unit": unit,
                "resumes": resumes}  # fmt: skip
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@functools.cache
def declared(kind: type) -> dict[str, tuple[Field[Any], Any]]:
    """The fields of a dataclass and their types, by name; the type is None where it cannot be looked up."""
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, TypeError):  # of a plug-in
        hints = {}
    return {f.name: (f, hints.get(f.name)) for f in fields(kind)}


def convert(f: Field[Any], hint: Any, value: Any, where: str) -> Any:
    """`value` (text or a JSON value) as the field's type, inside its range; raises a `ConfigError` where it is not."""
    about = f.metadata.get("help")
    result = of_kind(hint, value, where, f"It is: {about}." if about else None)
    for one in result if isinstance(result, tuple) else (result,):
        check_range(f.metadata, one, where)
    return result


def override(record: R, changes: Mapping[str, Any], where: str = "", *, fixed: Collection[str] = ()) -> R:
    """A frozen dataclass with some of its values changed, and some of the dataclasses within it.

    `changes` are values by field. A field that holds a dataclass takes a mapping of changes to that; one that holds
    dataclasses or numbers by name takes changes to names that it has, and None to remove a dataclass; one of the type
    ``dict[str, Any]`` is replaced by any table; an object with a method ``overridden(value, where)`` decides for
    itself; any other value is converted to the field's type, and must be in its range. `where` is what the record is
    called in errors; `fixed` fields cannot be changed.
    """
    known = {name: own for name, own in declared(type(record)).items() if name not in fixed}
    new = {}
    for key, value in changes.items():
        if key not in known:
            raise UnknownName("value", key, known, where=where or None)
        new[key] = _overridden(*known[key], getattr(record, key), value, f"{where}.{key}" if where else key)
    return replace(record, **new)  # type: ignore[type-var]


def _overridden(f: Field[Any] | None, hint: Any, old: Any, value: Any, where: str) -> Any:
    """One value of `override`, decided by what the field may hold and by what it holds."""
    kinds, value = alternatives(hint), scalar(value)
    if hasattr(old, "overridden"):
        return old.overridden(value, where)
    if value is None and type(None) in kinds:
        return None
    inner = [old] if is_dataclass(old) else [k for k in kinds if is_dataclass(k)]
    # where a schedule or a number may stand, a mapping changes the schedule, and all else is the number
    number = any(k in (int, float) for k in kinds)
    if inner and (isinstance(value, Mapping) or not number):
        if not isinstance(value, Mapping):
            raise ConfigError(f"expected values by name, or none, got {value!r}.", where=where)
        # a number that becomes a schedule is where that starts
        base = old if is_dataclass(old) else inner[0].of(old) if hasattr(inner[0], "of") else inner[0]()
        result = override(base, value, where)
        for one in getattr(result, "ends", ()) if f else ():  # of a schedule: in the range of the number
            check_range(f.metadata, one, where)
        return result
    if isinstance(old, Mapping) and typing.get_args(hint)[1:] != (Any,):
        return _by_name(typing.get_args(hint)[1] if typing.get_args(hint) else None, old, value, where)
    if isinstance(old, Mapping):
        return of_kind(dict, plain(value, where), where)
    simple = tuple(k for k in kinds if not is_dataclass(k))
    hint = type(old) if hint is None else typing.Union[simple]  # noqa: UP007 - built from a tuple
    return convert(f, hint, value, where) if f else of_kind(hint, value, where)


def _by_name(hint: Any, old: Mapping[str, Any], value: Any, where: str) -> dict[str, Any]:
    new = dict(old)  # a part that is not named stays, unlike in a table of keyword arguments
    for name, change in of_kind(dict, value, where).items():
        if name not in old:
            raise UnknownName("value", name, old, where=where)
        if change is None and not isinstance(old[name], int | float) and float not in alternatives(hint):
            del new[name]
        else:
            new[name] = _overridden(None, hint, old[name], change, f"{where}.{name}")
    return new


def of_kind(hint: Any, value: Any, where: str, about: str | None = None) -> Any:
    """`value` (text or a JSON value) as one of the types of `hint`; raises a `ConfigError` where it is none."""
    options = alternatives(hint)
    if type(None) in options and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    for option in options:
        if (result := _as(option, value)) is not NOTHING:
            return result
    wanted = " or ".join(filter(None, (_in_words(o) for o in options)))
    raise ConfigError(f"{value!r} is not {wanted}.", where=where, hint=about)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a hint allows."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def _as(kind: Any, value: Any) -> Any:
    """`value` as a `kind`, or `NOTHING`."""
    origin, value = typing.get_origin(kind), scalar(value)
    if origin is Literal:
        return value if isinstance(value, str) and value in typing.get_args(kind) else NOTHING
    if origin in (tuple, list, Sequence):
        args = typing.get_args(kind)
        items = _sequence(args[0] if args else None, value)
        exact = origin is tuple and args[-1] is not ...
        return NOTHING if exact and items is not NOTHING and len(items) != len(args) else items
    if origin in (dict, Mapping) or kind in (dict, Mapping):
        return dict(value) if isinstance(value, Mapping) else NOTHING
    if kind is bool:
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower(), NOTHING)
    if kind is str:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        return value if isinstance(value, str) and "\0" not in value else NOTHING
    if kind in (int, float):
        return number(kind, value)
    return NOTHING


def _sequence(kind: Any, value: Any) -> Any:
    """A tuple: words that stand apart by commas or spaces, or items that each are a `kind`."""
    if isinstance(value, str):
        value = [v for v in re.split(r"[,\s]+", value) if v]
    elif kind in (int, float) and isinstance(value, int | float):
        value = [value]
    if not isinstance(value, list | tuple):
        return NOTHING
    if kind is str:
        value = [str(v) if isinstance(v, int | float) else v for v in map(scalar, value)]
    items = tuple(_as(kind, v) if kind else v for v in value)
    return NOTHING if NOTHING in items else items


def number(kind: type, value: Any) -> Any:
    """A number, or text in digits, as an int or a float; `NOTHING` where it is none."""
    value = scalar(value)
    if isinstance(value, bool | bytes) or (isinstance(value, str) and (not value.isascii() or "_" in value)):
        return NOTHING
    try:
        if kind is int and (isinstance(value, Integral) or (isinstance(value, str) and WHOLE.fullmatch(value))):
            return int(value)  # a float would round a large one
        result = float(value)
        return result if kind is float else int(result) if result == int(result) else NOTHING
    except (TypeError, ValueError, OverflowError):
        return NOTHING


def whole(value: Any, name: str, low: int, where: str | None = None, high: int = LARGEST) -> int:
    """An argument or option as a whole number from `low` to `high`; raises a `ConfigError` where it is none."""
    result = number(int, value)
    if result is NOTHING or result < low:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least {low}.", where=where)
    if result > high:
        raise ConfigError(f"{name} is {value!r:.40}; it must be at most {high}.", where=where)
    return result


def check_range(m: Mapping[str, Any], value: Any, where: str) -> None:
    """Raise a `ConfigError` or `UnknownName` where a value is not among the choices, or not finite and in the range."""
    if m.get("choices") and value not in m["choices"]:
        raise UnknownName("choice", value, m["choices"], where=where)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    low, high, above = m.get("low"), m.get("high"), m.get("above")
    if high is None and isinstance(value, int) and value > LARGEST:
        high = LARGEST
    within = (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)
    if not within or value in (math.inf, -math.inf) or value != value:
        words = {"above": above, "at least": low, "at most": high}
        span = " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)
        finite = isinstance(value, float) and not math.isfinite(value)
        more = f"{' and ' * bool(span)}finite" if finite and high is None else ""
        raise ConfigError(f"{value!s:.40} is out of range; it must be {span}{more}.", where=where)


def _in_words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return " or ".join(repr(a) for a in typing.get_args(kind))
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin not in (tuple, list, Sequence):
        return WORDS.get(kind, "a table")
    items = {int: "whole numbers", float: "numbers"}.get(args[0], "words")
    return f"{len(args)} {items}" if origin is tuple and args[-1] is not ... else f"a list of {items}"


def scalar(value: Any) -> Any:
    """A number of numpy or torch as Python's own."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """A value from Python or a file as one that JSON holds; raises a `ConfigError` where there is none."""
    value = scalar(value)
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if depth > DEEPEST:
        raise ConfigError(f"tables and lists lie more than {DEEPEST} deep in each other.", where=where)
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {k: plain(v, f"{where}.{k}", depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, where, depth + 1) for v in value]
    if isinstance(value, bool | None) or (isinstance(value, str) and "\0" not in value):
        return value
    if isinstance(value, int | float):
        check_range({}, value, where)
        return value
    raise ConfigError(f"{value!r} is not a number, word, list or table.", where=where)


def options(
    function: Callable[..., Any], given: Mapping[str, Any], where: str, *, high: int | None = None
) -> dict[str, Any]:  # fmt: skip
    """The options of a function as the types that it declares; those that it does not name are left as they are.

    Whole numbers are from 0 to `high`, other numbers finite; what is not raises a `ConfigError`.
    """
    kinds, result = settable(function), dict(given)
    for key in [k for k in given if k in kinds]:
        place = f"{where}.{key}"
        result[key] = value = of_kind(kinds[key], given[key], place)
        for one in value if isinstance(value, tuple) else (value,):
            check_range({"low": 0, "high": high} if isinstance(one, int) else {}, one, place)
    return result


SIMPLE = (bool, int, float, str, dict, type(None))


@functools.cache
def settable(function: Callable[..., Any]) -> dict[str, Any]:
    """The simple types of the arguments of a function or class; that of the default where no type is written."""
    made = function.__init__ if isinstance(function, type) else function
    found, known = {}, inspect.unwrap(made).__globals__
    for name, p in inspect.signature(function).parameters.items():
        alone = types.SimpleNamespace(__annotations__={} if p.annotation is p.empty else {name: p.annotation})
        try:
            kinds = alternatives(typing.get_type_hints(alone, known)[name])
        except (NameError, TypeError, LookupError):  # imported for the type checker alone, or nothing is written
            kinds = (type(p.default),)
        simple = [k for k in kinds if k in SIMPLE or all(a in (*SIMPLE, Any, ...) for a in typing.get_args(k) or [k])]
        if any(k is not type(None) for k in simple) and p.kind is not p.VAR_KEYWORD:
            found[name] = typing.Union[tuple(simple)]  # noqa: UP007
    return found
