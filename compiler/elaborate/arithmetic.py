"""Arithmetic, comparison and the functions of expressions; and values in words. Every result is bounded."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from archc.compiler.elaborate.environment import BlockValue
from archc.compiler.elaborate.scopes import Tensor, is_tensor
from archc.compiler.ops.kinds import Text, Word, show
from archc.compiler.shapes.dim import Formula
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import values

LARGEST = 2**63
LONGEST = 1_000_000


def describe(value: Any) -> str:
    """Return a value with its kind, for messages."""
    if is_tensor(value):
        return "a tensor"
    if isinstance(value, BlockValue):
        return f"the block `{value.name}`"
    if isinstance(value, Word):
        return f"the word `{value}`"
    if isinstance(value, Text):
        return f"the text {value}"
    if isinstance(value, tuple):
        return f"the list {show(value)}" if leaves(value) <= 12 else f"a list of {len(value)}"
    return show(value)


def written(value: Any) -> str:
    """Write a value as an argument, a long list shortened."""
    if is_tensor(value):
        return f"@{value.name}" if isinstance(value, Tensor) else "@"
    if isinstance(value, BlockValue):
        return value.name
    if isinstance(value, tuple) and leaves(value) > 8:
        return f"[... {len(value)} items]"
    return show(value)


def leaves(value: tuple[Any, ...]) -> int:
    """Count the values of a list, those of nested lists included. Raises Fault above the limit."""
    total = 0
    for item in value:
        total += leaves(item) if isinstance(item, tuple) else 1
        if total > LONGEST:
            raise Fault(values.no_result(f"this list holds more than {LONGEST:,} values"))
    return total


def need_number(value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Formula)):
        help_text = "a condition chooses between two numbers: `2 if i == 0 else 1`" if isinstance(value, bool) else ""
        raise Fault(values.wrong_kind(f"what stands beside {what}", "a number", describe(value), help_text))


def bounded(value: Any) -> Any:
    if isinstance(value, (int, float)) and (not math.isfinite(value) or abs(value) >= LARGEST):
        raise Fault(values.no_result("this number is beyond 2^63"))
    if isinstance(value, tuple) and len(value) > LONGEST:
        raise Fault(values.no_result(f"this list is longer than {LONGEST:,}"))
    return value


def _divide(left: Any, right: Any) -> Any:
    """Divide, exactly where possible: 8/2 is 4, 7/2 is 3.5."""
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


def calculate(op: str, left: Any, right: Any) -> Any:
    if op == "+" and isinstance(left, tuple) and isinstance(right, tuple):
        return bounded(left + right)
    need_number(left, f"`{op}`")
    need_number(right, f"`{op}`")
    if op in ("/", "//", "%") and right == 0:
        raise Fault(values.no_result(f"{show(left)} {op} 0 has no result"))
    if isinstance(left, Formula) or isinstance(right, Formula):
        return _open_arithmetic(op, left, right)
    try:
        return bounded(ARITHMETIC[op](left, right))
    except OverflowError:
        raise Fault(values.no_result("this number is beyond 2^63")) from None


def _open_arithmetic(op: str, left: Any, right: Any) -> Any:
    """Calculate with a size that the file leaves open."""
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
    if isinstance(value, Text):
        return "a text"
    return "a tensor" if is_tensor(value) else "a word"


def compare(op: str, left: Any, right: Any, expr: ast.Fold) -> bool:
    if _kind(left) != _kind(right) and Word("none") not in (left, right):
        raise Fault(values.wrong_kind("what is compared", f"of one kind ({_kind(left)})", describe(right)))
    if isinstance(left, Formula) or isinstance(right, Formula):
        gap = left - right if not isinstance(left, float) and not isinstance(right, float) else None
        if not isinstance(gap, int):
            raise Fault(values.undecided(expr.span.text))
        return COMPARISONS[op](gap, 0)
    for side in (left, right) if op not in ("==", "!=") else ():
        if _kind(side) != "a number":
            raise Fault(values.wrong_kind(f"what stands beside `{op}`", "a number", describe(side)))
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
    return bounded(sum(_numbers(name, list(_lists(name, arguments, 1, 1)[0]), 0, None)))


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
