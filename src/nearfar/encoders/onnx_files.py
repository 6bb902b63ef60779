"""Files of ONNX models: what ``preprocessing.json`` beside one says of its input, and the model as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from nearfar.core.errors import ConfigError, library, reason
from nearfar.core.schema import CLOSED, By, above, fits, long, within

PREPROCESSING = "preprocessing.json"
MODEL = "model.onnx"
WHERE = "model.encoder"
HINT = "docs/export.md describes the file."
SPEC = "spec"
MOST = 2**31 - 1  # bytes of one file of ONNX
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.ms.internal.nhwc")  # of operators that the runtime has


class Column(TypedDict):
    """What a model reads, and which of its outputs is the vector."""

    modality: Literal["text", "image", "vector"]
    file: NotRequired[str]  # beside it, by default model.onnx
    inputs: NotRequired[dict[str, Literal["ids", "mask", "types", "positions", "values"]]]  # what each is fed with
    output: NotRequired[str]  # needed where there are several
    pooling: NotRequired[Literal["mean", "max", "cls", "last"]]  # needed where the output has states
    normalize: NotRequired[bool]
    room: NotRequired[Annotated[int, within(1)] | None]  # tokens of a text, where that is fewer than the length


class Stored(Column):
    """A column as nearfar writes it, read as the ``config.json`` of a run says."""

    spec: dict[str, Any]
    tokenizer: NotRequired[str]
    prefix: NotRequired[list[int]]
    suffix: NotRequired[list[int]]
    pad: NotRequired[int]


class Text(Column):
    """A column of texts, by a file of the library `tokenizers`."""

    tokenizer: str
    length: Annotated[int, within(1, 2**20)]  # tokens of a text, beside those that stand around it
    prefix: NotRequired[list[int]]  # these three are in the tokeniser's file, unless they are said
    suffix: NotRequired[list[int]]
    pad: NotRequired[int]


class Image(Column):
    """A column of pictures; the preprocessing is that of a column's spec."""

    size: Annotated[int, within(1, 16384)]
    preprocessing: dict[str, Any]


class Vector(Column):
    """A column of rows of numbers, by default as they are."""

    features: Annotated[int, within(1)]
    mean: NotRequired[list[float]]
    spread: NotRequired[list[Annotated[float, above(0)]]]


KINDS = {"text": Text, "image": Image, "vector": Vector}


def _kind(said: dict[str, Any]) -> Any:
    return Annotated[Stored if SPEC in said else KINDS.get(said.get("modality"), Column), CLOSED]


class About(TypedDict):
    """``preprocessing.json``."""

    schema: Literal[1]
    columns: Annotated[dict[str, Annotated[dict[str, Any], By(_kind)]], long(1)]
    prompts: NotRequired[dict[str, str]]
    prompt: NotRequired[str]
    dimensions: NotRequired[list[int]]
    temperature: NotRequired[Annotated[float, above(0)]]  # what cosines of two columns are divided by
    licence: NotRequired[str | None]


def folder_of(name: str) -> Path:
    return Path(name).parent if name.endswith(".onnx") else Path(name)


def about(name: str) -> dict[str, Any]:
    """What ``preprocessing.json`` says of the model `name`, a folder or a file in it.

    Raises
    ------
    ConfigError
        There is no such file, or it says something else than it can.
    """
    path = folder_of(name) / PREPROCESSING
    if not Path(name).exists():
        raise ConfigError("there is no such file or folder.", where=f"onnx:{name}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no {PREPROCESSING} beside the model, which says how its input is prepared.",
                          where=f"onnx:{name}", hint=HINT) from None  # fmt: skip
    except (OSError, ValueError) as e:
        raise ConfigError(f"is no JSON ({reason(e)}).", where=str(path)) from e
    fits(values, Annotated[About, CLOSED], str(path), error=ConfigError)
    return values


