"""The measurements of a run: one file for each data set and way of measuring, and the latest as ``evaluation.json``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core import files
from nearfar.core.console import QUIET, Console
from nearfar.core.errors import RunError
from nearfar.evaluation.report.shape import Entry

if TYPE_CHECKING:
    from nearfar.models.run import Run

FOLDER, LATEST = "evaluations", "evaluation.json"
FROM_PYTHON = "data from Python"


def add(run: Run, found: Mapping[str, Any], console: Console = QUIET) -> tuple[str, Mapping[str, Any] | None]:
    """Keep the JSON form of a measurement as the latest one.

    Returns
    -------
    str
        Its file in the run.
    mapping or None
        The measurement of the same data in the same way that it replaces.
    """
    folder = run.path / FOLDER
    before = {_file(e): e for e in every(run, console)}
    folder.mkdir(exist_ok=True)
    for name, entry in before.items():
        if not (folder / name).exists():  # of a version that kept the latest only
            files.write_json(folder / name, entry)
    entry = {**found, "date": datetime.now(UTC).isoformat(), "weights": run.weights}
    entry = files.finite(entry)
    entry["checksum"] = _checksum(entry)
    files.write_json(folder / _file(entry), entry)
    files.write_json(run.path / LATEST, entry)
    return f"{FOLDER}/{_file(entry)}", before.get(_file(entry))


def every(run: Run, console: Console = QUIET) -> list[dict[str, Any]]:
    """All that are kept, the latest first; files that are damaged are left out, with a warning."""
    found: dict[str, dict[str, Any]] = {}
    for file in [*run.path.glob(LATEST), *sorted((run.path / FOLDER).glob("*.json"))]:
        try:
            entry = files.read_json(file, Entry)
            if "checksum" in entry and entry["checksum"] != _checksum(entry):
                raise RunError("is damaged: its content is not what was written.", where=str(file))
        except RunError as e:
            console.warn(f"A kept measurement is left out: {e}")
            continue
        entry.setdefault("date", datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat())
        found[_file(entry)] = entry
    return sorted(found.values(), key=lambda e: e["date"], reverse=True)


def name(entry: Mapping[str, Any]) -> str:
    """What the data of a measurement are called: the last part of their path."""
    source = entry["data"].get("source")
    return (Path(source).name or source) if source else FROM_PYTHON


def how(entry: Mapping[str, Any]) -> str:
    """The options of a measurement, as people read them."""
    said = {k: v for k, v in entry.get("options", {}).items() if v not in (None, [], True)}
    without = [f"no {k}" for k, v in said.items() if v is False]
    return ", ".join([f"{k.replace('_', ' ')} {_plain(v)}" for k, v in said.items() if v is not False] + without)


def day(entry: Mapping[str, Any]) -> str:
    """When it was measured."""
    return f"{entry['date'][:16].replace('T', ' ')} UTC"


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _checksum(entry: Mapping[str, Any]) -> str:
    rest = {k: v for k, v in entry.items() if k != "checksum"}
    return files.sha256(json.dumps(rest, sort_keys=True).encode())[:16]


def _file(entry: Mapping[str, Any]) -> str:
    """The same for the same data measured in the same way."""
    data = entry["data"]
    source = data.get("source")
    same = [source and os.path.normpath(source), data.get("content", data["fingerprint"]), entry.get("options")]
    key = files.sha256(json.dumps(same, sort_keys=True).encode())[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name(entry)).strip('-.')[:60] or 'data'}-{key}.json"
