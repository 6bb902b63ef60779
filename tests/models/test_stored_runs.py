"""Small runs that version 0.1.0 wrote, before its modules stood in rooms, open and give the vectors that they gave then.

The folders in tests/models/stored hold what a run needs to be used: one of pictures (with a classifier), one with a
momentum twin, texts without labels (with fixed features) and with labels, rows of numbers, pairs of pictures and
captions, an ensemble. Beside them lie the vectors of the inputs below, as that version gave them.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

import nearfar

STORED = Path(__file__).parent / "stored"
WORDS = ["red", "green", "blue", "round", "square", "small", "large", "dog", "cat", "bird", "runs", "sleeps", "sings", "over", "under", "beside", "the", "a"]


def texts(n, seed):
    r = np.random.default_rng(seed)
    return [" ".join(r.choice(WORDS, 6)) for _ in range(n)]


def pictures(n, seed):
    return np.random.default_rng(seed).integers(0, 255, (n, 16, 16, 3), dtype=np.uint8)


def rows(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)


INPUTS = {"text": texts, "image": pictures, "vector": rows}


def test_there_is_a_run_of_each_kind():
    assert {p.name for p in STORED.iterdir()} == {
        "pictures", "momentum", "texts", "labelled", "rows", "pairs", "ensemble",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(p.name for p in STORED.iterdir()))
def test_a_stored_run_gives_the_vectors_that_it_gave(name):
    model = nearfar.load(STORED / name)
    for column, (modality, _) in model.columns.items():
        before = np.load(STORED / name / f"vectors-{column}.npy")
        np.testing.assert_allclose(model.encode(INPUTS[modality](5, 9), column=column), before, atol=1e-5)


def test_a_stored_classifier_gives_the_probabilities_that_it_gave(tmp_path):
    shutil.copytree(STORED / "pictures", tmp_path / "run")
    found = nearfar.classify(tmp_path / "run", new=pictures(12, 11), use="default", quiet=True)
    before = np.load(STORED / "pictures" / "probabilities.npy")
    np.testing.assert_allclose(found.predictions.probabilities, before, atol=1e-4)


@pytest.mark.parametrize("name", ["pictures", "texts", "rows", "pairs"])
def test_a_training_begins_with_a_stored_run(name):
    data = {"pictures": pictures(48, 1), "texts": texts(48, 1), "rows": rows(48, 1)}
    data["pairs"] = {"image": data["pictures"], "caption": data["texts"]}
    given = {"column": ("image", "caption")} if name == "pairs" else {}
    trained = nearfar.train(data[name], init_from=str(STORED / name), epochs=0, batch_size=16, threads=1, quiet=True,
                            fixed="none", **given)  # fmt: skip
    for column, branch in trained.model.branches.items():
        stored = nearfar.load(STORED / name).branches[column]
        for part, weights in stored.encoder.state_dict().items():
            np.testing.assert_array_equal(branch.encoder.state_dict()[part], weights)
