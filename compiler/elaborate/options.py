"""From what an item gives to what an operator gets: the short form, defaults, kinds and the values' places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.environment import BlockValue, Env, Given
from archc.compiler.elaborate.evaluate import SETTING_WORDS, TRUTH, Evaluator
from archc.compiler.elaborate.scopes import POISON, Poison, Tensor
from archc.compiler.elaborate.workings import Workings
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import Choice, Flag, Kind, Optional, PerAxis, Recipe, Table, Value, Whole, Word
from archc.compiler.ops.record import Like, Operator, Required
from archc.compiler.shapes.dim import Formula
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault, Related
from archc.dsl.numbers import whole
from archc.dsl.source import Span
from archc.dsl.vocabulary import names, values, warnings

Report = Callable[[Fault], bool]
Doubt = Callable[[Diagnostic], None]

PLACE = "place"  # every operator takes it: the devices its parts lie on
FOLLOWERS = ("norm", "act")
FOLLOWER_FAMILIES = ("normalization", "activation")


def split_word(word: str, kernel: ast.Dims, env: Env, span: Span) -> tuple[str, ast.Dims]:
    """`conv1x7` into `conv` and `1x7`. A word that is a name as it stands (`relu6`) stays whole."""
    if is_known(word, env):
        return word, kernel
    stem = word.rstrip("0123456789x")
    tail = word[len(stem) :]
    letters = len(tail) - len(tail.lstrip("x"))  # that belong to the name, as in `max3`
    stem, tail = stem + tail[:letters], tail[letters:]
    glued = tail.endswith("x") and bool(kernel)
    parts = (tail[:-1] if glued else tail).split("x")
    if not tail or not all(part.isdigit() for part in parts) or (kernel and not glued):
        return word, kernel
    written = tuple(ast.Number(span, whole(part), part) for part in parts)
    return stem, (*written, *kernel)


def is_known(word: str, env: Env) -> bool:
    return word.lower() in OPERATORS or env.callee(word) is not None


@dataclass(frozen=True)
class Callee:
    """What an item calls, an operator or a block: its name, how it is written, what it takes, and which words."""

    name: str
    signature: str
    order: list[str]
    short: tuple[str, str, str]
    kinds: Mapping[str, Kind]
    words: Mapping[str, frozenset[str]]
    place: Span | None = None  # of a block's name
    named: tuple[str, ...] = ()  # options that a number without a name may be meant for

    def defined(self) -> list[Related]:
        return [Related(self.place, "defined here")] if self.place is not None else []

    @classmethod
    def of_operator(cls, operator: Operator) -> Callee:
        return _operator_callee(operator.name)

    @classmethod
    def of_block(cls, block: BlockValue) -> Callee:
        order = [param.name for param in block.params]
        kernel, out, stride = (part if part in order else "" for part in ("kernel", "out", "stride"))
        return cls(block.name, block.signature, order, (kernel, out, stride), {}, {}, block.block.name_span)


@cache
def _operator_callee(name: str) -> Callee:
    operator = OPERATORS[name]
    kinds = {attr.name: attr.kind for attr in operator.attrs}
    words = {option: _words(kind) for option, kind in kinds.items()}
    for option, family in zip(FOLLOWERS, FOLLOWER_FAMILIES, strict=True) if operator.followers else ():
        words[option] = frozenset({"none", *(other.name for other in OPERATORS.values() if other.family == family)})
    return Callee(name, operator.signature, operator.option_names, operator.short, kinds, words, named=operator.named)


@cache
def option_words() -> frozenset[str]:
    """The words that options of operators take."""
    return frozenset().union(*(words for name in OPERATORS for words in _operator_callee(name).words.values()))


def _words(kind: Kind) -> frozenset[str]:
    """The words that an option of this kind takes."""
    match kind:
        case Choice() | PerAxis():
            return frozenset(kind.words)
        case Recipe():
            return frozenset(kind.table)
        case Flag():
            return frozenset(TRUTH)
        case Optional():
            return _words(kind.kind) | {"none"}
        case Table():
            return frozenset({"none"})
        case _:
            return frozenset()


def evaluate_item(
    op: ast.Op, kernel: ast.Dims, callee: Callee, evaluator: Evaluator, report: Report, doubt: Doubt
) -> dict[str, Given] | None:
    """The options that an item gives, by name; None, with everything reported, where one is wrong."""
    given: dict[str, Given] = {}
    sound = True

    def enter(option: str, value: Any, span: Span, expr: ast.Expr) -> None:
        if option in given:
            raise Fault(names.given_twice(callee.name, option).at(span))
        given[option] = Given(value, span, Workings(expr, evaluator, value).added_to)

    parts = (("kernel", kernel), ("`-` with a number", (op.out,) if op.out else ()), ("`/` with a number", op.stride))
    for (part, exprs), option in zip(parts, callee.short, strict=True):
        if not exprs:
            continue
        try:
            span = exprs[0].span.to(exprs[-1].span)
            if not option:
                digits = op.word[len(op.word.rstrip("0123456789")) :]
                meant = f"{op.word[: -len(digits)]}-{digits}" if part == "kernel" and callee.short[1] and digits else ""
                raise Fault(names.no_short_form(callee.name, part, callee.signature, meant).at(span))
            numbers = [evaluator.value(expr) for expr in exprs]
            value = POISON if any(isinstance(n, Poison) for n in numbers) else numbers[0] if len(numbers) == 1 else tuple(numbers)
            enter(option, value, span, exprs[0])
        except Fault as fault:
            sound = report(fault)
    free = [option for option in callee.order if option not in given]
    for position, arg in enumerate(op.args):
        try:
            option = arg.name or ""
            if arg.name is None and callee.named:
                meant = f"{callee.name}({', '.join(f'{name}={arg.value.span.text}' for name in callee.named)})"
                raise Fault(names.option_without_name(callee.name, callee.order, meant).at(arg.span))
            if arg.name is None:
                if position >= len(free):
                    got = len(op.args) + len(callee.order) - len(free)
                    found = names.too_many_arguments(callee.name, len(callee.order), got, callee.signature)
                    raise Fault(found.at(arg.span, related=callee.defined()))
                option = free[position]
            elif arg.name not in callee.order and arg.name != PLACE:
                signature = "" if callee.kinds else callee.signature
                found = names.unknown_option(callee.name, arg.name, callee.order, signature)
                raise Fault(found.at(arg.name_span, related=callee.defined()))
            enter(option, argument(arg.value, option, callee, evaluator, doubt), arg.value.span, arg.value)
        except Fault as fault:
            if arg.name is None and fault.diagnostic.code == "E0204":  # another framework may have another order
                fault.diagnostic = replace(fault.diagnostic, facts={**fault.diagnostic.facts, "unsure": True})
            sound = report(fault)
    return given if sound else None


def argument(expr: ast.Expr, option: str, callee: Callee, evaluator: Evaluator, doubt: Doubt) -> Any:
    """The value that is given to an option. A bare word of the option is that word, whatever variable has its name.

    A name that means nothing at all is left to the option, which knows its choices.
    """
    kind, words = callee.kinds.get(option), callee.words.get(option, frozenset())
    if isinstance(expr, ast.CallExpr) and expr.name.lower() in words:
        return evaluator.word(expr, SETTING_WORDS)
    name = ast.bare(expr)
    if name in words:
        word = TRUTH.get(name, Word(name))
        hidden = evaluator.env.find(name)
        if hidden is not None and hidden.value != word and _could_be(kind, option, hidden.value):
            doubt(warnings.word_before_variable(option, name, hidden.kind, describe(hidden.value)).at(expr.span))
        return word
    if name and isinstance(kind, (Choice, Flag, Recipe)) and not evaluator.knows(name):
        return Word(name)
    return evaluator.value(expr)


def _could_be(kind: Kind | None, option: str, value: Any) -> bool:
    """Would an option take this value?"""
    if option in FOLLOWERS:
        return isinstance(value, BlockValue) or (isinstance(value, Word) and value.text in OPERATORS)
    if kind is None or isinstance(value, (BlockValue, Tensor, Poison)):
        return False
    try:
        kind.read(option, value, 2)
    except Fault:
        return False
    return True


def require_options(op: Operator, given: Mapping[str, Given], span: Span) -> None:
    """That no option without a default is missing. Raises Fault, with a place."""
    missing = [a.name for a in op.attrs if isinstance(a.default, Required) and a.name not in given]
    if missing:
        raise Fault(names.missing_argument(op.name, missing, op.short_form if any(op.short) else op.signature).at(span))


def check_options(op: Operator, given: Mapping[str, Given], span: Span) -> None:
    """What can be told of options while the input is unknown: that none is missing, and that each is of its kind."""
    require_options(op, given, span)
    for attr in op.attrs:
        option = given.get(attr.name)
        if option is not None and not isinstance(option.value, (Poison, tuple, Formula)):  # a list may be one for each axis
            _read(attr.kind, attr.name, option, 2)


def read_options(op: Operator, given: dict[str, Given], axes: int, span: Span) -> dict[str, Any] | None:
    """Canonical options; None where one rests on an earlier mistake. Raises Fault, with a place."""
    require_options(op, given, span)
    attrs: dict[str, Any] = {}
    for attr in op.attrs:
        option = given.get(attr.name)
        if option is not None:
            if isinstance(option.value, Poison):
                return None
            attrs[attr.name] = _read(attr.kind, attr.name, option, axes)
        elif isinstance(attr.default, Like):
            attrs[attr.name] = attrs[attr.default.option]
        else:
            assert not isinstance(attr.default, Required)
            attrs[attr.name] = attr.kind.read(attr.name, attr.default, axes)
    try:
        op.canonicalize(attrs)
    except Fault as fault:
        raise Fault(blamed(fault.diagnostic, given, span)) from None
    return attrs


def _read(kind: Any, name: str, option: Given, axes: int) -> Any:
    if isinstance(option.value, (BlockValue, Tensor)):
        what = "a block" if isinstance(option.value, BlockValue) else "a tensor"
        raise Fault(values.wrong_kind(f"`{name}`", str(kind), what).at(option.span))
    try:
        return kind.read(name, option.value, axes)
    except Fault as fault:
        raise Fault(option.explained(fault.diagnostic.at(option.span))) from None


def read_place(given: dict[str, Given]) -> tuple[int, ...]:
    """The devices of `place=0` or `place=[0, 1]`."""
    option = given.get(PLACE)
    if option is None or isinstance(option.value, Poison):
        return ()
    parts: tuple[Value, ...] = option.value if isinstance(option.value, tuple) else (option.value,)
    return tuple(_read(Whole(0), PLACE, Given(part, option.span), 1) for part in parts)


def blamed(diagnostic: Diagnostic, given: dict[str, Given], span: Span) -> Diagnostic:
    """A fact with a place: that of the argument it blames, where the item gives one."""
    option = given.get(diagnostic.blame)
    inside = option is not None and option.span.source is span.source and span.start <= option.span.start <= span.end
    if option is None or not inside:
        return replace(diagnostic, span=span)
    return option.explained(replace(diagnostic, span=option.span))
