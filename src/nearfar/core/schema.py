"""What a file may hold that is read back: type hints are the schemas, and `fits` is the one check of them.

A hint is ``int``, ``float``, ``str``, ``bool``, ``None``, ``Any``, a ``Literal``, a union, a list, a ``dict[str, …]``,
a ``TypedDict`` (beside what writes it) or a dataclass; ``Annotated`` adds limits: ``Annotated[int, within(1, 64)]``.
Numbers are finite, and nothing is nested more than `DEEPEST` times. Keys that a ``TypedDict`` does not have are let be,
as those of a later version, unless it is `CLOSED`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import reprlib
import typing
from collections.abc import Callable
from typing import Any, Literal, NotRequired

from nearfar.core import values
from nearfar.core.errors import ConfigError, RunError, UserError, nearest

DEEPEST = 64  # a file holds a config (`values.DEEPEST`) within other tables
LARGEST = 2**63 - 1  # of whole numbers without another bound: a seed has 63 bits, which no other knob has
CLOSED = "closed"  # a TypedDict whose keys are all that there may be
WORDS = {**values.WORDS, str: "text", type(None): "null"}  # of JSON, where a config's are of TOML
KINDS = {int: int, float: (int, float), bool: bool, str: str, type(None): type(None)}

Limit = Callable[[Any], str | None]  # how a value of the right type has to be, where it is not so


@dataclasses.dataclass(frozen=True)
class By:
    """Beside a table in ``Annotated``: a further hint that it has to fit, which follows from what it says."""

    choose: Callable[[dict[str, Any]], Any]


class _Misfit(Exception):
    """The place that does not fit, and why."""


def fits(value: Any, hint: Any, where: str, key: str = "", *, error: type[RunError | ConfigError] = RunError) -> None:
    """Raise an `error` where a JSON value does not fit a hint; it says the file, the key in it and what is expected."""
    try:
        _check(value, hint, key, DEEPEST)
    except _Misfit as e:
        raise error(str(e), where=where) from None


def within(low: float, high: float = LARGEST) -> Limit:
    """Numbers from `low` to `high`."""
    words = f"of at least {low}" if high == LARGEST else f"from {low} to {high}"
    return lambda value: None if low <= value <= high else words


def above(low: float) -> Limit:
    """Numbers that are larger."""
    return lambda value: None if value > low else f"above {low}"


def long(least: int, most: int = LARGEST) -> Limit:
    """Lists, tables and texts with so many parts."""
    words = f"of at least {least}" if most == LARGEST else f"of {least} to {most}"
    return lambda value: None if least <= len(value) <= most else words


def as_many(count: str, *keys: str) -> Limit:
    """Tables in which the lists called so are as long as the number `count` says."""

    def wrong(value: dict[str, Any]) -> str | None:
        other = next((k for k in keys if k in value and len(value[k]) != value[count]), None)
        return other and f"in which {other} has {value[count]} values, as {count} says"

    return wrong


def shown(value: Any) -> str:
    """A value of JSON in a sentence: short."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else f"a list of {len(value):,}"
    return json.dumps(value) if value is None or isinstance(value, bool) else reprlib.repr(value)


def _check(value: Any, hint: Any, key: str, left: int) -> None:
    base, limits = _parts(hint)
    _check_base(value, base, key, left, closed=CLOSED in limits)
    for limit in limits:
        if isinstance(limit, By):
            try:
                chosen = limit.choose(value)
            except UserError as e:
                raise _Misfit(f"{key}: {e.message}{f' {e.hint}' * bool(e.hint)}") from e
            _check(value, chosen, key, left)
        elif limit != CLOSED and (words := limit(value)):
            raise _misfit(value, f"{_in_words(base)} {words}", key)


