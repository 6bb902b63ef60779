"""The best state of a training is its model, and its start is one of the states."""

import json
import warnings

import numpy as np
import pytest
import torch

from nearfar.core.console import QUIET
from nearfar.core.errors import CollapseWarning, NearfarWarning, RunError, WorseWarning
from nearfar.core.files import load_tensors, save_tensors
from nearfar.evaluation import floors, verdict
from nearfar.models.run import Run
from nearfar.training import train
from nearfar.training.best import Best
from nearfar.training.trainer import Trainer
from tests.conftest import TINY, killed, lines_of
from tests.helpers.two import trainings

PLAIN = {k: v for k, v in TINY.items() if k not in ("projector", "holdout")} | {"size": 16, "log_every": 2, "lr": 2.5e-4}
GIVEN = PLAIN | {"holdout": 0.25, "epochs": 5, "keep_optimizer": True}
TEXTS = [f"w{i % 7} w{i % 11} w{i % 13} own{i}" for i in range(96)]
OF_TEXTS = {"tokens": "hashed:1000", "encoder_options": {"dim": 8}, "holdout": 0.25, "batch_size": 24, "threads": 1,
            "precision": "fp32", "lr": 0.05, "epochs": 4, "optim.weight_decay": 0.1}  # fmt: skip


@pytest.fixture(scope="module")
def some(digits):
    """Digits without a test split."""
    return tuple(a[:240] for a in digits["train"])


@pytest.fixture
def best_at(monkeypatch):
    """Let a state be the best by its step."""

    def set_to(step):
        monkeypatch.setattr(verdict, "worth", lambda by, row, start: -abs(row["step"] - step))

    return set_to


def model_of(folder):
    return load_tensors(folder / "model.safetensors")[0]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(("data", "given"), [("digits", GIVEN), ("texts", OF_TEXTS)])
def test_the_model_has_the_weights_that_were_best(data, given, some, tmp_path, best_at):
    """Batch norms' statistics and the tables of which only some rows are trained among them."""
    data = some if data == "digits" else TEXTS
    plan = train.rehearse(data, quiet=True, **given)
    trainer, per_epoch = Trainer(plan, None, QUIET), plan.steps // given["epochs"]
    best_at(2 * per_epoch)
    trainer.fit(lambda step: step == 2 * per_epoch)
    there = trainer.finished().branches.state_dict()
    trained = train.train(data, out=tmp_path / "run", quiet=True, **given)
    assert trained.kept == Run.open(tmp_path / "run").config["kept"] == 2 * per_epoch < plan.steps
    held = model_of(tmp_path / "run")
    assert held.keys() <= there.keys() and all(torch.equal(held[k], there[k]) for k in held)
    last = train.train(data, out=tmp_path / "last", quiet=True, select="last", **given)
    assert last.kept is None and not same(model_of(tmp_path / "last"), held)
    assert [line["loss"] for line in lines_of(tmp_path / "last")[1:]] == [
        line["loss"] for line in lines_of(tmp_path / "run")[1:]
    ]



