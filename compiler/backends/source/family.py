"""Which parameters of the `arch` line are arguments of the network's class.

The network is lowered with other values of a parameter, and all that is written is an expression of the parameter for all of them. A
parameter is an argument only where that is right for every value: all that it changes are numbers with an expression, and no choice of
the text depends on it that the classes do not make, too. The others are numbers of the file.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archc.compiler.backends import Varied
from archc.compiler.backends.source.arguments import RESERVED, given_to
from archc.compiler.backends.source.classes import Class, Classes
from archc.compiler.backends.source.initial import initialization
from archc.compiler.backends.source.units import Units
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered_modes
from archc.compiler.lowering.program import LoweredProgram
from archc.dsl import ast
from archc.dsl.errors import ArchError
from archc.dsl.source import Span

TRIED = 2  # values of each parameter, all others as they are
TAKEN = frozenset({"i", "chain", "layer", "layers", "math", "module", "name", "pairwise", "parameter", "torch"})  # names of the file itself
Modes = tuple[LoweredProgram, LoweredProgram]  # for training, for inference


class Family:
    """A network with other values of its parameters: `names` are those that can be arguments, of the `classes`."""

    def __init__(self, graph: ArchGraph, modes: Modes, varied: Varied | None) -> None:
        self.graph, self.modes, self._varied = graph, modes, varied
        self.names: tuple[str, ...] = ()
        self.classes: Classes | None = None  # with these parameters; None where there are none
        self.held_out: list[tuple[dict[str, Any], ArchGraph]] = []  # with values that nothing was derived from
        if varied is not None:
            self._find()

    def _find(self) -> None:
        plain = Classes(Units(self.modes[0]))
        tried: dict[str, list[tuple[Any, Modes]]] = {}
        held_out: dict[str, tuple[dict[str, Any], ArchGraph]] = {}
        for name, value in self.graph.parameters.items():
            if isinstance(value, bool | int | float) and _is_fit(name):
                rows, last = self._alone(name, value, plain)
                if rows:
                    tried[name] = rows
                if last is not None:
                    held_out[name] = last
        classes = self._together(tried, plain)
        if classes is None:  # without those that cannot be an argument by themselves, and then the last of the others
            tried = {name: rows for name, rows in tried.items() if self._together({name: rows}, plain) is not None}
            while tried and (classes := self._together(tried, plain)) is None:
                tried.popitem()
        if classes is not None:
            self.names = tuple(classes.ordered[-1].arguments_by_name)
            self.classes = classes if self.names else None
            self.held_out = [held_out[name] for name in self.names if name in held_out]

    def _alone(self, name: str, value: Any, plain: Classes) -> tuple[list[tuple[Any, Modes]], tuple[dict[str, Any], ArchGraph] | None]:
        """Return the network with other values of one parameter, and with another one that nothing is to be derived from.

        There are none where the parameter cannot be an argument, or makes no difference.
        """
        found: list[tuple[Any, Modes]] = []
        most = 1 if isinstance(value, bool) else TRIED
        for other, graph in self._graphs(name, value):
            if len(found) == most:
                return found, ({name: other}, graph)
            modes = _lowered(graph)
            if modes is None or (not found and not self._is_alike(name, modes, plain)):
                return [], None
            found.append((other, modes))
        return (found, None) if len(found) == most else ([], None)

    def _together(self, tried: Mapping[str, list[tuple[Any, Modes]]], plain: Classes) -> Classes | None:
        """Return classes with some parameters as arguments; None where they are not the network for every value."""
        if not tried:
            return None
        others = [modes for rows in tried.values() for _, modes in rows] + list(self._mixed(tried))
        if not all(_same_ends(self.modes, modes) and _same_start(self.modes[0], modes[0]) for modes in others):
            return None
        classes = Classes(Units(self.modes[0], tuple(tried), [modes[0] for modes in others]))
        if _names(classes) != _names(plain) or not all(map(_is_as_plain, classes.ordered, plain.ordered)):
            return None
        depending = (span for modes in others for span in _depending(self.graph, modes[0].graph))
        return classes if all(self._is_made(span, classes) for span in depending) else None

    def _graphs(self, name: str, value: Any) -> Iterator[tuple[Any, ArchGraph]]:
        assert self._varied is not None
        for other in _values(value):
            graph = self._varied({name: other})
            if graph is not None:
                yield other, graph

    def _mixed(self, tried: Mapping[str, list[tuple[Any, Modes]]]) -> Iterator[Modes]:
        """Yield the network with other values of several parameters at once."""
        assert self._varied is not None
        for turn in range(TRIED) if len(tried) > 1 else ():
            values = {name: rows[(turn + place) % len(rows)][0] for place, (name, rows) in enumerate(tried.items())}
            graph = self._varied(values)
            modes = _lowered(graph) if graph is not None else None
            if modes is not None:
                yield modes

    # ---- what must hold

    def _is_alike(self, name: str, modes: Modes, plain: Classes) -> bool:
        """Return whether a network can be of the same classes, and is not the same."""
        if _constants(modes) == _constants(self.modes):
            return False
        if not (_same_ends(self.modes, modes) and _same_start(self.modes[0], modes[0])):
            return False
        if list(modes[0].parts) == list(self.modes[0].parts):
            return True
        return _names(Classes(Units(self.modes[0], (name,), [modes[0]]))) == _names(plain)

    def _is_made(self, span: Span, classes: Classes) -> bool:
        """Return whether a choice of the text is one of the classes, too."""
        shapes = [node.span for node in self.graph.inputs]  # options of an input say how samples are prepared
        if any(_within(span, each) for each in shapes):
            return True
        around = [made for made in classes.ordered if _block(made) is not None and _within(span, _block(made).span)]  # type: ignore[union-attr]
        if around:
            return all(_tells(made, span) for made in around)
        return any(_tells(made, span) for made in classes.ordered if _block(made) is None)


def _tells(made: Class, span: Span) -> bool:
    return made.known is not None and any(span.text in text for text in made.known.told)


def _block(made: Class) -> ast.Block | ast.Share | None:
    frame = made.first.frame
    return frame.block if frame is not None else None


def _within(span: Span, around: Span) -> bool:
    return span.source.name == around.source.name and around.start <= span.start and span.end <= around.end


def _names(classes: Classes) -> list[str]:
    return [made.name for made in classes.ordered]


def _is_as_plain(made: Class, plain: Class) -> bool:
    """Return whether a class is written of the network itself, and has no arguments that only the other values need."""
    if made.first.variant or made.known is None or plain.known is None:
        return False
    added = set(made.arguments_by_name) - set(given_to(made.units))
    if made.first.is_network and added:
        return False
    if added != set(plain.arguments_by_name) - set(given_to(plain.units)):
        return False
    return all(_is_steady(made, truths) for truths in made.known.guessed)


def _is_steady(made: Class, truths: Sequence[bool]) -> bool:
    """Return whether a condition that is not of the text is the same for all values of the parameters."""
    usual = {unit.key: held for unit, held in zip(made.units, truths, strict=True) if not unit.variant}
    return all(usual.get(unit.key.partition("@")[2]) == held for unit, held in zip(made.units, truths, strict=True) if unit.variant)


def _depending(graph: ArchGraph, other: ArchGraph) -> list[Span]:
    """Return the places of choices that depend on a parameter: they were made from other numbers."""
    before, now = _made(graph), _made(other)
    return [span for key, (span, held) in {**now, **before}.items() if before.get(key, (span, None))[1] != now.get(key, (span, None))[1]]


def _made(graph: ArchGraph) -> dict[tuple[str, int, int], tuple[Span, list[str]]]:
    found: dict[tuple[str, int, int], tuple[Span, list[str]]] = {}
    for choice in graph.choices:
        key = (choice.span.source.name, choice.span.start, choice.span.end)
        found.setdefault(key, (choice.span, []))[1].append(repr(choice.held))
    return found


def _constants(modes: Modes) -> list[Any]:
    """Return all of a network in which its values can differ."""
    found = [[(step.name, step.target, step.args, step.kwargs) for step in program.steps] for program in modes]
    return [*found, [(part.key, part.target, part.settings, part.weights, part.initial) for part in modes[0].parts.values()]]


def _same_ends(modes: Modes, others: Modes) -> bool:
    """Return whether inputs and outputs are the same, in evaluation and in training."""
    pairs = list(zip(modes, others, strict=True))
    if any(ours.inputs != theirs.inputs or list(ours.outputs) != list(theirs.outputs) for ours, theirs in pairs):
        return False
    return all(_ends(ours) == _ends(theirs) for ours, theirs in pairs)


def _ends(program: LoweredProgram) -> list[str]:
    return list(program.outputs.values())


def _same_start(program: LoweredProgram, other: LoweredProgram) -> bool:
    """Return whether weights start in the same way."""
    ours, theirs = initialization(program.parts), initialization(other.parts)
    return ours.constructor() == theirs.constructor() and ours.function() == theirs.function()


def _lowered(graph: ArchGraph) -> Modes | None:
    try:
        return lowered_modes(graph)
    except ArchError:
        return None


def _is_fit(name: str) -> bool:
    """Return whether a parameter can be an argument by its name."""
    return name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED and name not in TAKEN


def _values(value: Any) -> list[Any]:
    """Return values to try, unlike each other: first those next to it, which most networks allow."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, float):
        tried: list[Any] = [value / 2, value * 1.5, 0.35, 0.9, 0.15, 0.0, 1.25, value * 3]
    else:
        tried = [value + 1, 2 * value, value + 0.5, 3 * value + 2, value // 2, 1, 2, 3, 4 * value, 5, 6 * value, 3 * value, 8 * value]
    return list(dict.fromkeys(other for other in tried if other > 0 and other != value))
