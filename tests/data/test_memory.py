"""Sets larger than the memory there is: the limit is set on the address space, so nothing can hide."""

import io
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BOUND = 72 * 2**20  # bytes above the most that the same thing takes with a set of 128 rows
ROWS, SIDE = 4200, 96  # 27 kB each, 116 MB in all

BEGIN = """
import resource, sys
import numpy as np
import pyarrow.parquet as pq
import torch
from nearfar.training import train as api
from nearfar.core.config import assemble
from nearfar.core.console import QUIET
from nearfar.data.read import read
from nearfar.training.trainer import Trainer

def most():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmPeak"))

def limit(bound):
    size = most() + bound
    resource.setrlimit(resource.RLIMIT_AS, (size, size))

KNOBS = dict(
    epochs=1, batch_size=64, recipe="none", encoder_options={"widths": [4, 8]}, size=96, precision="fp32", threads=1,
    device="cpu", holdout=0, stream=True, column="image", buffer=8,
)

def train(name, workers):
    plan = api.plan(assemble(None, source=name, workers=workers, **KNOBS)[0])
    trainer = Trainer(plan, None, QUIET)
    with trainer.viewer.expecting(trainer.sampler, 0, plan.steps):
        for step, rows in enumerate(trainer.sampler.upcoming(0, plan.steps)):
            if step < 4:
                trainer.step(rows, 0, step)
            else:  # the network would take long, and no more memory
                plan.table.first.take(rows)
    return plan.table.first.values, step + 1

*sets, bound = sys.argv[1:]
bound = int(bound)
"""


def run(code, *args, home):
    # glibc would reserve address space that it does not use, for every thread and after every large block.
    env = {
        "PATH": "/usr/bin:/bin", "NEARFAR_HOME": str(home), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "131072", "ARROW_DEFAULT_MEMORY_POOL": "system",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", BEGIN + code, *map(str, args), str(BOUND)], capture_output=True, text=True, env=env
    )


def pixels(rows):
    draw = np.random.default_rng(0)
    head = f"P6 {SIDE} {SIDE} 255\n".encode()
    for _ in range(rows):
        yield head + draw.bytes(3 * SIDE * SIDE)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    for name, rows in (("small", 128), ("large", ROWS)):
        with tarfile.open(folder / f"{name}.tar", "w") as tar:
            for i, content in enumerate(pixels(rows)):
                info = tarfile.TarInfo(f"{i:06}.ppm")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for name, rows, group in (("small", 128, 32), ("large", ROWS, 200), ("one-group", ROWS, ROWS)):
        schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
        # A page of the file is the least that can be read; Arrow's writer would put 1,024 rows into each.
        with pq.ParquetWriter(folder / f"{name}.parquet", schema, write_batch_size=64) as f:
            content = list(pixels(rows))
            for start in range(0, rows, group):
                part = content[start : start + group]
                f.write_table(pa.table({"image": part, "label": [0, 1] * (len(part) // 2)}), row_group_size=group)
    yield folder
    shutil.rmtree(folder)


def test_training_on_sets_larger_than_memory(archives, tables, tmp_path):
    code = """
for name in ("small.tar", "small.parquet"):
    train(sets[name.endswith("parquet")] + "/" + name, int(name.endswith("tar")))
limit(bound)
values, steps = train(sets[0] + "/large.tar", 1)
assert steps == 65 and values.nbytes > 110 * 2**20
assert values.memory(64) < 13 * 2**20, values.memory(64)
values, steps = train(sets[1] + "/large.parquet", 0)
assert steps == 65 and values.nbytes > 110 * 2**20
assert 16 * 2**20 < values.memory(64) < 20 * 2**20, values.memory(64)
assert values.blocks.together == 1 and values.blocks.of_row.max() > 20
"""
    done = run(code, archives, tables, home=tmp_path)
    assert done.returncode == 0, done.stderr


def test_parquet_larger_than_memory_is_decoded_once(tables, tmp_path):
    """The decoded form is small here (16 × 16); what is large is the file, in row groups or in a single one."""
    code = """
read(sets[0] + "/small.parquet", size=16)
limit(bound)
for name in ("large", "one-group"):
    table = read(sets[0] + f"/{name}.parquet", size=16)
    assert len(table) == 4200 and table.labels.sum() == 2100
for too_much in (lambda: np.ones(116 * 2**20, np.uint8), lambda: pq.read_table(sets[0] + "/one-group.parquet")):
    try:
        too_much()
        raise SystemExit("the limit does not bite")
    except (MemoryError, OSError):
        pass
"""
    done = run(code, tables, home=tmp_path)
    assert done.returncode == 0, done.stderr
