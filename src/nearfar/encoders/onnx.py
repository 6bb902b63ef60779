"""Models in ONNX files, as ``onnx:FOLDER`` or ``onnx:model.onnx``, run by ONNX Runtime; they cannot be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nearfar.core.errors import ConfigError, reason
from nearfar.encoders import onnx_files
from nearfar.encoders.offer import Offer
from nearfar.encoders.text.sequences import framed, in_buckets, pooled

MODALITIES = ("text", "image", "vector")
FETCHES = True
MODEL = "model"  # the buffer that holds the file
# What inputs of texts are fed with, by the names that they usually have.
USUAL = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types", "position_ids": "positions"}
KINDS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32,
         "tensor(float16)": np.float16}  # fmt: skip


class OnnxEncoder(nn.Module):
    """A model of ONNX, whose file is its state: a buffer of bytes, so that it is stored and hashed as weights are.

    Parameters
    ----------
    bytes : int
        Length of the file.
    file : str
        Where `fetch` finds it, with its ``preprocessing.json``.
    column : str
        Whose model it is, of those that this describes.
    inputs : mapping of str to str
        What each input of the model is fed with: ``ids``, ``mask``, ``types`` (zeros) and ``positions`` of texts, or
        the ``values`` of pictures and rows.
    output : str
        Which of its outputs is taken.
    out : int
        Numbers of a vector.
    pooling : str or None
        One vector from states (N, L, D), or from the places of a map (N, D, H, W), where the output is such.
    normalize : bool
        The vectors have unit length.
    prefix, suffix : sequence of int
        The model's ids before and after every text.
    pad : int
        Fills up rows of ids.
    room : int or None
        Tokens of a text that are read, beside these.
    shape : int
        That of what it reads, which its file knows.
    """

    def __init__(
        self, *, bytes: int, out: int, inputs: Mapping[str, str], output: str, name: str = "", file: str = "",
        column: str = "", pooling: str | None = None, normalize: bool = False, prefix: Sequence[int] = (),
        suffix: Sequence[int] = (), pad: int = 0, room: int | None = None, pretrained: bool = True,
        **shape: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_buffer(MODEL, torch.zeros(bytes, dtype=torch.uint8))
        self.file, self.column, self.inputs, self.output = file or name, column, dict(inputs), output
        self.prefix, self.suffix, self.pad, self.room = tuple(prefix), tuple(suffix), pad, room
        self.pooling, self.normalize, self.out_features = pooling, normalize, out
        self.reads_text = "ids" in self.inputs.values()
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_session": None}  # which cannot be copied

    @torch.no_grad()
    def fetch(self) -> None:
        self.take(onnx_files.model_of(self.file, *_column(self.file, self.column)[1:]))

    @torch.no_grad()
    def take(self, model: bytes) -> OnnxEncoder:
        """The encoder with this file."""
        self.model, self._session = torch.frombuffer(bytearray(model), dtype=torch.uint8), None
        return self

    @torch.no_grad()
    def probe(self) -> None:
        """Raise where the runtime does not run the model: what a stored run holds may be anything."""
        self.session()

    def session(self) -> Any:
        threads = torch.get_num_threads()
        if self._session is None or self._session[0] != threads:
            if not bool(self.model.any()):
                raise ConfigError("a model of ONNX has no weights but those of its file.", where=onnx_files.WHERE)
            made = onnx_files.session(self.model.cpu().numpy().tobytes(), threads, self.file or "the ONNX model")
            self._session = threads, made, {i.name: KINDS[i.type] for i in made.get_inputs()}
        return self._session[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not len(x):
            return torch.zeros(0, self.out_features, device=x.device)
        vectors = in_buckets(self._texts, x.abs().cpu()) if self.reads_text else self._run(values=x.float().cpu())
        vectors = nn.functional.normalize(vectors, dim=-1) if self.normalize else vectors
        return vectors.to(x.device)

    def _texts(self, ids: torch.Tensor) -> torch.Tensor:
        inputs, there = framed(ids[:, : self.room], self.prefix, self.suffix, self.pad)
        places = torch.arange(inputs.shape[1]).expand_as(inputs)
        return self._run(there, ids=inputs, mask=there, types=torch.zeros_like(inputs), positions=places)

    def _run(self, there: torch.Tensor | None = None, **fed: torch.Tensor) -> torch.Tensor:
        session = self.session()
        kinds = self._session[2]
        given = {name: fed[what].contiguous().numpy().astype(kinds[name], copy=False)
                 for name, what in self.inputs.items()}  # fmt: skip
        try:
            (output,) = session.run([self.output], given)
        except Exception as e:  # each fault of the library has a type of its own
            raise ConfigError(f"cannot be run on this input ({reason(e)}).", where=self.file or "the ONNX model") from e
        return self._pooled(torch.from_numpy(output.astype(np.float32, copy=False)), there)

    def _pooled(self, states: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        if self.pooling is None:
            return states.flatten(1)
        states = states.flatten(2).transpose(1, 2) if states.dim() == 4 else states
        if there is None:
            there = torch.ones(states.shape[:2], dtype=torch.bool)
        return pooled(states, there, self.pooling)


build = OnnxEncoder


def recognises(path: Path) -> bool:
    return (path / onnx_files.PREPROCESSING).is_file() if path.is_dir() else path.suffix == ".onnx"


def offers(name: str) -> Offer:
    """What ``preprocessing.json`` beside the model says."""
    about = onnx_files.about(name)
    columns, specs = {}, {}
    for column, said in about["columns"].items():
        options, spec = onnx_files.plan_of(name, said)
        columns[column] = said["modality"], options
        specs |= {} if spec is None else {column: spec}
    each = {column: {"column": column} for column in columns}
    return Offer(
        columns, each if len(each) > 1 else next(iter(each.values())), about.get("prompts", {}),
        about.get("prompt", ""), tuple(about.get("dimensions", ())), about.get("licence"), specs,
        {"temperature": about["temperature"]} if "temperature" in about else {},
    )  # fmt: skip


def check(name: str) -> None:
    """A training asks this; what is used as it is does not."""
    raise ConfigError(f"onnx:{name} cannot be trained: an ONNX file has no gradients.", where=onnx_files.WHERE,
                      hint="Train the model that it was made of, or use this one as it is.")  # fmt: skip


def settle(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with what the file says of itself: all but its bytes, which are weights.

    Raises
    ------
    ConfigError
        There is no such file, the runtime cannot run it, or it has an input or output that nothing here fits.
    """
    settled = dict(options)
    if "bytes" in settled:
        return settled
    file = str(settled.pop("name", ""))
    column, said, several = _column(file, settled.pop("column", ""))
    model = onnx_files.model_of(file, said, several)
    session = onnx_files.session(model, torch.get_num_threads(), file)
    frame = onnx_files.frame_of(file, said) if said["modality"] == "text" else {}
    own = {k: said[k] for k in ("normalize", "room") if k in said}
    fit = fitted(session, said, file)
    made = {"file": file, "column": column, "bytes": len(model), **fit, **frame, **own, **settled}
    made["out"] = tried(OnnxEncoder(**made, out=0).take(model), said)
    return made


