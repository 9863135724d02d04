"""Print a tree as text that parses to an equal tree; the formatter lays it out."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl import ast
from archc.dsl.parser import MAX_NESTING
from archc.dsl.stack import deep_stack

LEVELS = {"if": 0, "or": 1, "and": 2, "not": 3, "==": 4, "!=": 4, "<": 4, ">": 4, "<=": 4, ">=": 4}
LEVELS |= {"+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6, "negative": 7, "**": 8}
ATOM = 9
SHORT = 60  # up to this length the branches of a merge are printed on one line


def print_file(file: ast.File) -> str:
    """Print a whole file, one statement per line."""
    with deep_stack(MAX_NESTING):
        return "".join(f"{print_statement(statement)}\n" for statement in file.statements)


def print_statement(statement: ast.Statement) -> str:
    """One statement, its bodies over several lines."""
    match statement:
        case ast.Use():
            return f'use "{statement.path}"'
        case ast.Arch():
            return _arch(statement)
        case ast.Input():
            name = "" if statement.name == "input" else f"{statement.name}: "
            return f"input {name}{_dims(statement.dims)}{_args(statement.args)}"
        case ast.Output():
            chain = "; ".join(_item(item) for item in statement.chain)
            index = f"{{{expression(statement.index)}}}" if statement.index is not None else ""
            return f"output {statement.name}{index}{_args(statement.args)}" + (f": {chain}" if chain else "")
        case ast.Default():
            return f"default {statement.word}{_args(statement.args, always=True)}"
        case ast.Block():
            return f"block {statement.name}{_params(statement.params)} {_body(statement.body, '[]' if statement.numbered else '{}')}"
        case ast.Share():
            return f"share {statement.name}{_params(statement.params) if statement.params else ''} {_body(statement.body)}"
        case ast.Let():
            return f"let {statement.name} = {expression(statement.value)}"
        case ast.Next():
            return f"next {statement.name} = {expression(statement.value)}"
        case ast.Expect():
            target = f"({statement.target})" if statement.target else ""
            within = f" within {statement.within:g}%" if statement.within is not None else ""
            return f"expect {statement.measure}{target} {statement.relation} {expression(statement.value)}{within}"
        case ast.For():
            states = ", ".join(f"{state.name} = {expression(state.value)}" for state in statement.states)
            return f"{_turns(statement)}{f' with {states}' if states else ''} {_body(statement.body)}"
        case ast.Turns():
            return f"{_turns(statement)} | {_branch(statement.body)}"
        case ast.If():
            otherwise = f" else {_else(statement.otherwise)}" if statement.otherwise else ""
            return f"if {expression(statement.condition)} {_body(statement.then)}{otherwise}"
        case ast.Item():
            return _item(statement)


def _arch(arch: ast.Arch) -> str:
    params = _params(arch.params) if arch.params else ""
    base = f" = {expression(arch.base)}" if arch.base else ""
    title = f' "{arch.title}"' if arch.title else ""
    return f"arch {arch.name}{params}{base}{title}"


def _turns(loop: ast.For | ast.Turns | ast.Each) -> str:
    return f"for {_pattern(loop.pattern)} in {_inner(loop.values, 1) if isinstance(loop, ast.Each) else expression(loop.values)}"


def _else(statements: Sequence[ast.Statement]) -> str:
    if len(statements) == 1 and isinstance(statements[0], ast.If):
        return print_statement(statements[0])
    return _body(statements)


def _body(statements: Sequence[ast.Statement], brackets: str = "{}") -> str:
    lines = "".join(f"{print_statement(statement)}\n" for statement in statements)
    return f"{brackets[0]}\n{lines}{brackets[1]}" if lines else f"{brackets[0]} {brackets[1]}"


def _pattern(pattern: ast.Pattern) -> str:
    return pattern.name if pattern.name is not None else f"({', '.join(_pattern(part) for part in pattern.parts)})"


def _params(params: Sequence[ast.Param]) -> str:
    return f"({', '.join(p.name + (f'={expression(p.default)}' if p.default is not None else '') for p in params)})"


# ---- items


def _item(item: ast.Item) -> str:
    text = ""
    if item.label is not None:
        index = f"{{{expression(item.label.index)}}}" if item.label.index is not None else ""
        second = f"-{{{expression(item.label.second)}}}" if item.label.second is not None else ""
        text = f"{item.label.text}{index}{second}: "
    text += _core(item.core)
    if item.count is not None:
        text += f" x{_dim(item.count)}"
    if item.claim is not None:
        text += f" => {_dims(item.claim)}"
    return text


def _core(core: ast.Core) -> str:
    match core:
        case ast.Op():
            out = f"-{_dim(core.out)}" if core.out is not None else ""
            stride = f"/{_dims(core.stride)}" if core.stride else ""
            return f"{core.word}{_kernel(core.kernel)}{out}{stride}{_args(core.args)}"
        case ast.Merge():
            branches = [_branch(branch) for branch in core.branches]
            short = sum(map(len, branches)) < SHORT and not any("\n" in branch for branch in branches)
            inside = " | ".join(branches) if short else "\n" + "\n| ".join(branches) + "\n"
            return f"{core.word}{_args(core.args)}<{inside}>"
        case ast.Group():
            return _body(core.body, "[]" if core.numbered else "{}")
        case ast.Here():
            return "."
        case ast.Ref() | ast.Index():
            return expression(core)
        case ast.Broken():
            return "\0"


def _branch(statements: Sequence[ast.Statement]) -> str:
    return "\n".join(print_statement(statement) for statement in statements)


def _dims(dims: Sequence[ast.Expr]) -> str:
    """Print the sizes of a shape or a stride; open sizes need no braces."""
    return "x".join(dim.name if isinstance(dim, ast.Name) and not dim.variable and _is_size(dim.name) else _dim(dim) for dim in dims)


def _is_size(name: str) -> bool:
    return name[:1].isdigit() or (name[:1].isupper() and name.isalnum() and "x" not in name)


def _kernel(dims: Sequence[ast.Expr]) -> str:
    """Print a kernel written with expressions; the braces separate it from the word before it."""
    return f"{{{expression(dims[0])}}}" + "".join(f"x{_dim(dim)}" for dim in dims[1:]) if dims else ""


def _dim(expr: ast.Expr) -> str:
    """Print a size: a plain number as it is, anything else in braces."""
    if isinstance(expr, ast.Number) and expr.text.replace("_", "").isdigit():
        return expr.text
    return f"{{{expression(expr)}}}"


def _args(args: Sequence[ast.Arg], always: bool = False) -> str:
    if not args and not always:
        return ""
    return f"({', '.join((f'{arg.name}=' if arg.name else '') + expression(arg.value) for arg in args)})"


# ---- expressions


def expression(expr: ast.Expr) -> str:
    """Print an expression with as few parentheses as possible."""
    match expr:
        case ast.Number():
            return expr.text
        case ast.Name():
            return f"({expr.name})" if expr.variable else expr.name
        case ast.Ref():
            return f"@{expr.path.replace('{}', '{{{}}}').format(*map(expression, expr.indices))}"
        case ast.List():
            return f"[{', '.join(expression(item) for item in expr.items)}]"
        case ast.Each():
            return f"[{expression(expr.item)} {_turns(expr)}]"
        case ast.Conditional():
            return f"{_inner(expr.then, 1)} if {_inner(expr.condition, 1)} else {expression(expr.otherwise)}"
        case ast.ShapeLiteral():
            return "x".join(str(dim) for dim in expr.dims)
        case ast.Text():
            return f'"{expr.text}"'
        case ast.Unary():
            level = LEVELS["not" if expr.op == "not" else "negative"]
            return f"{'not ' if expr.op == 'not' else '-'}{_inner(expr.operand, level)}"
        case ast.Fold():
            return _fold(expr)
        case ast.Part():
            first, stop = ("" if end is None else expression(end) for end in (expr.first, expr.stop))
            return f"{_base(expr.base)}[{first}:{stop}]"
        case ast.Index():
            base = expression(expr.base) if isinstance(expr.base, ast.Ref) else _base(expr.base)
            return f"{base}[{expression(expr.index)}]"
        case ast.Field():
            return f"{_base(expr.base)}.{expr.name}"
        case ast.CallExpr():
            return f"{expr.name}{_args(expr.args, always=True)}"


def _fold(fold: ast.Fold) -> str:
    level = LEVELS[fold.rest[0][0]]
    text = _inner(fold.first, level + 1)
    for op, operand in fold.rest:
        # The right operand of ** may have a sign or be a power itself.
        right = _inner(operand, LEVELS["negative"] if op == "**" else level + 1)
        text += f"{op}{right}" if op in ("*", "/", "//", "%", "**") else f" {op} {right}"
    return text


def _level(expr: ast.Expr) -> int:
    if isinstance(expr, ast.Fold):
        return LEVELS[expr.rest[0][0]]
    if isinstance(expr, ast.Unary):
        return LEVELS["not" if expr.op == "not" else "negative"]
    if isinstance(expr, ast.Conditional):
        return LEVELS["if"]
    return ATOM


def _base(expr: ast.Expr) -> str:
    """Print the base of an index or field access; a number or a reference would run into the dot."""
    return f"({expression(expr)})" if isinstance(expr, (ast.Number, ast.Ref, ast.ShapeLiteral)) else _inner(expr, ATOM)


def _inner(expr: ast.Expr, least: int) -> str:
    text = expression(expr)
    return text if _level(expr) >= least else f"({text})"
