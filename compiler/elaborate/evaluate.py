"""What expressions mean: whole numbers, floats, words, lists and sizes. Every step is bounded."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from archc.compiler.elaborate.arithmetic import COMPARISONS, FUNCTIONS, LARGEST, bounded, calculate, compare, describe, leaves, need_number
from archc.compiler.elaborate.elaboration import Elaboration
from archc.compiler.elaborate.environment import OPEN_SIZE, BoundArgument
from archc.compiler.elaborate.patterns import placed, unpack
from archc.compiler.elaborate.scopes import Flow, Missing, Tensor, is_tensor
from archc.compiler.elaborate.site import Site
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.initialization import INIT
from archc.compiler.ops.kinds import Choice, PerAxis, Recipe, Text, Whole, Word, words_of
from archc.compiler.ops.record import Operator
from archc.compiler.shapes.dim import Formula, unknown
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, names, values

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
OF_PYTHON = {"true": "yes", "True": "yes", "false": "no", "False": "no"}
FOLLOWERS = {"norm": "normalization", "act": "activation"}  # options that name an operator, and the family of it
SETTING_WORDS = frozenset({"fan_in", "fan_out"})  # what a setting of an `init` may be


class UnknownName(Fault):
    """A name that has no meaning at its place."""


def evaluated(elaboration: Elaboration, expr: ast.Expr, site: Site) -> Any:
    """Evaluate an expression; after an error, which is reported, return the poisoned value."""
    try:
        return value(expr, site)
    except Fault as fault:
        elaboration.report(fault, site, expr.span)
        return Missing.POISONED


def evaluated_size(elaboration: Elaboration, expr: ast.Expr, site: Site) -> Any:
    """Evaluate a size of an input or a claim: a number, or a name that is left open. Raises Fault, with a place, for another value."""
    if isinstance(expr, ast.Name) and site.env.find(expr.name) is None:
        site.env.bind(expr.name, unknown(expr.name), OPEN_SIZE, expr.span)
    size = evaluated(elaboration, expr, site.alone())
    if size is Missing.POISONED or isinstance(size, Formula):
        return size
    try:
        return Whole(1).read("a size", size, 1)
    except Fault as fault:
        raise fault.at(expr.span) from None


def is_known(name: str, site: Site) -> bool:
    """Return whether a bare name means anything here."""
    return name in TRUTH or name in WORDS or name == "in" or site.env.value(name) is not None


def value(expr: ast.Expr, site: Site) -> Any:
    """Evaluate an expression; Missing.POISONED if it depends on an earlier error. Raises Fault, with a place, for an error of its own."""
    try:
        match expr:
            case ast.Number():
                return bounded(expr.value)
            case ast.Name():
                return _name(expr.name, site)
            case ast.Fold():
                return _fold(expr, site)
            case ast.Field():
                return _field(expr, site)
            case ast.CallExpr():
                return _call(expr, site)
            case ast.List():
                return _list(expr, site)
            case ast.Each():
                return _each(expr, site)
            case ast.Conditional():
                side = chosen(expr, site)
                return side if isinstance(side, Missing) else value(side, site)
            case ast.Index():
                return _index(expr, site)
            case ast.Part():
                return _part(expr, site)
            case ast.Ref():
                return _reference(expr, site)
            case ast.Unary():
                return _unary(expr, site)
            case ast.ShapeLiteral():
                return _shape(expr, site)
            case ast.Text():
                return Text(expr.text)
    except Fault as fault:
        fault.at(expr.span)
        raise


def truth(expr: ast.Expr, site: Site) -> bool | Missing:
    """Evaluate a condition. Raises Fault, with a place."""
    held = value(expr, site)
    if isinstance(held, bool) or held is Missing.POISONED:
        site.chose(expr.span, held)
        return held
    raise Fault(values.wrong_kind("a condition", "a comparison, `yes` or `no`", describe(held)).at(expr.span))


def chosen(expr: ast.Expr, site: Site) -> ast.Expr | Missing:
    """Return the side of a conditional value that its condition chooses, of any other expression itself. Raises Fault, with a place."""
    while isinstance(expr, ast.Conditional):
        held = truth(expr.condition, site)
        if isinstance(held, Missing):
            return held
        expr = expr.then if held else expr.otherwise
    return expr


def numbered(text: str, index: ast.Expr | None, what: str, site: Site) -> str:
    """Return a name with the number after it, `p{i}`; the name alone after an earlier mistake. Raises Fault, with a place."""
    if index is None:
        return text
    held = value(index, site)
    try:
        return text if held is Missing.POISONED else f"{text}{Whole(0).read(what, held, 1)}"
    except Fault as fault:
        raise fault.at(index.span) from None


def referred(ref: ast.Ref, site: Site) -> Flow:
    """Return the tensor of a reference, its numbers evaluated. Raises Fault, with a place."""
    path = _path(ref, site)
    return Missing.UNKNOWN if isinstance(path, Missing) else tensor(path, ref.span, site, bool(ref.indices))


def _path(ref: ast.Ref, site: Site) -> str | Missing:
    """Return the path that a reference names: `layer1.conv` for `@layer{i}.conv`. Raises Fault, with a place."""
    path, *rest = ref.path.split("{}")
    for index, more in zip(ref.indices, rest, strict=True):
        if value(index, site) is Missing.POISONED:
            return Missing.POISONED
        path = numbered(path, index, "a number in a reference", site) + more
    return path


def tensor(path: str, span: Span, site: Site, computed: bool = False) -> Flow:
    """Return the tensor that a path names: a label, or a parameter that holds a tensor. Raises Fault, with a place.

    For one that is `computed` from numbers no other label is suggested, which would be right in one turn of a loop only.
    """
    found = site.scope.lookup(path) if site.scope is not None else None
    if found is not None:
        return found
    held = site.env.value(path)
    if isinstance(held, (Tensor, Missing)):
        return Missing.UNKNOWN if held is Missing.POISONED else held
    known = [*(site.scope.visible() if site.scope else []), *site.env.known(blocks=False)] if not computed else []
    if isinstance(held, tuple):
        raise Fault(names.unknown_reference(path, [], listed=True).at(span))
    variable = describe(held) if held is not None else ""
    raise Fault(names.unknown_reference(path, known, variable).at(span))


def _spent(made: Any, site: Site) -> Any:
    """Count a computed value against the budget if it is a list, and return it."""
    if isinstance(made, tuple) and site.budget is not None:
        site.budget.spend(leaves(made))
    return made


# ---- one function for each kind of expression


def _name(name: str, site: Site) -> Any:
    if name == "in":
        if site.incoming is Missing.NO_INPUT:
            raise Fault(files.no_input() if site.scope is not None else files.no_incoming())
        return site.incoming
    held = site.env.value(name)
    if held is not None:
        return held
    if name in TRUTH:
        return TRUTH[name]
    if name in WORDS:
        return Word(name)
    if site.env.is_incomplete:
        return Missing.POISONED
    if (later := site.env.defined_later(name)) is not None:
        raise Fault(later)
    known = [*site.env.known(blocks=False), *site.env.known(blocks=True), *sorted(WORDS)]
    if (stem := name.lower().rstrip("0123456789")) != name.lower() and stem in OPERATORS:
        hint = f"as a value, an operator has all its settings in parentheses: `{stem}(kernel={name[len(stem) :]}, ...)`"
        raise UnknownName(names.unknown_name(name, [], hint=hint))
    raise UnknownName(names.unknown_name(name, known, OF_PYTHON.get(name, "")))


def _reference(expr: ast.Ref, site: Site) -> Any:
    """Evaluate a reference to a tensor, or, as in `@enc1.c`, to a field of one."""
    whole = _path(expr, site)
    if isinstance(whole, Missing):
        return whole
    path, _, field = whole.rpartition(".")
    if field in ("c", "d", "h", "w") and path and (site.scope is None or site.scope.lookup(whole) is None):
        return _tensor_field(tensor(path, expr.span, site, bool(expr.indices)), field)
    return tensor(whole, expr.span, site, bool(expr.indices))


def _list(expr: ast.List, site: Site) -> Any:
    items = [value(item, site) for item in expr.items]
    return Missing.POISONED if Missing.POISONED in items else _spent(tuple(items), site)


def _each(expr: ast.Each, site: Site) -> Any:
    rows = value(expr.values, site)
    if rows is Missing.POISONED:
        return rows
    if not isinstance(rows, tuple):
        raise Fault(values.wrong_kind("what a list goes over", "a list", describe(rows)).at(expr.values.span))
    if site.budget is not None:  # a long expression counts for more than one value
        site.budget.spend(len(rows) * (1 + sum(1 for _ in ast.walk(expr.item)) // 8))
    made = []
    for number, row in enumerate(rows):
        turn = site.nested()
        try:
            unpack(expr.pattern, row, turn.env)
        except Fault as fault:
            raise placed(fault, expr, number, len(rows), site.env) from None
        made.append(value(expr.item, turn))
    return Missing.POISONED if Missing.POISONED in made else _spent(tuple(made), site)


def _shape(expr: ast.ShapeLiteral, site: Site) -> Any:
    dims = [bounded(dim) if isinstance(dim, int) else _name(dim, site) for dim in expr.dims]
    return Missing.POISONED if Missing.POISONED in dims else tuple(dims)


def _unary(expr: ast.Unary, site: Site) -> Any:
    if expr.op == "not":
        held = truth(expr.operand, site)
        return held if held is Missing.POISONED else not held
    number = value(expr.operand, site)
    if number is Missing.POISONED:
        return number
    need_number(number, "`-`")
    return -number


def _fold(expr: ast.Fold, site: Site) -> Any:
    first_op = expr.rest[0][0]
    if first_op in ("and", "or"):
        return _logic(expr, first_op == "and", site)
    left = value(expr.first, site)
    for op, operand in expr.rest:
        right = value(operand, site)
        if left is Missing.POISONED or right is Missing.POISONED:
            return Missing.POISONED
        if op in COMPARISONS:
            site.chose(expr.span, left, right)
            left = compare(op, left, right, expr)
        else:
            left = _spent(calculate(op, left, right), site)
    return left


def _logic(expr: ast.Fold, conjunction: bool, site: Site) -> Any:
    for part in (expr.first, *(operand for _, operand in expr.rest)):
        held = truth(part, site)
        if held is not conjunction:  # false, true or poisoned
            return held
    return conjunction


def _index(expr: ast.Index, site: Site) -> Any:
    base = _variable(expr.base, site) if isinstance(expr.base, ast.Ref) else value(expr.base, site)
    index = value(expr.index, site)
    if base is Missing.POISONED or index is Missing.POISONED:
        return Missing.POISONED
    if not isinstance(base, tuple):
        raise Fault(values.wrong_kind("what is indexed", "a list", describe(base)))
    if not isinstance(index, int) or isinstance(index, bool):
        raise Fault(values.wrong_kind("an index", "a whole number", describe(index)))
    if not 0 <= index < len(base):
        raise Fault(values.no_such_element(f"index {index} is outside a list of {len(base)}, which goes from 0 to {len(base) - 1}"))
    site.chose(expr.span, index)
    return base[index]


def _variable(ref: ast.Ref, site: Site) -> Any:
    """Evaluate the `@ys` of `@ys[0]`: a list, unless a label has that name."""
    held = site.env.value(ref.path)
    is_label = site.scope is not None and site.scope.lookup(ref.path) is not None
    return held if isinstance(held, tuple) and not is_label else value(ref, site)


def _part(expr: ast.Part, site: Site) -> Any:
    base = value(expr.base, site)
    first = 0 if expr.first is None else value(expr.first, site)
    stop = LARGEST if expr.stop is None else value(expr.stop, site)
    if any(given is Missing.POISONED for given in (base, first, stop)):
        return Missing.POISONED
    if not isinstance(base, tuple):
        raise Fault(values.wrong_kind("what is cut", "a list", describe(base)))
    for end in (first, stop):
        if isinstance(end, bool) or not isinstance(end, int) or end < 0:
            raise Fault(values.wrong_kind("where a list is cut", "a whole number from 0", describe(end)))
    site.chose(expr.span, first, stop)
    return _spent(base[first:stop], site)


def _field(expr: ast.Field, site: Site) -> Any:
    base = value(expr.base, site)
    if base is Missing.POISONED:
        return base
    if not is_tensor(base):
        raise Fault(values.wrong_kind(f"what has a `.{expr.name}`", "a tensor", describe(base)))
    return _tensor_field(base, expr.name)


def _tensor_field(base: Flow, name: str) -> Any:
    if isinstance(base, Missing):
        return Missing.POISONED
    fields = FIELDS.get(len(base.shape) - 1, "c")
    if name not in fields or len(name) != 1:
        listed = ", ".join(f"`.{field}`" for field in fields)
        raise Fault(values.no_such_element(f"this tensor has no `.{name}`; it has {listed}"))
    return base.shape[fields.index(name)]


def _call(expr: ast.CallExpr, site: Site) -> Any:
    function = FUNCTIONS.get(expr.name)
    if function is not None:
        if named := [arg for arg in expr.args if arg.name is not None]:
            raise Fault(names.unknown_option(expr.name, named[0].name or "", []).at(named[0].name_span))
        arguments = [value(arg.value, site) for arg in expr.args]
        if Missing.POISONED in arguments:
            return Missing.POISONED
        if expr.name in ("min", "max", "abs"):
            site.chose(expr.span, *arguments)
        return _spent(function(expr.name, arguments), site)
    block = site.env.block(expr.name)
    if block is not None:
        pairs = _settings(expr, site)
        return Missing.POISONED if pairs is None else replace(block, args=pairs)
    if expr.name.lower() in WORDS:
        return word(expr, site)
    if site.env.is_incomplete:
        return Missing.POISONED
    if (later := site.env.defined_later(expr.name)) is not None:
        raise Fault(later)
    raise Fault(values.unknown_function(expr.name, [*FUNCTIONS, *site.env.known(blocks=True), *sorted(WORDS)], list(FUNCTIONS)))


def word(expr: ast.CallExpr, site: Site, words: frozenset[str] = frozenset()) -> Any:
    """Evaluate a word with settings, such as `normal(0.01)`, or an operator. Settings that are among `words` are words."""
    operator = OPERATORS.get(expr.name.lower())
    pairs = _settings(expr, site, words) if operator is None else _settings_of_operator(expr, operator, site)
    if pairs is None:
        return Missing.POISONED
    if operator is None and any(isinstance(given.value, Word) and given.value.args for _, given in pairs):
        raise Fault(values.wrong_kind("a setting of a word", "a plain value", "a word with settings of its own"))
    return Word(expr.name.lower(), tuple((name, given.value) for name, given in pairs))


def _settings_of_operator(expr: ast.CallExpr, operator: Operator, site: Site) -> tuple[tuple[str, BoundArgument], ...] | None:
    """Return the settings of an operator as a value. A name that means nothing else is a word of its option: `softmax(axis=c)`."""
    words, order, pairs = words_of_options(operator.name), operator.option_names, []
    for position, arg in enumerate(expr.args):
        taken = words.get(arg.name or (order[position] if position < len(order) else ""), frozenset())
        side = chosen(arg.value, site)
        if isinstance(side, Missing):
            return None
        if ast.bare(side) in taken and not is_known(ast.bare(side), site):
            held: Any = Word(ast.bare(side))
        elif (
            isinstance(side, ast.List)
            and side.items
            and all(bare in taken and not is_known(bare, site) for bare in map(ast.bare, side.items))
        ):
            held = tuple(Word(ast.bare(item)) for item in side.items)
        elif isinstance(side, ast.CallExpr) and side.name.lower() in taken:
            held = word(side, site, SETTING_WORDS)
        else:
            held = value(side, site)
        if isinstance(held, Word) and held.args and held.text not in taken:  # so that words do not nest without end
            raise Fault(values.wrong_kind("a setting of a word", "a plain value", "a word with settings of its own").at(arg.span))
        pairs.append((arg.name or "", BoundArgument(held, arg.span)))
    return None if any(given.value is Missing.POISONED for _, given in pairs) else tuple(pairs)


@cache
def words_of_options(name: str) -> dict[str, frozenset[str]]:
    """Return the words that each option of an operator takes."""
    operator = OPERATORS[name]
    words = {attr.name: words_of(attr.kind) for attr in operator.attrs}
    for option, family in FOLLOWERS.items() if operator.followers else ():
        words[option] = frozenset({"none", *(other.name for other in OPERATORS.values() if other.family == family)})
    return words


def _settings(expr: ast.CallExpr, site: Site, words: frozenset[str] = frozenset()) -> tuple[tuple[str, BoundArgument], ...] | None:
    """Return the settings in the parentheses of a word or a block; None where one rests on an earlier mistake."""
    pairs = []
    for arg in expr.args:
        side = chosen(arg.value, site)
        if isinstance(side, Missing):
            return None
        bare = ast.bare(side)
        pairs.append((arg.name or "", BoundArgument(Word(bare) if bare in words else value(side, site), arg.span)))
    return None if any(given.value is Missing.POISONED for _, given in pairs) else tuple(pairs)