def _column(name: str, column: str) -> tuple[str, dict[str, Any], bool]:
    """A column of a model, by default the first, what is said of it, and whether there are several."""
    columns = onnx_files.about(name)["columns"]
    said = columns[column or next(iter(columns))]
    same = next(c for c, other in columns.items() if other == said)  # columns of one model share its encoder
    return same, said, len({c.get("file") for c in columns.values()}) > 1


def fitted(session: Any, said: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What the inputs of a model are fed with, its output and the pooling of that.

    Raises
    ------
    ConfigError
        One of them is not said, or cannot be.
    """
    given, inputs = said.get("inputs", {}), {}
    fed = set(USUAL.values()) if said["modality"] == "text" else {"values"}
    for i in session.get_inputs():
        what = given.get(i.name, USUAL.get(i.name) if said["modality"] == "text" else "values")
        if what not in fed or i.type not in KINDS:
            raise ConfigError(
                f"its input {i.name!r} ({i.type}) is none that can be fed: of {said['modality']} there are "
                f"{', '.join(sorted(fed))}.", where=where,
                hint=f"Say in inputs of {onnx_files.PREPROCESSING} which it is, or export the model without it.",
            )  # fmt: skip
        if i.shape and isinstance(i.shape[0], int):
            raise ConfigError(f"its input {i.name!r} takes {i.shape[0]} rows at once and no others.", where=where,
                              hint="Export it with a dynamic first axis.")  # fmt: skip
        inputs[i.name] = what
    if odd := sorted(set(given) - set(inputs)):
        raise ConfigError(f"has no input {odd[0]!r}.", where=where, hint=f"There are: {', '.join(inputs)}.")
    if not {"ids", "values"} & set(inputs.values()):
        raise ConfigError(f"no input takes the {'ids' if said['modality'] == 'text' else 'values'}.", where=where,
                          hint="Say in inputs which it is.")  # fmt: skip
    shapes = {o.name: o.shape for o in session.get_outputs()}
    output = said.get("output", next(iter(shapes)) if len(shapes) == 1 else None)
    if output not in shapes:
        message = "has several outputs, and none is named" if output is None else f"has no output {output!r}"
        raise ConfigError(f"{message}.", where=where, hint=f"There are: {', '.join(shapes)}.")
    return {"inputs": inputs, "output": output, "pooling": said.get("pooling")}


def tried(encoder: OnnxEncoder, said: Mapping[str, Any]) -> int:
    """The width of the vectors of an encoder, by running it on two rows."""
    if encoder.reads_text:
        x = torch.ones(2, 3, dtype=torch.int32)
    elif said["modality"] == "image":
        size, channels = (said.get("spec", said)["size"], said.get("spec", {}).get("channels", 3))
        x = torch.zeros(2, channels, size, size)
    else:
        x = torch.zeros(2, said.get("spec", said)["features"])
    encoder.out_features = 1
    z = encoder(x)
    if z.dim() != 2 or len(z) != 2:
        raise ConfigError(f"its output {encoder.output!r} is {tuple(z.shape)} for 2 rows, no vector a row.",
                          where=encoder.file, hint="Name another output.")  # fmt: skip
    return z.shape[1]
