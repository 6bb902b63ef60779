"""A sheet of texts: what each view keeps of them, as a page to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core import files
from nearfar.data.table import Column
from nearfar.modalities.text import tokenisers
from nearfar.training.distributed import World
from nearfar.training.plan.prepare import Plan
from nearfar.training.viewer import Viewer

GAP = "·"  # words left out, in plain text
WIDTH = 1000  # characters of a text that are shown whole
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff }
h1 { font-size: 1.3rem } pre { color: #555; white-space: pre-wrap }
section { border-top: 1px solid #ddd; margin-top: 1.5rem; padding-top: .5rem }
h2 { font: .85rem monospace; color: #777; margin: 0 } p { margin: .3rem 0 } ol { padding-left: 2rem }
s { color: #bbb; text-decoration: none } .part { color: #06c } .other { color: #c50 } .moved { font-style: italic }
"""


@dataclass(frozen=True)
class Word:
    """A word of a text, and how much of it a view has.

    Attributes
    ----------
    text : str
        As the tokeniser sees it.
    kept : int
        Its numbers in the view; 0 where it was left out.
    of : int
        Its numbers in the text.
    other : bool
        It comes from another row.
    """

    text: str
    kept: int
    of: int
    other: bool = False


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


def write(path: str | Path, plan: Plan, recipe: Sequence[str], *, rows: int = 8, count: int = 8) -> list[str]:
    """Write the page; returns lines of text about its first row.

    Parameters
    ----------
    path : path
        An HTML file.
    plan : Plan
        Its first column holds texts.
    recipe : sequence of str
        What is said of the views.
    rows, count : int
        Texts, and views of each.
    """
    column = plan.table.first
    chosen = np.sort(np.random.default_rng(plan.config.train.seed).permutation(plan.train)[:rows])
    shown = [
        (plan.table.names[int(row)], column.shown(int(row), WIDTH), views)
        for row, views in zip(chosen, seen(plan, chosen, count), strict=True)
    ]
    files.write_text(path, _page(shown, recipe))
    if not shown:
        return []
    name, text, views = shown[0]
    return [f"{name}: {text}", *(f"  view {i}: {view.plain()}" for i, view in enumerate(views[:3], 1))]


def seen(plan: Plan, rows: np.ndarray, count: int) -> list[list[Seen]]:
    """`count` views of each of these rows of the table, as a training with this plan makes them at its first step.

    No transform looks at what a number means, only whether it begins a word and where nothing is. So the views are made
    of places instead of tokens, which tells for every number of a view where it comes from.
    """
    column = plan.table.first
    placed = replace(column, values=_Places(column.values))
    viewer = Viewer({column.name: placed}, plan.recipes, count, plan.positives, plan.config.train.seed, "cpu", World())
    batch = viewer.batch(rows, 0, 0)
    known: dict[int, _Text] = {}
    return [
        [_view(view.values[r].numpy(), int(row), column, known) for view in batch.views] for r, row in enumerate(rows)
    ]


class _Places:
    """Like a column's values, with row × length + place + 1 instead of each number; signs and zeros stay."""

    def __init__(self, values: Any) -> None:
        self.values, self.shape, self.ndim, self.dtype = values, values.shape, 2, np.dtype(np.int64)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        length = self.shape[1]
        return np.sign(np.asarray(self.values[rows]).astype(np.int64)) * (
            rows[:, None] * length + np.arange(length) + 1
        )


@dataclass(frozen=True)
class _Text:
    words: list[str]
    word_at: np.ndarray  # of each place
    sizes: np.ndarray  # numbers of each word


def _text(row: int, column: Column) -> _Text:
    from nearfar.modalities.text.text import text_of

    ids = np.asarray(column.values[np.asarray([row])])[0]
    words = tokenisers.spelt(text_of(column.cells[row]), column.spec["tokeniser"], column.spec["length"])
    at = np.cumsum(ids > 0) - 1
    return _Text(words, at, np.bincount(at[ids != 0], minlength=len(words)))


def _view(places: np.ndarray, row: int, column: Column, known: dict[int, _Text]) -> Seen:
    """The words of a view, each where it comes first; those left out at their place where the order is the text's."""
    length = column.spec["length"]
    found: dict[tuple[int, int], int] = {}
    for place in (np.abs(places[places != 0]) - 1).tolist():
        source, at = divmod(place, length)
        if source not in known:
            known[source] = _text(source, column)
        key = source, int(known[source].word_at[at])
        found[key] = found.get(key, 0) + 1
    if row not in known:
        known[row] = _text(row, column)
    own = [word for source, word in found if source == row]
    moved = own != sorted(own)
    keys, after = list(found), 0
    if not moved and own:
        keys = []
        for source, word in found:
            if source == row:
                keys += [(row, left) for left in range(after, word)]
                after = word + 1
            keys.append((source, word))
        keys += [(row, left) for left in range(after, len(known[row].words))]
    words = [Word(known[s].words[w], found.get((s, w), 0), int(known[s].sizes[w]), s != row) for s, w in keys]
    return Seen(tuple(words), moved)


def _page(shown: Sequence[tuple[str, str, list[Seen]]], recipe: Sequence[str]) -> str:
    sections = "\n".join(
        f"<section><h2>{escape(name)}</h2><p dir=auto>{escape(text)}</p>\n<ol>\n"
        + "\n".join(f"<li dir=auto{' class=moved' if v.moved else ''}>{' '.join(map(_html, v.words))}" for v in views)
        + "\n</ol></section>"
        for name, text, views in shown
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Views of texts</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style>
<h1>Texts and their random views</h1>
<p>Under each text are its views, word by word as the tokeniser sees them: kept, <span class=part>kept in part</span>,
<s>left out</s>, <span class=other>of another row</span>; in <i>italics</i> where words have moved.</p>
<pre>{escape(chr(10).join(recipe))}</pre>
{sections}
</html>
"""


def _html(word: Word) -> str:
    text = escape(word.text)
    if not word.kept:
        return f"<s>{text}</s>"
    if word.other:
        return f"<span class=other>{text}</span>"
    if word.kept < word.of:
        return f'<span class=part title="{word.kept} of {word.of} parts">{text}</span>'
    return text
