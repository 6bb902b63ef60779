"""Rows of three columns as all pairs of them; and pairs on two processes."""

import csv
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from nearfar import cli
from nearfar.core.errors import ConfigError, DataError, UserError
from nearfar.evaluation import evaluate
from nearfar.evaluation.protocols import retrieval
from nearfar.models import loading
from nearfar.training import train
from tests.helpers.colours import COLOURS, QUICK, pictures
from tests.helpers.pairs import sides_of
from tests.helpers.two import trainings

COLUMNS = ("image", "caption", "numbers")
SMALL = {"image": {"widths": [8, 16]}, "caption": {"dim": 16}, "numbers": {"width": 16, "out": 16}}
GIVEN = QUICK | {"encoder_options": SMALL, "projector": {"out": 16}}


def threes(count=96, seed=0):
    """Pictures, captions, and rows of six numbers that say the colour too."""
    x, colour, captions = pictures(count, seed)
    draw = np.random.default_rng(seed + 100)
    return {
        "image": x,
        "caption": captions,
        "numbers": np.eye(3)[colour].repeat(2, 1) + draw.normal(0, 0.1, (count, 6)),
    }


@pytest.fixture(scope="module", params=["clip", "siglip"])
def trained(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("three") / request.param
    return train.train(threes(), column=COLUMNS, method=request.param, epochs=12, lr=0.01, out=out, **GIVEN)


def test_all_three_meet_in_one_space_and_come_back(trained):
    assert list(trained.model.branches) == list(COLUMNS)
    assert trained.metrics[-1]["loss"] < trained.metrics[0]["loss"]
    model, new = loading.load(trained.path), threes(40, seed=5)
    for name in COLUMNS:
        z = model.encode(new[name], column=name)
        assert z.shape == (40, 16)
        np.testing.assert_array_equal(z, trained.model.encode(new[name], column=name))


def test_retrieval_is_measured_between_every_two(trained):
    model, new = loading.load(trained.path), threes(50, seed=6)
    found = evaluate.evaluate(model, {"train": new, "test": new}, column=COLUMNS)
    r = found.results[0]
    assert set(r["retrieval"]) == {f"{a}->{b}" for a, b in itertools.permutations(COLUMNS, 2)}
    for a, b in itertools.combinations(COLUMNS, 2):
        sides = sides_of(model.encode(new[a], column=a), model.encode(new[b], column=b))
        alone = retrieval.measure(sides)
        assert r["retrieval"][f"{a}->{b}"]["recall"] == pytest.approx(alone["left_to_right"]["recall"], abs=0.03)
        assert r["retrieval"][f"{b}->{a}"]["recall"] == pytest.approx(alone["right_to_left"]["recall"], abs=0.03)
    assert all(f"R@1 {a}->{b}" in found.table() for a, b in itertools.permutations(COLUMNS, 2))
    assert json.dumps(found.as_dict())
    with pytest.raises(DataError, match="cannot be compared"):
        features = {"image": {"widths": [8, 16]}, "caption": {"dim": 8}}
        other = train.train(threes(), column=COLUMNS[:2], epochs=0, **GIVEN | {"encoder_options": features}).model
        evaluate.evaluate(other, new, column=COLUMNS[:2], layer="features")


def test_each_two_learn_from_each_other():
    """With numbers that say nothing, pictures and captions still meet, and the loss is the mean over the three pairs."""
    from itertools import combinations

    import torch

    from nearfar.core.config import Config
    from nearfar.core.console import QUIET
    from nearfar.objectives.info_nce import info_nce_between
    from nearfar.objectives.kernel.relation import Relation
    from nearfar.training.plan.prepare import prepare
    from nearfar.training.trainer import Trainer

    data = threes()
    data["numbers"] = data["numbers"].copy()
    data["numbers"][1::2] = data["numbers"][::2]  # every row of numbers twice
    config = Config().set("data.column", COLUMNS)
    for key, value in GIVEN.items():
        config = config.set("method.projector" if key == "projector" else key, value)
    trainer = Trainer(prepare(config.set("method", "clip"), data, console=QUIET), None, QUIET)
    loss, _, e = trainer.learner(trainer.viewer.batch(np.arange(24), 0, 0))
    rows, numbers, expected = torch.arange(24), torch.arange(24) // 2, []
    for i, j in combinations(range(3), 2):
        relation = Relation(
            rows, numbers if 2 in (i, j) else None
        )  # a picture and a caption are negatives all the same
        expected.append(info_nce_between(e.sides[i], e.sides[j], relation, temperature=e.parts["temperature"]())[0])
    assert float(loss.detach()) == pytest.approx(float(torch.stack(expected).mean().detach()), rel=1e-5)


def test_a_missing_cell_leaves_its_row_out():
    data = threes()
    data["caption"][3] = None
    data["numbers"][7], data["numbers"][8, 2] = np.nan, np.nan  # of a row of numbers some may be missing, not all
    trained = train.train(data, column=COLUMNS, epochs=1, **GIVEN)
    assert len(trained.plan.table) == 94
    assert {s.reason for s in trained.plan.table.skipped} == {"is empty", "holds no number"}
    data["numbers"] = [None if i == 7 else row.tolist() for i, row in enumerate(data["numbers"])]
    data["numbers"][8][2] = 0.0
    assert len(train.train(data, column=COLUMNS, epochs=0, **GIVEN).plan.table) == 94
    assert trained.metrics
    data["caption"] = data["caption"][:48] + [None] * 48
    with pytest.raises(DataError, match="rows cannot be read"):
        train.train(data, column=COLUMNS, epochs=1, **GIVEN)


def test_judgements_of_three_columns_are_refused(trained):
    data = threes(40, seed=7) | {"score": np.arange(40.0)}
    with pytest.raises(DataError, match="which two are judged"):
        evaluate.evaluate(trained.model, data, column=COLUMNS, score="score", protocols=["sts"])
    with pytest.raises(UserError, match="two columns and their scores"):
        train.train(data, column=COLUMNS, score="score", method="cosent", epochs=1, **GIVEN)


def test_other_models_are_asked_which_column(trained):
    with pytest.raises(ConfigError, match="columns image, caption, numbers"):
        trained.model.encode(["a red picture"])
    made = trained.model.zero_shot(COLOURS, "a {} picture")
    new = threes(30, seed=8)
    for name in ("image", "numbers"):
        assert made.predict(trained.model.encode(new[name], column=name)).probabilities.shape == (30, 3)


# the command


@pytest.fixture
def table(tmp_path):
    x, _, captions = pictures(40)
    with open(tmp_path / "data.csv", "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["image", "caption", "german"])
        for i, text in enumerate(captions):
            Image.fromarray(x[i]).save(tmp_path / f"{i}.png")
            writer.writerow([f"{i}.png", text, text.replace("picture number", "Bild Nummer")])
    return tmp_path / "data.csv"


@pytest.mark.parametrize(
    ("args", "columns"),
    [
        (["--pair", "image", "caption", "german"], ["image", "caption", "german"]),
        (["--pair", "image", "caption", "--pair", "caption", "german"], ["image", "caption", "german"]),
        (["--pair", "caption", "german", "--seed", "1"], ["caption", "german"]),
    ],
)
def test_the_command_takes_two_columns_or_more(table, capfd, args, columns):
    assert cli.run(["train", str(table), *args, "--dry-run", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["config"]["data"]["column"] == columns
    first = ["train", "--pair", "caption", "german", str(table)]  # before the data there are two
    assert cli.run([*first, "--dry-run", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["config"]["data"]["column"] == ["caption", "german"]


def test_train_and_eval_of_three(table, tmp_path, capfd):
    run = str(tmp_path / "run")
    assert cli.run(["train", str(table), "--pair", "image", "caption", "german", "--out", run, "--epochs", "1",
                    "--set", "model.encoder_options.caption.dim=8", "--set", "model.encoder_options.german.dim=8"]) == 0  # fmt: skip
    assert cli.run(["eval", run, "--pair", "image", "caption", "german", "--no-floors", "--json"]) == 0
    out = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert len(out["results"][0]["retrieval"]) == 6
    assert cli.run(["eval", run, "--pair", "image", "german", "--no-floors", "--json"]) == 0
    out = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert set(out["results"][0]["retrieval"]) == {"image->german", "german->image"}


# processes


def test_two_processes_equal_one(tmp_path):
    data = {k: v for k, v in threes(64).items() if k != "numbers"}
    data["image"][1], data["caption"][34] = (
        data["image"][40],
        data["caption"][2],
    )  # negatives that are none, across both
    given = GIVEN | {"column": COLUMNS[:2], "epochs": 2, "log_every": 1}
    runs = {method: given | {"method": method} for method in ("clip", "siglip")}
    for method, two in trainings(data, tmp_path, **runs).items():
        one = train.train(data, **runs[method])
        np.testing.assert_allclose([m["loss"] for m in one.metrics], [m["loss"] for m in two.metrics], rtol=1e-4)
        for name in COLUMNS[:2]:
            a, b = (t.encode(data[name], column=name) for t in (one, two))
            np.testing.assert_allclose(a, b, atol=2e-3)
        assert one.model.numbers == pytest.approx(two.model.numbers, rel=1e-5)
