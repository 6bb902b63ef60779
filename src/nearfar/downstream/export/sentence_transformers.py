"""A folder that ``sentence_transformers.SentenceTransformer`` opens."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.core import devices, files
from nearfar.core.console import SILENT
from nearfar.core.errors import ConfigError, RunError
from nearfar.core.registry import MODALITIES
from nearfar.downstream.export import WITHIN, Exported, Unfit, column_of, folder
from nearfar.modalities.text import tokenisers
from nearfar.models import loading
from nearfar.models.embedder import Embedder
from nearfar.models.run import Run

try:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import InputModule, Normalize
except ImportError as e:
    raise ConfigError(
        "this needs the library sentence-transformers.", where="--to",
        hint="pip install 'nearfar[sentence-transformers]'",
    ) from e  # fmt: skip

if TYPE_CHECKING:
    from torch import nn

SUMMARY = "a folder for sentence_transformers.SentenceTransformer (texts)"
# What the library raises where its own modules cannot do it.
UNFIT = (Unfit, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError, OSError)
# What is encoded both ways before the folder takes its place; a piece of the vocabulary comes to it.
COMPARED = (
    "a", "The cat sat on the mat.", "  THE   cat\n", "Grüße aus Köln, naïve café", "今日は 你好 안녕",
    "🙂 <s> [CLS] </s>", "ﬁne print ①", "word " * 3000, "x" * 70_000, " " * 40_000 + "late",
)  # fmt: skip
CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
---

# {name}

A model of texts, trained by contrast with nearfar. Its vectors have unit length.
{notes}
```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(FOLDER{trust})
vectors = model.encode(["one text", "another"])
```
"""


def export(model: Embedder, out: str | Path, *, column: str | None = None, overwrite: bool = False) -> Exported:
    """Write the model of a text column as a folder of `sentence_transformers`.

    Whatever its own modules can express needs nothing of nearfar to be opened: models of `transformers`, bags of
    tokens and `text_cnn` with a tokeniser of the library `tokenizers`. Of the rest the folder holds the run's weights
    and names `NearfarModule`. Before the folder takes its place some texts are encoded both ways. Arguments and errors
    are those of all targets, see `nearfar.downstream.export`.
    """
    name = column_of(model, "text", column)
    # What the library computes is compared with single precision on a processor.
    config = replace(model.config, train=replace(model.config.train, precision="fp32"))
    networks = copy.deepcopy(model.branches).float()
    reference = Embedder(config, model.columns, networks, name=model.name, path=model.path)
    texts = [*COMPARED, *_vocabulary(reference.columns[name][1]["tokeniser"])]
    expected = reference.encode(texts, column=name, console=SILENT)

    def theirs(work: Path) -> list[nn.Module]:
        from nearfar.downstream.export._sentence_modules import modules

        return modules(networks[name], model.columns[name][1], model.keeps, work)

    notes = []
    if model.config.train.precision != "fp32":
        notes.append(f"nearfar computes it in {model.config.train.precision}, this folder in single precision.")
    with folder(out, overwrite=overwrite) as made:
        trust = ""
        try:
            form = _written(theirs, made, texts, expected, False)
        except Unfit as e:
            trust = ", trust_remote_code=True"
            notes.insert(0, f"It needs nearfar to be opened, and trust_remote_code=True, because {e}.")
            try:
                form = _written(lambda _: [NearfarModule(reference, name), Normalize()], made, texts, expected, True)
            except Unfit as e:
                raise RunError(f"cannot be exported: {e}.", where=str(out)) from e
        opens = f"SentenceTransformer({str(out)!r}{trust})"
        text = "\n".join(["", *notes, ""]) if notes else ""
        files.write_text(made / "README.md", CARD.format(name=model.name, notes=text, trust=trust))
    return Exported(
        str(out), form, f"from sentence_transformers import SentenceTransformer; model = {opens}", tuple(notes)
    )


