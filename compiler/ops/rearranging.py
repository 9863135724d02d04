"""`rearrange`, which reorders, splits and joins the axes of a sample, in the notation of einops."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from archc.compiler.ops.kinds import NamedSizes, Quoted, Word
from archc.compiler.ops.memory import Memory, channels_first
from archc.compiler.ops.receptive import EACH, Positions, ReceptiveField, ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, axis_names
from archc.compiler.ops.targets import CallTarget, Operand, Target
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import attention
from archc.dsl.vocabulary import shapes as says

MOST_AXES = 4  # of a result: channels and three sizes
RESERVED = ("pattern", "sizes", "place")  # names of other arguments
REST = "..."  # all axes without a name; each becomes an axis with this and a number as its name
BATCH = (("b",), ("B",), ("batch",), ("bs",), ("n",), ("N",))  # what the batch is called where it is written
EXAMPLE = 'as in `rearrange("c (h i) (w j) -> (j i c) h w", i=2, j=2)`'
Axis = tuple[str, ...]  # the names of its parts, the outermost first; none for an axis of size 1


@dataclass(frozen=True)
class Pattern:
    """The axes before and after, each with the names of its parts."""

    left: tuple[Axis, ...]
    right: tuple[Axis, ...]


@cache
def read(text: str, rank: int) -> Pattern:
    """Read a pattern for a sample of `rank` axes. `...` becomes an axis for each of these that has no name in it.

    Raises Fault for a pattern that cannot be read, and for `...` among more than `rank` axes.
    """
    if stuck := re.search(r"\.\.\.[^\s()]+", text):
        raise Fault(attention.bad_pattern(f"has `{stuck[0]}`", "`...` stands alone, with spaces around it"))
    pattern = _read(text)
    if not any(REST in axis for axis in pattern.left):
        return pattern
    if re.search(r"\([^)]*\.\.\.", text.partition("->")[0]):
        raise Fault(attention.bad_pattern("has `...` in parentheses before the arrow", "there it stands for whole axes"))
    if pattern.left[0] == pattern.right[0] and pattern.left[0] in BATCH:  # it would be read as the channels
        problem = f"begins with `{pattern.left[0][0]}` on both sides, which reads as the batch"
        raise Fault(attention.bad_pattern(problem, "the batch is not written: begin with the channels, `c`"))
    named = len(pattern.left) - 1
    if named > rank:
        what = f"is of {named} ax{'i' if named == 1 else 'e'}s and `...`, and gets {rank}"
        raise Fault(attention.bad_pattern(what, "`...` stands for the axes without a name, of which there may be none"))
    return _read(text.replace(REST, " ".join(f"{REST}{number}" for number in range(named, rank))))


def _read(text: str) -> Pattern:
    """Read a pattern, in which `...` is a name. Raises Fault."""
    sides = text.split("->")
    if len(sides) != 2:
        raise Fault(attention.bad_pattern(f"has {len(sides) - 1 or 'no'} arrow{'s' * (len(sides) > 2)}", f"it has one `->`, {EXAMPLE}"))
    pattern = Pattern(*(_axes(side) for side in sides))
    left, right = (Counter(name for axis in side for name in axis) for side in (pattern.left, pattern.right))
    for names in (left, right):
        if twice := [name for name, count in names.items() if count > 1]:
            why = "it stands once on each side" if twice[0] == REST else "each part of an axis has a name of its own"
            raise Fault(attention.bad_pattern(f"has `{twice[0]}` twice on one side", why))
    for one, other, where in ((left, right, "left"), (right, left, "right")):
        if missing := [name for name in one if name not in other]:
            problem = f"has {' and '.join(f'`{name}`' for name in missing)} on its {where} side only"
            raise Fault(attention.bad_pattern(problem, "every name is on both sides of the arrow; `rearrange` neither repeats nor reduces"))
    return pattern


def _axes(side: str) -> tuple[Axis, ...]:
    axes: list[Axis] = []
    inside: list[str] | None = None
    for token in re.findall(r"\.\.\.\d*|[()]|[^\s()]+", side):
        if token == "(":
            if inside is not None:
                raise Fault(attention.bad_pattern("has parentheses within parentheses", "the parts of an axis are names"))
            inside = []
        elif token == ")":
            if inside is None:
                raise Fault(attention.bad_pattern("closes a `)` that is not open", EXAMPLE))
            axes.append(tuple(inside))
            inside = None
        elif token == "1":
            if inside is None:
                axes.append(())
        elif inside is None:
            axes.append((_name(token),))
        else:
            inside.append(_name(token))
    if inside is not None:
        raise Fault(attention.bad_pattern("does not close a `(`", EXAMPLE))
    return tuple(axes)


def _name(token: str) -> str:
    if token.startswith(REST):
        return token
    if token == "…":
        raise Fault(attention.bad_pattern("has `…`", "write it as three dots, `...`"))
    if token.isdigit():
        raise Fault(attention.bad_pattern(f"has the number {token}", f"give it a name and a size, `i={token}`; only 1 stands for itself"))
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", token) or token in RESERVED:
        raise Fault(attention.bad_pattern(f"has `{token}`, which cannot be a name", "names begin with a letter: `c`, `h`, `i`"))
    return token


def _pattern(call: Call) -> Pattern:
    return read(call.attrs["pattern"].text, len(call.x))


def parts(call: Call) -> Mapping[str, Dim]:
    """Return the size of each part. Raises Fault where the pattern does not fit the input."""
    pattern, given = _pattern(call), dict(call.attrs["sizes"].args)
    names = [name for axis in pattern.left for name in axis]
    listed = ", ".join(f"`{name}`" for name in names if REST not in name)
    for name in given:
        if name not in names:
            problem = f"has no `{name}`, and gets a size for it"
            raise Fault(attention.bad_pattern(problem, f"its names are {listed}", name))
    if len(call.x) != len(pattern.left):
        problem = f"is of {len(pattern.left)} ax{'i' if len(pattern.left) == 1 else 'e'}s, and gets {show_shape(call.x)}"
        help_text = "it names all axes of a sample, channels first"
        if len(pattern.left) == len(call.x) + 1 and pattern.left[0] == pattern.right[0]:
            help_text = f"the batch is not written: leave out `{_written(pattern.left[0])}`"
        raise Fault(attention.bad_pattern(problem, help_text))
    if len(pattern.right) > MOST_AXES or not pattern.right:
        raise Fault(
            attention.bad_pattern(f"makes {len(pattern.right)} axes", f"a tensor has one to {MOST_AXES}: channels and up to three sizes")
        )
    sizes: dict[str, Dim] = {}
    for axis, size, called in zip(pattern.left, call.x, axis_names(call.x), strict=True):
        sizes |= _solved(call, axis, size, called, given)
    return {name: sizes[name] for name in names}


def _solved(call: Call, axis: Axis, size: Dim, called: str, given: Mapping[str, int]) -> dict[str, Dim]:
    """Return the sizes of the parts of one axis."""
    open_parts = [name for name in axis if name not in given]
    known = 1
    for name in axis:
        known *= given.get(name, 1)
    last = next((name for name in reversed(axis) if name in given), "pattern")
    if len(open_parts) > 1:
        listed = " and ".join(f"`{name}`" for name in open_parts)
        problem = f"leaves the sizes of {listed} open, which are factors of the {called}, {size}"
        raise Fault(attention.bad_pattern(problem, f"give all but one of them a size: `{open_parts[-1]}=2`"))
    if not open_parts:
        if not call.equal(size, known):
            raise Fault(says.out_of_range(f"the {called} `{_written(axis)}`", size, str(known), last))
        return {name: given[name] for name in axis}
    if not call.divisible(size, known):
        raise Fault(says.out_of_range(f"the {called} `{_written(axis)}`", size, f"a multiple of {known}", last))
    return {name: given.get(name, size // known) for name in axis}


def _written(axis: Axis) -> str:
    return axis[0] if len(axis) == 1 else f"({' '.join(axis)})" if axis else "1"


def rearranged_shape(call: Call) -> Shape:
    """Return the products of the sizes after the arrow."""
    sizes = parts(call)
    return tuple(product(tuple(sizes[name] for name in axis)) for axis in _pattern(call).right)


def rearranged_derivation(call: Call, out: Shape) -> list[str]:
    """Show the parts of each axis and their product."""
    sizes, pattern = parts(call), _pattern(call)
    named = {axis[0]: called for axis, called in zip(pattern.left, axis_names(call.x), strict=True) if axis and axis[0].startswith(REST)}
    lines = []
    for called, axis, size in zip(axis_names(out), pattern.right, out, strict=True):
        numbers = f"{'*'.join(f'{sizes[name]}' for name in axis)} = " if len(axis) > 1 else ""
        lines.append(f"{called}: {'*'.join(named.get(name, name) for name in axis) or '1'} = {numbers}{size}")
    return lines


def _places(call: Call) -> tuple[list[str], list[int]]:
    """Return the names on the left, and for each name on the right its index among them."""
    pattern = _pattern(call)
    names = [name for axis in pattern.left for name in axis]
    return names, [names.index(name) for axis in pattern.right for name in axis]


def copies(call: Call) -> bool:
    """Return whether parts are reordered and joined, which takes a copy; otherwise the result is a view."""
    order = _places(call)[1]
    return order != sorted(order) and any(len(axis) > 1 for axis in _pattern(call).right)


def rearranged_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return blocks or repetitions of positions along axes that keep their place; the whole of other axes."""
    pattern, sizes = _pattern(call), parts(call)
    if len(pattern.left) != len(pattern.right):
        return [None] * call.axes
    return [_field(left, right, sizes) for left, right in zip(pattern.left[1:], pattern.right[1:], strict=True)]


