"""Every command of docs/text.md runs, on small tables of the same columns."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from nearfar import cli
from nearfar.core.registry import ENCODERS, TOKENISERS

PAGE = (Path(__file__).parents[2] / "docs" / "text.md").read_text(encoding="utf-8")
WORDS = [
    "it",
    "never",
    "arrived",
    "the",
    "parcel",
    "was",
    "lovely",
    "and",
    "quick",
    "but",
    "broken",
    "cheap",
    "good",
    "bad",
]
QUICK = ["--epochs", "1", "--batch-size", "8", "--set", "train.threads=1", "--set", "data.holdout=0"]
QUICK += ["--set", "model.encoder_options.dim=8", "--set", "train.monitor_rows=0"]


def commands():
    lines = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
    assert all(line.startswith("$ nearfar ") for line in lines)
    return [shlex.split(line[10:], comments=True) for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("texts"), np.random.default_rng(0)

    def text():
        return " ".join(draw.choice(WORDS, 8))

    def write(name, header, row):
        (folder / name).write_text("\n".join([header, *(row(i) for i in range(24))]) + "\n", encoding="utf-8")

    write("reviews.csv", "text,stars", lambda i: f"{text()},{i % 4}")
    write("few.csv", "text,stars", lambda i: f"{text()},{i % 4}")
    write("new.csv", "text", lambda _: text())
    write("sentences.csv", "english,german", lambda _: f"{text()},{text()}")
    write("scored.csv", "first,second,likeness", lambda i: f"{text()},{text()},{i % 5}")
    return folder


def test_the_commands_run(folder, monkeypatch, capfd):
    """All in their order, since some need what others made."""
    monkeypatch.chdir(folder)
    for args in commands():
        if args[0] == "export":  # tests/downstream/test_export.py runs it
            cli.cli.get_command(None, "export").make_context("export", args[1:])
            continue
        assert cli.run([*args, *(QUICK if args[0] == "train" else [])]) == 0, (args, capfd.readouterr().err)
        assert (folder / (args[args.index("--out") + 1] if "--out" in args else "reviews.csv")).exists()


def test_all_encoders_and_tokenisers_are_named():
    for name in ENCODERS:
        if "text" in ENCODERS.get(name).MODALITIES:
            assert re.search(rf"^\| `{name}[`:]", PAGE, re.M), name
    for name in TOKENISERS:
        assert re.search(rf"^\| `{name}[`:]", PAGE, re.M), name