def _check_base(value: Any, base: Any, key: str, left: int, *, closed: bool) -> None:
    origin = typing.get_origin(base)
    if base is Any:
        _check_any(value, key, left)
    elif base in KINDS:
        _check_plain(value, base, key)
    elif origin is Literal:
        if value not in typing.get_args(base) or isinstance(value, bool):
            raise _misfit(value, " or ".join(map(shown, typing.get_args(base))), key)
    elif len(options := values.alternatives(base)) > 1:
        _check_union(value, options, key, left)
    elif origin is list:
        if not isinstance(value, list):
            raise _misfit(value, "a list", key)
        for i, item in enumerate(value):
            _check(item, *typing.get_args(base), f"{key}[{i}]", left - 1)
    elif not isinstance(value, dict):  # all else is one
        raise _misfit(value, "a table", key)
    elif origin is dict:
        for name, item in value.items():
            _check(item, typing.get_args(base)[1], _joined(key, name), left - 1)
    else:
        _check_fields(value, base, key, left, closed=closed)


def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A hint without its limits, and those."""
    if typing.get_origin(hint) is typing.Annotated:
        base, *limits = typing.get_args(hint)
        return base, tuple(limits)
    return type(None) if hint is None else hint, ()


def _check_plain(value: Any, kind: type, key: str) -> None:
    fit = isinstance(value, KINDS[kind]) and (kind is bool or not isinstance(value, bool))
    if fit and kind in (int, float):
        fit = math.isfinite(value) if isinstance(value, float) else abs(value) <= 2 * LARGEST + 1
    if not fit:
        finite = "" if kind is not float else " that is finite" if isinstance(value, float) else ""
        raise _misfit(value, WORDS[kind] + finite, key)


def _check_union(value: Any, options: tuple[Any, ...], key: str, left: int) -> None:
    """One of the options fits; where one alone is of the value's kind, what is wrong is told by it."""
    failed: list[_Misfit] = []
    for option in options:
        try:
            return _check(value, option, key, left)
        except _Misfit as e:
            failed.append(e)
    inner = [o for o in options if _parts(o)[0] not in KINDS]
    if len(inner) == 1 and isinstance(value, dict | list):
        raise failed[options.index(inner[0])]
    raise _misfit(value, " or ".join(_in_words(_parts(o)[0]) for o in options), key)


def _check_fields(value: dict[str, Any], base: Any, key: str, left: int, *, closed: bool) -> None:
    hints, required = _fields(base)
    for name in required:
        if name not in value:
            raise _Misfit(f"{_joined(key, name)} is missing.")
    for name, item in value.items():
        if name not in hints and (closed or dataclasses.is_dataclass(base)):
            near = nearest(name, hints, 1)
            raise _Misfit(f"{_joined(key, name)} is unknown.{f' Did you mean {near[0]!r}?' if near else ''}")
        _check(item, hints.get(name, Any), _joined(key, name), left - 1)


@functools.cache
def _fields(base: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The hints of a TypedDict or dataclass, and the keys that must be there."""
    hints = typing.get_type_hints(base, include_extras=True)
    if dataclasses.is_dataclass(base):
        unset = dataclasses.MISSING
        needed = [f.name for f in dataclasses.fields(base) if f.default is unset and f.default_factory is unset]
        return hints, tuple(needed)
    needed = [n for n, h in hints.items() if typing.get_origin(h) is not NotRequired]
    return {n: typing.get_args(h)[0] if n not in needed else h for n, h in hints.items()}, tuple(needed)


def _check_any(value: Any, key: str, left: int) -> None:
    if left < 0:
        raise _Misfit(f"{key[:60]} is nested more than {DEEPEST} deep.")
    if isinstance(value, dict):
        for name, item in value.items():
            _check_any(item, _joined(key, name) if left > DEEPEST - 4 else key, left - 1)
    elif isinstance(value, list):
        for item in value:
            _check_any(item, key, left - 1)
    elif type(value) in KINDS:
        _check_plain(value, type(value), key)


def _misfit(value: Any, wanted: str, key: str) -> _Misfit:
    return _Misfit(f"{key or 'what it holds'} is {shown(value)}; it must be {wanted}.")


def _joined(key: str, name: str) -> str:
    short = name if len(name) <= 40 else f"{name[:40]}…"
    return f"{key}.{short}" if key else short


def _in_words(base: Any) -> str:
    if base in WORDS:
        return WORDS[base]
    if typing.get_origin(base) is Literal:
        return " or ".join(map(shown, typing.get_args(base)))
    return "a list" if typing.get_origin(base) is list else "a table"
