"""Operators: from arguments and operands to a node with its shape, and its normalization and activation after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.calls import Invocation, bind_settings, invoke
from archc.compiler.elaborate.elaboration import Elaboration, Failure
from archc.compiler.elaborate.environment import BlockValue, BoundArgument
from archc.compiler.elaborate.histories import explain
from archc.compiler.elaborate.options import blamed, check_options, read_options, read_place
from archc.compiler.elaborate.scopes import Flow, Label, Missing, Tensor, in_graph, join
from archc.compiler.elaborate.site import Site
from archc.compiler.graph import Node
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.faults import ShapeFault, Unequal
from archc.compiler.ops.kinds import NONE, Word
from archc.compiler.ops.record import Call, Operator, check_values
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.source import Span
from archc.dsl.vocabulary import attention, files, names, values


@dataclass(frozen=True)
class Use:
    """An operator where the file uses it: its arguments and operands, its place and label, and the word that is written there."""

    operator: Operator
    arguments: dict[str, BoundArgument]
    operands: Sequence[Flow]
    span: Span
    label: Label | None = None
    word: str = ""


def apply(elaboration: Elaboration, use: Use, site: Site) -> Flow:
    """Append an operator to the graph, and its followers after it; what is wrong with it is reported.

    Raises Fault where there is no input, or where its name is taken.
    """
    if any(operand is Missing.NO_INPUT for operand in use.operands):
        raise Fault(files.no_input().at(use.span))
    if defaults := site.env.defaults_of(use.operator.name):
        use = replace(use, arguments={**defaults, **use.arguments})
    first = use.operands[0]
    if use.operator.flattens and isinstance(first, Tensor) and len(first.shape) > 1:
        flatten = Use(OPERATORS["flatten"], {}, use.operands, use.span)
        use = replace(use, operands=[_append(elaboration, flatten, site.labels.new_name(None, "flatten", use.span, implied=True), site)])
    name = site.labels.new_name(use.label, use.operator.name, use.span)
    result: Flow = Missing.UNKNOWN
    try:
        if all(isinstance(operand, Tensor) for operand in use.operands):
            result = _append(elaboration, use, name, site)
        else:
            check_options(use.operator, use.arguments, use.span)
    except Fault as fault:
        elaboration.report(fault, site, use.span)
        operands = [operand.name for operand in use.operands if in_graph(operand)]
        if len(operands) == len(use.operands):
            written = use.span.text.split("=>")[0].strip()
            failure = Failure(site.labels.full(name), written, tuple(operands), fault.diagnostic.message, use.span)
            elaboration.failures.append(failure)
    for option in ("norm", "act") if use.operator.followers else ():
        if option in use.arguments:
            result = _follow(elaboration, option, use.arguments[option], use.span, site.after(result))
    site.labels.members[name] = result
    return result


def _append(elaboration: Elaboration, use: Use, name: str, site: Site) -> Flow:
    """Append a node with its shape. Raises Fault, with a place."""
    operands = [operand for operand in use.operands if isinstance(operand, Tensor)]
    taken = tuple(operand.shape for operand in operands)
    attrs = read_options(use.operator, use.arguments, len(taken[0]) - 1, use.span)
    if attrs is None:
        return Missing.UNKNOWN
    call = Call(use.operator.name, attrs, taken)
    try:
        place = read_place(use.arguments)
        shape = use.operator.shape(call)
        check_values(shape)
        _check_weights(use.operator, call)
        _check_whole_numbers(elaboration, use.operator, call, [operand.name for operand in operands if in_graph(operand)])
    except Fault as fault:
        raise Fault(blamed(_explained(elaboration, fault, use, site), use.arguments, use.span)) from None
    scope = site.labels
    produced = all(in_graph(operand) for operand in operands)
    tensor = Tensor(scope.full(name) if produced else "", shape)
    if produced:
        key = join(scope.key, name)
        origins = {option: argument.span for option, argument in use.arguments.items()}
        node = Node(tensor.name, use.operator.name, attrs, shape, use.span, site.frame, key, place, origins=origins)
        elaboration.add(node, [operand.name for operand in operands])
        elaboration.graph.conditions.extend((tensor.name, condition) for condition in call.conditions)
    scope.members[name] = tensor
    return tensor


def _check_weights(operator: Operator, call: Call) -> None:
    """Raise Fault where the shape of a weight depends on a size that is open, whether or not the shape of the result does."""
    if not all(isinstance(size, int) for shape in call.inputs for size in shape):
        operator.weights(call)
        operator.buffers(call)


def _check_whole_numbers(elaboration: Elaboration, operator: Operator, call: Call, operands: Sequence[str]) -> None:
    """Raise Fault where an operator reads whole numbers from anything but an input of them, or takes an input of them as values."""
    graph, indexes = elaboration.graph, operator.indexes(call) is not None
    for operand in operands:
        if not indexes and not graph[operand].is_input:
            continue
        named = "the input" if operand == "input" else f"the input {operand}"
        readers = {user: graph[user].operator.indexes(graph[user].call) is not None for user in graph.users(operand)}
        other = next((user for user, reads in readers.items() if reads is not indexes), "")
        if indexes and not graph[operand].is_input:
            problem = f"`{operator.name}` reads whole numbers, and {operand} has other values"
            raise Fault(
                attention.not_whole_numbers(problem, f"apply it to an input of the network: `input ids: 128`, `{operator.name}(...)`")
            )
        if indexes and other:
            problem = f"`{operator.name}` reads whole numbers from {named}, which {other} takes as values"
            raise Fault(attention.not_whole_numbers(problem, "give each of the two an input of its own: `input ids: 128`"))
        if graph[operand].is_input and other:
            problem = f"`{operator.name}` takes values, and {named} holds whole numbers for {other}"
            raise Fault(attention.not_whole_numbers(problem, f"use what {other} returns, `@{other}`, or another input"))


def _explained(elaboration: Elaboration, fault: Fault, use: Use, site: Site) -> Diagnostic:
    """Word the fault of a rule, with the history of its operands if they have one."""
    if not isinstance(fault, ShapeFault):
        return fault.diagnostic
    graph = elaboration.graph
    operands = [graph[operand.name] for operand in use.operands if in_graph(operand)]
    known = len(operands) == len(use.operands)
    found = (
        explain(fault, use.word or use.operator.name, operands, (node for node in graph if node.is_input), use.span)
        if known
        else fault.diagnostic
    )
    if isinstance(fault.found, Unequal):  # what a convolution on a shortcut would get besides its options
        return found.with_facts(defaults=site.env.defaults_of("conv"))
    return found


def _follow(elaboration: Elaboration, option: str, argument: BoundArgument, span: Span, site: Site) -> Flow:
    """Append the operator or block of `norm=bn` or `act=leaky_relu(0.1)` to a tensor."""
    value = argument.value
    if value is Missing.POISONED:
        return Missing.UNKNOWN
    if value == NONE:
        return site.incoming
    if isinstance(value, BlockValue):
        return invoke(elaboration, Invocation(value, bind_settings(value, argument.span), span), site)
    operator = OPERATORS.get(value.text) if isinstance(value, Word) else None
    if operator is None or operator.operands != (1, 1) or (not value.args and operator.requires):
        got = f"`{value}`" if isinstance(value, Word) else describe(value)
        family = "normalization" if option == "norm" else "activation"
        choices = [name for name, other in OPERATORS.items() if other.family == family]
        elaboration.report(values.not_a_choice(option, got, choices), site, argument.span)
        return Missing.UNKNOWN
    return apply(elaboration, Use(operator, word_arguments(operator, value, argument.span), [site.incoming], span), site)


def word_arguments(operator: Operator, word: Word, span: Span) -> dict[str, BoundArgument]:
    """Return the settings of a word such as `leaky_relu(0.1)`, by name. Raises Fault, with a place."""
    order = operator.option_names
    bound: dict[str, BoundArgument] = {}
    for position, (name, value) in enumerate(word.args):
        if not name and position >= len(order):
            raise Fault(names.too_many_arguments(operator.name, len(order), len(word.args), operator.signature).at(span))
        name = name or order[position]
        if name not in order:
            raise Fault(names.unknown_option(operator.name, name, order).at(span))
        if name in bound:
            raise Fault(names.given_twice(operator.name, name).at(span))
        bound[name] = BoundArgument(value, span)
    return bound


def skip(label: Label | None, kind: str, span: Span, site: Site) -> Flow:
    """Name an item that could not be elaborated, so that others keep their names and references find it."""
    site.labels.members[site.labels.new_name(label, kind, span)] = Missing.UNKNOWN
    return Missing.UNKNOWN
