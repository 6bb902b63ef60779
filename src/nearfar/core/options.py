"""Options of Python functions: those that do not exist are refused by name, with the nearest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from nearfar.core.errors import UnknownName

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
