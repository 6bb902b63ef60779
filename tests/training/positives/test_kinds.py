"""Kinds of positives: what they are told, what they find, and that nothing of it is lost on the way."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nearfar.core.config import Config
from nearfar.core.console import QUIET
from nearfar.core.errors import ConfigError, DataError, RunError, UnknownName
from nearfar.core.registry import POSITIVES
from nearfar.models import loading
from nearfar.training import distributed, train
from nearfar.training.job import with_knobs
from nearfar.training.plan.prepare import prepare
from nearfar.training.positives import teacher
from nearfar.training.trainer import Trainer
from nearfar.vectors import kmeans, neighbours
from nearfar.vectors.basics import unit
from tests.helpers.forked import launch


@pytest.fixture
def few(digits):
    """200 labelled rows to train on, and a test split."""
    return {"train": tuple(a[:200] for a in digits["train"]), "test": digits["test"]}


@pytest.fixture
def small(tiny):
    """Three epochs of four steps."""
    return tiny | {
        "epochs": 3,
        "batch_size": 50,
        "encoder_options": {"widths": [8]},
        "method": "supcon",
        "log_every": 2,
    }


@pytest.fixture(scope="module")
def taught(digits, tmp_path_factory):
    """A run to learn from."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    knobs = {"epochs": 1, "batch_size": 50, "encoder_options": {"widths": [8]}, "holdout": 0.0, "threads": 1}
    train.train({"train": digits["train"][0][:200]}, out=folder, precision="fp32", **knobs)
    return folder


class Killed(BaseException):
    pass


def dies_at(monkeypatch, at):
    step = Trainer.step

    def dying(self, *args):
        if self.position.step == at:
            raise Killed
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", dying)
    return lambda: monkeypatch.setattr(Trainer, "step", step)


def same_files(a, b):
    for file in ("model.safetensors", "checkpoint/state.safetensors"):
        x, y = load_file(a / file), load_file(b / file)
        assert x.keys() == y.keys()
        for key in x:
            assert torch.equal(x[key], y[key]), key


def planned(data, **words):
    config = Config().set("data.holdout", 0.0)
    for word, value in words.items():
        config = config.set(word, value)
    return prepare(config, data, console=QUIET)


# --- what is asked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("clusterz:20", UnknownName, "Did you mean 'clusters'"),
        ("clusters", ConfigError, "clusters:200"),
        ("clusters:many", ConfigError, "whole number of at least 2"),
        ("clusters:1", ConfigError, "whole number of at least 2"),
        ("clusters:201", DataError, "201 clusters"),
        ("labels:3", ConfigError, "takes no argument"),
        ("views:x", ConfigError, "Pass views alone"),
        ("teacher", ConfigError, "teacher is not named"),
        ("teacher:no/run", RunError, "not a run folder"),
        ("teacher:tim:resnet18", UnknownName, "timm"),
    ],
)
def test_mistakes_are_sentences(few, text, error, said):
    with pytest.raises(error, match=said):
        planned(few, positives=text, batch_size=50)


def test_options_are_checked(few):
    with pytest.raises(UnknownName, match="warmup"):
        planned(few, positives="clusters:5", positives_options={"warmpu": 2})
    with pytest.raises(ConfigError, match="begin after 3"):
        planned(few, positives="clusters:5", positives_options={"warmup": 3}, epochs=3)
    with pytest.raises(UnknownName):
        planned(few, positives="views", positives_options={"warmup": 2})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("runs/a", ("runs/a", "", 0)), ("runs/a:neighbours", ("runs/a", "neighbours", 0)),
        ("runs/a:clusters:30", ("runs/a", "clusters", 30)), ("timm:resnet18:neighbours:7", ("timm:resnet18", "neighbours", 7)),
        ("timm:resnet18", ("timm:resnet18", "", 0)), ("st:a:vectors", ("st:a", "vectors", 0)),
    ],
)  # fmt: skip
def test_a_teachers_text(text, found):
    assert teacher.parse(text) == found


def test_every_kind_has_a_file():
    assert [*POSITIVES] == ["beside", "clusters", "guided", "labels", "mined", "teacher", "views"]


def test_rows_without_a_label_are_counted_and_belong_to_nobody(few):
    images, labels = few["train"]
    some = np.where(np.arange(200) % 4, labels.astype(float), np.nan)
    plan = planned({"train": (images, some), "test": few["test"]}, positives="labels", batch_size=50)
    assert "Positives: 50 rows have no label; they are positives of their own views only." in plan.notes
    assert (np.unique(plan.groups[:200:4], return_counts=True)[1] == 1).all()
    assert plan.groups[1:200:4].max() < 10 <= plan.groups[:200:4].min()


