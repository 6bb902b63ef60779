"""Imported once, by the process from which those are forked that are killed: what else each would do first."""

# ruff: noqa: F401
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import filelock
import jinja2
import pandas
import pyarrow.compute
import rich.progress
import safetensors.torch
import scipy.stats
import sklearn.decomposition
import sklearn.linear_model
import torch._dynamo
from PIL import Image

import nearfar.data.forms
import nearfar.evaluation.evaluate
import nearfar.evaluation.report.collect
import nearfar.evaluation.report.write
import nearfar.methods.parts.heads
import nearfar.models.embedder
import nearfar.training.trainer
import nearfar.vectors.knn
import tests.faults.random_kills
from nearfar.core.registry import (
    ENCODERS,
    METHODS,
    MODALITIES,
    OBJECTIVES,
    POSITIVES,
    PROTOCOLS,
    READERS,
    TOKENISERS,
    TRANSFORMS,
    VERBS,
)

with suppress(ImportError):
    import torch.utils.tensorboard

Image.init()
for registry in (
    ENCODERS, METHODS, MODALITIES, OBJECTIVES, POSITIVES, PROTOCOLS, READERS, TOKENISERS, TRANSFORMS, VERBS,
):  # fmt: skip
    for name in registry:
        registry.get(name)

with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, NEARFAR_HOME=folder):
    for name in ("simclr on pictures", "clip on pairs"):  # what torch and templates do the first time
        tests.faults.random_kills.go_on(name, Path(folder), Path(folder, name), None)
