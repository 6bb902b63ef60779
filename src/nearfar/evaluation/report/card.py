"""The model card: what a run is, in a README beside it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfar.core import files
from nearfar.core.version import __version__
from nearfar.evaluation import below, verdict
from nearfar.evaluation.report import kept
from nearfar.evaluation.report.templates import render
from nearfar.evaluation.table import render as render_table


def write(
    path: Path, *, name: str, config: Mapping[str, Any], measured: Sequence[Mapping[str, Any]] = (),
    metrics: Sequence[Mapping[str, Any]] = (),
) -> None:  # fmt: skip
    """Write ``README.md`` of a run, from what `nearfar.evaluation.report.write.write` takes too."""
    from nearfar.methods import record

    settings = config["config"]
    most = settings["train"]["epochs"]
    done = metrics[-1]["epoch"] if metrics else most  # fewer where held-out rows gained nothing any more
    pictures = any(c["modality"] == "image" for c in config["columns"].values())
    figures = []
    for e in measured:
        results, summary = e["results"], e.get("summary", [])
        table = render_table(e["data"], results, summary, e.get("warnings", []), below.sentences(results, summary))
        figures.append(kept.about(e) | {"table": table})
    text = render(
        "card.jinja", name=name, version=__version__, first=first(config, metrics, measured), columns=config["columns"],
        origins=config.get("origins", {}), ensemble=config.get("ensemble"),
        method=record.resolve(settings["model"]["method"]), model=settings["model"],
        fixed=settings["model"].get("fixed", "none"), data=config["data"], train=settings["train"],
        lr=settings["optim"]["lr"], epochs=f"{most} epochs" if done == most else f"{done} of at most {most} epochs",
        measured=figures, example='["a.jpg", "b.jpg"]' if pictures else "rows", command=command(config),
    )  # fmt: skip
    files.write_text(path, text)


def first(
    config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Any]]
) -> list[tuple[str, bool]]:
    """What a reader must know first: whether training helped, and where the latest figures are below their floors.

    Returns
    -------
    list of (sentence, bool)
        True where it is good news.
    """
    step, settings = config.get("kept"), config.get("config", {}).get("train", {})
    helped, said = verdict.of(metrics, step), verdict.sentence(metrics, settings, step)
    watched = [(said, step != 0 and (helped is None or helped.outcome == "better"))] if said else []
    return watched + [(said, False) for said in below.sentences(measured[0]["results"] if measured else ())]


def command(config: Mapping[str, Any]) -> str:
    """What was typed to train, and where."""
    folder = config.get("folder")
    return (f"$ cd {shlex.quote(folder)}\n" if folder else "") + f"$ {config.get('command', '')}"
