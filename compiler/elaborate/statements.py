"""Statements: inputs, outputs, blocks, defaults, lets, loops, conditions and expectations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archc.compiler.elaborate import items, preparation
from archc.compiler.elaborate.claims import Expected
from archc.compiler.elaborate.elaboration import Elaboration
from archc.compiler.elaborate.environment import OPEN_SIZE, VARIABLE, BoundArgument, Environment, SharedPart, check_block_name
from archc.compiler.elaborate.evaluate import evaluated, evaluated_size, numbered, truth
from archc.compiler.elaborate.loops import hand_on, loop
from archc.compiler.elaborate.options import PLACE, Signature, argument, doubt_name
from archc.compiler.elaborate.scopes import Flow, Label, Missing, Tensor, check_label, in_graph, join
from archc.compiler.elaborate.site import Site
from archc.compiler.elaborate.workings import Workings
from archc.compiler.graph import INPUT, ArchGraph, Node, Output
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import Word
from archc.compiler.ops.record import Operator, check_values
from archc.compiler.shapes.dim import show_shape
from archc.dsl import ast
from archc.dsl.diagnostics import Fault, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, names, values

TOP_ONLY = (ast.Arch, ast.Use, ast.Input, ast.Expect)


def body(elaboration: Elaboration, statements: Sequence[ast.Statement], site: Site) -> Flow:
    """Elaborate the statements of a body in turn; return the tensor that they end with."""
    site.env.body = site.env.body or statements
    incoming = site.incoming
    for statement in statements:
        incoming = elaborate(elaboration, statement, site.after(incoming))
    return incoming


def elaborate(elaboration: Elaboration, statement: ast.Statement, site: Site) -> Flow:
    """Elaborate one statement; return the tensor that comes after it. Raises Abort at a limit."""
    elaboration.step(site, statement.span)
    if isinstance(statement, TOP_ONLY) and (site.scope is not elaboration.top or isinstance(statement, ast.Use)):
        # `use` is read before all else, by what elaborates a file
        elaboration.report(names.not_here(f"`{type(statement).__name__.lower()}`", "at the top of the file"), site, statement.span)
        return site.incoming
    match statement:
        case ast.Item():
            return items.item(elaboration, statement, site)
        case ast.For():
            return loop(elaboration, statement, site)
        case ast.If():
            return _if(elaboration, statement, site)
        case ast.Input():
            return _input(elaboration, statement, site)
        case ast.Let():
            _let(elaboration, statement, site)
        case ast.Next():
            hand_on(elaboration, statement, site)
        case ast.Block():
            _block(elaboration, statement, site)
        case ast.Share():
            _share(elaboration, statement, site)
        case ast.Default():
            _default(elaboration, statement, site)
        case ast.Output():
            _output(elaboration, statement, site)
        case ast.Expect():
            _expect(elaboration, statement, site)
        case ast.Arch() | ast.Use():
            pass  # the header is read by what elaborates a file
    return site.incoming


# ---- inputs and outputs


def _input(elaboration: Elaboration, statement: ast.Input, site: Site) -> Flow:
    name = statement.name
    if name in elaboration.inputs:
        elaboration.report(names.defined_twice("an input", name), site, statement.span)
        return site.incoming
    elaboration.inputs[name] = None
    given = elaboration.overrides.inputs.get(name)
    if given is None and len(elaboration.inputs) == 1:
        given = elaboration.overrides.inputs.get("")
    try:
        if name != INPUT:
            check_label(name, statement.span)
        site.labels.new_name(Label(name, statement.span), INPUT, statement.span)
        site.labels.members[name] = Missing.UNKNOWN
        if given is not None:
            _bind_sizes(statement.dims, given, site.env)
        shape = tuple(evaluated_size(elaboration, dim, site) for dim in (given if given is not None else statement.dims))
        if Missing.POISONED in shape:
            return Missing.UNKNOWN
        check_values(shape)
    except Fault as fault:
        elaboration.report(fault, site, statement.span)
        return Missing.UNKNOWN
    elaboration.add(Node(name, INPUT, {}, shape, statement.span, key=name), [])
    try:
        if facts := preparation.read(statement.args, shape, given is None, site.alone()):
            elaboration.graph.preprocess[name] = facts
    except Fault as fault:
        elaboration.report(fault, site, statement.span)
    tensor = Tensor(name, shape)
    site.labels.members[name] = tensor
    elaboration.returned(statement.span, site.frame, tensor)
    return tensor


def _bind_sizes(written: ast.Dims, given: ast.Dims, env: Environment) -> None:
    """Bind H and W of `input 3xHxW` to 224 under `--input 3x224x224`."""
    for name, number in zip(written, given, strict=False):
        if isinstance(name, ast.Name) and isinstance(number, ast.Number) and env.own(name.name) is None:
            env.bind(name.name, number.value, OPEN_SIZE, name.span)


def _output(elaboration: Elaboration, statement: ast.Output, site: Site) -> None:
    training = _is_of_training(elaboration, statement, site)
    chain, place = statement.chain, _name_span(statement)
    try:
        statement = replace(statement, name=numbered(statement.name, statement.index, "an output's number", site))
    except Fault as fault:
        elaboration.report(fault, site, statement.span)
        return
    first = elaboration.output_places.setdefault(statement.name, place)
    if first is place and chain and chain[-1].label is None and not isinstance(chain[-1].core, (ast.Ref, ast.Here)):
        chain = (*chain[:-1], replace(chain[-1], label=ast.Label(statement.span, statement.name, None)))
    tensor = body(elaboration, chain, site.nested()) if chain else site.incoming
    try:
        check_label(statement.name, statement.span)
    except Fault as fault:
        elaboration.report(fault, site, statement.span)
        return
    if first is not place:
        _output_again(elaboration, statement, first, tensor, site)
    elif tensor is Missing.NO_INPUT:
        elaboration.report(files.no_input(), site, statement.span)
    elif in_graph(tensor):
        elaboration.graph.outputs[statement.name] = Output(tensor.name, training)


def _is_of_training(elaboration: Elaboration, statement: ast.Output, site: Site) -> bool:
    """Return whether an output is there in training only: `output aux(when=training)`."""
    for arg in statement.args:
        value = Word("training") if ast.bare(arg.value) == "training" else evaluated(elaboration, arg.value, site)
        if arg.name != "when":
            elaboration.report(names.unknown_option("output", arg.name or str(value), ["when"]), site, arg.span)
        elif value is not Missing.POISONED and value != Word("training"):
            elaboration.report(values.not_a_choice("when", f"`{value}`", ["training"]), site, arg.span)
    return bool(statement.args)


def _output_again(elaboration: Elaboration, statement: ast.Output, first: Span, tensor: Flow, site: Site) -> None:
    there = elaboration.graph.outputs.get(statement.name)
    notes = []
    if there is not None and in_graph(tensor):
        both = [_tensor_words(elaboration.graph, name) for name in (there.node, tensor.name)]
        notes.append(f"the first is {both[0]}, this one {both[1]}")
    found = names.defined_twice("an output", statement.name, notes)
    elaboration.report(found.at(_name_span(statement), related=[Related(first, "the first is here")]), site)


def _name_span(statement: ast.Output) -> Span:
    """Return the place of an output's name; the whole statement if its text was repaired while it was read."""
    at = statement.span.text.find(statement.name, len("output"))
    begin = statement.span.start + at
    return statement.span if at < 0 else Span(statement.span.source, begin, begin + len(statement.name))


