"""``nearfar anomalies``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import given, verb
from nearfar.cli._options import encoding_options


@click.command(short_help="Find what is unusual in a long recording.")
@click.argument("run")
@click.argument("data")
@click.option(
    "--against",
    metavar="DATA",
    help="Recordings of what is usual, or earlier: the stream's own earlier windows.  [the data of the run's training]",
)
@click.option("-o", "--out", type=click.Path(), help="File to write, one row a window: .csv or .parquet.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="Number of windows to show.")
@click.option("--time", metavar="COLUMN", help="Column of times of a table.  [as in training]")
@click.option("--group", metavar="COLUMN", help="Column that names the recordings of a table.  [as in training]")
@click.option("--window", type=click.IntRange(2), help="Number of steps of a window.  [as in training]")
@click.option("--hop", type=click.IntRange(1), help="Number of steps between windows.  [an eighth of a window]")
@encoding_options
@verb
def command(**options: Any) -> Any:
    """Score every window of DATA, a long recording, by its distance to the nearest one that is known to be usual.

    A second score says how much the recording changes at the first step of the window. Shown are the most unusual
    windows; --out has all of them.

    \b
    nearfar anomalies runs/pump pump_today.csv -o scores.csv
    nearfar anomalies runs/pump pump_today.csv --against pump_last_week.csv
    """
    from nearfar.downstream.anomalies import anomalies

    return anomalies(**given(options))
