"""What this machine and this installation offer."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nearfar.core import files, registry
from nearfar.core.version import __version__

if TYPE_CHECKING:
    from nearfar.core.console import Console

EXTRAS = {
    "text": "tokenizers",
    "transformers": "transformers",
    "sentence-transformers": "sentence-transformers",
    "timm": "timm",
    "open_clip": "open_clip_torch",
    "onnx": "onnxruntime",
    "hub": "datasets",
    "log": "tensorboard",
    "umap": "umap-learn",
    "tune": "optuna",
    "faiss": "faiss-cpu",
}  # by what tells that an extra is installed


@dataclass(frozen=True)
class Machine:
    """What `doctor` gives: facts by their names."""

    facts: Mapping[str, Any]

    def __repr__(self) -> str:
        return "\n".join(f"{name:<12} {fact}" for name, fact in self.facts.items())

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar doctor --json`` prints."""
        return {"schema": 1, "verb": "doctor", "results": dict(self.facts)}


def doctor(*, console: Console | None = None) -> Machine:
    """Find versions, device, precision, folders, extras and plug-ins, for questions and bug reports."""
    import torch

    from nearfar.core import devices
    from nearfar.data.decoding import cache
    from nearfar.models import kept, kept_figures

    on = devices.device()
    name = torch.cuda.get_device_name(on) if on.type == "cuda" else platform.processor() or platform.machine()
    decoded = (
        sum(f.stat().st_size for f in cache.root().rglob("*") if f.is_file()) if os.path.isdir(cache.root()) else 0
    )
    return Machine({
        "nearfar": __version__, "python": platform.python_version(), "system": platform.platform(),
        "torch": torch.__version__, "torchvision": _version("torchvision"), "device": f"{on} ({name})",
        "cores": os.cpu_count(), "precision": devices.precision("auto", on),
        "cache": f"{cache.root()} ({decoded / 2**20:,.0f} MiB, {files.free_bytes(cache.root()) / 2**30:,.0f} GiB free)",
        "vectors": kept.about(), "figures": kept_figures.about(),
        "extras": ", ".join(f"{extra}: {_version(package)}" for extra, package in EXTRAS.items()),
        **_plugins(),
    })  # fmt: skip


def _plugins() -> dict[str, str]:
    """The plug-ins that can be used, by the folders that they belong to, and what is wrong with the others."""
    if not (root := os.environ.get(registry.ROOT)):
        return {"plug-ins": f"none (set {registry.ROOT})"}
    tried = {r.plugins[-1]: r.tried() for r in registry.ALL}
    found = "; ".join(f"{folder}: {', '.join(names)}" for folder, (names, _) in tried.items() if names)
    wrong = [str(e) for _, errors in tried.values() for e in errors]
    unusable = {"not usable": "; ".join(wrong)} if wrong else {}
    return {"plug-ins": f"{root} ({found or 'none there'})", **unusable}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
