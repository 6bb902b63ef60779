"""The watch on held-out rows: what it measures, that it touches nothing, and what is told of it."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.registry import METHODS
from nearfar.evaluation import verdict
from nearfar.evaluation.protocols import Sides, retrieval, sts
from nearfar.training import health, train
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer
from nearfar.training.watch import encode_rows
from nearfar.vectors import geometry, label_free
from nearfar.vectors.knn import online_knn
from tests.conftest import TINY, lines_of
from tests.helpers.methods import TRAINED, as_series, small

PLAIN = {k: v for k, v in TINY.items() if k not in ("projector", "holdout")}
OF_VIEWS = ("heldout_views", "heldout_raw", "heldout_alignment", "heldout_agreement")
OF_ROWS = ("heldout_rank", "heldout_rankme", "heldout_alpha", "heldout_uniformity")


def trainer_of(data, **knobs):
    return Trainer(prepare(with_knobs(Config(), data, knobs), data, console=QUIET), None, QUIET)


@pytest.fixture(scope="module")
def some(digits):
    """Digits without a test split, of which a quarter is held out."""
    return tuple(a[:240] for a in digits["train"])


@pytest.mark.parametrize("name", TRAINED)
def test_looking_changes_nothing(name, some):
    given = as_series(name, PLAIN | small(name) | {"holdout": 0.25, "batch_size": 24, "size": 16})
    trainer = trainer_of(some, method=name, **given)
    of = METHODS.get(name).RECORD.positives
    trainer._look_for_positives()
    trainer.learner.train()
    before = {k: t.clone() for k, t in trainer.learner.state_dict().items()}
    drawn = torch.get_rng_state()
    begun = trainer.watch.begun(trainer.learner, trainer.sampler)
    first, look = trainer.watch.first(begun), trainer.watch.look(trainer.learner)
    assert torch.equal(torch.get_rng_state(), drawn) and trainer.learner.training
    for key, tensor in trainer.learner.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    assert trainer.watch.look(trainer.learner) == look
    known = {"knn", *OF_ROWS, *OF_VIEWS} | {"views": {"heldout_loss"}, "teacher": {"taught"}}.get(of, set())
    assert look.keys() == known
    assert first.keys() == known | {"knn_rows", "knn_chance", "heldout_rows"} | {f"{k}_rows" for k in known & {"taught"}}
    assert first["knn_rows"] == first["heldout_rows"] == len(trainer.plan.heldout) > 40
    assert np.isfinite([*first.values(), *look.values()]).all()
    assert 0 < look["knn"] <= 1


def test_the_figures_are_those_of_the_features(some):
    trainer = trainer_of(some, **PLAIN | {"holdout": 0.25})
    plan, watch, found = trainer.plan, trainer.watch, trainer.watch.look(trainer.learner)
    x, y = (encode_rows(trainer.learner, plan.table.first, r, torch.device("cpu"), "fp32")
            for r in (plan.train, plan.heldout))  # fmt: skip
    labels = plan.table.labels
    assert found["knn"] == online_knn(x, labels[plan.train], y, labels[plan.heldout])
    order = torch.from_numpy(np.searchsorted(plan.heldout, watch.rows))
    assert found["heldout_rankme"] == label_free.rankme(y[order])
    assert found["heldout_rank"] == float(geometry.effective_rank(y[order]))
    batch = watch.pair.batch(watch.rows, 0, 0)
    trainer.learner.eval()
    with torch.no_grad():
        a, b = (trainer.learner.branches[plan.table.first.name].encoder(v.values) for v in batch.views)
    ids = np.arange(len(a))
    ways = retrieval.measure(Sides(a.numpy(), b.numpy(), ids, ids, ("a", "b")))
    assert found["heldout_views"] == pytest.approx(np.mean([w["recall"]["1"] for w in ways.values()]))
    assert found["heldout_alignment"] == pytest.approx(float(geometry.alignment(a, b)), rel=1e-5)


def test_batch_norms_have_statistics_at_the_first_look(some):
    """Else numbers pass as they come, and the training would be compared with less than the networks are worth."""
    trainer = trainer_of(some, **PLAIN | {"holdout": 0.25})
    begun = trainer.watch.begun(trainer.learner, trainer.sampler)
    first, raw = trainer.watch.first(begun), trainer.watch.look(trainer.learner)
    assert first["heldout_rank"] > 1.1 * raw["heldout_rank"]
    norm = next(m for m in trainer.learner.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert not norm.running_mean.any() and int(norm.num_batches_tracked) == 0


def pairs(scores=False):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(160, 6)).astype("f4")
    data = {"a": x, "b": x[:, ::-1] + 0.1 * draw.normal(size=x.shape).astype("f4")}
    return data | ({"likeness": draw.uniform(size=160)} if scores else {})


def test_pairs_are_watched_by_what_they_are_trained_for():
    given = {"column": ("a", "b"), "epochs": 1, "batch_size": 40, "holdout": 0.3, "threads": 1, "precision": "fp32"}
    for name, data, more in (("clip", pairs(), {}), ("cosent", pairs(scores=True), {"score": "likeness"})):
        trainer = trainer_of(data, method=name, **given, **more)
        found, rows, keep = trainer.watch.look(trainer.learner), trainer.watch.rows, trainer.plan.record.keep
        a, b = (encode_rows(trainer.learner, c, rows, torch.device("cpu"), "fp32", layer=keep).numpy()
                for c in trainer.plan.columns.values())  # fmt: skip
        ids, scores = np.arange(len(rows)), trainer.plan.table.scores
        sides = Sides(a, b, ids, ids, ("a", "b"), score=None if scores is None else scores[rows])
        if name == "clip":
            ways = retrieval.measure(sides).values()
            assert found["retrieval"] == pytest.approx(np.mean([w["recall"]["1"] for w in ways]))
        else:
            assert found["spearman"] == pytest.approx(sts.measure(sides)["spearman"])
        assert found["heldout_agreement"] == pytest.approx(label_free.agreement(*map(torch.from_numpy, (a, b))))
        assert np.isfinite(found["heldout_loss"]) and "heldout_views" not in found


def test_a_training_with_looks_has_the_same_weights_and_goes_on_with_them(some, tmp_path, monkeypatch):
    given = PLAIN | {"holdout": 0.25, "epochs": 3, "checkpoint_every": "2steps", "log_every": 2, "lr": 2.5e-4}
    whole = train.train(some, out=tmp_path / "whole", **given, select="last")
    blind = train.train(some, out=tmp_path / "blind", **given, monitor_rows=0)
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "blind/model.safetensors").read_bytes()
    assert [m["step"] for m in blind.metrics] == [2, 4, 6]
    assert [m["step"] for m in whole.metrics if "knn" in m] == [m["step"] for m in whole.metrics] == [0, 2, 4, 6]
    step = Trainer.step

    def dies(self, *args):
        if self.position.step == 3:
            raise KeyboardInterrupt
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        train.train(some, out=tmp_path / "cut", **given, select="last")
    monkeypatch.setattr(Trainer, "step", step)
    train.train(resume=True, out=tmp_path / "cut", source=some)
    assert lines_of(tmp_path / "cut") == lines_of(tmp_path / "whole")


def test_looks_are_as_rare_as_their_cost_asks_and_end_with_the_last_epoch(some):
    for epochs, looks in ((5, 5), (10, 10), (45, 12), (200, 29)):
        trainer = trainer_of(some, **PLAIN | {"holdout": 0.25, "epochs": epochs})
        due, per_epoch = sorted(trainer.watch.due), trainer.sampler.steps_per_epoch
        assert due[-1] == trainer.plan.steps and len(due) == pytest.approx(looks, abs=2)
        assert all(step % per_epoch == 0 for step in due)


def test_what_is_learnt_within_an_epoch_is_looked_at(some):
    trainer = trainer_of(some, **PLAIN | {"holdout": 0.25, "epochs": 2, "batch_size": 2})
    per_epoch = trainer.sampler.steps_per_epoch
    due = sorted(trainer.watch.due)
    assert due[-2:] == [per_epoch, 2 * per_epoch] and due[:-2] == [per_epoch >> k for k in (3, 2, 1)] and due[0] >= 10
    assert not trainer_of(some, **PLAIN | {"holdout": 0.25, "monitor_rows": 0}).watch.due


# --- what is told -------------------------------------------------------------------------------------------------


def told(*figures, **more):
    """What a monitor says of looks at ten per cent of a training each, the first of them at step 0."""
    monitor, said = health.Monitor(METHODS.get("simclr").RECORD, rows=64), []
    for i, row in enumerate(figures):
        row = row if isinstance(row, dict) else {"knn": row}
        other = health.Monitor(METHODS.get("simclr").RECORD, rows=64)
        other.seen = health.Seen(**asdict(monitor.seen))  # each look after a stop
        monitor = other
        said += [(i, text) for text in monitor.look(10 * i, 100, row | ({"knn_rows": 1000, **more} if i == 0 else {}))]
    return said


def test_a_figure_that_falls_is_told_once_while_it_falls():
    (when, text), = told(0.850, 0.844, 0.824, 0.796, 0.773, 0.757, 0.74)
    assert when == 4
    assert "0.773 at step 40, 0.850 before the first step" in text and "--lr" in text


@pytest.mark.parametrize("figures", [
    (0.85, 0.86, 0.87, 0.88), (0.85, 0.83, 0.82, 0.83, 0.82, 0.83), (0.97, 0.89, 0.87, 0.9, 0.92, 0.94, 0.93),
    (0.85, 0.7, 0.86, 0.7, 0.86, 0.7, 0.86),
])  # fmt: skip
def test_noise_and_what_comes_back_are_left_alone(figures):
    assert told(*figures) == []


def test_a_feature_rank_counts_together_with_a_figure():
    def looks(rank, **figures):
        first = {k: 0.5 for k in figures} | {"heldout_rank": 57.0}
        return [first, *[figures | {"heldout_rank": rank}] * 5]

    assert told(*looks(13.0, knn=0.47)) == []  # by chance
    assert "13 after 57" in told(*looks(13.0, knn=0.46))[0][1]
    assert told(*looks(40.0, knn=0.46)) == []
    assert told(*looks(13.0, knn=0.55)) == []
    assert told(*looks(40.0, heldout_views=0.2), heldout_rows=1000) == []
    assert "13 after 57" in told(*looks(13.0, heldout_views=0.2), heldout_rows=1000)[0][1]


def test_verdict():
    def lines(before, after):
        return [{"step": 0, "knn": before, "knn_rows": 1000}, {"step": 5}, {"step": 9, "knn": after}]

    worse, better, same = (verdict.of(lines(0.85, x)) for x in (0.757, 0.9, 0.84))
    assert [v.outcome for v in (worse, better, same)] == ["worse", "better", "no different"]
    assert worse.sentence() == (
        "kNN accuracy on held-out training rows: 0.757 after training, 0.850 before: training made this model worse. "
        f"{verdict.WHAT_TO_DO}"
    )
    assert better.sentence() == "kNN accuracy on held-out training rows: 0.900 after training, 0.850 before."
    assert "may be chance" in same.sentence() and verdict.WHAT_TO_DO in same.sentence()
    assert verdict.of(lines(0.85, 0.757)[1:]) is None
    assert verdict.noise("knn", 0.5, 0.5, 1000) == pytest.approx(2 * np.sqrt(2 * 0.25 / 1002))
    assert verdict.noise("knn", 1.0, 1.0, 10) > 0.2  # ten of ten are not certain
    assert verdict.sentence(lines(0.85, 0.9), {}, 9) == better.sentence()
    assert "0.850 before; " not in verdict.sentence(lines(0.85, 0.757), {}, 0)
    assert "0.850 at the start, 0.757 in the end" in verdict.sentence(lines(0.85, 0.757), {}, 0)
    nothing = [{"step": 0}, {"step": 5}, {"step": 9}]
    assert verdict.sentence(nothing, {}) == ""
    assert verdict.sentence(nothing, {}, 5) == "Held-out rows were best after 5 of 9 steps, which is kept as the model."
    assert "No state of this training" in verdict.sentence(nothing, {}, 0)
    assert "before weights were averaged" in verdict.sentence(lines(0.85, 0.9), {"average": 0.3})
