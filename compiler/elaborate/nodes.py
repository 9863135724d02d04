"""Operators and blocks: from an item's options and operands to nodes with shapes, with normalisation and activation behind them."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.arithmetic import written as written_value
from archc.compiler.elaborate.builder import NOTHING, Builder, Failure
from archc.compiler.elaborate.environment import PARAMETER, BlockValue, Env, Given, SharedNode, SharedPart
from archc.compiler.elaborate.options import blamed, check_options, read_options, read_place
from archc.compiler.elaborate.scopes import UNKNOWN, Poison, Scope, Tensor, join
from archc.compiler.elaborate.sides import with_histories, with_open_inputs, with_way
from archc.compiler.graph import Node
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import NONE, Word, show
from archc.compiler.ops.record import Call, Operator, Weights, check_values
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast
from archc.dsl.diagnostics import Fault, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, names, values
from archc.dsl.vocabulary import shapes as shape_says

BRIEF = 16  # characters of an argument that a brief call still tells


class NodeExpander(Builder):
    """Puts operators into the graph, and expands blocks."""

    def _skip(self, label: str | None, kind: str, scope: Scope, span: Span) -> None:
        """Give an item its name although it came to nothing, so that others keep theirs and references find it."""
        scope.members[scope.new_name(label, kind, span)] = UNKNOWN

    def _apply(
        self,
        operator: Operator,
        given: dict[str, Given],
        label: str | None,
        env: Env,
        scope: Scope,
        operands: list[Tensor],
        span: Span,
        written: str = "",
    ) -> Tensor:
        """Put an operator behind its operands, and its followers behind it."""
        if NOTHING in operands and any(o is NOTHING for o in operands):
            raise Fault(files.no_input().at(span))
        options = {**env.defaults_of(operator.name), **given}
        first = operands[0]
        if operator.flattens and first.shape is not None and len(first.shape) > 1:
            first = self._node(OPERATORS["flatten"], {}, scope.new_name(None, "flatten", span, implied=True), scope, operands, span)
            operands = [first]
        name = scope.new_name(label, operator.name, span)
        result = UNKNOWN
        try:
            if all(operand.shape is not None for operand in operands):
                result = self._node(operator, options, name, scope, operands, span, written or operator.name)
            else:
                check_options(operator, options, span)
        except Fault as fault:
            if fault.diagnostic.code == "E0302":  # what a convolution on a shortcut would get besides its options
                fault.diagnostic = replace(fault.diagnostic, facts={**fault.diagnostic.facts, "defaults": env.defaults_of("conv")})
            self.report(fault, span)
            if all(operand.in_graph for operand in operands):
                names = tuple(operand.name for operand in operands)
                self.failures.append(Failure(scope.full(name), span.text.split("=>")[0].strip(), names, fault.diagnostic.message, span))
        for follower in ("norm", "act") if operator.followers else ():
            if follower in options:
                result = self._follow(follower, options[follower], env, scope, result, span)
        scope.members[name] = result
        return result

    def _node(
        self,
        operator: Operator,
        options: dict[str, Given],
        name: str,
        scope: Scope,
        operands: list[Tensor],
        span: Span,
        written: str = "",
    ) -> Tensor:
        """Enter a node into the graph with its shape. Raises Fault, with a place."""
        shapes: list[Shape] = [operand.shape for operand in operands if operand.shape is not None]
        attrs = read_options(operator, options, len(shapes[0]) - 1, span)
        if attrs is None:
            return UNKNOWN
        call = Call(operator.name, attrs, tuple(shapes))
        in_graph = all(operand.in_graph for operand in operands)
        try:
            place = read_place(options)
            shape = operator.shape(call)
            check_values(shape)
        except Fault as fault:
            found = fault.diagnostic
            if found.code in ("E0302", "E0303") and in_graph:
                found = with_histories(found, written, self.graph, operands, span)
            if found.code == "E0307" and in_graph:
                found = with_open_inputs(found, self.graph, operands[0])
            if found.code == "E0301" and len(operands) == 1 and in_graph:
                found = with_way(found, self.graph, operands[0])
            raise Fault(blamed(found, options, span)) from None
        if not in_graph:
            scope.members[name] = Tensor("", shape)
            return Tensor("", shape)
        path = scope.full(name)
        key = join(scope.key, name)
        origins = {option: given.span for option, given in options.items()}
        node = Node(path, operator.name, attrs, shape, span, self._frame, key, place, origins=origins)
        self._add(node, [operand.name for operand in operands])
        self.graph.conditions.extend((path, condition) for condition in call.conditions)
        tensor = Tensor(path, shape)
        scope.members[name] = tensor
        return tensor

    def _follow(self, option: str, given: Given, env: Env, scope: Scope, current: Tensor, span: Span) -> Tensor:
        """`norm=bn`, `act=leaky_relu(0.1)`: the operator or block that the word names, behind the current tensor."""
        value = given.value
        if value == NONE or isinstance(value, Poison):
            return UNKNOWN if isinstance(value, Poison) else current
        if isinstance(value, BlockValue):
            return self._call(value, bind_settings(value, given.span), None, scope, current, span)
        operator = OPERATORS.get(value.text) if isinstance(value, Word) else None
        if operator is None or operator.operands != (1, 1) or (not value.args and operator.requires):
            self.report(
                values.not_a_choice(
                    option,
                    f"`{value}`" if isinstance(value, Word) else describe(value),
                    [n for n, o in OPERATORS.items() if o.family == ("normalization" if option == "norm" else "activation")],
                ),
                given.span,
            )
            return UNKNOWN
        return self._apply(operator, word_options(operator, value, given.span), None, env, scope, [current], span)

    def _call(self, block: BlockValue, given: dict[str, Given], label: str | None, scope: Scope, current: Tensor, span: Span) -> Tensor:
        """Expand a block where it is called."""
        name = scope.new_name(label, block.name, span)
        numbered = isinstance(block.block, ast.Block) and block.block.numbered
        inner = scope.child(name, numbered, boundary=True)
        scope.members[name] = inner
        env = Env(block.env)
        env.reader = block.name
        missing = []
        arguments: dict[str, Any] = {}
        for param in block.params:
            if param.name in given:
                arguments[param.name] = given[param.name].value
            elif param.default is not None:
                arguments[param.name] = self._value(param.default, env, inner, current)
            else:
                missing.append(param.name)
                continue
            env.bind(param.name, arguments[param.name], PARAMETER, param.span, given=given.get(param.name))
            self._doubt_name(param.name, arguments[param.name], PARAMETER, param.span)
        unknown_args = [name for name in given if name not in arguments]
        if missing or unknown_args:
            fault = (
                names.missing_argument(block.name, missing, block.signature)
                if missing
                else names.unknown_option(block.name, unknown_args[0], [p.name for p in block.params])
            )
            raise Fault(fault.at(span, related=[Related(block.block.name_span, "defined here")]))
        listed = ", ".join(f"{name}={written_value(value)}" for name, value in arguments.items())
        brief = block.name + _brief_arguments(block, given, arguments)
        with self._within(f"{block.name}({listed})", span, block.block, inner.path, brief):
            if block.shared is not None:
                result = self._shared_call(block, block.shared, name, inner, env, current, span)
            else:
                result = self._statements(block.block.body, env, inner, current)
        inner.result = result
        return result

    def _shared_call(self, block: BlockValue, part: SharedPart, name: str, inner: Scope, env: Env, current: Tensor, span: Span) -> Tensor:
        """A call of a shared part: the same keys, and, as a check, the same weights as at the first call."""
        inner.key = part.key
        begin = len(self._created)
        first = part.called is None
        part.called = part.called or span
        result = self._statements(block.block.body, env, inner, current)
        if not result.in_graph:
            return result
        created = self._created[begin:]
        now = SharedPart(part.key)
        now.nodes = [(node.key, node.op, dict(node.attrs)) for node in created]
        now.weights = {node.key: node.operator.weights(self.graph.call(node.name)) for node in created}
        if first:
            part.nodes, part.weights = now.nodes, now.weights
        elif now != part:
            found = shape_says.shared_differs(block.name, *_first_difference(part, now))
            self.report(found.at(span, related=[Related(part.called, "the first call")]))
            return UNKNOWN
        return result


def _brief_arguments(block: BlockValue, given: dict[str, Given], arguments: dict[str, Any]) -> str:
    """What a call gives in parentheses, without tensors and what is the default anyway, long values as `…`: for pictures."""
    told = []
    for param in block.params:
        value, usual = arguments.get(param.name), param.default.span.text if param.default is not None else ""
        if param.name not in given or isinstance(value, Tensor):
            continue
        text = written_value(value)
        if text != usual:
            told.append(f"{param.name}={text}" if len(text) <= BRIEF and not text.startswith("[...") else "…")
    return f"({', '.join(told)})" if told else ""


def bind_settings(block: BlockValue, span: Span) -> dict[str, Given]:
    """The settings of a block that stands as a value, `swish(beta=2)`, by name."""
    order = [param.name for param in block.params]
    bound: dict[str, Given] = {}
    for position, (name, given) in enumerate(block.args):
        if not name and position >= len(order):
            raise Fault(names.too_many_arguments(block.name, len(order), len(block.args), block.signature).at(span))
        name = name or order[position]
        if name in bound:
            raise Fault(names.given_twice(block.name, name).at(span))
        bound[name] = given
    return bound


def word_options(operator: Operator, word: Word, span: Span) -> dict[str, Given]:
    """The settings of a word such as `leaky_relu(0.1)`, by name."""
    order = operator.option_names
    options: dict[str, Given] = {}
    for position, (name, value) in enumerate(word.args):
        if not name and position >= len(order):
            raise Fault(names.too_many_arguments(operator.name, len(order), len(word.args), operator.signature).at(span))
        name = name or order[position]
        if name not in order:
            raise Fault(names.unknown_option(operator.name, name, order).at(span))
        if name in options:
            raise Fault(names.given_twice(operator.name, name).at(span))
        options[name] = Given(value, span)
    return options


def _first_difference(first: SharedPart, now: SharedPart) -> tuple[str, str]:
    """Where a shared part differs from its first call, in words."""
    for then, here in zip_longest(first.nodes, now.nodes, fillvalue=None):
        if then != here:
            return _node_words(then), _node_words(here)
    for key, weights in first.weights.items():
        if weights != now.weights[key]:
            return _weight_words(key, weights), _weight_words(key, now.weights[key])
    return "the same", "the same"


def _node_words(node: SharedNode | None) -> str:
    if node is None:
        return "nothing more"
    key, op, attrs = node
    return f"{key}: {op}({', '.join(f'{name}={show(value)}' for name, value in attrs.items())})"


def _weight_words(key: str, weights: Weights) -> str:
    named = {f"{key}.{name}".rstrip("."): shape for name, shape in weights.items()}
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in named.items())
