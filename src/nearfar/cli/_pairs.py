"""The option ``--pair A B [C …]``: columns that are sides of a row."""

from __future__ import annotations

from typing import Any

import click


class _Pair(click.Option):
    """Two words, and those after them up to the next option where something else was named before."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser hand over as many words as there are."""
        super().add_to_parser(parser, ctx)
        option = parser._long_opt["--pair"]
        plain = option.process

        def process(value: Any, state: Any) -> None:
            words = list(value)
            while state.largs and state.rargs and not state.rargs[0].startswith("-"):
                words.append(state.rargs.pop(0))
            plain(tuple(words), state)

        option.process = process

    def type_cast_value(self, ctx: click.Context, value: Any) -> tuple[tuple[str, ...], ...]:
        """The words of each use, of any number."""
        return tuple(tuple(map(str, words)) for words in value or ())


def pair_option(function: Any) -> Any:
    """``--pair``, repeatable; name the data before it where more than two columns follow."""
    text = "Columns that are sides of a row, two or, after DATA, more; repeatable."
    return click.option("--pair", cls=_Pair, nargs=2, multiple=True, metavar="A B", help=text)(function)


def columns_of(pairs: tuple[tuple[str, ...], ...]) -> list[str]:
    """The columns of all pairs, each once, in their order.

    Raises
    ------
    ConfigError
        A column is paired with itself, or with none.
    """
    from nearfar.core.errors import ConfigError

    for words in pairs:
        if any(w.startswith("--") for w in words):
            raise ConfigError(f"{words[0]!r} is one column, and a pair has two or more.", where="--pair")
        if twice := [w for w in words if words.count(w) > 1]:
            raise ConfigError(f"the column {twice[0]!r} is paired with itself.", where="--pair")
    return list(dict.fromkeys(sum(pairs, ())))
