"""What `nearfar.classify` gives, and how it is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.data.table import Skipped
    from nearfar.downstream.classify.classifier import Classifier
    from nearfar.models.predictions import Predictions
    from nearfar.models.prompts import ZeroShot

SHOWN = 10  # predictions in the repr; a file has all


@dataclass(frozen=True)
class Classified:
    """What `classify` gives.

    Parameters
    ----------
    classifier : Classifier or ZeroShot
    path : Path or None
        Its folder, if it lies in one.
    names : sequence of str
        Of the new rows.
    texts : sequence of str or None
        What they say, where they are texts.
    predictions : Predictions or None
        None where there were no new rows to classify.
    figures : mapping or None
        Of `Predictions.figures`, where the new rows have labels.
    skipped : sequence of Skipped
        New rows that could not be read.
    warnings : tuple of str
    run : str
        What was classified with.
    out : str or None
        The file that holds the predictions.
    """

    classifier: Classifier | ZeroShot
    path: Path | None
    names: Sequence[str] = ()
    texts: Sequence[str] | None = None
    predictions: Predictions | None = None
    figures: dict[str, Any] | None = None
    skipped: Sequence[Skipped] = ()
    warnings: tuple[str, ...] = ()
    run: str = ""
    out: str | None = None

    def lines(self) -> list[dict[str, Any]]:
        """One mapping a new row, see `nearfar.models.predictions.COLUMNS`."""
        if self.predictions is None:
            return []
        return self.predictions.lines(self.names, self.classifier.names, self.classifier.rows, self.texts)

    def write(self, path: str | Path) -> None:
        """Write `lines` as CSV."""
        from nearfar.models.predictions import write

        write(path, self.lines())

    def __repr__(self) -> str:
        said = [_measured(self.figures)] if self.figures else []
        if self.predictions is not None:
            said += self._predicted()
        elif self.path is not None:
            said.append(f"Next: nearfar classify {self.run} NEW --use {self.path.name}")
        return "\n".join(said)

    def _predicted(self) -> list[str]:
        """How many rows are of which class, and the first predictions where no file holds them."""
        lines = self.lines()
        counts = Counter(line["prediction"] for line in lines)
        rejected = counts.pop(None, 0)
        often = [f"{name} ({n:,})" for name, n in counts.most_common(SHOWN)] + ["…"] * (len(counts) > SHOWN)
        rows = f"{len(lines):,} new row{'s' * (len(lines) != 1)}"
        said = [f"{rows}: {', '.join([*often, f'none of these ({rejected:,})'])}."]
        if self.out:
            return [*said, f"The predictions are in {self.out}."]
        for line in lines[:SHOWN]:
            shown = line["prediction"] or f"none of these (likeliest: {line['likeliest']})"
            said.append(f"  {line['name']}  {shown}  {line['probability']:.3f}  near {line['nearest']}")
        return [*said, "Pass --out predictions.csv to keep them."]

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar classify --json`` prints."""
        return {
            "schema": 1, "verb": "classify", "run": self.run, "classifier": str(self.path) if self.path else None,
            **self.classifier.summary(), "rows": len(self.names), "figures": self.figures,
            "predictions": None if self.out else self.lines(), "warnings": self.warnings,
            "skipped": [{"name": s.name, "reason": s.reason} for s in self.skipped],
        }  # fmt: skip


def _measured(f: dict[str, Any]) -> str:
    said = []
    if f["rows"]:
        of = {name: "–" if f[name] is None else "{:.3f} [{:.3f}, {:.3f}]".format(f[name], *f[f"{name}_interval"])
              for name in ("accuracy", "coverage", "accuracy_kept")}  # fmt: skip
        said.append(
            f"Measured on {f['rows']:,} labelled new rows: accuracy {of['accuracy']}; not refused {of['coverage']}, "
            f"accuracy of those {of['accuracy_kept']}; "
            f"expected calibration error {f['calibration_error']:.3f} (15 bins)."
        )
    if f["strangers"]:
        said.append(f"Of other classes: {f['strangers']:,} rows, {f['strangers_refused']:,} of them refused.")
    return "\n".join(said)
