"""Files of weights of other libraries: safetensors alone, since a pickle can run code when it is read."""

from __future__ import annotations

import shlex
from pathlib import Path

from nearfar.core.errors import ConfigError

WEIGHTS = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# Of at most a hundred characters, so that an error shows all of it.
CONVERT = "import sys,safetensors.torch as s;from torch import load;s.save_file(load(sys.argv[1]),sys.argv[2])"


def check_safe(place: str) -> None:
    """Raise a `ConfigError` where a file is a pickle, or a folder has its weights in no other."""
    path = Path(place)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    pickles = [p for p in files if p.suffix in PICKLES]
    if pickles and not any(p.suffix == ".safetensors" for p in files):
        raise ConfigError(
            f"the weights in {pickles[0].name} are a pickle, which can run code when it is read.", where=place,
            hint=f'Convert them where you trust the file: python -c "{CONVERT}" '
                 f"{shlex.quote(str(pickles[0]))} {shlex.quote(str(pickles[0].with_name(WEIGHTS)))}",
        )  # fmt: skip
