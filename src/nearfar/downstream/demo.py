"""The demonstration: handwritten digits, learnt without labels, measured with few."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.options import checked

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.evaluation.evaluate import Evaluation

# Chosen on a held-out part of the training rows; see benchmarks/digits.py.
RECIPE: dict[str, Any] = {
    "method": "simclr", "epochs": 60, "batch_size": 64, "lr": 0.003, "temperature": 0.5, "holdout": 0.0,
    "encoder_options": {"widths": [32, 64, 128, 256]}, "recipe": "digits",
}  # fmt: skip


def digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The 1,797 digits of scikit-learn (8 × 8 pixels, 0 … 16), a third of them held out as the test split."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = found.images.astype(np.float32) / 16, found.target
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = order[: len(order) // 3], order[len(order) // 3 :]
    return {"train": (images[train], labels[train]), "test": (images[test], labels[test])}


@dataclass(frozen=True)
class Demonstration:
    """What `demo` gives: the measurement, and the path of its report."""

    evaluation: Evaluation
    report: Path

    def __repr__(self) -> str:
        return f"{self.evaluation}\n\nReport: {self.report}\nNext: nearfar train YOUR_PICTURES/ --out runs/yours"

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar demo --json`` prints."""
        return self.evaluation.as_dict() | {"verb": "demo", "report": str(self.report)}


@checked
def demo(
    *, out: str | Path = "runs/demo", epochs: int | None = None, seed: int = 0, quiet: bool = False,
    console: Console | None = None,
) -> Demonstration:  # fmt: skip
    """Learn digits without labels, measure the embedding with few, and write the report.

    Arguments that are not described here are those of `nearfar`.

    Parameters
    ----------
    out : path
        Run folder; an earlier demonstration there is replaced.
    epochs : int, optional
        By default 60.
    seed : int

    Returns
    -------
    Demonstration
    """
    from nearfar.core.console import of_call
    from nearfar.evaluation import evaluate
    from nearfar.evaluation.report import of_run
    from nearfar.training import train

    console = of_call(console, quiet)
    console.say("1,797 handwritten digits from scikit-learn; a third is held out. No label is used for training.")
    knobs = RECIPE | ({"epochs": epochs} if epochs is not None else {})
    data = digits()
    trained = train.train(data, out=out, overwrite=True, console=console, command="nearfar demo", seed=seed, **knobs)
    evaluation = evaluate.evaluate(trained.model, data, console=console)
    return Demonstration(evaluation, of_run.keep(trained.model, evaluation, console=console))
