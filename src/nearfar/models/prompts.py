"""Classes that are known by their names alone: a model of pairs tells them by the text side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core.errors import ConfigError, DataError
from nearfar.methods import record
from nearfar.methods.schedule import at
from nearfar.models.predictions import Predictions, checked_vectors
from nearfar.vectors.basics import unit

if TYPE_CHECKING:
    from nearfar.core.console import Console
    from nearfar.models.model import Model

PLAIN = ("{}",)
SAME = 1e-6  # classes whose cosine is nearer to 1 than this cannot be distinguished


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """Made by `Model.zero_shot`; used as a `nearfar.downstream.classify.classifier.Classifier` is.

    Parameters
    ----------
    names : tuple of str
        Of the C classes.
    rows : tuple of str
        The P prompts, class by class, as many for each.
    prompts : ndarray of float32 (P, D)
        Their unit vectors.
    temperature : float
        What cosines are divided by before the softmax.
    layer : {"features", "projection"}
        The layer that the prompts' vectors are of, and those of rows have to be.
    notes : tuple of str
        How it was made, in sentences.
    """

    names: tuple[str, ...]
    rows: tuple[str, ...]
    prompts: np.ndarray
    temperature: float
    layer: str
    notes: tuple[str, ...] = ()

    @property
    def vectors(self) -> np.ndarray:
        """One unit vector a class, the mean of those of its prompts made unit again: float32 (C, D)."""
        return unit(self.prompts.reshape(len(self.names), -1, self.prompts.shape[1]).mean(1)).astype(np.float32)

    @property
    def present(self) -> np.ndarray:
        """The classes that may be predicted: all."""
        return np.arange(len(self.names))

    def predict(self, x: np.ndarray) -> Predictions:
        """Classes of vectors (N, D) that the model made, of the layer `layer`; of any length.

        No row is refused, since there are no rows that could say how near is near. ``nearest`` is the most similar
        prompt, as a position in `rows`.

        Raises
        ------
        DataError
            They have other dimensions, or numbers that are not finite.
        """
        units = unit(checked_vectors(x, self.prompts.shape[1]))
        cosines = units @ self.vectors.T
        # In double precision: a small temperature makes much of the last bits of a cosine.
        logits = cosines.astype(np.float64) / self.temperature
        e = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
        labels = cosines.argmax(1)
        similarity = np.take_along_axis(cosines, labels[:, None], 1)[:, 0]
        probabilities = (e / e.sum(1, keepdims=True)).astype(np.float32)
        return Predictions(labels, probabilities, similarity, (units @ self.prompts.T).argmax(1))

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Softmax of the cosines with the classes over the temperature, float32 (N, C)."""
        return self.predict(x).probabilities

    def summary(self) -> dict[str, Any]:
        """The part of ``--json`` that describes it."""
        templates = len(self.rows) // len(self.names)
        return {
            "classes": self.names, "kind": "zero-shot", "templates": templates, "temperature": self.temperature,
            "calibrated": False, "threshold": None, "out_of_fold": None, "rejection": None, "notes": self.notes,
        }  # fmt: skip


def make(
    model: Model, classes: Sequence[str], templates: Sequence[str] | str = PLAIN, *, column: str | None = None,
    temperature: float | None = None, console: Console | None = None,
) -> ZeroShot:  # fmt: skip
    """See `Model.zero_shot`."""
    names, forms = checked(classes, templates)
    text = text_column(model, column)
    rows = tuple(form.replace("{}", name) for name in names for form in forms)
    # Prompts lie in the space of the rows' vectors only in the layer that the loss compared, which is the one kept.
    vectors = model.encode(list(rows), column=text, layer=model.keeps, console=console)
    tau, how = (temperature, "given") if temperature is not None else temperature_of(model)
    if not tau > 0:
        raise ConfigError(f"{tau} is not a temperature; it must be above 0.", where="temperature")
    note = (
        f"Zero-shot: {len(names)} classes by {len(forms)} prompt{'s' * (len(forms) > 1)} each in the column {text!r}; "
        f"temperature {tau:.3g} ({how})."
    )
    made = ZeroShot(names, rows, vectors, float(tau), model.keeps, (note,))
    alike = np.argwhere(np.triu(made.vectors @ made.vectors.T > 1 - SAME, 1))
    if not len(alike):
        return made
    a, b = alike[0]
    same = f"To this model {names[a]!r} and {names[b]!r} are the same: the first is predicted."
    return ZeroShot(names, rows, vectors, float(tau), model.keeps, (note, same))


