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


def add(run: Run, measured: Mapping[str, Any], console: Console = QUIET) -> tuple[str, Mapping[str, Any] | None]:
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
    entry = files.finite({**measured, "date": datetime.now(UTC).isoformat(), "weights": run.weights})
    entry["checksum"] = _checksum(entry)
    files.write_json(folder / _file(entry), entry)
    files.write_json(run.path / LATEST, entry)
    return f"{FOLDER}/{_file(entry)}", before.get(_file(entry))


def every(run: Run, console: Console = QUIET) -> list[dict[str, Any]]:
    """All that are kept, the latest first; files that are damaged are left out, with a warning."""
    entries: dict[str, dict[str, Any]] = {}
    for file in [*run.path.glob(LATEST), *sorted((run.path / FOLDER).glob("*.json"))]:
        try:
            entry = files.read_json(file, Entry)
            if "checksum" in entry and entry["checksum"] != _checksum(entry):
                raise RunError("is damaged: its content is not what was written.", where=str(file))
        except RunError as e:
            console.warn(f"A kept measurement is left out: {e}")
            continue
        entry.setdefault("date", datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat())
        entries[_file(entry)] = entry
    return sorted(entries.values(), key=lambda e: e["date"], reverse=True)


def about(entry: Mapping[str, Any]) -> dict[str, str]:
    """Which data a measurement is of (the last part of their path), when and with which options it was made."""
    source = entry["data"].get("source") or ""
    options = entry.get("options", {})
    how = [
        f"{option.replace('_', ' ')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for option, value in options.items() if value not in (None, []) and not isinstance(value, bool)
    ]  # fmt: skip
    how += [f"no {option}" for option, value in options.items() if value is False]
    day = f"{entry['date'][:16].replace('T', ' ')} UTC"
    name = (Path(source).name or source) if source else FROM_PYTHON
    return {"name": name, "day": day, "how": ", ".join(how), "source": source}


def _checksum(entry: Mapping[str, Any]) -> str:
    rest = {k: v for k, v in entry.items() if k != "checksum"}
    return files.sha256(json.dumps(rest, sort_keys=True).encode())[:16]


def _file(entry: Mapping[str, Any]) -> str:
    """The same for the same data measured in the same way."""
    data = entry["data"]
    source = data.get("source")
    same = [source and os.path.normpath(source), data.get("content", data["fingerprint"]), entry.get("options")]
    key = files.sha256(json.dumps(same, sort_keys=True).encode())[:8]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", about(entry)["name"]).strip("-.")[:60]
    return f"{name or 'data'}-{key}.json"
