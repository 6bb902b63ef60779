"""The demonstration: handwritten digits, learnt without labels, measured with few."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.evaluation.measurement import Evaluation

# Chosen on a held-out part of the training rows; see benchmarks/digits.py.
RECIPE: dict[str, Any] = {
    "method": "simclr", "epochs": 60, "batch_size": 64, "lr": 0.003, "temperature": 0.5, "holdout": 0.0,
    "encoder_options": {"widths": [32, 64, 128, 256]}, "recipe": "digits",
}  # fmt: skip


def digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The 1,797 digits of scikit-learn (8 × 8 pixels, 0 … 16), a third of them set aside as the test split."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = found.images.astype(np.float32) / 16, found.target
    order = np.random.default_rng(0).permutation(len(labels))
    test, train = order[: len(order) // 3], order[len(order) // 3 :]
    return {"train": (images[train], labels[train]), "test": (images[test], labels[test])}


def run(out: str | Path, *, epochs: int | None = None, seed: int = 0, console: Console) -> tuple[Evaluation, Path]:
    """Train, measure, write the report; returns the measurement and the report's path."""
    from nearfar.evaluation import evaluate
    from nearfar.evaluation.report import of_run
    from nearfar.training import train

    console.say("1,797 handwritten digits from scikit-learn; a third is set aside. No label is used for training.")
    knobs = RECIPE | ({"epochs": epochs} if epochs is not None else {})
    data = digits()
    trained = train.train(data, out=out, overwrite=True, console=console, command="nearfar demo", seed=seed, **knobs)
    evaluation = evaluate.evaluate(trained.model, data, console=console)
    return evaluation, of_run.keep(trained.model, evaluation, console=console)
