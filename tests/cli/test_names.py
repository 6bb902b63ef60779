"""Files whose names are not UTF-8, or hold control characters, go through every verb and are shown escaped."""

import csv
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nearfar.cli import run

SMALL = ["--epochs", "1", "--batch-size", "16", "--set", "train.threads=1", "--set", "train.precision=fp32", "-q"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of pictures with such names, in a folder of such a name, and a run on them."""
    here = tmp_path_factory.mktemp("names")
    draw = np.random.default_rng(0)
    for label, colour in ((b"caf\xe9", (200, 40, 40)), (b"dog\x1b[31m", (40, 40, 200))):
        folder = here / os.fsdecode(b"ph\xe9tos") / os.fsdecode(label)
        folder.mkdir(parents=True)
        for i in range(24):
            array = np.clip(np.array(colour) + draw.normal(0, 25, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(array).save(folder / os.fsdecode(b"n\xff\n%d.png" % i))
    photos, model = here / os.fsdecode(b"ph\xe9tos"), here / "run"
    assert run(["train", str(photos), "--out", str(model), *SMALL]) == 0
    return here, str(photos), str(model)


def test_the_run_holds_them(place):
    config = json.loads((place[0] / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["label_names"] == ["caf\\xe9", "dog\\x1b[31m"]
    assert config["data"]["source"]["source"] == place[1]  # which opens the folder again


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_vectors(place, ending):
    here, photos, model = place
    out = here / f"v.{ending}"
    assert run(["embed", model, photos, "--out", str(out), "-q"]) == 0
    names = np.load(out)["name"] if ending == "npz" else pq.read_table(out)["name"].to_pylist()
    assert len(names) == 48
    assert names[0] == "caf\\xe9/n\\xff\\n0.png"


def test_measured_with_figures_in_json(place, capsys):
    _, photos, model = place
    assert run(["eval", model, "--protocol", "knn", "--no-floors", "--map", "pca", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["classes"] == ["caf\\xe9", "dog\\x1b[31m"]
    assert run(["eval", model, "--on", photos, "--protocol", "knn", "--no-floors", "--map", "pca", "-q"]) == 0


def test_classified_and_searched(place, capsys):
    here, photos, model = place
    out = here / os.fsdecode(b"\xfc.csv")
    assert run(["classify", model, photos, photos, "--out", str(out), "-q"]) == 0
    with open(out, encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    assert rows[0]["name"] == "caf\\xe9/n\\xff\\n0.png"
    assert {r["likeliest"] for r in rows} <= {"caf\\xe9", "dog\\x1b[31m"}
    query = os.path.join(photos, os.fsdecode(b"caf\xe9"), os.fsdecode(b"n\xff\n3.png"))
    capsys.readouterr()
    assert run(["search", model, query, "-k", "1", "--json", "-q"]) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.err
    assert "caf\\\\xe9/n\\\\xff\\\\n3.png" in shown.out


def test_a_table_and_a_split_folder_of_such_names(tmp_path):
    from nearfar.data.read import read

    for split in (b"train", b"test"):
        folder = tmp_path / os.fsdecode(split)
        folder.mkdir()
        (folder / os.fsdecode(b"\xe4.csv")).write_text("text\nthe first row\nthe second row\n")
    table = read(tmp_path)
    assert {s: len(r) for s, r in table.splits.items()} == {"train": 2, "test": 2}
    assert table.names[0] == "test/\\xe4.csv:1"


def test_a_run_cannot_have_such_a_name(place, capsys):
    here, photos, _ = place
    assert run(["train", photos, "--out", str(here / os.fsdecode(b"r\xfcn")), *SMALL]) == 2
    assert "r\\xfcn: the path is not UTF-8" in capsys.readouterr().err
