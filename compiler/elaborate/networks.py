"""A whole file: its header, the files it uses, the network of another file that it instantiates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from archc.compiler.elaborate import statements as bodies
from archc.compiler.elaborate.circles import Using, circle
from archc.compiler.elaborate.elaboration import Abort, Elaboration, Limits, Overrides
from archc.compiler.elaborate.environment import BLOCK, PARAMETER, ArchValue, BlockValue, BoundArgument, Environment, LaterBlock
from archc.compiler.elaborate.evaluate import evaluated, value
from archc.compiler.elaborate.loader import Loader
from archc.compiler.elaborate.options import doubt_name
from archc.compiler.elaborate.scopes import Flow, Missing, in_graph
from archc.compiler.elaborate.site import Site
from archc.compiler.graph import Output
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import files, names

Statements = Sequence[ast.Statement]

HEADED = (ast.Input, ast.Item, ast.Output, ast.For, ast.If, ast.Default, ast.Share)  # what a file has none of under `arch NAME = base()`
DEFINED = (ast.Block, ast.Let, ast.Default)  # what a used file brings


def begin(loader: Loader, limits: Limits, overrides: Overrides) -> Elaboration:
    """Create an elaboration for one file."""
    return Elaboration(loader, limits, overrides, bodies.body)


def network(elaboration: Elaboration, statements: Statements, folder: Path) -> None:
    """Elaborate the network of the main file; its folder is where `use` looks first. The results are in the elaboration."""
    elaboration.using = [Using(statement.span.source.name, statements) for statement in statements[:1]]  # it may be used in turn
    site = Site(Environment(folder=folder), elaboration.top, budget=elaboration.budget)
    try:
        arch = _header(elaboration, statements, site)
        if arch is not None:
            elaboration.graph.name, elaboration.graph.title = arch.name, arch.title
        if arch is not None and arch.base is not None:
            result = _instance(elaboration, arch, arch.base, statements, site)
        else:
            result = _body(elaboration, arch, statements, {}, site)
        _finish(elaboration, result, site)
    except Abort:
        pass
    elaboration.count_copies()


def _header(elaboration: Elaboration, statements: Statements, site: Site) -> ast.Arch | None:
    headers = [s for s in statements if isinstance(s, ast.Arch)]
    for extra in headers[1:]:
        elaboration.report(files.arch_twice(), site, extra.span)
    return headers[0] if headers else None


def _finish(elaboration: Elaboration, result: Flow, site: Site) -> None:
    """Make the last tensor the output if there is no other at inference, and report shapes for inputs that do not exist."""
    graph, inputs = elaboration.graph, elaboration.inputs
    for name, dims in elaboration.overrides.inputs.items():
        if name not in inputs and not (name == "" and len(inputs) == 1):
            elaboration.report(names.unknown_setting("input", name or "(unnamed)", sorted(inputs)), site, dims[0].span)
    if all(output.training_only for output in graph.outputs.values()) and in_graph(result):
        if "output" in graph.outputs:
            elaboration.report(names.defined_twice("an output", "output"), site, graph[result.name].span)
        graph.outputs = {"output": Output(result.name), **graph.outputs}
    graph.mark_training_only()


# ---- instances


def _instance(elaboration: Elaboration, arch: ast.Arch, base: ast.CallExpr, statements: Statements, site: Site) -> Flow:
    """Elaborate `arch NAME = base(args)`, the network of another file with parameters."""
    for statement in statements:
        if isinstance(statement, HEADED):
            elaboration.report(files.arch_twice(), site, statement.span)
    _all(elaboration, [s for s in statements if not isinstance(s, HEADED)], site)
    for param in arch.params:  # it has those of its base, and none of its own
        problem = names.not_here("a parameter", "to the network of the used file; `--set` reaches it from here too")
        elaboration.report(problem, site, param.span)
    found = site.env.arch(base.name)
    if found is None or found.arch is arch:
        if not site.env.is_incomplete:
            known = [name for e, _ in site.env.outward() for name in e.archs if name != arch.name]
            elaboration.report(files.not_an_arch(base.name, known), site, base.span)
        return Missing.UNKNOWN
    if found.arch.base is not None:  # an instance itself, which has no parameters of its own
        for arg in base.args:
            elaboration.report(names.too_many_arguments(base.name, 0, len(base.args), f"`{base.name}()`"), site, arg.span)
        return _instance(elaboration, found.arch, found.arch.base, (), site.under(found.env))
    given = _instance_arguments(elaboration, base, found, site.alone())
    elaboration.own_expects = False
    return _body(elaboration, found.arch, found.statements, given, site.under(Environment(folder=found.env.folder)))


def _instance_arguments(elaboration: Elaboration, base: ast.CallExpr, found: ArchValue, site: Site) -> dict[str, Any]:
    """Evaluate the arguments of `base(args)`, by the names of the parameters."""
    params = [p.name for p in found.arch.params]
    given: dict[str, Any] = {}
    for position, arg in enumerate(base.args):
        try:
            name = arg.name or (params[position] if position < len(params) else "")
            if not name:
                raise Fault(names.too_many_arguments(base.name, len(params), len(base.args), f"`{base.name}({', '.join(params)})`"))
            if name not in params:
                raise Fault(names.unknown_option(base.name, name, params))
            if name in given:
                raise Fault(names.given_twice(base.name, name))
            held = value(arg.value, site)
            given[name] = _block_of(found.statements, held) or held
        except Fault as fault:
            elaboration.report(fault, site, arg.span)
    return given


def _block_of(statements: Statements, held: Any) -> LaterBlock | None:
    """Return a block of the instantiated file as its statements will define it under the new parameters; None for another value."""
    if isinstance(held, BlockValue) and any(statement is held.block for statement in statements):
        return LaterBlock(held.name, held.args)
    return None


# ---- bodies and parameters


def _all(elaboration: Elaboration, statements: Statements, site: Site) -> None:
    """Elaborate the uses and definitions at the top of a file."""
    site.env.body = site.env.body or statements
    for statement in statements:
        if isinstance(statement, ast.Use):
            _use(elaboration, statement, site)
        else:
            site = site.after(bodies.elaborate(elaboration, statement, site))


def _body(elaboration: Elaboration, arch: ast.Arch | None, statements: Statements, given: dict[str, Any], site: Site) -> Flow:
    """Elaborate the statements of a network, after its uses and parameters."""
    site.env.body = statements
    _all(elaboration, [s for s in statements if isinstance(s, ast.Use)], site)
    _bind_parameters(elaboration, arch.params if arch else (), given, site)
    return bodies.body(elaboration, [s for s in statements if not isinstance(s, ast.Use)], site)


def _bind_parameters(elaboration: Elaboration, params: Sequence[ast.Param], given: dict[str, Any], site: Site) -> None:
    """Bind the parameters of the arch: from `--set`, else from the instance, else their defaults."""
    settings, known = elaboration.overrides.settings, [p.name for p in params]
    for name, setting in settings.items():
        if name not in known:
            elaboration.report(names.unknown_setting("parameter", name, known), site, setting.span)
    for param in params:
        if (bound := site.env.own(param.name)) is not None and bound.kind == PARAMETER:
            elaboration.report(names.defined_twice("a parameter", param.name), site, param.span)
            continue
        if param.name == "in":
            elaboration.report(names.reserved("in", "it is the incoming tensor"), site, param.span)
        expr = settings.get(param.name, param.default)
        if param.name in given and param.name not in settings:
            held = given[param.name]
        elif expr is not None:
            held = _parameter(elaboration, expr, site)
        else:
            missing = names.missing_argument("arch", [param.name], f"`--set {param.name}=...`")
            elaboration.report(missing, site, param.span)
            held = Missing.POISONED
        _enter(elaboration, param, held, site)
        elaboration.graph.parameters[param.name] = held


def _parameter(elaboration: Elaboration, expr: ast.Expr, site: Site) -> Any:
    """Evaluate a parameter of the network, which may name a block that the file defines later."""
    named = expr.name if isinstance(expr, (ast.Name, ast.CallExpr)) else ""
    if site.env.own(named) is None and any(isinstance(s, ast.Block) and s.name == named for s in site.env.body):
        args = expr.args if isinstance(expr, ast.CallExpr) else ()
        bound = ((arg.name or "", BoundArgument(evaluated(elaboration, arg.value, site.alone()), arg.span)) for arg in args)
        return LaterBlock(named, tuple(bound))
    return evaluated(elaboration, expr, site.alone())


def _enter(elaboration: Elaboration, param: ast.Param, held: Any, site: Site) -> None:
    try:
        site.env.bind(param.name, held, PARAMETER, param.span)
        doubt_name(elaboration, param.name, held, PARAMETER, param.span)
    except Fault as fault:
        elaboration.report(fault, site)


# ---- used files


def _use(elaboration: Elaboration, use: ast.Use, site: Site) -> None:
    """Bring the blocks and the network of another file into this environment."""
    elaboration.step(site, use.span)
    env, using = site.env, elaboration.using
    try:
        loaded = elaboration.loader.used(use.path, env.folder or Path())
    except Fault as fault:
        elaboration.report(fault, site, use.span)
        env.incomplete = True
        return
    name = loaded.source.name
    before = [file.name for file in using]
    using[-1] = replace(using[-1], use=use.span)
    if name in before:
        elaboration.report(circle(using[before.index(name) :]), site)
        env.incomplete = True
        return
    for problem in loaded.problems:
        elaboration.report(problem, site)
    if loaded.tree is None:
        env.incomplete = True
        return
    module = Environment(folder=loaded.folder)
    using.append(Using(name, loaded.tree.statements))
    _definitions(elaboration, loaded.tree.statements, Site(module, elaboration.top, budget=elaboration.budget))
    using.pop()
    env.incomplete = env.incomplete or module.incomplete or bool(loaded.problems)
    for block in module.own_blocks():
        known = env.own(block.name)
        if known is None:
            env.bind(block.name, block, BLOCK, block.block.name_span)
        elif not isinstance(known.value, BlockValue) or known.value.block is not block.block:
            taken = names.block_name_taken(block.name, f"a {known.kind}, of {known.span.source.name}")
            elaboration.report(taken, site, use.span)
    env.archs.update(module.archs)


def _definitions(elaboration: Elaboration, statements: Statements, site: Site) -> None:
    """Elaborate the part of a used file that defines: its uses, blocks, lets and defaults, and its arch as a value."""
    arch = _header(elaboration, statements, site)
    if arch is not None:
        site.env.archs[arch.name] = ArchValue(arch, tuple(statements), site.env)
    site.env.body = [s for s in statements if isinstance(s, (ast.Block, ast.Let))]
    _all(elaboration, [s for s in statements if isinstance(s, ast.Use)], site)
    for param in arch.params if arch is not None else ():
        _enter(elaboration, param, Missing.POISONED if param.default is None else _parameter(elaboration, param.default, site), site)
    there = _of_the_network(statements)
    _all(elaboration, [s for s in statements if isinstance(s, DEFINED) and s not in there], site)


def _of_the_network(statements: Statements) -> list[ast.Let]:
    """Return the lets at the top of a file whose values depend on tensors or open sizes of its network, which is not built here."""
    inputs = [statement for statement in statements if isinstance(statement, ast.Input)]
    names = {"in", *(dim.name for statement in inputs for dim in statement.dims if isinstance(dim, ast.Name))}
    found = []
    for statement in statements:
        if isinstance(statement, ast.Let):
            parts = list(ast.walk(statement.value))
            if any(isinstance(part, ast.Ref) or (isinstance(part, ast.Name) and part.name in names) for part in parts):
                names.add(statement.name)
                found.append(statement)
    return found
