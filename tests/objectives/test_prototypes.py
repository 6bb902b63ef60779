"""Codes over prototypes: Sinkhorn with a queue and over threads, several crops, DINO's centre."""

import threading

import pytest
import torch

from nearfar.objectives.dino import dino, next_centre
from nearfar.objectives.kernel.world import World
from nearfar.objectives.swav import sinkhorn, swav
from tests.objectives.reference.dino import reference as slow_dino
from tests.objectives.reference.swav import reference as slow_swav
from tests.objectives.reference.swav import sinkhorn as slow_sinkhorn


def scores(n, k=5, seed=0):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Thread(World):
    """One of two processes that are threads; without gradients."""

    size = 2

    def __init__(self, rank, barrier, slots):
        self.rank, self.barrier, self.slots = rank, barrier, slots

    def gather_int(self, x):
        self.slots[self.rank] = x
        self.barrier.wait()
        everybody = torch.cat([self.slots[0], self.slots[1]])
        self.barrier.wait()
        return everybody


def test_codes_are_even_over_prototypes_and_add_up_to_one():
    q = sinkhorn(scores(40), epsilon=0.5, iterations=200)
    assert torch.allclose(q.sum(1), torch.ones(40, dtype=q.dtype))
    assert torch.allclose(q.sum(0), torch.full((5,), 8.0, dtype=q.dtype), atol=1e-6)


def test_a_queue_shares_in_the_totals():
    x, queue = scores(6), scores(20, seed=1)
    assert torch.allclose(sinkhorn(x, queue=queue), slow_sinkhorn(torch.cat((queue, x)), 0.05, 3)[-6:])
    with pytest.raises(ValueError, match="queue: expected 5 prototypes, got 4"):
        sinkhorn(x, queue=queue[:, :4])
    with pytest.raises(ValueError, match="queue: expected one tensor for each of 2 targets"):
        swav([x, x], [x, x], queue=[queue])


def test_a_queue_counts_once_however_many_processes_have_it():
    x, queue = scores(7), scores(20, seed=1)
    slots, found, barrier = {}, {}, threading.Barrier(2)

    def work(rank, rows):
        found[rank] = sinkhorn(rows, queue=queue, world=Thread(rank, barrier, slots))

    threads = [threading.Thread(target=work, args=(r, x[s])) for r, s in enumerate((slice(0, 4), slice(4, 7)))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert torch.allclose(torch.cat([found[0], found[1]]), sinkhorn(x, queue=queue))


def test_small_epsilon_does_not_overflow():
    q = sinkhorn(100 * scores(6).float(), epsilon=0.01)
    assert torch.isfinite(q).all()
    assert torch.allclose(q.sum(1), torch.ones(6))


@pytest.mark.parametrize(("fast", "slow"), [(swav, slow_swav), (dino, slow_dino)])
def test_small_crops_are_predicted_from_the_large_ones(fast, slow):
    crops, targets = [scores(4, seed=s) for s in range(4)], [scores(4, seed=s) for s in (7, 8)]
    assert float(fast(crops, targets)[0]) == pytest.approx(float(slow(crops, targets)))
    with pytest.raises(ValueError, match="targets: expected at most 2"):
        fast(crops[:2], [*targets, targets[0]])


def test_the_centre_is_the_running_mean_of_the_teacher():
    crops, targets = [scores(4), scores(4, seed=1)], [scores(4, seed=2), scores(4, seed=3)]
    mean = torch.cat(targets).mean(0)
    first = next_centre(None, targets)
    assert torch.allclose(first, mean)
    assert torch.allclose(next_centre(torch.zeros(5), targets, momentum=0.9), 0.1 * mean)
    assert float(dino(crops, targets, centre=first)[0]) == pytest.approx(float(slow_dino(crops, targets, mean)))
    with pytest.raises(ValueError, match=r"centre: expected shape \(5,\)"):
        dino(crops, targets, centre=torch.zeros(4))


@pytest.mark.parametrize("objective", [swav, dino])
def test_equal_scores_cost_the_logarithm_of_the_prototypes(objective):
    same = [torch.ones(4, 6), torch.ones(4, 6)]
    loss, numbers = objective(same, same)
    assert float(loss) == pytest.approx(float(torch.tensor(6.0).log()))
    assert float(numbers["entropy"]) == pytest.approx(float(torch.tensor(6.0).log()))
