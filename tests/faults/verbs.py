"""Verbs that write, and what is there before them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

OWN = {"run/notes.txt": "mine", "run/mine/notes.txt": "mine too", "notes.txt": "mine as well"}
TRAIN = ["--batch-size", "16", "--set", "train.checkpoint_every=2steps", "--set", "train.threads=1",
         "--set", "train.log_every=1"]  # fmt: skip
SMALL = ["--set", 'model.encoder_options={"width": 16, "layers": 2, "out": 8}', "--set",
         'method.projector={"hidden": 8, "out": 4}']  # fmt: skip
NUMBERS = ["train", "../data/numbers.csv", "--label", "kind", *TRAIN, *SMALL]
RUN = [*NUMBERS, "--out", "run", "--seed", "1", "--epochs", "1"]
TEXTS = ["train", "../data/texts.csv", "--column", "words", "--tokens", "hashed:200", *TRAIN, "--epochs", "1", "--set",
         'model.encoder_options={"dim": 16}']  # fmt: skip
CLASSIFY = ["classify", "run", "../data/few.csv", "--label", "kind"]
EVAL = ["eval", "run", "--on", "../data/few.csv", "--label", "kind", "--protocol", "knn", "--map", "pca", "--no-floors"]
USED = [RUN, CLASSIFY, EVAL]  # a run that was measured and classifies
ANEW = [*NUMBERS, "--out", "run", "--seed", "2", "--epochs", "2"]


@dataclass(frozen=True)
class Verb:
    """A command and what was there before it.

    Parameters
    ----------
    args : sequence of str
        Of the command, which runs in the folder ``work``.
    before : sequence of commands
        They make what is there before.
    cut : int, optional
        The last of the commands before is killed once it has written so many checkpoints.
    root : {"work", "home"}
        The folder whose operations are counted: where one works, or the cache.
    trains : str
        The folder that it trains in, if it does: a state between the old and the new one is whole if `goes_on` ends in
        the new one.
    goes_on : sequence of str
        A command; by default ``train --resume``.
    """

    args: Sequence[str]
    before: Sequence[Sequence[str]] = ()
    cut: int | None = None
    root: str = "work"
    trains: str = ""
    goes_on: Sequence[str] = ()


def _wide(out: str) -> list[str]:
    return ["train", "../data/pairs.csv", "--pair", "words", "picture", "--size", "16", "--tokens", "hashed:200",
            "--encoder", "words=static,picture=small_cnn", "--log", "tensorboard", *TRAIN, "--epochs", "1",
            "--out", out]  # fmt: skip


VERBS: dict[str, Verb] = {
    "train": Verb(ANEW, trains="run"),
    "train --overwrite": Verb([*ANEW, "--overwrite"], USED, trains="run"),
    "train --resume": Verb(["train", "--resume", "--out", "run"], [ANEW], cut=2, trains="run"),
    "train --resume --epochs": Verb(
        ["train", "--resume", "--out", "run", "--epochs", "2"], [[*RUN, "--keep-optimizer"], CLASSIFY, EVAL], trains="run"),
    "train on columns, tensorboard, skipped": Verb(_wide("run"), trains="run"),
    "train --seeds": Verb([*NUMBERS, "--out", "three", "--epochs", "1", "--seeds", "2"], trains="three"),
    "train --seeds --overwrite": Verb(
        [*NUMBERS, "--out", "three", "--epochs", "1", "--seeds", "2", "--overwrite"],
        [[*NUMBERS, "--out", "three", "--epochs", "1", "--seeds", "2", "--seed", "7"]], trains="three"),
    "classify": Verb(CLASSIFY, [RUN]),
    "classify again": Verb([*CLASSIFY, "--seed", "3", "--kind", "knn"], USED),
    "classify --out": Verb(["classify", "run", "../data/few.csv", "--use", "default", "--out", "predicted.csv"],
                           [*USED, ["classify", "run", "../data/numbers.csv", "--use", "default", "--out", "predicted.csv"]]),
    "eval": Verb(["eval", "run", "--on", "../data/numbers.csv", "--label", "kind", "--protocol", "knn", "--map", "pca", "--no-floors"], USED),
    "eval again": Verb(EVAL, USED),
    "ensemble": Verb(["ensemble", "run", "other", "--out", "both"], [RUN, [*RUN[:-4], "--seed", "5", "--epochs", "1", "--out", "other"]]),
    "ensemble --overwrite": Verb(
        ["ensemble", "run", "other", "--how", "average", "--out", "both", "--overwrite"],
        [RUN, [*RUN[:-4], "--seed", "5", "--epochs", "1", "--out", "other"], ["ensemble", "run", "other", "--out", "both"]]),
    "export": Verb(["export", "texts", "--to", "sentence-transformers", "--out", "exported"],
                   [[*TEXTS, "--out", "texts"]]),
    "export as the library's own modules": Verb(
        ["export", "own", "--to", "sentence-transformers", "--out", "exported"],
        [[*(w if w != "hashed:200" else "bpe:60" for w in TEXTS), "--out", "own"]]),
    "export --overwrite": Verb(
        ["export", "texts", "--to", "sentence-transformers", "--out", "exported", "--overwrite"],
        [[*TEXTS, "--out", "first", "--seed", "4"], ["export", "first", "--to", "sentence-transformers", "--out", "exported"],
         [*TEXTS, "--out", "texts"]]),
    **{
        f"embed to {end}": Verb(["embed", "run", "../data/few.csv", "--out", f"vectors{end}"],
                                [RUN, ["embed", "run", "../data/numbers.csv", "--out", f"vectors{end}"]])
        for end in (".parquet", ".npz", ".npy")
    },
    "align": Verb(["align", "../data/few.csv", "../data/numbers.csv", "--run", "run", "--out", "pairs.tsv"],
                  [RUN, ["align", "../data/few.csv", "../data/few.csv", "--run", "run", "--out", "pairs.tsv"]]),
    "views": Verb(["views", "../data/numbers.csv", "--out", "views.png", "--rows", "3", "--views", "2"],
                  [["views", "../data/few.csv", "--out", "views.png", "--rows", "2", "--views", "2"]]),
    "views of texts": Verb(["views", "../data/texts.csv", "--out", "views.html", "--column", "words", "--rows", "3"],
                           [["views", "../data/texts.csv", "--out", "views.html", "--column", "words", "--rows", "2"]]),
    "tune": Verb(["tune", "../data/many.csv", "--label", "kind", "--trials", "2", "--horizon", "1", "--budget", "1h",
                  "--out", "tuned", "--overwrite"],
                 [["tune", "../data/many.csv", "--label", "kind", "--trials", "2", "--horizon", "1", "--budget", "1h",
                   "--out", "tuned", "--seed", "9"]]),
    "demo": Verb(["demo", "--out", "run", "--epochs", "0"], USED, trains="run", goes_on=["demo", "--out", "run", "--epochs", "0"]),
    "cache": Verb(["views", "../data/pictures", "--out", "../other/views.png", "--rows", "2", "--views", "2"],
                  [["views", "../data/pictures", "--out", "../other/views.png", "--rows", "2", "--views", "2", "--size", "8"]], root="home"),
}  # fmt: skip


def make_data(folder: Path) -> None:
    """A table of numbers, some rows of it, texts, texts beside numbers with a cell that is none, and pictures."""
    from PIL import Image

    draw = np.random.default_rng(0)
    words = ["red", "green", "blue", "round", "flat", "tall", "small", "old", "new", "fast", "slow", "cold"]
    rows = []
    for i in range(160):
        numbers = [f"{x:.3f}" for x in draw.normal(2 * (i % 2), 1, 4)]
        text = " ".join(draw.choice(words, 5))
        rows.append([*numbers, text, f"pictures/{i % 24}.png" if i != 7 else "damaged.png", "xy"[i % 2]])
    for name, columns, some in (
        ("many", (0, 1, 2, 3, 6), rows), ("numbers", (0, 1, 2, 3, 6), rows[:48]), ("few", (0, 1, 2, 3, 6), rows[:24]), ("texts", (4, 6), rows[:48]),
        ("pairs", (4, 5), rows[:48]),
    ):  # fmt: skip
        head = ["a", "b", "c", "d", "words", "picture", "kind"]
        with open(folder / f"{name}.csv", "w", newline="") as f:
            csv.writer(f).writerows([[head[i] for i in columns], *([row[i] for i in columns] for row in some)])
    (folder / "damaged.png").write_bytes(b"none")
    (folder / "pictures").mkdir()
    for i in range(24):
        Image.fromarray(draw.integers(0, 255, (24, 24, 3), np.uint8)).save(folder / "pictures" / f"{i}.png")
