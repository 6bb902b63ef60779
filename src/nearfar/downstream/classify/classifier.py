"""A classifier on the vectors of a model, made from labelled rows, few or many."""

from __future__ import annotations

import hashlib
import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
import torch

from nearfar.core import files
from nearfar.core.errors import ConfigError, DataError, RunError, UnknownName
from nearfar.core.replacing import replaced
from nearfar.core.schema import above, fits, long, within
from nearfar.core.values import whole
from nearfar.data.facts import measured
from nearfar.downstream.classify import rejecting
from nearfar.downstream.classify.selection import KINDS, choose, knn_scores
from nearfar.evaluation.protocols import linear_probe
from nearfar.models.predictions import Predictions, checked_vectors
from nearfar.vectors import rejection
from nearfar.vectors.basics import moments_of_model, unit
from nearfar.vectors.logistic import UNSOLVED, Problem
from nearfar.vectors.neighbours import search

SCHEMA = 1
IDS = 50  # values of a label that may all be different
DESCRIPTION, WEIGHTS = "classifier.json", "weights.safetensors"


class About(TypedDict):
    """Of what a classifier was made."""

    model: NotRequired[str | None]
    label: NotRequired[str | None]
    column: NotRequired[str | None]
    group: NotRequired[str | None]


class Description(TypedDict):
    """``classifier.json``; see `Classifier` for what the fields mean."""

    schema: int
    kind: Literal["logistic", "knn"]
    setting: Annotated[float, above(0)]
    names: Annotated[list[str], long(2)]
    temperature: Annotated[float, above(0)]
    calibrated: bool
    threshold: float | None
    reject: Annotated[float, within(0, 1)]
    out_of_fold: dict[str, Any] | None
    rejection: NotRequired[dict[str, Any] | None]
    notes: list[str]
    about: About


