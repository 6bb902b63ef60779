"""Trainings on two processes, which are launched once for several of them."""

import json
from pathlib import Path

from nearfar.core.config import Config
from nearfar.models import loading
from nearfar.models.run import Run
from nearfar.training import distributed, train
from nearfar.training.job import Job, with_knobs
from tests.helpers.forked import launch


def work(jobs):
    for job in jobs:
        branches = train._work(job, True).model.branches
        state = {k: v.double().sum().item() for k, v in branches.state_dict().items()}
        Path(job.out, f"rank{distributed.world().rank}.json").write_text(json.dumps(state))


def trainings(data, folder, **runs):
    """Train with the knobs of each run, into a folder of its name; both processes end with the same weights."""
    jobs = [
        Job(with_knobs(Config(), data, knobs | {"processes": 2}), data, str(folder / name), False, False, "")
        for name, knobs in runs.items()
    ]
    launch(work, (jobs,), 2)
    for name in runs:
        first, second = ((folder / name / f"rank{rank}.json").read_text() for rank in (0, 1))
        assert first == second, name
    return {
        name: train.Trained(loading.load(folder / name), None, folder / name, Run(folder / name).metrics())
        for name in runs
    }
