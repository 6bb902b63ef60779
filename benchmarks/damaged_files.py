"""Damaged files of every format through every way of reading: a table, rows left out and said, or one sentence.

    python benchmarks/damaged_files.py [--seed 0] [--cases 2200] [--out docs/results/reliability/files.json]

Files are small and valid before (damages.py); what is done to each is drawn from the seed. A fault is any exception
but a `UserError`, more than 20 seconds, half a GiB of memory, or other numbers than were written where the format
has a checksum.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from damages import VALID, cases

from nearfar.core.errors import NearfarWarning, UserError
from nearfar.data.read import read
from nearfar.data.readers import arrays
from nearfar.training import train

SECONDS, MEMORY = 20, 512  # that a file may take, in MiB the latter
WAYS: tuple[dict[str, Any], ...] = (
    {}, {}, {"stream": True, "workers": 0}, {"label": "label"}, {"column": "text"}, {"column": "x"}, {"column": "image"},
    {"group": "label"}, {"score": "a"}, {"sets": "label"}, {"limit": 5}, {"missing": ("red",)}, {"max_bad": 1.0},
    {"split_column": "label"}, {"group_from": r"(\d)"}, {"negative": ("text",)}, {"modality": "text"},
    {"modality": "vector"}, {"modality": "image", "max_bad": 1.0}, {"depth": "full"},
)  # fmt: skip
SMALL = {"epochs": 1, "batch_size": 8, "threads": 1, "precision": "fp32", "device": "cpu", "quiet": True, "size": 16}


@dataclass
class Walk:
    """How often each format came to each outcome, and every fault."""

    tally: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class _TooLong(BaseException):
    pass


def walk(seed: int, count: int, folder: Path, models: dict[str, Any]) -> Walk:
    """Read `count` damaged files, each in a folder of its own below `folder`; some are encoded by `models`."""
    found, before = Walk(), signal.signal(signal.SIGALRM, _stop)
    try:
        for i, (name, what, content) in enumerate(cases(seed, count)):
            (folder / str(i)).mkdir()
            file = folder / str(i) / name
            file.write_bytes(content)
            outcome = _outcome(_way(file, i, np.random.default_rng((seed, i, 1)), models))
            outcome = _different(file) if outcome == "read" else outcome
            found.tally[Path(name).suffix[1:], outcome.partition(":")[0]] += 1
            if outcome.startswith("fault"):
                found.faults.append(f"seed {seed}, case {i}, {name} ({what}): {outcome}")
    finally:
        signal.signal(signal.SIGALRM, before)
    return found


def _stop(*_: object) -> None:
    raise _TooLong


def _way(file: Path, i: int, draw: np.random.Generator, models: dict[str, Any]) -> Callable[[], int]:
    """One way of reading, which gives the number of rows that were left out."""
    kind = "text" if "text" in file.name or file.stem in ("lines", "plain") else "image"
    kind = "vector" if file.stem in ("rows", "packed", "fortran", "lists") else kind
    if i % 9 == 4:
        return lambda: len(train.rehearse(file, **SMALL).table.skipped)
    if i % 9 == 8:
        return lambda: len(models[kind].encode(file)) * 0
    options, source = WAYS[int(draw.integers(len(WAYS)))], file
    if draw.random() < 0.3:  # beside another that is whole
        source = file.parent
        (source / f"test{file.suffix}").write_bytes(VALID[file.name]())
        file.rename(source / f"train{file.suffix}")

    def take() -> int:
        table = read(source, size=16, **options)
        table.first.take(np.arange(min(8, len(table))))
        return len(table.skipped)

    return take


def _outcome(take: Callable[[], int]) -> str:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", (NearfarWarning))
            warnings.simplefilter("ignore", ResourceWarning)
            found = "skipped" if take() else "read"
    except UserError as e:
        found = "sentence" if len(str(e)) < 4000 else "fault: a sentence without an end"
    except _TooLong:
        return f"fault: more than {SECONDS} s"
    except Exception as e:
        line = traceback.extract_tb(e.__traceback__)[-1]
        return f"fault: {type(e).__name__}: {e} ({line.filename}:{line.lineno})"
    finally:
        signal.alarm(0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return found if grown < MEMORY else f"fault: {grown:.0f} MiB"


def _different(file: Path) -> str:
    """``"read"``, or a fault where a file with checksums gave something else than was written."""
    if not file.exists() or file.suffix not in (".npz", ".png"):
        return "read"
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / file.name
        whole.write_bytes(VALID[file.name]())
        if file.suffix == ".png":
            same = _pixels(file) == _pixels(whole)
        else:
            written = {np.asarray(a).tobytes() for p in (whole,) for a in arrays._arrays(p).values()}
            same = all(np.asarray(a).tobytes() in written for a in arrays._arrays(file).values())
    return (
        "read" if same or file.read_bytes()[:4] != VALID[file.name]()[:4] else "fault: other numbers than were written"
    )


def _pixels(file: Path) -> bytes:
    return read(file, size=16).first.values.tobytes()


def trained() -> dict[str, Any]:
    """A small model of every modality."""
    from damages import numbers, picture, sentences

    rows = {"vector": numbers(), "text": sentences(), "image": [picture(i) for i in range(24)]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {kind: train.train(x, **SMALL).model for kind, x in rows.items()}


def main() -> None:
    """Walk, and write what came out."""
    from written import machine

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=2200)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = walk(asked.seed, asked.cases, Path(folder), trained())
    formats = sorted({f for f, _ in found.tally})
    counts = {f: {o: n for (g, o), n in sorted(found.tally.items()) if g == f} for f in formats}
    about = machine() | {"seed": asked.seed, "cases": asked.cases, "formats": counts, "faults": found.faults}
    text = json.dumps(about, indent=1) + "\n"
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
