"""An encoder of torch as an ONNX model, and that with weights of 8 bits."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nearfar.core.errors import ConfigError, library, reason
from nearfar.encoders import onnx_files
from nearfar.encoders.fixed.lsa import Lsa
from nearfar.encoders.onnx import OnnxEncoder
from nearfar.encoders.text.sequences import framed
from nearfar.encoders.text.static import Static

OUTPUT = "vectors"
TEXT, OTHER = ("input_ids", "attention_mask"), "input"
EIGHT_BITS = ("MatMul", "Gemm")  # products with weights; tables of embeddings and convolutions stay as they are
WITHIN = 1e-4  # by which a number of a vector may differ, as a share of its length
INTEGER = ("MatMulInteger", "DynamicQuantizeMatMul")


class Unwritten(Exception):
    """The encoder has no form in ONNX; the message is why, in words."""


class Graph(nn.Module):
    """What is written: ids as the model's own tokeniser gives them, or values, to vectors (N, D).

    Parameters
    ----------
    branch : nn.Module
        Has ``encoder``, ``projector``, ``fixed`` and ``scale``, see `nearfar.models.branches.Branch`.
    layer : {"encoder", "features", "projection"}
        Of the latter two the vectors have unit length.
    text : bool
        Whether it reads texts.
    """

    def __init__(self, branch: nn.Module, layer: str, text: bool) -> None:
        super().__init__()
        self.encoder, self.layer, self.text = branch.encoder, layer, text
        self.projector = branch.projector if layer == "projection" else None
        self.fixed = branch.fixed if layer == "features" else None
        self.scale = branch.scale if self.fixed is not None else None
        # Fixed features read the text without what stands around it.
        self.framed = hasattr(self.encoder, "encode_framed") and self.fixed is None

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        values = given[0]
        if self.text and self.framed:
            made = self.encoder.encode_framed(values, given[1].bool())
        else:
            values = torch.where(given[1].bool(), values + 1, 0) if self.text else values
            made = features(self.encoder, values)
        if self.layer == "encoder":
            return made
        if self.fixed is not None:
            made = torch.cat([made, self.scale * features(self.fixed, values)], 1)
        return nn.functional.normalize(made if self.projector is None else self.projector(made), dim=1)

    def settings(self) -> dict[str, Any]:
        """What `OnnxEncoder` has to know of it, but for its size."""
        if not self.text:
            return {"inputs": {OTHER: "values"}, "output": OUTPUT}
        said = {"inputs": dict(zip(TEXT, ("ids", "mask"), strict=True)), "output": OUTPUT}
        if not self.framed:
            return said
        e = self.encoder
        return {**said, "prefix": list(e.prefix), "suffix": list(e.suffix), "pad": e.pad, "room": e.room}


def features(module: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """What a module gives of values or ids, in operations whose shapes follow from the input's."""
    if not isinstance(module, Static | Lsa):
        return module(ids)
    there = (ids > 0)[:, :, None]
    table = module.table if isinstance(module, Static) else lambda name: getattr(module, name)
    weights = torch.where(there, table("log_weights")[ids][:, :, None].exp(), 0)
    rows = table("vectors")[ids] * (weights if isinstance(module, Static) else there)
    return rows.sum(1) / weights.square().sum(1).clamp(min=1e-12).sqrt()


