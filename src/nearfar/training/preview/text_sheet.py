"""A sheet of texts: what each view keeps of them, as a page to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jinja2
import numpy as np

from nearfar.data.table import Column
from nearfar.modalities.text import tokenisers
from nearfar.modalities.text.text import text_of
from nearfar.training.distributed import World
from nearfar.training.plan.prepare import Plan
from nearfar.training.viewer import Viewer

GAP = "·"  # words left out, in plain text
WIDTH = 1000  # characters of a text that are shown whole
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Views of texts</title>
<meta name="viewport" content="width=device-width"><style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff }
h1 { font-size: 1.3rem } pre { color: #555; white-space: pre-wrap }
section { border-top: 1px solid #ddd; margin-top: 1.5rem; padding-top: .5rem }
h2 { font: .85rem monospace; color: #777; margin: 0 } p { margin: .3rem 0 } ol { padding-left: 2rem }
s { color: #bbb; text-decoration: none } .part { color: #06c } .other { color: #c50 } .moved { font-style: italic }
</style>
<h1>Texts and their random views</h1>
<p>Under each text are its views, word by word as the tokeniser sees them: kept, <span class=part>kept in part</span>,
<s>left out</s>, <span class=other>of another row</span>; in <i>italics</i> where words have moved.</p>
<pre>{{ recipe | join("\n") }}</pre>
{% for name, text, views in shown %}
<section><h2>{{ name }}</h2><p dir=auto>{{ text }}</p>
<ol>
{% for view in views %}
<li dir=auto{{ " class=moved" if view.moved }}>
{%- for w in view.words %}{{ " " if not loop.first }}
{%- if not w.kept %}<s>{{ w.text }}</s>
{%- elif w.other %}<span class=other>{{ w.text }}</span>
{%- elif w.kept < w.of %}<span class=part title="{{ w.kept }} of {{ w.of }} parts">{{ w.text }}</span>
{%- else %}{{ w.text }}{% endif %}
{% endfor %}

{% endfor %}
</ol></section>
{% endfor %}
</html>
"""


@dataclass(frozen=True)
class Word:
    """A word of a text, and how much of it a view has."""

    text: str  # as the tokeniser sees it
    kept: int  # its tokens in the view; 0 where it was left out
    of: int  # its tokens in the text
    other: bool = False  # it comes from another row


@dataclass(frozen=True)
class Seen:
    """One view of a text: its words in order, and whether that order is another than the text's."""

    words: tuple[Word, ...]
    moved: bool

    def plain(self) -> str:
        """The words that are left, with a mark for those that are not."""
        shown: list[str] = []
        for word in self.words:
            piece = word.text if word.kept else GAP
            if piece != GAP or shown[-1:] != [GAP]:
                shown.append(piece)
        return " ".join(shown)


def draw(plan: Plan, recipe: Sequence[str], *, rows: int = 8, count: int = 8) -> tuple[str, list[str]]:
    """A page of so many rows and views of each, HTML, and lines of text about the first row.

    The plan's first column holds texts; `recipe` is what is said of the views.
    """
    column = plan.table.first
    chosen = np.sort(np.random.default_rng(plan.config.train.seed).permutation(plan.train)[:rows])
    shown = [
        (plan.table.names[int(row)], column.shown(int(row), WIDTH), views)
        for row, views in zip(chosen, seen(plan, chosen, count), strict=True)
    ]
    page = _page(shown, recipe)
    if not shown:
        return page, []
    name, text, views = shown[0]
    return page, [f"{name}: {text}", *(f"  view {i}: {view.plain()}" for i, view in enumerate(views[:3], 1))]


def seen(plan: Plan, rows: np.ndarray, count: int) -> list[list[Seen]]:
    """`count` views of each of these rows of the table, as a training with this plan makes them at its first step."""
    # No transform looks at what a token means, only whether it begins a word and where nothing is. So the views are
    # made of places instead of tokens, which tells for every token of a view where it comes from.
    column = plan.table.first
    placed = replace(column, values=_Places(column.values))
    viewer = Viewer({column.name: placed}, plan.recipes, count, plan.positives, plan.config.train.seed, "cpu", World())
    views = viewer.batch(rows, 0, 0).views
    text = cache(lambda row: _text(row, column))
    length = column.spec["length"]
    return [[_view(view.values[r].numpy(), int(row), length, text) for view in views] for r, row in enumerate(rows)]


class _Places:
    """Like a column's values, with row × length + place + 1 instead of each token; signs and zeros stay."""

    def __init__(self, values: Any) -> None:
        self.values, self.shape, self.ndim, self.dtype = values, values.shape, 2, np.dtype(np.int64)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        places = rows[:, None] * self.shape[1] + np.arange(self.shape[1]) + 1
        return np.sign(np.asarray(self.values[rows]).astype(np.int64)) * places


def _text(row: int, column: Column) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The words of a text, the word at each place, and the tokens of each word."""
    ids = np.asarray(column.values[np.asarray([row])])[0]
    words = tokenisers.spelt(text_of(column.cells[row]), column.spec["tokeniser"], column.spec["length"])
    at = np.cumsum(ids > 0) - 1
    return words, at, np.bincount(at[ids != 0], minlength=len(words))


def _view(places: np.ndarray, row: int, length: int, text: Callable[[int], tuple]) -> Seen:
    """The words of a view, each where it comes first; those left out at their place where the order is the text's."""
    kept: Counter[tuple[int, int]] = Counter()
    for place in (np.abs(places[places != 0]) - 1).tolist():
        source, at = divmod(place, length)
        kept[source, int(text(source)[1][at])] += 1
    words_here = [word for source, word in kept if source == row]
    moved = words_here != sorted(words_here)
    keys, after = list(kept), 0
    if not moved and words_here:
        keys = []
        for source, word in kept:
            if source == row:
                keys += [(row, left) for left in range(after, word)]
                after = word + 1
            keys.append((source, word))
        keys += [(row, left) for left in range(after, len(text(row)[0]))]
    words = [Word(text(s)[0][w], kept[s, w], int(text(s)[2][w]), s != row) for s, w in keys]
    return Seen(tuple(words), moved)


def _page(shown: Sequence[tuple[str, str, list[Seen]]], recipe: Sequence[str]) -> str:
    template = jinja2.Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True).from_string(PAGE)
    return template.render(shown=shown, recipe=recipe)
