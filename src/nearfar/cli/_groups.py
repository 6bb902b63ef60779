"""The options ``--group`` and ``--group-from``: rows that are never on two sides of a split."""

from __future__ import annotations

from typing import Any

import click


def group_options(function: Any) -> Any:
    """Both options."""
    for option in (
        click.option("--group-from", metavar="REGEX", help="The same by what this finds in each row's name."),
        click.option("--group", metavar="COLUMN", help="Column whose equal values are never on two sides of a split."),
    ):
        function = option(function)
    return function


def grouping(group: str | None, group_from: str | None) -> dict[str, str]:
    """Those that were given."""
    return {k: v for k, v in {"group": group, "group_from": group_from}.items() if v is not None}