def plan_of(name: str, said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Options of the modality's ``plan`` for a column, and its whole spec where that is known."""
    if "spec" in said:
        return {}, said["spec"]
    if said["modality"] == "text":
        return {"tokens": f"tokenizers:{folder_of(name) / said['tokenizer']}", "length": said["length"]}, None
    if said["modality"] == "image":
        return {"size": said["size"], "preprocessing": said["preprocessing"]}, None
    count = said["features"]
    return {}, {"features": count, "mean": said.get("mean", [0.0] * count), "spread": said.get("spread", [1.0] * count)}


def frame_of(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The ids that stand around a text, ``prefix`` and ``suffix``, and the one that fills up rows, ``pad``."""
    own = {k: said[k] for k in ("prefix", "suffix", "pad") if k in said}
    found: dict[str, Any] = {"prefix": [], "suffix": [], "pad": 0}
    if "tokenizer" in said and len(own) < len(found):
        made = tokenizer(folder_of(name) / said["tokenizer"])
        found["pad"] = (made.padding or {}).get("pad_id", 0)
        made.no_padding()
        plain, whole = made.encode("a", add_special_tokens=False).ids, made.encode("a").ids
        start = next((i for i in range(len(whole)) if plain and whole[i : i + len(plain)] == plain), None)
        if start is None:
            raise ConfigError("does not show what it puts around a text.", where=said["tokenizer"],
                              hint="Say prefix, suffix and pad.")  # fmt: skip
        found |= {"prefix": whole[:start], "suffix": whole[start + len(plain) :]}
    return found | own


def tokenizer(file: Path) -> Any:
    """A tokeniser of the library `tokenizers`."""
    made = library("tokenizers", "text", WHERE).Tokenizer
    try:
        return made.from_str(file.read_text(encoding="utf-8"))
    except Exception as e:  # the library raises nothing more special
        raise ConfigError(f"is no tokeniser of the library tokenizers ({reason(e)}).", where=str(file)) from e


def model_of(name: str, said: Mapping[str, Any], several: bool) -> bytes:
    """The model of a column, its weights included.

    Raises
    ------
    ConfigError
        It is no ONNX file, larger than such a file can be, or has weights outside its folder.
    """
    if several and name.endswith(".onnx"):
        raise ConfigError(f"{PREPROCESSING} beside it describes several models.", where=f"onnx:{name}",
                          hint=f"Name the folder: onnx:{folder_of(name)}.")  # fmt: skip
    path = Path(name) if name.endswith(".onnx") else Path(name) / said.get("file", MODEL)
    if not path.is_file():
        raise ConfigError("there is no such file.", where=str(path))
    model = _parsed(path.read_bytes(), str(path))
    tensors = list(_outside(model))
    if not tensors:
        return path.read_bytes()
    beside, size = {e.value for t in tensors for e in t.external_data if e.key == "location"}, 0
    for file in beside:
        place = (path.parent / file).resolve()
        if not place.is_relative_to(path.parent.resolve()):
            raise ConfigError(f"has weights in {file!r}, outside its folder.", where=str(path),
                              hint="Such files are not read. Put the weights beside the model.")  # fmt: skip
        if not place.is_file():
            raise ConfigError(f"has weights in {file!r}, which is not there.", where=str(path))
        size += place.stat().st_size
    if size > MOST:
        raise ConfigError(f"has {size / 2**30:,.1f} GiB of weights, and 2 GiB are the most.", where=str(path))
    import onnx

    onnx.load_external_data_for_model(model, str(path.parent))
    return model.SerializeToString()


def session(model: bytes, threads: int, where: str = "the ONNX model") -> Any:
    """A session of ONNX Runtime on the processor.

    Raises
    ------
    ConfigError
        It cannot run the model; the message says which operators it lacks.
    """
    runtime = library("onnxruntime", "onnx", WHERE)
    parsed = _parsed(model, where)
    if next(_outside(parsed), None) is not None:
        raise ConfigError("has weights in another file.", where=where)
    own = {f.domain for f in parsed.functions}
    graphs = [parsed.graph.node, *(f.node for f in parsed.functions)]
    odd = {f"{n.domain}.{n.op_type}" for nodes in graphs for n in nodes if n.domain not in (*DOMAINS, *own)}
    if odd:
        raise ConfigError(f"needs operators that ONNX Runtime does not have: {', '.join(sorted(odd))}.", where=where,
                          hint="Export the model without operators of its own.")  # fmt: skip
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # each fault of the library has a type of its own
        raise ConfigError(f"ONNX Runtime cannot run it ({reason(e)}).", where=where) from e


def _parsed(content: bytes, where: str) -> Any:
    onnx = library("onnx", "onnx", WHERE)
    try:
        return onnx.load_model_from_string(content)
    except Exception as e:  # of protobuf, whose types depend on how it was built
        raise ConfigError("is no ONNX model, or a damaged one.", where=where) from e


def _outside(model: Any) -> Iterator[Any]:
    """The tensors of a model whose numbers are in other files, those of inner graphs too."""
    from onnx import TensorProto, external_data_helper

    every = external_data_helper._get_all_tensors(model)
    return (t for t in every if t.data_location == TensorProto.EXTERNAL)
