"""Every method of the registry: it trains, its record round-trips, it resumes bit for bit, two passes equal one."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nearfar.core import devices
from nearfar.core.config import Config, knobs
from nearfar.core.console import QUIET
from nearfar.core.registry import METHODS
from nearfar.methods import record
from nearfar.methods.embeddings import View, ViewBatch
from nearfar.models import loading
from nearfar.objectives.kernel.relation import Relation
from nearfar.training import train as training
from nearfar.training.distributed import World
from nearfar.training.gradient_cache import backward
from nearfar.training.job import with_knobs
from nearfar.training.learner import Learner
from nearfar.training.plan.prepare import prepare
from nearfar.training.trainer import Trainer
from tests.conftest import TINY, lines_of
from tests.helpers import histories
from tests.helpers.methods import OF_HISTORIES, OF_TEXTS, TRAINED, as_series, of_time, resolved, small, taught, teacher
from tests.training.test_text_runs import sentences

ALL = TRAINED + OF_TEXTS
CHUNKED = [m for m in ALL if not of_time(m)]  # gradients of steps are not kept by chunks


def data_for(name, digits):
    """What a method learns from, and the knobs of a training of a second."""
    takes = METHODS.get(name).RECORD.takes
    given = {k: v for k, v in TINY.items() if k != "projector"} | small(name) | {"method": name}
    if takes == "rows":
        return digits, as_series(name, given)
    if takes == "histories":
        given = {"method": name, "batch_size": 16, "epochs": 4, "lr": 0.02, "threads": 1, "precision": "fp32", "leave_out": "none"}
        encoder = "history" if METHODS.get(name).RECORD.steps else "lightgcn"
        return histories.planted(), given | {"user": "user_id", "column": ("item_id",), "encoder": encoder,
                                             "encoder_options": {"dim": 16}}  # fmt: skip
    en, de, who = sentences(160)
    given |= {"batch_size": 32, "encoder_options": {"dim": 16}, "monitor_rows": 0, "epochs": 3, "fixed": "none"}
    if takes == "texts":
        return {"en": en}, given
    data, given["column"] = {"en": en, "de": de}, ("en", "de")
    return (data | {"score": who % 5.0}, given | {"score": "score"}) if takes == "scored pairs" else (data, given)


@pytest.fixture(scope="module", params=ALL + OF_HISTORIES)
def whole(request, digits, tmp_path_factory):
    """A training of a second by each method, its data and its knobs."""
    data, given = data_for(request.param, digits)
    given |= {"checkpoint_every": "5steps", "log_every": 2, "keep_optimizer": True}
    return training.train(data, out=tmp_path_factory.mktemp(request.param) / "whole", **given), data, given


def test_a_bare_word_means_one_knob():
    """What may be said without its section is either the method's or another's, but for those that override it."""
    of_methods = {f.name for f in dataclasses.fields(record.Method)}
    assert of_methods & {f.name for _, f, _ in knobs()} == {"name", "lr", "weight_decay", "positives"}


@pytest.mark.parametrize("name", [*METHODS])
def test_declares_itself(name):
    r = METHODS.get(name).RECORD
    assert r.name == name
    assert r.idea
    assert r.paper is not None or name in ("supervised", "random")
    assert r.cost > 0 or not r.trains
    for figure in r.published:
        assert 0 < figure.value < 1
        assert figure.setting


@pytest.mark.parametrize("name", [*METHODS])
def test_record_round_trips_through_json(name):
    r = record.resolve(name)
    stored = json.loads(json.dumps(record.as_dict(r)))
    assert record.resolve(stored.pop("name"), stored) == r


def test_trains_and_encodes(whole):
    trained, data, _ = whole
    losses = [m["loss"] for m in trained.metrics]
    assert np.isfinite(losses).all()
    assert Config.from_dict(trained.plan.config.as_dict()) == trained.plan.config
    loaded = loading.load(trained.path, device="cpu")
    columns = {None: data["test"][0]} if "test" in data else {c: data[c] for c in loaded.columns}
    columns = {None: [[(str(i), 4.0, None) for i in own] for own in ((0, 3, 5), (7, 21, 1), (2,))]} if "user_id" in data else columns
    for column, cells in columns.items():
        z = loaded.encode(cells, column=column)
        assert z.shape == (len(cells), 16)
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(z, trained.model.encode(cells, column=column))


class Killed(BaseException):
    pass


def test_resumes_bit_for_bit(whole, tmp_path, monkeypatch):
    trained, data, given = whole
    step = Trainer.step

    def dies_at_eight(self, *args):
        if self.position.step == 8:
            raise Killed
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", dies_at_eight)
    with pytest.raises(Killed):
        training.train(data, out=tmp_path / "broken", **given)
    monkeypatch.setattr(Trainer, "step", step)
    training.train(data, out=tmp_path / "broken", resume=True)
    runs = (trained.path, tmp_path / "broken")
    for file in ("model.safetensors", "checkpoint/state.safetensors"):
        a, b = (load_file(run / file) for run in runs)
        assert a.keys() == b.keys()
        for key in a:
            assert torch.equal(a[key], b[key]), key
    a, b = ((run / "model.safetensors").read_bytes() for run in runs)
    assert a == b
    assert lines_of(runs[1]) == lines_of(runs[0])


class Plain(torch.nn.Module):
    """An encoder without batch norm."""

    out_features = 12

    def __init__(self, dropout=0.0):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 12), torch.nn.Dropout(dropout))

    def forward(self, x):
        return self.layers(x).tanh()


def learner_and_batch(name, bn_groups=1, norm=False, dropout=0.0, rows=16, dtype=torch.float64):
    r = resolved(name, rows, small(name, 8, 6, norm) | {"bn_groups": bn_groups, "shuffle": False})
    torch.manual_seed(0)
    learner = Learner(r, {"x": Plain(dropout)}, World()).to(dtype).train()
    number = torch.arange(rows)
    roles = ["global"] * r.count + ["negative"] * r.hard_negatives
    x = [torch.randn(rows, 3, 4, 4, dtype=torch.float64).to(dtype) for _ in roles]
    views = tuple(View(v, "x", role, number.roll(3) if role == "negative" else None) for v, role in zip(x, roles))
    relation = Relation(
        number // 2 if r.positives == "labels" else number, ignore=number if r.hard_negatives else None,
        score=number % 5 if r.takes == "scored pairs" else None,
    )  # fmt: skip
    said = taught(r, rows, learner.dim)
    return learner, ViewBatch(views, relation, number, said if said is None else said.to(dtype))


@pytest.mark.parametrize("name", CHUNKED)
@pytest.mark.parametrize("norm", [False, True])
def test_two_passes_equal_one(name, norm):
    """Without batch norm in any case; with it, where one pass takes its statistics from the same chunks."""
    learner, batch = learner_and_batch(name, bn_groups=4, norm=norm)
    loss, _, _ = learner(batch)
    loss.backward()
    one = {n: p.grad.clone() for n, p in learner.named_parameters() if p.grad is not None}
    buffers = {n: b.clone() for n, b in learner.branches.named_buffers()}
    other, _ = learner_and_batch(name, bn_groups=1, norm=norm)
    again, _, _ = backward(other, batch, chunk=4, seed=0)
    assert float(again) == pytest.approx(float(loss.detach()), abs=1e-10)
    for n, p in other.named_parameters():
        if p.requires_grad:
            assert torch.allclose(p.grad, one[n], atol=1e-10), n
    for n, b in other.branches.named_buffers():
        if learner.record.bn == "per view" and n.endswith(("mean", "var")):
            continue  # the same statistics enter the running ones in another order: by chunk, not by view
        assert torch.allclose(b.double(), buffers[n].double(), atol=1e-10), n


def gradient(learner):
    """All gradients as one vector."""
    return torch.cat([p.grad.double().flatten() for p in learner.parameters() if p.grad is not None])


U = 2.0**-9  # bfloat16 rounds to nearest with a significand of 8 bits


@pytest.mark.parametrize("name", CHUNKED)
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("precision", "off", "shift"), [("fp32", 1e-5, 1e-6), ("bf16", 8 * U, 2 * U)])
def test_two_passes_equal_one_in_every_precision(name, norm, precision, off, shift):
    """As above in what training computes in.

    In bfloat16 the chunks' numbers differ from the whole's by roundings: about four on the way to the loss and four
    back (two layers of the encoder and heads each, in one and the other), and those of a gradient that is summed in
    chunks. They are as often up as down, so that they do not make the gradient longer or shorter.
    """

    def cast():
        return devices.autocast(torch.device("cpu"), precision)

    learner, batch = learner_and_batch(name, 4, norm, dtype=torch.float32)
    with cast():
        loss, _, _ = learner(batch)
    loss.backward()
    one = gradient(learner)
    other, _ = learner_and_batch(name, 1, norm, dtype=torch.float32)
    again, _, e = backward(other, batch, 4, 0, cast)
    two = gradient(other)
    assert float(again) == pytest.approx(float(loss.detach()), rel=off)
    assert float((two - one).norm() / one.norm()) < off
    assert abs(float(two @ one / (one @ one)) - 1) < shift
    # The objective's own gradient is not of bfloat16 but for the type of the embeddings that it is rounded to.
    sides = [
        tuple(None if z is None else z.detach().requires_grad_() for z in side) for side in (e.online, e.predicted)
    ]
    if other.predictor is None:
        sides[1] = sides[0]
    with cast():
        loss, _ = other.loss(dataclasses.replace(e, online=sides[0], predicted=sides[1]), batch)
    loss.backward()
    for mine, theirs in zip((*e.online, *e.predicted), (*sides[0], *sides[1]), strict=True):
        assert mine is None or mine.grad is None or torch.equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("name", CHUNKED)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_chunk_trains_as_none(name, precision, digits):
    """Two steps of the loop; the whole batch as one chunk gives the same bits as no chunks."""
    few, given = data_for(name, {"train": tuple(a[:64] for a in digits["train"])})
    given |= {"precision": precision, "batch_size": 32, "bn_groups": 1} | ({"size": 16} if "train" in few else {})
    given = as_series(name, given)
    trained = []
    for chunk in (None, 32):
        trainer = Trainer(prepare(with_knobs(Config(), few, given | {"chunk": chunk}), few), None, QUIET)
        trainer._look_for_positives()
        trainer.learner.train()
        losses = [float(trainer.step(trainer.sampler.batch(0, i), 0, i)[0]) for i in range(2)]
        trained.append((losses, trainer.learner.state_dict()))
    (losses, whole), (again, chunked) = trained
    assert np.isfinite(losses).all()
    assert losses == again
    for key, tensor in whole.items():
        assert torch.equal(tensor, chunked[key]), key


def test_two_passes_replay_dropout():
    learner, batch = learner_and_batch("simclr", dropout=0.5)
    backward(learner, batch, chunk=4, seed=3)
    first = {n: p.grad.clone() for n, p in learner.named_parameters() if p.grad is not None}
    # The gradient is that of the loss whose dropout the first pass drew: check one direction by finite differences.
    weight = learner.branches["x"].encoder.layers[1].weight
    direction = torch.randn_like(weight)

    def loss_at(step):
        with torch.no_grad():
            weight.add_(step * direction)
        value, _, _ = backward(learner, batch, chunk=4, seed=3)
        with torch.no_grad():
            weight.sub_(step * direction)
        return float(value)

    slope = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
    assert slope == pytest.approx(float((first["branches.x.encoder.layers.1.weight"] * direction).sum()), rel=1e-5)


def test_chunks_train_like_the_whole_batch(digits, tiny, tmp_path):
    whole = training.train(digits, **tiny | {"method": "simclr", "bn_groups": 4})
    parts = training.train(digits, **tiny | {"method": "simclr", "chunk": 16})
    a, b = whole.model.encode(digits["test"][0][:20]), parts.model.encode(digits["test"][0][:20])
    np.testing.assert_allclose(a, b, atol=2e-3)


WEAK = {"affine": {"degrees": 15, "scale": [0.8, 1.2], "shear": 10, "shift": 0.1}}  # few steps: weak views
HEADS = {"projector": {"hidden": 128, "out": 64}}
BOTH = {"projector": {"hidden": 128, "out": 128}, "predictor": {"hidden": 256, "out": 128}}
WIDE = {"encoder_options": {"widths": [16, 32, 64]}}
LEARNING = {  # what differs from 6 epochs of the method's own numbers; without negatives it takes longer
    "barlow_twins": {"projector": {"hidden": 256, "out": 128}, "epochs": 10},
    "byol": BOTH | {"epochs": 14},
    "cpc": {"epochs": 8, "size": 16},  # its grid of views needs more than the digits' own 8 × 8
    "dino": {"projector": {"hidden": 128, "bottleneck": 64, "out": 64}, "count": 4, "epochs": 8},
    "emp_ssl": {"count": 4, "epochs": 4},
    "moco_v1": {"epochs": 5, "size": 12},
    "moco_v2": WIDE | {"epochs": 14, "size": 12},
    "moco_v3": BOTH | {"epochs": 8},
    "nnclr": BOTH | {"epochs": 15},
    "pcl": WIDE | {"epochs": 20, "size": 12, "parts": {"memory": {"size": 256}, "clusters": {"size": 20}}},
    "ressl": {"epochs": 20},
    "t_loss": {"epochs": 20},
    "simsiam": WIDE | BOTH | {"epochs": 20},
    "swav": HEADS | {"parts": {"prototypes": {"size": 32}}, "count": 4, "epochs": 12},
    "vicreg": HEADS | {"epochs": 15},
    "distil": {"epochs": 15, "lr": 0.01},
    "w_mse": {"projector": {"hidden": 128, "out": 16}, "epochs": 12},
}  # fmt: skip


@pytest.mark.parametrize("name", [m for m in TRAINED if m != "tnc"])  # it tells times apart: tests/methods/test_tnc.py
def test_learns_digits(name, digits, tmp_path):
    """A few seconds of training beat the untrained encoder by a margin; a warning of a collapse would be an error."""
    from nearfar.evaluation.floors import untrained
    from nearfar.vectors.knn import hits

    r = METHODS.get(name).RECORD
    given = {"epochs": 6, "batch_size": 32, "encoder_options": {"widths": [8, 16, 32]}, "holdout": 0.0, "threads": 1}
    given |= {"lr": 0.003, "precision": "fp32", "log_every": 2, "size": 8} | (
        {"recipe": "cpc"} if name == "cpc" else {"recipe": "digits", "overrides": WEAK}
    )
    given |= {"parts": {"memory": {"size": 256}}, "bn_groups": min(2, r.bn_groups)} if "memory" in r.parts else {}
    given |= {"twin": {"momentum": 0.95, "final": 1.0}} if r.twin else {}  # one that lags needs hundreds of steps
    given |= LEARNING.get(name, {}) | ({"positives": f"teacher:{teacher()}"} if r.positives == "teacher" else {})
    given = as_series(name, given)
    trained = training.train(digits, method=name, **given)
    table, columns = trained.plan.table, trained.plan.table.first
    train, test = table.splits["train"], table.splits["test"]
    accuracy = []
    for model in (trained.model, untrained(trained.model, table, train)):
        x = model.features(columns, np.arange(len(table)))
        galleries = train[:400].reshape(5, 80)  # few labels, five times
        y = table.labels
        accuracy.append(np.mean([hits(x[some], y[some], x[test], y[test], 10, 1, None) for some in galleries]))
    # Statistics of batch norm alone, with weights that never move, give a narrow encoder 0.03 and a wide one nothing.
    assert accuracy[0] > accuracy[1] + (0.03 if given["encoder_options"] == WIDE["encoder_options"] else 0.06)


@pytest.mark.parametrize("name", OF_TEXTS)
def test_learns_texts(name, digits):
    """What a few seconds teach of sentences that were not trained on, beside the untrained encoder."""
    _, given = data_for(name, digits)
    en, de, who = sentences(500)
    data = {"en": en} | ({"de": de} if "column" in given else {})
    if "score" in given:  # each with another English one, that is about the same animal or not
        data |= {"de": en[1:] + en[:1], "score": (who == np.roll(who, -1)).astype(float)}
    trained = training.train(data, **given | {"epochs": 20, "lr": 0.005, "encoder_options": {"dim": 32}})
    en, de, who = sentences(200, seed=1)
    same, others = who[:, None] == who, ~np.eye(200, dtype=bool)

    def right(model):
        """Translations that are nearest of all; or pairs of sentences in the right order, of one animal before others."""
        x = model.encode(en, column="en")
        if METHODS.get(name).RECORD.takes == "pairs":
            return ((x @ model.encode(de, column="de").T).argmax(1) == np.arange(200)).mean()
        near = x @ x.T
        return (near[same & others][:, None] > near[~same][None, ::50]).mean()

    # Without pairs only words that stand together tell animals apart, which says little more than the words themselves.
    assert right(trained.model) > right(trained.model.untrained()) + (0.03 if name == "simcse" else 0.1)


def test_supcon_needs_labels_and_keeps_unlabelled_rows_apart(digits, tiny):
    from nearfar.core.errors import DataError

    with pytest.raises(DataError, match="--label"):
        training.train(digits["train"][0], **tiny | {"method": "supcon"})
    images, labels = digits["train"]
    some = labels.astype(float).copy()
    some[::2] = np.nan
    plan = prepare(Config().set("model.method", "supcon").set("data.holdout", 0.0), (images, some), console=QUIET)
    assert len(set(plan.groups[::2])) == 200
    assert plan.groups[::2].min() >= 10
    assert set(plan.groups[1::2]) <= set(range(10))


def test_labels_of_test_rows_never_reach_training(digits):
    images, labels = digits["train"]
    data = {"train": (images, labels), "test": digits["test"]}
    plan = prepare(Config().set("model.method", "supcon"), data, console=QUIET)
    rows = plan.table.splits["test"]
    assert plan.groups[rows].min() >= 10
