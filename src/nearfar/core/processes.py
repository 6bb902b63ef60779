"""Processes that Python starts."""

from __future__ import annotations

import os
import threading


def end_with_parent() -> None:
    """Have this process, which another one of Python started, end when that one is gone, however it went."""
    import multiprocessing

    def follow() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
