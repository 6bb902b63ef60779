"""Pictures of any number of channels, 16 bits and floats: stored form, statistics, what the encoder sees."""

import numpy as np
import pytest
import torch
from PIL import Image

from nearfar.core.errors import BadCell, DataError
from nearfar.data.read import read
from nearfar.modalities.image import bands, image
from nearfar.models import loading
from nearfar.training import train

FAST = {
    "epochs": 1, "batch_size": 8, "encoder_options": {"widths": [8, 16]}, "projector": {"hidden": 16, "out": 8},
    "precision": "fp32", "threads": 1, "size": 16, "holdout": 0.0, "device": "cpu",
}  # fmt: skip


def numbers(shape, dtype, seed=0, low=100, high=4000):
    draw = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return (draw.normal(-3, 20, shape) * (1 + np.arange(shape[-1]))).astype(dtype)
    return draw.integers(low, min(high, np.iinfo(dtype).max), shape).astype(dtype)


@pytest.mark.parametrize(("channels", "dtype", "stored"), [
    (2, np.uint8, "uint8"), (4, np.uint8, "uint8"), (10, np.uint8, "uint8"), (1, np.uint16, "uint16"),
    (4, np.uint16, "uint16"), (10, np.uint16, "uint16"), (1, np.float32, "float32"), (3, np.float64, "float32"),
    (10, np.float32, "float32"), (2, np.int16, "uint16"),
])  # fmt: skip
def test_stored_form_and_statistics(channels, dtype, stored):
    x = numbers((24, 16, 16, channels), dtype)
    column = read(x).first
    spec = column.spec
    assert (spec["channels"], spec["dtype"], spec["size"]) == (channels, stored, 16)
    assert column.values.dtype == stored
    assert np.array_equal(np.asarray(column.values), x.transpose(0, 3, 1, 2).astype(stored))
    np.testing.assert_allclose(spec["mean"], x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(spec["spread"], x.std((0, 1, 2)), rtol=1e-5)
    values, geometry = column.take(np.arange(24))
    seen = image.neutral(values, geometry, spec)
    assert seen.dtype == torch.float32
    np.testing.assert_allclose(seen.mean((0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(seen.std((0, 2, 3)), 1, atol=1e-3)
    floor = image.raw_features(np.asarray(column.values), spec)
    assert floor.shape == (24, channels * 256)
    assert abs(float(floor.mean())) < 1e-2
    thumbnail = image.thumbnail(np.asarray(column.values[0]), None, spec)
    assert thumbnail.mode == ("L" if channels == 1 else "RGB")
    assert str(channels) in image.describe(spec)


def test_channels_first_and_last_are_the_same():
    x = numbers((12, 20, 20, 4), np.uint16)
    last, first = read(x, size=16), read(np.moveaxis(x, 3, 1), size=16)
    assert last.fingerprint == first.fingerprint
    same = read(np.moveaxis(numbers((12, 16, 16, 4), np.uint16), 3, 1))
    assert np.array_equal(same.first.values, np.moveaxis(numbers((12, 16, 16, 4), np.uint16), 3, 1))


def test_resizing_keeps_numbers():
    flat = np.full((6, 40, 30, 5), 1234, np.uint16)
    flat[..., 3] = 7
    values = np.asarray(read(flat, size=16).first.values)
    assert values.shape == (6, 5, 16, 16)
    assert (values[:, 3] == 7).all()
    assert (values[:, :3] == 1234).all()
    spec = read(flat, size=16).first.spec
    assert spec["spread"] == [1.0] * 5  # constant channels are not blown up
    seen = image.neutral(torch.from_numpy(values), None, spec)
    assert torch.isfinite(seen).all()


@pytest.mark.parametrize(("x", "spec"), [
    (np.zeros((4, 16, 16), np.uint8), {}), (np.random.rand(4, 16, 16, 3), {}), (np.ones((4, 16, 16), bool), {}),
    (np.random.rand(4, 16, 16) * 255, {"top": 255}), (np.full((4, 16, 16), 60000, np.uint16), {"top": 65535}),
    (np.full((4, 16, 16), 200, np.uint16), {"top": 255}),
])  # fmt: skip
def test_plain_pictures_stay_plain(x, spec):
    found = read(x).first
    assert found.values.dtype == np.uint8
    assert {k: v for k, v in found.spec.items() if k not in ("size", "channels")} == spec


def test_one_scale_for_all_pictures():
    x = np.full((4, 16, 16), 60000, np.uint16)
    x[1] = 100  # dark, and not to be taken for a picture of 8 bits
    assert int(read(x).first.values[1].max()) == 0
    x = np.full((4, 16, 16), 200.0)
    x[1] = 0.9
    assert int(read(x).first.values[1].max()) == 1


def test_depth_is_the_users_choice():
    x = np.random.default_rng(0).integers(0, 65536, (6, 16, 16), dtype=np.uint16)
    assert read(x).first.values.dtype == np.uint8
    assert read(x, depth="full").first.values.dtype == np.uint16
    dim = x // 64
    assert read(dim).first.values.dtype == np.uint16
    assert read(dim, depth="8").first.spec == {"size": 16, "channels": 1, "top": 65535}


def test_npy_and_npz(tmp_path):
    x, y = numbers((30, 20, 20, 6), np.uint16), np.arange(30) % 3
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    (tmp_path / "set").mkdir()
    for name, part in (("train", slice(0, 20)), ("test", slice(20, 30))):
        np.save(tmp_path / "set" / f"x_{name}.npy", x[part])
        np.save(tmp_path / "set" / f"y_{name}.npy", y[part])
    contents = {tuple(sorted(read(tmp_path / n, size=16).hashes)) for n in ("x.npy", "x.npz", "set")}
    assert len(contents) == 1
    table = read(tmp_path / "set")
    assert {k: len(v) for k, v in table.splits.items()} == {"train": 20, "test": 10}
    assert table.labels[table.splits["train"]].tolist() == y[:20].tolist()
    assert isinstance(table.first.values, np.memmap)
    np.save(tmp_path / "bad.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(Exception, match="could run code"):
        read(tmp_path / "bad.npy")


def test_tiff(tmp_path):
    draw = np.random.default_rng(0)
    for i in range(6):
        pages = [Image.fromarray(draw.integers(0, 4000, (20, 24), dtype=np.uint16)) for _ in range(4)]
        (tmp_path / "pages").mkdir(exist_ok=True)
        pages[0].save(tmp_path / "pages" / f"{i}.tif", save_all=True, append_images=pages[1:])
        (tmp_path / "float").mkdir(exist_ok=True)
        height = draw.normal(500, 200, (20, 24)).astype(np.float32)
        Image.fromarray(height).save(tmp_path / "float" / f"{i}.tif")
        (tmp_path / "four").mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (20, 24, 4), dtype=np.uint8), "RGBX").save(
            tmp_path / "four" / f"{i}.tif", tiffinfo={338: 0}
        )
        (tmp_path / "scan").mkdir(exist_ok=True)
        sheets = [Image.new("L", (24, 20), v) for v in (10, 200)]
        sheets[0].save(tmp_path / "scan" / f"{i}.tif", save_all=True, append_images=sheets[1:])
    assert (read(tmp_path / "pages").first.spec["channels"], read(tmp_path / "pages").first.spec["dtype"]) == (
        4,
        "uint16",
    )
    spec = read(tmp_path / "float").first.spec
    assert (spec["channels"], spec["dtype"]) == (1, "float32")
    assert abs(spec["mean"][0] - 500) < 30  # not cut at 255
    with pytest.raises(DataError, match="has 4 bands, of which 3 can be read; save it as an npy array"):
        read(tmp_path / "four")
    scan = read(tmp_path / "scan").first
    assert scan.spec == {"size": 20, "channels": 1}
    assert int(scan.values.max()) == 10  # of a document the first sheet


def test_wrong_cells_are_named():
    x = [numbers((16, 16, 4), np.uint16, i) for i in range(40)]
    x[3] = x[3][..., :2]
    x[5] = x[5].astype(np.float32) * np.nan
    x[9] = np.zeros((3, 3, 3, 3), np.uint16)
    x[11] = np.zeros((200, 200, 200), np.uint16)
    table = read(x, max_bad=0.3)
    said = {s.name: s.reason for s in table.skipped}
    assert "has 2 channels, expected 4" in said["row 3"]
    assert "not finite" in said["row 5"]
    assert "not a picture" in said["row 9"]
    assert "at most 64 channels" in said["row 11"]
    assert len(said) == 4
    with pytest.raises(BadCell, match="from -1 to -1, expected 0 to 65535"):
        bands.stored(np.full((16, 16, 4), -1), table.first.spec)


def test_axes():
    assert bands.channels_last(np.zeros((4, 20, 30))).shape == (20, 30, 4)
    assert bands.channels_last(np.zeros((20, 30, 4))).shape == (20, 30, 4)
    assert bands.channels_last(np.zeros((3, 20, 2))).shape == (20, 2, 3)  # one of one or three wins
    assert bands.channels_last(np.zeros((20, 30))).shape == (20, 30, 1)
    with pytest.raises(BadCell):
        bands.channels_last(np.zeros((0, 4, 4)))


@pytest.mark.parametrize(("channels", "dtype"), [(2, np.uint8), (4, np.uint16), (10, np.float32)])
def test_training_evaluating_and_encoding(channels, dtype, tmp_path):
    x = numbers((48, 16, 16, channels), dtype)
    y = np.arange(48) % 2
    x[y == 1] = x[y == 1] // 2 if np.issubdtype(dtype, np.integer) else x[y == 1] / 2
    np.savez(tmp_path / "x.npz", x=x, y=y)
    train.train(tmp_path / "x.npz", out=tmp_path / "run", **FAST)
    model = loading.load(tmp_path / "run")
    assert model.config.data.depth == ("8" if dtype == np.uint8 else "full")
    assert model.encode(x[:5]).shape == (5, 16)
    assert np.isfinite(model.encode(x[:5])).all()
    with pytest.raises(Exception, match="channels"):
        model.encode(x[:5, :, :, :1])
    assert (tmp_path / "run" / "report.html").exists()


def test_false_colour():
    spec = {"low": [0.0] * 4, "high": [10.0] * 4}
    picture = np.stack([np.full((2, 2), v) for v in (0, 5, 10, 3)]).astype(np.float32)
    assert bands.false_colour(picture, spec)[0, 0].tolist() == [0, 128, 255]
    for channels, shown in ((2, [0, 128, 128]), (1, 0)):
        spec = {"low": [0.0] * channels, "high": [10.0] * channels}
        assert bands.false_colour(picture[:channels], spec)[0, 0].tolist() == shown


def test_streamed_from_npy(tmp_path):
    np.save(tmp_path / "x.npy", numbers((40, 20, 20, 5), np.uint16))
    whole, streamed = read(tmp_path / "x.npy", limit=30), read(tmp_path / "x.npy", limit=30, stream=True, workers=1)
    assert len(whole) == 30
    assert whole.fingerprint == streamed.fingerprint
    rows = np.asarray([3, 1, 20])
    with streamed.first.values.expecting(iter([rows])):
        assert np.array_equal(streamed.first.values[rows], whole.first.values[rows])


# --- numbers that would become other pictures ---------------------------------------------------------------------

RAMPS = np.linspace(0, 1, 16)[:, None, None] * np.random.default_rng(0).uniform(0.5, 1, (12, 1, 16, 3))  # fractions
EIGHT = np.rint(RAMPS * 255).astype(np.uint8)


def as_known(pictures, known):
    return np.asarray(read(pictures, modality="image", spec=read(known).first.spec, max_bad=0.0).first.values, int)


@pytest.mark.parametrize("known", [EIGHT, RAMPS, RAMPS * 1.0001])
@pytest.mark.parametrize("kind", ["fractions", "a little over", "overshoot", "bytes", "floats"])
def test_fractions_are_the_pictures_that_they_were(known, kind):
    same = {
        "fractions": RAMPS, "a little over": RAMPS * 1.001, "overshoot": RAMPS * 1.01 - 0.005, "bytes": EIGHT,
        "floats": EIGHT.astype(np.float32),
    }  # fmt: skip
    assert np.abs(as_known(same[kind], known) - EIGHT.transpose(0, 3, 1, 2)).max() <= 2


@pytest.mark.parametrize(("other", "known"), [
    (RAMPS * 2 - 1, EIGHT), ((RAMPS - 0.4) / 0.2, EIGHT), (EIGHT.astype(np.int16) - 128, EIGHT), (RAMPS * 1000, EIGHT),
    (EIGHT, RAMPS * 2 - 1), (RAMPS, np.rint(RAMPS * 4095).astype(np.uint16)),
])  # fmt: skip
def test_pictures_on_another_scale_are_refused(other, known):
    with pytest.raises(DataError, match="has numbers from"):
        as_known(other, known)


def test_a_picture_without_pixels_is_a_bad_row():
    with pytest.raises(DataError, match="no pixels"):
        read([Image.new("RGB", (0, 0))], modality="image", spec=read(EIGHT).first.spec)
