"""A side that is taken from another run, and one that is locked: its bits stay, the others move."""

import numpy as np
import pytest
import torch

from nearfar.core import files
from nearfar.core.errors import UserError
from nearfar.models import loading
from nearfar.models.branches import Branch
from nearfar.training import distributed, train
from nearfar.training.trainer import Trainer
from tests.helpers.colours import pictures
from tests.helpers.two import trainings

PAIR = ("image", "caption")
QUICK = {"batch_size": 32, "holdout": 0.0, "monitor_rows": 0, "threads": 1, "precision": "fp32"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A run of pictures alone."""
    x, _, _ = pictures(64, seed=9)
    out = tmp_path_factory.mktemp("photos") / "run"
    train.train(x, method="simclr", epochs=2, out=out, **QUICK, encoder="small_cnn",
              encoder_options={"widths": [8, 16]}, projector={"hidden": 16, "out": 8})  # fmt: skip
    return out


@pytest.fixture(scope="module")
def data():
    x, _, captions = pictures(64)
    return {"image": x, "caption": captions}


def knobs(photos, **given):
    small = {"encoder_options": {"caption": {"dim": 8}}, "projector": {"out": 32}}
    lock = {"column": PAIR, "init_from": f"image={photos}", "lock": ("image",)}
    return QUICK | small | lock | {"epochs": 2} | given


def lit(data, photos, out=None, **given):
    return train.train(data, out=out, **knobs(photos, **given))


def weights_of(path):
    return files.load_tensors(path / "model.safetensors")[0]


def check(path, photos, moved=("caption.encoder.", "image.projector.", "caption.projector.")):
    """The pictures' encoder is bit for bit that of `photos`; everything else is not what it began as."""
    (theirs,) = {k.partition(".")[0] for k in weights_of(photos) if "encoder" in k}
    before, after = weights_of(photos), weights_of(path)
    kept = [k for k in after if k.startswith("image.encoder.")]
    assert any(k.endswith("running_mean") for k in kept)
    for k in kept:
        assert torch.equal(after[k], before[k.replace("image", theirs, 1)]), k
    fresh = loading.load(path).untrained()
    fresh = fresh.tensors()
    for start in moved:
        assert any(not torch.equal(after[k], fresh[k]) for k in after if k.startswith(start)), start


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"method": "siglip"},
        {"chunk": 8},
        {"average": 0.5},
        {"name": "sgd", "weight_decay": 0.1},
        {"name": "lars"},
    ],
    ids=str,
)
def test_a_locked_encoder_stays_as_it_is_to_the_bit(data, photos, tmp_path, given):
    trained = lit(data, photos, out=tmp_path / "run", **given)
    check(tmp_path / "run", photos)
    notes = "\n".join(trained.plan.notes)
    assert f"the encoder of 'image' is that of {photos}" in notes
    assert "Locked: the encoder of 'image' stays as it is." in notes
    assert trained.plan.config.model.encoder.startswith("image=small_cnn,")  # nobody named it: it is the run's
    x, _, _ = pictures(8, seed=3)
    np.testing.assert_array_equal(
        trained.model.encode(x, column="image", layer="features"), loading.load(photos).encode(x, layer="features")
    )


def test_the_text_side_learns_to_meet_it(data, photos, tmp_path):
    trained = lit(data, photos, epochs=25, lr=0.01)
    x, colour, _ = pictures(60, seed=4)
    made = trained.model.zero_shot(["red", "green", "blue"], "a {} picture")
    assert (made.predict(trained.model.encode(x, column="image")).labels == colour).mean() > 0.8


def test_resumes_to_the_same_bits(data, photos, tmp_path, monkeypatch):
    lit(data, photos, out=tmp_path / "whole", epochs=3)
    step = Trainer.step

    def dies_at_four(self, *args):
        if self.position.step == 4:
            raise RuntimeError("power cut")
        return step(self, *args)

    monkeypatch.setattr(Trainer, "step", dies_at_four)
    with pytest.raises(RuntimeError, match="power cut"):
        lit(data, photos, out=tmp_path / "broken", epochs=3, checkpoint_every="3steps")
    monkeypatch.setattr(Trainer, "step", step)
    train.train(data, out=tmp_path / "broken", resume=True)
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "broken/model.safetensors").read_bytes()
    check(tmp_path / "broken", photos)


def test_two_processes(data, photos, tmp_path):
    given = {"epochs": 1, "log_every": 1}
    one = lit(data, photos, **given)
    runs = {wrap: knobs(photos, wrap=wrap, **given) for wrap in ("ddp", "shard")}
    for two in trainings(data, tmp_path, **runs).values():
        check(two.path, photos)
        np.testing.assert_allclose([m["loss"] for m in two.metrics], [m["loss"] for m in one.metrics], rtol=1e-4)


def test_buffers_of_a_locked_encoder_are_not_averaged_between_processes(monkeypatch):
    world = distributed.World()
    world.size = 3
    monkeypatch.setattr(distributed, "world", lambda: world)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda b: b.mul_(2))  # 2/3 of it is left
    branches = {name: Branch(torch.nn.BatchNorm1d(4), None) for name in ("kept", "free")}
    branches["kept"].lock()
    distributed.average_buffers(torch.nn.ModuleDict(branches))
    assert branches["kept"].encoder.running_var.tolist() == [1.0] * 4
    assert branches["free"].encoder.running_var.tolist() == pytest.approx([2 / 3] * 4)


