"""How well two texts are aligned whose sentences were merged, left out and (second condition) swapped.

    python benchmarks/align.py --run RUN [--columns en de] [FILE [FILE]] [--out docs/results/align.json]

FILE is a CSV or Parquet file with both columns, or two files with one each, whose rows correspond; by default
multi30k/test_2016_flickr.csv in the folder that NEARFAR_DATA names. Of the first 1,000 pairs in order, each side
on its own has neighbours merged at 10 % of the places, and then 5 % of its rows left out. "swapped" is the same with
neighbouring rows of the right exchanged at 10 % of the places, which a monotone alignment cannot follow; "much left out"
leaves out 40 % of the rows. What belongs together is what has a sentence in common. Skips cost what align takes by
itself, and what Vecalign does. Beside the model: alignment by lengths alone (Gale and Church 1993).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core import files
from nearfar.core.errors import ConfigError, DataError, UnknownName
from nearfar.vectors.monotone import cheapest
from nearfar.vectors.sequences import align, evaluate

ROWS, MERGED = 1_000, 0.1
CONDITIONS = {  # share of rows left out on each side, of places of the right where neighbours are exchanged
    "in order": (0.05, 0.0), "swapped": (0.05, 0.1), "much left out": (0.4, 0.0),
}  # fmt: skip
SKIPS = ("auto", "20%")
Rows = list[tuple[int, ...]]  # the sentences of each row
Encode = Callable[[int, list[str]], np.ndarray]  # side (0 or 1) and texts → vectors


# --- the test -----------------------------------------------------------------------------------------------------


def cut(n: int, left_out: float, draw: np.random.Generator) -> Rows:
    """One side of n sentences, some merged with the next, some rows left out."""
    places = np.setdiff1d(np.arange(1, n), 1 + draw.choice(n - 1, round(MERGED * (n - 1)), replace=False))
    rows = [tuple(part.tolist()) for part in np.split(np.arange(n), places)]
    out = set(draw.choice(len(rows), round(left_out * len(rows)), replace=False).tolist())
    return [row for k, row in enumerate(rows) if k not in out]


def swapped(rows: Rows, share: float, draw: np.random.Generator) -> Rows:
    """Neighbours exchanged at a share of the places; no row moves by more than one."""
    rows, moved, wanted = list(rows), set(), round(share * len(rows))
    for k in draw.permutation(len(rows) - 1).tolist():
        if len(moved) < 2 * wanted and not moved & {k, k + 1}:
            rows[k], rows[k + 1] = rows[k + 1], rows[k]
            moved |= {k, k + 1}
    return rows


def truth(left: Rows, right: Rows) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Rows that have a sentence in common, directly or through others; rows that have none with the other side: alone."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = [*left, *right]
    sentences = 1 + max(max(r) for r in rows)
    links = [(k, len(rows) + s) for k, row in enumerate(rows) for s in row]
    i, j = np.array(links).T
    size = len(rows) + sentences
    _, of = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(size, size)), directed=False)
    groups: dict[int, tuple[list[int], list[int]]] = {}
    for k in range(len(rows)):
        groups.setdefault(int(of[k]), ([], []))[k >= len(left)].append(k if k < len(left) else k - len(left))
    return [(tuple(a), tuple(b)) for a, b in groups.values()]


def texts(rows: Rows, sentences: Sequence[str]) -> list[str]:
    """The text of each row."""
    return [" ".join(sentences[s] for s in row) for row in rows]


# --- by lengths ---------------------------------------------------------------------------------------------------

PRIORS = {(1, 1): 0.89, (1, 2): 0.089, (2, 1): 0.089, (2, 2): 0.011, "skip": 0.0099}
VARIANCE = 6.8  # of the length difference, per character


def gale_church(left: Sequence[str], right: Sequence[str]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Align by numbers of characters.

    Gale and Church 1993, "A Program for Aligning Sentences in Bilingual Corpora", Computational Linguistics 19(1),
    ACL Anthology J93-1004, with the priors and the variance given there, as their program has it: the difference is
    over the root of the mean length. Characters of the right for each of the left: the ratio of the whole texts.
    """
    a, b = (np.array([len(t) for t in side], float) for side in (left, right))
    ratio = b.sum() / a.sum()
    sums = [np.concatenate([[0], np.cumsum(lengths)]) for lengths in (a, b)]
    moves = [m for m in PRIORS if m != "skip"]

    def costs(rows: slice, columns: slice) -> list[np.ndarray]:
        i, j = (np.arange(s.start, s.stop) for s in (rows, columns))
        ends = (
            (sums[0][i] - sums[0][np.maximum(i - m, 0)], sums[1][j] - sums[1][np.maximum(j - n, 0)]) for m, n in moves
        )
        return [surprise(x[:, None], y[None], ratio, PRIORS[move]) for move, (x, y) in zip(moves, ends, strict=True)]

    none = np.zeros(1)
    skips = surprise(a, none, ratio, PRIORS["skip"]), surprise(none, b, ratio, PRIORS["skip"])
    path = cheapest(costs, moves, skips)
    return [
        (tuple(range(i - m, i)), tuple(range(j - n, j)))
        for (i, j), (m, n) in zip(path.nodes[1:].tolist(), path.steps.tolist(), strict=True)
    ]


