"""Processes of this machine that train together: started, passed signals, ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

import torch

from nearfar.core.environment import end_with_parent
from nearfar.core.errors import NearfarError, Stopped, TrainingError
from nearfar.training import distributed
from nearfar.training.stopping import stop_signals

MOMENT = 5  # seconds that processes have to end by themselves once another one has failed


def launch(function: Callable[..., Any], args: tuple[Any, ...], processes: int) -> None:
    """Run ``function(*args)`` in so many new processes that form one world, and wait for all.

    A first Ctrl-C, SIGTERM or SIGHUP is passed on, so that they can finish a step and save; after a second one they
    are ended. Raises what the first process that failed raised, or that one was killed.
    """
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    errors = context.SimpleQueue()
    workers = [
        context.Process(target=_child, args=(function, args, rank, processes, port, errors))
        for rank in range(processes)
    ]
    for worker in workers:
        worker.start()
    with stop_signals() as stopped:
        try:
            _wait(workers, stopped)
            codes = [worker.exitcode for worker in workers]  # None: is ended below, since another one failed
        finally:
            for worker in workers:
                if worker.is_alive():
                    worker.terminate()
            for worker in workers:
                worker.join(MOMENT)
                if worker.is_alive():
                    worker.kill()  # it remembers a signal, and may wait for others for ever
                    worker.join()
    if (code := stopped()) and any(codes):
        said = errors.get() if not errors.empty() else Stopped("stopped; what was saved is kept.")
        raise Stopped(said.message, exit_code=code, hint=said.hint) if isinstance(said, Stopped) else said
    for rank, status in enumerate(codes):
        if status is not None and status < 0:
            raise TrainingError(
                f"process {rank} of {processes} was killed ({signal.Signals(-status).name}).",
                hint="The machine may lack memory. The last checkpoint is kept: pass --resume to go on.",
            )
    if not errors.empty():
        raise errors.get()
    if failed := [status for status in codes if status]:
        raise TrainingError(f"a process ended with status {failed[0]}.")


def _wait(workers: list[Any], stopped: Callable[[], int]) -> None:
    """Wait until all have ended, or one has failed and the others had a moment to notice."""
    passed_on = False
    while alive := [w for w in workers if w.is_alive()]:
        if any(w.exitcode for w in workers):
            for worker in alive:
                worker.join(MOMENT)
            return
        if stopped() and not passed_on:
            for worker in alive:
                worker.terminate()
            passed_on = True
        wait([w.sentinel for w in alive], 0.05)


def _child(function: Callable[..., Any], args: tuple[Any, ...], rank: int, size: int, port: int, errors: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one passes it on
    end_with_parent()
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank)
    )
    code = 0
    try:
        if not torch.cuda.is_available():
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
        distributed.join_if_launched()
        function(*args)
    except NearfarError as e:
        errors.put(e)
        code = e.exit_code
    except Exception as e:
        errors.put(TrainingError(f"process {rank} failed: {e!r}.", hint=traceback.format_exc()))
        code = 1
    finally:
        distributed.leave()
    # Not through the interpreter's end: gloo's threads may still hold tensors of DDP there, and abort (pytorch#179291).
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
