"""Calls of functions and members as expressions of Python."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archc.compiler.backends.source.classes import Class
from archc.compiler.backends.source.expressions import ATOM, PRODUCT, SUM, Expression, literal
from archc.compiler.backends.source.helpers import called
from archc.compiler.backends.source.layout import Doc, Group, Terms, call, flat, named
from archc.compiler.backends.source.library import BY_FUNCTION, POSITIONS
from archc.compiler.backends.source.parts import Applied, Leaf, Own, Ref, Slice

INFIX: Mapping[str, tuple[str, int]] = {
    "operator.add": ("+", SUM),
    "operator.sub": ("-", SUM),
    "operator.mul": ("*", PRODUCT),
    "operator.truediv": ("/", PRODUCT),
}


@dataclass
class Text:
    """An expression as a document, how tightly it binds, whether it holds a layer, and the values whose variables it reads."""

    doc: Doc
    binds: int = ATOM
    leads: bool = False
    reads: frozenset[int] = frozenset()


class Calls:
    """Writes the calls of one class. `names` are the variables of values, and `pending` the expressions of values that have none yet."""

    def __init__(self, made: Class) -> None:
        self.made = made
        self.names: dict[int, str] = {}
        self.pending: dict[int, Text] = {}
        self.called: dict[str, str] = {}  # the variables of the members of a loop, by the stems of their names
        self.helpers: set[str] = set()
        self.kept: set[str] = set()  # the arguments of the constructor that the forward needs

    def _call(self, applied: Applied, sketch: bool = False) -> Text:
        if isinstance(applied.target, Own):
            path = applied.target.path
            return Text(call(self.called.get(path[0]) or reached(path), [self._value(arg, sketch).doc for arg in applied.args]))
        name = self._text(applied.target).text
        args = applied.args
        if name in INFIX:
            return self._infix(name, args, sketch)
        if name == "operator.getitem":
            base, index = args
            parts = index if isinstance(index, tuple) else (index,)
            return Text(f"{self._atom(base, sketch)}[{', '.join(map(self._index, parts))}]")
        if name == "operator.neg":
            return Text(f"-{self._atom(args[0], sketch)}", PRODUCT)
        if name == "torch.flatten":
            return Text(call(f"{self._atom(args[0], sketch)}.flatten", [self._value(arg, sketch).doc for arg in args[1:]]))
        if name == "archc.learned":
            return self._learned(applied, sketch)
        return self._function(name, applied, sketch)

    def _function(self, name: str, applied: Applied, sketch: bool) -> Text:
        known = BY_FUNCTION.get(name)
        count, positions = POSITIONS.get(name, (len(applied.args), ()))
        docs = [self._value(arg, sketch).doc for arg in applied.args[:count]]
        docs += [named(key, self._value(arg, sketch).doc) for key, arg in zip(positions, applied.args[count:], strict=False)]
        first = known.first if known is not None else ()
        given = dict(applied.kwargs)
        docs += [self._text(given.pop(key)).text for key in first if key in given]
        docs += ["self.training"] if known is not None and known.trains else []
        for key, leaf in given.items():
            text = self._text(leaf).text
            if known is None or known.defaults is None or key not in known.defaults or text != literal(known.defaults[key]).text:
                docs.append(f"{key}={text}")
        return Text(call(called(name, self.helpers), docs))

    def _learned(self, applied: Applied, sketch: bool) -> Text:
        """Return a trained tensor as a view with a copy for each sample, channels first."""
        given = dict(applied.kwargs)
        axes = given["axes"].value
        own = applied.args[1]
        tensor = reached(own.path) + (".movedim(-1, -2)" if axes == 1 else "")
        return Text(f"{tensor}.expand({self._atom(applied.args[0], sketch)}.shape[0]{', -1' * (axes + 1)})")

    def _infix(self, name: str, args: Sequence[Any], sketch: bool) -> Text:
        sign, binds = INFIX[name]
        left, right = self._value(args[0], sketch), self._value(args[1], sketch)
        one: Doc = left.doc if left.binds >= binds else f"({flat(left.doc)})"
        other: Doc = right.doc if right.binds > binds else f"({flat(right.doc)})"
        first = one.operands if isinstance(one, Terms) and one.sign == sign else (one,)
        return Text(Terms((*first, other), sign), binds)

    def _value(self, arg: Any, sketch: bool) -> Text:
        match arg:
            case Ref(number):
                if number in self.pending:
                    return Text("") if sketch else self.pending[number]
                return Text(self.names[number])
            case Own(path):
                return Text(reached(path))
            case Leaf():
                found = self._text(arg)
                return Text(found.text, found.binds)
            case Applied():
                return self._call(arg, sketch)
            case tuple():
                return Text(Group("[", tuple(self._value(item, sketch).doc for item in arg), "]"))
        raise AssertionError(arg)

    def _index(self, part: Leaf | Slice) -> str:
        if isinstance(part, Leaf):
            return self._text(part).text
        bounds = [part.start, part.stop] if part.step is None else [part.start, part.stop, part.step]
        found = [self._text(bound) if bound is not None else Expression("") for bound in bounds]
        simple = all(bound.text.removeprefix("-").isalnum() or not bound.text for bound in found)
        return (":" if simple else " : ").join(bound.text for bound in found).strip()

    def _text(self, leaf: Leaf) -> Expression:
        return self._kept(self.made.texts[id(leaf)])

    def _kept(self, found: Expression) -> Expression:
        """Return an expression of arguments as one of attributes."""
        self.kept |= found.names
        text = found.text
        for name in found.names:
            text = re.sub(rf"\b{name}\b", f"self.{attribute(self.made, name)}", text)
        return Expression(text, found.binds, found.names)

    def _atom(self, arg: Any, sketch: bool) -> str:
        text = self._value(arg, sketch)
        return flat(text.doc) if text.binds == ATOM else f"({flat(text.doc)})"


def attribute(made: Class, name: str) -> str:
    """Return the attribute that holds an argument of the constructor."""
    return f"{name}_" if name in {member for member, _ in made.first.members} or hasattr_module(name) else name


def hasattr_module(name: str) -> bool:
    """Return whether `nn.Module` has an attribute of this name that an argument may have, too."""
    return name in ("training", "type", "half", "double", "float", "train", "eval", "apply", "forward", "dump_patches")


def reached(path: Sequence[str]) -> str:
    """Return how a forward reaches a member."""
    text = "self"
    for name in path:
        text += f".{name}" if name.isidentifier() and not keyword.iskeyword(name) else f'.get_submodule("{name}")'
    return text
