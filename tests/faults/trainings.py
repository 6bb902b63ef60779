"""Small trainings: every method on every modality that it takes, and all else that is state of a training.

Each has four steps or a few more and takes a third of a second.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.core.registry import METHODS
from tests.helpers import histories
from tests.helpers.colours import pictures
from tests.helpers.methods import OF_ROWS, small
from tests.training.test_text_runs import sentences

ROWS = 48
KNOBS = {
    "epochs": 2, "batch_size": 24, "holdout": 0.0, "monitor_rows": 0, "threads": 1, "precision": "fp32",
    "log_every": 1, "checkpoint_every": "1steps",
    "keep_optimizer": True,
}  # fmt: skip


@dataclass(frozen=True)
class Training:
    """What is trained on what.

    Parameters
    ----------
    name, method, modality : str
    data : callable
        Given a folder, what `nearfar.train` takes: the same at every call, and where it is files, written once.
    knobs : dict
        Without an encoder, that of the modality; ``{run}`` in a word stands for the run of the training `needs`.
    needs : str
    seeds : int
        More than one: a folder of runs.
    there : bool
        A copy of the run that it `needs` is there first, with a file of its user's.
    longer : dict
        Knobs that this copy is resumed; empty: it is overwritten.
    verb : tuple of str
        Instead of a training, a command; ``{out}``, ``{run}`` and ``{data}`` stand for paths.
    """

    name: str
    method: str
    modality: str
    data: Callable[[Path], Any]
    knobs: dict[str, Any] = field(default_factory=dict)
    needs: str = ""
    seeds: int = 1
    there: bool = False
    longer: dict[str, Any] = field(default_factory=dict)
    verb: tuple[str, ...] = ()

    def given(self, run: Path | None) -> dict[str, Any]:
        """All knobs, with the run that it needs."""
        found = KNOBS | ENCODERS[self.modality] | {"method": self.method}
        found |= small(self.method) if self.method in OF_ROWS else {}
        found |= self.knobs
        return {k: v.replace("{run}", str(run)) if isinstance(v, str) else v for k, v in found.items()}


# --- data ---------------------------------------------------------------------------------------------------------


def _pictures(_: Path) -> Any:
    x, colour, _ = pictures(ROWS)
    return x, colour


def _numbers(_: Path, rows: int = ROWS) -> Any:
    classes = np.arange(rows) % 4
    noise = np.random.default_rng(0).normal(size=(rows, 6))
    return (noise + 2 * classes[:, None]).astype(np.float32), classes


def _series(_: Path) -> Any:
    classes = np.arange(ROWS) % 3
    waves = np.sin(np.arange(20) * (0.3 + 0.5 * classes[:, None]))[:, None]
    return (waves + np.random.default_rng(0).normal(0, 0.3, (ROWS, 2, 20))).astype(np.float32), classes


def _texts(_: Path) -> Any:
    english, _, who = sentences(ROWS)
    return english, who


def _pairs(_: Path) -> Any:
    english, german, _ = sentences(ROWS)
    return {"left": english, "right": german}


def _scored(folder: Path) -> Any:
    return _pairs(folder) | {"score": np.arange(ROWS) % 6 / 5.0}


def _triplets(folder: Path) -> Any:
    pairs = _pairs(folder)
    return pairs | {"wrong": pairs["right"][1:] + pairs["right"][:1]}


def _captions(_: Path) -> Any:
    x, _, captions = pictures(ROWS)
    return {"image": x, "caption": captions}


def _three(folder: Path) -> Any:
    return _captions(folder) | {"numbers": _numbers(folder)[0]}


def _once(write: Callable[[Path], None], name: str) -> Callable[[Path], Any]:
    """Data that are files: written where they are not there yet."""

    def find(folder: Path) -> str:
        place = folder / name
        if not place.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write(place)
        return str(place)

    return find


def _folder(place: Path) -> None:
    from PIL import Image

    x, colour, _ = pictures(ROWS)
    for i, (picture, c) in enumerate(zip(x, colour, strict=True)):
        (place / str(c)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / str(c) / f"{i}.png")
    (place / "0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")


def _table(place: Path, count: int = 2 * ROWS) -> None:
    rows, classes = _numbers(place, count)
    with place.open("w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow([*(f"x{i}" for i in range(rows.shape[1])), "kind", "origin"])
        writer.writerows([*row, f"k{c}", "ab"[i % 2]] for i, (row, c) in enumerate(zip(rows, classes, strict=True)))


def _long(place: Path) -> None:
    """Enough rows to tune on."""
    _table(place, 6 * ROWS)


files, table = _once(_folder, "pictures"), _once(_table, "numbers.csv")
long_table = _once(_long, "long.csv")

DATA = {"pictures": _pictures, "numbers": _numbers, "texts": _texts, "pairs": _pairs, "scored pairs": _scored,
        "series": _series, "histories": lambda _: histories.planted()}  # fmt: skip
ENCODERS: dict[str, dict[str, Any]] = {
    "pictures": {"encoder": "small_cnn", "encoder_options": {"widths": [4, 8]}},
    "numbers": {"encoder": "mlp", "encoder_options": {"width": 12, "out": 8}},
    "texts": {"tokens": "hashed:4096", "encoder": "static", "encoder_options": {"dim": 12}},
    "pairs": {"tokens": "hashed:4096", "column": ("left", "right"), "encoder_options": {"dim": 12}},
    "scored pairs": {"tokens": "hashed:4096", "column": ("left", "right"), "score": "score", "encoder_options": {"dim": 12}},
    "series": {"modality": "series", "encoder_options": {"width": 4, "out": 4, "layers": 1}},
    "histories": {"user": "user_id", "column": ("item_id",), "leave_out": "none", "encoder_options": {"dim": 8},
                  "batch_size": 16},
    "captions": {
        "tokens": "hashed:4096", "column": ("image", "caption"), "projector": {"out": 8},
        "encoder_options": {"image": {"widths": [4, 8]}, "caption": {"dim": 12}},
    },
    "three columns": {
        "tokens": "hashed:4096", "column": ("image", "caption", "numbers"), "projector": {"out": 8},
        "encoder_options": {"image": {"widths": [4, 8]}, "caption": {"dim": 12}, "numbers": {"width": 12, "out": 8}},
    },
}  # fmt: skip

# --- every method on every modality -------------------------------------------------------------------------------


def _modalities(method: str) -> list[str]:
    record = METHODS.get(method).RECORD
    if record.takes == "histories":
        return ["histories"]
    if record.steps:
        return ["series"]
    if record.takes != "rows":
        return {"texts": ["texts"], "pairs": ["pairs"], "scored pairs": ["scored pairs"]}[record.takes]
    one_column = record.positives == "labels" or "context" in record.parts
    return ["pictures", "numbers", "texts", *(() if one_column else ("pairs",))]


def _of(method: str, modality: str) -> Training:
    taught = METHODS.get(method).RECORD.positives == "teacher"
    more = {"needs": f"simclr on {modality}", "knobs": {"positives": "teacher:{run}"}} if taught else {}
    if modality == "histories":
        more = {"knobs": {"encoder": "history" if METHODS.get(method).RECORD.steps else "lightgcn"}}
    return Training(f"{method} on {modality}", method, modality, DATA[modality], **more)


METHOD_BY_MODALITY = [_of(m, d) for m in METHODS for d in _modalities(m)]

# --- what else is state -------------------------------------------------------------------------------------------


def _also(name: str, method: str, modality: str, data: Callable[[Path], Any] | None = None, **knobs: Any) -> Training:
    own = {k: knobs.pop(k) for k in ("needs", "seeds", "there", "longer", "verb") if k in knobs}
    return Training(name, method, modality, data or DATA[modality], knobs, **own)


EVERY_TWO = {"warmup": 0, "every": 2}
ALSO = [
    _also("slim", "moco_v2", "pictures", average=0.5, keep_optimizer=False),
    _also("slim, two processes", "simclr", "numbers", processes=2, log_every=3, keep_optimizer=False),
    _also("slim, overwritten", "byol", "texts", needs="simclr on texts", there=True, seed=1, keep_optimizer=False),
    _also("slim, several seeds", "simclr", "numbers", table, label="kind", seeds=2, epochs=1, keep_optimizer=False),
    _also("two processes", "byol", "numbers", processes=2),
    _also("overwritten", "simclr", "numbers", needs="supcon on numbers", there=True, seed=1),
    _also("longer", "moco_v3", "numbers", needs="moco_v3 on numbers", there=True, longer={"epochs": 4}),
    _also("clusters", "simclr", "pictures", positives="clusters:4", positives_options=EVERY_TWO, log_every=3),
    _also("averaged", "simclr", "pictures", average=0.5),
    _also("mined negatives", "clip", "pairs", positives="mined:{run}:2", needs="clip on pairs"),
    _also("several seeds", "simclr", "numbers", table, label="kind", seeds=2, epochs=1),
    _also("in chunks", "moco_v2", "pictures", chunk=8, bn_groups=2),
    _also("partners", "byol", "numbers", positives="teacher:{run}:neighbours:3", needs="simclr on numbers"),
    _also("locked", "clip", "captions", _captions, init_from="image={run}", lock=("image",),
          needs="simclr on pictures"),
    _also("streamed", "simclr", "pictures", files, stream=True, workers=0, size=16),
    _also("three columns", "siglip", "three columns", _three),
    _also("tensorboard", "simclr", "numbers", log=("tensorboard",), log_every=2),
    _also("columns of numbers", "simclr", "numbers", table, label="kind", epochs=2),
    _also("classifier", "classify", "numbers", needs="columns of numbers", there=True,
          verb=("classify", "{out}", "{data}/numbers.csv", "--label", "kind")),
    _also("labels as positives", "simclr", "numbers", positives="labels"),
    _also("rows beside each other", "simclr", "texts", positives="beside:2"),
    _also("teacher's clusters", "simclr", "pictures", positives="teacher:{run}:clusters:4", needs="simclr on pictures"),
    _also("negatives", "clip", "pairs", _triplets, negative=("wrong",)),
    _also("nested", "clip", "pairs", nested="4,8"),
    _also("a twin averaged", "byol", "numbers", average=0.7),
    _also("begun with", "simclr", "pictures", init_from="{run}", interpolate=0.3, needs="supcon on pictures"),
    _also("chunks of pairs", "clip", "pairs", chunk=8, log_every=4),
    _also("two processes, averaged", "simclr", "numbers", processes=2, average=0.5, log_every=3),
    _also("two processes, clusters", "simclr", "pictures", positives="clusters:4", positives_options=EVERY_TWO,
          processes=2),
    _also("two processes, overwritten", "simclr", "numbers", needs="supcon on numbers", there=True, processes=2),
    _also("processes that decode", "simclr", "pictures", files, stream=True, workers=1, size=16),
    _also("from the cache", "vicreg", "pictures", files, size=16),
    _also("bpe", "simcse", "texts", tokens="bpe:280"),
    _also("dropout", "simcse", "texts", encoder="text_transformer",
          encoder_options={"width": 8, "layers": 1, "heads": 2, "dropout": 0.2}),
    _also("schedules", "dino", "numbers", temperature={"start": 0.1, "end": 0.4}, final_decay=0.3),
    _also("bf16", "simclr", "pictures", precision="bf16"),
    _also("lars", "barlow_twins", "numbers", **{"optim.name": "lars"}),
    _also("sgd", "swav", "texts", **{"optim.name": "sgd"}),
    _also("balanced", "supcon", "numbers", balance="4x6"),
    _also("sets", "simclr", "numbers", table, sets="origin", mix=1.0, label="kind", batch_size=12, epochs=1),
    _also("watched", "simclr", "pictures", holdout=0.3, monitor_rows=50, batch_size=16),
    _also("several crops", "dino", "pictures", recipe="swav", count=4),
    _also("saved by time", "nnclr", "pictures", checkpoint_every="0.02s", log_every=5),
    _also("saved now and then", "pcl", "numbers", checkpoint_every="3steps", log_every=4, epochs=4),
    _also("longer, averaged", "simclr", "pictures", needs="averaged", there=True, longer={"epochs": 4}),
    _also("several seeds, overwritten", "byol", "numbers", needs="several seeds", there=True, seeds=2, seed=5, epochs=2),
    _also("ensemble", "ensemble", "numbers", needs="several seeds",
          verb=("ensemble", "{run}", "--out", "{out}", "--overwrite")),
    _also("ensemble, overwritten", "ensemble", "numbers", needs="several seeds", there=True,
          verb=("ensemble", "{run}", "--how", "average", "--out", "{out}/seed0", "--overwrite")),
    _also("vectors", "embed", "numbers", needs="columns of numbers", there=True,
          verb=("embed", "{run}", "{data}/numbers.csv", "--out", "{out}/vectors.npz")),
    _also("tuned", "tune", "numbers", long_table,
          verb=("tune", "{data}/long.csv", "--label", "kind", "--trials", "2", "--horizon", "1", "--budget", "60s",
                "--out", "{out}/found.toml", "--overwrite")),
]  # fmt: skip
EVERY = {t.name: t for t in (*METHOD_BY_MODALITY, *ALSO)}
