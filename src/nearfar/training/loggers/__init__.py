"""Loggers: further places for the lines of metrics, besides ``metrics.jsonl``; one file each.

A file defines ``logger(run)``, which gives a function of one line of metrics (a dict of numbers, ``step`` among them),
and may define ``check()``, which raises a `ConfigError` before anything is begun, such as where a library is missing.
A training that is resumed opens its loggers again; `Run.metrics` has the lines so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nearfar.core.errors import UnknownName
from nearfar.core.registry import LOGGERS
from nearfar.models.run import Run


def check(names: Sequence[str]) -> None:
    """Raise where there is no such logger (`UnknownName`), or where it cannot be used (`ConfigError`)."""
    for name in names:
        if name not in LOGGERS:
            raise UnknownName(LOGGERS.kind, name, LOGGERS, where="train.log")
        if hasattr(module := LOGGERS.get(name), "check"):
            module.check()


def opened(names: Sequence[str], run: Run | None) -> list[Callable[[dict[str, Any]], None]]:
    """The loggers of those names, which take one line of metrics at a time."""
    return [LOGGERS.get(name).logger(run) for name in names]
