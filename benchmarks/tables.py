"""Fills the marked places of the pages in docs/ from the JSON that the benchmarks left.

    python benchmarks/tables.py

A page is Markdown. `<!-- json: several/digits.json#train_rows|, -->1,198<!-- /json -->` holds a value of a file in
docs/results by its path, written by the format after the bar (`console`: as a command); `<!-- made: several.together -->`
up to `<!-- /made -->` holds what a function in benchmarks/pages/several.py gives, such as a table. Everything else is
written by hand. A test asserts that the pages say what the JSON says.
"""

from __future__ import annotations

import importlib
import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS / "results"
MARK = re.compile(r"(<!-- (json|made): (.+?) -->)(.*?)(<!-- /\2 -->)", re.S)


def pages() -> Iterator[Path]:
    """The pages that have marked places."""
    for page in sorted(DOCS.rglob("*.md")):
        if MARK.search(page.read_text(encoding="utf-8")):
            yield page


def filled(text: str) -> str:
    """A page with what its marked places should hold now."""

    def one(m: re.Match[str]) -> str:
        value = value_at(m[3]) if m[2] == "json" else made(m[3])
        return m[1] + (f"\n{value}\n" if re.match(r"[|`#]", value) and "\n" in value else value) + m[5]

    return MARK.sub(one, text)


def value_at(place: str) -> str:
    """The value at ``file#path|format``."""
    where, _, spec = place.partition("|")
    file, _, path = where.partition("#")
    value = json.loads((ROOT / file).read_text(encoding="utf-8"))
    for key in path.split("/"):
        value = value[int(key) if isinstance(value, list) else key]
    if spec == "console":
        return f"```console\n$ {value}\n```"
    return ", ".join(map(str, value)) if isinstance(value, list) else format(value, spec)


def made(place: str) -> str:
    """What ``module.function`` of benchmarks/pages gives."""
    module, _, function = place.partition(".")
    return getattr(importlib.import_module(f"pages.{module}"), function)()


def read(folder: str) -> dict[str, dict[str, Any]]:
    """The JSON files of a folder by name."""
    return {f.stem: json.loads(f.read_text(encoding="utf-8")) for f in sorted((ROOT / folder).glob("*.json"))}


def rows(header: list[str], body: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def share(figure: dict[str, Any]) -> str:
    """An accuracy with its interval."""
    low, high = figure["interval"]
    return f"{figure['accuracy']:.3f} [{low:.3f}, {high:.3f}]"


def over(values: list[float]) -> str:
    """Mean ± standard deviation, or the value where there is one."""
    return f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def commands(found: dict[str, dict[str, Any]]) -> str:
    """What was typed."""
    return "```console\n" + "\n".join(f"$ {d['command']}" for d in found.values()) + "\n```"


def main() -> None:
    for page in pages():
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    importlib.import_module("pages.methods").write_figures()


if __name__ == "__main__":
    main()
