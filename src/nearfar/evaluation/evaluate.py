"""The function behind ``nearfar eval``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.core.options import check, names

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.evaluation.measurement import Evaluation

# of reading: what a trained model says itself
FROM_THE_MODEL = ("source", "modality", "spec", "known", "several", "negative", "size", "depth", "tokens", "length")


def evaluate(
    models: Any, data: Any = None, *, quiet: bool = False, console: Console | None = None, **options: Any
) -> Evaluation:
    """Measure one or several models on labelled (or unlabelled) data, with floors and intervals.

    Parameters
    ----------
    models : Embedder, path, or a sequence of them
        The folder of a training with several seeds, or of any runs, stands for all of them.
    data : path, array or Table, optional
        By default the data that the first model was trained on.
    quiet : bool
        Show no text on stderr; warnings come all the same, as `NearfarWarning`.
    console : Console, optional
        Another place for text and progress.
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
    from nearfar.models import loading

    if "with_floors" in options:  # as it was called in version 0.1.0
        options["floors"] = options.pop("with_floors")
    own = {"models", "data", *FROM_THE_MODEL}
    known = dict.fromkeys(["quiet", *names(evaluation.evaluate), *names(read)])
    check(options, [n for n in known if n not in own])
    loaded = loading.models(models if isinstance(models, Sequence) and not isinstance(models, str) else [models])
    found = evaluation.evaluate(loaded, data, console=of_call(console, quiet), **options)
    found.summary = summary.over_seeds(loaded, found.results)
    return found
