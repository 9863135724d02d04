"""A whole file: its header, the files it uses, the network of another file that it instantiates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from archc.compiler.elaborate.builder import NOTHING, Abort
from archc.compiler.elaborate.environment import BLOCK, PARAMETER, ArchValue, BlockValue, Env, Given, LaterBlock
from archc.compiler.elaborate.evaluate import Evaluator
from archc.compiler.elaborate.scopes import UNKNOWN, Poison, Scope, Tensor
from archc.compiler.elaborate.statements import StatementExpander
from archc.compiler.elaborate.uses import Using, circle
from archc.compiler.graph import Output
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import files, names


class Expander(StatementExpander):
    """Expands the network of one file. `graph`, `problems`, `expects` and `claims` hold what came of it."""

    def network(self, statements: Sequence[ast.Statement], env: Env) -> None:
        """Expand the network of the main file."""
        self._using = [Using(statement.span.source.name, statements) for statement in statements[:1]]  # it may be used in turn
        try:
            arch = self._header(statements)
            if arch is not None:
                self.graph.name, self.graph.title = arch.name, arch.title
            base = arch.base if arch is not None else None
            if arch is not None and base is not None:
                result = self._instance(arch, base, statements, env)
            else:
                result = self._body(arch, statements, {}, env)
            self._finish(result, arch)
        except Abort:
            pass
        self._tell_copies()

    def _header(self, statements: Sequence[ast.Statement]) -> ast.Arch | None:
        headers = [s for s in statements if isinstance(s, ast.Arch)]
        for extra in headers[1:]:
            self.report(files.arch_twice(), extra.span)
        return headers[0] if headers else None

    def _instance(self, arch: ast.Arch, base: ast.CallExpr, statements: Sequence[ast.Statement], env: Env) -> Tensor:
        """`arch NAME = base(args)`: the network of another file, with parameters."""
        own = (ast.Input, ast.Item, ast.Output, ast.For, ast.If, ast.Default, ast.Share)
        for statement in statements:
            if isinstance(statement, own):
                self.report(files.arch_twice(), statement.span)
        self._statements([s for s in statements if not isinstance(s, own)], env, self.top, NOTHING)
        self._bind_own(arch, env)
        found = env.arch(base.name)
        if found is None or found.arch is arch:
            if not env.is_incomplete:
                known = [name for e, _ in env.outward() for name in e.archs if name != arch.name]
                self.report(files.not_an_arch(base.name, known), base.span)
            return UNKNOWN
        if found.arch.base is not None:  # an instance itself, which has no parameters of its own
            for arg in base.args:
                self.report(names.too_many_arguments(base.name, 0, len(base.args), f"`{base.name}()`"), arg.span)
            return self._instance(found.arch, found.arch.base, (), found.env)
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
                value = Evaluator(env, spend=self._spend).value(arg.value)
                given[name] = _block_of(found.statements, value) or value
            except Fault as fault:
                self.report(fault, arg.span)
        self._own_expects = False
        return self._body(found.arch, found.statements, given, Env(folder=found.env.folder))

    def _bind_own(self, arch: ast.Arch, env: Env) -> None:
        """An instance has the parameters of its base, and none of its own."""
        for param in arch.params:
            self.report(names.not_here("a parameter", "to the network of the used file; `--set` reaches it from here too"), param.span)

    def _body(self, arch: ast.Arch | None, statements: Sequence[ast.Statement], given: dict[str, Any], env: Env) -> Tensor:
        """The statements of a network, its parameters bound where its header stands."""
        env.body = statements
        self._statements([s for s in statements if isinstance(s, ast.Use)], env, self.top, NOTHING)
        self._bind_parameters(arch.params if arch else (), given, env)
        return self._statements([s for s in statements if not isinstance(s, ast.Use)], env, self.top, NOTHING)

    def _bind_parameters(self, params: Sequence[ast.Param], given: dict[str, Any], env: Env) -> None:
        """Parameters of the arch: from `--set`, else from the instance, else their defaults."""
        known = [p.name for p in params]
        for name, setting in self.overrides.settings.items():
            if name not in known:
                self.report(names.unknown_setting("parameter", name, known), setting.span)
        for param in params:
            if (bound := env.own(param.name)) is not None and bound.kind == PARAMETER:
                self.report(names.defined_twice("a parameter", param.name), param.span)
                continue
            if param.name == "in":
                self.report(names.reserved("in", "it is the incoming tensor"), param.span)
            expr = self.overrides.settings.get(param.name, param.default)
            if param.name in given and param.name not in self.overrides.settings:
                value = given[param.name]
            elif expr is not None:
                value = self._parameter(expr, env)
            else:
                self.report(names.missing_argument("arch", [param.name], f"`--set {param.name}=...`"), param.span)
                value = Poison()
            self._enter(param, value, env)

    def _parameter(self, expr: ast.Expr, env: Env) -> Any:
        """The value of a parameter of the network, which may name a block that the file defines further down."""
        named = expr.name if isinstance(expr, (ast.Name, ast.CallExpr)) else ""
        if env.own(named) is None and any(isinstance(s, ast.Block) and s.name == named for s in env.body):
            args = expr.args if isinstance(expr, ast.CallExpr) else ()
            return LaterBlock(named, tuple((a.name or "", Given(self._value(a.value, env, None, None), a.span)) for a in args))
        return self._value(expr, env, None, None)

    def _enter(self, param: ast.Param, value: Any, env: Env) -> None:
        try:
            env.bind(param.name, value, PARAMETER, param.span)
            self._doubt_name(param.name, value, PARAMETER, param.span)
        except Fault as fault:
            self.report(fault)

    def _use(self, use: ast.Use, env: Env, scope: Scope, current: Tensor) -> Tensor:
        try:
            loaded = self.loader.used(use.path, env.folder or Path())
        except Fault as fault:
            self.report(fault, use.span)
            env.incomplete = True
            return current
        name = loaded.source.name
        before = [file.name for file in self._using]
        self._using[-1] = replace(self._using[-1], use=use.span)
        if name in before:
            self.report(circle(self._using[before.index(name) :]))
            env.incomplete = True
            return current
        for problem in loaded.problems:
            self.report(problem)
        if loaded.tree is None:
            env.incomplete = True
            return current
        module = Env(folder=loaded.folder)
        self._using.append(Using(name, loaded.tree.statements))
        self._definitions(loaded.tree.statements, module)
        self._using.pop()
        env.incomplete = env.incomplete or module.incomplete or bool(loaded.problems)
        for block in module.own_blocks():
            known = env.own(block.name)
            if known is None:
                env.bind(block.name, block, BLOCK, block.block.name_span)
            elif not isinstance(known.value, BlockValue) or known.value.block is not block.block:
                self.report(names.block_name_taken(block.name, f"a {known.kind}, of {known.span.source.name}"), use.span)
        env.archs.update(module.archs)
        return current

    def _definitions(self, statements: Sequence[ast.Statement], env: Env) -> None:
        """Run the part of a used file that defines: its uses, blocks, lets and defaults, and its arch as a value."""
        arch = self._header(statements)
        if arch is not None:
            env.archs[arch.name] = ArchValue(arch, tuple(statements), env)
        env.body = [s for s in statements if isinstance(s, (ast.Block, ast.Let))]
        self._statements([s for s in statements if isinstance(s, ast.Use)], env, self.top, NOTHING)
        for param in arch.params if arch is not None else ():
            self._enter(param, Poison() if param.default is None else self._parameter(param.default, env), env)
        self._statements([s for s in statements if isinstance(s, (ast.Block, ast.Let, ast.Default))], env, self.top, NOTHING)

    def _finish(self, result: Tensor, arch: ast.Arch | None) -> None:
        for name, dims in self.overrides.inputs.items():
            if name not in self._used_inputs and not (name == "" and len(self._used_inputs) == 1):
                self.report(names.unknown_setting("input", name or "(unnamed)", sorted(self._used_inputs)), dims[0].span)
        if not any(not output.training_only for output in self.graph.outputs.values()) and result.in_graph:
            if "output" in self.graph.outputs:
                self.report(names.defined_twice("an output", "output"), self.graph[result.name].span)
            self.graph.outputs = {"output": Output(result.name), **self.graph.outputs}
        self.graph.mark_training_only()

    def _arch(self, arch: ast.Arch, env: Env, scope: Scope, current: Tensor) -> Tensor:
        return current


def _block_of(statements: Sequence[ast.Statement], value: Any) -> LaterBlock | None:
    """A block of the very file that is instantiated: the block that its statements define, under the parameters given now."""
    if isinstance(value, BlockValue) and any(statement is value.block for statement in statements):
        return LaterBlock(value.name, value.args)
    return None
