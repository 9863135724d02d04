"""Expressions of Python that have given values: a constant, an argument, or a short formula of arguments."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from archc.compiler.backends.source.linear import linear

ATOM, PRODUCT, SUM, CHOICE = 3, 2, 1, 0  # how tightly the outermost operator of an expression binds


class Absent:
    """The value of a constant in an instance that lacks what it belongs to: equal to any."""


ABSENT = Absent()


@dataclass(frozen=True)
class Expression:
    """An expression as text, and how tightly it binds."""

    text: str
    binds: int = ATOM
    names: frozenset[str] = frozenset()


def alike(one: Any, other: Any) -> bool:
    """Return whether two values are the same constant: equal, and of one type, all that they contain included."""
    if one is ABSENT or other is ABSENT:
        return True
    return type(one) is type(other) and repr(one) == repr(other)


def literal(value: Any) -> Expression:
    """Return a constant as Python in the form of ruff."""
    return Expression(_literal(value))


def _literal(value: Any) -> str:
    match value:
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case tuple():
            return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case slice():
            parts = [value.start, value.stop] if value.step in (None, 1) else [value.start, value.stop, value.step]
            if value.start in (None, 0):
                parts[0] = None
            return ":".join("" if part is None else _literal(part) for part in parts)
        case float() if value in (float("inf"), float("-inf")):
            return f'float("{value}")'
    return str(value.text) if hasattr(value, "text") else repr(value)


SAFE = {"min": min, "max": max, "abs": abs, "round": round, "len": len, "sum": sum}
ALLOWED = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Name, ast.Constant, ast.Call, ast.Load, ast.operator)
ALSO = (ast.unaryop, ast.boolop, ast.cmpop)
LONGEST = 80  # characters of an expression of the language that is translated


def words_of(text: str) -> frozenset[str]:
    """Return the names and numbers in a text of the language: of `conv3-{4*w}`, `conv`, `3`, `4` and `w`."""
    found = re.findall(r"[A-Za-z_]\w*?(?=\d|\b)|[A-Za-z_]\w*|\d+", text)
    return frozenset([*found, "in_channels"] if "in.c" in text else found)


def passed(text: str) -> list[str]:
    """Return the arguments in the text of a call, without their names: of `unit(2*w, s=1)`, `2*w` and `1`."""
    found = re.fullmatch(r"\w+\((.*)\)", text.strip(), re.S)
    pieces, depth = [""], 0
    for sign in found[1] if found is not None else "":
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += sign
    return [re.sub(r"^\s*\w+\s*=(?!=)", "", piece).strip() for piece in pieces if piece.strip()]


def translated(text: str, lets: Mapping[str, str], names: frozenset[str]) -> ast.expr | None:
    """Return an expression of the language as one of Python, with some names defined by `let`; None where it has other names."""
    for _ in range(3):
        for name, value in lets.items():
            if name not in names:
                text = re.sub(rf"(?<![\w.]){name}(?![\w(])", f"({value})" if not value.isalnum() else value, text)
        if len(text) > LONGEST:
            return None
    text = re.sub(r"\bin\.c\b", "in_channels", text)
    text = re.sub(r"\byes\b", "True", re.sub(r"\bno\b", "False", text))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if not isinstance(node, (*ALLOWED, *ALSO)):
            return None
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in (*SAFE, "ceil", "floor"):
                return None
            if node.func.id in ("ceil", "floor"):
                node.func = ast.Attribute(ast.Name("math", ast.Load()), node.func.id, ast.Load())
                ast.fix_missing_locations(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return None
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(SAFE) - {"math"}
    return tree if used <= names else None


class Known:
    """The arguments that a class may have, and the expressions that it has used so far."""

    def __init__(self, given: Mapping[str, tuple[Any, ...]], lets: Mapping[str, str], takes: bool, free: Collection[str] = ()) -> None:
        self.names: dict[str, tuple[Any, ...]] = dict(given)
        self.free = free  # the names among them that have been given many values, one by one
        self.takes = takes  # whether the class is for any number of channels that enter
        self.lets = lets
        self.used: set[str] = set()
        self.told: set[str] = set()  # the texts of the language that are expressions of the class
        self.guessed: set[tuple[Any, ...]] = set()  # the truths of conditions that are no text
        self._seen: list[tuple[tuple[Any, ...], Expression]] = []

    def written(self, values: tuple[Any, ...], text: str, size: bool, computed: bool = True) -> Expression | None:
        """Return the expression of the text, or one of the names in it. `size`: it is a number of channels or values.

        Only what is `computed` may be a formula that is not in the text.
        """
        pieces = (self._translated(values, piece) for piece in (text, *passed(text)))
        found = next((piece for piece in pieces if piece is not None), None)
        names = [name for name in self.names if name in words_of(text)]
        tried = self._candidates(values, names, pairs=True) if computed else self._plain(values, names)
        return self._use(values, found or next(tried, None), size)

    def _plain(self, values: tuple[Any, ...], names: list[str]) -> Iterator[Expression]:
        return (Expression(name, ATOM, frozenset({name})) for name in names if _same(self.names[name], values))

    def constant(self, values: tuple[Any, ...], text: str, size: bool) -> Expression | None:
        """Return an expression of names for what is equal in all instances; its numbers, too, must be in the text."""
        if isinstance(_present(values), bool):
            return None
        if found := self._translated(values, text):
            return self._use(values, found, size)
        words = words_of(text)
        names = [name for name in self.names if name in words]
        candidates = self._candidates(values, names, pairs=True) if size else self._plain(values, names)
        texts = (each for each in candidates if all(part in words for part in re.findall(r"\b\d+\b", each.text)))
        return self._use(values, next(texts, None), size)

    def asked(self, truths: tuple[bool, ...], conditions: Sequence[str]) -> Expression | None:
        """Return a condition of the text that has these truths, or the opposite of one."""
        for text in conditions:
            for tried in (text, f"not ({text})"):
                if found := self._translated(truths, tried):
                    return self._use(truths, Expression(found.text, CHOICE, found.names), False)
        return None

    def _translated(self, values: tuple[Any, ...], text: str) -> Expression | None:
        """Return an expression of the language as Python, where it has these values; None for one that has not, or has no names."""
        inside = re.search(r"\{([^{}]*)\}", text)
        tree = translated(inside[1] if inside else text, self.lets, frozenset(self.names))
        if tree is None:
            return None
        names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)) & frozenset(self.names)
        if not names:
            return None
        code = compile(ast.Expression(tree), "", "eval")
        for place, value in enumerate(values):
            try:
                own = {name: self.names[name][place] for name in names}
                if not alike(eval(code, {"__builtins__": {}, "math": math, **SAFE}, own), value):
                    return None
            except (ArithmeticError, TypeError, ValueError):
                return None
        self.told |= {text, *(self.lets[name] for name in words_of(text) if name in self.lets)}
        binds = {ast.Name: ATOM, ast.Call: ATOM, ast.Attribute: ATOM}.get(type(tree), CHOICE)
        if isinstance(tree, ast.BinOp):
            binds = SUM if isinstance(tree.op, ast.Add | ast.Sub) else PRODUCT
        return Expression(ast.unparse(tree), binds, names)

    def named(self, values: tuple[Any, ...]) -> Expression | None:
        """Return the one parameter that has these values, where it is the only one."""
        names = [name for name, have in self.names.items() if _same(have, values)]
        return self._use(values, Expression(names[0], ATOM, frozenset(names)), False) if len(names) == 1 else None

    def entered(self, values: tuple[Any, ...]) -> Expression | None:
        """Return an expression for the number of channels that a layer takes, equal in all instances."""
        found = self.repeated(values)
        if found is None and self.takes and _same(self.names.get("in_channels", (None,)), values):
            found = Expression("in_channels", ATOM, frozenset({"in_channels"}))
        return self._use(values, found, True)

    def filled(self, name: str) -> tuple[Any, ...]:
        """Return the values of an argument; where no use of it is there, that of another instance."""
        values = self.names[name]
        return tuple(_present(values) if value is ABSENT else value for value in values)

    def searched(self, values: tuple[Any, ...], enters: bool, size: bool, computed: bool = True) -> Expression | None:
        """Return an expression of any names; `enters`: the number of channels that a layer takes. What is not `computed` is a name."""
        found = self.repeated(values) if size else None
        if found is None or (enters and "in_channels" in self.names and _same(self.names["in_channels"], values)):
            names = list(self.names)
            found = next(self._candidates(values, names, pairs=size) if computed else self._plain(values, names), None)
        if found is None and size:
            found = _linear(values, {name: self.names[name] for name in self.free})
        return self._use(values, found, size)

    def repeated(self, values: tuple[Any, ...]) -> Expression | None:
        """Return the latest expression of a size that was used for these values."""
        return next((found for before, found in reversed(self._seen) if _same(before, values)), None)

    def added(self, name: str, values: tuple[Any, ...], size: bool) -> Expression:
        """Return a new argument."""
        self.names[name] = values
        found = self._use(values, Expression(name, ATOM, frozenset({name})), size)
        assert found is not None
        return found

    def condition(self, truths: tuple[bool, ...]) -> Expression | None:
        """Return a condition on names, or on sizes in the text of the class, that has these truths."""
        self.guessed.add(truths)
        atoms = list(self._atoms(len(truths)))
        for computed, found in atoms:
            if computed == truths:
                return self._use(truths, found, False)
        for (a, one), (b, other) in combinations(atoms, 2):
            if tuple(x and y for x, y in zip(a, b, strict=True)) == truths:
                return self._use(truths, Expression(f"{one.text} and {other.text}", CHOICE, one.names | other.names), False)
            if tuple(x or y for x, y in zip(a, b, strict=True)) == truths:
                return self._use(truths, Expression(f"{one.text} or {other.text}", CHOICE, one.names | other.names), False)
        return None

    def _atoms(self, count: int) -> Iterator[tuple[tuple[bool, ...], Expression]]:
        """Yield simple conditions: a name that is yes or no, two sizes, a number and 1, in this order."""
        known = {name: values for name, values in self.names.items() if ABSENT not in values}
        for name, values in known.items():
            if all(isinstance(value, bool) for value in values):
                yield values, Expression(name, CHOICE, frozenset({name}))
                yield tuple(not value for value in values), Expression(f"not {name}", CHOICE, frozenset({name}))
        whole = [
            (values, Expression(name, ATOM, frozenset({name})))
            for name, values in known.items()
            if all(type(value) is int for value in values)
        ]
        sizes = [*whole, *((values, found) for values, found in self._seen if found.binds != ATOM)]
        named = {found.text: (values, found) for values, found in sizes if found.names and ABSENT not in values}
        for (a, one), (b, other) in combinations(named.values(), 2):
            names = one.names | other.names
            if "in_channels" not in names:
                continue  # equal by accident, as a number of heads and of layers
            yield tuple(x == y for x, y in zip(a, b, strict=True)), Expression(f"{one.text} == {other.text}", CHOICE, names)
            yield tuple(x != y for x, y in zip(a, b, strict=True)), Expression(f"{one.text} != {other.text}", CHOICE, names)
        for values, found in whole:
            for value in sorted(set(values)) if len(set(values)) <= 3 else ():
                yield tuple(x == value for x in values), Expression(f"{found.text} == {value}", CHOICE, found.names)
                yield tuple(x != value for x in values), Expression(f"{found.text} != {value}", CHOICE, found.names)

    def _use(self, values: tuple[Any, ...], found: Expression | None, size: bool) -> Expression | None:
        if found is not None:
            self.used |= found.names
            if found.text in self.names:  # an instance that lacked one use of an argument may have another
                both = zip(self.names[found.text], values, strict=True)
                self.names[found.text] = tuple(new if old is ABSENT else old for old, new in both)
            if size:
                self._seen.append((values, found))
        return found

    def _candidates(self, values: tuple[Any, ...], names: list[str], pairs: bool) -> Iterator[Expression]:
        """Yield the expressions of some names that have the given values, simple ones first; `pairs` allows two names."""
        for computed, found in self._formulas(values, names, pairs):
            if _same(computed, values):
                yield found

    def _formulas(self, values: tuple[Any, ...], names: list[str], pairs: bool) -> Iterator[tuple[tuple[Any, ...], Expression]]:
        for name in names:
            yield self.names[name], Expression(name, ATOM, frozenset({name}))
        if not all(type(value) is int for value in values if value is not ABSENT):
            return
        whole = [name for name in names if all(type(value) is int for value in self.names[name])]  # present in all instances
        for name in whole:
            yield from _multiples(name, self.names[name], values)
        for one, other in combinations(whole, 2) if pairs else ():
            a, b, both = self.names[one], self.names[other], frozenset({one, other})
            yield tuple(x + y for x, y in zip(a, b, strict=True)), Expression(f"{one} + {other}", SUM, both)
            yield tuple(x * y for x, y in zip(a, b, strict=True)), Expression(f"{one} * {other}", PRODUCT, both)
            yield tuple(x - y for x, y in zip(a, b, strict=True)), Expression(f"{one} - {other}", SUM, both)
            yield tuple(y - x for x, y in zip(a, b, strict=True)), Expression(f"{other} - {one}", SUM, both)
            if all(a) and all(b):
                yield tuple(x // y for x, y in zip(a, b, strict=True)), Expression(f"{one} // {other}", PRODUCT, both)
                yield tuple(y // x for x, y in zip(a, b, strict=True)), Expression(f"{other} // {one}", PRODUCT, both)


def _linear(values: tuple[Any, ...], given: Mapping[str, tuple[Any, ...]]) -> Expression | None:
    found = linear(values, given)
    return Expression(found[0], PRODUCT if found[1] else SUM, found[2]) if found is not None else None


def _multiples(name: str, have: tuple[int, ...], want: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Expression]]:
    """Yield the multiple and the part of an argument that has the first value."""
    names = frozenset({name})
    wanted: tuple[Any, ...] = want
    place = next(place for place, value in enumerate(wanted) if value is not ABSENT)
    if have[place] > 0 and want[place] > 0:
        times, rest = divmod(want[place], have[place])
        if rest == 0 and times > 1:
            yield tuple(times * x for x in have), Expression(f"{times} * {name}", PRODUCT, names)
        if have[place] // 2 == want[place]:
            yield tuple(x // 2 for x in have), Expression(f"{name} // 2", PRODUCT, names)
        by, rest = divmod(have[place], want[place])
        if by > 1 and rest <= 1:
            yield tuple(x // by for x in have), Expression(f"{name} // {by}", PRODUCT, names)


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(alike(x, y) for x, y in zip(one, other, strict=True))


def _present(values: tuple[Any, ...]) -> Any:
    return next(value for value in values if value is not ABSENT)