# --- clusters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["faiss", "scikit-learn"])
def test_kmeans_finds_what_is_there_and_starts_where_it_ended(library, monkeypatch):
    if library == "faiss":
        pytest.importorskip("faiss")
    monkeypatch.setattr(kmeans, "library", lambda: library)
    draw = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), 40)
    x = unit(10 * np.eye(5, 8)[truth] + draw.normal(0, 0.3, (200, 8)))
    centres, nearest = kmeans.kmeans(x, 5, seed=3)
    assert nearest.dtype == np.int64
    assert len(set(zip(truth, nearest, strict=True))) == 5
    np.testing.assert_array_equal(kmeans.kmeans(x, 5, seed=3)[1], nearest)
    moved = unit(x + draw.normal(0, 0.02, x.shape).astype(np.float32))
    np.testing.assert_array_equal(kmeans.kmeans(moved, 5, seed=99, centres=centres)[1], nearest)


def test_a_cluster_without_rows_takes_the_farthest():
    x = np.array([[0, 0], [0, 1], [5, 5], [0, 0.1]], np.float32)
    centres, nearest = kmeans.fill(x, np.zeros((3, 2), np.float32), np.zeros(4, np.int64))
    assert sorted(np.bincount(nearest, minlength=3)) == [1, 1, 2]
    np.testing.assert_array_equal(centres[nearest[2]], x[2])  # the farthest row


@pytest.mark.parametrize("library", ["faiss", "sklearn"])
def test_no_cluster_is_empty(library, monkeypatch):
    pytest.importorskip(library)
    equal = np.ones((6, 2), np.float32)
    monkeypatch.setattr(kmeans, "library", lambda: library)
    _, nearest = kmeans.kmeans(equal, 4, seed=0)
    assert np.bincount(nearest, minlength=4).all()


