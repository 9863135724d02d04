"""The algebra of sizes: what is asked of formulas is true of every number that they stand for. And windows, as one value."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from archc import loads
from archc.compiler.ops.call import Call
from archc.compiler.shapes.conditions import legal_sizes
from archc.compiler.shapes.dim import Dim, evaluate, show_sizes, unknown

H = unknown("H")
Steps = list[tuple[str, int]]
steps = st.lists(st.tuples(st.sampled_from("+*/"), st.integers(1, 5)), max_size=4)


def formula(program: Steps) -> Dim:
    """`H`, added to, multiplied and divided in turn."""
    size: Dim = H
    for sign, number in program:
        size = size + number if sign == "+" else size * number if sign == "*" else size // number
    return size


@settings(deadline=None)
@given(steps, st.integers(1, 6), st.integers(1, 60))
def test_the_remainder_of_a_formula_is_that_of_its_numbers(program: Steps, by: int, at: int) -> None:
    size = formula(program)
    assert evaluate(size % by, {"H": at}) == evaluate(size, {"H": at}) % by


@settings(deadline=None)
@given(steps, st.integers(1, 6), st.integers(1, 60))
def test_what_must_divide_a_formula_becomes_a_condition(program: Steps, by: int, at: int) -> None:
    size = formula(program)
    call = Call("test", {}, ((1, size),))
    divides = evaluate(size, {"H": at}) % by == 0
    if not call.divisible(size, by):
        assert not divides and not call.conditions
    else:
        assert all(condition.holds({"H": at}) for condition in call.conditions) is divides


def test_numbers_are_divided_at_once() -> None:
    call = Call("test", {}, ((1, 6),))
    assert call.divisible(6, 3) and not call.divisible(6, 4)
    assert call.divisible(4 * H, 2)
    assert not call.divisible(4 * H + 1, 2)
    assert not call.conditions


def test_legal_sizes_of_a_divisible_size() -> None:
    call = Call("test", {}, ((1, H),))
    assert call.divisible(H, 4)
    assert str(call.conditions[0]) == "4*(H//4) == H"
    assert str(legal_sizes("H", call.conditions)) == "H >= 4 and H a multiple of 4"


def test_a_window_has_what_its_operator_has_not() -> None:
    graph = loads(
        "input 3x9x12\nconv3x5-4/2(dilation=2, pad=1)\nsubsample2x1\nmaxpool1x2/1x3(ceil=yes)\nconvt3-2/2(out_pad=1)\nupsample2\nflatten"
    ).graph
    conv, sub, pool, grown, *others = (node.window for node in graph if not node.is_input)
    assert conv is not None and sub is not None and pool is not None and grown is not None
    assert [conv.options(axis) for axis in conv.axes] == [(3, 2, 1, 2), (5, 2, 1, 2)]
    assert [conv.reach(axis) for axis in conv.axes] == [5, 9]
    assert (sub.pad, sub.dilation, sub.ceil, pool.ceil) == ((0, 0), (1, 1), False, True)
    assert grown.transposed and not conv.transposed
    assert others == [None, None]
    for node in graph:
        if node.window is not None:
            sizes = [node.window.size(axis, size) for axis, size in enumerate(node.call.x[1:])]
            assert tuple(sizes) == node.shape[1:]
            lines = node.window.derivation(("height", "width"), node.call.x)
            assert all(f" {size}" in line for size, line in zip(sizes, lines, strict=True))


def test_equal_sizes_are_written_once() -> None:
    assert (show_sizes((3, 3)), show_sizes((1, 7)), show_sizes((5,))) == ("3", "1x7", "5")
    assert show_sizes((2.0, 4.0), "{:g}".format) == "2x4"
