"""Processes that are forked from one that has imported everything: a new one would import torch first."""

import contextlib
import multiprocessing
import os
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).parents[2]


def context():
    """The context of a server that has imported tests.faults.warm; one for this process."""
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(["tests.faults.warm"])
    with contextlib.chdir(ROOT):  # from where it imports that
        forkserver.ensure_running()
    return forked


class _Context:
    """What `nearfar.training.launching.launch` needs of a context; the server's environment is that of its start."""

    def __init__(self):
        self.forked = context()
        self.SimpleQueue = self.forked.SimpleQueue

    def Process(self, target, args):
        return self.forked.Process(target=_begin, args=(dict(os.environ), target, args))


def _begin(environment, target, args):
    os.environ.clear()
    os.environ.update(environment)
    target(*args)


def launch(function, args, processes):
    """`nearfar.training.launching.launch` with forked processes. Tensors in `args` go by file: few handles are passed."""
    from nearfar.training import launching

    forked = _Context()
    with patch("torch.multiprocessing.get_context", lambda _: forked):
        launching.launch(function, args, processes)
