"""``nearfar tune``."""

from __future__ import annotations

import shlex

import click

from nearfar.cli import common, console
from nearfar.cli._groups import group_options
from nearfar.core.config import assemble


@click.command(short_help="Try other learning rates, temperatures, crops and batch sizes.")
@click.argument("data")
@click.option("--budget", default="30m", show_default=True, help="Time to spend, such as 90s, 30m or 1h.")
@click.option(
    "--out", type=click.Path(), help="Config file to write (.toml or .json), or a folder for it.  [runs/NAME-tune]"
)
@click.option("--overwrite", is_flag=True, help="Write over a config file that is there.")
@click.option(
    "--vary", multiple=True, metavar="KNOB", help="lr, temperature, crop or batch; repeatable.  [all there are]"
)
@click.option("--horizon", type=click.IntRange(1), help="Epochs of a whole trial.  [an eighth of the budget]")
@click.option("--trials", type=click.IntRange(1), help="Most trials, the defaults among them.  [until the time is up]")
@click.option("--method", help="How it learns; see `nearfar methods`.  [simclr]")
@click.option("--encoder", help="Network.  [what `train` would take]")
@click.option("--recipe", help="Recipe of the views.  [what `train` would take]")
@click.option("--column", multiple=True, help="Column to embed.")
@click.option("--label", help="Column of the labels, which score the trials.")
@group_options
@click.option("--size", help="Side of the stored pictures, in pixels.")
@click.option("--epochs", help="Of the training that this is for; the horizon is no longer.")
@click.option("--seed", help="Of the search and of every training.  [0]")
@click.option("--device", help="cpu, cuda, cuda:1 …")
@click.option("--set", "sets", multiple=True, metavar="KNOB=VALUE", help="Any other knob; repeatable.")
@click.option(
    "--config", "file", type=click.Path(), help="Knobs from a TOML or JSON file, or from a run's config.json."
)
@common
def command(
    data: str, budget: str, out: str | None, overwrite: bool, vary: tuple[str, ...], horizon: int | None,
    trials: int | None, sets: tuple[str, ...], file: str | None, as_json: bool, quiet: bool, debug: bool,
    **flags: object,
) -> int:  # fmt: skip
    """Look for better numbers than the defaults on DATA, by short trainings, for as long as --budget says.

    Trials train on one part of the training rows and are scored on another: by labels where there are some, else by
    the shape of the embedding. Test rows are never read. The defaults come first; what is not clearly better than
    they are is not kept. Ctrl-C keeps what was found so far. Needs the extra: pip install "nearfar[tune]".

    \b
    nearfar tune photos/ --budget 30m --out best.toml
    nearfar train photos/ --config best.toml
    """
    from pathlib import Path

    from nearfar.training import tuning
    from nearfar.training.tuning import outcome

    to = console(as_json, quiet, debug)
    given = {k: v for k, v in flags.items() if v not in (None, ())}
    config, _ = assemble(file, sets, **given)
    out = out or str(Path("runs") / f"{Path(data).stem}-tune")
    found = tuning.tune(
        data, budget=budget, out=out, overwrite=overwrite, config=config, vary=vary, horizon=horizon, trials=trials,
        console=to,
    )  # fmt: skip
    written = outcome.target(out)
    to.say("\n" + found.table())
    again = shlex.join(["nearfar", "train", data, "--config", str(written)])
    to.say(f"\nThe config is in {written}.\nNext: {again}")
    to.result(found.as_dict() | {"out": str(written)})
    return found.search.stopped
