"""Random parameters for the rows of a batch. Transforms see only this, so two rows cannot share a parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch


class Draws:
    """Draws for the *global* batch from a CPU generator, of which this process keeps its share of the rows.

    So N processes draw what one would, and a GPU gets the parameters that a CPU would.

    Parameters
    ----------
    generator : torch.Generator
    total : int
        Rows of the global batch.
    rows : slice, optional
        This process's share; all by default.
    device : str or torch.device
        Where the parameters go.
    batch : callable, optional
        Gives the values of the *global* batch, for transforms that mix rows.
    common : torch.Generator, optional
        Draws the same in every view of these rows.
    """

    def __init__(
        self, generator: torch.Generator, total: int, rows: slice | None = None,
        device: str | torch.device = "cpu", batch: Callable[[], torch.Tensor] | None = None,
        common: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        self.generator, self.total, self.share, self.device = generator, total, rows or slice(None), device
        self.batch, self._common = batch, common

    def __len__(self) -> int:
        return len(range(*self.share.indices(self.total)))

    def _host(self, what: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """This share of what `make` draws for the global batch, on the CPU; `what` tells draws apart in `parts`."""
        return make()[self.share]

    def _drawn(self, what: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        return self._host(what, make).to(self.device, non_blocking=True)

    @property
    def common(self) -> Draws:
        """Draws that are the same in all views of these rows, such as the place where a sequence is cut into two."""
        if self._common is None:
            raise ValueError("these draws are of one view alone")
        return Draws(self._common, self.total, self.share, self.device, self.batch)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Uniform in [low, high), shape (rows, *shape), float32."""
        return self._drawn(
            f"uniform {shape}", lambda: torch.rand(self.total, *shape, generator=self.generator) * (high - low) + low
        )

    def log_uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Uniform in the logarithm, shape (rows, *shape)."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal, shape (rows, *shape)."""
        return self._drawn(f"normal {shape}", lambda: torch.randn(self.total, *shape, generator=self.generator))

    def bernoulli(self, p: float, *shape: int) -> torch.Tensor:
        """True with probability p, shape (rows, *shape)."""
        return self.uniform(0.0, 1.0, *shape) < p

    def chosen(self, p: float) -> torch.Tensor:
        """Numbers of the rows that `bernoulli(p)` would choose, int64; found on the CPU, so no device is waited for."""
        drawn = self._host("uniform ()", lambda: torch.rand(self.total, generator=self.generator))
        return (drawn < p).nonzero()[:, 0].to(self.device, non_blocking=True)

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """Whole numbers in [low, high), shape (rows, *shape)."""
        return self._drawn(
            f"integers {shape}", lambda: torch.randint(low, high, (self.total, *shape), generator=self.generator)
        )

    def dealt(self, options: int) -> list[torch.Tensor]:
        """One of `options` for each row: the numbers of the rows that got it, by option; found on the CPU."""
        drawn = self._host("dealt ()", lambda: torch.randint(0, options, (self.total,), generator=self.generator))
        return [(drawn == i).nonzero()[:, 0].to(self.device, non_blocking=True) for i in range(options)]

    def others(self) -> torch.Tensor:
        """For each row the number, in the global batch, of another row; shape (rows,). A batch of one has itself."""
        own = torch.arange(self.total)[self.share].to(self.device, non_blocking=True)
        return (own + self.integers(1, max(2, self.total))) % self.total

    def parts(self, rows: int) -> Iterator[tuple[slice, Draws]]:
        """This share in pieces of at most `rows` rows, each with its own `Draws`.

        The first piece draws for all of them and the others read what was drawn: together the pieces draw what the
        whole would. So what is drawn, and in which order, must not depend on the values of the rows: a later piece
        that draws something else than the first did raises `RuntimeError`.
        """
        n = len(self)
        if n <= rows:
            yield slice(0, n), self
            return
        tape: list[tuple[str, torch.Tensor]] = []
        for start in range(0, n, rows):
            piece = slice(start, min(n, start + rows))
            yield piece, _Part(self, piece, tape)


class _Part(Draws):
    """Some of the rows of a share, reading from a tape that the first of them writes."""

    def __init__(self, whole: Draws, piece: slice, tape: list[tuple[str, torch.Tensor]]) -> None:
        start = whole.share.indices(whole.total)[0]
        super().__init__(
            whole.generator,
            whole.total,
            slice(start + piece.start, start + piece.stop),
            whole.device,
            whole.batch,
            whole._common,
        )
        self.whole, self.piece, self.tape, self.position = whole, piece, tape, 0

    def _host(self, what: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        if self.position == len(self.tape):
            if self.piece.start:
                raise RuntimeError(f"a transform draws {what} for some rows and not for others")
            self.tape.append((what, self.whole._host(what, make)))
        known, drawn = self.tape[self.position]
        if known != what:
            raise RuntimeError(f"a transform draws {known} for some rows and {what} for others")
        self.position += 1
        return drawn[self.piece]


def check_range(where: str, span: tuple[float, float], *, least: float = math.ulp(0), most: float = math.inf) -> None:
    """Raise a `ValueError` where `span` is not (low, high) with `least` ≤ low ≤ high ≤ `most`; low > 0 by default."""
    if not least <= span[0] <= span[1] <= most:
        low = f"at least {least:g}" if least in (0, 1) else "above 0"
        limits = low if most == math.inf else f"{low} and at most {most:g}"
        raise ValueError(f"{where}: expected two numbers {limits}, the smaller first, got {span}")