def _field(left: Axis, right: Axis, sizes: Mapping[str, Dim]) -> ReceptiveField | None:
    if left == right:
        return EACH
    inner = product(tuple(sizes[name] for name in (left[1:] if len(left) > 1 else right[1:])))
    if left[:1] != right[:1] or not left or min(len(left), len(right)) > 1 or not isinstance(inner, int):
        return None
    if len(left) > 1:  # blocks of positions
        return ReceptiveField((Positions(0, inner - 1),), inner)
    return ReceptiveField((Positions(),) * inner)


def lower_rearrange(call: Call) -> Target:
    """Lower to a reshape into parts, a permutation, and a reshape into axes; steps that change nothing are left out."""
    pattern, sizes = _pattern(call), parts(call)
    names, order = _places(call)
    result: CallTarget | Operand = Operand()
    if [axis for axis in pattern.left if len(axis) != 1]:
        result = CallTarget("torch.reshape", (result, (-1, *(sizes[name] for name in names))))
    if order != sorted(order):
        result = CallTarget("torch.permute", (result, (0, *(1 + place for place in order))))
    if [axis for axis in pattern.right if len(axis) != 1] or isinstance(result, Operand):
        result = CallTarget("torch.reshape", (result, (-1, *rearranged_shape(call))))
    assert isinstance(result, CallTarget)
    return result


