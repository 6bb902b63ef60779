"""The function behind ``nearfar eval``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import checks
from nearfar.core.errors import NearfarError
from nearfar.core.options import check, names

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.evaluation.measurement import Evaluation

# of reading: what a trained model says itself
FROM_THE_MODEL = ("source", "modality", "spec", "known", "several", "negative", "size", "depth", "tokens", "length")


def evaluate(
    models: Any, data: Any = None, *, pair: Sequence[str] | Sequence[Sequence[str]] = (),
    templates: Sequence[str] | str = (), dimensions: int | Sequence[int] = (), keep: bool = False, map: str = "tsne",
    quiet: bool = False, console: Console | None = None, **options: Any,
) -> Evaluation:  # fmt: skip
    """Measure one or several models on labelled (or unlabelled) data, with floors and intervals.

    Parameters
    ----------
    models : Embedder, path, or a sequence of them
        The folder of a training with several seeds, or of any runs, stands for all of them.
    data : path, array or Table, optional
        By default the data that the first model was trained on.
    pair : (str, str), or sequence of such pairs
        Columns whose cells in one row belong together; the same as ``column=("a", "b")``.
    templates : str or sequence of str
        Prompts into which the names of classes are put, such as ``"a picture of a {}"``, or files with one a line.
    dimensions : int or sequence of int
        Also measure every model with so many of its first dimensions alone.
    keep : bool
        Write the measurement of a single run, with its report, into the run's folder, as the command does.
    map : {"tsne", "pca", "umap"}
        How the report's map of the data is laid out.
    **options
        Of `nearfar.evaluation.measurement.evaluate`, and of `nearfar.data.read.read` (``label=``, ``column=``).

    Returns
    -------
    Evaluation
        With mean and standard deviation over those that differ by the seed alone.

    Raises
    ------
    UnknownName
        There is no such option.
    """
    from nearfar.core.console import of_call
    from nearfar.data.read import read
    from nearfar.evaluation import measurement as evaluation
    from nearfar.evaluation import summary
    from nearfar.evaluation.report import of_run
    from nearfar.models import loading, prompts

    console = of_call(console, quiet)
    if pair:
        options["column"] = checks.columns_of(pair)
    if templates:
        options["templates"] = prompts.templates_of(templates)
    if "with_floors" in options:  # as it was called in version 0.1.0
        options["floors"] = options.pop("with_floors")
    own = {"models", "data", *FROM_THE_MODEL}
    known = dict.fromkeys([*names(evaluate), *names(evaluation.evaluate), *names(read)])
    check(options, [n for n in known if n not in own])
    loaded = loading.models(models if isinstance(models, Sequence) and not isinstance(models, str) else [models])
    sizes = [checks.whole(d, "dimensions", 1, "--dimensions") for d in np.atleast_1d(dimensions).tolist()]
    loaded += [model.cut(d) for model in loaded for d in sizes]
    found = evaluation.evaluate(loaded, data, console=console, **options)
    found.summary = summary.over_seeds(loaded, found.results)
    if keep and len(loaded) == 1:
        try:
            found.report = of_run.keep(loaded[0], found, layout=map, console=console)
        except NearfarError:
            console.say(f"\n{found}")  # what may have taken long is not lost with its report
            raise
    console.say()
    return found