def _tensor_words(graph: ArchGraph, name: str) -> str:
    return f"{name} ({show_shape(graph[name].shape)})"


# ---- definitions


def _let(elaboration: Elaboration, statement: ast.Let, site: Site) -> None:
    if statement.name == "in":
        elaboration.report(names.reserved("in", "it is the incoming tensor"), site, statement.span)
    value = evaluated(elaboration, statement.value, site)
    try:
        site.env.bind(statement.name, value, VARIABLE, statement.span, statement.value)
        doubt_name(elaboration, statement.name, value, VARIABLE, statement.span)
    except Fault as fault:
        elaboration.report(fault, site)


def _block(elaboration: Elaboration, statement: ast.Block, site: Site) -> None:
    try:
        check_block_name(statement.name, statement.name_span, site.env)
        _check_parameters(statement.params)
    except Fault as fault:
        elaboration.report(fault, site)
        site.env.incomplete = True  # calls of it are not to be judged
        return
    site.env.define(statement)


def _check_parameters(params: Sequence[ast.Param]) -> None:
    """Refuse two parameters of one name, and `in`. Raises Fault, with a place."""
    seen: set[str] = set()
    for param in params:
        if param.name == "in":
            raise Fault(names.reserved("in", "it is the incoming tensor").at(param.span))
        if param.name in seen:
            raise Fault(names.defined_twice("a parameter", param.name).at(param.span))
        seen.add(param.name)