def surprise(left: np.ndarray, right: np.ndarray, ratio: float, prior: float) -> np.ndarray:
    """Minus the logarithm of how likely such lengths belong together, times the prior."""
    from scipy.special import log_ndtr

    mean = (left + right / ratio) / 2
    delta = np.abs(left * ratio - right) / np.sqrt(np.maximum(VARIANCE * mean, 1e-9))
    return -(np.log(2) + log_ndtr(-delta)) - np.log(prior)


# --- the measurement ----------------------------------------------------------------------------------------------


def alignments(sides: tuple[list[str], list[str]], encode: Encode | None, most: int) -> dict[str, Any]:
    """What each way finds, by its name."""
    found: dict[str, Any] = {"lengths (Gale and Church)": gale_church(*sides)}
    if encode is None:
        return found
    vectors = [encode(s, side) for s, side in enumerate(sides)]

    @lru_cache
    def joined(side: int, n: int) -> np.ndarray:
        rows = sides[side]
        return encode(side, [" ".join(rows[k : k + n]) for k in range(len(rows) - n + 1)])

    both = partial(joined, 0), partial(joined, 1)
    for skip in SKIPS:
        found[f"vectors added, skip {skip}"] = align(*vectors, most=most, skip=skip)
        found[f"joined text encoded, skip {skip}"] = align(*vectors, most=most, skip=skip, joined=both)
    return found


def measure(
    pairs: tuple[Sequence[str], Sequence[str]], encode: Encode | None, seeds: Sequence[int], most: int = 3
) -> dict[str, Any]:
    """All conditions, over seeds of what is merged, left out and swapped."""
    out: dict[str, Any] = {}
    for condition, (left_out, exchanged) in CONDITIONS.items():
        per_seed, shapes = [], []
        for seed in seeds:
            draw = np.random.default_rng(seed)
            left, right = (cut(len(p), left_out, draw) for p in pairs)
            right = swapped(right, exchanged, draw)
            true = truth(left, right)
            shapes.append(dict(Counter(f"{len(a)}-{len(b)}" for a, b in true).most_common()))
            found = alignments((texts(left, pairs[0]), texts(right, pairs[1])), encode, most)
            per_seed.append({way: evaluate(f, true) for way, f in found.items()})
        out[condition] = {
            "left_out": left_out, "swapped": exchanged, "truth": shapes,
            "results": {way: summed([s[way] for s in per_seed]) for way in per_seed[0]},
        }  # fmt: skip
    return out


def summed(per_seed: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and every seed's figures; counts by seed alone."""
    out: dict[str, Any] = {}
    for kind in ("strict", "lax"):
        out[kind] = {f: {"by_seed": [s[kind][f] for s in per_seed]} for f in per_seed[0][kind]}
        for figure in ("precision", "recall", "f1"):
            values = out[kind][figure]["by_seed"]
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
            out[kind][figure] |= {"mean": float(np.mean(values)), "sd": spread}
    return out


def sentences(paths: Sequence[Path], columns: Sequence[str], rows: int = ROWS) -> tuple[list[str], list[str]]:
    """The first rows of both columns."""
    from pyarrow import csv, parquet

    found = []
    for path, column in zip((paths[0], paths[-1]), columns, strict=True):
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            table = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True))
        if column not in table.column_names:
            raise UnknownName("column", column, table.column_names, where=str(path))
        found.append([str(t) for t in table[column].to_pylist()[:rows]])
    if len(found[0]) != len(found[1]):
        raise DataError(f"the columns have {len(found[0])} and {len(found[1])} rows.")
    return found[0], found[1]


def of_run(run: str, columns: Sequence[str]) -> Encode:
    """What encodes with the model of a run."""
    from nearfar.models import loading

    model = loading.load(run)
    names = columns if len(model.columns) > 1 else [model.only_column()] * 2
    return lambda side, rows: model.encode(rows, column=names[side])


def default_files() -> list[Path]:
    if not (folder := os.environ.get("NEARFAR_DATA")):
        raise ConfigError("NEARFAR_DATA names no folder.", hint="Name a file with both columns.")
    return [Path(folder) / "multi30k/test_2016_flickr.csv"]


def show(found: dict[str, Any]) -> None:
    for condition, of in found.items():
        print(f"{condition}: {of['truth'][0]}")
        for way, r in of["results"].items():
            figures = [f"{k} {f} {r[k][f]['mean']:.3f}" for k in r for f in ("precision", "recall", "f1")]
            print(f"  {way:32}", "  ".join(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--columns", nargs=2, default=["en", "de"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/results/align.json"))
    args = parser.parse_args()
    paths, began = args.files or default_files(), time.perf_counter()
    pairs = sentences(paths, args.columns)
    found = measure(pairs, of_run(args.run, args.columns), range(args.seeds), args.most)
    show(found)
    files.write_json(args.out, {
        "command": "python " + " ".join(sys.argv), "files": [p.name for p in paths], "columns": args.columns,
        "sentences": len(pairs[0]), "merged": MERGED, "seeds": list(range(args.seeds)), "most": args.most,
        "conditions": found, "seconds": time.perf_counter() - began,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    })  # fmt: skip


if __name__ == "__main__":
    main()
