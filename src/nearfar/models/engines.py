"""Other programs that compute a model's vectors: its encoders as ONNX, run by ONNX Runtime, kept in the cache."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nearfar.core import files
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.registry import MODALITIES
from nearfar.models.branches import Branch, Branches

if TYPE_CHECKING:
    from nearfar.encoders.onnx import OnnxEncoder
    from nearfar.models.embedder import Embedder
    from nearfar.models.model import Model

ENGINES = ("torch", "onnx", "onnx-int8")
VERSION = 1  # of how models are written; another one is written anew


def with_engine(model: Model, engine: str) -> Model:
    """The model with its encoders run by another engine; written when it is asked for first.

    Raises
    ------
    UnknownName
        There is no such engine.
    ConfigError
        A library is not installed, a layer cannot be written as ONNX, or gives other vectors there.
    """
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if engine == "torch":
        return model
    for member in model.members:
        made = {column: _swapped(member, column, engine) for column in member.branches}
        member.branches = Branches(made, member.branches.same).eval()
        vars(member).pop("identity", None)
    return model


def _swapped(model: Embedder, column: str, engine: str) -> Branch:
    """The branch of a column with its encoder as ONNX, and its projector and fixed features as they are."""
    from nearfar.encoders import onnx_graph
    from nearfar.encoders.onnx import OnnxEncoder

    branch, modality = model.branches[column], model.columns[column][0]
    if isinstance(branch.encoder, OnnxEncoder):
        if engine == "onnx-int8":
            raise ConfigError(f"{model.name} is an ONNX file already.", where="engine",
                              hint="Export the model that it was made of with --int8.")  # fmt: skip
        return branch
    name = f"{model.identity}-{list(model.branches).index(column)}-{engine}.{VERSION}.onnx"
    kept = files.cache_home() / "engines" / name
    encoder = None
    if kept.is_file():
        content, settings = kept.read_bytes(), onnx_graph.Graph(branch, "encoder", modality == "text").settings()
        out = branch.encoder.out_features
        encoder = OnnxEncoder(bytes=len(content), out=out, file=str(kept), **settings).take(content)
        try:
            encoder.probe()
        except ConfigError:  # damaged
            encoder = None
    if encoder is None:
        encoder = written(model, column, "encoder", engine == "onnx-int8")[0]
        os.makedirs(kept.parent, exist_ok=True)
        files.write_atomic(kept, encoder.model.numpy().tobytes())
    new = Branch(encoder, branch.projector, branch.fixed, branch.weight)
    if branch.fixed is not None:
        new.scale.copy_(branch.scale)
    return new


def written(model: Embedder, column: str, layer: str, int8: bool = False) -> tuple[OnnxEncoder, float]:
    """A column's encoder, or its whole branch, as ONNX; see `nearfar.encoders.onnx_graph.made`.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    from nearfar.encoders import onnx_files, onnx_graph

    modality, spec = model.columns[column]
    if modality not in onnx_files.KINDS:
        can = ", ".join(onnx_files.KINDS)
        raise ConfigError(f"{column!r} holds {modality}, and ONNX files read {can}.", hint="Use it with torch.")
    shape = MODALITIES.get(modality).encoder_shape(spec)
    try:
        return onnx_graph.made(model.branches[column], layer, shape, int8)
    except onnx_graph.Unwritten as e:
        raise ConfigError(f"{e}.", where="engine", hint="Use it with torch.") from e
