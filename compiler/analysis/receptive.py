"""Compute receptive fields: what part of the input a value can depend on.

The span of input pixels that an output depends on, from the first to the last, is known for every output: windows advance evenly,
and upsampling repeats a pattern of spans, so a field is a few spans and the distance that they advance. Spans are exact, also
through branches (the union at merges); only a pattern of very many spans is replaced by one span that contains all of them. Padding
counts as pixels outside of the input. A normalization counts as depending on its own position only.
Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", Distill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import ceil, gcd, lcm

from archc.compiler.analysis.alignment import misaligned
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.receptive import EACH, MAX_PHASES, ONCE, Position, Positions, ReceptiveField
from archc.compiler.shapes.dim import Dim, Shape, show_sizes

Span = tuple[Position, Position]  # the first and the last pixel
WORK = 2**22  # about how many spans are computed for one network
FEWEST = 16  # how many may always be computed for one axis of one node


@dataclass(frozen=True, slots=True)
class Axis:
    """Along one axis, in pixels of the input, which begins at 0: output `n*len(spans) + phase` has `spans[phase]`, moved by `n*advance`.

    A `listed` axis has a span for each of its outputs and no others: it results from a merge of branches that advance differently.
    The span of an output that depends on no pixel is None. On a `whole` axis outputs depend on all of the input.
    """

    spans: tuple[Span | None, ...] = ((0, 0),)
    advance: Position = 1
    listed: bool = False
    whole: bool = False

    @property
    def size(self) -> int:
        """The pixels of the longest span."""
        return ceil(max((last - first + 1 for first, last in filter(None, self.spans)), default=0))

    @property
    def jump(self) -> Position:
        """Pixels from one output to the next."""
        return self.advance if len(self.spans) == 1 else _plain(Fraction(self.advance) / len(self.spans))

    @property
    def start(self) -> Position:
        """The pixel around which output 0 looks: the middle of its span where spans are equal, else by the mean of all spans."""
        ends = [span[0] + span[1] - 2 * phase * self.jump for phase, span in enumerate(self.spans) if span is not None]
        return _plain(Fraction(sum(ends)) / (2 * max(len(ends), 1)))

    def at(self, output: int) -> Span | None:
        """Return the span of an output."""
        turn, phase = divmod(output, len(self.spans))
        if self.listed:
            return None if turn else self.spans[phase]
        span = self.spans[phase]
        return None if span is None else (span[0] + turn * self.advance, span[1] + turn * self.advance)


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a node: an entry for each axis after the channels; a flat node has those of the map before it."""

    axes: tuple[Axis, ...]
    misaligned: bool = False  # the branches that meet here look at different places (`alignment`)

    @property
    def whole(self) -> bool:
        """Whether it is the whole input."""
        return all(axis.whole for axis in self.axes)

    @property
    def sizes(self) -> list[int | None] | None:
        """The size along each axis, None where it is the whole axis; None for the whole input."""
        return None if self.whole else [None if axis.whole else axis.size for axis in self.axes]

    def __str__(self) -> str:
        sizes = ["inf" if axis.whole else str(axis.size) for axis in self.axes]
        return "inf" if self.whole else show_sizes(sizes)


