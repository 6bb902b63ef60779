"""What is in a folder, as far as it can be told twice alike, and what the models in it give."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def state(folder: Path) -> dict[str, bytes]:
    """Content of all files, without what a clock or the way there decides."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = os.fspath(path.relative_to(folder))
        if path.is_symlink() or path.is_file():
            name = re.sub(r"events\.out\.[^/]*", "events", name)
            found[name] = _settled(path.name, path.read_bytes())
        elif path.name.startswith(".") and not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def _settled(name: str, content: bytes) -> bytes:
    try:
        if name == "metrics.jsonl":
            lines = [json.loads(line) for line in content.decode().splitlines()]
            return repr([{k: v for k, v in x.items() if k not in ("seconds", "rows_per_second")} for x in lines]).encode()
        if name.endswith(".json"):
            return repr(_timeless(json.loads(content))).encode()
    except ValueError:
        return content
    if name == "report.html":
        return b"whole" if content.rstrip().endswith(b"</html>") else content
    if name == "state.safetensors":  # has the seconds that were spent
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return b"".join(k.encode() + v.numpy().tobytes() for k, v in sorted(load(content).items()))
        except SafetensorError:
            return content
    if name.startswith("events."):
        return b""
    return re.sub(rb"\d{4}-\d\d-\d\d( \d\d:\d\d)?", b"DAY", content) if name == "README.md" else content


TIMES = {"checksum", "date", "seconds", "command", "resumed", "written", "nearfar", "just_written", "folder"}


def _timeless(value: object) -> object:
    if isinstance(value, Mapping):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def probe(work: Path) -> dict[str, str]:
    """What every model and every classifier there gives, by the real loaders; the kind of error where it is refused."""
    from nearfar.core.errors import NearfarError
    from nearfar.downstream.classify.classifier import Classifier
    from nearfar.models import loading

    given = {"vector": np.arange(12, dtype=np.float32).reshape(3, 4), "text": ["red tall", "old", "cold new blue"],
             "image": np.arange(1536, dtype=np.uint8).reshape(2, 16, 16, 3)}  # fmt: skip
    found = {}
    for run in sorted({p.parent for p in work.rglob("config.json") if (p.parent / "metrics.jsonl").exists()
                       or (p.parent / "model.safetensors").exists()}):  # fmt: skip
        if run.name.startswith((".", "0_")):
            continue
        name = os.fspath(run.relative_to(work))
        try:
            model = loading.load(run, "cpu")
            z = [model.encode(given[kind], column=column) for column, (kind, _) in model.columns.items()]
            found[name] = hashlib.sha256(b"".join(x.tobytes() for x in z)).hexdigest()[:12]
        except NearfarError as e:
            found[name] = f"refused: {e.message}"
        for place in sorted({file.parent for file in run.glob("classifier/*/*.*")}):  # an empty folder is none
            try:
                made = Classifier.load(place)
                said = made.predict(made.x[:5] + 0.1)
                found[f"{name} {place.name}"] = hashlib.sha256(said.probabilities.tobytes()).hexdigest()[:12]
            except NearfarError as e:
                found[f"{name} {place.name}"] = f"refused: {e.message}"
    return found


def left_over(now: Mapping[str, bytes]) -> list[str]:
    """Files that only have a name while they are written."""
    return [name for name in now if any(part.startswith(".") for part in name.split("/"))]


def differ(now: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> str | None:
    """How a state is another one, in words; None where it is not."""
    more, less = sorted({*now} - {*wanted}), sorted({*wanted} - {*now})
    other = sorted(name for name in {*now} & {*wanted} if now[name] != wanted[name])
    if other or less:
        return "; ".join(f"{what} {', '.join(names)}" for what, names in (("different:", other), ("missing:", less)) if names)
    return f"more: {', '.join(more)}" if more else None
