"""Hard negatives: from a column, mined by a run; whose negatives they are, and whose not."""

import json

import numpy as np
import pytest
import torch

from nearfar import cli
from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, UserError
from nearfar.models import loading
from nearfar.objectives.info_nce import info_nce_between
from nearfar.objectives.kernel.relation import Relation
from nearfar.training import train
from nearfar.training.plan.prepare import prepare
from nearfar.training.positives import mined
from nearfar.training.trainer import Trainer
from tests.helpers.inputs import similarity
from tests.training.test_text_runs import QUICK, sentences


@pytest.fixture(scope="module")
def triplets():
    """Sentences, their translations, and the translation of the next sentence as the wrong one."""
    en, de, _ = sentences()
    return {"en": en, "de": de, "wrong": de[1:] + de[:1]}


GIVEN = QUICK | {"column": ("en", "de"), "negative": ("wrong",), "epochs": 2}


@pytest.fixture(scope="module")
def miner(triplets, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "miner"
    train.train({k: triplets[k] for k in ("en", "de")}, out=out, **QUICK | {"column": ("en", "de"), "epochs": 30})
    return out


def test_ignored_negatives_by_the_slow_formula():
    g = torch.Generator().manual_seed(1)
    left, right = (torch.randn(4, 3, generator=g, dtype=torch.float64) for _ in range(2))
    hard = torch.randn(4, 2, 3, generator=g, dtype=torch.float64)
    group, ignore = torch.arange(4), torch.tensor([10, 11, 11, 13])
    known = torch.tensor([[11, -1], [13, 10], [-1, -1], [10, 12]])
    fast, _ = info_nce_between(
        left, right, Relation(group, ignore), negatives=hard, negative_ignore=known, temperature=0.4, both_ways=False
    )
    losses = []
    for i in range(4):
        seen = [similarity(left[i], right[j], "cosine") for j in range(4) if j == i or ignore[j] != ignore[i]]
        seen += [
            similarity(left[i], hard[j, k], "cosine") for j in range(4) for k in range(2) if known[j, k] != ignore[i]
        ]
        own = similarity(left[i], right[i], "cosine") / 0.4
        losses.append(torch.logsumexp(torch.stack(seen) / 0.4, 0) - own)
    assert abs(float(fast) - float(torch.stack(losses).mean())) < 1e-12
    with pytest.raises(ValueError, match="negative_ignore"):
        info_nce_between(left, right, Relation(group), negatives=hard, negative_ignore=known)


def test_a_column_of_negatives(triplets, tmp_path):
    trained = train.train(triplets, out=tmp_path / "run", **GIVEN)
    assert list(trained.model.columns) == ["en", "de"]  # what it embeds
    assert any("'wrong' as 'de'" in n for n in trained.plan.notes)
    (hard,) = trained.plan.hard
    np.testing.assert_array_equal(hard.ignore, np.roll(trained.plan.ignore, -1))  # each is another row's right side
    view = Trainer(trained.plan, None, QUIET).viewer.batch(np.arange(8), 0, 0)
    assert [(v.column, v.role) for v in view.views] == [("en", "global"), ("de", "global"), ("de", "negative")]
    drawn = loading.load(tmp_path / "run").encode(triplets["wrong"][:2], column="de")
    assert drawn.shape == (2, 32)
    again = train.train(triplets, out=tmp_path / "none", **GIVEN | {"negative": ()})
    assert trained.metrics[0]["loss"] > again.metrics[0]["loss"]  # more to tell apart


def cut_and_resumed(data, out, given, at, monkeypatch):
    """A training that dies after `at` steps and is resumed."""
    step = Trainer.step

    def dies(self, *args):
        if self.position.step == at:
            raise RuntimeError("power cut")
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", dies)
    with pytest.raises(RuntimeError):
        train.train(data, out=out, **given)
    monkeypatch.setattr(Trainer, "step", step)
    train.train(data, out=out, resume=True)


def test_negatives_resume_to_the_same_bits(triplets, tmp_path, monkeypatch):
    given = GIVEN | {"checkpoint_every": "3steps", "epochs": 3, "length": 120}
    whole = train.train(triplets, out=tmp_path / "whole", **given)
    cut_and_resumed(triplets, tmp_path / "cut", given, 8, monkeypatch)
    a, b = (loading.load(tmp_path / r).encode(triplets["en"], column="en") for r in ("whole", "cut"))
    np.testing.assert_array_equal(a, b)
    assert whole.plan.config.data.negative == ("wrong",)


def test_who_cannot_take_them(triplets):
    for method in ("siglip", "cosent"):
        with pytest.raises(UserError, match="no hard negatives|needs two columns and their scores"):
            prepare(
                Config().set("model.method", method).set("data.column", ("en", "de")).set("data.negative", ("wrong",)),
                triplets,
            )
    numbers = {
        "en": triplets["en"],
        "de": triplets["de"],
        "x": np.random.default_rng(0).normal(size=(160, 4)).astype("f4"),
    }
    with pytest.raises(ConfigError, match="'x' holds vector and can be no negative of text"):
        prepare(Config().set("data.column", ("en", "de")).set("data.negative", ("x",)), numbers)
    with pytest.raises(UserError, match="wrng.*wrong"):
        prepare(Config().set("data.column", ("en", "de")).set("data.negative", ("wrng",)), triplets)


def test_one_column_with_negatives(triplets):
    data = {"text": triplets["en"], "wrong": triplets["de"]}
    trained = train.train(data, **GIVEN | {"column": ("text",), "method": "simcse"})
    roles = [v.role for v in Trainer(trained.plan, None, QUIET).viewer.batch(np.arange(4), 0, 0).views]
    assert roles == ["global", "global", "negative"]


# --- mined --------------------------------------------------------------------------------------------------------


def test_hardest_by_hand():
    right = np.asarray([[1, 0], [0.9, 0.436], [0.8, 0.6], [0, 1.0]], np.float32)
    left = right.copy()
    rows, similar = mined.hardest(left, right, 2, 1.0, [])
    assert rows.tolist() == [[1, 2], [2, 0], [1, 0], [2, 1]]
    np.testing.assert_allclose(similar, (left * right[rows[:, 0]]).sum(1), rtol=1e-5)
    # row 1 is nearly as near to row 0 as row 0 itself: too near to be told from a positive
    assert mined.hardest(left, right, 1, 0.85, [])[0][0].tolist() == [2]
    # rows 1 and 2 are of one kind
    assert mined.hardest(left, right, 1, 1.0, [np.asarray([0, 7, 7, 3])])[0][:, 0].tolist() == [1, 0, 0, 2]
    # where nothing is far enough, the farthest that is not the row's own stands in
    assert mined.hardest(left, right, 1, 1e-9, [])[0][0].tolist() in ([3], [2])


def test_mined_by_a_run(triplets, miner):
    data = {k: triplets[k] for k in ("en", "de")}
    given = QUICK | {"column": ("en", "de"), "epochs": 1, "positives": f"mined:{miner}:2"}
    trained = train.train(data, **given)
    trainer = Trainer(trained.plan, None, QUIET)
    trainer._look_for_positives()
    found = trainer.positives.negatives
    assert found.shape == (160, 2)
    own = [c.hashes for c in trained.plan.columns.values()]
    rows = np.arange(160)
    for k in range(2):
        assert (found[:, k] != rows).all()
        assert all((h[found[:, k]] != h).all() for h in own)  # nor equal to the row's own
    model = loading.load(miner)
    left, right = model.encode(data["en"], column="en"), model.encode(data["de"], column="de")
    cosine = left @ right.T
    chosen, drawn = cosine[rows, found[:, 0]].mean(), cosine[rows, np.random.default_rng(0).permutation(160)].mean()
    assert chosen > drawn + 0.2
    view = trainer.viewer.batch(np.arange(8), 0, 0)
    assert [v.role for v in view.views] == ["global", "global", "negative", "negative"]
    np.testing.assert_array_equal(view.views[2].ignore, trained.plan.ignore[found[:8, 0]])
    assert trained.metrics[0]["mined"] == pytest.approx(chosen, abs=1e-3)
    state = trainer.positives.state()
    trainer.positives.negatives = None
    trainer.positives.restore(state)
    np.testing.assert_array_equal(trainer.positives.negatives, found)


def test_methods_without_negatives_refuse_mined_ones(digits, tmp_path):
    given = {"epochs": 1, "batch_size": 50, "holdout": 0.0, "threads": 1, "monitor_rows": 0}
    given["encoder_options"] = {"widths": [8]}
    x = digits["train"][0][:100]
    train.train(x, out=tmp_path / "run", **given)
    with pytest.raises(ConfigError, match="simclr takes no hard negatives"):
        train.train(x, positives=f"mined:{tmp_path / 'run'}", **given)


def test_mined_of_pairs_of_numbers(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 6)).astype("f4")
    data = {"a": x, "b": x[:, ::-1] + 0.1 * draw.normal(size=x.shape).astype("f4")}
    given = {"column": ("a", "b"), "epochs": 2, "batch_size": 40, "holdout": 0.0, "threads": 1, "monitor_rows": 0}
    train.train(data, out=tmp_path / "run", **given)
    trained = train.train(data, positives=f"mined:{tmp_path / 'run'}", **given)
    assert 0 < trained.metrics[0]["mined"] < 1


