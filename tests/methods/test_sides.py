"""The relation that each pair of sides gets."""

import torch

from nearfar.methods.embeddings import Embeddings
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.kernel.world import World


def seen(ignore, sides=2, rows=2):
    z = tuple(torch.zeros(rows, 3) for _ in range(sides))
    relation = Relation(torch.arange(rows), ignore=ignore)
    e = Embeddings(z, z, z, z, pairs=(), relation=relation, parts={}, world=World(), roles=("global",) * sides)
    found = []

    def compare(left, right, relation, hard):
        found.append(relation.ignore)
        return torch.zeros(()), {}

    e.over_sides(compare)
    return found


def test_as_many_rows_as_sides_are_not_taken_for_columns():
    (found,) = seen(torch.tensor([5, 5]))
    assert found.tolist() == [5, 5]


def test_of_columns_each_pair_of_sides_gets_its_own():
    numbers = torch.tensor([[0, 1, 2], [0, 4, 5], [6, 1, 8]])
    assert [f.tolist() for f in seen(numbers, sides=3, rows=3)] == [
        numbers[:, [0, 1]].tolist(), numbers[:, [0, 2]].tolist(), numbers[:, [1, 2]].tolist(),
    ]  # fmt: skip
