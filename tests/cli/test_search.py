"""Searching one side of pairs by the other."""

import csv
import json

import numpy as np
import pytest

import nearfar
from nearfar import cli
from nearfar.training import train
from tests.training.test_text_runs import QUICK, sentences


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    en, de, _ = sentences()
    with (folder / "pairs.csv").open("w", newline="") as f:
        csv.writer(f).writerows([["en", "de"], *zip(en, de, strict=True)])
    given = QUICK | {"column": ("en", "de"), "epochs": 15, "lr": 0.01}
    train.train(str(folder / "pairs.csv"), out=folder / "run", **given)
    return folder


def hits(capsys, *args):
    assert cli.run([*map(str, args), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["results"]


@pytest.mark.parametrize(("asked", "column"), [(("--from", "en", "--to", "de"), 1), (("--to", "en"), 0), ((), 1)])
def test_the_other_side_is_searched(trained, capsys, asked, column):
    en, de, _ = sentences()
    query = (de if "en" in asked[-1:] else en)[:6]
    found = hits(capsys, "search", trained / "run", *query, *asked, "-k", 3)
    options = dict(zip(("source" if len(asked) > 2 else "target", "target"), asked[1::2], strict=False))
    again = nearfar.search(trained / "run", list(query), k=3, quiet=True, **options)
    assert again.as_dict()["results"] == found
    assert repr(again).splitlines()[1].endswith(f"  {found[0]['hits'][0]['text']}")
    right = [(en, de)[column][i] for i in range(6)]
    assert np.mean([r in [h["text"] for h in q["hits"]] for r, q in zip(right, found, strict=True)]) > 0.6
    assert all(h["text"] in (en, de)[column] for q in found for h in q["hits"])


def test_slips_are_told(trained, capsys):
    assert cli.run(["search", str(trained / "run"), "x", "--to", "fr"]) == 2
    assert "no column named 'fr'" in capsys.readouterr().err
    hits(capsys, "search", trained / "run", "nothing.txt", "-k", 1)
    assert cli.run(["search", str(trained / "run"), "nothing.txt", "-k", "1"]) == 0
    assert "there is no file 'nothing.txt'" in capsys.readouterr().err


def test_a_mistyped_picture_and_a_column_among_several(command, tmp_path, monkeypatch):
    import numpy as np
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(12):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (16, 16, 3), np.uint8)).save(f"photos/{i:03}.png")
    code, _, err = command("train", "photos", "--out", "run", "--method", "random", "--epochs", "0", "-q")
    assert code == 0, err
    code, _, err = command("search", "run", "photos/0o3.png")
    assert code == 2
    assert "there is no file 'photos/0o3.png'. Did you mean photos/003.png" in err
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"one cat {i},two dogs {i}\n" for i in range(12)))
    assert command("train", "t.csv", "--column", "a", "--out", "texts", "--method", "random", "--epochs", "0", "-q")[0] == 0
    (tmp_path / "u.csv").write_text("c,d\n" + "".join(f"one cat {i},two dogs {i}\n" for i in range(12)))
    assert "Choose one with --column" in command("search", "texts", "dogs", "--in", "u.csv")[2]
    code, out, err = command("search", "texts", "two dogs", "--in", "u.csv", "--column", "d", "-k", "1")
    assert code == 0
    assert "  two dogs" in out + err


def test_what_is_wrong_with_a_pair_is_said_of_the_pair(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"one cat {i},two dogs {i}\n" for i in range(12)))
    code, _, err = command("train", "t.csv", "--pair", "a", "c", "--out", "run")
    assert code == 2
    assert "--pair" in err
    assert "--column" not in err
