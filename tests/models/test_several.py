"""Several runs together: seeds, ensembles, averaged weights."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import nearfar
from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, DataError, NearfarWarning, RunError, Stopped, UnknownName
from nearfar.data.read import read
from nearfar.evaluation import evaluate
from nearfar.evaluation.floors import untrained
from nearfar.evaluation.summary import over_seeds
from nearfar.models import loading
from nearfar.models import loading as loading_
from nearfar.models.ensemble import Ensemble
from nearfar.training import train
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer
from nearfar.training.weight_averaging import Average
from nearfar.vectors.basics import unit
from tests.conftest import TINY, lines_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def three(digits, tmp_path_factory):
    """The folder of a training from three seeds."""
    out = tmp_path_factory.mktemp("several") / "three"
    trained = nearfar.train(digits, seeds=3, out=out, **TINY)
    assert [t.path for t in trained] == [out / f"seed{n}" for n in range(3)]
    return out


class Killed(BaseException):
    pass


def dying(monkeypatch, seed, step, error=Killed):
    """Let training from that seed end before that step."""
    own = Trainer.step

    def dies(self, *args):
        if self.config.train.seed == seed and self.position.step == step:
            raise error
        return own(self, *args)

    monkeypatch.setattr(Trainer, "step", dies)


def weights(run):
    return (run / "model.safetensors").read_bytes()


# --- seeds --------------------------------------------------------------------------------------------------------


def test_each_seed_is_a_run_of_its_own(three, digits, tmp_path):
    alone = train.train(digits, out=tmp_path / "alone", seed=1, **TINY)
    assert weights(alone.path) == weights(three / "seed1") != weights(three / "seed0")
    in_memory = nearfar.train(digits, seeds=2, seed=1, **TINY)
    assert [t.plan.config.train.seed for t in in_memory] == [1, 2]
    np.testing.assert_array_equal(
        in_memory[1].encode(digits["test"][0][:9]), loading_.load(three / "seed2").encode(digits["test"][0][:9])
    )


def test_an_interrupted_whole_goes_on(three, digits, tmp_path, monkeypatch):
    own, given = Trainer.step, TINY | {"checkpoint_every": "4steps"}
    dying(monkeypatch, seed=1, step=8)
    with pytest.raises(Killed):
        nearfar.train(digits, seeds=2, out=tmp_path / "a", **given)
    assert not (tmp_path / "a" / "seed1" / "model.safetensors").exists()
    monkeypatch.setattr(Trainer, "step", own)
    (tmp_path / "a" / "seed0" / "README.md").write_text("mine")
    with pytest.raises(RunError, match="--resume to continue"):
        nearfar.train(digits, seeds=2, out=tmp_path / "a", **given)
    again = nearfar.train(digits, seeds=3, out=tmp_path / "a", resume=True)
    assert [t.path.name for t in again] == ["seed0", "seed1", "seed2"]
    assert (tmp_path / "a" / "seed0" / "README.md").read_text() == "mine"  # what was finished is not touched
    for n in range(3):
        assert weights(tmp_path / "a" / f"seed{n}") == weights(three / f"seed{n}")
        assert lines_of(tmp_path / "a" / f"seed{n}") == lines_of(three / f"seed{n}")
    assert not (tmp_path / "a" / ".lock").exists()


def test_a_stop_says_how_the_whole_goes_on(digits, tmp_path, monkeypatch):
    dying(monkeypatch, seed=0, step=2, error=Stopped("stopped after step 2.", hint="Pass --resume --out seed0."))
    with pytest.raises(Stopped, match=r"seed 0: stopped after step 2\. Pass --resume --out \S+whole to go on"):
        nearfar.train(digits, seeds=2, out=tmp_path / "whole", **TINY)


def test_folders_that_are_something_else(three, tmp_path):
    with pytest.raises(RunError, match="holds several runs"):
        loading_.load(three)
    with pytest.raises(RunError, match="not a run folder"):
        evaluate.evaluate(tmp_path)
    with pytest.raises(RunError, match="holds a single run"):
        nearfar.train("x", out=three / "seed0", seeds=2, overwrite=True)
    with pytest.raises(RunError, match="holds no training from several seeds"):
        nearfar.train(out=three / "seed0", seeds=3, resume=True)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(RunError, match="not empty"):
        nearfar.train("x", out=tmp_path, seeds=2, overwrite=True)
    with pytest.raises(ConfigError, match="needs to know the folder"):
        nearfar.train(resume=True, seeds=2)


def test_evaluation_sums_up_over_seeds(three, digits):
    few = {split: tuple(a[:100] for a in found) for split, found in digits.items()}
    data = evaluate.evaluate(three, few, protocols=["knn", "linear_probe"])
    assert [r["run"] for r in data.results] == ["three/seed0", "three/seed1", "three/seed2"]
    (summary,) = data.as_dict()["summary"]
    assert (summary["name"], summary["n"], summary["seeds"]) == ("three, 3 seeds", 3, [0, 1, 2])
    for of in (
        lambda r: r["knn"]["accuracy"], lambda r: r["knn"]["all"][1]["accuracy"],
        lambda r: r["linear_probe"]["accuracy"],
        lambda r: r["geometry"]["effective_rank"], lambda r: r["floors"]["untrained_encoder"]["knn"]["accuracy"],
    ):  # fmt: skip
        x, found = np.array([of(r) for r in data.results]), of(summary["figures"])
        assert found == {"n": 3, "mean": pytest.approx(x.mean()), "sd": pytest.approx(x.std(ddof=1))}
    assert "settings" not in summary["figures"]["knn"]
    probes = summary["figures"]["linear_probe"]["accuracy"]
    table = data.table()
    (said,) = data.below  # of all three together
    assert re.match(r"three, 3 seeds is (well )?below its untrained encoder in kNN \(0\.", said) and said in table
    assert table.replace(said, "").count("three, 3 seeds") == 2  # one line of models, one of floors
    assert f"{probes['mean']:.3f} ± {probes['sd']:.3f}" in table
    assert f"{data.results[1]['linear_probe']['accuracy']:.3f} [" in table
    one_by_one = evaluate.evaluate([three / f"seed{n}" for n in range(3)], few, protocols=["knn"], floors=False)
    assert one_by_one.summary[0]["figures"]["knn"] == summary["figures"]["knn"]
    assert "summary" not in evaluate.evaluate(three / "seed0", few, protocols=["knn"], floors=False).as_dict()


def test_only_runs_that_differ_by_the_seed_alone_are_summed_up(three):
    models = loading.models([three])
    other = loading_.load(three / "seed0")
    other.config = other.config.set("optim.lr", 1.0).set("train.seed", 7)
    few = {"mean": 0.5, "std": 0.1, "draws": [0.4, 0.6]}
    results = [
        {"run": str(i), "knn": {"accuracy": float(i), "interval": [0, 1]}, "few_labels": {"5": few}, "floors": {}}
        for i in range(4)
    ]
    (found,) = over_seeds([*models, other], results)
    assert found["runs"] == ["0", "1", "2"]
    assert found["figures"] == {
        "knn": {"accuracy": {"n": 3, "mean": 1.0, "sd": 1.0}},
        "few_labels": {"5": {"mean": {"n": 3, "mean": 0.5, "sd": 0.0}, "std": {"n": 3, "mean": pytest.approx(0.1), "sd": pytest.approx(0)}}},
    }  # fmt: skip
    assert over_seeds([models[0], models[0]], results[:2]) == []  # twice the same says nothing of seeds
    assert over_seeds([models[0], other], results[:2]) == []


# --- ensembles ----------------------------------------------------------------------------------------------------


def test_concat_by_hand_and_from_its_folder_alone(three, digits, tmp_path, monkeypatch):
    shutil.copytree(three, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    made = nearfar.ensemble(["runs/seed0", "runs/seed2"], out="both")
    shutil.rmtree("runs")
    Path("elsewhere").mkdir()
    shutil.move("both", "elsewhere/both")
    loaded, images = nearfar.load("elsewhere/both", device="cpu"), digits["test"][0][:50]
    found = {p.name for p in Path("elsewhere/both").iterdir()}
    assert found == {"config.json", "model.safetensors", "rows.safetensors", "README.md"}
    for file in ("config.json", "README.md"):
        assert str(tmp_path) not in Path("elsewhere/both", file).read_text()
        assert str(three) not in Path("elsewhere/both", file).read_text()
    a, b = (loading_.load(three / f"seed{n}").encode(images) for n in (0, 2))
    z = loaded.encode(images)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, made.encode(images))
    np.testing.assert_allclose(z, np.hstack([a, b]) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(z @ z.T, (a @ a.T + b @ b.T) / 2, atol=1e-5)
    rows = np.arange(7)
    np.testing.assert_allclose(loaded.features(loaded.read(images).first, rows), z[:7], atol=1e-6)
    assert loaded.encode(images[:3], layer="projection").shape == (3, 32)
    assert "seed0" in Path("elsewhere/both/README.md").read_text()
    taught = train.train(digits, positives="teacher:elsewhere/both:neighbours", **TINY | {"epochs": 1})
    assert np.isfinite(taught.metrics[-1]["loss"])


class Turned(torch.nn.Module):
    """An encoder whose features are turned by an orthogonal map."""

    def __init__(self, encoder, turn):
        super().__init__()
        self.encoder, self.turn, self.out_features = encoder, turn, encoder.out_features

    def forward(self, x):
        return self.encoder(x) @ self.turn


def test_average_finds_a_space_that_was_only_turned(three, digits):
    """The mean of a model and its turned twin is the model itself once they are aligned, and something else if not."""
    model, twin = (loading_.load(three / "seed0", device="cpu") for _ in range(2))
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))[0]
    branch = twin.branches["x"]
    branch.encoder = Turned(branch.encoder, turn)
    made = Ensemble([model, twin], "average")
    table = made.read(digits)
    plain = made.features(table.first, table.splits["test"])
    (found,) = made.align(table.first, table.splits["train"])
    aligned = made.features(table.first, table.splits["test"])
    own = unit(model.features(table.first, table.splits["test"]))
    np.testing.assert_allclose(aligned, own, atol=1e-4)
    assert np.abs(plain - own).max() > 0.1
    assert found["after"] == pytest.approx(1, abs=1e-4)
    assert found["before"] < 0.6


def test_average_of_independent_trainings_needs_the_alignment(three, digits, tmp_path):
    made = nearfar.ensemble([three], how="average", data=digits, out=tmp_path / "mean")
    plain = Ensemble(made.members, "average")
    table = made.read(digits)
    test = table.splits["test"]
    units = [unit(m.features(table.first, test)) for m in made.members]
    mean_of_cosines = np.mean([z @ z.T for z in units], axis=0)

    def fault(model):
        z = unit(model.features(table.first, test))
        return np.abs(z @ z.T - mean_of_cosines).mean()

    for i, z in enumerate(units[1:]):  # on rows that the maps were not fitted on
        m = made.maps["features"][i]
        np.testing.assert_allclose(m @ m.T, np.eye(16), atol=1e-5)
        assert (z @ m * units[0]).sum(1).mean() > (z * units[0]).sum(1).mean() + 0.1
    assert fault(made) < 0.5 * fault(plain)
    by_hand = np.mean([units[0], *(z @ m for z, m in zip(units[1:], made.maps["features"], strict=True))], axis=0)
    np.testing.assert_allclose(made.features(table.first, test), by_hand, atol=1e-6)
    loaded = nearfar.load(tmp_path / "mean", device="cpu")
    z = loaded.encode(digits["test"][0])
    np.testing.assert_array_equal(z, made.encode(digits["test"][0]))
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
    assert loaded.encode(digits["test"][0][:4], layer="projection").shape == (4, 16)
    stored = json.loads((tmp_path / "mean" / "config.json").read_text())["ensemble"]
    assert stored["aligned_on"] == 400
    assert all(a["after"] > a["before"] for a in stored["agreement"])


def test_the_floor_of_an_average_is_aligned_too(three, digits):
    made = Ensemble(loading.models([three]), "average")
    table = made.read(digits)
    floor = untrained(made, table, table.splits["train"])
    assert len(floor.agreement) == 2
    assert min(a["after"] - a["before"] for a in floor.agreement) > 0.01
    first, second = (m.branches["x"].encoder.stem[0].weight for m in floor.members[:2])
    assert not torch.equal(first, second)  # each from its own seed, as the trained ones


@pytest.fixture(scope="module")
def unlike(tmp_path_factory):
    """Two runs on the same pictures with other encoders, methods and stored sizes, and the pictures."""
    from PIL import Image

    folder, draw = tmp_path_factory.mktemp("unlike"), np.random.default_rng(0)
    for name, colour in (("blue", (40, 60, 200)), ("red", (200, 50, 40))):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            array = np.clip(np.array(colour) + draw.normal(0, 25, (20 + i, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(array).save(folder / "pictures" / name / f"{i:02}.png")
    small = TINY | {"epochs": 1, "batch_size": 8}
    train.train(folder / "pictures", out=folder / "a", size=16, **small)
    wide = {"encoder": "pooled_cnn", "encoder_options": {}, "method": "supcon"}
    train.train(folder / "pictures", out=folder / "b", size=24, **small | wide)
    return folder


def test_each_member_reads_in_its_own_way(unlike):
    a, b = (loading_.load(unlike / n) for n in "ab")
    made = nearfar.ensemble([a, b])
    files = sorted((unlike / "pictures").rglob("*.png"))
    z, own = made.encode(files), [m.encode(files) for m in (a, b)]
    assert own[0].shape[1] != own[1].shape[1]
    np.testing.assert_allclose(z, np.hstack(own) / np.sqrt(2), atol=1e-5)
    with pytest.warns(NearfarWarning, match="ensemble was trained on"):
        found = evaluate.evaluate(made, protocols=["knn"])
    assert found.results[0]["geometry"]["dimensions"] == z.shape[1]
    assert "untrained_encoder" in found.results[0]["floors"]
    with pytest.raises(ConfigError, match=r"b takes .*24 × 24, the column 'image' holds .*16 × 16"):
        made.features(a.read(unlike / "pictures").first, np.arange(3))
    with pytest.raises(ConfigError, match="dimensions.*have no mean"):
        nearfar.ensemble([a, b], how="average")


def test_an_ensemble_of_pairs_is_measured_as_a_model_is(tmp_path):
    draw, words = np.random.default_rng(0), [f"w{i}" for i in range(50)]
    left = [" ".join(draw.choice(words, 6)) for _ in range(60)]
    pairs = {"a": left, "b": [" ".join(reversed(text.split())) for text in left]}
    given = {"method": "clip", "column": ("a", "b"), "tokens": "hashed:200", "encoder_options": {"dim": 8}, "holdout": 0.0}
    small = {"epochs": 1, "batch_size": 16, "threads": 1, "quiet": True}
    runs = [train.train(pairs, seed=seed, out=tmp_path / str(seed), **given, **small).path for seed in (0, 1)]
    made = nearfar.ensemble(runs, quiet=True)
    (member,) = made.members[0].members
    assert (len(made.members), made.keeps) == (2, member.keeps)
    with pytest.warns(NearfarWarning, match="was trained on"):
        found = evaluate.evaluate([made, member], pairs, column=("a", "b"), protocols=["retrieval"], quiet=True)
    assert [r["layer"] for r in found.results] == ["projection", "projection"]
    assert all("a->b" in r["retrieval"] and "untrained_encoder" in r["floors"] for r in found.results)


def test_rows_that_only_one_member_can_read_are_an_error(unlike, monkeypatch):
    made = nearfar.ensemble([unlike / "a", unlike / "b"])
    monkeypatch.setattr(made.members[1], "read", lambda *_, **__: read(list((unlike / "pictures" / "red").iterdir())))
    with pytest.raises(DataError, match="b reads 12 rows of these data and a 24"):
        made.encode(unlike / "pictures")


def test_what_does_not_go_together_is_refused(three, digits, unlike, tmp_path):
    rows = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    vectors = train.train(rows, epochs=1, batch_size=16, threads=1, encoder_options={"width": 16, "out": 8}).model
    a, b = loading.models([three / "seed0", three / "seed1"])
    for members, how, said in (
        ([a, vectors], "concat", "takes image, .* takes vector"),
        ([a], "concat", "at least two"),
        ([Ensemble([a, b]), b], "concat", "an ensemble already"),
    ):
        with pytest.raises(ConfigError, match=said):
            nearfar.ensemble(members, how=how)
    with pytest.raises(UnknownName, match="'concat'"):
        Ensemble([a, b], "concatt")
    with pytest.raises(DataError, match="10 rows are too few to align 16 dimensions"):
        nearfar.ensemble([a, b], how="average", data=(digits["train"][0][:10], digits["train"][1][:10]))
    with pytest.raises(ConfigError, match="trained on data from Python"):
        nearfar.ensemble([a, b], how="average")
    with pytest.raises(ConfigError, match="lies in no run folder"):
        nearfar.ensemble([vectors, vectors], out=tmp_path / "x")
    with pytest.raises(RunError, match="is one of the members"):
        nearfar.ensemble([a, b], out=three / "seed1", overwrite=True)
    assert not (tmp_path / "x").exists()


def test_the_command(unlike, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("ensemble", unlike / "a", unlike / "b", "--out", "both", "--json")
    assert code == 0, err
    assert json.loads(out) == {
        "schema": 1, "verb": "ensemble", "run": "both", "how": "concat", "members": ["a", "b"], "agreement": [],
    }  # fmt: skip
    code, _, err = command("ensemble", unlike / "a", unlike / "b", "--out", "both")
    assert code == 2
    assert "--overwrite" in err
    assert command("ensemble", unlike / "a", unlike / "b", "--out", "both", "--overwrite")[0] == 0

    code, out, err = command("eval", "both", "--protocol", "knn", "--map", "pca", "--json")
    assert code == 0, err
    assert json.loads(out)["results"][0]["run"] == "both"
    assert {"report.html", "evaluation.json"} <= {p.name for p in Path("both").iterdir()}
    assert "concat of `a`, `b`" in Path("both/README.md").read_text()

    pictures = unlike / "pictures"
    code, out, err = command("embed", "both", pictures, "--out", "v.npz", "--json")
    assert code == 0, err
    with np.load("v.npz") as found:
        np.testing.assert_allclose(np.linalg.norm(found["vector"], axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(found["vector"], loading_.load("both").encode(pictures), atol=1e-6)
    code, out, err = command("search", "both", pictures / "red" / "03.png", "-k", "2", "--json")
    assert code == 0, err
    assert json.loads(out)["results"][0]["hits"][0]["name"] == str(Path("red", "03.png"))


def test_the_command_with_seeds(unlike, tmp_path, command):
    fast = ["--epochs", "1", "--batch-size", "8", "--size", "16", "--set", "data.holdout=0", "--set", "train.threads=1",
            "--set", "model.encoder_options.widths=[8,16]"]  # fmt: skip
    run = tmp_path / "run"
    code, out, err = command(
        "train", unlike / "pictures", "--out", run, "--seeds", 2, "--seed", 4, "--json", *fast
    )
    assert code == 0, err
    assert [r["seed"] for r in json.loads(out)["runs"]] == [4, 5]
    assert {p.name for p in run.iterdir()} == {"seeds.json", "seed4", "seed5"}
    code, out, err = command("train", "--resume", "--out", run, "--json")
    assert code == 0, err
    assert "finished before" in err
    code, out, err = command("eval", run, "--protocol", "knn", "--no-floors", "--json")
    assert code == 0, err
    assert "run, 2 seeds" in err
    assert json.loads(out)["summary"][0]["figures"]["knn"]["accuracy"]["n"] == 2
    code, out, err = command("train", unlike / "pictures", "--out", tmp_path / "one", "--seeds", 1, *fast)
    assert code == 0, err
    assert (tmp_path / "one" / "model.safetensors").exists()
    assert command("train", unlike / "pictures", "--out", run, *fast)[0] == 2


# --- averaged weights ---------------------------------------------------------------------------------------------


def trainer_of(data, **knobs):
    plan = prepare(with_knobs(Config(), None, TINY | knobs), data)
    return Trainer(plan, None, QUIET)


def test_the_mean_of_the_last_steps_and_nothing_else_changes(digits, monkeypatch):
    seen, follow = [], Average.follow

    def watched(self, branches, step):
        seen.append({n: p.detach().clone() for n, p in branches.named_parameters()})
        follow(self, branches, step)

    monkeypatch.setattr(Average, "follow", watched)
    trainer = trainer_of(digits, average=0.4)
    trainer.fit()
    assert trainer.average.count == 5  # of 12
    last = {n: p.detach().clone() for n, p in trainer.learner.named_parameters()}
    found = trainer.finished().branches.state_dict()
    for name in seen[0]:
        want = torch.stack([w[name] for w in seen[-5:]]).double().mean(0)
        torch.testing.assert_close(found[name].double(), want, atol=1e-6, rtol=1e-5)
        assert not torch.equal(found[name], seen[-1][name])
    plain = trainer_of(digits)
    plain.fit()
    for name, p in plain.learner.named_parameters():
        assert torch.equal(p, last[name]), name
        assert torch.equal(p, dict(trainer.learner.named_parameters())[name]), name
    assert plain.finished() is plain.learner
    assert plain.average.state(plain.learner.branches) == {}


def test_statistics_are_the_mean_over_one_more_epoch_of_views():
    """By hand, for the first batch norm of a network on rows of numbers."""
    rows = np.random.default_rng(1).normal(size=(96, 5)).astype(np.float32)
    options = {"width": 12, "layers": 3, "out": 8}
    trainer = trainer_of(rows, batch_size=32, average=0.5, encoder_options=options)
    trainer.fit()
    found = trainer.finished()
    linear, norm = next(iter(found.branches.values())).encoder.layers[:2]
    epoch, means, variances = trainer.config.train.epochs, [], []
    for index in range(trainer.sampler.steps_per_epoch):
        batch = trainer.viewer.batch(trainer.sampler.batch(epoch, index), epoch, index)
        h = linear(torch.cat([v.values for v in batch.views])).detach()
        means.append(h.mean(0))
        variances.append(h.var(0))
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, torch.stack(variances).mean(0), atol=1e-5, rtol=1e-4)
    own = next(iter(trainer.learner.branches.values())).encoder.layers[1]
    assert (own.running_mean - norm.running_mean).abs().max() > 1e-3
    assert norm.momentum == own.momentum
    assert not norm.training


def test_averaging_resumes_bit_for_bit(digits, tmp_path, monkeypatch):
    given = TINY | {"average": 0.7, "checkpoint_every": "3steps", "keep_optimizer": True}
    given |= {"method": "moco_v2", "parts": {"memory": {"size": 96}}}  # a twin, a queue, batch norm by groups
    train.train(digits, out=tmp_path / "whole", **given)
    own = Trainer.step
    dying(monkeypatch, seed=0, step=8)
    with pytest.raises(Killed):
        train.train(digits, out=tmp_path / "broken", **given)
    assert int(load_file(tmp_path / "broken/checkpoint/state.safetensors")["average/count"]) == 2  # after step 4
    monkeypatch.setattr(Trainer, "step", own)
    train.train(digits, out=tmp_path / "broken", resume=True)
    for file in ("model.safetensors", "checkpoint/state.safetensors"):
        a, b = (load_file(tmp_path / run / file) for run in ("whole", "broken"))
        assert a.keys() == b.keys()
        for key in a:
            assert torch.equal(a[key], b[key]), key
    assert weights(tmp_path / "whole") == weights(tmp_path / "broken")
    before = weights(tmp_path / "whole")
    train.train(digits, out=tmp_path / "whole", resume=True)
    assert weights(tmp_path / "whole") == before


def test_a_mean_of_steps_that_are_no_longer_the_last_is_left_behind():
    branches = torch.nn.ModuleDict({"x": torch.nn.Linear(2, 1, bias=False)})
    first = Average(0.5, 10)
    for step in range(1, 11):
        with torch.no_grad():
            branches["x"].weight.fill_(step)
        first.follow(branches, step)
    assert first.state(branches)["mean/x.weight"].tolist() == [[8.0, 8.0]]  # of 6 … 10
    longer, same = Average(0.5, 100), Average(0.5, 10)
    longer.restore(first.state(branches), branches, 10)
    same.restore(first.state(branches), branches, 10)
    assert (longer.count, same.count) == (0, 5)
    off = Average(0.0, 10)
    off.follow(branches, 10)
    assert off.state(branches) == {}
    assert Average(0.001, 10).start == 9  # at least the last step


# --- weights that are kept ----------------------------------------------------------------------------------------


def test_a_share_of_the_weights_of_the_beginning_is_kept(digits, three, tmp_path, monkeypatch):
    """Training goes as without, and resumes; the encoder ends between where it began and where that led."""
    given = TINY | {"init_from": str(three / "seed0"), "seed": 5, "checkpoint_every": "3steps", "keep_optimizer": True}
    plain = train.train(digits, out=tmp_path / "plain", **given)
    dying(monkeypatch, seed=5, step=8)
    with pytest.raises(Killed):
        train.train(digits, out=tmp_path / "kept", interpolate=0.25, **given)
    monkeypatch.undo()
    kept = train.train(digits, out=tmp_path / "kept", resume=True)
    begun = dict(loading_.load(three / "seed0").branches.named_parameters())
    ends = dict(plain.model.branches.named_parameters())
    for name, found in kept.model.branches.named_parameters():
        want = ends[name].lerp(begun[name], 0.25 if ".encoder." in name else 0.0)
        torch.testing.assert_close(found, want, atol=1e-7, rtol=1e-6)
        assert torch.equal(found, ends[name]) != (".encoder." in name), name
    a, b = (load_file(tmp_path / run / "checkpoint/state.safetensors") for run in ("plain", "kept"))
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_nothing_is_kept_of_a_random_beginning(digits):
    with pytest.raises(ConfigError, match="nothing to interpolate with"):
        train.train(digits, interpolate=0.5, **TINY)
