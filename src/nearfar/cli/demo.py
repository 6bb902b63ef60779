"""``nearfar demo``."""

from __future__ import annotations

import click

from nearfar.cli import common, console


@click.command(short_help="Learn digits without labels; nothing to download.")
@click.option("--out", default="runs/demo", show_default=True, type=click.Path(), help="Run folder; written anew.")
@click.option("--epochs", type=click.IntRange(0), help="Fewer, to be quicker.")
@click.option("--seed", default=0, show_default=True, help="Of the training.")
@common
def command(out: str, epochs: int | None, seed: int, as_json: bool, quiet: bool, debug: bool) -> None:
    """Learn handwritten digits without labels, then see what 1, 2, 5 and 10 labels per class are worth.

    The digits ship with scikit-learn: nothing is downloaded. Takes about two minutes on two cores.
    """
    from nearfar.downstream import demo

    to = console(as_json, quiet, debug)
    evaluation, report = demo.run(out, epochs=epochs, seed=seed, console=to)
    to.say("\n" + evaluation.table())
    to.say(f"\nReport: {report}\nNext: nearfar train YOUR_PICTURES/ --out runs/yours")
    to.result(evaluation.as_dict() | {"verb": "demo", "report": str(report)})
