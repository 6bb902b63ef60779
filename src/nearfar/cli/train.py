"""``nearfar train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nearfar.cli import given, options, typed, verb
from nearfar.cli._options import Pairing, config_option, pair_option, set_option
from nearfar.core.config import knobs

# What stands for a value in the help, where the name of the knob does not say it.
VALUES = {"group_from": "REGEX", "missing": "CELL", "init_from": "MODEL", "log": "LOGGER"}
VALUES |= dict.fromkeys(("column", "negative", "label", "score", "group", "within"), "COLUMN")


def _knob(f: Any) -> Any:
    """The option of a knob."""
    word, about = f.name.replace("_", "-"), f.metadata["help"]
    unit = f", in {f.metadata['unit']}" if f.metadata["unit"] else ""
    text = f"{about[:1].upper()}{about[1:]}{unit}{'' if about.endswith('…') else '.'}"
    if "bool" in str(f.type):
        off = f"/--no-{word}" if f.default == "auto" else ""
        return click.option(f"--{word}{off}", f.name, is_flag=True, default=None, help=text)
    shown = f"  [{f.default}]" if f.default not in ((), None, "") else ""
    # no default here: what was not given must not hide what --config says
    return click.option(f"--{word}", f.name, multiple=f.default == (), help=text + shown,
                        metavar=VALUES.get(f.name, f.name.upper()))  # fmt: skip


@click.command(cls=Pairing, short_help="Learn an embedding of pictures, texts, numbers or pairs.")
@click.argument("data", required=False)
@click.option("--out", type=click.Path(), help="Folder to write the run to.  [runs/NAME]")
@pair_option
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in --out from its checkpoint. Options given beside it take effect or are refused.",
)
@click.option("--overwrite", is_flag=True, help="Replace the run that --out already holds.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    help="Train this many times, from consecutive seeds, into OUT/seed0, OUT/seed1 and so on.  [1]",
)
@options(*(_knob(f) for _, f, _ in knobs() if f.metadata["flag"]))
@set_option
@config_option
@click.option(
    "--dry-run", is_flag=True, help="Read the data, check all options, print what a training would do, and stop."
)
@verb
def command(data: str | None, out: str | None, resume: bool, **rest: Any) -> Any:  # fmt: skip
    """Learn an embedding of DATA: a folder of pictures, or a table with a column of pictures, texts or numbers.

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
    from nearfar.training.verb import train

    if data is None and not resume:
        raise click.UsageError("name the data to learn from: a folder, a file, or a data set on the hub.")
    if data is None and out is None:
        raise click.UsageError("name the run to continue: --out RUN.")
    out = out or str(Path("runs") / Path(str(data)).stem)
    return train(data, out=out, resume=resume, command=typed(), **given(rest))
