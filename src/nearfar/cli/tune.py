"""``nearfar tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nearfar.cli import given, verb
from nearfar.cli._options import config_option, group_options, set_option


@click.command(short_help="Search for better hyperparameters by short trainings.")
@click.argument("data")
@click.option("--budget", default="30m", show_default=True, help="Time to spend, such as 90s, 30m or 1h.")
@click.option("--out", type=click.Path(), help="Config file to write, .toml or .json, or a folder.  [runs/NAME-tune]")
@click.option("--overwrite", is_flag=True, help="Replace a config file that exists.")
@click.option(
    "--vary",
    multiple=True,
    metavar="KNOB",
    help="Vary this hyperparameter: lr, temperature, crop or batch. Repeatable.  [all that apply]",
)
@click.option(
    "--horizon", type=click.IntRange(1), help="Epochs of a whole trial.  [as many as take an eighth of the budget]"
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    help="Largest number of trials, the one with the defaults included.  [no limit but the budget]",
)
@click.option("--method", help="Method to train with; see `nearfar methods`.  [that of `nearfar train`]")
@click.option("--encoder", help="Encoder to train.  [that of `nearfar train`]")
@click.option("--recipe", help="Recipe of random transforms that makes the views.  [that of `nearfar train`]")
@click.option("--column", multiple=True, help="Column to embed. Repeatable.")
@click.option("--label", help="Column that holds the labels, by which trials are scored.")
@group_options
@click.option("--size", help="Side of the stored pictures, in pixels.")
@click.option("--epochs", help="Epochs of the training that the result is for. No trial is longer.")
@click.option("--seed", help="Random seed of the search and of every training.  [0]")
@click.option("--device", help="Device to train on: cpu, cuda, cuda:1 and so on.")
@set_option
@config_option
@verb
def command(data: str, out: str | None, **options: Any) -> Any:
    """Search for better hyperparameters than the defaults on DATA, by short trainings, for as long as --budget says.

    Trials train on one part of the training rows and are scored on the rest: by the labels if there are any, else by
    label-free measures of the embedding. Test rows are never read. The defaults are tried first, and they are replaced
    only by values that are clearly better. Ctrl-C ends the search and keeps the results so far. Needs the extra: pip
    install "nearfar[tune]".

    \b
    nearfar tune photos/ --budget 30m --out best.toml
    nearfar train photos/ --config best.toml
    """
    from nearfar.training.tuning import tune

    return tune(data, out=out or str(Path("runs") / f"{Path(data).stem}-tune"), **given(options))
