"""What every result on texts and pairs says of its training and of the machine."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import torch

from nearfar import __version__


def machine() -> dict[str, Any]:
    """Command, machine and versions."""
    return {
        "command": "python " + " ".join(sys.argv),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, one thread, "
                   f"load average {os.getloadavg()[0]:.1f}",
        "nearfar": __version__,
    }  # fmt: skip


def of_training(trained: Any, seconds: float) -> dict[str, Any]:
    """The same, and what was trained in how many seconds."""
    model = trained.plan.config.model
    return machine() | {"training_seconds": seconds, "method": model.method, "encoder": model.encoder}
