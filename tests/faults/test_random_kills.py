"""Killed at any instant of any training, a run goes on to the very same files; nothing is left over, nobody hangs.

``NEARFAR_WALKS=all`` kills 200 times, from the seed ``NEARFAR_WALKS_SEED``; see benchmarks/kills.py.
"""

import os

import numpy as np
import pytest

from nearfar.core.registry import METHODS
from tests.faults.random_kills import House, chosen
from tests.faults.trainings import ALSO, EVERY, METHOD_BY_MODALITY

ALL = os.environ.get("NEARFAR_WALKS") == "all"
SEED = int(os.environ.get("NEARFAR_WALKS_SEED", 0))
CASES = chosen(SEED, 200) if ALL else chosen(SEED, 40, also=12)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return House(tmp_path_factory.mktemp("house"))


def test_every_method_and_modality_is_among_them():
    assert {t.method for t in METHOD_BY_MODALITY} == set(METHODS)
    names = {name for name, _ in CASES}
    assert {EVERY[name].method for name in names} >= set(METHODS)
    assert {EVERY[name].modality for name in names} >= {"pictures", "numbers", "texts", "pairs", "scored pairs"}
    assert names >= {t.name for t in ALSO} or not ALL
    assert sum(kills for _, kills in CASES) == (200 if ALL else 40)


@pytest.mark.parametrize(("name", "kills"), CASES)
def test_what_was_killed_is_the_same_as_what_was_not(house, name, kills):
    found = house.killed(name, kills, np.random.default_rng([SEED, *name.encode()]))
    assert not found.differences, str(found)
    assert len(found.instants) == kills, f"{name} could not be killed"
