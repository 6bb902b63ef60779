"""Streams: planted anomalies of five kinds, changes of activity, and motifs, beside floors that learn nothing.

    OMP_NUM_THREADS=1 python benchmarks/stream.py DATA --out docs/results/series/stream.json --seeds 5

Made streams are of a machine that repeats a cycle: four channels, pulses and waves of a period that drifts, a load that
comes and goes, slow drift, noise. Real ones are the six channels of ts_basic_motions in DATA, its rows joined. A model
learns without labels from one recording of what is usual; the anomalies are planted in another. Each anomaly is of one
channel: a spike of 1–3 steps, another level, another frequency, a shape that runs backwards, a channel that holds its
last value. Windows have 64 steps and begin 8 apart; the score of a window is its distance to the nearest usual one, that
of a step the mean of the windows that hold it. For changes the rows of the test are joined, two to four of an activity
after each other. For motifs 8 changed copies of a part of another machine are put into a recording, and the best 8
windows are counted that share at least half of what they and a copy hold together.

What was chosen (whitening, nearest neighbour, largest channel of the matrix profile, standardised vectors for motifs) was
chosen on the made seeds 100 and 101, what changes are measured by on training rows of ts_basic_motions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from written import machine

from nearfar.core import files
from nearfar.core.console import SILENT
from nearfar.data.table import Table
from nearfar.downstream.regions import find_regions
from nearfar.evaluation.floors import RawInput
from nearfar.evaluation.protocols import Streams
from nearfar.evaluation.protocols.stream import measure
from nearfar.evaluation.streams import matrix_profile
from nearfar.models import streams
from nearfar.training import train
from nearfar.vectors.intervals import paired
from nearfar.vectors.streams import best, profile

KINDS = ("spike", "level", "frequency", "shape", "lost channel")
WINDOW, HOP = 64, 8
USUAL, STREAM, CHANNELS = 4000, 3000, 4
PLANTED, EDGE = 10, 80
MOTIF, COPIES = 48, 8
CHANGED = ("noise", "warp", "scale", "all three")
METHODS = ("default",)


def smooth(draw: np.random.Generator, steps: int, width: float) -> np.ndarray:
    """A random line of deviation 1 that hardly changes within `width` steps."""
    kernel = np.hanning(int(width) + 2)
    line = np.convolve(draw.normal(size=steps + len(kernel) - 1), kernel, "valid")
    return line / np.sqrt((kernel**2).sum())


def recording(machine: int, part: int, steps: int) -> np.ndarray:
    """Steps of a machine (C, T); its parts are recordings of other days."""
    own, draw = np.random.default_rng([7, machine]), np.random.default_rng([8, machine, part])
    phase = np.cumsum((1 + 0.06 * smooth(draw, steps, 200)) / own.uniform(35, 60))
    load = 1 / (1 + np.exp(-6 * smooth(draw, steps, 150)))
    lines = []
    for channel in range(CHANNELS):
        middle, width, height = own.uniform(0, 1, 3), own.uniform(0.03, 0.12, 3), own.normal(0, 1, 3)
        away = (phase[:, None] - middle + 0.5) % 1 - 0.5
        pulses = (height * np.exp(-0.5 * (away / width) ** 2)).sum(1)
        wave = np.sin(2 * np.pi * (phase + own.uniform())) * own.uniform(0.3, 1)
        line = (wave if channel % 2 else pulses) * (0.6 + 0.8 * load) + 0.3 * smooth(draw, steps, own.uniform(100, 300))
        lines.append(line / line.std() + 0.12 * draw.normal(size=steps))
    return np.stack(lines).astype(np.float32)


def planted(x: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A recording with ten anomalies of a kind, and which steps they are."""
    x, draw, steps = x.copy(), np.random.default_rng([9, seed, KINDS.index(kind)]), x.shape[1]
    label, room = np.zeros(steps, np.int64), steps // PLANTED
    for i in range(PLANTED):
        count = int(draw.integers(1, 4)) if kind == "spike" else int(draw.integers(24, 80))
        start, channel = i * room + int(draw.integers(EDGE, room - count - EDGE)), int(draw.integers(len(x)))
        line, sign, place = x[channel], draw.choice((-1, 1)), slice(start, start + count)
        if kind == "spike":
            line[place] += sign * draw.uniform(2.5, 5) * line.std()
        elif kind == "level":
            line[place] += sign * draw.uniform(0.8, 2) * line.std()
        elif kind == "frequency":
            at = start + np.arange(count) * draw.uniform(1.5, 2.2) ** sign
            line[place] = np.interp(at, np.arange(steps), line.copy())
        elif kind == "shape":
            line[place] = line[place][::-1].copy()
        else:
            line[place] = line[start]
        label[place] = 1
    return x, label