def test_mined_without_a_run(triplets):
    for said, why in (
        ("mined", "run that mines is not named"),
        ("mined:nowhere", "nowhere"),
        ("mined:nowhere:0", "at least 1"),
    ):
        with pytest.raises(UserError, match=why):
            train.train(
                {k: triplets[k] for k in ("en", "de")},
                **QUICK | {"column": ("en", "de"), "epochs": 1, "positives": said},
            )


def test_negatives_reach_the_command_line(triplets, tmp_path):
    path = tmp_path / "t.jsonl"
    rows = zip(*triplets.values(), strict=True)
    path.write_text("\n".join(json.dumps(dict(zip(triplets, r, strict=True))) for r in rows))
    out = str(tmp_path / "run")
    said = ["train", str(path), "--pair", "en", "de", "--negative", "wrong", "--epochs", "1", "--out", out]
    assert cli.run([*said, "--set", "model.encoder_options.dim=16"]) == 0
    assert json.loads((tmp_path / "run/config.json").read_text())["config"]["data"]["negative"] == ["wrong"]


# --- guided -------------------------------------------------------------------------------------------------------


def test_guided_by_a_run(triplets, miner):
    data = {k: triplets[k] for k in ("en", "de")}
    given = QUICK | {"column": ("en", "de"), "epochs": 1, "threads": 1}
    trained = train.train(data, **given, positives=f"guided:{miner}")
    trainer = Trainer(trained.plan, None, QUIET)
    trainer._look_for_positives()
    guide = trainer.viewer.batch(np.arange(8), 0, 0).relation.guide
    model = loading.load(miner)
    for side, name in enumerate(("en", "de")):
        np.testing.assert_allclose(guide[:, side], model.encode(data[name][:8], column=name), atol=1e-3)
    without = train.train(data, **given)
    assert trained.metrics[0]["loss"] < without.metrics[0]["loss"]  # less to tell apart