def receptive_fields(graph: ArchGraph) -> dict[str, Field]:
    """Compute the receptive field of every node, in one walk. Returns name -> field."""
    limit = max(FEWEST, min(MAX_PHASES, WORK // max(len(graph), 1)))
    displaced = {node.name for node, _ in misaligned(graph)}
    fields: dict[str, Field] = {}
    for node in graph:
        if node.is_input:
            fields[node.name] = Field((Axis(),) * (len(node.shape) - 1))
            continue
        operands = node.operands
        field = fields[operands[0].name]
        if len(operands) > 1:
            before = [_stretched(fields[operand.name], operand.shape, node.shape, limit) for operand in operands]
            field = _joined(node, [operand.shape for operand in operands], before, limit)
        own = node.operator.receptive_field(node.call, node.shape)
        if node.operator.memory.stored:  # it depends on no pixel
            same = len(node.shape) in (1, len(operands[0].shape))
            fields[node.name] = Field(
                tuple(Axis((None,), axis.jump) for axis in (field.axes if same else (Axis(),) * (len(node.shape) - 1)))
            )
            continue
        if 1 < len(node.shape) != len(operands[0].shape) or len(field.axes) != len(own) > 0:
            # Its axes are others than those before, such as that of a row of tokens: each output may depend on all inputs.
            fields[node.name] = Field((Axis(whole=True),) * (len(node.shape) - 1))
            continue
        if any(along is not EACH for along in own):
            counts = node.shape[1:] if len(node.shape) > 1 else (1,) * len(own)
            if len(counts) == len(own):
                field = Field(tuple(_through(*parts, limit) for parts in zip(field.axes, own, counts, strict=True)))
            else:  # its axes are not those of its operand
                field = Field((Axis(whole=True),) * len(counts))
        fields[node.name] = field if field.misaligned == (node.name in displaced) else Field(field.axes, node.name in displaced)
    return fields


def network_field(graph: ArchGraph, fields: dict[str, Field]) -> Field:
    """Return the receptive field of a network at inference: the largest of those of its maps.

    A map that depends on the whole input (after a gate by global pooling, say) makes it the whole input; values without positions, such
    as those of a classifier after its last pooling, do so only where there is no map.
    """
    nodes = [node for node in graph if not node.training_only and fields[node.name].axes]
    maps = [fields[node.name] for node in nodes if any(size != 1 for size in node.shape[1:])]
    known = maps + [field for node in nodes if not (field := fields[node.name]).whole]
    if not known:
        return Field(())
    rank = max(len(field.axes) for field in known)
    if any(field.whole for field in maps):
        return Field((Axis(whole=True),) * rank)
    along = zip(*(field.axes for field in known if len(field.axes) == rank), strict=True)
    return Field(tuple(max(axes, key=lambda axis: (axis.whole, axis.size)) for axes in along))


# ---- one axis through an operator


@lru_cache(4096)
def _through(axis: Axis, field: ReceptiveField | None, count: Dim, limit: int) -> Axis:
    """Return the axis of `count` outputs of an operator whose field is `field` and whose input has `axis`."""
    if axis.whole or field is None:
        return replace(axis, whole=True)
    if len(axis.spans) == len(field.windows) == 1 and field.advance and not axis.listed:
        return _evenly(axis, field)
    regular, phases = _regular(axis), _phases(axis, field)
    listed = axis.listed or not field.advance or (isinstance(count, int) and count < phases)
    if listed:  # or all outputs depend on one value, or the pattern is longer than the axis
        phases = count if isinstance(count, int) else 0
    widest = 2 if regular else max((_members(window) for window in field.windows if window is not None), default=1)
    if phases == 0 or phases * widest > limit:
        return _evenly(_bound(axis), _widest(field))
    spans = tuple(_seen(axis, _moved(field, output), regular) for output in range(phases))
    return Axis(spans, _plain(Fraction(axis.jump * field.advance * phases) / len(field.windows)), listed)


def _phases(axis: Axis, field: ReceptiveField) -> int:
    """Return the number of outputs after which the pattern repeats; 0 where it is not known."""
    if not isinstance(field.advance, int):
        return 0
    return len(field.windows) * (len(axis.spans) // gcd(len(axis.spans), field.advance))


def _evenly(axis: Axis, field: ReceptiveField) -> Axis:
    """Pass one span through one window."""
    span, window = axis.spans[0], field.windows[0]
    ends = None if span is None or window is None else (span[0] + window.first * axis.advance, span[1] + window.last * axis.advance)
    return Axis((ends,), field.advance * axis.advance)


def _moved(field: ReceptiveField, output: int) -> Positions | None:
    """Return the window of an output."""
    turn, phase = divmod(output, len(field.windows))
    window = field.windows[phase]
    return None if window is None else Positions(window.first + turn * field.advance, window.last + turn * field.advance, window.step)


def _members(window: Positions) -> int:
    return int((window.last - window.first) // window.step) + 1


def _regular(axis: Axis) -> bool:
    """Return whether spans never move back, so that the ends of a window have the ends of its hull."""
    spans = [axis.at(output) for output in range(len(axis.spans) + (not axis.listed))]
    return None not in spans and all(a is not None and b is not None and a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(spans))


def _seen(axis: Axis, window: Positions | None, regular: bool) -> Span | None:
    """Return the hull of the spans of a window's members."""
    if window is None:
        return None
    first, last, step = int(window.first), int(window.last), window.step
    if axis.listed:  # outputs beyond the ends are padding, without a span
        first += max(0, -(first // step)) * step
        last -= max(0, -((len(axis.spans) - 1 - last) // step)) * step
    if first > last:
        return None
    members = (first, last) if regular else range(first, last + 1, step)
    return _hull(axis.at(member) for member in members)


def _hull(spans: Iterator[Span | None]) -> Span | None:
    known = list(filter(None, spans))
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None


# ---- bounds, where exact patterns are too long


def _bound(axis: Axis) -> Axis:
    """Return an axis of one span that contains all of its spans."""
    return _envelope([(axis, range(len(axis.spans)), 0)], axis.jump)


def _widest(field: ReceptiveField) -> ReceptiveField:
    """Return a field of one window that contains all of its windows."""
    step = Fraction(field.advance) / len(field.windows)
    windows = [(window.first - i * step, window.last - i * step) for i, window in enumerate(field.windows) if window is not None]
    if not windows:
        return ReceptiveField((None,), step)
    return ReceptiveField((Positions(min(first for first, _ in windows), max(last for _, last in windows)),), step)


def _envelope(parts: Sequence[tuple[Axis, range, int]], jump: Position) -> Axis:
    """Return an axis of one span, advancing by `jump`, that contains the spans of some outputs of several axes.

    Each part is an axis, its outputs, and the number of outputs before them.
    """
    ends = []
    for axis, outputs, begin in parts:
        count = min(len(axis.spans), len(outputs))  # spans drift evenly, so the extremes are in the first or the last pattern
        for output in {*outputs[:count], *outputs[len(outputs) - count :]}:
            if (span := axis.at(output)) is not None:
                ends.append((span[0] - (output + begin) * jump, span[1] - (output + begin) * jump))
    return Axis((_hull(iter(ends)),), jump)


# ---- several axes at a merge


def _stretched(field: Field, shape: Shape, out: Shape, limit: int) -> Field:
    """Return the field of an operand, with an axis of one position broadcast to all outputs."""
    if len(shape) != len(out) or all(size == count or size != 1 for size, count in zip(shape[1:], out[1:], strict=True)):
        return field
    sizes = zip(field.axes, shape[1:], out[1:], strict=True)
    return Field(tuple(_through(axis, ONCE, count, limit) if size == 1 != count else axis for axis, size, count in sizes))


def _joined(node: Node, shapes: Sequence[Shape], fields: Sequence[Field], limit: int) -> Field:
    """Return the field of a merge: the hull of its branches, or, along the axis of a concatenation, branch after branch."""
    along = node.operator.joined_axis(node.call) or 0
    if not along and all(field.axes == fields[0].axes for field in fields):
        return Field(fields[0].axes)
    if len({len(field.axes) for field in fields}) > 1:
        return Field(())  # flat values, from inputs with and without positions
    axes = []
    for number, together in enumerate(zip(*(field.axes for field in fields), strict=True), start=1):
        if any(axis.whole for axis in together):
            axes.append(replace(together[0], whole=True))
        elif number == along:
            axes.append(_in_turn(together, [shape[number] for shape in shapes], limit))
        else:
            axes.append(_union(together, node.shape[number] if len(node.shape) > 1 else 1, limit))
    return Field(tuple(axes))


def _union(together: Sequence[Axis], count: Dim, limit: int) -> Axis:
    jump = together[0].jump
    if any(axis.listed or axis.jump != jump for axis in together):
        jump = next((axis.jump for axis in together if axis.advance), jump)
        if isinstance(count, int) and count <= limit:
            return Axis(tuple(_hull(axis.at(output) for axis in together) for output in range(count)), jump * count, True)
        return _envelope([(axis, range(count if isinstance(count, int) else len(axis.spans)), 0) for axis in together], jump)
    phases = lcm(*(len(axis.spans) for axis in together))
    if phases > limit:
        together, phases = [_bound(axis) for axis in together], 1
    return Axis(tuple(_hull(axis.at(phase) for axis in together) for phase in range(phases)), _plain(jump * phases))


def _in_turn(together: Sequence[Axis], sizes: Sequence[Dim], limit: int) -> Axis:
    """Concatenate the outputs of several axes."""
    jump = together[0].jump
    numbers = [size for size in sizes if isinstance(size, int)]
    if len(numbers) < len(sizes):
        return max(together, key=lambda axis: axis.size)
    if (total := sum(numbers)) <= limit:
        spans = [axis.at(output) for axis, size in zip(together, numbers, strict=True) for output in range(size)]
        return Axis(tuple(spans), jump * total, True)
    begins = [sum(numbers[:number]) for number in range(len(numbers))]
    return _envelope([(axis, range(size), begin) for axis, size, begin in zip(together, numbers, begins, strict=True)], jump)


def _plain(value: Position) -> Position:
    return value.numerator if value.denominator == 1 else value