OPERATORS = (
    Operator(
        name="rearrange",
        family="rearranging",
        summary="Reorders, splits and joins axes by a pattern in the notation of einops.",
        doc="""
        The pattern names the axes of a sample before and after the arrow, channels first, without the batch. The names are
        arbitrary. Parentheses are one axis made of several, the outermost first; all but one of these
        have a size, by name: `(h i)` with `i=2`. `1` is an axis of size 1, and `...` all axes without a name. Every name is on both
        sides.

        `"c h w -> (h w) c"` makes each position a channel, `"(g c) h w -> (c g) h w"` with `g=2` is `channel_shuffle(2)`, and
        `"c (h i) (w j) -> (j i c) h w"` with `i=2, j=2` makes each 2x2 block one position.
        """,
        source="Rogozhnikov 2022, Einops: clear and reliable tensor manipulations with Einstein-like notation, ICLR",
        example='input 96x56x56; rearrange("c (h i) (w j) -> (j i c) h w", i=2, j=2) => 384x28x28',
        attrs=(
            Attr("pattern", Quoted(), REQUIRED, "the axes before and after"),
            Attr("sizes", NamedSizes(), Word(""), "sizes of parts, by name"),
        ),
        gathers="sizes",
        shape=rearranged_shape,
        derivation=rearranged_derivation,
        receptive_field=rearranged_field,
        memory=Memory(view=True, copies=copies, order=channels_first),
        lower=lower_rearrange,
    ),
)
