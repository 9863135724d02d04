"""Bind the arguments of an item to the options of an operator: the short form, defaults, kinds, and the places of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.elaboration import Elaboration
from archc.compiler.elaborate.environment import BlockValue, BoundArgument, Environment
from archc.compiler.elaborate.evaluate import FOLLOWERS, SETTING_WORDS, TRUTH, UnknownName, chosen, is_known, value, word, words_of_options
from archc.compiler.elaborate.scopes import Missing, is_tensor
from archc.compiler.elaborate.site import Site
from archc.compiler.elaborate.workings import Workings
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import Axes, Choice, Flag, Kind, NamedSizes, Quoted, Recipe, Text, Value, Whole, Word, words_of
from archc.compiler.ops.record import Attr, Like, Operator, Required
from archc.compiler.shapes.dim import Formula
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault, Related
from archc.dsl.numbers import whole
from archc.dsl.source import Span
from archc.dsl.vocabulary import names, text_warnings, values
from archc.dsl.vocabulary.spelling import misspelt

PLACE = "place"  # every operator takes it: the devices of its parts


def split_word(word: str, kernel: ast.Dims, env: Environment, span: Span) -> tuple[str, ast.Dims]:
    """Split `conv1x7` into `conv` and `1x7`. A word that is a name as it is (`relu6`) stays whole."""
    if is_item(word, env):
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


def is_item(word: str, env: Environment) -> bool:
    """Return whether a word is an operator, or names something that can be an item."""
    return word.lower() in OPERATORS or env.callee(word) is not None


@dataclass(frozen=True)
class Signature:
    """What an operator or a block takes: its options in their order, those of the short form, their kinds and their words."""

    name: str
    text: str  # how it is written
    order: list[str]
    short: tuple[str, str, str]
    kinds: Mapping[str, Kind]
    words: Mapping[str, frozenset[str]]
    place: Span | None = None  # of a block's name
    named: tuple[str, ...] = ()  # options that a number without a name may be meant for
    gathers: str = ""  # the option that holds arguments by other names

    def defined(self) -> list[Related]:
        return [Related(self.place, "defined here")] if self.place is not None else []

    @classmethod
    def of_operator(cls, operator: Operator) -> Signature:
        return _of_operator(operator.name)

    @classmethod
    def of_block(cls, block: BlockValue) -> Signature:
        order = [param.name for param in block.params]
        kernel, out, stride = (part if part in order else "" for part in ("kernel", "out", "stride"))
        return cls(block.name, block.signature, order, (kernel, out, stride), {}, {}, block.block.name_span)


@cache
def _of_operator(name: str) -> Signature:
    operator = OPERATORS[name]
    kinds = {attr.name: attr.kind for attr in operator.attrs}
    words = words_of_options(name)
    return Signature(
        name, operator.signature, operator.option_names, operator.short, kinds, words, named=operator.named, gathers=operator.gathers
    )


@cache
def option_words() -> frozenset[str]:
    """Return the words that options of operators take."""
    return frozenset().union(*(words for name in OPERATORS for words in _of_operator(name).words.values()))


def bind_arguments(
    elaboration: Elaboration, op: ast.Op, kernel: ast.Dims, signature: Signature, site: Site
) -> dict[str, BoundArgument] | None:
    """Evaluate the arguments of an item, by the names of its options; None, with everything reported, if one is wrong."""
    bound: dict[str, BoundArgument] = {}
    if not (kernel or op.out or op.stride or op.args):
        return bound
    if site.incoming is Missing.NO_INPUT:  # which is reported once, of the item
        site = site.after(Missing.UNKNOWN)

    def bind(option: str, held: Any, span: Span, expr: ast.Expr) -> None:
        if option in bound:
            raise Fault(names.given_twice(signature.name, option).at(span))
        bound[option] = BoundArgument(held, span, Workings(expr, site, held).added_to)

    sound = True
    parts = (("kernel", kernel), ("`-` with a number", (op.out,) if op.out else ()), ("`/` with a number", op.stride))
    for (part, exprs), option in zip(parts, signature.short, strict=True):
        if not exprs:
            continue
        try:
            span = exprs[0].span.to(exprs[-1].span)
            if not option:
                raise Fault(_no_short_form(op, part, signature).at(span))
            numbers = [value(expr, site) for expr in exprs]
            held = Missing.POISONED if Missing.POISONED in numbers else numbers[0] if len(numbers) == 1 else tuple(numbers)
            bind(option, held, span, exprs[0])
        except Fault as fault:
            elaboration.report(fault, site)
            sound = False
    free = [option for option in signature.order if option not in bound]
    for position, arg in enumerate(op.args):
        try:
            option = arg.name if arg.name is not None else _option_at(position, arg, op, free, signature)
            if option not in signature.order and option != PLACE and not signature.gathers:
                written = "" if signature.kinds else signature.text
                found = names.unknown_option(signature.name, option, signature.order, written)
                raise Fault(found.at(arg.name_span, related=signature.defined()))
            bind(option, argument(elaboration, arg.value, option, signature, site), arg.value.span, arg.value)
        except Fault as fault:
            if arg.name is None and isinstance(fault, UnknownName):  # of another framework, which may have another order
                fault.with_facts(unsure=True)
            elaboration.report(fault, site)
            sound = False
    return bound if sound else None


def _no_short_form(op: ast.Op, part: str, signature: Signature) -> Diagnostic:
    digits = op.word[len(op.word.rstrip("0123456789")) :]
    meant = f"{op.word[: -len(digits)]}-{digits}" if part == "kernel" and signature.short[1] and digits else ""
    return names.no_short_form(signature.name, part, signature.text, meant)


def _option_at(position: int, arg: ast.Arg, op: ast.Op, free: list[str], signature: Signature) -> str:
    """Return the option that an argument without a name is for. Raises Fault, with a place, where there is none."""
    if signature.named:
        meant = f"{signature.name}({', '.join(f'{name}={arg.value.span.text}' for name in signature.named)})"
        raise Fault(names.option_without_name(signature.name, signature.order, meant).at(arg.span))
    if position >= len(free):
        got = len(op.args) + len(signature.order) - len(free)
        found = names.too_many_arguments(signature.name, len(signature.order), got, signature.text)
        raise Fault(found.at(arg.span, related=signature.defined()))
    return free[position]


def argument(elaboration: Elaboration, expr: ast.Expr, option: str, signature: Signature, site: Site) -> Any:
    """Evaluate an argument of an option. A bare word of the option is that word, even if a variable has the same name.

    A name that means nothing at all is left to the option, which knows its choices. Raises Fault, with a place.
    """
    side = chosen(expr, site)
    if isinstance(side, Missing):
        return side
    expr = side
    kind, words = signature.kinds.get(option), signature.words.get(option, frozenset())
    if isinstance(expr, ast.CallExpr) and expr.name.lower() in words:
        return word(expr, site, SETTING_WORDS)
    if isinstance(kind, Axes) and isinstance(expr, ast.List):
        held = tuple(argument(elaboration, item, option, signature, site) for item in expr.items)
        return Missing.POISONED if Missing.POISONED in held else held
    name = ast.bare(expr)
    if name in words:
        meant = TRUTH.get(name, Word(name))
        hidden = site.env.find(name)
        if hidden is not None and hidden.value != meant and _could_be(kind, option, hidden.value):
            elaboration.doubt(text_warnings.word_before_variable(option, name, hidden.kind, describe(hidden.value)).at(expr.span))
        return meant
    if name and isinstance(kind, (Choice, Axes, Flag, Recipe)) and not is_known(name, site):
        return Word(name)
    return value(expr, site)


def doubt_name(elaboration: Elaboration, name: str, held: Any, kind: str, span: Span) -> None:
    """Warn of a variable that is named like a word of some option and holds another word, or a block."""
    if name in option_words() and (isinstance(held, BlockValue) or (isinstance(held, Word) and held.text != name)):
        elaboration.doubt(text_warnings.word_before_variable("", name, kind, describe(held)).at(span))


def _could_be(kind: Kind | None, option: str, value: Any) -> bool:
    """Return whether an option would take this value."""
    if option in FOLLOWERS:
        return isinstance(value, BlockValue) or (isinstance(value, Word) and value.text in OPERATORS)
    if kind is None or isinstance(value, (BlockValue, Missing)) or is_tensor(value):
        return False
    try:
        kind.read(option, value, 2)
    except Fault:
        return False
    return True


def require_options(op: Operator, given: Mapping[str, BoundArgument], span: Span) -> None:
    """Require every option without a default. Raises Fault, with a place."""
    missing = [a.name for a in op.attrs if isinstance(a.default, Required) and a.name not in given]
    if missing:
        raise Fault(names.missing_argument(op.name, missing, op.short_form if any(op.short) else op.signature).at(span))


def check_options(op: Operator, given: Mapping[str, BoundArgument], span: Span) -> None:
    """Check options as far as possible without an input: that none is missing, and each is of its kind. Raises Fault, with a place."""
    require_options(op, given, span)
    for attr in op.attrs:
        option = given.get(attr.name)
        if option is None or option.value is Missing.POISONED or isinstance(option.value, (tuple, Formula)):
            continue  # a list may be one for each axis
        _read(attr.kind, attr.name, option, 2)


def _gathered(op: Operator, given: Mapping[str, BoundArgument], axes: int) -> Any:
    """Return the arguments that an operator gathers, which are not its options, with their names; None if one depends on an error."""
    sizes = {name: option for name, option in given.items() if name not in op.option_names and name != PLACE}
    if any(option.value is Missing.POISONED for option in sizes.values()):
        return None
    pairs = tuple((name, _read(Whole(1), name, option, axes)) for name, option in sizes.items())
    return NamedSizes().read(op.gathers, Word("", pairs), axes)


def read_options(op: Operator, given: dict[str, BoundArgument], axes: int, span: Span) -> dict[str, Any] | None:
    """Canonicalise options; None if one depends on an earlier error. Raises Fault, with a place."""
    require_options(op, given, span)
    attrs: dict[str, Any] = {}
    for attr in op.attrs:
        option = given.get(attr.name)
        if attr.name == op.gathers and option is None:
            attrs[attr.name] = _gathered(op, given, axes)
            if attrs[attr.name] is None:
                return None
        elif option is not None:
            if option.value is Missing.POISONED:
                return None
            attrs[attr.name] = _read(attr.kind, attr.name, option, axes)
        elif isinstance(attr.default, Like):
            attrs[attr.name] = attrs[attr.default.option]
        else:
            attrs[attr.name] = _default(attr, axes)
    try:
        op.canonicalize(attrs)
    except Fault as fault:
        raise Fault(blamed(fault.diagnostic, given, span)) from None
    return attrs


_DEFAULTS: dict[
    tuple[int, int], tuple[Attr, Any]
] = {}  # by the option and the number of axes; the option is kept, so that none has its number


def _default(attr: Attr, axes: int) -> Any:
    """Return the canonical default of an option, which is the same at every use."""
    known = _DEFAULTS.get((id(attr), axes))
    if known is None:
        assert not isinstance(attr.default, (Like, Required))
        known = _DEFAULTS[id(attr), axes] = attr, attr.kind.read(attr.name, attr.default, axes)
    return known[1]


def _read(kind: Any, name: str, option: BoundArgument, axes: int) -> Any:
    if isinstance(option.value, BlockValue) or is_tensor(option.value):
        what = "a block" if isinstance(option.value, BlockValue) else "a tensor"
        raise Fault(values.wrong_kind(f"`{name}`", str(kind), what).at(option.span))
    if isinstance(option.value, Text) and not isinstance(kind, Quoted):
        meant = option.value.text if option.value.text in words_of(kind) else ""
        help_text = f"words are written without quotes: `{meant}`" if meant else ""
        found = values.wrong_kind(f"`{name}`", str(kind), f"the text {option.value}", help_text)
        raise Fault(found.with_facts(**(misspelt(str(option.value), [meant], sure=True) if meant else {})).at(option.span))
    try:
        return kind.read(name, option.value, axes)
    except Fault as fault:
        raise Fault(option.explained(fault.diagnostic.at(option.span))) from None


def read_place(given: dict[str, BoundArgument]) -> tuple[int, ...]:
    """Return the devices of `place=0` or `place=[0, 1]`."""
    option = given.get(PLACE)
    if option is None or option.value is Missing.POISONED:
        return ()
    parts: tuple[Value, ...] = option.value if isinstance(option.value, tuple) else (option.value,)
    return tuple(_read(Whole(0), PLACE, BoundArgument(part, option.span), 1) for part in parts)


def blamed(diagnostic: Diagnostic, given: dict[str, BoundArgument], span: Span) -> Diagnostic:
    """Place a diagnostic at the argument that it blames, if the item has one, else at the item."""
    option = given.get(diagnostic.blame)
    inside = option is not None and option.span.source is span.source and span.start <= option.span.start <= span.end
    if option is None or not inside:
        return replace(diagnostic, span=span)
    return option.explained(replace(diagnostic, span=option.span))
