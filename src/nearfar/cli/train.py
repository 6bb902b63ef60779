"""``nearfar train``."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from nearfar.cli import common, console
from nearfar.cli._pairs import columns_of, pair_option
from nearfar.core.config import assemble, knobs


def _option(section: str, f: Any) -> Any:
    """A command-line option for a knob."""
    word = f.name.replace("_", "-")
    if "bool" in str(f.type):
        off = f"/--no-{word}" if f.default == "auto" else ""
        return click.option(f"--{word}{off}", f.name, is_flag=True, default=None, help=_help(f))
    default = f.default if f.default not in ((), None, "") else None
    shown = f" [{default}]" if default is not None else ""
    return click.option(
        f"--{word}", f.name, multiple=f.default == (), default=None,
        help=_help(f) + shown, metavar=f.name.upper(),
    )  # fmt: skip


def _help(f: Any) -> str:
    unit = f", in {f.metadata['unit']}" if f.metadata["unit"] else ""
    text = f.metadata["help"]
    return f"{text[:1].upper()}{text[1:]}{unit}."


def _options(function: Any) -> Any:
    for section, f, _ in reversed([k for k in knobs() if k[1].metadata["flag"]]):
        function = _option(section, f)(function)
    return function


@click.command(short_help="Learn an embedding of pictures, text, pairs or rows.")
@click.argument("data", required=False)
@click.option("--out", type=click.Path(), help="Run folder.  [runs/NAME]")
@pair_option
@click.option(
    "--resume", is_flag=True, help="Go on from the checkpoint in --out; other options take effect or are refused."
)
@click.option("--overwrite", is_flag=True, help="Begin anew in a folder that holds a run.")
@click.option("--seeds", type=click.IntRange(1), default=None, help="Train from so many seeds, into OUT/seed0 …  [1]")
@_options
@click.option(
    "--set", "sets", multiple=True, metavar="KNOB=VALUE", help="Any other knob of `nearfar config`; repeatable."
)
@click.option(
    "--config", "file", type=click.Path(), help="Knobs from a TOML or JSON file, or from a run's config.json."
)
@click.option("--dry-run", is_flag=True, help="Say what was understood, and stop.")
@common
def command(
    data: str | None, out: str | None, pair: tuple[tuple[str, ...], ...], resume: bool,
    overwrite: bool, seeds: int | None, sets: tuple[str, ...],
    file: str | None, dry_run: bool, as_json: bool, quiet: bool, debug: bool, **flags: Any,
) -> None:  # fmt: skip
    """Learn an embedding of DATA: a folder of pictures, or a table with a column of pictures, text or numbers.

    \b
    nearfar train photos/ --out runs/photos
    nearfar train labelled/ --method supcon --epochs 50 --out runs/labelled
    nearfar train table.parquet --column image --set optim.lr=0.003
    nearfar train reviews.csv --column text --label stars
    nearfar train sentences.csv --pair english german
    nearfar train things.parquet --pair picture caption numbers
    nearfar train --resume --out runs/photos
    nearfar train photos/ --seeds 3 --out runs/three
    """
    from pathlib import Path

    from nearfar.models import loading
    from nearfar.training import resuming, train
    from nearfar.training import seeds as several

    to = console(as_json, quiet, debug)
    if data is None and not resume:
        raise click.UsageError("say what to learn from: a folder, a file, or a name on the hub.")
    if data is None and out is None:
        raise click.UsageError("say which run is to go on: --out RUN.")
    given = {k: v for k, v in flags.items() if v not in (None, ())}
    if pair:
        given["column"] = columns_of(pair)
    config, origins = assemble(file, sets, **given)
    out = str(Path("runs") / Path(str(data)).stem) if out is None else out
    said = {path: resuming.at(config, path) for path in origins} if resume else {"config": config}
    asked = {"out": out, "resume": resume, "overwrite": overwrite, "console": to, **said}
    together = (seeds or 1) > 1 or (resume and loading.is_series(out))
    if dry_run:
        plan = several.rehearse(data, seeds=seeds, **asked) if together else train.rehearse(data, **asked)
        to.result({"schema": 1, "verb": "train", "config": plan.config.as_dict(), **_said(plan)})
        return
    asked["command"] = shlex.join(["nearfar", *sys.argv[1:]])
    if together:
        _report_all(to, out, several.train_seeds(data, seeds=seeds, **asked))
        return
    trained = train.train(data, **asked)
    to.say(f"\nThe model is in {trained.path}; its curves are in {trained.path / 'report.html'}.")
    labelled = trained.plan.table.labels is not None
    to.say(f"Next: nearfar eval {shlex.quote(str(trained.path))}" + ("" if labelled else " --on LABELLED_DATA"))
    last = trained.metrics[-1] if trained.metrics else {}
    to.result(
        {"schema": 1, "verb": "train", "run": str(trained.path), "metrics": last, **_watched(trained),
         **_said(trained.plan)}
    )


def _report_all(to: Any, out: str, trained: list[Any]) -> None:
    """Say and print what training from several seeds gave."""
    places = ", ".join(str(t.path) for t in trained)
    to.say(f"\nThe models are in {places}.\nNext: nearfar eval {shlex.quote(str(out))}")
    runs = [
        {"seed": t.plan.config.train.seed, "run": str(t.path), "metrics": t.metrics[-1] if t.metrics else {},
         **_watched(t)}
        for t in trained
    ]
    to.result({"schema": 1, "verb": "train", "run": out, "runs": runs, **_said(trained[0].plan)})


def _watched(trained: Any) -> dict[str, Any]:
    """Whether training helped, where that was watched."""
    found = trained.verdict
    return {"kept": trained.kept, **({} if found is None else {"watched": found.as_dict()})}


def _said(plan: Any) -> dict[str, list[str]]:
    return {"notes": list(plan.notes), "warnings": list(plan.warnings)}
