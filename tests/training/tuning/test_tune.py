"""Tuning: what is tried, on which rows, for how long, and what is said of it."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import nearfar
from nearfar import cli
from nearfar.core import config
from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, DataError, Stopped, UnknownName
from nearfar.data import splits
from nearfar.data.table import Column
from nearfar.evaluation.protocols import Features, knn
from nearfar.training import tuning
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer
from nearfar.training.tuning import halving, outcome, score, space
from nearfar.training.watch import encode_rows
from nearfar.vectors import label_free
from nearfar.vectors.intervals import wilson

pytest.importorskip("optuna")

pytestmark = pytest.mark.filterwarnings("ignore:what is best after")  # trials are to be short here

KNOBS = {
    "batch_size": 32, "encoder_options": {"widths": [4, 8]}, "projector": {"hidden": 8, "out": 8}, "size": 8,
    "recipe": "simclr", "precision": "fp32", "threads": 1, "epochs": 9,
}  # fmt: skip


def pictures(rows, seed, classes=3):
    """Noisy 8 × 8 pictures, each class bright in rows of its own."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, rows)
    x = draw.integers(0, 120, (rows, 8, 8))
    for i, label in enumerate(labels):
        x[i, 2 * label : 2 * label + 3] += 100
    return x.astype(np.uint8), labels


@pytest.fixture(scope="module")
def data():
    return {"train": pictures(170, 0), "test": pictures(60, 1)}


def tune(data, **options):
    return nearfar.tune(data, **{"budget": "10m", "horizon": 3, "trials": 4} | KNOBS | options)


@pytest.fixture(scope="module")
def found(data):
    return tune(data)


def tried(found):
    """All that does not depend on the clock."""
    return [(t["number"], t["knobs"], t["score"], t["rungs"], t["ended"]) for t in found.as_dict()["trials"]]


# --- without labels -----------------------------------------------------------------------------------------------


