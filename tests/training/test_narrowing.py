"""Tables of which only the rows that occur are trained: the weights are those of training all rows."""

import numpy as np
import pytest
import torch

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.models.run import Run
from nearfar.training import narrowing
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer, encode_rows

WORDS = np.array([f"w{i}" for i in range(60)])
DRAWN = np.random.default_rng(0)
TEXTS = [f"{' '.join(WORDS[DRAWN.integers(0, 60, 5)])} own{i}" for i in range(48)]
PAIRS = {"a": TEXTS, "b": [f"{t} other" for t in TEXTS], "not": [f"no{i} {WORDS[i]}" for i in range(48)]}
GIVEN = {"tokens": "hashed:1000", "encoder": "static", "encoder_options": {"dim": 8}, "epochs": 3, "batch_size": 16,
         "holdout": 0.25, "threads": 1, "precision": "fp32", "lr": 0.05, "optim.warmup": 0.0}  # fmt: skip
DECAY = {"optim.weight_decay": 0.5, "optim.final_decay": 1.0}
CASES = {
    "adamw": {}, "adamw, decay": DECAY, "sgd, decay": DECAY | {"optim.name": "sgd"},
    "clip": DECAY | {"optim.clip": 0.1}, "mean": DECAY | {"average": 0.5, "optim.name": "sgd"},
    "chunk": DECAY | {"train.chunk": 8, "encoder_options": {"dim": 8, "dropout": 0.5}},
    "twin": DECAY | {"method": "byol", "average": 0.5},
    "pairs": DECAY | {"method": "clip", "column": ("a", "b"), "negative": ("not",)},
    "two encoders": DECAY | {"method": "clip", "column": ("a", "b"), "share": False},
}  # fmt: skip


def planned(given):
    data = PAIRS if "column" in given else TEXTS
    return prepare(with_knobs(Config(), None, GIVEN | given), data, console=QUIET)


def trainer_of(given, run=None, fresh=True):
    return Trainer(planned(given), run, QUIET, fresh=fresh)


@pytest.fixture
def all_rows(monkeypatch):
    """Trainers that are made in this context train all rows."""

    def made(*given, **how):
        with monkeypatch.context() as patched:
            patched.setattr(narrowing, "narrow", lambda *_: None)
            return trainer_of(*given, **how)

    return made


@pytest.mark.filterwarnings("ignore::nearfar.NearfarWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_weights_are_those_of_training_all_rows(case, all_rows):
    narrow, whole = trainer_of(CASES[case]), all_rows(CASES[case])
    encoder = next(iter(narrow.learner.branches.values())).encoder
    assert 60 < len(encoder.vectors) < 500
    assert len(next(iter(whole.learner.branches.values())).encoder.vectors) == 1001
    for trainer in (narrow, whole):
        trainer.fit()
    a, b = narrow.finished().state_dict(), whole.finished().state_dict()
    assert a.keys() == b.keys()
    exact = case in ("adamw", "adamw, decay")
    for name, tensor in a.items():
        torch.testing.assert_close(tensor, b[name], rtol=2e-6, atol=2e-7)
        if exact and "vectors" in name:
            assert torch.equal(tensor[encoder.inside], b[name][encoder.inside])
            assert "decay" in case or torch.equal(tensor, b[name])
    column, rows = next(iter(narrow.plan.columns.values())), narrow.plan.heldout
    ids = torch.from_numpy(np.abs(column.values[rows]))
    assert (~encoder.inside[ids] & (ids != 0)).any()  # held-out rows have words of their own
    x, y = (encode_rows(t.learner, column, rows, t.device, "fp32") for t in (narrow, whole))
    torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-6)


def gone_on(makers, given, folder):
    """The weights of a training of which one trainer made two steps, and another the others, from its checkpoint."""
    folder.mkdir()
    for made, ends in zip(makers, (lambda step: step == 2, None), strict=True):
        trainer = made(given, Run(folder), fresh=ends is not None)
        if ends is None:
            trainer.load(dry=True)
            assert trainer.position.step == 2
        trainer.fit(ends)
    return trainer.finished().state_dict()


@pytest.mark.filterwarnings("ignore::nearfar.NearfarWarning")
@pytest.mark.parametrize("case", ["adamw", "mean", "twin", "two encoders"])
def test_a_training_goes_on_in_either_form(case, all_rows, tmp_path):
    given = CASES[case]
    (whole := all_rows(given)).fit()
    (narrow := trainer_of(given)).fit()
    want, own = (t.finished().state_dict() for t in (whole, narrow))
    resumed = gone_on((trainer_of, trainer_of), given, tmp_path / "narrow")
    assert all(torch.equal(own[name], tensor) for name, tensor in resumed.items())
    for name, makers in {"earlier version": (all_rows, trainer_of), "shards": (trainer_of, all_rows)}.items():
        torch.testing.assert_close(gone_on(makers, given, tmp_path / name), want, rtol=4e-6, atol=4e-7)


def test_data_that_have_other_words_now_are_gone_on_with(tmp_path, monkeypatch):
    """What was trained stays, what had only decayed keeps its decay, and all words that occur now learn."""
    given = DECAY | {"optim.name": "sgd", "average": 0.9}
    gone_on((trainer_of, trainer_of), given, tmp_path / "run")
    (before := trainer_of(given, Run(tmp_path / "run"), fresh=False)).load(dry=True)
    monkeypatch.setattr("tests.training.test_narrowing.TEXTS", [t.replace("own", "new") for t in TEXTS])
    (after := trainer_of(given, Run(tmp_path / "run"), fresh=False)).load(dry=True)
    a, b = (next(iter(t.learner.branches.values())).encoder for t in (before, after))
    assert not torch.equal(a.inside, b.inside)
    means = [t.average.state(t.learner.branches)["mean/text.encoder.vectors"] for t in (before, after)]
    torch.testing.assert_close(*means, rtol=1e-5, atol=1e-6)
    for encoder in (a, b):
        encoder.widen()
    torch.testing.assert_close(a.vectors, b.vectors, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("given", [
    {"optim.name": "lars"}, {"train.wrap": "shard"}, {"views.add": ["words_of_nowhere"]},
])  # fmt: skip
def test_all_rows_are_trained_where_it_matters(given, tmp_path, monkeypatch):
    (tmp_path / "transforms").mkdir()
    (tmp_path / "transforms" / "words_of_nowhere.py").write_text(PLUGIN)
    monkeypatch.setenv("NEARFAR_PLUGINS", str(tmp_path))
    trainer = trainer_of(given)
    assert len(trainer.learner.branches["text"].encoder.vectors) == 1001
    trainer.fit()


PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class WordsOfNowhere:
    kind: ClassVar[str] = "words"

    def apply(self, ids, draws):
        return ids.sign() * ((ids.abs() + 7) % 1000 + 1)
"""


def test_a_locked_encoder_stays_whole(tmp_path):
    trainer = trainer_of(CASES["two encoders"] | {"lock": ("b",)})
    assert [len(trainer.learner.branches[c].encoder.vectors) == 1001 for c in ("a", "b")] == [False, True]
