"""Names longer than any file system takes are refused by every door that opens a run, in a sentence."""

import pytest

import nearfar
from nearfar import api
from nearfar.errors import UserError

LONG = "x" * 5000
TEXTS = ["a red car", "the blue house"] * 20
GIVEN = {"epochs": 1, "quiet": True}


@pytest.mark.parametrize("door", [
    lambda: api.load(LONG), lambda: api.evaluate(LONG), lambda: api.train(out=LONG, resume=True),
    lambda: api.train(TEXTS, out=LONG, **GIVEN), lambda: nearfar.train_seeds(TEXTS, out=LONG, **GIVEN),
    lambda: api.rehearse(TEXTS, init_from=LONG, **GIVEN),
    lambda: api.rehearse(TEXTS, positives=f"teacher:{LONG}", **GIVEN),
    lambda: api.rehearse(TEXTS, positives=f"mined:{LONG}", **GIVEN), lambda: nearfar.combine([LONG, LONG]),
])  # fmt: skip
def test_a_name_that_no_file_can_have(door):
    with pytest.raises(UserError):
        door()