@dataclass(frozen=True, eq=False)
class Classifier:
    """Made by `fit` or `load`.

    Parameters
    ----------
    names : tuple of str
        Of the C classes.
    kind : {"logistic", "knn"}
    setting : float
        C of logistic regression, or the k of kNN.
    x : ndarray of float32 (N, D)
        Vectors of the labelled rows.
    y : ndarray of int64 (N,)
        Their classes.
    rows : tuple of str
        What they are called.
    weights : ndarray of float32 (D + 1, P) or None
        Of logistic regression, for the P classes that have rows; the last row is the bias.
    mean, scale : ndarray of float64 (D,)
        Standardise what logistic regression sees.
    temperature : float
        Logits are divided by it.
    calibrated : bool
        Whether it was fitted.
    threshold : float or None
        Cosine below which a row is none of the classes.
    reject : float
        Share of rows like the labelled ones that was to fall below it.
    out_of_fold : mapping or None
        ``accuracy``, ``interval``, ``rows``; None where no row could be left out. Beside them ``taught``, where the
        model has learnt some of the rows, which were not scored then: how many; None where that is not known.
    rejection : mapping or None
        What becomes of rows of unknown classes, by leaving out ``classes``: the share that is ``refused``, its
        ``interval``, ``auroc`` of known against unknown rows by their similarity, and, where another share is
        better for both, ``proposed``: ``reject``, ``refused``, ``interval``.
    notes : tuple of str
        What was chosen and why, in sentences.
    about : mapping
        Of what it was made (JSON values).
    """

    names: tuple[str, ...]
    kind: str
    setting: float
    x: np.ndarray
    y: np.ndarray
    rows: tuple[str, ...]
    weights: np.ndarray | None
    mean: np.ndarray
    scale: np.ndarray
    temperature: float
    calibrated: bool
    threshold: float | None
    reject: float
    out_of_fold: Mapping[str, Any] | None = None
    rejection: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    layer = "features"  # of the model's vectors

    # --- making one -------------------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls, x: np.ndarray, labels: np.ndarray, names: Sequence[str], *, kind: str = "auto", seed: int = 0,
        reject: float = 0.01, rows: Sequence[str] | None = None, about: Mapping[str, Any] | None = None,
        groups: np.ndarray | None = None, taught: np.ndarray | None = None, cache: bool = False,
    ) -> Classifier:  # fmt: skip
        """A classifier of labelled vectors.

        Logistic regression sees each dimension standardised, or vectors of unit length by one scale for all; its C is
        chosen out of fold where the median class has 10 rows, and is 10 otherwise, 0.1 for vectors of unit length. kNN
        is that of the evaluation (cosine, weights exp(cos / 0.07)), with k the rows of the median class, at most 20.
        ``"auto"`` takes kNN where that is right more often out of fold by more than a standard error, or where there
        are more than 500 classes, and logistic regression else, always where the median class has fewer than 5 rows.
        Probabilities are calibrated by a temperature, fitted out of fold, where the median class has 5 rows.

        Parameters
        ----------
        x : ndarray of float32 (N, D)
            Not normalised.
        labels : ndarray of int64 (N,)
            Positions in `names`; rows with −1 are left out.
        names : sequence of str
            Of the C classes. A class without rows is never predicted.
        kind : {"auto", "logistic", "knn"}
        seed : int
            Of the folds.
        reject : float
            Rows farther from their class than all but this share of the labelled rows are from theirs are none of the
            classes; 0 refuses nothing.
        rows : sequence of str, optional
            What the N rows are called; by default their numbers.
        about : mapping, optional
        groups : ndarray of int64 (N,), optional
            Rows of equal number, such as those of one patient, are left out together wherever rows are left out.
        taught : ndarray of bool (N,), optional
            Rows whose labels, or what else stood beside them, taught the model that made the vectors. It knows them, so
            accuracy, temperature and the threshold for none of these are measured on the other rows.
        cache : bool
            What was found of the same vectors and labels is taken from where it is kept, see `nearfar doctor`.

        Raises
        ------
        DataError
            There are no labels of two classes, nearly every row has a label of its own, or numbers are not finite.
        ConfigError, UnknownName
            `reject` is not in [0, 1), there is no such `kind`.
        """
        check_request(kind, reject, seed)
        x, labels = np.asarray(x, np.float32), np.asarray(labels, np.int64)
        if x.ndim != 2 or len(x) != len(labels) or labels.max(initial=-1) >= len(names):
            raise ValueError(f"x: {x.shape}, labels: {labels.shape} up to {labels.max(initial=-1)}, {len(names)} names")
        kept = np.flatnonzero(labels >= 0)
        called = [str(rows[i]) for i in kept] if rows is not None else [str(i) for i in kept]
        x, y = checked_vectors(x[kept], x.shape[1]), labels[kept]
        present, compact, counts = np.unique(y, return_inverse=True, return_counts=True)
        check_labels(labels, names, kind)
        groups = None if groups is None else np.asarray(groups)[kept]
        taught = taught[kept] if taught is not None and taught[kept].any() else None
        if taught is not None and groups is not None:
            taught = np.isin(groups, groups[taught])  # what is known of one row tells of its group
        choice = choose(x, compact, counts, kind, seed, groups, taught, cache)
        mean, scale = moments_of_model(x)
        weights, unsolved = None, ()
        if choice.kind == "logistic":
            fitted = Problem(_standardised(x, mean, scale), compact, len(present)).solve(choice.setting)
            weights, unsolved = fitted.weights.numpy(), () if fitted.converged else (UNSOLVED,)
        refused = rejecting.decide(
            x, compact, choice.kind, choice.setting, reject, seed=seed, groups=groups, taught=taught
        )
        each = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} … {counts.max():,}"
        about_rows = [f"Labels: {len(y):,} rows of {len(counts):,} classes, {each} a class"]
        if absent := len(names) - len(counts):
            about_rows.append(f"{absent:,} classes have no rows and are never predicted")
        if left_out := len(labels) - len(kept):
            about_rows.append(f"{left_out:,} rows without a label are left out")
        others = 0 if taught is None else int((~taught).sum())
        learnt = () if taught is None else (
            f"The model has learnt {int(taught.sum()):,} of these rows with their labels, or with what stood beside "
            f"them: {f'figures are of the {others:,} others' if others else 'there are no others to measure on'}.",
        )  # fmt: skip
        notes = (f"{'; '.join(about_rows)}.", *learnt, *choice.notes, *unsolved, *refused.notes)
        return cls(
            tuple(names), choice.kind, float(choice.setting), x, y, tuple(called), weights, mean, scale,
            choice.temperature, choice.calibrated, refused.threshold, reject, choice.out_of_fold, refused.figures,
            notes, dict(about or {}),
        )  # fmt: skip

    # --- using it ---------------------------------------------------------------------------------------------

    def predict(self, x: np.ndarray) -> Predictions:
        """Classes of new vectors (N, D), made as those that it was fitted on were.

        Raises
        ------
        DataError
            They have other dimensions, or numbers that are not finite.
        """
        x = checked_vectors(x, self.x.shape[1])
        if self.kind == "knn":
            compact = np.searchsorted(self.present, self.y)
            scores = knn_scores(self.x, compact, x, len(self.present), self.setting)
        else:
            standard = _standardised(x, self.mean, self.scale)
            scores = linear_probe.scores(torch.from_numpy(self.weights), standard).numpy()
        probabilities = np.zeros((len(x), len(self.names)), np.float32)
        tempered = torch.from_numpy(scores).double() / self.temperature
        probabilities[:, self.present] = tempered.softmax(1).numpy()
        likeliest, units, gallery = probabilities.argmax(1), unit(x), unit(self.x)
        similarity = rejection.to_class(gallery, self.y, units, likeliest)
        labels = likeliest if self.threshold is None else np.where(similarity < self.threshold, -1, likeliest)
        return Predictions(labels, probabilities, similarity, search(units, gallery, 1)[1][:, 0])

    @cached_property
    def present(self) -> np.ndarray:
        """The classes that have rows, and so may be predicted."""
        return np.unique(self.y)

    def summary(self) -> dict[str, Any]:
        """The part of ``--json`` that describes it."""
        keys = ("kind", "setting", "temperature", "calibrated", "threshold", "out_of_fold", "rejection", "notes")
        return {"classes": self.names, **{k: getattr(self, k) for k in keys}}

    # --- keeping it -------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write ``classifier.json`` and ``weights.safetensors``, which hold all that `load` needs."""
        stored = {"schema": SCHEMA} | {k: getattr(self, k) for k in Description.__annotations__ if k != "schema"}
        called = np.frombuffer(json.dumps(self.rows).encode(), np.uint8)
        arrays = {"x": self.x, "y": self.y, "rows": called, "mean": self.mean, "scale": self.scale}
        if self.weights is not None:
            arrays["weights"] = self.weights
        tensors = {k: torch.from_numpy(v.copy()) for k, v in arrays.items()}
        with replaced(folder, lambda old: (old / DESCRIPTION, old / WEIGHTS)) as made:
            files.save_tensors(made / WEIGHTS, tensors, {"classifier": _mark(files.finite(stored))})
            files.write_json(made / DESCRIPTION, stored)

    @classmethod
    def load(cls, folder: str | Path) -> Classifier:
        """What `save` wrote.

        Raises
        ------
        RunError
            It is missing, damaged, newer, or the two files are not of one classifier.
        """
        file, again = Path(folder) / DESCRIPTION, "Make it again."
        stored = files.read_json(file)
        files.check_schema(stored, SCHEMA, str(file))
        fits(stored, Description, str(file))
        tensors, metadata = files.load_tensors(Path(folder) / WEIGHTS)
        if metadata.get("classifier") != _mark(stored):
            raise RunError(f"does not belong to the {WEIGHTS} beside it.", where=str(file), hint=again)
        try:
            called = files.json_of(tensors["rows"].numpy().tobytes(), str(file))
            fits(called, list[str], str(file), "rows")
            arrays = {k: tensors[k].numpy() for k in ("x", "y", "mean", "scale", "weights") if k in tensors}
            lists = {"names": tuple(stored["names"]), "notes": tuple(stored["notes"]), "rows": tuple(called)}
            # Early classifiers say nothing of rejection, and kNN has no weights.
            values = {"rejection": None, "weights": None, **stored, **arrays, **lists}
            values["setting"] = float(stored["setting"])
            made = cls(**{f.name: values[f.name] for f in fields(cls)})
            made._check()
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise RunError(f"is damaged: {type(e).__name__} {e}.", where=str(file), hint=again) from e
        return made

    def _check(self) -> None:
        """Raise where the parts do not fit each other: a file is not to be believed."""
        (n, d), present = self.x.shape, self.present
        wanted = [("x", self.x, np.float32, (n, d)), ("y", self.y, np.int64, (n,))]
        wanted += [(k, getattr(self, k), np.float64, (d,)) for k in ("mean", "scale")]
        if self.kind == "logistic":
            wanted.append(("weights", self.weights, np.float32, (d + 1, len(present))))
        for name, array, dtype, shape in wanted:
            if array.dtype != dtype or array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
        if not (
            n > 1 and len(present) > 1 and present[0] >= 0 and present[-1] < len(self.names) and len(self.rows) == n
            and (self.kind == "logistic" or 1 <= self.setting == int(self.setting))
        ):  # fmt: skip
            raise ValueError("its parts do not fit each other")


