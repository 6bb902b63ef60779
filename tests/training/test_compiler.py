"""torch's compiler, whose import takes seconds, is left alone where nothing is compiled."""

import subprocess
import sys

import pytest
import torch

from nearfar.core import devices
from nearfar.models import room

RUN = """
import sys, tempfile, warnings
import numpy as np, torch
warnings.simplefilter("ignore")
from nearfar.training import train, optim
from nearfar.models import loading, room
from nearfar.encoders.text import text_cnn
from nearfar.vectors.logistic import Problem

texts, folder = [f"text {i} of {i % 7} kinds" for i in range(32)], tempfile.mkdtemp() + "/run"
train.train(texts, out=folder, epochs=1, batch_size=16, encoder_options={"dim": 8}, quiet=True)
Problem(loading.load(folder).encode(texts), np.arange(32) % 4, 4).solve(1.0)
for name in ("sgd", "lars"):
    layer = torch.nn.Linear(2, 2)
    optimizer = optim.build(layer, name=name, lr=0.1, weight_decay=0.1)
    optimizer.zero_grad()
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
with room.unfilled():
    text_cnn.build(vocabulary=10, length=8)
print("torch._dynamo" in sys.modules)
"""


def test_training_loading_and_probing_leave_the_compiler_alone():  # in a process of its own, which takes seconds
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("kind, numbers", [
    (torch.optim.AdamW, {"lr": 0.1, "fused": True}), (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
])  # fmt: skip
def test_the_steps_of_an_eager_optimiser_are_those_of_torch(kind, numbers):
    drawn = torch.Generator().manual_seed(0)
    start, slopes = torch.randn(5, 3, generator=drawn), torch.randn(4, 5, 3, generator=drawn)
    ends = []
    for cls in (kind, devices.eager(kind)):
        p = torch.nn.Parameter(start.clone())
        optimizer = cls([p], weight_decay=0.1, **numbers)
        for slope in slopes:
            optimizer.zero_grad()
            p.grad = slope.clone()
            optimizer.step()
        ends.append(p.detach())
    assert torch.equal(*ends)
    assert not torch.equal(ends[0], start)


def test_what_is_built_unfilled_has_the_shapes_and_no_numbers():
    with room.unfilled():
        table = torch.nn.Embedding(10**9, 10**3, padding_idx=0)
    assert table.weight.is_meta
    assert table.weight.shape == (10**9, 10**3)
    with room.unfilled():
        drawn = torch.zeros(100, device="cpu").normal_()
    assert drawn.std() > 0.5
