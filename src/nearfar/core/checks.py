"""Numbers that come beside the knobs."""

from __future__ import annotations

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
