"""Statements: inputs, outputs, blocks, defaults, lets, loops, conditions and expectations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.builder import NOTHING
from archc.compiler.elaborate.claims import Expected
from archc.compiler.elaborate.environment import LOOP_NAME, OPEN_SIZE, VARIABLE, Env, Given, SharedPart, check_block_name
from archc.compiler.elaborate.evaluate import Evaluator
from archc.compiler.elaborate.items import ItemExpander
from archc.compiler.elaborate.options import Callee, argument
from archc.compiler.elaborate.scopes import UNKNOWN, Poison, Scope, Tensor, check_label, join
from archc.compiler.elaborate.workings import Workings
from archc.compiler.graph import INPUT, ArchGraph, Node, Output
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import Word, show
from archc.compiler.ops.record import Operator, check_values
from archc.compiler.shapes.dim import show_shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, names, values

TOP_ONLY = (ast.Arch, ast.Use, ast.Input, ast.Output, ast.Expect)


class StatementExpander(ItemExpander):
    """Expands statements."""

    def _statements(self, statements: Sequence[ast.Statement], env: Env, scope: Scope, current: Tensor) -> Tensor:
        env.body = env.body or statements
        for statement in statements:
            current = self._statement(statement, env, scope, current)
        return current

    def _statement(self, statement: ast.Statement, env: Env, scope: Scope, current: Tensor) -> Tensor:
        self._step(statement.span)
        kind = type(statement)
        if kind in TOP_ONLY and (scope is not self.top or self._calls or (kind is ast.Use and env.folder is None)):
            self.report(names.not_here(f"`{kind.__name__.lower()}`", "at the top of the file"), statement.span)
            return current
        visit: Callable[..., Tensor] = getattr(self, "_" + kind.__name__.lower())
        return visit(statement, env, scope, current)

    def _input(self, statement: ast.Input, env: Env, scope: Scope, current: Tensor) -> Tensor:
        name = statement.name
        if name in self._used_inputs:
            self.report(names.defined_twice("an input", name), statement.span)
            return current
        self._used_inputs.add(name)
        override = self.overrides.inputs.get(name)
        if override is None and "" in self.overrides.inputs and name == next(iter(self._used_inputs)):
            override = self.overrides.inputs[""]
        try:
            if name != INPUT:
                check_label(name, statement.span)
            scope.new_name(name, INPUT, statement.span)
            scope.members[name] = UNKNOWN
            dims = override if override is not None else statement.dims
            if override is not None:
                self._bind_sizes(statement.dims, override, env)
            shape = tuple(self._size(dim, env) for dim in dims)
            if any(isinstance(dim, Poison) for dim in shape):
                return UNKNOWN
            check_values(shape)
        except Fault as fault:
            self.report(fault, statement.span)
            return UNKNOWN
        self._add(Node(name, INPUT, {}, shape, statement.span, key=name), [])
        tensor = Tensor(name, shape)
        scope.members[name] = tensor
        return tensor

    def _bind_sizes(self, written: ast.Dims, given: ast.Dims, env: Env) -> None:
        """`input 3xHxW` under `--input 3x224x224`: H and W are now 224."""
        for name, number in zip(written, given, strict=False):
            if isinstance(name, ast.Name) and isinstance(number, ast.Number) and env.own(name.name) is None:
                env.bind(name.name, number.value, OPEN_SIZE, name.span)

    def _output(self, statement: ast.Output, env: Env, scope: Scope, current: Tensor) -> Tensor:
        training = False
        for arg in statement.args:
            value = Word("training") if ast.bare(arg.value) == "training" else self._value(arg.value, env, scope, current)
            if arg.name != "when":
                self.report(names.unknown_option("output", arg.name or str(value), ["when"]), arg.span)
            elif not isinstance(value, Poison) and value != Word("training"):
                self.report(values.not_a_choice("when", f"`{value}`", ["training"]), arg.span)
            training = True
        chain = statement.chain
        place = _name_span(statement)
        first = self._output_places.setdefault(statement.name, place)
        if first is place and chain and chain[-1].label is None and not isinstance(chain[-1].core, (ast.Ref, ast.Here)):
            chain = (*chain[:-1], replace(chain[-1], label=ast.Label(statement.span, statement.name, None)))
        tensor = self._statements(chain, Env(parent=env), scope, current) if chain else current
        try:
            check_label(statement.name, statement.span)
        except Fault as fault:
            self.report(fault, statement.span)
            return current
        if first is not place:
            self._output_again(statement, first, tensor)
        elif tensor is NOTHING:
            self.report(files.no_input(), statement.span)
        elif tensor.in_graph:
            self.graph.outputs[statement.name] = Output(tensor.name, training)
        return current

    def _output_again(self, statement: ast.Output, first: Span, tensor: Tensor) -> None:
        there = self.graph.outputs.get(statement.name)
        notes = []
        if there is not None and tensor.shape is not None:
            notes.append(f"the first is {_tensor_words(self.graph, there.node)}, this one {_tensor_words(self.graph, tensor.name)}")
        found = names.defined_twice("an output", statement.name, notes)
        self.report(found.at(_name_span(statement), related=[Related(first, "the first is here")]))

    def _default(self, statement: ast.Default, env: Env, scope: Scope, current: Tensor) -> Tensor:
        operator = OPERATORS.get(statement.word.lower())
        if operator is None:
            is_block = env.block(statement.word) is not None
            self.report(names.no_default(statement.word, is_block, list(OPERATORS)), statement.word_span)
            return current
        settings = {**env.defaults_of(operator.name)}
        seen: set[str] = set()
        for arg in statement.args:
            if arg.name in seen:
                self.report(names.given_twice(operator.name, arg.name or ""), arg.span)
            seen.add(arg.name or "")
            if arg.name is None:
                self.report(names.option_without_name(operator.name, operator.option_names), arg.span)
                continue
            if arg.name not in operator.option_names and arg.name != "place":
                self.report(names.unknown_option(operator.name, arg.name, operator.option_names), arg.name_span)
                continue
            value = self._default_value(arg, operator, env)
            settings[arg.name] = Given(value, arg.value.span, Workings(arg.value, Evaluator(env, spend=self._spend), value).added_to)
        env.set_defaults(operator.name, settings)
        return current

    def _default_value(self, arg: ast.Arg, operator: Operator, env: Env) -> Any:
        try:
            return argument(arg.value, arg.name or "", Callee.of_operator(operator), Evaluator(env, spend=self._spend), self.doubt)
        except Fault as fault:
            self.report(fault, arg.value.span)
            return Poison()

    def _block(self, statement: ast.Block, env: Env, scope: Scope, current: Tensor) -> Tensor:
        try:
            check_block_name(statement.name, statement.name_span, env)
            seen: set[str] = set()
            for param in statement.params:
                if param.name == "in":
                    raise Fault(names.reserved("in", "it is the incoming tensor").at(param.span))
                if param.name in seen:
                    raise Fault(names.defined_twice("a parameter", param.name).at(param.span))
                seen.add(param.name)
        except Fault as fault:
            self.report(fault)
            env.incomplete = True  # calls of it are not to be judged
            return current
        env.define(statement)
        return current

    def _share(self, statement: ast.Share, env: Env, scope: Scope, current: Tensor) -> Tensor:
        try:
            check_block_name(statement.name, statement.name_span, env)
            check_label(statement.name, statement.name_span)
            scope.reserve(statement.name, statement.name_span)
        except Fault as fault:
            self.report(fault)
            env.incomplete = True  # calls of it are not to be judged
            return current
        part = SharedPart(join(scope.key, statement.name))
        env.define(statement, part)
        return current

    def _let(self, statement: ast.Let, env: Env, scope: Scope, current: Tensor) -> Tensor:
        if statement.name == "in":
            self.report(names.reserved("in", "it is the incoming tensor"), statement.span)
        value = self._value(statement.value, env, scope, current)
        try:
            env.bind(statement.name, value, VARIABLE, statement.span, statement.value)
            self._doubt_name(statement.name, value, VARIABLE, statement.span)
        except Fault as fault:
            self.report(fault)
        return current

    def _expect(self, statement: ast.Expect, env: Env, scope: Scope, current: Tensor) -> Tensor:
        if self._own_expects:
            value = self._value(statement.value, env, scope, current)
            if not isinstance(value, Poison):
                self.expects.append(Expected(statement, value, len(self.graph)))
        return current

    def _for(self, statement: ast.For, env: Env, scope: Scope, current: Tensor) -> Tensor:
        rows = self._value(statement.values, env, scope, current)
        if isinstance(rows, Poison):
            return UNKNOWN
        if not isinstance(rows, tuple):
            self.report(values.wrong_kind("what a loop goes over", "a list", describe(rows)), statement.values.span)
            return UNKNOWN
        self._step(statement.span, len(rows))
        for number, row in enumerate(rows):
            inner = Env(parent=env)
            try:
                _unpack(statement.pattern, row, inner)
            except Fault as fault:
                self.report(_of_the_row(fault.diagnostic, statement, number, len(rows), env), statement.pattern.span)
                return UNKNOWN
            with self._within(f"turn {number + 1} of {len(rows)}", statement.span):
                current = self._statements(statement.body, inner, scope, current)
        return current

    def _if(self, statement: ast.If, env: Env, scope: Scope, current: Tensor) -> Tensor:
        while True:
            try:
                truth = Evaluator(env, scope, current, self._spend).truth(statement.condition)
            except Fault as fault:
                self.report(fault, statement.condition.span)
                return UNKNOWN
            if isinstance(truth, Poison):
                return UNKNOWN
            following = statement.otherwise[0] if len(statement.otherwise) == 1 else None
            if truth or not isinstance(following, ast.If):
                return self._statements(statement.then if truth else statement.otherwise, Env(parent=env), scope, current)
            self._step(following.span)
            statement = following  # an `else if`, of which a chain may be long


def _name_span(statement: ast.Output) -> Span:
    """Where an output is named; all of it where its text was mended while it was read."""
    at = statement.span.text.find(statement.name, len("output"))
    begin = statement.span.start + at
    return statement.span if at < 0 else Span(statement.span.source, begin, begin + len(statement.name))


def _tensor_words(graph: ArchGraph, name: str) -> str:
    return f"{name} ({show_shape(graph[name].shape)})"


def _of_the_row(found: Diagnostic, loop: ast.For, number: int, rows: int, env: Env) -> Diagnostic:
    """The diagnostic of a row that does not fit a loop's names, at the row where the file writes it out."""
    listed: ast.Expr | None = loop.values
    if isinstance(listed, ast.Name) and (bound := env.find(listed.name)) is not None:
        listed = bound.expr
    if found.code != "E0406" or not isinstance(listed, ast.List) or len(listed.items) != rows:
        return found
    facts = {**found.facts, "rows": listed.items, "number": number, "names": [part.name for part in loop.pattern.parts]}
    related = Related(loop.pattern.span, "the names of the loop")
    return replace(found, facts=facts).at(listed.items[number].span, related=[related])


def _unpack(pattern: ast.Pattern, value: Any, env: Env) -> None:
    """Bind the names of a loop to one row."""
    if pattern.name == "in":
        raise Fault(names.reserved("in", "it is the incoming tensor"))
    if pattern.name is not None:
        env.bind(pattern.name, value, LOOP_NAME, pattern.span)
        return
    if not isinstance(value, tuple) or len(value) != len(pattern.parts):
        taken = [part.name or part.span.text for part in pattern.parts]
        if not isinstance(value, tuple):
            raise Fault(values.does_not_unpack(taken, [], describe(value)))
        raise Fault(values.does_not_unpack(taken, [show(item) for item in value]))
    for part, item in zip(pattern.parts, value, strict=True):
        _unpack(part, item, env)
