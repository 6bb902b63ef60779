"""Views of histories: what is left out is what the other view shows, and answers stand beside what they follow."""

import torch

from nearfar.modalities import ids
from nearfar.transforms.draws import Draws
from nearfar.transforms.ids._events import closed, width
from nearfar.transforms.ids.drop_items import DropItems
from nearfar.transforms.ids.next_items import NextItems
from nearfar.transforms.recipes import RECIPES


def histories(counts, length):
    """Rows of so many events: items 1, 2, 3 … of weight 1000."""
    place = torch.arange(1, length + 1)
    there = place <= torch.tensor(counts)[:, None]
    return torch.stack([place * there, 1000 * there], 2).int()


def draws(rows, seed=0):
    return Draws(torch.Generator().manual_seed(seed), rows, common=torch.Generator().manual_seed(99))


def test_what_stays_and_what_is_left_out_are_the_whole():
    x = histories([12, 5, 0], 12)
    for seed in range(5):
        stays = DropItems(0.4).apply(x, draws(3, seed))
        rest = DropItems(0.4, rest=True).apply(x, draws(3, seed + 100))
        assert torch.equal(stays + rest, x)
        assert not ((stays != 0) & (rest != 0)).any()


def test_the_rate_is_that_of_what_is_left_out():
    x = histories([200] * 200, 200)
    left = DropItems(0.3, rest=True).apply(x, draws(200))[:, :, 0] != 0
    assert abs(float(left.float().mean()) - 0.3) < 0.01


def test_an_answer_is_what_follows():
    x = histories([12, 5, 2, 1, 0], 12)
    for seed in range(5):
        shared = [
            Draws(torch.Generator().manual_seed(i), 5, common=torch.Generator().manual_seed(seed)) for i in (1, 2)
        ]
        before, after = NextItems(4).apply(x, shared[0]), NextItems(4, answer=True).apply(x, shared[1])
        assert (before[:, :, 0] != 0).sum(1).tolist() == [4, 4, 1, 0, 0]
        there = before[:, :, 0] != 0
        assert torch.equal(there, after[:, :, 0] != 0)
        assert torch.equal(after[:, :, 0][there], before[:, :, 0][there] + 1)
    assert torch.equal(NextItems(20).apply(x, draws(5))[:, :11, 0], torch.where(x[:, 1:, 0] > 0, x[:, :-1, 0], 0))


def test_stretches_begin_anywhere():
    x = histories([9] * 300, 9)
    begins = set(NextItems(4).apply(x, draws(300))[:, 0, 0].tolist())
    assert begins == {1, 2, 3, 4, 5}


def test_gaps_close_in_order():
    x = histories([4, 2], 5)
    x[0, [0, 2]] = 0
    assert closed(x)[:, :, 0].tolist() == [[2, 4, 0, 0, 0], [1, 2, 0, 0, 0]]
    assert width(closed(x)) == 2 and width(x[:0]) == 1


def test_the_recipe_of_items_splits_a_history():
    x = histories([30, 8], 30)
    shown, answer, kept = (
        ids.views(
            x, None, recipe, Draws(torch.Generator().manual_seed(i), 2, common=torch.Generator().manual_seed(7)), {}
        )
        for i, recipe in enumerate(RECIPES["items"])
    )
    assert torch.equal(shown, kept)
    for row, count in enumerate((30, 8)):
        both = [set(v[row, :, 0].tolist()) - {0} for v in (shown, answer)]
        assert both[0] | both[1] == set(range(1, count + 1)) and not both[0] & both[1]
