"""Multinomial logistic regression with a penalty, solved until it has converged, however wide or alike the features."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from nearfar.core import devices

TOLERANCE = 2e-5  # largest entry of the gradient, in the coordinates that are solved in, of a mean over rows
ITERATIONS = 2000
HISTORY = 20
KEPT = 2**26  # numbers that are kept in 64 bits; of more rows some at a time are
WIDE = 2  # times as many features as rows are turned into the space of the rows first
RIDGE = 1e-10  # keeps the metric positive where there is no penalty
UNSOLVED = f"The logistic regression has not converged in {ITERATIONS:,} steps; its figures may change with more."


class Fit(NamedTuple):
    """The solution of a `Problem`."""

    weights: torch.Tensor  # float32 (D + 1, classes); the last row is the bias
    converged: bool
    evaluations: int  # of the loss and its gradient


class Problem:
    """The least C · Σ_i cross entropy(x_i w + b, y_i) + ½‖w‖² of one table of rows, for any C.

    Parameters
    ----------
    x : ndarray of float32 (N, D)
    y : ndarray of int64 (N,)
    classes : int

    Notes
    -----
    L-BFGS in the coordinates L'w, where LL' = X'X / (N · classes) + λ is the curvature that equal probabilities have:
    pixels, whose X'X spans many orders of magnitude, then take tens of steps instead of thousands. All is computed in
    64 bits. Of far more features than rows only the space that the rows span matters: the penalised minimum lies in
    it, and is the same.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, classes: int) -> None:
        self.rows, self.classes = len(x), classes
        inputs, self.basis = torch.from_numpy(np.ascontiguousarray(x)), None
        if x.shape[1] > WIDE * len(x):
            self.basis, upper = torch.linalg.qr(inputs.T.double())
            inputs = upper.T
        step = max(1, KEPT // max(1, inputs.shape[1]))
        double = len(inputs) <= step
        self.parts = [p.double() if double else p for p in inputs.split(step)]
        self.truth = torch.from_numpy(np.ascontiguousarray(y)).split(step)

    @cached_property
    def moments(self) -> torch.Tensor:
        """X'X / N with a column of ones, (D + 1, D + 1)."""
        d = self.parts[0].shape[1]
        found = torch.zeros(d + 1, d + 1, dtype=torch.float64)
        for x in self.parts:
            x = x.double()
            found[:d, :d].addmm_(x.T, x)
            found[:d, d] += x.sum(0)
        found[d, :d], found[d, d] = found[:d, d], self.rows
        return found / self.rows

    def solve(self, c: float, start: torch.Tensor | None = None) -> Fit:
        """Its minimum at an inverse strength `c` of the penalty, as scikit-learn's C; begun at the weights `start`.

        Two classes have two columns of weights here and one in scikit-learn, whose C of the same minimum is 2 `c`.
        """
        penalty = torch.full((len(self.moments), 1), 1 / (c * self.rows), dtype=torch.float64)
        penalty[-1] = 0
        lower = torch.linalg.cholesky(self.moments / self.classes + torch.diag(penalty[:, 0] + RIDGE))
        v = torch.zeros(len(penalty), self.classes, dtype=torch.float64)
        if start is not None:
            w = start.double()
            w = w if self.basis is None else torch.cat((self.basis.T @ w[:-1], w[-1:]))
            v = (lower.T @ w).contiguous()
        v.requires_grad_()
        optimizer = devices.eager(torch.optim.LBFGS)(
            [v], max_iter=ITERATIONS, history_size=HISTORY, line_search_fn="strong_wolfe",
            tolerance_grad=TOLERANCE, tolerance_change=0,
        )  # fmt: skip
        evaluations = 0

        def closure() -> torch.Tensor:
            nonlocal evaluations
            evaluations += 1
            w = torch.linalg.solve_triangular(lower.T, v.detach(), upper=True)
            loss, slope = self._loss(w)
            v.grad = torch.linalg.solve_triangular(lower, slope + penalty * w, upper=False).contiguous()
            return loss + (penalty * w * w).sum() / 2

        optimizer.step(closure)
        closure()
        w = torch.linalg.solve_triangular(lower.T, v.detach(), upper=True)
        w = w if self.basis is None else torch.cat((self.basis @ w[:-1], w[-1:]))
        return Fit(w.float(), float(v.grad.abs().max()) <= TOLERANCE, evaluations)

    @torch.no_grad()
    def _loss(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean cross entropy and its gradient."""
        loss, slope = torch.zeros((), dtype=torch.float64), torch.zeros_like(w)
        for part, y in zip(self.parts, self.truth, strict=True):
            x, row = part.double(), torch.arange(len(part))
            z = torch.addmm(w[-1], x, w[:-1])
            total = z.logsumexp(1)
            loss += (total - z[row, y]).sum()
            p = (z - total[:, None]).exp_()
            p[row, y] -= 1
            slope[:-1].addmm_(x.T, p)
            slope[-1] += p.sum(0)
        return loss / self.rows, slope / self.rows


def unsolved(found: Any) -> list[str]:
    """The warning of results in which the settings beside some figure say that it has not converged."""
    if isinstance(found, Mapping):
        if found.get("converged", True) is False:
            return [UNSOLVED]
        found = list(found.values())
    return [UNSOLVED] if isinstance(found, list) and any(map(unsolved, found)) else []
