"""What expressions mean: whole numbers, floats, words, lists and sizes. Every step is bounded."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from compiler.expand.scopes import POISON, BlockValue, Env, Given, Poison, Scope, Tensor
from compiler.ops import OPERATORS
from compiler.ops.kinds import INIT, Choice, PerAxis, Recipe, Word, show
from compiler.shapes.dim import Formula
from dsl import ast
from dsl.diagnostics import Fault
from dsl.source import Span
from dsl.vocabulary import files, names, values

LARGEST = 2**63
LONGEST = 1_000_000

FIELDS = {1: "cw", 2: "chw", 3: "cdhw"}  # what `.c`, `.h`, ... mean, by the number of sizes


def _words() -> frozenset[str]:
    words = {"none", "training", "same", *OPERATORS, *INIT.table}
    for op in OPERATORS.values():
        for attr in op.attrs:
            kind = getattr(attr.kind, "kind", attr.kind)
            if isinstance(kind, (Choice, PerAxis)):
                words.update(kind.words)
            elif isinstance(kind, Recipe):
                words.update(str(v) for settings in kind.table.values() for v in settings.values() if isinstance(v, Word))
    return frozenset(words)


WORDS = (_words() | {"fan_out"}) - {"c", "d", "h", "w"}  # the axes of `concat` are words for that option only
TRUTH = {"yes": True, "no": False}


class Evaluator:
    """Evaluates expressions where they stand: in an environment, a scope of labels, and on an incoming tensor."""

    def __init__(
        self, env: Env, scope: Scope | None = None, incoming: Tensor | None = None, spend: Callable[[int], None] = lambda cost: None
    ) -> None:
        self.env = env
        self.scope = scope
        self.incoming = incoming
        self.spend = spend  # told how many values every new list holds, so that the caller can set a bound

    def _made(self, value: Any) -> Any:
        if isinstance(value, tuple):
            self.spend(_leaves(value))
        return value

    def value(self, expr: ast.Expr) -> Any:
        """The value; POISON where it rests on an earlier mistake. Raises Fault, with a place, for a mistake of its own."""
        method: Callable[[Any], Any] = getattr(self, "_" + type(expr).__name__.lower())
        try:
            return method(expr)
        except Fault as fault:
            raise Fault(fault.diagnostic.at(expr.span)) from None

    def knows(self, name: str) -> bool:
        """Does a bare name mean anything here?"""
        return name in TRUTH or name in WORDS or name == "in" or self.env.variable(name) is not None or self.env.block(name) is not None

    def truth(self, expr: ast.Expr) -> bool | Poison:
        value = self.value(expr)
        if isinstance(value, (bool, Poison)):
            return value
        raise Fault(values.wrong_kind("a condition", "a comparison, `yes` or `no`", describe(value)).at(expr.span))

    # ---- one method for each kind of expression

    def _number(self, expr: ast.Number) -> Any:
        return _bounded(expr.value)

    def _name(self, expr: ast.Name) -> Any:
        name = expr.name
        if name == "in":
            if self.incoming is None:
                raise Fault(files.no_input())
            return self.incoming
        value = self.env.variable(name)
        if value is not None:
            return value
        if (block := self.env.block(name)) is not None:
            return block
        if name in TRUTH:
            return TRUTH[name]
        if name in WORDS:
            return Word(name)
        if self.env.is_incomplete:
            return POISON
        hint = {"true": "yes", "True": "yes", "false": "no", "False": "no"}.get(name)
        known = [hint] if hint else [*self.env.known_variables(), *self.env.known_blocks(), *sorted(WORDS)]
        fault = names.unknown_name(name, known)
        raise Fault(replace(fault, help=f"write `{hint}`", facts={"word": name, "near": (hint,)}) if hint else fault)

    def _ref(self, expr: ast.Ref) -> Any:
        """A tensor, or, as in `@enc1.c`, a field of one."""
        path, _, field = expr.path.rpartition(".")
        if field in ("c", "d", "h", "w") and path and (self.scope is None or self.scope.lookup(expr.path) is None):
            return self._tensor_field(self.tensor(path, expr.span), field)
        return self.tensor(expr.path, expr.span)

    def tensor(self, path: str, span: Span) -> Tensor:
        """The tensor that a reference names: a label, or a parameter that holds a tensor."""
        found = self.scope.lookup(path) if self.scope is not None else None
        if found is None:
            value = self.env.variable(path)
            if isinstance(value, Poison):
                return Tensor("", None)
            if isinstance(value, Tensor):
                return value
            known = [*(self.scope.visible() if self.scope else []), *(n for n in self.env.known_variables())]
            variable = describe(value) if value is not None else ""
            raise Fault(names.unknown_reference(path, known, variable).at(span))
        return found

    def _list(self, expr: ast.List) -> Any:
        items = [self.value(item) for item in expr.items]
        return POISON if any(isinstance(item, Poison) for item in items) else self._made(tuple(items))

    def _shapeliteral(self, expr: ast.ShapeLiteral) -> Any:
        dims = [_bounded(dim) if isinstance(dim, int) else self._name(ast.Name(expr.span, dim)) for dim in expr.dims]
        return POISON if any(isinstance(dim, Poison) for dim in dims) else tuple(dims)

    def _unary(self, expr: ast.Unary) -> Any:
        if expr.op == "not":
            truth = self.truth(expr.operand)
            return truth if isinstance(truth, Poison) else not truth
        value = self.value(expr.operand)
        if isinstance(value, Poison):
            return value
        _need_number(value, "`-`")
        return -value

    def _fold(self, expr: ast.Fold) -> Any:
        first_op = expr.rest[0][0]
        if first_op in ("and", "or"):
            return self._logic(expr, first_op == "and")
        left = self.value(expr.first)
        for op, operand in expr.rest:
            right = self.value(operand)
            if isinstance(left, Poison) or isinstance(right, Poison):
                return POISON
            left = _compare(op, left, right, expr) if op in COMPARISONS else self._made(_arithmetic(op, left, right))
        return left

    def _logic(self, expr: ast.Fold, conjunction: bool) -> Any:
        for part in (expr.first, *(operand for _, operand in expr.rest)):
            truth = self.truth(part)
            if isinstance(truth, Poison) or truth is not conjunction:
                return truth
        return conjunction

    def _index(self, expr: ast.Index) -> Any:
        base, index = self.value(expr.base), self.value(expr.index)
        if isinstance(base, Poison) or isinstance(index, Poison):
            return POISON
        if not isinstance(base, tuple):
            raise Fault(values.wrong_kind("what is indexed", "a list", describe(base)))
        if not isinstance(index, int) or isinstance(index, bool):
            raise Fault(values.wrong_kind("an index", "a whole number", describe(index)))
        if not 0 <= index < len(base):
            raise Fault(values.no_such_element(f"index {index} is outside a list of {len(base)}, which goes from 0 to {len(base) - 1}"))
        return base[index]

    def _part(self, expr: ast.Part) -> Any:
        base = self.value(expr.base)
        first = 0 if expr.first is None else self.value(expr.first)
        stop = LARGEST if expr.stop is None else self.value(expr.stop)
        if any(isinstance(value, Poison) for value in (base, first, stop)):
            return POISON
        if not isinstance(base, tuple):
            raise Fault(values.wrong_kind("what is cut", "a list", describe(base)))
        for end in (first, stop):
            if isinstance(end, bool) or not isinstance(end, int) or end < 0:
                raise Fault(values.wrong_kind("where a list is cut", "a whole number from 0", describe(end)))
        return self._made(base[first:stop])

    def _field(self, expr: ast.Field) -> Any:
        base = self.value(expr.base)
        if isinstance(base, Poison):
            return base
        if not isinstance(base, Tensor):
            raise Fault(values.wrong_kind(f"what has a `.{expr.name}`", "a tensor", describe(base)))
        return self._tensor_field(base, expr.name)

    def _tensor_field(self, base: Tensor, name: str) -> Any:
        if base.shape is None:
            return POISON
        fields = FIELDS.get(len(base.shape) - 1, "c")
        if name not in fields or len(name) != 1:
            listed = ", ".join(f"`.{field}`" for field in fields)
            raise Fault(values.no_such_element(f"this tensor has no `.{name}`; it has {listed}"))
        return base.shape[fields.index(name)]

    def _callexpr(self, expr: ast.CallExpr) -> Any:
        function = FUNCTIONS.get(expr.name)
        if function is not None:
            if named := [arg for arg in expr.args if arg.name is not None]:
                raise Fault(names.unknown_option(expr.name, named[0].name or "", []).at(named[0].span))
            arguments = [self.value(arg.value) for arg in expr.args]
            return POISON if any(isinstance(a, Poison) for a in arguments) else self._made(function(expr.name, arguments))
        pairs = [(arg.name or "", Given(self.value(arg.value), arg.span)) for arg in expr.args]
        if any(isinstance(given.value, Poison) for _, given in pairs):
            return POISON
        block = self.env.block(expr.name)
        if block is not None:
            return replace(block, args=tuple(pairs))
        if any(isinstance(given.value, Word) and given.value.args for _, given in pairs):
            raise Fault(values.wrong_kind("a setting of a word", "a plain value", "a word with settings of its own"))
        if expr.name.lower() in WORDS:
            return Word(expr.name.lower(), tuple((name, given.value) for name, given in pairs))
        if self.env.is_incomplete:
            return POISON
        raise Fault(values.unknown_function(expr.name, [*FUNCTIONS, *self.env.known_blocks(), *sorted(WORDS)], list(FUNCTIONS)))


# ---- arithmetic


def describe(value: Any) -> str:
    """A value with its kind, for messages."""
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, BlockValue):
        return f"the block `{value.name}`"
    if isinstance(value, Word):
        return f"the word `{value}`"
    if isinstance(value, tuple):
        return f"the list {show(value)}" if _leaves(value) <= 12 else f"a list of {len(value)}"
    return show(value)


def written(value: Any) -> str:
    """A value as an argument is written, a long list cut short."""
    if isinstance(value, Tensor):
        return f"@{value.name}"
    if isinstance(value, BlockValue):
        return value.name
    if isinstance(value, tuple) and _leaves(value) > 8:
        return f"[... {len(value)} items]"
    return show(value)


def _leaves(value: tuple[Any, ...]) -> int:
    """How many values a list holds, counting those of lists within; more than the limit is a fault."""
    total = 0
    for item in value:
        total += _leaves(item) if isinstance(item, tuple) else 1
        if total > LONGEST:
            raise Fault(values.no_result(f"this list holds more than {LONGEST:,} values"))
    return total


def _need_number(value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Formula)):
        raise Fault(values.wrong_kind(f"what stands beside {what}", "a number", describe(value)))


def _bounded(value: Any) -> Any:
    if isinstance(value, (int, float)) and (not math.isfinite(value) or abs(value) >= LARGEST):
        raise Fault(values.no_result("this number is beyond 2^63"))
    if isinstance(value, tuple) and len(value) > LONGEST:
        raise Fault(values.no_result(f"this list is longer than {LONGEST:,}"))
    return value


def _divide(left: Any, right: Any) -> Any:
    """Exact where it can be: 8/2 is 4, 7/2 is 3.5."""
    if isinstance(left, int) and isinstance(right, int):
        return left // right if left % right == 0 else left / right
    return left / right


def _power(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 64:
        raise Fault(values.no_result("this number is beyond 2^63"))
    if (left == 0 and right < 0) or (left < 0 and not float(right).is_integer()):
        raise Fault(values.no_result(f"{show(left)} ** {show(right)} has no result"))
    return left**right


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
}


def _arithmetic(op: str, left: Any, right: Any) -> Any:
    if op == "+" and isinstance(left, tuple) and isinstance(right, tuple):
        return _bounded(left + right)
    _need_number(left, f"`{op}`")
    _need_number(right, f"`{op}`")
    if op in ("/", "//", "%") and right == 0:
        raise Fault(values.no_result(f"{show(left)} {op} 0 has no result"))
    if isinstance(left, Formula) or isinstance(right, Formula):
        return _open_arithmetic(op, left, right)
    try:
        return _bounded(ARITHMETIC[op](left, right))
    except OverflowError:
        raise Fault(values.no_result("this number is beyond 2^63")) from None


def _open_arithmetic(op: str, left: Any, right: Any) -> Any:
    """Arithmetic with a size that the file leaves open."""
    if isinstance(left, float) or isinstance(right, float) or op not in ("+", "-", "*", "//"):
        raise Fault(values.wrong_kind(f"what stands beside `{op}`", "a known number", "an open size", "fix the size at the input"))
    if op == "//" and (isinstance(right, Formula) or right < 0):
        raise Fault(values.wrong_kind("a divisor of an open size", "a positive number", show(right)))
    return ARITHMETIC[op](left, right)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, (int, float, Formula)):
        return "a number"
    if isinstance(value, tuple):
        return "a list"
    return "a tensor" if isinstance(value, Tensor) else "a word"


def _compare(op: str, left: Any, right: Any, expr: ast.Fold) -> bool:
    if _kind(left) != _kind(right) and Word("none") not in (left, right):
        raise Fault(values.wrong_kind("what is compared", f"of one kind ({_kind(left)})", describe(right)))
    if isinstance(left, Formula) or isinstance(right, Formula):
        gap = left - right if not isinstance(left, float) and not isinstance(right, float) else None
        if not isinstance(gap, int):
            raise Fault(values.undecided(expr.span.text))
        return COMPARISONS[op](gap, 0)
    if op not in ("==", "!=") and _kind(left) != "a number":
        raise Fault(values.wrong_kind(f"what stands beside `{op}`", "a number", describe(left)))
    return COMPARISONS[op](left, right)


# ---- functions

Function = Callable[[str, list[Any]], Any]


def _numbers(name: str, arguments: list[Any], least: int, most: int | None) -> list[Any]:
    if len(arguments) < least or (most is not None and len(arguments) > most):
        wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        raise Fault(values.wrong_kind(f"the number of arguments of `{name}`", wanted, str(len(arguments))))
    for argument in arguments:
        if isinstance(argument, bool) or not isinstance(argument, (int, float)):
            help_text = "fix the size at the input" if isinstance(argument, Formula) else ""
            raise Fault(values.wrong_kind(f"an argument of `{name}`", "a number", describe(argument), help_text))
    return arguments


def _extreme(pick: Callable[..., Any]) -> Function:
    def function(name: str, arguments: list[Any]) -> Any:
        if len(arguments) == 1 and isinstance(arguments[0], tuple):
            arguments = list(arguments[0])
        return pick(_numbers(name, arguments, 1, None))

    return function


def _rounding(pick: Callable[[Any], int]) -> Function:
    return lambda name, arguments: pick(*_numbers(name, arguments, 1, 1))


def _lists(name: str, arguments: list[Any], least: int, most: int | None) -> list[tuple[Any, ...]]:
    if len(arguments) < least or (most is not None and len(arguments) > most) or not all(isinstance(a, tuple) for a in arguments):
        raise Fault(
            values.wrong_kind(
                f"what `{name}` is given", "a list" if most == 1 else "lists", ", ".join(map(describe, arguments)) or "nothing"
            )
        )
    return arguments


def _range(name: str, arguments: list[Any]) -> Any:
    numbers = _numbers(name, arguments, 1, 3)
    if not all(isinstance(number, int) for number in numbers) or (len(numbers) == 3 and numbers[2] == 0):
        raise Fault(values.wrong_kind("the arguments of `range`", "whole numbers, the step not 0", show(tuple(numbers))))
    steps = range(*numbers)
    if len(steps[: LONGEST + 1]) > LONGEST:  # `len` itself cannot count beyond 2^63
        raise Fault(values.no_result(f"this range is longer than {LONGEST:,}"))
    return tuple(steps)


def _zip(name: str, arguments: list[Any]) -> Any:
    columns = _lists(name, arguments, 1, None)
    if len({len(column) for column in columns}) > 1:
        raise Fault(values.wrong_kind("lists that are zipped", "of one length", " and ".join(str(len(c)) for c in columns)))
    return tuple(zip(*columns, strict=True))


def _sum(name: str, arguments: list[Any]) -> Any:
    return _bounded(sum(_numbers(name, list(_lists(name, arguments, 1, 1)[0]), 0, None)))


FUNCTIONS: dict[str, Function] = {
    "min": _extreme(min),
    "max": _extreme(max),
    "abs": _rounding(abs),
    "round": _rounding(round),
    "floor": _rounding(math.floor),
    "ceil": _rounding(math.ceil),
    "sum": _sum,
    "len": lambda name, arguments: len(_lists(name, arguments, 1, 1)[0]),
    "range": _range,
    "zip": _zip,
    "enumerate": lambda name, arguments: tuple(enumerate(_lists(name, arguments, 1, 1)[0])),
}
