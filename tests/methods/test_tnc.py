"""TNC: what it is for, a state that changes along a recording."""

import numpy as np
import pytest
import torch

from nearfar.training import train


def recordings(rows=48, steps=60):
    """Series of one of two frequencies at a time, which change places at a random step; and which it is at each step."""
    draw = np.random.default_rng(0)
    at, change = np.arange(steps), draw.integers(3, 57, rows)
    late = at >= change[:, None]
    wave = np.where(late, np.sin(at * 0.5), np.sin(at * 1.6)) * draw.choice([-1, 1], rows)[:, None]
    return (wave + draw.normal(0, 0.3, (rows, steps)))[:, None].astype(np.float32), late


def told_apart(encoder, x, late):
    """Accuracy at a step of the nearer of the two means of its states."""
    with torch.no_grad():
        states = encoder.eval().steps(torch.from_numpy(x))[0].numpy()
    means = np.stack([states[late == v].mean(0) for v in (False, True)])
    return float(((np.linalg.norm(states[:, :, None] - means, axis=3).argmin(2) == 1) == late).mean())


@pytest.mark.filterwarnings("ignore:collapse")  # of whole series, each of which has both states
def test_states_of_steps_tell_the_state_of_a_recording():
    x, late = recordings()
    given = {"modality": "series", "window": None, "encoder_options": {"width": 8, "out": 8, "layers": 2}, "threads": 1}
    trained = train.train(x, method="tnc", epochs=80, batch_size=16, holdout=0.0, precision="fp32", recipe="jitter", lr=4e-3,
                          **given)  # fmt: skip
    fresh = trained.model.untrained()
    before, after = (told_apart(m.branches["x"].encoder, x, late) for m in (fresh, trained.model))
    assert after > before + 0.1 and after > 0.8, (before, after)
