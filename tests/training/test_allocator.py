"""Freed memory that stays with the process: fewer pages have to be cleared, and it does not pile up."""

import platform
import resource

import pytest
import torch

from nearfar.training import allocator


def faults(steps):
    """Pages that the system has to bring for steps that make and free large blocks beside small ones that stay."""
    before, stays = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, []
    for step in range(steps):
        gradient = torch.empty((40 + step % 7) << 20, dtype=torch.uint8).fill_(1)
        stays = [*stays[-20:], torch.empty(1 + 997 * step % 4000)]
        torch.empty((1 + 13 * step % 40) << 20, dtype=torch.uint8).fill_(1)
        del gradient
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is what this is about")
def test_blocks_are_found_again_while_kept_and_go_back_at_the_end():
    outside = faults(40)
    with allocator.kept():
        faults(40)
        first = resident()
        assert faults(40) < 0.5 * outside
        last = resident()
        assert last - first < 100 << 20  # of 86 MB in use at a time: what is kept does not grow with the steps
    assert resident() < last - (100 << 20)  # given back
