"""Ctrl-C, SIGTERM and SIGHUP: the step is finished and saved, by all processes at the same one; a second one ends."""

import signal
import time

import pytest

from nearfar.models.run import Run
from nearfar.training import launching
from tests.faults.kills import Instant, sit
from tests.faults.random_kills import House, differences, go_on


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return House(tmp_path_factory.mktemp("house"))


def on_a_slow_disk(*args):
    """Go on; a checkpoint takes longer than processes are waited for once another one has ended."""
    save, launching.MOMENT = Run.save_checkpoint, 0.1

    def slow(*args):
        time.sleep(0.2)
        save(*args)

    Run.save_checkpoint = slow
    go_on(*args)


@pytest.mark.parametrize(
    ("name", "instant"),
    [
        ("simclr on numbers", Instant("step", 14, None, signal.SIGINT)),
        ("simclr on numbers", Instant("step", 8, None, signal.SIGHUP)),
        ("simclr on numbers", Instant("checkpoint", 16, None, signal.SIGTERM)),
        ("two processes", Instant("step", 8, 1, signal.SIGTERM)),  # one of them
        ("two processes", Instant("step", 8, 0, signal.SIGTERM, "parent")),
        ("two processes", Instant("step", 9, 1, signal.SIGINT, "group")),  # as in a terminal
    ],
    ids=lambda x: f"{signal.Signals(x.signal).name} to {x.to}" if isinstance(x, Instant) else x,
)
def test_a_signal_lets_the_step_be_finished_and_saved(house, tmp_path, name, instant):
    whole, _ = house.undisturbed(name)
    out, home = tmp_path / whole.name, tmp_path / "home"
    args = (name, house.folder, out, None)
    stopped = sit(on_a_slow_disk, args, out, instant, home)
    assert "Stopped: stopped after step" in stopped.raised and "everything is saved" in stopped.raised
    assert not sit(go_on, args, out, None, home).raised
    assert differences(whole, out) == []


def test_a_second_signal_ends_it_within_a_write(house, tmp_path):
    """The checkpoint before the one that is being written is whole, and nothing is left of the new one."""
    whole, _ = house.undisturbed("simclr on numbers")
    out, home = tmp_path / whole.name, tmp_path / "home"
    args = ("simclr on numbers", house.folder, out, None)
    assert sit(go_on, args, out, Instant("checkpoint", 28, None, signal.SIGINT, times=2), home).raised.startswith("Key")
    assert Run(out).load_checkpoint()[1]["step"] == 2
    assert not [p for p in out.rglob("*") if p.name.startswith(".")]
    assert not sit(go_on, args, out, None, home).raised
    assert differences(whole, out) == []
