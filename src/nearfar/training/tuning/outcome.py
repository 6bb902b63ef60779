"""What a search found: a table, a sentence, a config, and the JSON form."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from scipy import stats

from nearfar.core import files
from nearfar.core.config import SECTIONS, Config
from nearfar.core.console import clock, table
from nearfar.core.errors import ConfigError
from nearfar.training.tuning.halving import Search, Trial, at_rung, order
from nearfar.vectors.label_free import NAMES

FORMATS = (".toml", ".json")


@dataclass(frozen=True)
class Outcome:
    """What was tried, and what came of it."""

    search: Search
    asked: Config  # by the user, with its "auto"
    seconds: float  # spent
    written: Path | None = None  # the config file

    def __repr__(self) -> str:
        if self.written is None:
            return self.table()
        command = shlex.join(["nearfar", "train", self.asked.data.source or "DATA", "--config", str(self.written)])
        return f"{self.table()}\n\nThe config is in {self.written}.\nNext: {command}"

    @property
    def exit_status(self) -> int:
        """That of the command: of a signal where one ended the search, else 0."""
        return self.search.stopped

    @cached_property
    def trials(self) -> list[Trial]:
        """Best first: by the rung reached, then by the score there."""
        return order(self.search.trials, self.search.scorer)

    @cached_property
    def scores(self) -> dict[int, float]:
        """Score of every trial at the last rung that it reached, by number."""
        return {t.number: self._score(t, len(t.measured) - 1) for t in self.trials}

    def _score(self, trial: Trial, rung: int) -> float:
        return at_rung(self.search.trials, self.search.scorer, rung)[trial.number]

    @cached_property
    def verdict(self) -> dict[str, Any]:
        """The best other trial against the defaults, where both were measured.

        ``best`` (number of the best trial that is not the defaults, or None), ``epochs`` (where the two are compared),
        ``difference``, ``interval`` (95 %, over the same held-out rows, Student's t, widened after Bonferroni for the
        best of those that got as far), ``compared``, ``kept`` (number of the trial whose values are kept: 0, the
        defaults, unless the interval is above 0 after a whole trial), ``sentence``.
        """
        defaults = self.search.trials[0]
        others = [t for t in self.trials if t.number and np.isfinite(self.scores[t.number])]
        verdict = {"best": None, "epochs": None, "difference": None, "interval": None, "compared": 0, "kept": 0}
        if not others:
            return verdict | {"sentence": "No other trial was measured, so the defaults are kept: give it more time."}
        best = others[0]
        verdict["best"] = best.number
        if defaults.measured[0] is None:
            return verdict | {"kept": best.number, "sentence": f"The defaults did not train; trial {best.number} did."}
        last = min(len(best.measured), sum(m is not None for m in defaults.measured)) - 1
        there = [t for t in self.search.trials if len(t.measured) > last and t.measured[last] is not None]
        draws = self.search.scorer.draws([t.measured[last] for t in there])
        by_number = dict(zip((t.number for t in there), draws, strict=True))
        d = by_number[best.number] - by_number[0]
        compared, mean = len(there) - 1, float(d.mean())
        half, whole = _half_width(d, compared), last + 1 == len(self.search.rungs)
        verdict |= {
            "epochs": self.search.rungs[last], "difference": mean, "interval": [mean - half, mean + half],
            "compared": compared, "kept": best.number if whole and mean - half > 0 else 0,
        }  # fmt: skip
        return verdict | {"sentence": self._sentence(verdict, last)}

    def _sentence(self, verdict: Mapping[str, Any], last: int) -> str:
        best, mean, (low, high) = verdict["best"], verdict["difference"], verdict["interval"]
        whole, count = self.search.space.base.train.epochs, verdict["epochs"]
        epochs = f"{count} of {whole} epochs" if count < whole else f"{count} epoch{'s' if count != 1 else ''}"
        difference = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] after {epochs}"
        if last + 1 < len(self.search.rungs):
            more = f"no other one got to {self.search.rungs[-1]} epochs" + (": give it more time." if mean > 0 else ".")
            lead = "ahead of" if mean > 0 else "no better than" if mean == 0 else "behind"
            return f"The defaults are kept: the best other trial, {best}, was {lead} them ({difference}); {more}"
        if low > 0:
            return f"Trial {best} beats the defaults by {difference}."
        if mean > 0:
            return f"Trial {best} is ahead of the defaults by no more than chance gives ({difference}): they are kept."
        return f"Nothing beat the defaults: the best other trial, {best}, differs by {difference}. They are kept."

    @property
    def kept(self) -> dict[str, Any]:
        """The knobs that are kept, by path; none where those are the defaults."""
        number = self.verdict["kept"]
        return self.search.space.changes(self.search.trials[number].values) if number else {}

    @cached_property
    def config(self) -> Config:
        """What was asked for with the knobs that are kept: to be given to `nearfar.train`."""
        config = self.asked
        if self.kept and config.model.method == "auto":  # they are numbers of the method that was chosen
            config = config.set("model.method", self.search.plan.config.model.method)
        for path, value in self.kept.items():
            config = config.set(path, value)
        return config

    def table(self) -> str:
        """All trials, best first."""
        space, scorer = self.search.space, self.search.scorer
        names = [name for name in ("lr", "temperature", "crop", "batch") if name in self.trials[0].values]
        shape = () if scorer.labelled else ("RankMe", "alpha", "agreement")
        cells = [["rank", "trial", "score", "95 %" if scorer.labelled else "", *shape, *names, "epochs", "seconds", ""]]
        for place, t in enumerate(self.trials, 1):
            last, score = t.measured[-1], self.scores[t.number]
            interval = scorer.interval(last)
            cells.append([
                str(place), str(t.number), f"{score:.3f}" if math.isfinite(score) else "–",
                "[{:.3f}, {:.3f}]".format(*interval) if interval else "",
                *("–" if last is None else f"{last[0][i]:.3g}" for i in range(len(shape))),  # over all rows
                *(space.shown(name, t.values) for name in names),
                str(t.epochs), f"{t.seconds:.1f}", "the defaults" if t.number == 0 else "",
            ])  # fmt: skip
        columns = [c for c in zip(*cells, strict=True) if any(c)]
        tried = f"{len(self.trials)} trials in {clock(self.seconds)} of {clock(self.search.budget)}"
        tried += ", stopped" if self.search.stopped else ""
        lines = table(list(zip(*columns, strict=True)))
        return "\n".join([lines, "", f"Score: {scorer.words}. {tried}.", self.verdict["sentence"]])

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        search, scorer = self.search, self.search.scorer
        table, rungs = search.plan.table, search.rungs
        places = {t.number: place for place, t in enumerate(self.trials, 1)}
        return files.finite({
            "schema": 1, "verb": "tune",
            "data": {
                "source": table.source.get("source"), "fingerprint": table.fingerprint,
                "train_rows": len(search.rows.train), "heldout_rows": len(search.rows.held),
                "spared_rows": search.rows.spared,
            },
            "score": {"what": scorer.words, "labels": scorer.labelled, "rows": len(scorer.held)},
            "seed": search.plan.config.train.seed, "horizon": search.horizon, "rungs": rungs,
            "budget_seconds": search.budget, "seconds": round(self.seconds, 3), "stopped": bool(search.stopped),
            "trials": [
                {
                    "rank": places[t.number], "number": t.number, "defaults": t.number == 0,
                    "score": self.scores[t.number], "interval": scorer.interval(t.measured[-1]),
                    **t.values, "knobs": search.space.changes(t.values), "epochs": t.epochs,
                    "seconds": round(t.seconds, 3), "ended": t.ended,
                    "rungs": [
                        {"epochs": rungs[r], "score": self._score(t, r)}
                        | ({} if scorer.labelled or m is None else dict(zip(NAMES, map(float, m[0]), strict=True)))
                        for r, m in enumerate(t.measured)
                    ],
                }
                for t in self.trials
            ],
            "verdict": self.verdict, "kept": self.kept, **({"out": str(self.written)} if self.written else {}),
        })  # fmt: skip

    def save(self, out: str | Path) -> Path:
        """Write the config for `nearfar train --config`, and into a folder also all trials. Returns the config's path.

        `out` is a file that ends in .toml or .json, or a folder, which gets ``best.toml`` and ``tune.json``.
        """
        path = target(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = differing(self.config)
        if Path(out).suffix not in FORMATS:  # first, since it is by the config that a tuning counts as written
            files.write_json(path.parent / "tune.json", self.as_dict())
        if path.suffix == ".json":
            files.write_json(path, values)
        else:
            seed, sentence = self.search.plan.config.train.seed, self.verdict["sentence"]
            files.write_text(path, f"# Found by nearfar tune, seed {seed}. {sentence}\n\n{toml(values)}")
        return path


def target(out: str | Path) -> Path:
    """The config file that `out`, a file or a folder, means."""
    out = Path(out)
    return out if out.suffix in FORMATS else out / "best.toml"


def free(out: str | Path, overwrite: bool) -> None:
    """Raise a `ConfigError` where the config file is there already and must not be written over."""
    if target(out).exists() and not overwrite:
        raise ConfigError("is there already.", where=str(target(out)), hint="Name another --out, or pass --overwrite.")


def differing(config: Config) -> dict[str, Any]:
    """The knobs of a config that are not at their defaults, nested, without where the data are."""
    given, usual, differ = config.as_dict(), Config().as_dict(), {}
    for section in (*SECTIONS, "method"):
        knobs = {k: v for k, v in given[section].items() if v != usual[section].get(k) or section == "method"}
        if section == "data":
            knobs.pop("source", None)
        if knobs:
            differ[section] = knobs
    return differ


def toml(values: Mapping[str, Any]) -> str:
    """Nested knobs as TOML. What is None is written as the word none, which the config reads as that."""

    def without_none(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: without_none(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [without_none(v) for v in value]
        return "none" if value is None else value

    return tomli_w.dumps(without_none(values))


def _half_width(d: np.ndarray, compared: int) -> float:
    """Half of the 95 % interval of the mean of paired differences, for the best of so many (Bonferroni)."""
    if len(d) < 2:
        return math.inf
    return float(stats.t.ppf(1 - 0.025 / max(1, compared), len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))
