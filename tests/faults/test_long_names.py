"""Names longer than any file system takes are refused by every door that opens a run, in a sentence."""

import pytest

import nearfar
from nearfar.core.errors import UserError
from nearfar.evaluation import evaluate
from nearfar.models import loading
from nearfar.training import train

LONG = "x" * 5000
TEXTS = ["a red car", "the blue house"] * 20
GIVEN = {"epochs": 1, "quiet": True}


@pytest.mark.parametrize("door", [
    lambda: loading.load(LONG), lambda: evaluate.evaluate(LONG), lambda: train.train(out=LONG, resume=True),
    lambda: train.train(TEXTS, out=LONG, **GIVEN), lambda: nearfar.train(TEXTS, out=LONG, seeds=2, **GIVEN),
    lambda: train.rehearse(TEXTS, init_from=LONG, **GIVEN),
    lambda: train.rehearse(TEXTS, positives=f"teacher:{LONG}", **GIVEN),
    lambda: train.rehearse(TEXTS, positives=f"mined:{LONG}", **GIVEN), lambda: nearfar.ensemble([LONG, LONG]),
])  # fmt: skip
def test_a_name_that_no_file_can_have(door):
    with pytest.raises(UserError):
        door()
