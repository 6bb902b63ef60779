"""The cheapest monotone path: against all paths, against three plain loops, within corridors."""

import itertools

import numpy as np
import pytest

from nearfar.vectors.monotone import Corridor, cheapest

MOVES = {
    "one to one": [(1, 1)],
    "to three": [(1, 1), (1, 2), (2, 1), (1, 3), (3, 1)],
    "two to two": [(1, 1), (2, 2), (2, 1)],
    "skips alone": [],
}


def problem(m, n, moves, seed):
    """Costs of every move that ends in every node, what `cheapest` takes, and costs of skips."""
    draw = np.random.default_rng(seed)
    table = [draw.random((m + 1, n + 1)) * a * b for a, b in moves]
    return table, lambda i, j: [t[i, j] for t in table], (draw.random(m), draw.random(n))


def price(steps, moves, table, skips):
    """What a path costs; every step must be allowed."""
    total = i = j = 0
    for a, b in steps:
        i, j = i + a, j + b
        total += (
            skips[0][i - 1]
            if (a, b) == (1, 0)
            else skips[1][j - 1]
            if (a, b) == (0, 1)
            else table[moves.index((a, b))][i, j]
        )
    assert (i, j) == (len(skips[0]), len(skips[1]))
    return total


def every_path(m, n, moves):
    if m == n == 0:
        yield ()
    for a, b in [*moves, (1, 0), (0, 1)]:
        if a <= m and b <= n:
            for rest in every_path(m - a, n - b, moves):
                yield (*rest, (a, b))


def three_loops(m, n, moves, table, skips, allowed=lambda i, j: True):
    least = np.full((m + 1, n + 1), np.inf)
    least[0, 0] = 0
    for i, j in itertools.product(range(m + 1), range(n + 1)):
        if not allowed(i, j):
            continue
        if i:
            least[i, j] = min(least[i, j], least[i - 1, j] + skips[0][i - 1])
        if j:
            least[i, j] = min(least[i, j], least[i, j - 1] + skips[1][j - 1])
        for (a, b), costs in zip(moves, table):
            if a <= i and b <= j:
                least[i, j] = min(least[i, j], least[i - a, j - b] + costs[i, j])
    return least[m, n]


@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize(("m", "n"), [(0, 0), (0, 3), (3, 0), (1, 1), (1, 4), (4, 1), (3, 4), (4, 4)])
def test_no_path_is_cheaper(m, n, moves):
    for seed in range(3):
        table, costs, skips = problem(m, n, moves, seed)
        found = cheapest(costs, moves, skips)
        assert found.cost == pytest.approx(min(price(p, moves, table, skips) for p in every_path(m, n, moves)))
        assert price(map(tuple, found.steps.tolist()), moves, table, skips) == pytest.approx(found.cost)


@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize(("m", "n", "scale"), [(40, 53, 1), (70, 20, 0.2), (65, 66, 5), (130, 9, 1)])
def test_as_three_loops(m, n, scale, moves):
    table, costs, skips = problem(m, n, moves, seed=m)
    skips = tuple(scale * s for s in skips)
    found = cheapest(costs, moves, skips)
    assert found.cost == pytest.approx(three_loops(m, n, moves, table, skips))
    assert price(map(tuple, found.steps.tolist()), moves, table, skips) == pytest.approx(found.cost)


def test_costs_are_asked_for_in_any_blocks(monkeypatch):
    _, costs, skips = problem(50, 40, MOVES["to three"], 0)
    whole = cheapest(costs, MOVES["to three"], skips)
    for cells in (1, 100, 300):
        monkeypatch.setattr("nearfar.vectors.monotone.CELLS", cells)
        assert (cheapest(costs, MOVES["to three"], skips).steps == whole.steps).all()


def test_skips_that_stand_together_are_in_order():
    moves, costs, skips = (
        [(1, 1)],
        lambda i, j: [np.full((i.stop - i.start, j.stop - j.start), 9.0)],
        (np.ones(2), np.ones(3)),
    )
    assert cheapest(costs, moves, skips).steps.tolist() == [[1, 0]] * 2 + [[0, 1]] * 3
    table = np.full((4, 4), 9.0)
    table[2, 2] = 0  # items 1 and 1 belong together
    steps = cheapest(lambda i, j: [table[i, j]], moves, (np.ones(3), np.ones(3))).steps.tolist()
    assert steps == [[1, 0], [0, 1], [1, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize("width", [1, 3, 10])
def test_within_a_corridor_as_three_loops_there(width):
    moves = MOVES["to three"]
    for seed in range(4):
        table, costs, skips = problem(45, 60, moves, seed)
        corridor = Corridor.around(np.array([(0, 0), (10, 10), (10, 30), (45, 60)]), width)
        found = cheapest(costs, moves, skips, corridor)
        inside = lambda i, j: corridor.low[i] <= j <= corridor.high[i]  # noqa: E731
        assert found.cost == pytest.approx(three_loops(45, 60, moves, table, skips, inside))
        assert all(inside(i, j) for i, j in found.nodes.tolist())


def test_a_corridor_around_the_path_finds_it():
    moves = MOVES["to three"]
    _, costs, skips = problem(80, 70, moves, 1)
    whole = cheapest(costs, moves, skips)
    inside = cheapest(costs, moves, skips, Corridor.around(whole.nodes, 1))
    assert (inside.steps == whole.steps).all()
    assert inside.cost == pytest.approx(whole.cost)


@pytest.mark.parametrize("nodes", [[(0, 0), (7, 5)], [(0, 0), (0, 9), (30, 9)], [(0, 0), (30, 0), (30, 9)], [(0, 0), (1, 50)],
                                   [(0, 0), (3, 1), (4, 40), (41, 41), (41, 60)]])  # fmt: skip
@pytest.mark.parametrize("width", [1, 4])
def test_a_corridor_is_connected_and_as_wide_as_said(nodes, width):
    nodes = np.array(nodes)
    m, n = nodes[-1]
    c = Corridor.around(nodes, width)
    assert (c.low[0], c.high[m]) == (0, n)
    assert (np.diff(c.low) >= 0).all()
    assert (np.diff(c.high) >= 0).all()
    assert (c.low[1:] <= c.high[:-1]).all()
    for k, (i, j) in enumerate(nodes):
        for row in range(max(0, i - width), min(m, i + width) + 1):
            assert c.low[row] <= max(0, j - width), k
            assert c.high[row] >= min(n, j + width), k