def _share(elaboration: Elaboration, statement: ast.Share, site: Site) -> None:
    try:
        check_block_name(statement.name, statement.name_span, site.env)
        check_label(statement.name, statement.name_span)
        _check_parameters(statement.params)
        site.labels.reserve(statement.name, statement.name_span)
    except Fault as fault:
        elaboration.report(fault, site)
        site.env.incomplete = True  # calls of it are not to be judged
        return
    site.env.define(statement, SharedPart(join(site.labels.key, statement.name)))


def _default(elaboration: Elaboration, statement: ast.Default, site: Site) -> None:
    operator = OPERATORS.get(statement.word.lower())
    if operator is None:
        is_block = site.env.block(statement.word) is not None
        elaboration.report(names.no_default(statement.word, is_block, list(OPERATORS)), site, statement.word_span)
        return
    settings = {**site.env.defaults_of(operator.name)}
    seen: set[str] = set()
    for arg in statement.args:
        if arg.name in seen:
            elaboration.report(names.given_twice(operator.name, arg.name or ""), site, arg.span)
        seen.add(arg.name or "")
        if arg.name is None:
            elaboration.report(names.option_without_name(operator.name, operator.option_names), site, arg.span)
        elif arg.name not in operator.option_names and arg.name != PLACE:
            elaboration.report(names.unknown_option(operator.name, arg.name, operator.option_names), site, arg.name_span)
        else:
            settings[arg.name] = _default_argument(elaboration, arg.name, arg.value, operator, site.alone())
    site.env.set_defaults(operator.name, settings)


def _default_argument(elaboration: Elaboration, option: str, expr: ast.Expr, operator: Operator, site: Site) -> BoundArgument:
    try:
        value = argument(elaboration, expr, option, Signature.of_operator(operator), site)
    except Fault as fault:
        elaboration.report(fault, site, expr.span)
        value = Missing.POISONED
    return BoundArgument(value, expr.span, Workings(expr, site, value).added_to)


def _expect(elaboration: Elaboration, statement: ast.Expect, site: Site) -> None:
    if elaboration.own_expects:
        value = evaluated(elaboration, statement.value, site)
        if value is not Missing.POISONED:
            elaboration.expects.append(Expected(statement, value, len(elaboration.graph)))


# ---- conditions


def _if(elaboration: Elaboration, statement: ast.If, site: Site) -> Flow:
    while True:
        try:
            held = truth(statement.condition, site)
        except Fault as fault:
            elaboration.report(fault, site, statement.condition.span)
            return Missing.UNKNOWN
        if held is Missing.POISONED:
            return Missing.UNKNOWN
        following = statement.otherwise[0] if len(statement.otherwise) == 1 else None
        if held or not isinstance(following, ast.If):
            return body(elaboration, statement.then if held else statement.otherwise, site.nested())
        elaboration.step(site, following.span)
        statement = following  # an `else if`, of which a chain may be long
