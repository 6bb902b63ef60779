"""What every result on texts and pairs says of its training and of the machine."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import torch

from nearfar import __version__


def of_training(trained: Any, seconds: float) -> dict[str, Any]:
    """Command, machine and versions, and what was trained in how many seconds."""
    model = trained.plan.config.model
    return {
        "command": "python " + " ".join(sys.argv), "training_seconds": seconds,
        "method": model.method, "encoder": model.encoder,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, one thread, "
                   f"load average {os.getloadavg()[0]:.1f}",
        "nearfar": __version__,
    }  # fmt: skip
