"""The model card: what a run is, in a README beside it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfar.core import files
from nearfar.core.version import __version__
from nearfar.evaluation import below, verdict
from nearfar.evaluation.measurement import Evaluation
from nearfar.evaluation.report import kept


def write(
    path: Path, *, name: str, config: Mapping[str, Any], measured: Sequence[Mapping[str, Any]] = (),
    metrics: Sequence[Mapping[str, Any]] = (),
) -> None:  # fmt: skip
    """Write ``README.md`` of a run.

    Parameters
    ----------
    path : Path
    name : str
        Of the run.
    config : mapping
        ``config.json`` of the run.
    measured : sequence of mapping
        JSON forms of its measurements, the latest first.
    metrics : sequence of mapping
        Lines of ``metrics.jsonl``.
    """
    from nearfar.methods import record

    settings, data = config["config"], config["data"]
    method = record.resolve(settings["model"]["method"])
    columns = ", ".join(f"`{n}` ({c['modality']})" for n, c in config["columns"].items())
    pictures = any(c["modality"] == "image" for c in config["columns"].values())
    several, fixed = config.get("ensemble"), settings["model"].get("fixed", "none")
    names = ", ".join(f"`{m['name']}`" for m in several["members"]) if several else ""
    example = '["a.jpg", "b.jpg"]' if pictures else "rows"
    parts = [
        f"# {name}\n",
        f"An embedding model trained by contrast with nearfar {__version__}.\n",
        *(f"{said}\n" for said, _ in first(config, metrics, measured)),
        "| | |\n|---|---|",
        *([f"| ensemble | {several['how']} of {names}; what follows is of the first |"] if several else []),
        f"| method | {method.name}: {method.idea}{f' ({method.paper})' if method.paper else ''} |",
        f"| encoder | {settings['model']['encoder']} |",
        *([f"| fixed features | {fixed}, computed from the training rows |"] if fixed != "none" else []),
        f"| takes | {columns} |",
        f"| trained on | {data['train_rows']:,} rows, fingerprint `{data['fingerprint']}` |",
        f"| training | {_epochs(settings['train']['epochs'], metrics)}, batch {settings['train']['batch_size']}, "
        f"learning rate {settings['optim']['lr']:.3g}, seed {settings['train']['seed']}, "
        f"{settings['train']['precision']} |",
        f"| labels | {'used' if settings['model']['positives'] == 'labels' else 'not used'} |",
        "\n## Figures\n",
        *(map(_figures, measured) if measured else ["Not measured yet. In this folder: `nearfar eval . --on DATA`."]),
        "\n## Use\n",
        f'```python\nimport nearfar\n\nmodel = nearfar.load(".")  # in this folder; elsewhere its path\n'
        f"z = model.encode({example})  # unit\n```",
        "\n## Limits\n",
        "It was measured on the data named above and on nothing else. Nearness means what the views of its training "
        f"left unchanged{', and what plain statistics of the training rows show' * (fixed != 'none')}; it need not be "
        "what a person means by it.\n",
        "Weights are safetensors, settings are JSON: loading them runs no code.\n",
        f"```console\n{command(config)}\n```\n",
    ]
    files.write_text(path, "\n".join(parts))


def first(
    config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Any]]
) -> list[tuple[str, bool]]:
    """What a reader must know first: whether training helped, and where the latest figures are below their floors.

    Returns
    -------
    list of (sentence, bool)
        True where it is good news.
    """
    kept, settings = config.get("kept"), config.get("config", {}).get("train", {})
    found, said = verdict.of(metrics, kept), verdict.sentence(metrics, settings, kept)
    watched = [(said, kept != 0 and (found is None or found.outcome == "better"))] if said else []
    return watched + [(said, False) for said in below.sentences(measured[0]["results"] if measured else ())]


def _epochs(most: int, metrics: Sequence[Mapping[str, Any]]) -> str:
    """How many epochs were trained, which are fewer where held-out rows gained nothing any more."""
    done = metrics[-1]["epoch"] if metrics else most
    return f"{most} epochs" if done == most else f"{done} of at most {most} epochs"


def command(config: Mapping[str, Any]) -> str:
    """What was typed to train, and where."""
    folder = config.get("folder")
    return (f"$ cd {shlex.quote(folder)}\n" if folder else "") + f"$ {config.get('command', '')}"


def _figures(entry: Mapping[str, Any]) -> str:
    """One measurement: of which data, when, how, and the table."""
    source, options = entry["data"].get("source"), kept.how(entry)
    about = [*([f"`{source}`"] if source else []), *([options] if options else [])]
    found = Evaluation(entry["data"], entry["results"], entry.get("warnings", []), summary=entry.get("summary", []))
    lines = [f"### {kept.name(entry)}, {kept.day(entry)}\n", *([", ".join(about) + ".\n"] if about else [])]
    return "\n".join([*lines, f"```text\n{found.table()}\n```\n"])
