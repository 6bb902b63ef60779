"""Files of the archives of time series: ``.ts`` and ``.arff``, and ``.tsv`` without a header.

Of a ``.ts`` (sktime's and aeon's form) a row is a line: channels with ``:`` between, numbers with commas, and the class
at the end; ``?`` is a missing number. Of an ``.arff`` a row is a line of numbers with the class at the end, or one
quoted cell of several channels with ``\\n`` between. Of a ``.tsv`` (the UCR archive's form) the class comes first.
Series may differ in length; beyond its end a shorter one of a table is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nearfar.core.errors import DataError
from nearfar.data.readers import _files, folders
from nearfar.data.readers.raw import Raw

ENDINGS = (".ts", ".arff")
HEADERLESS = (".tsv",)
LINES = 3  # of a .tsv, that are looked at
FEWEST = 8  # numbers in a line of a .tsv without a header; fewer are a table

RANK = 1  # before tables, which a .tsv is else


def recognises(path: Path) -> bool:
    """A file of these endings, or a folder of them; a ``.tsv`` only where its first lines are numbers alone."""
    if folders.recognised(path, ENDINGS):
        return True
    if path.is_file():
        return path.suffix.lower() in HEADERLESS and _is_headerless(path)
    chosen = folders.chosen(path, HEADERLESS) if path.is_dir() else []
    return bool(chosen) and all(_is_headerless(path.joinpath(*place)) for _, place in chosen)


def open(path: Path) -> Raw:
    """The series in the order of the files and of their lines; ``NAME_TRAIN`` and ``NAME_TEST`` are splits."""
    endings = ENDINGS if folders.recognised(path, ENDINGS) else HEADERLESS
    return folders.opened(path, endings, _opened)


def _is_headerless(path: Path) -> bool:
    try:
        head = _files.head_of(path).decode("utf-8", "replace").splitlines()[:LINES]
    except (DataError, OSError):
        return False
    rows = [re.split(r"[\t,]", line.strip()) for line in head if line.strip()]
    return bool(rows) and all(len(r) > FEWEST and all(map(_is_number, r)) for r in rows)


def _is_number(text: str) -> bool:
    try:
        float(text.strip() or "nan")
    except ValueError:
        return text.strip() == "?"
    return True


def _opened(path: Path, name: str) -> Raw:
    _files.head_of(path)
    with _files.damage(path, path.suffix[1:]):
        text = path.read_text(encoding="utf-8-sig")
    cells: list[np.ndarray | None] = []
    labels: list[str | None] = []
    names, bad = [], {}
    labelled = True
    rows = {".ts": _of_ts, ".arff": _of_arff}.get(path.suffix.lower(), _of_tsv)
    for number, found in rows(text, path):
        names.append(f"{name}:{number}")
        if isinstance(found, str):
            bad[len(cells)], found = found, (None, None)
        series, label = found
        labelled = labelled and (label is not None or series is None)
        cells.append(series)
        labels.append(label)
    if not cells:
        raise DataError("holds no series.", where=str(path))
    if len(bad) == len(cells):
        raise DataError(f"holds no series: line {names[0].rpartition(':')[2]} {bad[0]}.", where=str(path))
    columns = {"series": cells} | ({"label": labels} if labelled else {})
    return Raw(columns, names, files=(path,), bad=bad, kinds={"series": "series"}, label="label" if labelled else None)


Row = tuple[int, tuple[np.ndarray, str | None] | str]  # number of the line, and a series and its class or what is wrong


def _of_ts(text: str, path: Path) -> Iterator[Row]:
    """The lines behind ``@data``."""
    head, body = _parted(text, path)
    stamps = re.search(r"^@timestamps\s+true", head, re.I | re.M)
    if stamps:
        raise DataError("has times beside its values, which are not read.", where=str(path),
                        hint="Write a table with a column of times, and read it with --time.")  # fmt: skip
    labelled = re.search(r"^@classlabel\s+true", head, re.I | re.M) is not None
    declared = re.search(r"^@dimensions?\s+(\d+)", head, re.I | re.M)
    for number, line in body:
        parts = line.split(":")
        label = parts.pop().strip() if labelled else None
        found = _channels([p.split(",") for p in parts])
        if not isinstance(found, str) and declared and len(found) != int(declared[1]):
            found = f"has {len(found)} channels, and @dimensions says {declared[1]}"
        yield number, found if isinstance(found, str) else (found, label)


def _of_arff(text: str, path: Path) -> Iterator[Row]:
    """The lines behind ``@data``; the last attribute is the class where it is no number."""
    head, body = _parted(text, path)
    attributes = re.findall(r"^\s*@attribute\s+(.+)$", head, re.I | re.M)
    labelled = bool(attributes) and not re.search(r"\b(real|numeric|integer)\s*$", attributes[-1], re.I)
    for number, line in body:
        if quoted := re.match(r"""(['"])(.*)\1\s*(?:,(.*))?$""", line):
            parts = [p.split(",") for p in quoted[2].split(r"\n")]
            label = quoted[3]
        else:
            fields = line.split(",")
            label = fields.pop() if labelled else None
            parts = [fields]
        found = _channels(parts)
        yield number, found if isinstance(found, str) else (found, None if label is None else label.strip(" '\""))


def _of_tsv(text: str, path: Path) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            label, *fields = re.split(r"[\t,]", line.strip())
            found = _channels([fields])
            yield number, found if isinstance(found, str) else (found, label.strip())


def _parted(text: str, path: Path) -> tuple[str, list[tuple[int, str]]]:
    """What stands before ``@data``, and the lines behind it with their numbers; comments are left out."""
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1)]
    lines = [(i, line) for i, line in lines if line and line[0] not in "#%"]
    at = next((k for k, (_, line) in enumerate(lines) if line.lower() == "@data"), None)
    if at is None:
        raise DataError("has no line @data, so it is no file of series.", where=str(path))
    return "\n".join(line for _, line in lines[:at]), lines[at + 1 :]


def _channels(parts: list[list[str]]) -> np.ndarray | str:
    """Channels of numbers as float32 (C, T), a shorter one with NaN behind its end; or what is wrong with them."""
    channels = []
    for fields in parts:
        try:
            values = [np.nan if f.strip() in ("", "?") else float(f) for f in fields]
        except ValueError as e:
            return f"holds something else than numbers ({str(e).rpartition(': ')[2]:.40})"
        channels.append(values)
    if not channels or not max(map(len, channels)):
        return "holds no numbers"
    out = np.full((len(channels), max(map(len, channels))), np.nan, np.float32)
    for row, values in zip(out, channels, strict=True):
        row[: len(values)] = values
    # Empty cells behind the last number of a table are no steps.
    there = np.flatnonzero(~np.isnan(out).all(0))
    return out[:, : there[-1] + 1] if len(there) else out
