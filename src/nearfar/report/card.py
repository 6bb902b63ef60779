"""The model card: what a run is, in a README beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfar import __version__, files


def write(
    path: Path, *, name: str, config: Mapping[str, Any], evaluation: Mapping[str, Any] | None, table: str = ""
) -> None:
    """Write ``README.md`` of a run."""
    from nearfar import record

    settings, data = config["config"], config["data"]
    method = record.resolve(settings["model"]["method"])
    columns = ", ".join(f"`{n}` ({c['modality']})" for n, c in config["columns"].items())
    pictures = any(c["modality"] == "image" for c in config["columns"].values())
    several = config.get("ensemble")
    names = ", ".join(f"`{m['name']}`" for m in several["members"]) if several else ""
    example = '["a.jpg", "b.jpg"]' if pictures else "rows"
    parts = [
        f"# {name}\n",
        f"An embedding model trained by contrast with nearfar {__version__}.\n",
        "| | |\n|---|---|",
        *([f"| ensemble | {several['how']} of {names}; what follows is of the first |"] if several else []),
        f"| method | {method.name}: {method.idea}{f' ({method.paper})' if method.paper else ''} |",
        f"| encoder | {settings['model']['encoder']} |",
        f"| takes | {columns} |",
        f"| trained on | {data['train_rows']:,} rows, fingerprint `{data['fingerprint']}` |",
        f"| training | {settings['train']['epochs']} epochs, batch {settings['train']['batch_size']}, "
        f"learning rate {settings['optim']['lr']:.3g}, seed {settings['train']['seed']}, "
        f"{settings['train']['precision']} |",
        f"| labels | {'used' if settings['model']['positives'] == 'labels' else 'not used'} |",
        "\n## Figures\n",
        f"```text\n{table}\n```" if table else "Not measured yet: `nearfar eval`.",
        "\n## Use\n",
        f'```python\nimport nearfar\n\nmodel = nearfar.load("{name}")\nz = model.encode({example})  # unit\n```',
        "\n## Limits\n",
        "It was measured on the data named above and on nothing else. Nearness means what the views of its training "
        "left unchanged; it need not be what a person means by it.\n",
        "Weights are safetensors, settings are JSON: loading them runs no code.\n",
        f"```console\n$ {config.get('command', '')}\n```\n",
    ]
    files.write_text(path, "\n".join(parts))