def motions(folder: Path, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The training rows as one recording (6, T), the test rows as another, and the activity of its steps."""
    train_part, test_part = (np.load(folder / f"{split}.npz") for split in ("train", "test"))
    draw = np.random.default_rng([11, seed])
    usual = np.concatenate(train_part["X"][draw.permutation(len(train_part["X"]))], 1)
    x, y = test_part["X"], test_part["y"]
    left = {c: draw.permutation(np.flatnonzero(y == c)).tolist() for c in np.unique(y).tolist()}
    order: list[int] = []
    while any(left.values()):
        others = [c for c, rows in left.items() if rows and not (order and c == y[order[-1]])] or [
            c for c, rows in left.items() if rows
        ]
        chosen = max(others, key=lambda c: (len(left[c]), draw.random()))
        for _ in range(min(len(left[chosen]), int(draw.integers(2, 5)))):
            order.append(left[chosen].pop())
    return (usual.astype(np.float32), np.concatenate(x[order], 1).astype(np.float32), np.repeat(y[order], x.shape[2]))


def models(usual: np.ndarray, method: str, seed: int) -> Any:
    """A model of a recording, learnt without labels."""
    return train.train(
        usual[None], modality="series", window=WINDOW, hop=WINDOW // 4, method=method, seed=seed, holdout=0.0, threads=1,
        console=SILENT,
    ).model  # fmt: skip


def read(model: Any, x: np.ndarray) -> Table:
    return model.read(x[None], window=WINDOW, hop=HOP)


def figures(found: streams.Scored, label: np.ndarray, what: str) -> dict[str, float]:
    scores = found.unusual if what == "anomalies" else found.change
    windows = found.windows
    of = measure(Streams(scores, windows.owner, windows.start, windows.stop, [label], what))
    return {k: of[k] for k in ("auc", "average_precision", "chance")}


def scorers(by_method: dict[str, Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Ways to score, by name: functions of a table and of what is known."""
    vectors = {**by_method, "untrained": by_method["default"].untrained(), "raw windows": RawInput()}
    for name, of in vectors.items():
        yield name, lambda t, known, of=of: streams.scored(lambda c, r: of.features(c, r, layer="features"), t, known)
    yield "matrix profile", matrix_profile


def anomalies(by_method: dict[str, Any], usual: np.ndarray, x: np.ndarray, seed: int) -> dict[str, Any]:
    """Figures by way and kind."""
    model, found = by_method["default"], {}
    first = read(model, usual).first
    for name, scored in scorers(by_method):
        found[name] = {}
        for kind in KINDS:
            changed, label = planted(x, kind, seed)
            table = read(model, changed)
            found[name][kind] = figures(scored(table, (first, np.arange(len(first)))), label, "anomalies")
    return found


def changes(by_method: dict[str, Any], usual: np.ndarray, x: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    model = by_method["default"]
    first, table = read(model, usual).first, read(model, x)
    known = first, np.arange(len(first))
    return {
        name: figures(scored(table, known), label, "changes")
        for name, scored in scorers(by_method) if scored is not matrix_profile
    }  # fmt: skip


def copies(
    background: np.ndarray, motif: np.ndarray, changed: str, seed: int
) -> tuple[np.ndarray, list[int], list[int]]:
    """A recording with changed copies of a motif in it, the first step of each and the one behind its last."""
    x, draw, steps = background.copy(), np.random.default_rng([12, seed, CHANGED.index(changed)]), motif.shape[1]
    room, starts, stops = x.shape[1] // COPIES, [], []
    for i in range(COPIES):
        copy, count = motif, steps
        if changed in ("warp", "all three"):
            count = round(steps * draw.uniform(0.8, 1.25))
            at = np.linspace(0, 1, count) ** draw.uniform(0.8, 1.25) * (steps - 1)
            copy = np.stack([np.interp(at, np.arange(steps), line) for line in motif])
        if changed in ("scale", "all three"):
            copy = copy * draw.uniform(0.6, 1.6)
        if changed in ("noise", "all three"):
            copy = copy + 0.5 * draw.normal(size=copy.shape)
        start = i * room + int(draw.integers(0, room - count))
        x[:, start : start + count] = copy
        starts.append(start)
        stops.append(start + count)
    return x, starts, stops


def hit(found: list[tuple[int, int]], starts: list[int], stops: list[int]) -> float:
    """Share of the copies that a found window shares at least half of their union with."""
    return float(np.mean([
        any(max(0, min(b, d) - max(a, c)) >= 0.5 * (max(b, d) - min(a, c)) for a, b in found)
        for c, d in zip(starts, stops, strict=True)
    ]))  # fmt: skip


def motifs(by_method: dict[str, Any], seed: int) -> dict[str, Any]:
    """Share of the copies among the best eight windows, by way and by what was changed."""
    model = by_method["default"]
    background, motif = recording(seed, 2, STREAM), recording(seed + 1000, 0, 600)[:, 200 : 200 + MOTIF]
    found: dict[str, dict[str, float]] = {}
    ways = {**by_method, "untrained": model.untrained(), "raw windows": Raw(model)}
    for changed in CHANGED:
        x, starts, stops = copies(background, motif, changed, seed)
        for name, of in ways.items():
            regions = find_regions(of, [motif], x, COPIES, SILENT)[0][1]
            found.setdefault(name, {})[changed] = hit([(h.start, h.stop) for h in regions], starts, stops)
        if (near := distances(motif, x)) is not None:
            start = np.arange(len(near))
            rows = best(-near, np.zeros(len(near), np.int64), start, start + MOTIF, COPIES)
            found.setdefault("distance profile", {})[changed] = hit([(r, r + MOTIF) for r in rows], starts, stops)
    return found


class Raw:
    """The raw windows in the place of a model's vectors."""

    def __init__(self, model: Any) -> None:
        self.model, self.raw = model, RawInput()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def features(self, *given: Any, **options: Any) -> np.ndarray:
        return self.raw.features(*given, **options)


def distances(motif: np.ndarray, x: np.ndarray) -> np.ndarray | None:
    """Mean distance profile of the channels by MASS; None without stumpy."""
    try:
        import stumpy
    except ImportError:
        return None
    return np.mean([stumpy.mass(q.astype(float), t.astype(float)) for q, t in zip(motif, x, strict=True)], 0)


def against_stumpy() -> float | None:
    """Largest difference of our matrix profile to stumpy's, of one channel of two recordings; None without it."""
    try:
        import stumpy
    except ImportError:
        return None
    a, b = (recording(0, part, 700)[0].astype(float) for part in (0, 1))
    queries = np.lib.stride_tricks.sliding_window_view(a, WINDOW)[::HOP]
    theirs = [stumpy.mass(q, b).min() for q in queries]
    return float(np.abs(profile(queries, b) - theirs).max())


def over(seeds: list[dict[str, Any]], figure: str | None) -> dict[str, Any]:
    """Means by way and kind with deviations over seeds, and how far each method is above each other way."""
    values = {
        name: {key: np.asarray([s[name][key][figure] if figure else s[name][key] for s in seeds]) for key in kinds}
        for name, kinds in seeds[0].items()
    }
    every = {name: np.mean(list(kinds.values()), 0) for name, kinds in values.items()}
    means = {
        name: {
            key: {"mean": float(v.mean()), "sd": float(v.std(ddof=1))}
            for key, v in [*kinds.items(), ("all", every[name])]
        }
        for name, kinds in values.items()
    }
    above = {m: {n: paired(every[m], v) for n, v in every.items() if n != m} for m in METHODS}
    return {"by": means, "above": above}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    found: dict[str, list[Any]] = {"made": [], "motions": [], "changes": [], "motifs": []}
    for seed in range(asked.first, asked.first + asked.seeds):
        usual = recording(seed, 0, USUAL)
        by_method = {method: models(usual, method, seed) for method in METHODS}
        found["made"].append(anomalies(by_method, usual, recording(seed, 1, STREAM), seed))
        found["motifs"].append(motifs(by_method, seed))
        usual, x, label = motions(asked.data / "ts_basic_motions", seed)
        by_method = {method: models(usual, method, seed) for method in METHODS}
        found["motions"].append(anomalies(by_method, usual, x, seed))
        found["changes"].append({n: {"activity": v} for n, v in changes(by_method, usual, x, label).items()})
        print(seed, {k: {n: round(float(np.mean([w.get("auc") if isinstance(w, dict) else w for w in v.values()])), 3)
                         for n, v in of[-1].items()} for k, of in found.items()}, flush=True)  # fmt: skip
        files.write_json(asked.out, written(found))


def written(found: dict[str, list[Any]]) -> dict[str, Any]:
    """What is kept: figures by kind of stream."""
    if len(found["made"]) < 2:
        return {}
    figures = {
        stream: {"auc": over(found[stream], "auc"), "average_precision": over(found[stream], "average_precision")}
        for stream in ("made", "motions", "changes")
    }
    return {**figures, "motifs": {"found": over(found["motifs"], None)}, "seeds": len(found["made"]), "window": WINDOW,
            "hop": HOP, "planted": PLANTED, "copies": COPIES, "profile_differs_by": against_stumpy(),
            "machine": machine()}  # fmt: skip


if __name__ == "__main__":
    main()
