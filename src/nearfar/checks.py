"""Numbers that come beside the knobs."""

from __future__ import annotations

from typing import Any

from nearfar.errors import ConfigError


def whole(value: Any, name: str, low: int, where: str | None = None) -> int:
    """An argument or option as a whole number of at least `low`.

    Raises
    ------
    ConfigError
        It is none.
    """
    try:
        number = int(value)
        fits = number >= low and number == float(value)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if isinstance(value, bool) or not fits:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least {low}.", where=where)
    return number