def test_clusters_come_after_the_warmup_and_only_of_training_rows(few, small, tmp_path):
    trained = train.train(few, out=tmp_path / "run", positives="clusters:10", keep_optimizer=True, **small)
    plan = trained.plan
    assert len(np.unique(plan.groups)) == 400  # not yet
    state = load_file(tmp_path / "run/checkpoint/state.safetensors")
    groups, centres = state["positives/groups"].numpy(), state["positives/centres"]
    assert centres.shape == (10, 8)
    assert set(groups[plan.train]) == set(range(10))
    other = groups[plan.table.splits["test"]]
    assert other.min() >= 10
    assert len(set(other)) == 200
    moved = [m["step"] for m in trained.metrics if "clusters_moved" in m]
    assert moved == [10]  # found at step 4, again at step 8
    assert "from step 4 on" in " ".join(plan.notes)
    assert plan.config.model.positives == "clusters:10"
    assert "auto" not in json.dumps(plan.config.as_dict())


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"positives": "clusters:10"}, 7),
        ({"positives": "clusters:10", "positives_options": {"every": 3, "warmup": 0}}, 8),  # between two refreshes
        ({"positives": "clusters:10", "balance": "8x5"}, 10),
        ({"positives": "clusters:10", "chunk": 25}, 9),
        ({"positives": "labels", "balance": "9x5"}, 7),
    ],
)
def test_resumes_bit_for_bit(few, small, tmp_path, monkeypatch, given, at):
    knobs = small | given | {"checkpoint_every": "2steps", "keep_optimizer": True}
    train.train(few, out=tmp_path / "whole", **knobs)
    alive = dies_at(monkeypatch, at)
    with pytest.raises(Killed):
        train.train(few, out=tmp_path / "broken", **knobs)
    alive()
    train.train(few, out=tmp_path / "broken", resume=True)
    same_files(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.parametrize("way", ["clusters:9", "neighbours:3"])
def test_a_teacher_resumes_bit_for_bit(few, small, taught, tmp_path, monkeypatch, way):
    knobs = small | {"positives": f"teacher:{taught}:{way}", "checkpoint_every": "2steps", "keep_optimizer": True}
    train.train(few, out=tmp_path / "whole", **knobs)
    alive = dies_at(monkeypatch, 7)
    with pytest.raises(Killed):
        train.train(few, out=tmp_path / "broken", **knobs)
    alive()
    monkeypatch.setattr(teacher.Taught, "model", None)  # it is not asked again
    train.train(few, out=tmp_path / "broken", resume=True)
    same_files(tmp_path / "whole", tmp_path / "broken")


# --- a teacher --------------------------------------------------------------------------------------------------


def test_a_teachers_clusters(few, small, taught, tmp_path):
    train.train(few, out=tmp_path / "run", positives=f"teacher:{taught}:clusters:7", keep_optimizer=True, **small)
    groups = load_file(tmp_path / "run/checkpoint/state.safetensors")["positives/groups"].numpy()
    assert set(groups[:200]) == set(range(7))
    assert len(set(groups[200:])) == 200


def test_second_views_come_from_neighbours(few, small, taught, monkeypatch):
    given = {k: v for k, v in small.items() if k != "projector"}
    plan = planned(few, positives=f"teacher:{taught}:neighbours:3", recipe="none", **given)
    trainer = Trainer(plan, None, QUIET)
    assert trainer._look_for_positives()
    partners = trainer.positives.partners
    x = unit(loading.load(taught, device="cpu").features(plan.table.first, plan.train))
    near = np.argsort(-(x @ x.T - 9 * np.eye(200)), axis=1)[:, :3]
    np.testing.assert_array_equal(np.sort(partners[:200]), np.sort(near))
    np.testing.assert_array_equal(partners[200:], np.arange(200, 400)[:, None].repeat(3, 1))
    rows = np.arange(60)
    first, second = trainer.viewer.batch(rows, 1, 0).views
    values = torch.as_tensor(plan.table.first.values[:200])
    from nearfar.core.registry import MODALITIES

    shown = MODALITIES.get("image").neutral(values, None, plan.table.first.spec)
    assert torch.equal(first.values, shown[:60])
    picked = (second.values[:, None] == shown[None]).flatten(2).all(2).numpy().argmax(1)
    assert all(p in partners[r] for r, p in zip(rows, picked, strict=True))
    again = trainer.viewer.batch(rows, 2, 0).views[1].values
    assert not torch.equal(again, second.values)
    assert torch.equal(trainer.viewer.batch(rows, 1, 0).views[1].values, second.values)


def test_neighbours_of_equal_rows_are_not_the_row_itself(monkeypatch):
    x = np.ones((9, 4), np.float32)
    monkeypatch.setattr(neighbours, "BLOCK", 4)
    found = neighbours.nearest_others(x, 3)
    assert found.shape == (9, 3)
    assert np.mean([row in others for row, others in enumerate(found)]) < 0.5


def test_a_teacher_for_other_input_is_refused(taught, small):
    rows = np.random.default_rng(0).random((60, 20)).astype(np.float32)
    given = {k: v for k, v in small.items() if k not in ("encoder_options", "recipe", "projector")}
    with pytest.raises(ConfigError, match="was trained on grey pictures"):
        train.train(rows, positives=f"teacher:{taught}", **given | {"batch_size": 20})


def test_weights_that_cannot_be_had_are_a_sentence(few, small, monkeypatch):
    pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub")

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(hub, "hf_hub_download", offline)
    with pytest.raises(ConfigError, match="pretrained weights .* cannot be loaded"):
        train.train(few, positives="teacher:timm:resnet18", **small)


# --- many processes ---------------------------------------------------------------------------------------------


def look(folder, data, configs):
    rank, said = distributed.world().rank, []
    for config in configs:
        trainer = Trainer(prepare(Config.from_dict(config), data, console=QUIET), None, QUIET)
        if rank:
            trainer.positives.refresh = None  # only process 0 may
        found = trainer._look_for_positives()
        group = trainer.viewer.batch(trainer.plan.train[:51], 0, 0).relation.group
        state = {k: v.tolist() for k, v in trainer.positives.state().items()}
        said.append({"found": found, "state": state, "group": group.tolist(), "size": distributed.world().size})
    (folder / f"{rank}.json").write_text(json.dumps(said))


def test_all_processes_get_what_process_0_found(few, small, taught, tmp_path):
    same = {k: small[k] for k in ("epochs", "encoder_options", "holdout", "precision", "threads")}
    same |= {"batch_size": 50, "processes": 2}
    ways = (
        {"positives": "clusters:6", "positives_options": {"warmup": 0}},
        {"positives": f"teacher:{taught}:neighbours:2"},
        {"positives": f"teacher:{taught}", "method": "distil"},
    )
    launch(look, (tmp_path, few, [with_knobs(Config(), None, same | w).as_dict() for w in ways]), 2)
    for one, two in zip(*(json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)), strict=True):
        assert one["size"] == 2
        assert one["found"]
        assert one["state"] == two["state"]
        assert (len(one["group"]), len(two["group"])) == (26, 25)


# --- a kind of one's own ----------------------------------------------------------------------------------------

MINE = """
import numpy as np
from nearfar.training.positives import Positives, whole
def build(context, argument, shift=0):
    count = whole(argument, "how many", 1)
    return Positives((np.arange(len(context.table)) + shift) % count, f"Positives: {count} by turns.")
"""


def test_a_kind_is_one_file(few, small, tmp_path, monkeypatch):
    (tmp_path / "plugins/positives").mkdir(parents=True)
    (tmp_path / "plugins/positives/turns.py").write_text(MINE)
    monkeypatch.setenv("NEARFAR_PLUGINS", str(tmp_path / "plugins"))
    trained = train.train(few, positives="turns:4", positives_options={"shift": 1}, **small)
    assert trained.plan.groups[:5].tolist() == [1, 2, 3, 0, 1]
    assert "Positives: 4 by turns." in trained.plan.notes
    with pytest.raises(UnknownName, match="turns"):
        planned(few, positives="turn:4")
