"""Embeddings of sounds without labels, in about a minute: sounds that this script makes, trained, searched and drawn.

    python examples/sounds.py [FOLDER]

Three kinds of calls (rising, falling, trilled) at any pitch, length and loudness, with noise. What a call is, its pitch does
not say; the views of the recipe "sound" leave just that open.
"""

from __future__ import annotations

import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

import nearfar

RATE, EACH = 8000, 60
KINDS = ("rising", "falling", "trilled")


def call(kind: str, draw: np.random.Generator) -> np.ndarray:
    """A call, int16 (L,)."""
    t = np.linspace(0, 1, int(RATE * draw.uniform(0.25, 0.5)))
    bend = {"rising": t, "falling": 1 - t, "trilled": 0.5 + 0.5 * np.sin(2 * np.pi * 5 * t)}[kind]
    phase = 2 * np.pi * np.cumsum(draw.uniform(300, 700) * (1 + bend)) / RATE
    tone = sum(np.sin(k * phase) / k for k in (1, 2, 3)) * np.hanning(len(t)) + 0.03 * draw.normal(size=len(t))
    return (8000 * draw.uniform(0.2, 1) * tone).astype(np.int16)


def make(folder: Path) -> None:
    """A folder of WAV files, a sub-folder for each kind; training reads no labels of them."""
    draw = np.random.default_rng(0)
    for split, count in (("train", EACH), ("test", EACH // 3)):
        for kind in KINDS:
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                with wave.open(str(folder / split / kind / f"{i}.wav"), "wb") as file:
                    file.setparams((1, 2, RATE, 0, "NONE", "none"))
                    file.writeframes(call(kind, draw).tobytes())


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    make(folder / "calls")
    nearfar.views(folder / "calls", out=folder / "views.png")
    nearfar.train(folder / "calls", out=folder / "run", epochs=20, overwrite=True)
    print(nearfar.evaluate(folder / "run"))
    print(f"\nThe report, with sounds to play: {folder / 'run' / 'report.html'}\nThe views: {folder / 'views.png'}")


if __name__ == "__main__":
    main()
