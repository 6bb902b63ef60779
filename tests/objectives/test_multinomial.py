"""Several items a row, and items that were seen, against the reference; refusals."""

import pytest
import torch

from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.multinomial import multinomial
from tests.helpers.inputs import gradients
from tests.objectives.reference.multinomial import reference


def arguments(answers, seen=None):
    g = torch.Generator().manual_seed(0)
    x, table = (torch.randn(n, 4, generator=g, dtype=torch.float64, requires_grad=True) for n in (len(answers), 7))
    seen = None if seen is None else torch.tensor(seen)
    return {"views": [x], "relation": Relation(torch.arange(len(x)), answers=torch.tensor(answers), seen=seen),
            "weight": table}  # fmt: skip


@pytest.mark.parametrize("seen", [None, [[5, -1], [0, 6], [-1, -1]], [[0, 5], [3, 4], [1, 2]]])
@pytest.mark.parametrize("log_q", [None, torch.linspace(-3, -1, 7).double()])
def test_several_items_and_those_seen(seen, log_q):
    """The last row has nothing to find; an item that is both is to be found."""
    given = arguments([[0, 1, 2], [3, -1, -1], [-1, -1, -1]], seen)
    fast, numbers = multinomial(**given, temperature=0.5, log_q=log_q)
    slow = reference(**given, temperature=0.5, log_q=log_q)
    assert abs(float((fast - slow).detach())) < 1e-12
    assert int(numbers["anchors"]) == 2
    for a, b in zip(gradients(fast, given), gradients(slow, given), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_what_was_seen_leaves_the_sum():
    without, _ = multinomial(**arguments([[0], [1]], [[2], [3]]))
    whole, _ = multinomial(**arguments([[0], [1]]))
    assert float(without.detach()) < float(whole.detach())


@pytest.mark.parametrize(("answers", "word"), [([[7]], "answers"), ([[-2]], "answers"), ([[-1]], "group")])
def test_refuses_what_is_no_item(answers, word):
    with pytest.raises(ValueError, match=word):
        multinomial(**arguments(answers))
