"""Repairs of merges: a projection on the shortcut, or branches that agree."""

from __future__ import annotations

from compiler.repair.places import Candidates, around, insert, repair, stride_dropped, with_option
from compiler.shapes.dim import Shape
from dsl import ast
from dsl.diagnostics import Diagnostic, Edit
from dsl.source import Span


def projection(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """A 1x1 convolution on the shortcut of a residual, with the stride that its body has."""
    merge, shapes = around(tree, span, ast.Merge), d.facts.get("shapes")
    if merge is None or not shapes or merge.word.lower() != "residual" or len(shapes) != 2:
        return
    body, fork = shapes[0], d.facts.get("fork") or shapes[1]
    for stride, padding in ((_stride(fork, body), ()), (_ratio(fork, body), _paddings(merge))):
        if stride is None or (padding == () and stride != _stride(fork, body)) or (stride == 1 and body[0] == fork[0]):
            continue
        for written in dict.fromkeys((_as_the_body(merge), f"conv1-{body[0]}" + (f"/{stride}" if stride > 1 else ""))):
            what = "a 1x1 projection" + (f" with stride {stride}" if stride > 1 else "") + " on the shortcut"
            what += ", and padding that keeps the size" if padding else ""
            if written and len(merge.branches) == 1:
                yield repair(what, *padding, insert(merge.span, merge.span.end - 1, f" | {written}"), kind="projection")
            elif written and len(merge.branches) == 2 and merge.branches[1]:
                first, last = merge.branches[1][0], merge.branches[1][-1]
                yield repair(what, Edit(first.span.to(last.span), written), kind="projection")


def _as_the_body(merge: ast.Merge) -> str:
    """A projection in the words of the body, where these are parameters: `conv1-{4*w}/{s}`."""
    ops = [n for statement in merge.branches[0] for n in ast.walk(statement) if isinstance(n, ast.Op)]
    wide = [op for op in ops if _is(op, "conv") and op.out is not None]
    strides = [op.stride[0] for op in ops if op.stride]
    if not wide or len(strides) > 1 or all(isinstance(e, ast.Number) for e in (wide[-1].out, *strides)):
        return ""
    return "conv1-" + _braced(wide[-1].out) + (f"/{_braced(strides[0])}" if strides else "")


def _braced(expr: ast.Expr | None) -> str:
    assert expr is not None
    return expr.span.text if isinstance(expr, ast.Number) else "{" + expr.span.text.strip("{}") + "}"


def branch_that_agrees(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Padding that keeps the size, no stride, or other channels, in the branches themselves."""
    merge, shapes = around(tree, span, ast.Merge), d.facts.get("shapes")
    if merge is None or not shapes:
        return
    convolutions = _windows_in(merge)
    padding = _paddings(merge)
    if padding:
        yield repair("padding that keeps the size", *padding)
    strided = [edit for ops in convolutions for op in ops if (edit := stride_dropped(op)) is not None]
    for edit in strided:
        yield repair("without the stride", edit)
    if padding and strided:
        yield repair("padding that keeps the size, and no stride", *padding, *strided)
    sizes = [shape[1:] for shape in shapes]
    for number, ops in enumerate(convolutions):
        others = [shape for index, shape in enumerate(shapes) if index != number]
        if not ops or number >= len(shapes):
            continue
        if shapes[number][0] != others[0][0] and _is(ops[-1], "conv") and isinstance(ops[-1].out, ast.Number):
            yield repair(f"{others[0][0]} channels", with_option(ops[-1], "out", str(others[0][0])))
        stride = _stride(shapes[number], others[0]) if sizes[number] != others[0][1:] else None
        if stride is not None and not ops[-1].stride:
            yield repair(f"stride {stride}", with_option(ops[-1], "stride", str(stride)))


def _windows_in(merge: ast.Merge) -> list[list[ast.Op]]:
    """The convolutions and pools of every branch."""
    found: list[list[ast.Op]] = []
    for branch in merge.branches:
        ops = [n for statement in branch for n in ast.walk(statement) if isinstance(n, ast.Op)]
        found.append([op for op in ops if _is(op, "conv") or _is(op, "maxpool") or _is(op, "avgpool")])
    return found


def _paddings(merge: ast.Merge) -> tuple[Edit, ...]:
    """`pad=same` for every convolution of the branches that is wider than 1 and has no padding."""
    wide = [op for ops in _windows_in(merge) for op in ops if _is(op, "conv") and op.word[4:] not in ("", "1")]
    return tuple(with_option(op, "pad", "same") for op in wide if not any(arg.name == "pad" for arg in op.args))


def _ratio(before: Shape, after: Shape) -> int | None:
    """About how many times smaller the sizes have become."""
    if len(before) < 2 or len(before) != len(after) or not all(isinstance(size, int) for size in (before[1], after[1])):
        return None
    return max(1, round(before[1] / after[1]))  # type: ignore[operator]


def _is(op: ast.Op, name: str) -> bool:
    word = op.word.lower()
    return word == name or (word.startswith(name) and word[len(name) :].replace("x", "").isdigit())


def _stride(before: Shape, after: Shape) -> int | None:
    """The stride with which a 1x1 convolution leads from the sizes of one shape to those of the other."""
    if len(before) != len(after) or not all(isinstance(size, int) for size in (*before[1:], *after[1:])):
        return None
    found = (s for s in range(1, 17) if all((a - 1) // s + 1 == b for a, b in zip(before[1:], after[1:], strict=True)))
    return next(found, None)


def another_branch(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    merge = around(tree, span, ast.Merge)
    if merge is not None and len(merge.branches) == 1:
        yield repair("the incoming tensor as the other branch", insert(merge.span, merge.span.end - 1, " | ."))
