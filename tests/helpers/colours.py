"""Small pictures in one of three colours, with captions that say which."""

import numpy as np

COLOURS = ("red", "green", "blue")
SMALL = {"image": {"widths": [16, 32, 32]}, "caption": {"dim": 32}}
QUICK = {
    "batch_size": 32,
    "holdout": 0.0,
    "monitor_rows": 0,
    "threads": 1,
    "encoder_options": SMALL,
    "precision": "fp32",
}


def pictures(count=96, seed=0):
    """Pictures uint8 (N, 16, 16, 3), the number of their colour, and a caption of each."""
    draw = np.random.default_rng(seed)
    colour = draw.integers(0, 3, count)
    x = draw.integers(0, 60, (count, 16, 16, 3), dtype=np.uint8)
    x[np.arange(count), :, :, colour] += 180
    return x, colour, [f"a {COLOURS[c]} picture number {n}" for n, c in enumerate(colour)]
