"""Variables of the environment: what they say, or a sentence that names the variable."""

from __future__ import annotations

import math
import os
from pathlib import Path

from nearfar.core.errors import ConfigError
from nearfar.core.names import printable

SHOWN = 60  # characters of a value that messages show


def folder(variable: str) -> Path | None:
    """The folder that a variable names; None where it names none.

    Raises
    ------
    ConfigError
        It is the home of a user that does not exist.
    """
    named = os.environ.get(variable)
    try:
        return Path(named).expanduser() if named else None
    except RuntimeError as e:
        raise ConfigError("there is no such user.", where=said(variable)) from e


def number(variable: str, default: float, low: float, high: float = math.inf) -> float:
    """The finite number that a variable says.

    Raises
    ------
    ConfigError
        It says something else, or a number beyond the bounds.
    """
    text = os.environ.get(variable, "").strip()
    try:
        found = float(text) if text else float(default)
    except ValueError:
        found = math.nan
    if not low <= found <= high or math.isinf(found):
        span = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise ConfigError(f"it must be a number {span}.", where=said(variable))
    return found


def whole(variable: str, default: int, low: int, high: float = math.inf) -> int:
    """The whole number that a variable says; see `number`."""
    found = number(variable, default, low, high)
    if found != int(found):
        raise ConfigError("it must be a whole number.", where=said(variable))
    return int(found)


def said(variable: str) -> str:
    """The variable with its value, for messages."""
    value = printable(os.environ.get(variable, ""))
    return f"{variable}={value if len(value) <= SHOWN else f'{value[:SHOWN]}…'}"