def test_evaluation_mode_inside_a_training_network():
    encoder = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5))
    branch = Branch(encoder, torch.nn.Linear(4, 2))
    branch.lock()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    branch.train()
    x = torch.randn(8, 4)
    f, z = branch(x)
    assert torch.equal(f, branch(x)[0])  # neither dropout nor the batch's statistics
    assert not f.requires_grad
    assert z.requires_grad
    assert branch.projector.training
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())


def test_started_without_a_lock_it_learns(data, photos, tmp_path):
    started = lit(data, photos, lock=(), epochs=0, out=tmp_path / "started")
    check(tmp_path / "started", photos, moved=())
    assert (
        started.model.columns["image"][1] == loading.load(photos).columns[next(iter(loading.load(photos).columns))][1]
    )
    lit(data, photos, lock=(), out=tmp_path / "run")
    with pytest.raises(AssertionError):
        check(tmp_path / "run", photos)


def test_a_run_of_pairs_starts_the_columns_of_its_names(data, photos, tmp_path):
    lit(data, photos, out=tmp_path / "first")
    other = QUICK | {"seed": 7, "epochs": 0, "projector": {"out": 32}}  # nobody names the encoders
    again = train.train(data, column=PAIR, init_from=str(tmp_path / "first"), **other)
    np.testing.assert_array_equal(
        again.model.encode(data["caption"][:5], column="caption"),
        loading.load(tmp_path / "first").encode(data["caption"][:5], column="caption"),
    )
    swapped = {"photo": data["image"], "caption": data["caption"]}
    both = f"photo={photos}, caption={tmp_path / 'first'}"
    mixed = train.train(swapped, column=("photo", "caption"), init_from=both, epochs=0, **QUICK)
    np.testing.assert_array_equal(
        mixed.model.encode(data["image"][:5], column="photo", layer="features"),
        loading.load(photos).encode(data["image"][:5]),
    )


def test_texts_are_read_with_the_tokeniser_of_the_run(tmp_path):
    _, _, captions = pictures(64)
    train.train(captions, out=tmp_path / "texts", epochs=1, tokens="bpe:300", fixed="none", **QUICK,
              encoder_options={"dim": 8})  # fmt: skip
    x, _, other = pictures(64, seed=1)
    data = {"image": x, "caption": [f"{c}, all other words" for c in other]}
    given = QUICK | {"init_from": f"caption={tmp_path / 'texts'}", "lock": ("caption",), "epochs": 1,
                     "encoder_options": {"image": {"widths": [8, 16]}}}  # fmt: skip
    trained = train.train(data, column=PAIR, out=tmp_path / "run", **given)
    theirs = loading.load(tmp_path / "texts")
    assert trained.model.columns["caption"][1] == theirs.columns["text"][1]
    np.testing.assert_array_equal(
        trained.model.encode(other, column="caption", layer="features"), theirs.encode(other, layer="features")
    )
    train.train(data, out=tmp_path / "run", resume=True)  # reads the same again
    assert loading.load(tmp_path / "run").columns["caption"][1] == theirs.columns["text"][1]


def test_a_twin_starts_there_too(digits, tiny, tmp_path):
    from nearfar.core.config import Config
    from nearfar.core.console import QUIET
    from nearfar.training.plan.prepare import prepare

    train.train(digits, out=tmp_path / "first", **tiny)
    config = Config()
    for k, v in {**tiny, "method": "moco_v2", "init_from": str(tmp_path / "first")}.items():
        config = config.set(f"method.{k}" if k == "projector" else k, v)
    learner = Trainer(prepare(config, digits, console=QUIET), None, QUIET).learner
    for a, b in zip(learner.branches.parameters(), learner.twin.network.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lock": ("image", "caption")}, "all columns are locked"),
        ({"lock": ("imgae",)}, "no column named 'imgae'.*'image'"),
        ({"init_from": "nowhere"}, "not a run folder"),
        ({"init_from": "imagee={photos}"}, "no column named 'imagee'"),
        ({"init_from": "caption={photos}", "lock": ()}, "holds text, and image is expected"),
        ({"encoder": "image=pooled_cnn"}, "does not fit"),
    ],
)
def test_mistakes_are_sentences(data, photos, given, said):
    given = {k: v.replace("{photos}", str(photos)) if isinstance(v, str) else v for k, v in given.items()}
    with pytest.raises(UserError, match=said):
        lit(data, photos, **given)


def test_columns_that_share_an_encoder_cannot_be_locked_apart(tmp_path):
    _, _, captions = pictures(64)
    pair = {"en": captions, "de": [c.replace("picture", "bild") for c in captions]}
    with pytest.raises(UserError, match=r"have one encoder.*model\.share=false"):
        train.train(pair, column=("en", "de"), lock=("en",), epochs=1, **QUICK)
    trained = train.train(pair, column=("en", "de"), lock=("en",), share=False, epochs=1, **QUICK)
    assert any("as it is built" in n for n in trained.plan.notes)
    with pytest.raises(UserError, match="all columns are locked"):
        train.train(captions, lock=("text",), epochs=1, **QUICK)


def test_weights_are_kept_of_what_had_learnt_before_only(data, photos):
    """The pictures' encoder ends between that of the run and where training led; the texts' began at random."""
    ends, kept = (lit(data, photos, lock=(), **k).model.branches for k in ({}, {"interpolate": 0.5}))
    begun = loading.load(photos).branches
    (photo,) = begun.values()
    first = dict(photo.encoder.named_parameters())
    for column in PAIR:
        for name, end in ends[column].named_parameters():
            part = name.removeprefix("encoder.")
            want = end.lerp(first[part], 0.5) if column == "image" and part != name else end
            torch.testing.assert_close(dict(kept[column].named_parameters())[name], want, atol=1e-7, rtol=1e-6)
