"""Sounds: what is read, what is refused, and that the spectrograms are librosa's."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nearfar.core.errors import BadCell, DataError, NearfarWarning
from nearfar.core.schema import fits
from nearfar.data.read import read
from nearfar.modalities.sound import opened, sound, spectrogram
from nearfar.transforms.draws import Draws
from nearfar.transforms.recipes import RECIPES
from tests.helpers.sounds import RATE, folder, tone, wav

SOUND = [n for n, r in RECIPES.items() if r[0] and all(t.kind in ("waveform", "spectrogram") for v in r for t in v)]


def planned(cells, **options):
    spec = sound.plan(cells, options)
    fits(spec, sound.Spec, "spec")
    return spec


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
@pytest.mark.parametrize("extensible", [False, True])
def test_wav_of_every_width_gives_its_numbers(code, bits, extensible):
    samples = tone()
    found, rate = opened.loaded(wav(samples, code=code, bits=bits, extensible=extensible))
    assert rate == RATE and found.dtype == np.float32
    assert np.abs(found - samples).max() <= (1e-7 if code == 3 else 2.0 ** (1 - bits))


def test_wav_is_what_soundfile_reads():
    soundfile = pytest.importorskip("soundfile")
    import io

    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        file = io.BytesIO()
        soundfile.write(file, np.stack([tone(), tone(seed=1)], 1), RATE, subtype, format="WAV")
        theirs, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
        assert np.abs(opened.loaded(file.getvalue())[0] - theirs.mean(1)).max() < 1e-7, subtype


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "AIFF"])
def test_other_formats_by_soundfile(form, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / f"a.{form.lower()}"
    soundfile.write(path, tone(1.0, rate=16000), 16000, format=form)
    found, rate = opened.loaded(path)
    assert rate == 16000 and abs(len(found) - 16000) < 2500  # MP3 adds silence
    assert sound.recognise([path]) == sound.recognise([path.read_bytes()]) == 1


def test_channels_become_their_mean():
    both = np.stack([tone(), tone(hertz=1000)], 1)
    assert np.allclose(opened.loaded(wav(both.reshape(-1), channels=2, code=3, bits=32))[0], both.mean(1), atol=1e-7)
    assert np.allclose(opened.loaded((both.T, RATE))[0], both.mean(1), atol=1e-7)
    assert np.allclose(opened.loaded({"array": both, "sampling_rate": RATE})[0], both.mean(1), atol=1e-7)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (None, "is empty"), (b"", "is empty"), (b"hello world, this is text", "is not a sound; it is text"),
        (wav([]), "has no samples"), (wav(np.zeros(800)), "is silent"), (wav(tone(), rate=0), "0 samples per second"),
        (wav(np.zeros(99 * 70), channels=70), "has 70 channels"), (wav(tone(), declared=10**6), "is cut short"),
        (wav(tone())[:30], "is damaged"), (wav(tone()).replace(b"data", b"dota"), "without samples"),
        (wav(tone(), channels=0), "has no channels"), ((np.full(800, np.nan), RATE), "not finite"),
        ((tone(), "fast"), "no pair"), (Path("missing.wav"), "is missing"), ({"bytes": None, "path": "x.wav"}, "missing"),
    ],
)  # fmt: skip
def test_bad_cells_say_what_is_wrong(cell, said):
    with pytest.raises(BadCell, match=said):
        sound.decode(cell, planned([wav(tone())]))


def test_many_channels_and_an_unknown_length_are_read():
    many = np.repeat(tone(), 32)
    assert np.allclose(opened.loaded(wav(many, channels=32, code=3, bits=32))[0], tone(), atol=1e-6)
    assert len(opened.loaded(wav(tone(), declared=0xFFFFFFFF))[0]) == len(tone())


def test_a_folder_with_a_text_named_wav(tmp_path):
    folder(tmp_path, 12)
    (tmp_path / "pitch0" / "notes.wav").write_text("no sound at all")
    table = read(tmp_path)
    assert table.first.modality == table.first.name == "sound"
    assert [(s.name, s.reason) for s in table.skipped] == [("pitch0/notes.wav", "is not a sound; it is text")]
    assert np.bincount(table.labels).tolist() == [12, 12]


def test_nothing_but_silence_is_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(np.zeros(100), rate=0))
    with pytest.raises(DataError, match="none of the sounds"):
        read(tmp_path)


def test_clipping_is_said(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.wav").write_bytes(wav(np.clip(20 * tone(seed=i), -1, 1)))
    with pytest.warns(NearfarWarning, match="Clipping: 4 of 4"):
        read(tmp_path)


def test_columns_of_paths_and_objects(tmp_path):
    folder(tmp_path / "a")
    rows = "".join(f"a/pitch{c}/{i}.wav,{c}\n" for c in (0, 1) for i in range(8))
    (tmp_path / "t.csv").write_text(f"clip,label\n{rows}")
    pairs = [(tone(seed=i), RATE) for i in range(6)]
    for source, count in (
        (tmp_path / "t.csv", 16), (pairs, 6), ([{"array": x, "sampling_rate": r} for x, r in pairs], 6),
        ([{"bytes": wav(x), "path": None} for x, _ in pairs], 6), ([wav(x) for x, _ in pairs], 6),
    ):  # fmt: skip
        table = read(source)
        assert table.first.modality == "sound" and len(table) == count


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_planned_from_the_files():
    spec = planned([wav(tone(0.5), rate=16000)] + [wav(tone(0.4))] * 9)
    assert spec["rate"] == RATE and 0.2 * RATE < spec["length"] < 0.5 * RATE
    asked = planned([wav(tone())], rate=4000, seconds=1.5, size=24, trim=False, normalise="none")
    assert (asked["rate"], asked["length"], asked["size"], asked["trim"]) == (4000, 6000, 24, None)
    assert sound.reading(asked) == {"rate": 4000, "seconds": 1.5, "size": 24, "normalise": "none", "trim": False}
    assert sound.reading(spec)["normalise"] == "utterance"
    assert sound.reading(planned([wav(tone())], normalise="corpus"))["normalise"] == "corpus"


def test_silence_around_is_left_out():
    padded = np.concatenate([np.zeros(4000), tone(), np.zeros(6000)])
    spec = planned([wav(padded)])
    assert 0.15 * RATE < spec["length"] < 0.35 * RATE
    assert planned([wav(padded)], trim=False)["length"] == len(padded)


def test_loudness_counts_only_where_it_is_kept():
    spec, kept = planned([wav(tone())]), planned([wav(tone())], normalise="none")
    quiet = wav(0.01 * tone(), code=3, bits=32)
    ours = [sound.decode(c, spec)[0].astype(int) for c in (wav(tone(), code=3, bits=32), quiet)]
    assert np.abs(ours[0] - ours[1]).max() <= 1 and np.abs(ours[0]).max() == sound.PEAK
    assert np.abs(sound.decode(quiet, kept)[0]).max() < 0.01 * sound.PEAK


def test_longer_ones_are_cut_and_said():
    spec = {**planned([wav(tone(0.3))]), "length": 1000}
    cells = [wav(tone(0.3)), wav(tone(0.1))]
    values = np.stack([sound.decode(c, spec)[0] for c in cells])
    assert sound.lengths(cells, values, spec)[0] == 1001 > sound.lengths(cells, values, spec)[1]
    assert "1 of 2 sounds" in sound.too_long("x", np.asarray([1001, 500]), 1000)


def test_other_rates_are_resampled():
    pytest.importorskip("soxr")
    spec = planned([wav(tone())], rate=4000)
    values = sound.decode(wav(tone(hertz=500)), spec)[0]
    spectrum = np.abs(np.fft.rfft(values[: spec["length"]]))
    assert abs(spectrum.argmax() * 4000 / spec["length"] - 500) < 10


# --- what the encoder sees ------------------------------------------------------------------------------------------------


def clips():
    data = os.environ.get("NEARFAR_DATA")
    path = Path(data or "", "free_spoken_digits", "test.parquet")
    if not data or not path.exists():
        return [tone(0.2 + 0.1 * i, 200 * (i + 1), seed=i) for i in range(6)]
    rows = pq.read_table(path, columns=["audio"]).slice(0, 24).to_pylist()
    return [opened.loaded(r["audio"])[0] for r in rows]


@pytest.mark.parametrize(("mels", "window", "hop"), [(32, 256, 80), (40, 512, 160)])
def test_log_mel_is_librosas(mels, window, hop):
    """To 1e-4 decibels in 64 bits, of clips in one batch that are as long as they are."""
    librosa = pytest.importorskip("librosa", reason="librosa is what is compared with")
    some = [c.astype(np.float64) for c in clips()]
    batch = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(c) for c in some], batch_first=True)
    lengths = torch.tensor([len(c) for c in some])
    ours = spectrogram.log_mel(batch, lengths, rate=RATE, mels=mels, window=window, hop=hop)
    single = spectrogram.log_mel(batch.float(), lengths, rate=RATE, mels=mels, window=window, hop=hop)
    frames = spectrogram.frames_of(lengths, hop)
    for clip, x, y, n in zip(some, ours, single, frames, strict=True):
        mel = librosa.feature.melspectrogram(y=clip, sr=RATE, n_fft=window, hop_length=hop, n_mels=mels)
        theirs = librosa.power_to_db(mel)
        assert theirs.shape == (mels, n)
        assert np.abs(x[:, :n].numpy() - theirs).max() < 1e-4
        assert np.abs(y[:, :n].numpy() - theirs).max() < 5e-3  # float32, 80 decibels below the loudest


def test_moments_are_means_over_their_stretch():
    x = torch.arange(12.0).view(1, 1, 12)
    assert torch.allclose(spectrogram.stretched(x, torch.tensor([12]), 4)[0, 0], torch.tensor([1.0, 4, 7, 10]))
    assert torch.allclose(spectrogram.stretched(x, torch.tensor([6]), 3)[0, 0], torch.tensor([0.5, 2.5, 4.5]))
    assert torch.allclose(spectrogram.stretched(x, torch.tensor([1]), 3)[0, 0], torch.zeros(3))


@pytest.mark.parametrize("normalise", ["utterance", "corpus", "none"])
def test_neutral_does_not_depend_on_the_batch(normalise):
    cells = [wav(tone(0.1 + 0.05 * i, 300 * (i + 1), seed=i)) for i in range(4)]
    spec = planned(cells, normalise=normalise)
    values = torch.from_numpy(np.stack([sound.decode(c, spec)[0] for c in cells]))
    whole = sound.neutral(values, None, spec)
    assert whole.shape == (4, 1, 32, 32) and whole.dtype == torch.float32
    assert torch.allclose(whole[:1], sound.neutral(values[:1], None, spec), atol=1e-3)
    if normalise == "utterance":
        assert torch.allclose(whole.mean((1, 2, 3)), torch.zeros(4), atol=1e-4)
    assert sound.raw_features(values.numpy(), spec).shape == (4, 16 * 32)
    assert sound.thumbnail(values[0].numpy(), None, spec).size == (64, 64)


@pytest.mark.parametrize("name", SOUND)
def test_recipes_give_views(name):
    cells = [wav(tone(0.2, 300 * (i + 1), seed=i)) for i in range(6)]
    spec = planned(cells)
    values = torch.from_numpy(np.stack([sound.decode(c, spec)[0] for c in cells]))
    recipe = sound.recipes(name, spec)[0]

    def seen(seed, share=None, batch=None):
        draws = Draws(torch.Generator().manual_seed(seed), 6, share, "cpu", batch)
        return sound.views(values if share is None else values[share], None, recipe, draws, spec)

    whole = seen(0)
    assert whole.shape == (6, 1, 32, 32) and torch.isfinite(whole).all()
    assert not torch.allclose(whole, seen(1), atol=1e-3)
    part = seen(0, slice(2, 5), lambda: values)  # as each of several processes sees it
    assert torch.allclose(part, whole[2:5], atol=1e-3)


@pytest.mark.parametrize("name", SOUND)
def test_silence_in_a_batch_gives_numbers(name):
    """Rows that could not be read are zeros until they are left out."""
    spec = planned([wav(tone())])
    values = torch.zeros(4, spec["length"], dtype=torch.int16)
    draws = Draws(torch.Generator().manual_seed(0), 4)
    assert torch.isfinite(sound.views(values, None, sound.recipes(name, spec)[0], draws, spec)).all()


def test_text_is_no_sound():
    assert sound.recognise(["a text", "another.wav"]) == 0
    assert sound.recognise([b"RIFF is a word"]) == 0
    assert sound.recognise([np.zeros(8000)]) == 0
