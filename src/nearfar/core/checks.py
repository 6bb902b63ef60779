"""Arguments that come beside the knobs: numbers, and the columns of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfar.core.errors import ConfigError
from nearfar.core.values import LARGEST, NOTHING, number


def whole(value: Any, name: str, low: int, where: str | None = None, high: int = LARGEST) -> int:
    """An argument or option as a whole number of at least `low`, and no more than `high`.

    Raises
    ------
    ConfigError
        It is none.
    """
    found = number(int, value)
    if found is NOTHING or found < low:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least {low}.", where=where)
    if found > high:
        raise ConfigError(f"{name} is {value!r:.40}; it must be at most {high}.", where=where)
    return found


def columns_of(pair: Sequence[str] | Sequence[Sequence[str]]) -> list[str]:
    """The columns of ``("a", "b")``, or of several such pairs, each once, in their order.

    Raises
    ------
    ConfigError
        A column is paired with itself, or with none.
    """
    pairs = [(pair,)] if isinstance(pair, str) else [pair] if all(isinstance(c, str) for c in pair) else pair
    for columns in pairs:
        if len(columns) < 2:
            raise ConfigError(f"{columns[0]!r} is one column, and a pair has two or more.", where="--pair")
        if twice := [c for c in columns if columns.count(c) > 1]:
            raise ConfigError(f"the column {twice[0]!r} is paired with itself.", where="--pair")
    return list(dict.fromkeys(column for columns in pairs for column in columns))
