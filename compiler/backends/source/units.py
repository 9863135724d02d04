"""A lowered program as units, one for each scope: the members that it constructs, and the statements of its forward.

Units are plain data, and equal up to their leaves where two scopes can be instances of one class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archc.compiler.backends.source.initial import drawn
from archc.compiler.backends.source.library import FUNCTIONS, OPTIONS, canonical
from archc.compiler.backends.source.parts import (
    NETWORK,
    Applied,
    Chain,
    Child,
    Code,
    Do,
    Leaf,
    Member,
    New,
    Own,
    Ref,
    Slice,
    Unit,
    Weight,
    children,
    is_numbered,
)
from archc.compiler.graph import Frame
from archc.compiler.lowering.program import FunctionCall, LoweredProgram, Part, Scope, Step, Trained, Value
from archc.compiler.ops import operator_of
from archc.compiler.shapes.dim import show_shape


class Units:
    """The units of a program by key, inner ones after the ones around them.

    `names` are parameters of the `arch` line that may be arguments, and `others` the same network with other values of them: all their
    units are instances of the same classes. Keys of the others begin with a number.
    """

    def __init__(self, program: LoweredProgram, names: Sequence[str] = (), others: Sequence[LoweredProgram] = ()) -> None:
        self.program = _simplified(program)
        program = self.program
        self.values = {name: program.graph.parameters[name] for name in names}
        self.found: dict[str, Unit] = {}
        self.scopes = {scope.key: scope for scope in reversed(list(program.body.scopes()))}
        self.shapes = {step.name: step.shape for step in program.steps}
        self.calls = {scope.path: scope for scope in program.body.scopes()}
        self.frames = _frames(program)
        self._written = {step.key: step.name for step in reversed(program.steps)}
        self.numbers: dict[str, int] = {}  # of the values in the forward of the network
        self._add(program.body, NETWORK)
        for number, other in enumerate(others, 1):
            self._include(Units(other, names), number)

    def _include(self, other: Units, number: int) -> None:
        """Add the units of another network."""
        before = f"{number}@"
        for key, unit in other.found.items():
            unit.key, unit.variant = before + key, number
            unit.members = _renamed(unit.members, before)
            unit.chain = Chain(unit.members) if unit.chain is not None else None
            self.found[unit.key] = unit

    def _add(self, scope: Scope, group: tuple[Any, ...]) -> None:
        frame = self.frames.get(scope.path)
        if scope.key and frame is not None and frame.block is not None:
            group = ("block", frame.block.name, frame.block.span.source.label, frame.block.span.start)
        unit = Unit(scope.key, (), (), (), frame=frame, takes=scope.takes, group=group, values=self.values)
        unit.entering = tuple(self.shapes[name] for name in scope.takes)
        self.found[scope.key] = unit
        chain = self.chain(scope)
        if chain is not None and scope.key and is_numbered(chain):
            unit.chain, unit.members = chain, chain.items
        else:
            unit.members = tuple(self._members(scope.key))
            numbers = {name: -1 - place for place, name in enumerate(scope.takes)}
            unit.body = tuple(self._body(scope, numbers))
            unit.returns = tuple(Ref(numbers[name]) for name in scope.returns)
            if not scope.key:
                self.numbers = numbers
        self._add_children(unit)

    def _add_children(self, unit: Unit) -> None:
        for key in children(unit.members):
            if key in self.found:
                continue
            label = re.sub(r"\d+", "#", key[len(unit.key) + 1 :] if unit.key else key)
            group = (*unit.group, label)
            if key in self.scopes:
                self._add(self.scopes[key], group)
            else:
                self.found[key] = Unit(key, tuple(self._members(key)), (), (), group=group, loose=True, values=self.values)
                self._add_children(self.found[key])

    # ---- members

    def _members(self, key: str) -> Iterator[tuple[str, Member]]:
        for name, inner in self.program.members.get(key, {}).items():
            part = self.program.parts.get(inner)
            if part is not None and part.target in FUNCTIONS:
                continue  # the forward calls a function
            yield name, self._member(inner)

    def _member(self, key: str, inner: bool = False) -> Member:
        part = self.program.parts.get(key)
        if part is not None:
            return self._part(part)
        if key in self.program.loose:
            return Child(key)
        scope = self.scopes[key]
        frame = self.frames.get(scope.path)
        place = frame.span.start if frame is not None else -1
        chain = self.chain(scope) if self._is_plain(scope) else None
        if chain is None or (inner and not is_numbered(chain)):
            return Child(key, place)
        return chain

    def _is_plain(self, scope: Scope) -> bool:
        """Return whether a scope is a group of the text, and no call of a block."""
        frame = self.frames.get(scope.path)
        return frame is None or frame.block is None

    def _part(self, part: Part) -> Member:
        words = self._options(self._written[part.key])
        if part.kind == "tensor":
            return Weight(Leaf(tuple(part.weights[""]), "shape"), drawn(part.initial[""]) if part.initial else "")
        args = tuple((name, Leaf(value, name, words(name))) for name, value in canonical(part.target, part.settings).items())
        return New(Leaf(Code(part.target), "activation"), args, self.program.graph[self._written[part.key]].span.start)

    def _options(self, node: str) -> Callable[[str], str]:
        """Return what finds the text that sets an argument."""
        origins = self.program.graph[node].origins

        def text(name: str) -> str:
            origin = origins.get(OPTIONS.get(name, name))
            return origin.text if origin is not None else ""

        return text

    def chain(self, scope: Scope) -> Chain | None:
        """Return the members of a scope that only runs all of them in sequence; None for any other scope."""
        if len(scope.takes) != 1 or len(scope.returns) != 1:
            return None
        names = []
        before = scope.takes[0]
        for item in scope.body:
            step = item if isinstance(item, Step) else None
            inputs = step.operands if step is not None else item.takes if isinstance(item, Scope) else ()
            if tuple(inputs) != (before,) or (step is not None and (step.kind != "module" or step.training_only)):
                return None
            if isinstance(item, Scope) and len(item.returns) != 1:
                return None
            names.append(item.key[len(scope.key) + 1 :])
            before = step.name if step is not None else item.returns[0]  # type: ignore[union-attr]
        members = self.program.members.get(scope.key, {})
        if before != scope.returns[0] or list(members) != names or scope.key in self.program.loose:
            return None
        if self.frames.get(scope.path) is not None and not all(name.isdigit() for name in names):
            frame = self.frames[scope.path]
            if frame is not None and frame.block is not None:
                return None  # a block with names is a class with a forward
        return Chain(tuple((name, self._member(key, inner=True)) for name, key in members.items()))

    # ---- statements

    def _body(self, scope: Scope, numbers: dict[str, int]) -> Iterator[Do]:
        count = 0
        whole = all(step.training_only for step in _steps(scope))  # what is around it asks for the mode
        for item in scope.body:
            if isinstance(item, Step):
                if item.kind == "input":
                    numbers[item.name] = -1 - self.program.inputs.index(item.name)
                    continue
                numbers[item.name] = count
                label = _label(item.name, item.op)
                call = self._call(scope, item, numbers)
                leads = bool(item.part and (item.part.weights or item.part.buffers)) and not operator_of(item.op).is_attached
                yield Do((count,), call, item.training_only and not whole, leads, label, (show_shape(item.shape),), item.span.start)
                count += 1
                continue
            path = tuple(item.key[len(scope.key) + 1 if scope.key else 0 :].split("."))
            operands = tuple(Ref(numbers[name]) for name in item.takes)
            results = tuple(range(count, count + len(item.returns)))
            only = all(step.training_only for step in _steps(item)) and not whole
            shapes = tuple(show_shape(self.shapes[name]) for name in item.returns)
            label = _label(item.path, item.block or "seq")
            yield Do(results, Applied(Own(path), operands), only, True, label, shapes)
            numbers.update(zip(item.returns, results, strict=True))
            count += len(results)

    def _call(self, scope: Scope, step: Step, numbers: Mapping[str, int]) -> Applied:
        operands = tuple(Ref(numbers[name]) for name in step.operands)
        own = Own(tuple(step.key[len(scope.key) + 1 if scope.key else 0 :].split(".")))
        words = self._options(step.name)
        if step.kind == "module":
            assert step.part is not None
            known = FUNCTIONS.get(step.part.target)
            if known is None:
                return Applied(own, operands)
            settings = canonical(step.part.target, step.part.settings)
            kwargs = _named(settings, words)
            return Applied(Leaf(Code(known.name), "activation"), operands, kwargs)

        def argument(value: Any) -> Any:
            match value:
                case Value(name):
                    return Ref(numbers[name])
                case Trained():
                    return own
                case FunctionCall(target, args, kwargs):
                    return Applied(Leaf(Code(target)), tuple(map(argument, args)), _named(kwargs, words))
                case list() if any(isinstance(item, Value | FunctionCall) for item in value):
                    return tuple(argument(item) for item in value)
                case slice(start=start, stop=stop, step=by):
                    return Slice(_bound(start or None, "start", words), _bound(stop, "stop", words), _bound(by, "step", words))
                case tuple() if any(isinstance(item, slice) for item in value):
                    return tuple(argument(item) for item in value)
            return Leaf(value, "sizes" if isinstance(value, tuple | list) else "value")

        return Applied(Leaf(Code(step.target)), tuple(map(argument, step.args)), _named(step.kwargs, words))


def _renamed(members: Sequence[tuple[str, Any]], before: str) -> tuple[tuple[str, Any], ...]:
    """Return members whose units have a text before their keys."""

    def renamed(member: Any) -> Any:
        if isinstance(member, Child):
            return Child(before + member.key, member.place)
        return Chain(_renamed(member.items, before)) if isinstance(member, Chain) else member

    return tuple((name, renamed(member)) for name, member in members)


def _simplified(program: LoweredProgram) -> LoweredProgram:
    """Return a program with PyTorch's own modules, or shorter ones, where these compute the same values from float32.

    `archc.ResponseNorm` computes in float32 for shorter dtypes, and `archc.MultiheadAttention` takes operands of any kind.
    """
    parts = dict(program.parts)
    for step in program.steps:
        part = step.part
        if part is None:
            continue
        if part.target == "archc.ResponseNorm":
            parts[part.key] = replace(part, target="nn.LocalResponseNorm")
        elif part.target == "archc.MultiheadAttention" and not part.settings["causal"] and len(step.operand_shapes) == 1:
            one = len(step.operand_shapes[0]) == 2 and part.settings["kdim"] == part.settings["vdim"] == part.settings["embed_dim"]
            settings = {name: part.settings[name] for name in ("embed_dim", "num_heads", "dropout", "bias")} | {"batch_first": True}
            parts[part.key] = replace(part, target="archc.SelfAttention", settings=settings) if one else part
    steps = {step.name: replace(step, part=parts[step.key]) if step.part is not None else step for step in program.steps}
    return replace(program, parts=parts, steps=tuple(steps.values()), body=_with(program.body, steps))


def _with(scope: Scope, steps: Mapping[str, Step]) -> Scope:
    body = tuple(steps[item.name] if isinstance(item, Step) else _with(item, steps) for item in scope.body)
    return replace(scope, body=body)


def _named(kwargs: Mapping[str, Any], words: Callable[[str], str]) -> tuple[tuple[str, Leaf], ...]:
    return tuple((name, Leaf(value, name, words(name))) for name, value in kwargs.items())


def _bound(value: Any, role: str, words: Callable[[str], str]) -> Leaf | None:
    return None if value is None or (role == "step" and value == 1) else Leaf(value, role, words(role))


def _label(path: str, stem: str) -> str:
    """Return the label of a step or scope where the file gives it one; "" for a name that was counted, such as `conv3`."""
    name = path.rpartition(".")[2]
    return "" if re.fullmatch(rf"({re.escape(stem)}|seq)\d*|\d+", name) else name


def _steps(scope: Scope) -> Iterator[Step]:
    for item in scope.body:
        if isinstance(item, Step):
            yield item
        else:
            yield from _steps(item)


def _frames(program: LoweredProgram) -> dict[str, Frame]:
    """Return the calls of blocks by the path of what they create."""
    frames: dict[str, Frame] = {}
    for node in program.graph:
        for frame in node.frame.chain() if node.frame else ():
            if frame.scope:
                frames.setdefault(frame.scope, frame)
    return frames