@torch.no_grad()
def made(branch: nn.Module, layer: str, shape: Mapping[str, int], int8: bool = False) -> tuple[OnnxEncoder, float]:
    """An encoder, or a whole branch, as ONNX.

    Parameters
    ----------
    branch, layer
        See `Graph`.
    shape : mapping
        Of what it reads, as encoders are built with: ``vocabulary``, ``channels`` and ``size``, or ``features``.
    int8 : bool
        See `eight_bits`.

    Returns
    -------
    encoder : OnnxEncoder
    least : float
        The smallest cosine of one of its vectors with torch's in single precision, of random input.

    Raises
    ------
    Unwritten
        A layer has no form in ONNX, or gives other vectors there.
    ConfigError
        A library is not installed.
    """
    for name in ("onnx", "onnxruntime", "onnxscript"):
        library(name, "onnx", "engine")
    plain = copy.deepcopy(branch).float().cpu().to(memory_format=torch.contiguous_format)
    graph = Graph(plain, layer, "vocabulary" in shape).eval()
    x, settings = _probes(shape), graph.settings()
    around = {k: settings.get(k, d) for k, d in (("prefix", ()), ("suffix", ()), ("pad", 0))}
    ids = framed(x[:, : settings.get("room")], **around) if graph.text else (x,)
    expected = graph(*ids)
    content = _written(graph, tuple(i[:2].contiguous() for i in (ids[0], *(m.long() for m in ids[1:]))))
    content = eight_bits(content) if int8 else content
    encoder = OnnxEncoder(bytes=len(content), out=expected.shape[1], **settings).take(content)
    try:
        got = encoder(x)
    except ConfigError as e:  # a shape of the example became part of it
        raise Unwritten(f"as ONNX {type(graph.encoder).__name__} takes no other number of rows or tokens") from e
    length = expected.norm(dim=1, keepdim=True).clamp(min=1e-12)
    worst = float(((got - expected) / length).abs().max())
    if not int8 and not worst <= WITHIN:
        raise Unwritten(f"as ONNX {type(graph.encoder).__name__} gives vectors that differ by {worst:.2g}")
    there = length[:, 0] > 1e-6
    return encoder, float(nn.functional.cosine_similarity(got, expected)[there].min())


def _probes(shape: Mapping[str, int]) -> torch.Tensor:
    """Random input of a shape; texts of several lengths, one of them without a token."""
    random = torch.Generator().manual_seed(0)
    if "vocabulary" in shape:
        lengths = torch.tensor([9, 4, 1, 0, 7]).clamp(max=shape["length"])
        ids = torch.randint(1, shape["vocabulary"] + 1, (5, int(lengths.max())), generator=random, dtype=torch.int32)
        return ids * (torch.arange(ids.shape[1]) < lengths[:, None])
    size = (shape["channels"], shape["size"], shape["size"]) if "size" in shape else (shape["features"],)
    return torch.randn(23, *size, generator=random)


def _written(graph: Graph, example: tuple[torch.Tensor, ...]) -> bytes:
    """The model of ONNX with any number of rows, and of tokens."""
    rows = torch.export.Dim("rows", min=1, max=2**20)
    axes = {0: rows, 1: torch.export.Dim("length", min=1, max=2**16)} if graph.text else {0: rows}
    names = list(TEXT) if graph.text else [OTHER]
    try:
        with _quietly():
            program = torch.onnx.export(
                graph, example, dynamo=True, dynamic_shapes=((axes,) * len(example),), input_names=names,
                output_names=[OUTPUT], verbose=False,
            )  # fmt: skip
        return program.model_proto.SerializeToString()
    except Exception as e:  # of torch's exporter, whatever it is
        cause = e.__cause__ or e
        raise Unwritten(f"{type(graph.encoder).__name__} cannot be written as ONNX ({reason(cause)})") from e


def eight_bits(model: bytes) -> bytes:
    """The model with the weights of its products as int8, by a scale for each column, of inputs as they come.

    Dynamic quantisation, as in Jacob et al. 2018 (arXiv 1712.05877) without calibration. Weights take 7 of the bits,
    since processors without VNNI overflow with 8.

    Raises
    ------
    Unwritten
        It has no such products.
    """
    import onnx

    quantization = library("onnxruntime.quantization", "onnx", "engine")
    with tempfile.TemporaryDirectory() as work, _quietly():
        quantization.quantize_dynamic(
            onnx.load_model_from_string(model), Path(work, onnx_files.MODEL), op_types_to_quantize=list(EIGHT_BITS),
            per_channel=True, reduce_range=True, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        made = Path(work, onnx_files.MODEL).read_bytes()
    if not any(n.op_type in INTEGER for n in onnx.load_model_from_string(made).graph.node):
        raise Unwritten("it has no products of matrices with weights, which are what becomes int8")
    return made


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what the libraries print, warn of and log."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
