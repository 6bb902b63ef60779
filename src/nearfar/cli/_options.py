"""Options that several verbs have."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import options

BETWEEN = "\0"  # between the columns of a pair: the one character that no argument of a process can hold

group_options = options(
    click.option("--group", metavar="COLUMN",
                 help="Column that says which rows belong together. Rows of one group stay on one side of a split."),
    click.option("--group-from", metavar="REGEX",
                 help="Regular expression whose match in the name of a row is the group of the row."),
)  # fmt: skip

set_option = click.option(
    "--set", "set", multiple=True, metavar="KNOB=VALUE",
    help="Set any knob that `nearfar config` lists, such as optim.lr=0.003. Repeatable.",
)  # fmt: skip

config_option = click.option(
    "--config", type=click.Path(), help="Read knobs from a TOML or JSON file, or from the config.json of a run."
)


encoding_options = options(
    click.option("--cache/--no-cache", default=True,
                 help="Keep vectors, and take those that are kept, where that is quicker.  [--cache]"),
    click.option("--precision", type=click.Choice(["fp32", "bf16", "auto"]),
                 help="Encode in this precision.  [that of the training; of a pretrained model fp32]"),
)  # fmt: skip


class Pairing(click.Command):
    """A command with ``--pair``, which takes two columns, and more where an argument, such as DATA, precedes it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the columns of each pair to one value, since options take a fixed number of values."""
        takes = {o: p.nargs for p in self.params if isinstance(p, click.Option) and not p.is_flag for o in p.opts}
        ahead, read, preceded = list(args), [], False
        while ahead and ahead[0] != "--":
            word = ahead.pop(0)
            if word.startswith("--pair="):
                word, ahead = "--pair", [word.removeprefix("--pair="), *ahead]
            preceded |= not word.startswith("-")
            count = takes.get(word, 0)
            if word == "--pair":
                ends = (i for i, w in enumerate(ahead) if w.startswith("-") or (i == 2 and not preceded))
                count = next(ends, len(ahead))
                ahead[:count] = [BETWEEN.join(ahead[:count])] if count else []
                count = min(count, 1)
            read += [word, *ahead[:count]]
            del ahead[:count]
        return super().parse_args(ctx, read + ahead)


class _Columns(click.ParamType):
    name = "columns"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(value.split(BETWEEN))


pair_option = click.option(
    "--pair", type=_Columns(), multiple=True, metavar="A B",
    help="Two columns whose cells in one row belong together. After DATA or RUNS, more may follow. Repeatable.",
)  # fmt: skip