def _written(
    modules: Callable[[Path], list[nn.Module]], made: Path, texts: Sequence[str], expected: np.ndarray, trust: bool
) -> str:
    """Save modules in the empty folder `made`, open it again and compare; the modules' names.

    Raises
    ------
    Unfit
        They cannot be made or opened, or give other vectors; the folder is empty again.
    """
    try:
        with _quietly(), tempfile.TemporaryDirectory() as work:
            saved = SentenceTransformer(modules=modules(Path(work)), device="cpu", similarity_fn_name="cosine")
            saved.save(str(made), create_model_card=False)
            again = SentenceTransformer(str(made), device="cpu", trust_remote_code=trust, local_files_only=True)
            vectors = again.encode(list(texts), show_progress_bar=False)
        worst = float(np.abs(vectors - expected).max()) if vectors.shape == expected.shape else float("inf")
        if not worst <= WITHIN:
            raise Unfit(f"with the library's own modules its vectors differ by {worst:.2g}")
    except Exception as e:
        if (failed := files.failure_of_disk(e)) is not None:
            raise failed from e
        if not isinstance(e, UNFIT):
            raise
        for path in made.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if isinstance(e, Unfit):
            raise
        lines = str(e).strip().splitlines() or [type(e).__name__]
        raise Unfit(f"the library's own modules do not take it ({lines[0].rstrip('.')})") from e
    return " → ".join(type(m).__name__ for m in saved)


def _vocabulary(spec: Mapping[str, Any], count: int = 200) -> list[str]:
    """Two texts of pieces from everywhere in the vocabulary of a tokeniser that has one."""
    if "tokenizer" not in spec:
        return []
    from tokenizers import Tokenizer

    pieces = sorted(Tokenizer.from_str(json.dumps(spec["tokenizer"])).get_vocab())
    pieces = pieces[:: max(1, len(pieces) // count)]
    return [f"a {' '.join(pieces)}", f"a {''.join(pieces[::-1])}"]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the libraries' progress and hints."""
    import transformers

    logging = transformers.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


class NearfarModule(InputModule):
    """A run's model of texts as one module of `sentence_transformers`; `Normalize` follows it.

    Parameters
    ----------
    model : Embedder
    column : str
        Whose encoder is meant.
    """

    config_keys: list[str] = ["column"]  # noqa: RUF012 - as the library has it
    config_file_name: str = "module.json"
    save_in_root: bool = False

    def __init__(self, model: Embedder, column: str) -> None:
        super().__init__()
        self.run, self.column, self.spec = model, column, model.columns[column][1]
        self.branches = model.branches
        self.max_seq_length = self.spec["length"]

    @property
    def modalities(self) -> list[str]:
        """Texts."""
        return ["text"]

    def preprocess(self, inputs: Sequence[str], prompt: str | None = None, **options: Any) -> dict[str, torch.Tensor]:
        """Ids of texts, (N, L)."""
        ids = tokenisers.tokenise([(prompt or "") + t for t in inputs], self.spec["tokeniser"], self.spec["length"])
        return {"input_ids": torch.from_numpy(ids)}

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Adds ``sentence_embedding`` (N, D), of the layer that the run keeps."""
        x = MODALITIES.get("text").neutral(features["input_ids"], None, self.spec)
        with devices.autocast(x.device, self.run.config.train.precision):
            z = self.branches[self.column].output(x, self.run.keeps)
        return {**features, "sentence_embedding": z.float()}

    def get_embedding_dimension(self) -> int:
        """D."""
        with torch.no_grad():
            one = self.eval().forward({"input_ids": torch.ones(1, 1, dtype=torch.int32)})
        return one["sentence_embedding"].shape[1]

    def save(self, output_path: str, *args: Any, **options: Any) -> None:
        """Write what `nearfar.load` needs, without where the run and its data lay."""
        config = self.run.config.as_dict()
        config["data"]["source"] = ""
        columns = {name: {"modality": kind, "spec": dict(spec)} for name, (kind, spec) in self.run.columns.items()}
        Run(output_path).write_config({"config": config, "columns": columns})
        self.run.save(Path(output_path) / "model.safetensors")
        self.save_config(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **options: Any) -> NearfarModule:
        """The module that `save` wrote, from a folder or the hub."""
        place = {k: options[k] for k in ("token", "cache_folder", "revision", "local_files_only") if k in options}
        config = cls.load_config(model_name_or_path, subfolder=subfolder, **place)
        path = cls.load_dir_path(model_name_or_path, subfolder=subfolder, **place)
        return cls(loading.load(path, "cpu"), config["column"])
