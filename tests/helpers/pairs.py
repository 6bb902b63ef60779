"""Made-up pairs."""

import numpy as np

from nearfar.evaluation.protocols import Sides


def sides_of(left, right, l=None, r=None, **more):
    n = len(left)
    l, r = np.arange(n) if l is None else np.asarray(l), np.arange(n) if r is None else np.asarray(r)
    return Sides(np.asarray(left, np.float32), np.asarray(right, np.float32), l, r, ("picture", "caption"), **more)


def related(n=40, d=8, noise=1.5, seed=0, pictures=None, captions=None, **more):
    """Pairs whose sides are alike; with numbers of distinct items, rows repeat them at random."""
    draw = np.random.default_rng(seed)
    l = np.arange(n) if pictures is None else draw.integers(0, pictures, n)
    r = np.arange(n) if captions is None else draw.integers(0, captions, n)
    x = draw.normal(size=(n, d))
    y = draw.normal(size=(n, d))
    return sides_of(x[l], x[r] + noise * y[r], l, r, **more)
