"""What a process gets from where it is started: variables of the environment, and its parent.

Errors name the variable with what it says.
"""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path

from nearfar.core.errors import ConfigError
from nearfar.core.names import printable

SHOWN = 60  # characters of a value that messages show


def folder(variable: str) -> Path | None:
    """The folder that a variable names; None where it names none."""
    named = os.environ.get(variable)
    try:
        return Path(named).expanduser() if named else None
    except RuntimeError as e:  # the home of a user
        raise ConfigError("there is no such user.", where=said(variable)) from e


def number(variable: str, default: float, low: float, high: float = math.inf) -> float:
    """The finite number that a variable says; raises a `ConfigError` where it is none, or out of the range."""
    text = os.environ.get(variable, "").strip()
    try:
        result = float(text) if text else float(default)
    except ValueError:
        result = math.nan
    if not low <= result <= high or math.isinf(result):
        span = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise ConfigError(f"it must be a number {span}.", where=said(variable))
    return result


def whole(variable: str, default: int, low: int, high: float = math.inf) -> int:
    """The whole number that a variable says; see `number`."""
    result = number(variable, default, low, high)
    if result != int(result):
        raise ConfigError("it must be a whole number.", where=said(variable))
    return int(result)


def said(variable: str) -> str:
    """The variable with its value, for messages."""
    value = printable(os.environ.get(variable, ""))
    return f"{variable}={value if len(value) <= SHOWN else f'{value[:SHOWN]}…'}"


def end_with_parent() -> None:
    """Have this process, which another one of Python started, end when that one is gone, however it went."""
    import multiprocessing

    def follow() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