def test_guided_by_the_start(triplets, miner):
    """The guide is the encoder before the first step, for both sides, and stays what it was then."""
    data = {k: triplets[k] for k in ("en", "de")}
    given = QUICK | {"column": ("en", "de"), "epochs": 1, "init_from": str(miner)}
    plan = train.rehearse(data, quiet=True, **given, positives="guided")
    trainer = Trainer(plan, None, QUIET)
    trainer._look_for_positives()
    model, guide = loading.load(miner), trainer.positives.guide.reshape(160, 2, 32)
    np.testing.assert_allclose(guide[:, 1], model.encode(data["de"], column="de"), atol=1e-3)
    trainer.fit()
    np.testing.assert_array_equal(trainer.positives.guide.reshape(160, 2, 32), guide)


def test_a_guide_resumes_to_the_same_bits(triplets, miner, tmp_path, monkeypatch):
    given = QUICK | {"column": ("en", "de"), "epochs": 2, "init_from": str(miner), "positives": "guided"}
    given |= {"checkpoint_every": "3steps"}
    data = {k: triplets[k] for k in ("en", "de")}
    train.train(data, out=tmp_path / "whole", **given)
    cut_and_resumed(data, tmp_path / "cut", given, 7, monkeypatch)
    a, b = (loading.load(tmp_path / r).encode(triplets["en"], column="en") for r in ("whole", "cut"))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "cannot compare the columns.*guided:MODEL"),
        ({"method": "simclr", "column": ("en",)}, "simclr learns from none.*clip, siglip"),
        ({"method": "simclr"}, "simclr learns from none"),
    ],
)
def test_who_cannot_be_guided(triplets, given, said):
    data = {k: triplets[k] for k in ("en", "de")}
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        train.rehearse(data, quiet=True, **QUICK | {"column": ("en", "de"), "positives": "guided"} | given)
