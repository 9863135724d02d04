"""What expressions mean: whole numbers, floats, words, lists and sizes. Every step is bounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from archc.compiler.elaborate.arithmetic import COMPARISONS, FUNCTIONS, LARGEST, bounded, calculate, compare, describe, leaves, need_number
from archc.compiler.elaborate.environment import Env, Given
from archc.compiler.elaborate.scopes import POISON, Poison, Scope, Tensor
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import INIT, Choice, PerAxis, Recipe, Word
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, names, values
from archc.dsl.vocabulary.spelling import misspelt

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
SETTING_WORDS = frozenset({"fan_in", "fan_out"})  # what a setting of an `init` may be


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
            self.spend(leaves(value))
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
        return name in TRUTH or name in WORDS or name == "in" or self.env.value(name) is not None

    def truth(self, expr: ast.Expr) -> bool | Poison:
        value = self.value(expr)
        if isinstance(value, (bool, Poison)):
            return value
        raise Fault(values.wrong_kind("a condition", "a comparison, `yes` or `no`", describe(value)).at(expr.span))

    # ---- one method for each kind of expression

    def _number(self, expr: ast.Number) -> Any:
        return bounded(expr.value)

    def _name(self, expr: ast.Name) -> Any:
        name = expr.name
        if name == "in":
            if self.incoming is None:
                raise Fault(files.no_input() if self.scope is not None else files.no_incoming())
            return self.incoming
        value = self.env.value(name)
        if value is not None:
            return value
        if name in TRUTH:
            return TRUTH[name]
        if name in WORDS:
            return Word(name)
        if self.env.is_incomplete:
            return POISON
        if (later := self.env.defined_later(name)) is not None:
            raise Fault(later)
        hint = {"true": "yes", "True": "yes", "false": "no", "False": "no"}.get(name)
        known = [hint] if hint else [*self.env.known(blocks=False), *self.env.known(blocks=True), *sorted(WORDS)]
        fault = names.unknown_name(name, known)
        raise Fault(replace(fault, help=f"write `{hint}`", facts=misspelt(name, [hint], sure=True)) if hint else fault)

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
            value = self.env.value(path)
            if isinstance(value, Poison):
                return Tensor("", None)
            if isinstance(value, Tensor):
                return value
            known = [*(self.scope.visible() if self.scope else []), *self.env.known(blocks=False)]
            variable = describe(value) if value is not None else ""
            raise Fault(names.unknown_reference(path, known, variable).at(span))
        return found

    def _list(self, expr: ast.List) -> Any:
        items = [self.value(item) for item in expr.items]
        return POISON if any(isinstance(item, Poison) for item in items) else self._made(tuple(items))

    def _shapeliteral(self, expr: ast.ShapeLiteral) -> Any:
        dims = [bounded(dim) if isinstance(dim, int) else self._name(ast.Name(expr.span, dim)) for dim in expr.dims]
        return POISON if any(isinstance(dim, Poison) for dim in dims) else tuple(dims)

    def _unary(self, expr: ast.Unary) -> Any:
        if expr.op == "not":
            truth = self.truth(expr.operand)
            return truth if isinstance(truth, Poison) else not truth
        value = self.value(expr.operand)
        if isinstance(value, Poison):
            return value
        need_number(value, "`-`")
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
            left = compare(op, left, right, expr) if op in COMPARISONS else self._made(calculate(op, left, right))
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
                raise Fault(names.unknown_option(expr.name, named[0].name or "", []).at(named[0].name_span))
            arguments = [self.value(arg.value) for arg in expr.args]
            return POISON if any(isinstance(a, Poison) for a in arguments) else self._made(function(expr.name, arguments))
        block = self.env.block(expr.name)
        if block is not None:
            pairs = self._settings(expr)
            return POISON if pairs is None else replace(block, args=pairs)
        if expr.name.lower() in WORDS:
            return self.word(expr)
        if self.env.is_incomplete:
            return POISON
        if (later := self.env.defined_later(expr.name)) is not None:
            raise Fault(later)
        raise Fault(values.unknown_function(expr.name, [*FUNCTIONS, *self.env.known(blocks=True), *sorted(WORDS)], list(FUNCTIONS)))

    def word(self, expr: ast.CallExpr, words: frozenset[str] = frozenset()) -> Any:
        """A word with settings, such as `normal(0.01)`. Those of its settings that are among `words` are words."""
        pairs = self._settings(expr, words)
        if pairs is None:
            return POISON
        if any(isinstance(given.value, Word) and given.value.args for _, given in pairs):
            raise Fault(values.wrong_kind("a setting of a word", "a plain value", "a word with settings of its own"))
        return Word(expr.name.lower(), tuple((name, given.value) for name, given in pairs))

    def _settings(self, expr: ast.CallExpr, words: frozenset[str] = frozenset()) -> tuple[tuple[str, Given], ...] | None:
        """The settings in the parentheses of a word or a block; None where one rests on an earlier mistake."""
        pairs = []
        for arg in expr.args:
            word = ast.bare(arg.value)
            pairs.append((arg.name or "", Given(Word(word) if word in words else self.value(arg.value), arg.span)))
        return None if any(isinstance(given.value, Poison) for _, given in pairs) else tuple(pairs)
