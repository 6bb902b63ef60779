"""What people see: everything goes to stderr; stdout is for the one JSON object.

Text for people is escaped here and in `nearfar.core.errors`, so that nothing that was read is obeyed by a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nearfar.core.errors import NearfarWarning
from nearfar.core.names import brief, visible

PLAIN_EVERY = 10.0  # seconds between two lines of progress where there is no terminal


class Progress:
    """Lines of progress for logs and pipes."""

    def __init__(self, say: Any, label: str, total: int, unit: str) -> None:
        self.say, self.label, self.total, self.unit = say, label, total, unit
        self.done, self.began, self.first, self.last = 0, time.monotonic(), 0, time.monotonic()

    def advance(self, count: int, **shown: float) -> None:
        """Add to what is done; `shown` are numbers worth seeing."""
        if self.done == 0 and not shown:
            self.first = count  # done before training was resumed, which says nothing of today's rate
        self.done += count
        now = time.monotonic()
        if now - self.last >= PLAIN_EVERY or (self.done >= self.total and now - self.began > PLAIN_EVERY):
            self.last = now
            rate = max(1, self.done - self.first) / max(1e-9, now - self.began)
            left = clock((self.total - self.done) / rate)
            numbers = "".join(f", {k} {v:.3g}" for k, v in shown.items())
            self.say(f"{self.label} {self.done:,}/{self.total:,} {self.unit}, {rate:.3g}/s, {left} left{numbers}")


class Bar(Progress):
    """A bar that is drawn in place."""

    def __init__(self, live: Any, task: int, *rest: Any) -> None:
        super().__init__(*rest)
        self.live, self.task = live, task

    def advance(self, count: int, **shown: float) -> None:
        numbers = "  ".join(f"{k} {v:.3g}" for k, v in shown.items())
        self.live.update(self.task, advance=count, **({"numbers": numbers} if numbers else {}))


class Console:
    """Where text for people and the result for programs go: nothing but warnings and errors if `quiet`."""

    def __init__(self, quiet: bool = False, json: bool = False) -> None:
        self.quiet, self.json = quiet, json
        self._live: Any = None

    def say(self, text: str = "") -> None:
        """A line of text."""
        if not self.quiet:
            self._write(text)

    def warn(self, text: str, category: type[Warning] = NearfarWarning) -> None:
        """A line that is worth reading even with --quiet; from Python a warning of `category`."""
        self._write(f"warning: {visible(brief(text))}")

    def _write(self, text: str) -> None:
        text = visible(text, keep="\n\t")
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def result(self, value: dict[str, Any]) -> None:
        """Print the one JSON object on stdout, if it was asked for."""
        from nearfar.core.files import finite

        if self.json:
            text = json.dumps(finite(value), ensure_ascii=False)
            try:
                text.encode(sys.stdout.encoding or "utf-8")
            except UnicodeEncodeError:  # a path that is not UTF-8, or a terminal that is not
                text = json.dumps(finite(value))
            sys.stdout.write(text + "\n")

    @contextmanager
    def progress(self, label: str, total: int, unit: str = "steps") -> Iterator[Progress]:
        """Progress of something long."""
        if self.quiet or self._live is not None:
            yield Progress(lambda _: None, label, total, unit)
            return
        if not (sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
            yield Progress(self.say, label, total, unit)
            return
        from rich import progress
        from rich.console import Console as Rich

        with progress.Progress(
            progress.TextColumn("{task.description}"), progress.BarColumn(),
            progress.MofNCompleteColumn(), progress.TextColumn(unit), progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[numbers]}"), console=Rich(stderr=True), transient=True,
        ) as live:  # fmt: skip
            self._live = live
            try:
                yield Bar(live, live.add_task(label, total=total, numbers=""), self.say, label, total, unit)
            finally:
                self._live = None


class _Python(Console):
    """For calls from Python: warnings come as Python's own, of `NearfarWarning`."""

    def warn(self, text: str, category: type[Warning] = NearfarWarning) -> None:
        """A Python warning that points at the caller's line."""
        import warnings

        folder, level, frame = os.path.dirname(os.path.dirname(__file__)), 1, sys._getframe()
        while frame.f_back is not None and frame.f_code.co_filename.startswith(folder):
            level, frame = level + 1, frame.f_back
        warnings.warn(visible(brief(text)), category, stacklevel=level)


class _Silent(Console):
    """Says nothing at all: for processes and trials beside one that speaks."""

    def warn(self, text: str, category: type[Warning] = NearfarWarning) -> None:
        """Nothing."""


SHOWN, QUIET = _Python(), _Python(quiet=True)
SILENT = _Silent(quiet=True)


def of_call(console: Console | None, quiet: bool) -> Console:
    """The console of a call from Python that takes long: one that shows what the command would, unless `quiet`."""
    return console or (QUIET if quiet else SHOWN)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table: a rule below its first row, the first column to the left, all others to the right."""
    import io

    from rich import box, table
    from rich.console import Console as Rich
    from rich.text import Text

    rule = box.Box("    \n    \n────\n    \n    \n    \n    \n    \n")
    grid = table.Table(box=rule, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for i, head in enumerate(rows[0]):
        grid.add_column(Text(head), justify="right" if i else "left", no_wrap=True)
    for row in rows[1:]:
        grid.add_row(*map(Text, row))
    # as wide as it needs to be, since a terminal breaks lines better than cells
    out = Rich(file=io.StringIO(), width=100_000, color_system=None)
    out.print(grid)
    return "\n".join(line.rstrip() for line in out.file.getvalue().splitlines())


def clock(seconds: float) -> str:
    """``75`` → ``1 min 15 s``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