def spectrum(rows, exponent, dims=48, seed=0):
    """Rows whose covariance has eigenvalues i^−exponent."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dims, generator=g) * torch.arange(1, dims + 1) ** (-exponent / 2)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_alpha_finds_the_exponent(exponent):
    assert label_free.alpha(spectrum(3000, exponent)) == pytest.approx(exponent, abs=0.1)


def test_rankme_counts_dimensions():
    q = torch.linalg.qr(torch.randn(200, 5, generator=torch.Generator().manual_seed(0)))[0]
    assert label_free.rankme(q @ torch.eye(5, 30)) == pytest.approx(5, abs=0.05)


def test_agreement_is_one_for_equal_views_and_zero_for_unrelated_or_equal_rows():
    x = spectrum(300, 1.0)
    assert label_free.agreement(x, x) == pytest.approx(1, abs=1e-6)
    assert label_free.agreement(x, spectrum(300, 1.0, seed=1)) == pytest.approx(0, abs=0.05)
    point = torch.ones(300, 48)
    assert label_free.agreement(point, point + 1e-8 * torch.randn(300, 48)) == 0
    near = x + 0.1 * spectrum(300, 1.0, seed=2)
    assert 0.9 < label_free.agreement(x, near) < 1


def test_mean_rank_prefers_what_is_good_to_what_fools_one_measure():
    signal_, point, line = spectrum(400, 1.0), torch.ones(400, 48), spectrum(400, 1.0)[:, :1] * torch.ones(48)
    views = [signal_ + 0.3 * spectrum(400, 1.0, seed=s) for s in (1, 2)]
    noise = [torch.randn(400, 48, generator=torch.Generator().manual_seed(s)) for s in range(3)]
    measures = np.stack([
        label_free.measure_views(signal_, *views),
        label_free.measure_views(*noise),  # whitened, nothing agrees
        label_free.measure_views(point, point, point),
        label_free.measure_views(line, line, line),
    ])  # fmt: skip
    assert measures[:, 0].argmax() == 1  # RankMe by itself takes the noise
    assert measures[:, 2].argmax() == 3  # agreement by itself takes the line
    scores = label_free.scores(measures)
    assert scores.argmax() == 0
    assert scores.argmin() == 2
    assert ((scores >= 0) & (scores <= 1)).all()
    assert label_free.scores(measures[:1]).tolist() == [1.0]


# --- what is tried ------------------------------------------------------------------------------------------------


def space_of(data, only=(), **knobs):
    from nearfar.training.job import with_knobs

    plan = prepare(with_knobs(Config(), data, KNOBS | knobs), data)
    return space.of(plan, plan.config, 120, only)


def test_what_the_method_and_the_views_do_not_have_is_not_tried(data):
    names = {k.name for k in space_of(data).knobs}
    assert names == {"lr", "temperature", "crop", "batch"}
    without = space_of(data, method="byol", recipe="digits", projector={"hidden": 8, "out": 8})
    assert {k.name for k in without.knobs} == {"lr", "batch"}
    assert any("byol has none" in note for note in without.notes)
    assert "temperature" not in {k.name for k in space_of(data, objective="vicreg").knobs}
    assert "crop" not in {k.name for k in space_of(data, recipe="swav").knobs}  # crops of different sizes
    assert "batch" not in {k.name for k in space_of(data, method="supcon", balance="3x4").knobs}
    needy = space_of(data, method="w_mse", projector={"hidden": 8, "out": 20})  # whitens 21 rows, not 16
    assert "batch" not in {k.name for k in needy.knobs}
    assert [k.name for k in space_of(data, only=("lr",)).knobs] == ["lr"]
    with pytest.raises(ConfigError, match="temperature cannot be tried: byol"):
        space_of(data, only=("temperature",), method="byol")
    with pytest.raises(UnknownName, match="temperature"):
        space_of(data, only=("temprature",))


def test_parts_suit_the_rows_and_the_batch_of_a_trial(data, monkeypatch):
    settle = space.Space.settle
    monkeypatch.setattr(space.Space, "settle", lambda s, a: settle(s, a | ({"batch": 16} if a != s.defaults() else {})))
    f = tune(data, method="pcl", trials=2, horizon=1)
    for batch, plan in f.search.like.items():
        part = plan.record.parts["clusters"]
        assert part.every == len(f.search.rows.train) // batch
        assert part.size == max(2, len(f.search.rows.train) // 100)
    assert sorted(f.search.like) == [16, 32]
    with pytest.raises(ConfigError, match="does not train"):
        tune(data, method="random")


def test_a_trial_has_the_values_that_it_names(data):
    s = space_of(data)
    values = s.settle({"lr": 0.00123456, "temperature": 0.31415, "crop": 0.33333, "batch": 64})
    assert values == {"lr": 0.00247, "temperature": 0.314, "crop": 0.333, "batch": 64}  # rate follows the batch
    c = s.config(values)
    assert (c.optim.lr, c.method["temperature"], c.train.batch_size) == (0.00247, 0.314, 64)
    assert c.views.overrides == {"crop": {"scale": [0.333, 1.0]}}
    assert s.config(s.settle(s.defaults())) == s.base
    for k in s.knobs:
        assert k.default in k.choices if k.choices else k.low <= k.default <= k.high


def test_optuna_learns_where_to_look(data):
    s = replace(space_of(data, only=("lr",)))
    target, draw, trials = math.log(4e-4), np.random.default_rng(0), []
    for i in range(24):
        lr = s.knobs[0].default if i == 0 else math.exp(draw.uniform(*np.log([s.knobs[0].low, s.knobs[0].high])))
        trials.append(halving.Trial(i, {"lr": lr}, {"lr": lr}))
    best_first = sorted(trials, key=lambda t: abs(math.log(t.asked["lr"]) - target))

    def away(trials):
        return np.mean([abs(math.log(halving.propose(s, trials, seed)["lr"]) - target) for seed in range(20)])

    assert away(best_first) < 0.6 * away(best_first[:3])  # three are too few: still at random
    assert halving.propose(s, best_first, 3) == halving.propose(s, best_first, 3)


# --- which rows ---------------------------------------------------------------------------------------------------


def test_test_rows_are_never_read(data, found, monkeypatch):
    taken, take = [], Column.take
    monkeypatch.setattr(Column, "take", lambda self, rows, *a: (taken.append(np.array(rows)), take(self, rows, *a))[1])
    draw = np.random.default_rng(9)
    other = {"train": data["train"], "test": (draw.integers(0, 255, (60, 8, 8)).astype(np.uint8), data["test"][1] * 0)}
    again = tune(other)
    assert tried(again) == tried(found)  # neither their values nor their labels matter
    table = again.search.plan.table
    read = np.unique(np.concatenate(taken))
    assert len(read) > 100
    assert not np.isin(read, table.splits["test"]).any()
    assert not np.isin(again.search.rows.train, again.search.rows.held).any()
    assert np.isin(read, np.concatenate([again.search.rows.train, again.search.rows.held])).all()


def test_labels_of_held_out_rows_score_and_do_not_train(data):
    """SupCon learns from labels, but only from those of rows that trials train on."""
    options = {"method": "supcon", "trials": 1, "horizon": 1}
    first = tune(data, **options)
    table, held = first.search.plan.table, first.search.rows.held
    x, y = (np.array(a) for a in data["train"])
    inside = {int(r): i for i, r in enumerate(table.splits["train"])}
    y[[inside[int(r)] for r in held]] = (y[[inside[int(r)] for r in held]] + 1) % 3
    second = tune({"train": (x, y), "test": data["test"]}, **options)
    a, b = (f.search.trials[0].measured[0] for f in (first, second))
    assert (second.search.rows.held == held).all()
    assert a.mean() != b.mean()
    scorer = first.search.scorer
    plan = halving.narrowed(first.search.plan, first.search.space.base, first.search.rows.train, held)
    groups = plan.groups[held]
    assert len(np.unique(groups)) == len(held)  # each its own: their labels are unknown to the training
    assert scorer.labelled


def test_rows_that_eval_would_score_are_left_out():
    x, y = pictures(200, 3)
    unsplit = tune((x, y), trials=1, horizon=1, holdout=0.1)
    rows, table = unsplit.search.rows, unsplit.search.plan.table
    later = splits.evaluation_plan(table).test
    assert not np.isin(np.concatenate([rows.train, rows.held]), later).any()
    assert rows.spared > 0


def test_the_score_is_the_accuracy_of_the_houses_knn(found):
    search = found.search
    trainer = Trainer(search.like[32], None, QUIET)
    hits = search.scorer(trainer)
    table, s = search.plan.table, search.scorer
    encoded = (encode_rows(trainer.learner, table.first, rows, trainer.device, "fp32") for rows in (s.gallery, s.queries))
    fit, asked = (
        Features(x.numpy(), table.labels[rows], 3) for x, rows in zip(encoded, (s.gallery, s.queries), strict=True)
    )
    assert hits.mean() == knn.measure(fit, asked)["accuracy"]
    assert s.interval(hits) == wilson(int(hits.sum()), len(hits))


def test_without_labels_the_shape_scores(data):
    x = {"train": data["train"][0], "test": data["test"][0]}
    f = tune(x, trials=3, horizon=1)
    result = f.as_dict()
    assert not result["score"]["labels"]
    assert all(0 <= t["score"] <= 1 for t in result["trials"])
    assert set(result["trials"][0]["rungs"][0]) == {"epochs", "score", "rankme", "alpha", "agreement"}
    assert "RankMe" in f.table().splitlines()[0]
    assert len(f.verdict["interval"]) == 2


def test_too_few_rows():
    with pytest.raises(DataError, match="too few to tune on"):
        tune(pictures(30, 0), batch_size=8)


# --- halving and the budget ---------------------------------------------------------------------------------------


def test_a_paused_training_goes_on_to_the_same_weights(data):
    from nearfar.training.job import with_knobs

    plan = prepare(with_knobs(Config(), data, KNOBS | {"epochs": 3}), data)
    whole, paused = Trainer(plan, None, QUIET), Trainer(plan, None, QUIET)
    whole.fit()
    for step in (4, 7):
        paused.fit(lambda done, step=step: done >= step)
        assert paused.position.step == step
    paused.fit()
    for a, b in zip(whole.learner.state_dict().values(), paused.learner.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_rungs():
    assert halving.rungs(18) == [2, 6, 18]
    assert halving.rungs(3) == [1, 3]
    assert halving.rungs(1) == [1]


def test_the_defaults_come_first_and_the_best_third_goes_on(data):
    f = tune(data, trials=9)
    trials, rungs = f.search.trials, f.search.rungs
    assert trials[0].asked == f.search.space.defaults()
    assert trials[0].ended == halving.WHOLE
    ended = [t.ended for t in trials]
    assert halving.BEHIND in ended
    for t in trials[1:]:
        seen = [o for o in trials[: t.number + 1]]
        better = sum(o.measured[0].mean() > t.measured[0].mean() for o in seen)
        assert (t.ended == halving.WHOLE) == (better < max(1, len(seen) // 3))
        assert t.epochs == (rungs[-1] if t.ended == halving.WHOLE else rungs[0])
    best = f.trials
    assert [len(t.measured) for t in best] == sorted((len(t.measured) for t in best), reverse=True)


def test_a_seed_repeats_the_sequence_and_a_shorter_one_is_its_beginning(data, found):
    longer = tune(data, trials=6)
    first = [t["number"] for t in sorted(longer.as_dict()["trials"], key=lambda t: t["number"])]
    assert first == list(range(6))
    same = lambda f: [(t.asked, [m.tolist() for m in t.measured]) for t in f.search.trials[:4]]  # noqa: E731
    assert same(longer) == same(found)
    other = tune(data, trials=2, horizon=1, seed=1)
    assert other.search.trials[1].asked != found.search.trials[1].asked


class Clock:
    """A clock that goes on by so many seconds each time that it is asked."""

    def __init__(self, tick):
        self.now, self.tick = 0.0, tick

    def monotonic(self):
        self.now += self.tick
        return self.now


def test_the_budget_is_kept(data, monkeypatch):
    monkeypatch.setattr(halving, "time", Clock(1.0))
    f = tune(data, budget="200s", trials=None)
    assert 150 < f.seconds <= 205
    assert len(f.search.trials) > 3
    assert all(t.ended in (halving.WHOLE, halving.BEHIND) for t in f.search.trials)
    whole = f.search.trials[0].seconds
    spent = [sum(t.seconds for t in f.search.trials[:i]) for i in range(len(f.search.trials))]
    assert all(200 - s >= whole for s in spent[1:])  # none was begun that could not have ended


def test_a_trial_that_turns_out_slow_is_cut_at_the_budget(data, monkeypatch):
    clock = Clock(1.0)
    monkeypatch.setattr(halving, "time", clock)
    line = halving.Search._line

    def slower(self, trial):
        clock.tick = 30.0
        return line(self, trial)

    monkeypatch.setattr(halving.Search, "_line", slower)
    f = tune(data, budget="150s", trials=None)
    assert f.seconds < 150 + 6 * 30  # a step, which looks at the clock a few times
    assert [t.number for t in f.search.trials] == [0]  # the second was cut before its first rung
    assert "No other trial was measured" in f.table()


def test_a_budget_that_is_too_short_is_a_sentence(data):
    with pytest.raises(ConfigError, match="too short: one epoch of"):
        tune(data, budget="0.001s", horizon=None)
    with pytest.raises(ConfigError, match="before the defaults were measured"):
        tune(data, budget="0.001s")
    with pytest.raises(ConfigError, match="is not a time"):
        tune(data, budget="soon")
    with pytest.raises(ConfigError, match="one process"):
        tune(data, processes=2)


def test_a_trial_whose_loss_is_not_finite_is_last_and_ends_nothing(data, monkeypatch):
    settle, asked = space.Space.settle, []

    def wild(self, values):
        asked.append(values)
        return settle(self, values) | ({"lr": 1e30} if len(asked) == 2 else {})

    monkeypatch.setattr(space.Space, "settle", wild)
    f = tune(data, trials=3, horizon=1)
    broken = f.trials[-1]
    assert (broken.number, broken.ended, f.scores[broken.number]) == (1, halving.BROKEN, -np.inf)
    assert len(f.trials) == 3
    assert f.as_dict()["trials"][-1]["score"] is None
    assert "–" in f.table()


def test_ctrl_c_keeps_what_was_found(data, tmp_path, monkeypatch):
    measure, calls = score.Scorer.__call__, []

    def interrupted(self, trainer):
        calls.append(1)
        if len(calls) == 3:  # the first rung of the second trial; the defaults have two
            os.kill(os.getpid(), signal.SIGINT)
        return measure(self, trainer)

    monkeypatch.setattr(score.Scorer, "__call__", interrupted)
    f = tune(data, trials=50, out=tmp_path / "found")
    assert f.search.stopped == 130
    assert [t.number for t in f.search.trials] == [0, 1]
    assert json.loads((tmp_path / "found" / "tune.json").read_text())["stopped"] is True
    assert (tmp_path / "found" / "best.toml").exists()
    monkeypatch.setattr(tuning, "tune", lambda *a, **b: f)
    assert cli.run(["tune", "anything", "--out", str(tmp_path / "found")]) == 130
    monkeypatch.undo()
    monkeypatch.setattr(Trainer, "fit", lambda *a: (_ for _ in ()).throw(Stopped("stopped.")))
    with pytest.raises(Stopped):
        tune(data)


# --- what is said -------------------------------------------------------------------------------------------------


def told(*shares, rows=400, rungs=(1, 3), reached=None):
    """The verdict on trials that told so many of the rows right, each the first ones."""
    scorer = object.__new__(score.Scorer)
    scorer.labelled, scorer.held = True, np.arange(rows)
    base = Config.from_dict({"optim": {"lr": 0.001}, "train": {"batch_size": 64, "epochs": 3}})
    s = space.Space(base, (space.Knob("lr", 0.001, 1e-4, 1e-2),))
    trials = []
    for i, share in enumerate(shares):
        hits = None if share is None else np.arange(rows) < share * rows
        values = {"lr": 0.001 * (i + 1)}
        depth = (reached or [len(rungs)] * len(shares))[i]
        trials.append(halving.Trial(i, values, values, [hits] * depth, rungs[depth - 1], 1.0, halving.WHOLE))
    search = SimpleNamespace(trials=trials, scorer=scorer, space=s, rungs=list(rungs), budget=60.0, horizon=rungs[-1])
    return outcome.Outcome(search, Config.from_dict({"train": {"epochs": 3}}), 5.0)


def test_only_what_is_clearly_better_is_kept():
    clear = told(0.80, 0.90)
    assert clear.verdict["kept"] == 1
    assert clear.verdict["difference"] == pytest.approx(0.10)
    assert "Trial 1 beats the defaults by +0.100" in clear.verdict["sentence"]
    assert clear.config.optim.lr == 0.002
    chance = told(0.80, 0.805)
    assert chance.verdict["kept"] == 0
    assert "no more than chance" in chance.verdict["sentence"]
    assert chance.config == chance.asked
    behind = told(0.80, 0.70)
    assert "Nothing beat the defaults" in behind.verdict["sentence"]
    assert behind.kept == {}
    alone = told(0.80)
    assert "give it more time" in alone.verdict["sentence"]
    broken = told(None, 0.5)
    assert broken.verdict["kept"] == 1
    chosen = replace(clear, asked=clear.asked.set("model.method", "auto"))
    chosen.search.plan = SimpleNamespace(config=Config().set("model.method", "byol"))
    assert chosen.config.model.method == "byol"  # its numbers are of no use to another
    early = told(0.80, 0.90, reached=[2, 1])
    assert early.verdict["epochs"] == 1
    assert "no other one got to 3 epochs: give it more time" in early.verdict["sentence"]
    assert early.config == early.asked


def test_the_spread_widens_with_the_number_of_trials_compared():
    one, many = told(0.80, 0.82), told(0.80, 0.82, *[0.79] * 20)
    assert one.verdict["interval"][0] > many.verdict["interval"][0]
    d = (np.arange(400) < 0.82 * 400).astype(float) - (np.arange(400) < 0.8 * 400)
    half = one.verdict["interval"][1] - one.verdict["difference"]
    assert half == pytest.approx(1.966 * d.std(ddof=1) / 20, rel=1e-3)


@pytest.mark.parametrize("name", ["best.toml", "best.json", "folder"])
def test_the_config_file_is_read_back_as_it_was(tmp_path, name):
    f = told(0.80, 0.90)
    asked = Config.from_dict({
        "data": {"source": "somewhere", "label": 'the "label"', "column": ["a", "b"]},
        "model": {"method": "byol", "encoder_options": {"widths": [4, 8], "odd key": True}},
        "views": {"overrides": {"crop": {"scale": [0.3, 1.0]}}},
        "method": {"projector": None, "twin": {"momentum": 0.9}},
    })  # fmt: skip
    f = replace(f, asked=asked)
    f.search.plan = SimpleNamespace(
        config=asked, table=SimpleNamespace(source={}, fingerprint=""), record=None,
    )  # fmt: skip
    f.search.rows, f.search.stopped = score.Parts(np.arange(3), np.arange(2)), 0
    written = f.save(tmp_path / name)
    assert written.name == ("best.toml" if name == "folder" else name)
    read = Config.from_dict(config.read_file(written))
    assert read == replace(f.config, data=replace(f.config.data, source=""))
    assert read.optim.lr == 0.002
    with pytest.raises(ConfigError, match="is there already"):
        outcome.free(tmp_path / name, overwrite=False)
    outcome.free(tmp_path / name, overwrite=True)


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_from_data_to_a_config_that_train_takes(command, tmp_path):
    np.savez(tmp_path / "data.npz", image=pictures(120, 0)[0], label=pictures(120, 0)[1])
    knobs = [f"--set={k}" for k in (
        "model.encoder_options.widths=[4,8]", "method.projector.hidden=8", "method.projector.out=8", "train.threads=1",
        "train.batch_size=16", "train.precision=fp32", "data.holdout=0",
    )]  # fmt: skip
    out = tmp_path / "best.toml"
    args = ["tune", tmp_path / "data.npz", "--out", out, "--horizon", 1, "--trials", 2, "--size", 8, *knobs]
    code, printed, err = command(*args, "--json")
    assert code == 0, err
    result = json.loads(printed)
    assert result["verb"] == "tune"
    assert [t["rank"] for t in result["trials"]] == [1, 2]
    assert any(t["defaults"] for t in result["trials"])
    for said in ("Trial 0 (the defaults)", "Trial 1 (lr", "rank", "held-out training rows", "best.toml"):
        assert said in err
    code, printed, err = command("train", tmp_path / "data.npz", "--config", out, "--dry-run", "--json")
    assert code == 0, err
    taken = json.loads(printed)["config"]
    assert taken["model"]["encoder_options"] == {"widths": [4, 8]}
    code, _, err = command(*args)
    assert code == 2
    assert "--overwrite" in err


def test_without_optuna_the_hint_is_the_extra(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"nearfar\[tune\]"):
        tuning.tune("anything")
    code, out, err = command("tune", tmp_path / "none", "--json")
    assert code == 2
    assert "needs the library optuna" in err
    assert json.loads(out)["error"]["kind"] == "ConfigError"


def test_help_loads_nothing_heavy():
    text = (
        "import sys, io; sys.stdout = io.StringIO()\n"
        "from nearfar import cli; cli.run(['tune', '--help']); sys.stdout = sys.__stdout__\n"
        "print([m for m in ('torch', 'numpy', 'optuna') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout.strip() == "[]"
