"""Every objective of the registry keeps what it declares, and equals a slow, obvious reference in float64.

A new objective is tested by what it declares (`INFO`) and, beside it here, by one file in ``reference/`` with the
formula written from the paper and the sets of parameters to try. No list is edited.
"""

import inspect
import math
import re
import typing
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar import objectives
from nearfar.core.registry import OBJECTIVES
from nearfar.objectives.kernel import ONE, Compared, Scalar, Views, World, tiles
from nearfar.objectives.kernel.info import DATA, TAKES
from nearfar.objectives.kernel.relation import Relation
from tests.helpers.inputs import (
    NOT_ROWS,
    REFERENCED,
    build,
    cases,
    changed,
    function_of,
    gradients,
    leaves,
    reference_of,
    some_rows,
    takes_temperature,
)

ALL = [*OBJECTIVES]
CASES = cases()


def info(name):
    return OBJECTIVES.get(name).INFO


def grouped():
    """Cases times kinds of groups, where the objective asks who belongs together."""
    return [
        pytest.param(name, parameters, group, id=f"{name}-{case}-{group}")
        for name, case, parameters in CASES
        for group in (("own", "mixed") if info(name).takes in ("views", "sides") else ("own",))
    ]


def plain_cases():
    return [pytest.param(n, p, id=f"{n}-{c}") for n, c, p in CASES]


def differentiated_cases():
    """Cases whose gradient is the loss's own: not those whose weights get none on purpose (`HELD` in the reference)."""
    return [pytest.param(n, p, id=f"{n}-{c}") for n, c, p in CASES if c not in getattr(reference_of(n), "HELD", ())]


def rows_of(name, wanted):
    return max(wanted, info(name).least_rows(9))  # the most dimensions that are tried


def value(name, arguments, parameters):
    return function_of(name)(**arguments, **parameters)[0]


def value_or_refusal(name, arguments, parameters):
    """The loss, or None where the batch has nothing to compare."""
    try:
        return float(value(name, arguments, parameters).detach())
    except ValueError:
        return None


def slow(name, arguments, parameters):
    return reference_of(name).reference(**arguments, **parameters)


# --- what is declared -------------------------------------------------------------------------------------------


def test_every_objective_has_a_reference():
    assert set(REFERENCED) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_declares_itself(name):
    i = info(name)
    assert i.takes in TAKES
    assert set(i.data) <= set(DATA) and i.data
    assert i.formula and i.paper and i.arxiv and i.neighbours
    assert set(i.symmetries) <= {"rows", "views", "groups", "sides"}
    assert callable(i.degenerate) or i.degenerate in ("finite", "error")


