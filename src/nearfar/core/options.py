"""Arguments of Python functions: those that do not exist are refused with the nearest; the columns of pairs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

from nearfar.core.errors import ConfigError, UnknownName

Function = TypeVar("Function", bound=Callable[..., Any])


def names(function: Callable[..., Any]) -> list[str]:
    """The options that a function takes by name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds and p.name != "self"]


def check(given: Iterable[str], known: Iterable[str]) -> None:
    """Raises `UnknownName` for the first of `given` that is not `known`."""
    known = list(known)
    for name in given:
        if name not in known:
            raise UnknownName("option", name, known)


def checked(function: Function) -> Function:
    """A function that refuses unknown options as `check` does, instead of with a TypeError."""
    known = names(function)

    @wraps(function)
    def call(*values: Any, **given: Any) -> Any:
        check(given, known)
        return function(*values, **given)

    return call  # type: ignore[return-value]


def columns_of(pair: Sequence[str] | Sequence[Sequence[str]]) -> list[str]:
    """The columns of ``("a", "b")``, or of several such pairs, each once, in their order.

    Raises a `ConfigError` where a column is paired with itself, or with none.
    """
    pairs = [(pair,)] if isinstance(pair, str) else [pair] if all(isinstance(c, str) for c in pair) else pair
    for columns in pairs:
        if len(columns) < 2:
            raise ConfigError(f"{columns[0]!r} is one column, and a pair has two or more.", where="--pair")
        if twice := [c for c in columns if columns.count(c) > 1]:
            raise ConfigError(f"the column {twice[0]!r} is paired with itself.", where="--pair")
    return list(dict.fromkeys(column for columns in pairs for column in columns))