def check_request(kind: str, reject: float, seed: int = 0) -> None:
    """Raise `UnknownName` or `ConfigError` for what `Classifier.fit` would not take."""
    if kind not in KINDS:
        raise UnknownName("kind of classifier", kind, KINDS, where="--kind")
    if isinstance(reject, bool) or not isinstance(reject, numbers.Real) or not 0 <= reject < 1:
        shown = f"{reject:g}" if isinstance(reject, float) else repr(reject)
        raise ConfigError(f"{shown} is not a share from 0 to below 1.", where="--reject")
    whole(seed, "seed", 0, "--seed")


def check_labels(labels: np.ndarray, names: Sequence[str], kind: str = "auto") -> None:
    """Raise `DataError` for labels that make no classes; a `kind` that was named says that many values are meant."""
    present, counts = np.unique(labels[labels >= 0], return_counts=True)
    rows, classes = int(counts.sum()), len(counts)
    if classes == 0:
        raise DataError("no row has a label.", hint="Name the column that holds them with --label.")
    if classes == 1:
        raise DataError(f"all {rows:,} labelled rows are {names[present[0]]!r}; there must be two classes.")
    some = ", ".join(names[c] for c in present[:3])
    if kind == "auto" and measured([names[c] for c in present]):
        raise DataError(
            f"{rows:,} rows have {classes:,} different numbers as labels ({some} …), which looks measured.",
            hint="Bring classes, such as ranges of these numbers, or pass --kind knn if each is a class.",
        )
    if classes > IDS and classes > rows / 2 and kind == "auto":
        raise DataError(
            f"{rows:,} rows have {classes:,} different labels ({some} …): is that column an id?",
            hint="Name the column of the classes with --label; if it is this one, pass --kind knn.",
        )


def _standardised(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return ((x - mean) * scale).astype(np.float32)


def _mark(stored: Any) -> str:
    """A hash of the description, kept beside the weights: the two belong together."""
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()
