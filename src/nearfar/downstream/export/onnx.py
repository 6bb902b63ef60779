"""A folder with the encoders as ONNX files, for any program with ONNX Runtime, and for nearfar as ``onnx:FOLDER``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core import files
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.downstream.export import Exported, Unfit, _tokenizers, folder
from nearfar.encoders import onnx_files
from nearfar.models import engines, prompts

if TYPE_CHECKING:
    from nearfar.encoders.onnx import OnnxEncoder
    from nearfar.models.embedder import Embedder

SUMMARY = "a folder for ONNX Runtime (any modality)"
TOKENIZER = "tokenizer.json"
CARD = """---
library_name: onnxruntime
{licence}---

# {name}

Encoders as ONNX, with vectors of unit length. `{preprocessing}` says how each reads its input.

| column | modality | file | inputs | output |
|---|---|---|---|---|
{rows}

{notes}

```python
import nearfar

model = nearfar.load("onnx:FOLDER")
```
"""


def export(
    model: Embedder, out: str | Path, *, column: str | None = None, overwrite: bool = False, int8: bool = False
) -> Exported:
    """Write the encoders of a model, or that of one column, as ONNX.

    Columns that share an encoder share its file. Whoever opens the folder as ``onnx:FOLDER`` gets the vectors of the
    layer that the model keeps. Each is compared with torch before the folder takes its place. Other arguments and
    errors are those of all targets, see `nearfar.downstream.export`.
    """
    if len(model.members) > 1:
        raise ConfigError(f"{model.name} is an ensemble.", hint="Export one of the models that it was made of.")
    if column is not None and column not in model.columns:
        raise UnknownName("column", column, model.columns, where="--column")
    if model.dimensions is not None:
        raise ConfigError(f"{model.name} is cut, and the whole model is what is written.", hint="Export it uncut.")
    made: dict[int, tuple[str, OnnxEncoder, float]] = {}
    said, rows = {}, []
    chosen = [column] if column else list(model.columns)
    with folder(out, overwrite=overwrite) as place:
        for name in chosen:
            branch = model.branches[name]
            if id(branch) not in made:
                file = f"model{f'_{len(made) + 1}' if made else ''}.onnx"
                made[id(branch)] = file, *engines.written(model, name, model.keeps, int8)
                files.write_atomic(place / file, made[id(branch)][1].model.numpy().tobytes())
            file, encoder, _ = made[id(branch)]
            modality, spec = model.columns[name]
            read = ("inputs", "output", *(("room", "prefix", "suffix", "pad") if modality == "text" else ()))
            settings = {key: getattr(encoder, key) for key in read}
            said[name] = {"modality": modality, "file": file, **settings, "spec": dict(spec)}
            rows.append(f"| {name} | {modality} | {file} | {', '.join(encoder.inputs)} | {encoder.output} |")
            if modality == "text" and not (place / TOKENIZER).exists():
                _write_tokenizer(place / TOKENIZER, spec, encoder)
        about = {"schema": 1, "columns": said, **_about(model)}
        files.write_json(place / onnx_files.PREPROCESSING, json.loads(json.dumps(about)))
        notes = _notes(model, int8, min(least for *_, least in made.values()))
        licence = about.get("licence")
        files.write_text(place / "README.md", CARD.format(
            name=_name(model), rows="\n".join(rows), notes="\n".join(notes), preprocessing=onnx_files.PREPROCESSING,
            licence=f"license: {licence}\n" if licence else "",
        ))  # fmt: skip
    form = f"{len(made)} ONNX model{'s' * (len(made) > 1)} of the column{'s' * (len(chosen) > 1)} {', '.join(chosen)}"
    return Exported(str(out), form, f'import nearfar; model = nearfar.load("onnx:{out}")', tuple(notes))


def _name(model: Embedder) -> str:
    """The model's name, without the folder where a pretrained one lies."""
    kind, colon, name = model.name.partition(":")
    return f"{kind}:{Path(name).name}" if colon and model.offer else model.name


def _notes(model: Embedder, int8: bool, least: float) -> list[str]:
    notes = []
    if model.config.train.precision != "fp32":
        notes.append(f"nearfar computes it in {model.config.train.precision}, these files in single precision.")
    if int8:
        notes.append(
            f"Products of matrices are int8: on random input the cosine with torch's vectors is {least:.3f} or more."
        )
    return notes


def _about(model: Embedder) -> dict[str, Any]:
    """What is known of a pretrained model, and the temperature of one whose columns meet."""
    said: dict[str, Any] = {}
    if len({modality for modality, _ in model.columns.values()}) > 1:
        said["temperature"] = prompts.temperature_of(model)[0]
    if offer := model.offer:
        said |= {"prompts": dict(offer.prompts), "prompt": offer.prompt, "dimensions": offer.dimensions,
                 "licence": offer.licence}  # fmt: skip
    return said


def _write_tokenizer(path: Path, spec: Mapping[str, Any], encoder: OnnxEncoder) -> None:
    """The tokeniser for other programs, where it is not nearfar's own."""
    try:
        stored = _tokenizers.plain(spec["tokeniser"], spec["length"])
    except Unfit:
        return
    around = _tokenizers.framed(stored, encoder.prefix, encoder.suffix)
    most = min(spec["length"], encoder.room or spec["length"]) + len(encoder.prefix) + len(encoder.suffix)
    limit = {"direction": "Right", "max_length": most, "strategy": "LongestFirst", "stride": 0}
    files.write_json(path, {**around, "truncation": limit})