def described(docstring):
    """The parameters that a docstring describes: kind and text by name."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=\n\w+\n---|\Z)", docstring, re.S | re.M)
    entries = re.split(r"^(?=\S)", section[1], flags=re.M)[1:] if section else []
    found = {}
    for entry in entries:
        head, _, text = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        found |= {name: (kind, " ".join(text.split())) for name in names.split(", ")}
    return found


SHARED = described(inspect.getdoc(objectives))
KINDS = {"views": Views, "predicted": Views, "targets": Views, "scores": Views, "relation": Relation, "world": World,
         "temperature": Scalar, "similarity": str} | dict.fromkeys(
             ("left", "right", "anchor", "positive", "negative"), torch.Tensor)  # fmt: skip


def objectives_in(module):
    """The functions that give a loss and numbers, and take a world by name."""
    for f in vars(module).values():
        if inspect.isfunction(f) and f.__module__ == module.__name__:
            world = inspect.signature(f).parameters.get("world")
            if world and world.kind is world.KEYWORD_ONLY and typing.get_type_hints(f)["return"] == Compared:
                yield f


FUNCTIONS = [pytest.param(f, id=f"{n}-{f.__name__}") for n in ALL for f in objectives_in(OBJECTIVES.get(n))]


def test_all_functions_of_objectives_are_walked():
    walked = {p.values[0] for p in FUNCTIONS}
    assert {function_of(name) for name in ALL} < walked
    assert set(KINDS) == set(SHARED)


@pytest.mark.parametrize("name", ALL)
def test_a_docstring_has_the_formula_and_the_paper(name):
    text = inspect.getdoc(function_of(name))
    assert "::\n" in text
    assert any(number in text for number in info(name).arxiv.split(", ")) or info(name).arxiv == "–"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_docstring_law(function):
    """What it needs, what no learning gives, and its own parameters; the shared ones are what is said of them once."""
    text = " ".join(inspect.getdoc(function).split())
    assert "Needs " in text and "Without learning" in text
    own, hints = described(inspect.getdoc(function)), typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    assert set(own) <= set(parameters)
    for name in parameters:
        if name not in SHARED:
            assert name in own, f"{name} is not described"
        else:
            assert hints[name] in (KINDS[name], KINDS[name] | None), name
            assert name not in own or own[name][1] != SHARED[name][1], f"{name} is described where all are"
    assert parameters["world"].default is ONE


# --- exactness --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameters", "group"), grouped())
@pytest.mark.parametrize("n", [1, 2, 7])
def test_equals_the_reference_in_float64(name, parameters, group, n):
    arguments = build(info(name).takes, rows_of(name, n), 5, group=group)
    try:
        exact = slow(name, arguments, parameters)
    except ValueError:  # nothing to compare, such as a batch of one group
        with pytest.raises(ValueError):
            value(name, arguments, parameters)
        return
    fast = value(name, arguments, parameters)
    assert abs(float(fast.detach() - exact.detach())) < 1e-10
    for a, b in zip(gradients(fast, arguments), gradients(exact, arguments), strict=True):
        assert torch.allclose(a, b, atol=1e-10)


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
def test_float32_within_tolerance(name, parameters):
    temperatures = (
        [0.01, 0.025, 0.07, 0.5, 10.0] if takes_temperature(name) and "similarity" not in parameters else [None]
    )
    for tau in temperatures:
        given = parameters if tau is None else parameters | {"temperature": tau}
        exact = build(info(name).takes, rows_of(name, 9), 6, group="mixed", seed=3, scale=4.0)
        arguments = changed(exact, lambda v: v.detach().float().requires_grad_())
        exact = changed(arguments, lambda v: v.detach().double().requires_grad_())
        fast, reference = value(name, arguments, given), slow(name, exact, given)
        tau = given.get("temperature", 1.0)
        slack = max(1, 0.05 / tau)
        assert fast.dtype == torch.float32
        assert (
            abs(float(fast.detach()) - float(reference.detach()))
            <= 1e-5 * max(1, abs(float(reference.detach()))) * slack
        )
        got, want = gradients(fast, arguments), gradients(reference, exact)
        size = max(float(b.norm()) for b in want)
        for a, b in zip(got, want, strict=True):
            assert (a.double() - b).norm() <= 1e-4 * slack * max(float(b.norm()), 1e-3 * size) + 1e-9


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_is_computed_in_float32(name, parameters, dtype):
    arguments = build(info(name).takes, rows_of(name, 16), 8, group="mixed", seed=7)
    arguments = changed(arguments, lambda v: v.detach().to(dtype))
    fast = value(name, arguments, parameters)
    reference = float(slow(name, changed(arguments, lambda v: v.double()), parameters))
    slack = max(1, 0.05 / parameters.get("temperature", 1.0))
    assert fast.dtype == torch.float32
    assert abs(float(fast) - reference) <= 1e-5 * max(1, abs(reference)) * slack


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
def test_autocast_changes_nothing(name, parameters):
    """The loop calls objectives where the network is in bfloat16; they compute in float32 all the same."""
    arguments = build(info(name).takes, rows_of(name, 16), 8, group="mixed", seed=7, dtype=torch.float32)
    plain = value(name, arguments, parameters)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = value(name, arguments, parameters)
    assert torch.equal(cast, plain)
    for a, b in zip(gradients(cast, arguments), gradients(plain, arguments), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("name", "parameters"), differentiated_cases())
def test_gradients_by_finite_differences(name, parameters):
    arguments = build(info(name).takes, rows_of(name, 5), 4, group="mixed", seed=11)
    if info(name).takes in ("two sides", "prototypes"):  # the target gets no gradient, on purpose
        arguments["targets"] = [t.detach() for t in arguments["targets"]]
    xs = [x for x in leaves(arguments) if x.requires_grad]

    def loss(*xs):
        new = iter(xs)
        return value(name, changed(arguments, lambda v: next(new) if v.requires_grad else v), parameters)

    assert torch.autograd.gradcheck(loss, xs)


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
@pytest.mark.parametrize("tile", [3, 4])
def test_tiles_of_any_size_agree(name, parameters, tile, monkeypatch):
    arguments = build(info(name).takes, rows_of(name, 9), 6, group="mixed", seed=3)
    reference = value(name, arguments, parameters)
    wanted = gradients(reference, arguments)
    monkeypatch.setattr(tiles, "TILE", tile)
    fast = value(name, arguments, parameters)
    assert abs(float(fast.detach() - reference.detach())) < 1e-10
    for a, b in zip(gradients(fast, arguments), wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-10)


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
def test_duplicated_rows(name, parameters):
    arguments = build(info(name).takes, rows_of(name, 6), 5, seed=5)
    arguments = changed(arguments, lambda v: v.detach().clone().requires_grad_(), rows_only=True)
    with torch.no_grad():
        for x in leaves(some_rows(arguments, slice(None))):
            x[1] = x[0]
    fast, exact = value(name, arguments, parameters), slow(name, arguments, parameters)
    assert abs(float(fast.detach() - exact.detach())) < 1e-10
    for a, b in zip(gradients(fast, arguments), gradients(exact, arguments), strict=True):
        assert torch.allclose(a, b, atol=1e-9)


# --- what is declared holds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
def test_equal_rows_give_what_is_declared(name, parameters):
    n, views, i = rows_of(name, 6), 2, info(name)
    arguments = changed(
        build(i.takes, n, 4, views=views), lambda v: torch.ones_like(v).requires_grad_(), rows_only=True
    )
    if i.degenerate == "error":
        with pytest.raises(ValueError):
            value(name, arguments, parameters)
        return
    loss = value(name, arguments, parameters)
    assert math.isfinite(float(loss.detach()))
    assert all(torch.isfinite(g).all() for g in gradients(loss, arguments))
    if callable(i.degenerate) and not parameters:
        assert float(loss.detach()) == pytest.approx(i.degenerate(n, views), abs=1e-9)


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_zero_rows_have_small_gradients(name, parameters, dtype):
    """One row of zeros, one argument of them, and all: a row without a direction pulls at nothing."""
    fresh = build(info(name).takes, rows_of(name, 6), 4)
    for which in ("row", *range(len(leaves(fresh))), "all"):
        arguments = changed(fresh, lambda v: v.detach().to(dtype).requires_grad_())
        with torch.no_grad():
            for i, x in enumerate(leaves(arguments)):
                x[: 1 if which == "row" else None if which in ("all", i) else 0] = 0
        try:
            loss = value(name, arguments, parameters)
        except ValueError:
            assert info(name).degenerate == "error"
            continue
        assert math.isfinite(float(loss.detach()))
        assert all(torch.isfinite(g).all() and g.abs().max() < 1e3 for g in gradients(loss, arguments))


@pytest.mark.parametrize(("name", "parameters"), plain_cases())
@settings(max_examples=12, deadline=None, derandomize=True)
@given(n=st.integers(2, 12), d=st.integers(2, 9), seed=st.integers(0, 10**6), group=st.sampled_from(["own", "mixed"]))
def test_declared_symmetries(name, parameters, n, d, seed, group):
    arguments = build(info(name).takes, rows_of(name, n), d, group=group, seed=seed)
    expected = value_or_refusal(name, arguments, parameters)
    order = torch.randperm(rows_of(name, n), generator=torch.Generator().manual_seed(seed))
    for symmetry in info(name).symmetries:
        other = dict(arguments)
        if symmetry == "rows":
            other = some_rows(arguments, order)
        elif symmetry == "views":
            other = {k: v[::-1] if isinstance(v, list) else v for k, v in arguments.items()}
        elif symmetry == "sides":
            other = arguments | {"left": arguments["right"], "right": arguments["left"]}
        else:
            other["relation"] = replace(arguments["relation"], group=3 * arguments["relation"].group + 5)
        wanted = expected if expected is None else pytest.approx(expected, abs=1e-9, rel=1e-9)
        assert value_or_refusal(name, other, parameters) == wanted


@pytest.mark.parametrize("name", [n for n in ALL if info(n).least_rows(6) > 1])
def test_fewer_rows_than_declared_are_refused(name):
    with pytest.raises(ValueError):
        value(name, build(info(name).takes, info(name).least_rows(6) - 1), {})


@pytest.mark.parametrize("name", ALL)
def test_no_learning_level_is_that_of_equal_similarities(name):
    i = info(name)
    if i.no_learning is None or i.takes not in ("views", "sides"):
        return
    arguments = changed(build(i.takes, 8, 3), torch.ones_like)
    assert float(value(name, arguments, {})) == pytest.approx(i.no_learning(8, 2, 0), abs=1e-5)


# --- bad input --------------------------------------------------------------------------------------------------


def spoilt(arguments, kind):
    """The arguments with one thing wrong, and the word that the message must have."""
    name = next(iter(arguments))
    first = leaves(arguments)[0].detach()
    bad = {
        "not a number": torch.full_like(first, float("nan")),
        "whole numbers": first.long(),
        "no dimension": first[..., :0],
        "wrong rows": first[:-1],
        "wrong dimensions": torch.cat((first, first), -1),
    }[kind]
    spoilt_one = [bad, *arguments[name][1:]] if isinstance(arguments[name], list) else bad
    return arguments | {name: spoilt_one}, name


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["not a number", "whole numbers", "no dimension", "wrong rows", "wrong dimensions"])
def test_bad_input_is_named(name, kind):
    arguments, word = spoilt(build(info(name).takes, rows_of(name, 4), 6), kind)
    others = [k for k in arguments if k != "relation"] if kind.startswith("wrong") or kind == "no dimension" else [word]
    with pytest.raises(ValueError, match="|".join(others)) as said:
        value(name, arguments, {})
    assert "expected" in str(said.value)


@pytest.mark.parametrize("name", [n for n in ALL if "relation" in build(info(n).takes, 4)])
def test_relation_of_the_wrong_length_is_refused(name):
    arguments = build(info(name).takes, rows_of(name, 4))
    arguments["relation"] = arguments["relation"].rows(slice(0, -1))
    with pytest.raises(ValueError, match="rows"):
        value(name, arguments, {})


@pytest.mark.parametrize("name", [n for n in ALL if takes_temperature(n)])
@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_above_zero(name, tau):
    with pytest.raises(ValueError, match="temperature: expected a number above 0"):
        value(name, build(info(name).takes, rows_of(name, 4)), {"temperature": tau})


def test_relation_refuses_what_is_no_relation():
    with pytest.raises(ValueError, match="whole numbers"):
        Relation(torch.randn(3))
    with pytest.raises(ValueError, match="3 entries"):
        Relation(torch.arange(3), torch.arange(4))
    with pytest.raises(ValueError, match="finite"):
        Relation(torch.arange(3), score=torch.tensor([1.0, float("nan"), 2.0]))
    with pytest.raises(ValueError, match="N, K"):
        Relation(torch.arange(3), positive_rows=torch.arange(3))


# --- the same bits, and little memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_same_inputs_same_bits(name):
    arguments = build(info(name).takes, 300, 16, dtype=torch.float32, group="pairs")
    first, second = (value(name, arguments, {}) for _ in range(2))
    assert torch.equal(first, second)
    for a, b in zip(gradients(first, arguments), gradients(second, arguments), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), plain_cases())
def test_memory_grows_with_rows_not_with_their_square(name, parameters, monkeypatch):
    """No tensor larger than a tile, the embeddings of all, or D × D is ever made."""
    monkeypatch.setattr(tiles, "TILE", 64)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, kinds, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for x in out if isinstance(out, tuple | list) else [out]:
                if isinstance(x, torch.Tensor):
                    largest = max(largest, x.numel())
            return out

    arguments = build(info(name).takes, 512, 8, dtype=torch.float32, group="pairs")
    embeddings = sum(x.numel() for k, x in zip_names(arguments) if k not in NOT_ROWS)
    with Watch():
        value(name, arguments, parameters).backward()
    assert largest <= max(64 * 64, 2 * embeddings, 1024 * getattr(reference_of(name), "PER_ROW", 8))


def zip_names(arguments):
    for k, v in arguments.items():
        if not isinstance(v, Relation):
            yield from ((k, x) for x in (v if isinstance(v, list) else [v]))
