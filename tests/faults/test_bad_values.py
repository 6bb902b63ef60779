"""No odd value is a fault: it does what it says, or is refused in a sentence that names it.

A part of all that there is, by a fixed seed; all of it with ``NEARFAR_WALKS=all`` or by benchmarks/bad_values.py.
"""

import os
import random

import pytest

from nearfar.core.registry import METHODS
from tests.faults import values

ALL = os.environ.get("NEARFAR_WALKS") == "all"


def some(cases, count):
    """So many of the cases, by a fixed seed."""
    found = list(cases)
    return found if ALL or len(found) <= count else random.Random(0).sample(found, count)


def check(cases):
    """None is a fault, some are taken, and most are refused. Returns how many are what."""
    counts, faults = {}, []
    for case in cases:
        kind, said = values.outcome(case)
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "fault":
            faults.append(f"{case}: {said}")
    assert not faults, "\n".join(faults[:20])
    return counts


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return values.Place(tmp_path_factory.mktemp("values"))


def test_every_number_of_every_method():
    counts = check(some(values.of_methods(), 4000))
    assert counts["refused"] > 8 * counts["taken"] > 0


def test_every_knob():
    counts = check(some(values.of_config(), 2500))
    assert counts["refused"] > counts["taken"] > 0


@pytest.mark.parametrize("kind", ["trainings", "knobs", "encoders", "transforms", "objectives", "words"])
def test_what_is_built_and_trained(kind, place):
    if kind == "trainings":
        names = None if ALL else random.Random(0).sample(list(METHODS), 2)
        cases = values.of_trainings(place.data, names)
    else:
        cases = getattr(values, f"of_{kind}")(place.data)
    counts = check(some(cases, 15))
    assert counts.get("taken", 0) + counts.get("refused", 0) > 0


def test_every_flag_of_every_verb(place):
    cases = some(values.of_flags(place), 60)
    counts = check(cases)
    assert counts["refused"] > 0
    assert not place.lost()
