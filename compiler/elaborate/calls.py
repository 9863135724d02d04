"""Calls of blocks: their arguments bound, their bodies elaborated, the weights of shared parts compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from archc.compiler.elaborate.arithmetic import written
from archc.compiler.elaborate.elaboration import Elaboration
from archc.compiler.elaborate.environment import PARAMETER, BlockValue, BoundArgument, Environment, SharedNode, SharedPart
from archc.compiler.elaborate.evaluate import evaluated
from archc.compiler.elaborate.options import doubt_name
from archc.compiler.elaborate.scopes import Flow, Label, Missing, in_graph, is_tensor
from archc.compiler.elaborate.site import BlockCall, Site
from archc.compiler.ops.kinds import show
from archc.compiler.ops.record import Weights
from archc.dsl import ast
from archc.dsl.diagnostics import Fault, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import names, shapes

BRIEF = 16  # characters of an argument that a brief call still shows


@dataclass(frozen=True)
class Invocation:
    """A block where the file calls it, with its arguments by name."""

    block: BlockValue
    arguments: Mapping[str, BoundArgument]
    span: Span
    label: Label | None = None


def invoke(elaboration: Elaboration, call: Invocation, site: Site) -> Flow:
    """Elaborate the body of a block where it is called. Raises Fault, with a place."""
    block, span = call.block, call.span
    name = site.labels.new_name(call.label, block.name, span)
    numbered = isinstance(block.block, ast.Block) and block.block.numbered
    scope = site.labels.child(name, numbered, boundary=True)
    site.labels.members[name] = scope
    env = Environment(block.env)
    env.reader = block.name
    values = _bind_parameters(elaboration, call, site.labelled(scope).under(env))
    listed = ", ".join(f"{name}={written(value)}" for name, value in values.items())
    frame = BlockCall(block.block, scope.path, block.name + _brief(call, values), values)
    inside = site.labelled(scope).under(env).inside(f"{block.name}({listed})", span, frame)
    with elaboration.entered(inside):
        if block.shared is not None:
            scope.result = _invoke_shared(elaboration, call, block.shared, inside)
        else:
            scope.result = elaboration.body(elaboration, block.block.body, inside)
    return scope.result


def _bind_parameters(elaboration: Elaboration, call: Invocation, site: Site) -> dict[str, Any]:
    """Bind the parameters of a block in the environment of its body; their values by name. Raises Fault, with a place."""
    values: dict[str, Any] = {}
    missing = []
    for param in call.block.params:
        argument = call.arguments.get(param.name)
        if argument is not None:
            values[param.name] = argument.value
        elif param.default is not None:
            values[param.name] = evaluated(elaboration, param.default, site)
        else:
            missing.append(param.name)
            continue
        site.env.bind(param.name, values[param.name], PARAMETER, param.span, argument=argument)
        doubt_name(elaboration, param.name, values[param.name], PARAMETER, param.span)
    unknown = [name for name in call.arguments if name not in values]
    if not missing and not unknown:
        return values
    if missing:
        found = names.missing_argument(call.block.name, missing, call.block.signature)
    else:
        found = names.unknown_option(call.block.name, unknown[0], [param.name for param in call.block.params])
    raise Fault(found.at(call.span, related=[Related(call.block.block.name_span, "defined here")]))


def _invoke_shared(elaboration: Elaboration, call: Invocation, part: SharedPart, site: Site) -> Flow:
    """Elaborate a call of a shared part: under the keys of the first call, whose weights it must have."""
    site.labels.key = part.key
    begin = len(elaboration.created)
    first = part.called is None
    part.called = part.called or call.span
    result = elaboration.body(elaboration, call.block.block.body, site)
    if not in_graph(result):
        return result
    created = elaboration.created[begin:]
    now = SharedPart(part.key)
    now.nodes = [(node.key, node.op, dict(node.attrs)) for node in created]
    now.weights = {node.key: node.operator.weights(node.call) for node in created}
    if first:
        part.nodes, part.weights = now.nodes, now.weights
    elif now != part:
        found = shapes.shared_differs(call.block.name, *_first_difference(part, now))
        elaboration.report(found.at(call.span, related=[Related(part.called, "the first call")]), site)
        return Missing.UNKNOWN
    return result


def _brief(call: Invocation, values: Mapping[str, Any]) -> str:
    """Return the arguments of a call for a picture: without tensors and what is the default anyway, a long value as `…`."""
    shown = []
    for param in call.block.params:
        value, usual = values.get(param.name), param.default.span.text if param.default is not None else ""
        if param.name not in call.arguments or is_tensor(value):
            continue
        text = written(value)
        if text != usual:
            shown.append(f"{param.name}={text}" if len(text) <= BRIEF and not text.startswith("[...") else "…")
    return f"({', '.join(shown)})" if shown else ""


def bind_settings(block: BlockValue, span: Span) -> dict[str, BoundArgument]:
    """Return the settings of a block that is used as a value, `swish(beta=2)`, by name. Raises Fault, with a place."""
    order = [param.name for param in block.params]
    bound: dict[str, BoundArgument] = {}
    for position, (name, argument) in enumerate(block.args):
        if not name and position >= len(order):
            raise Fault(names.too_many_arguments(block.name, len(order), len(block.args), block.signature).at(span))
        name = name or order[position]
        if name in bound:
            raise Fault(names.given_twice(block.name, name).at(span))
        bound[name] = argument
    return bound


def _first_difference(first: SharedPart, now: SharedPart) -> tuple[str, str]:
    """Describe where a shared part differs from its first call."""
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