def checked(classes: Sequence[str], templates: Sequence[str] | str = PLAIN) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and templates, without the blanks around them.

    Raises
    ------
    ConfigError
        There are fewer than two classes, one is empty or comes twice, or a template has no ``{}``.
    """
    if isinstance(classes, str):
        raise ConfigError("the classes are a list of names, not one text.", where="classes")
    names = tuple(str(c).strip() for c in classes)
    forms = tuple(t.strip() for t in ((templates,) if isinstance(templates, str) else templates))
    if "" in names:
        raise ConfigError("a class has no name.", where="classes")
    if twice := [n for n in dict.fromkeys(names) if names.count(n) > 1]:
        raise ConfigError(f"the class {twice[0]!r} is named twice.", where="classes")
    if len(names) < 2:
        raise ConfigError("there must be two classes to tell apart.", where="classes")
    if not forms:
        raise ConfigError("there is no template.", where="templates", hint="For example 'a picture of a {}'.")
    if lacking := [t for t in forms if "{}" not in t]:
        raise ConfigError(
            f"the template {lacking[0]!r} has no place for the class.", where="templates",
            hint="Put {} where the name goes: 'a picture of a {}'.",
        )  # fmt: skip
    return names, forms


def text_columns(model: Model) -> list[str]:
    """The columns of text that may read prompts: none of an ensemble, whose members are not trained to meet."""
    texts = [name for name, (modality, _) in model.columns.items() if modality == "text"]
    return texts if len(model.members) == 1 else []


def text_column(model: Model, column: str | None = None) -> str:
    """The column that reads the prompts; raises `ConfigError` where there is none, or several and none was named."""
    if len(model.members) > 1:
        raise ConfigError("an ensemble knows no class by its name.", hint="Name one of its members, or labelled rows.")
    texts = text_columns(model)
    if column is not None and column not in texts:
        raise ConfigError(
            f"the column {column!r} is not a column of text.", where="column",
            hint=f"There are: {', '.join(texts)}." if texts else None,
        )  # fmt: skip
    if column is None and not texts:
        raise ConfigError(
            f"{model.name} has no column of text, so it knows no class by its name.",
            hint="Train one with --pair IMAGE CAPTION, or name labelled rows.",
        )
    if column is None and len({id(model.branches[c]) for c in texts}) > 1:
        raise ConfigError(f"the columns {', '.join(texts)} are all text.", hint="Name the one that reads the prompts.")
    return column or texts[0]


def temperature_of(model: Any) -> tuple[float, str]:
    """What the loss of an `Embedder` divided cosines by, and where that is from: learnt, or the method's number."""
    method = record.resolve(model.config.model.method, model.config.method)
    if name := method.learnt_temperature:
        value = model.numbers.get(name, method.parts[name].start)
        how = f"{name} {value:.3g}, {'learnt' if name in model.numbers else 'where learning began'}"
        return method.parts[name].temperature(value), how
    if "temperature" in model.numbers:  # of a pretrained model, which is used by no method
        return float(model.numbers["temperature"]), "learnt"
    if method.temperature is None:
        return 1.0, f"{method.name} has none"
    return float(at(method.temperature, 1.0)), f"of {method.name}"


def templates_of(given: str | Sequence[str]) -> list[str]:
    """All templates: each is a text with ``{}``, or a file with one a line."""
    return [t for text in ([given] if isinstance(given, str) else given)
            for t in ([text] if "{}" in text else lines_of(text))] or [*PLAIN]  # fmt: skip


def lines_of(text: str, separator: str | None = None) -> list[str]:
    """The lines of the file of that name; of what is no file the text itself, split at `separator`.

    Raises
    ------
    DataError
        The file is no text.
    """
    try:
        if Path(text).is_file():
            return [line.strip() for line in Path(text).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as e:
        raise DataError(f"cannot be read as text ({e}).", where=text) from e
    return [t.strip() for t in text.split(separator)] if separator else [text]
