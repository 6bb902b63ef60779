"""Spoken digits without labels: few labels, a speaker never heard, who speaks; beside the log-mel floor.

    OMP_NUM_THREADS=1 python benchmarks/sound.py DATA [--seeds 3] [--part official] [--out docs/results/sound]

DATA is the folder of data sets. One configuration throughout. ``official``: trained on the recordings 5–49 of each digit and
speaker, measured on 0–4: logistic regression on 8 labels a digit (ten draws, as `few_labels`), and on all for who speaks.
A speaker's name: trained on the other five, measured on that speaker with a linear probe of the other five's digits; as the
vectors are, and with those of each speaker brought to mean 0 and standard deviation 1, which needs clips of that speaker, without
labels. The floor is log-mel without training (`raw_features`), measured in the same way; so are principal components beside what is
trained (``model``), which no loss sees, and what is trained alone, which is the default. Labels are never seen by a training;
who speaks is, as batches of one speaker's clips each, so that negatives are of the same voice, but for ``mixed``, trained on the
official rows in batches of all speakers. One JSON file a part and seed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from written import machine

import nearfar
from nearfar.core import files
from nearfar.core.console import SILENT
from nearfar.core.registry import MODALITIES
from nearfar.data.read import read
from nearfar.evaluation.protocols import Features, linear_probe
from nearfar.evaluation.protocols.few_labels import TRAINING, C, FewLabels

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
CHOSEN_ON = ("jackson", "nicolas")  # speakers, of whom recordings 5–49 were looked at when the recipe was chosen
PARTS = ("official", "mixed", *SPEAKERS)
KNOBS: dict[str, Any] = {"fixed": "pca", "fixed_weight": 0.7, "epochs": 25, "holdout": 0.0, "select": "last", "threads": 1}
ONE_SPEAKER = {"sets": "speaker", "mix": 1.0}  # batches of one speaker's clips each
CS = (0.01, 0.1, C)  # all of them are shown, so that no floor is held down by a penalty that suits it badly
FEW = FewLabels(amounts=(8,), draws=10, c=C, features=TRAINING)


def table_of(folder: Path) -> dict[str, np.ndarray]:
    """All recordings: bytes, digit, speaker, and whether they are of the official test split."""
    parts = [pq.read_table(folder / "free_spoken_digits" / f"{s}.parquet").to_pylist() for s in ("train", "test")]
    rows = [r for part in parts for r in part]
    return {
        "audio": [r["audio"]["bytes"] for r in rows],
        "digit": np.asarray([r["label"] for r in rows], np.int64),
        "speaker": np.asarray([r["speaker"] for r in rows]),
        "test": np.arange(len(rows)) >= len(parts[0]),
    }


def by_speaker(z: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Each speaker's vectors with mean 0 and standard deviation 1."""
    out = np.array(z)
    for s in np.unique(speakers):
        own = out[speakers == s]
        out[speakers == s] = (own - own.mean(0)) / np.maximum(own.std(0), 1e-6)
    return out


def probe(z: np.ndarray, y: np.ndarray, test: np.ndarray, classes: int) -> dict[str, Any]:
    found = linear_probe.measure(Features(z[~test], y[~test], classes), Features(z[test], y[test], classes))
    return {"accuracy": found["accuracy"], "C": found["settings"]["C"]}


def measured(z: np.ndarray, t: dict[str, Any], test: np.ndarray, part: str) -> dict[str, Any]:
    """The figures of a part for vectors of all recordings."""
    z, y = np.ascontiguousarray(z, np.float32), t["digit"]
    if part in SPEAKERS:
        return {"plain": probe(z, y, test, 10), "by speaker": probe(by_speaker(z, t["speaker"]), y, test, 10)}
    few = [replace(FEW, c=c).measure(Features(z[~test], y[~test], 10), Features(z[test], y[test], 10))["8"] for c in CS]
    who = np.unique(t["speaker"], return_inverse=True)[1]
    return {
        "few": {f"{c:g}": {"mean": f["mean"], "std": f["std"], "draws": f["draws"]} for c, f in zip(CS, few, strict=True)},
        "digits": probe(z, y, test, 10), "who": probe(z, who, test, len(SPEAKERS)),
    }  # fmt: skip


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--first", type=int, default=0, help="the first seed")
    p.add_argument("--part", action="append", choices=PARTS)
    p.add_argument("--set", action="append", default=[], help="other knobs, to try something")
    p.add_argument("--out", type=Path, default=Path("docs/results/sound"))
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    t = table_of(a.data)
    for seed in range(a.first, a.first + a.seeds):
        for part in a.part or PARTS:
            test = t["speaker"] == part if part in SPEAKERS else t["test"]
            rows = np.flatnonzero(~test)
            data = {"audio": [t["audio"][i] for i in rows], "speaker": t["speaker"][rows].tolist()}
            knobs = KNOBS | ({} if part == "mixed" else ONE_SPEAKER)
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                model = nearfar.train(data, out=f"{folder}/run", column="audio", seed=seed, set=a.set, console=SILENT, **knobs)
                seconds = time.perf_counter() - start
                z = model.encode(t["audio"])
                model = model.model
                spec = {**model.columns["audio"][1], "trim": 20.0}  # the floor is best with less than the model keeps
                column = read(t["audio"], modality="sound", spec=spec, console=SILENT).first
            own = model.branches["audio"].encoder.out_features
            raw = MODALITIES.get("sound").raw_features(np.asarray(column.values), column.spec)
            found = {
                "part": part, "seed": seed, "knobs": knobs, "set": a.set, "train_rows": len(rows), "test_rows": int(test.sum()),
                "seconds": seconds, "model": measured(z, t, test, part), "trained alone": measured(z[:, :own], t, test, part),
                "floor": measured(raw, t, test, part),
                "parameters": sum(w.numel() for w in model.branches.parameters()), "machine": machine(),
            }  # fmt: skip
            files.write_json(a.out / f"{part}-seed{seed}.json", found)
            print(part, seed, f"{seconds:.0f} s", {w: {k: {c: round(f["mean"], 3) for c, f in v.items()} if k == "few" else round(v["accuracy"], 3)
                                                          for k, v in found[w].items()}
                                                  for w in ("model", "trained alone", "floor")}, flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