@pytest.mark.parametrize(("data", "given"), [("digits", GIVEN), ("texts", OF_TEXTS)])
def test_a_training_that_was_stopped_keeps_the_same_state(data, given, some, tmp_path, best_at, monkeypatch):
    data = some if data == "digits" else TEXTS
    plan = train.rehearse(data, quiet=True, **given)
    per_epoch, step = plan.steps // given["epochs"], Trainer.step
    best_at(2 * per_epoch)
    train.train(data, out=tmp_path / "whole", quiet=True, **given)
    for stop in (per_epoch, 2 * per_epoch, 3 * per_epoch + 1):  # before the best state, at it, and after

        def dies(self, *args, stop=stop):
            if self.position.step == stop:
                raise KeyboardInterrupt
            return step(self, *args)

        folder = tmp_path / str(stop)
        monkeypatch.setattr(Trainer, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            train.train(data, out=folder, quiet=True, checkpoint_every="1steps", **given)
        monkeypatch.setattr(Trainer, "step", step)
        train.train(data, resume=True, out=folder, quiet=True)
        assert (folder / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
        assert lines_of(folder) == lines_of(tmp_path / "whole")


def test_training_ends_where_nothing_is_gained_and_goes_on_where_more_epochs_are_asked_for(some, tmp_path, best_at, capsys):
    best_at(4)
    given = GIVEN | {"epochs": 10, "patience": 0.3}
    trained = train.train(some, out=tmp_path / "run", **given)
    assert trained.kept == 4 and trained.plan.steps == 20 and trained.metrics[-1]["step"] == 10
    assert "gain nothing after step 4: training ends at step 10 of at most 20" in capsys.readouterr().err
    assert train.train(some, out=tmp_path / "run", resume=True).metrics == trained.metrics
    assert "nothing is left to do" in capsys.readouterr().err
    more = train.train(some, out=tmp_path / "run", resume=True, epochs=12)
    assert more.metrics[-1]["step"] == 24 and more.kept == 4
    whole = train.train(some, out=tmp_path / "whole", **given | {"patience": 0.0, "epochs": 10})
    assert whole.metrics[-1]["step"] == 20


def test_patience_is_for_epochs_that_nobody_named(some):
    assert train.rehearse(some, quiet=True, **GIVEN).config.train.patience == 0
    open_ = {k: v for k, v in GIVEN.items() if k != "epochs"}
    assert train.rehearse(some, quiet=True, **open_).config.train.patience > 0
    assert train.rehearse(some, quiet=True, **GIVEN | {"patience": 0.5}).config.train.patience == 0.5


def test_the_start_may_be_the_model_and_that_is_said(some, tmp_path, best_at, capsys):
    best_at(0)
    with pytest.warns(WorseWarning, match="No state of this training was better than its start.*kNN.*Try fewer epochs"):
        trained = train.train(some, out=tmp_path / "run", quiet=True, **GIVEN)
    assert trained.kept == 0 and trained.verdict.before == trained.verdict.after == trained.metrics[0]["knn"]
    first, model = (t.model.branches.state_dict() for t in (untrained(some), trained))
    weights = [k for k in model if "running" not in k and "num_batches" not in k]
    assert weights and all(torch.equal(first[k], model[k]) for k in weights)
    assert any(model[k].any() for k in model if "running_mean" in k)  # as it was looked at
    card = (tmp_path / "run/README.md").read_text()
    assert "No state of this training was better than its start" in card


def untrained(data):
    """The networks of a training as they begin."""
    trainer = Trainer(train.rehearse(data, quiet=True, **GIVEN), None, QUIET)

    class Begun:
        model = trainer.learner

    return Begun


@pytest.mark.parametrize("more", [{"monitor_rows": 0}, {"average": 0.5}, {"select": "last"}, {"holdout": 0.0}])
def test_the_last_state_is_the_model_where_none_is_looked_for(more, some, tmp_path):
    trained = train.train(some, out=tmp_path / "run", quiet=True, **GIVEN | more)
    assert trained.kept is None and Run.open(tmp_path / "run").config["kept"] is None


def test_all_processes_have_the_best_state(some, tmp_path, best_at, monkeypatch):
    runs = trainings(some, tmp_path, labels=GIVEN | {"method": "supcon"})
    assert runs["labels"].path and Run.open(runs["labels"].path).config["kept"] is not None


def test_labels_of_nothing_leave_the_start(digits, tmp_path):
    """A network that learns them by heart is worse than before, though a kNN is at chance both before and after."""
    x, y = digits["train"]
    shuffled = np.random.default_rng(0).permutation(y)
    with pytest.warns(WorseWarning, match="No state of this training was better"), warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        trained = train.train((x, shuffled), quiet=True, **GIVEN | {"method": "supcon", "epochs": 12, "lr": 0.01})
    assert trained.kept == 0


def test_what_states_are_compared_by():
    start = {"step": 0, "knn": 0.1, "knn_rows": 400, "knn_chance": 0.1}
    assert verdict.worth("knn", start, start) == pytest.approx(0.1 + verdict.noise("knn", 0.1, 0.1, 400))
    assert verdict.worth("knn", {"step": 9, "knn": 0.12}, start) == 0.12  # chance, as it may find by trying often
    assert verdict.worth("knn", start | {"knn": 0.5}, start | {"knn": 0.5}) == 0.5
    assert verdict.worth("retrieval", {"step": 0, "retrieval": 0.3}, {}) == 0.3
    assert verdict.worth("knn", {"step": 9}, start) is None


def test_a_training_is_over_after_patience_or_a_multiple_of_what_the_best_state_took(some, best_at):
    def ends_after(step, looks):
        best_at(step)
        best = Best(train.rehearse(some, quiet=True, **GIVEN | {"epochs": 50, "patience": 0.3}))  # 100 steps
        for at in looks:
            best.look({"step": at, "knn": 0.5}, networks)
            if best.spent():
                return at
        return None

    networks = Trainer(train.rehearse(some, quiet=True, **GIVEN), None, QUIET).learner.branches
    every = range(0, 101, 5)
    assert ends_after(0, every) == 30 and ends_after(40, every) == 70 and ends_after(80, every) is None
    assert ends_after(5, every) == 20 and ends_after(5, (0, 5, 25, 30, 40)) == 40  # three looks at least


@pytest.mark.parametrize("more", [{"select": "last"}, {"average": 0.5}, {"monitor_rows": 0}])
def test_what_is_said_when_a_training_is_gone_on_with_counts(more, some, tmp_path, best_at, monkeypatch):
    best_at(2)
    killed(some, tmp_path / "run", 5, monkeypatch, quiet=True, checkpoint_every="1steps", **GIVEN)
    trained = train.train(some, out=tmp_path / "run", resume=True, quiet=True, **more)
    whole = train.train(some, out=tmp_path / "whole", quiet=True, **GIVEN | more)
    assert trained.kept is whole.kept is None
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_states_are_not_compared_where_the_first_ones_were_not(some, tmp_path, best_at, monkeypatch):
    best_at(2)
    killed(some, tmp_path / "run", 5, monkeypatch, quiet=True, checkpoint_every="1steps", **GIVEN | {"select": "last"})
    assert train.train(some, out=tmp_path / "run", resume=True, quiet=True, select="best").kept is None


@pytest.mark.parametrize(("change", "said"), [
    (lambda tensors, state: tensors.pop(next(k for k in tensors if k.startswith("best/"))), "its best state is without"),
    (lambda tensors, state: state["best"].update(step=99), "its best state is of step 99, and 5 are done"),
])  # fmt: skip
def test_a_damaged_best_state_is_refused(change, said, some, tmp_path, monkeypatch):
    run = tmp_path / "run"
    killed(some, run, 5, monkeypatch, quiet=True, checkpoint_every="1steps", **GIVEN)
    file = run / "checkpoint/state.safetensors"
    tensors, metadata = load_tensors(file)
    state = json.loads(metadata["state"])
    change(tensors, state)
    save_tensors(file, tensors, {"state": json.dumps(state)})
    with pytest.raises(RunError, match=said):
        train.train(some, out=run, resume=True, quiet=True)


def test_too_few_labelled_rows_tell_no_states_apart():
    start = {"step": 0, "knn": 1.0, "knn_rows": 4, "knn_chance": 0.5}
    assert verdict.worth("knn", start, start) is None


def test_a_state_without_labels_has_to_tell_rows_apart():
    start = {"step": 0, "heldout_agreement": 0.4, "heldout_rank": 100.0, "heldout_views": 0.5, "heldout_rows": 500}
    better = {"step": 9, "heldout_agreement": 0.6, "heldout_rank": 81.0, "heldout_views": 0.45}
    by = verdict.LABEL_FREE
    assert verdict.worth(by, start, start) == pytest.approx(4.0) and verdict.worth(by, better, start) == pytest.approx(5.4)
    assert verdict.worth(by, better | {"heldout_views": 0.39}, start) == -np.inf
    none = start | {"heldout_views": 0.002, "heldout_agreement": 0.0}  # views that share nothing
    assert verdict.worth(by, none, none) == 0 and verdict.worth(by, better | {"heldout_views": 0.004}, none) == -np.inf
    assert verdict.worth(by, {"step": 9}, start) is None


def test_of_pretrained_weights_agreement_alone_tells():
    """A higher rank at a lower agreement is worth more of random weights, and less of pretrained ones."""
    start = {"step": 0, "heldout_agreement": 0.60, "heldout_rank": 150.0, "heldout_views": 0.9, "heldout_rows": 500}
    row = start | {"step": 40, "heldout_agreement": 0.59, "heldout_rank": 170.0}
    by = verdict.LABEL_FREE, verdict.AGREED
    assert [verdict.worth(key, row, start) > verdict.worth(key, start, start) for key in by] == [True, False]
    assert verdict.worth(verdict.AGREED, row | {"heldout_views": 0.1, "heldout_agreement": 0.9}, start) == -np.inf
    text = {"tokens": "hashed:1000", "encoder": "text_cnn", "threads": 1, "holdout": 0.25, "batch_size": 24}
    assert Best(train.rehearse(TEXTS, quiet=True, **text)).key == verdict.LABEL_FREE


def test_labels_forbid_a_state_and_choose_none():
    by, start = verdict.LABEL_FREE, {"step": 0, "heldout_agreement": 0.4, "heldout_rank": 100.0, "heldout_views": 0.5,
                                     "heldout_rows": 400, "knn": 0.8, "knn_rows": 400}  # fmt: skip
    state = start | {"step": 9, "heldout_agreement": 0.6}
    error = (2 * 0.8 * 0.2 / 400) ** 0.5
    for knn, candidate in ((0.9, True), (0.8 - 0.8 * error, True), (0.8 - 1.2 * error, False)):
        assert verdict.worth(by, state | {"knn": knn}, start) == pytest.approx(6.0 if candidate else -np.inf)
    assert verdict.worth(by, state | {"knn": 0.1}, start | {"knn_rows": 19}) == pytest.approx(6.0)
    assert verdict.worth(by, {k: v for k, v in state.items() if k != "knn"}, start) == pytest.approx(6.0)


def test_the_start_is_what_an_evaluation_calls_untrained(some, tmp_path, best_at):
    """Whatever the views are, from which the statistics of a training are."""
    best_at(0)
    noise = {"views.add": "noise", "views.overrides.noise.sigma": 50.0, "views.overrides.noise.p": 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearfarWarning)
        kept = train.train(some, quiet=True, **GIVEN | noise)
    assert kept.kept == 0
    floor = floors.untrained(kept.model, kept.plan.table, kept.plan.train)
    x, y = (m.encode(some[0][:50]) for m in (kept.model, floor))
    np.testing.assert_allclose(x, y, atol=1e-4)
