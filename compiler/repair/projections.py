"""Repairs of residuals whose body changes the shape: a 1x1 convolution on the shortcut, or one number on either side.

A projection is written like the body, in its parameters. If the residual is called with several shapes, the projection is
only there where the shape changes (He et al. 2016, section 3.3). It has no activation, and the normalization of the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archc.compiler.repair.effects import inserted_in
from archc.compiler.repair.merges import may_be_repeated, paddings, stride_between
from archc.compiler.repair.places import Candidates, around, is_op, ops_in, option, repair, with_option
from archc.compiler.repair.trial import Trials
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit, Repair
from archc.dsl.source import Span

PROJECTION = "projection"
NORMS = ("bn", "group_norm", "layer_norm")
DEEPEST = 4  # most nested block calls that are followed


@dataclass(frozen=True)
class Written:
    """The channels that a body ends with, and its stride, as written: `4*w` and `s`; "" if there is none."""

    out: str
    stride: str


@dataclass(frozen=True)
class Bare:
    """A merge of a body and the unchanged incoming tensor: `residual<body>`, `add<body | .>`."""

    merge: ast.Merge
    body: tuple[ast.Statement, ...]
    number: int  # of the body among the branches
    end: Span  # the place of the shortcut
    joined: str  # the text before it

    def with_shortcut(self, text: str, stride: str = "") -> Repair:
        """Return the repair that adds a projection to the shortcut."""
        what = f"a 1x1 projection{stride} on the shortcut" + (", where the shape changes" if text.startswith("if ") else "")
        return repair(what, Edit(self.end, self.joined + text), kind=PROJECTION)


def _bare(merge: ast.Merge | None) -> Bare | None:
    if merge is None or merge.word.lower() not in ("residual", "add"):
        return None
    if len(merge.branches) == 1 and merge.word.lower() == "residual":
        at = merge.span.end - 1
        return Bare(merge, merge.branches[0], 0, Span(merge.span.source, at, at), " | ")
    identities = [number for number, branch in enumerate(merge.branches) if _is_identity(branch)]
    if len(merge.branches) != 2 or len(identities) != 1:
        return None
    number = identities[0]
    branch = merge.branches[number]
    start = merge.branch_spans[number].start
    end = branch[0].span if branch else Span(merge.span.source, start, start)
    return Bare(merge, merge.branches[1 - number], 1 - number, end, "")


def _is_identity(branch: tuple[ast.Statement, ...]) -> bool:
    return not branch or (len(branch) == 1 and isinstance(branch[0], ast.Item) and isinstance(branch[0].core, ast.Here))


def where_it_fits(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """For a residual in an `if` whose `else` is the body alone, add what the shortcut needs to the condition: `and in.c == c`."""
    merge = around(trials.tree, span, ast.Merge)
    bare, shapes = _bare(merge), d.facts.get("shapes")
    choices = [n for n in ast.walk(trials.tree) if isinstance(n, ast.If) and n.span.start <= span.start and span.end <= n.span.end]
    if bare is None or not shapes or not choices:
        return
    choice, written = choices[-1], _written(bare.body, _blocks(trials.tree))
    first = choice.then[0] if choice.then else None
    if not isinstance(first, ast.Item) or first.core != merge or choice.otherwise[: len(bare.body)] != bare.body or written is None:
        return
    known = choice.condition.span.text
    needs = [f"in.c == {written.out}"] if shapes[0][:1] != shapes[1][:1] else []
    if shapes[0][1:] != shapes[1][1:] and written.stride:
        needs.append(f"{written.stride} == 1")
    text = " and ".join([f"({known})" if " or " in known else known, *(need for need in needs if need not in known)])
    if text != known:
        yield repair(f"the shortcut only where `{' and '.join(needs)}`", Edit(choice.condition.span, text))


def where_the_shape_changes(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Add a projection to a shortcut that has none."""
    bare, shapes = _bare(around(trials.tree, span, ast.Merge)), d.facts.get("shapes")
    if bare is None or not shapes:
        return
    body, fork, suffix = shapes[bare.number], d.facts.get("fork") or shapes[1 - bare.number], _suffix(bare.body, d)
    if len(body) != len(fork) or not all(isinstance(dim, int) for dim in (*body, *fork)) or may_be_repeated(body, fork):
        return
    written = _written(bare.body, _blocks(trials.tree))
    if written is not None and not (written.out.isdigit() and written.stride in ("", "1")) and not written.stride.isdigit():
        conditional = bare.with_shortcut(_conditional(written, suffix))
        tried = trials.of(conditional.edits)
        if tried is not None and trials.fixes(d, tried):
            got, copies = inserted_in(conditional, tried)
            if got < copies:
                yield conditional
    if written is not None and not (written.out.isdigit() and not written.stride):
        yield bare.with_shortcut(_conv(written.out, written.stride, suffix), _stride_words(fork, body))
    stride = stride_between(fork, body)
    if stride is not None:
        yield bare.with_shortcut(_conv(str(body[0]), str(stride), suffix), _stride_words(fork, body))
    if (stride := _ratio(fork, body)) is not None and (stride > 1 or body[0] != fork[0]) and (padding := paddings(bare.merge)):
        whole = bare.with_shortcut(_conv(str(body[0]), str(stride), suffix), f" with stride {stride}" if stride > 1 else "")
        yield repair(f"{whole.what}, and padding that keeps the size", *padding, *whole.edits, kind=PROJECTION)


def _stride_words(fork: Shape, body: Shape) -> str:
    stride = stride_between(fork, body)
    return f" with stride {stride}" if stride is not None and stride > 1 else ""


def _conditional(written: Written, suffix: str) -> str:
    changes = [f"{written.stride} != 1"] if written.stride else []
    changes += [f"in.c != {written.out}"] if written.out != "in.c" else []
    return f"if {' or '.join(changes)} {{ {_conv(written.out, written.stride, suffix)} }}"


def _conv(out: str, stride: str, suffix: str) -> str:
    return f"conv1-{_short(out)}" + (f"/{_short(stride)}" if stride not in ("", "1") else "") + suffix


def _short(text: str) -> str:
    return text if text.isdigit() else f"{{{text}}}"


def _suffix(body: tuple[ast.Statement, ...], d: Diagnostic) -> str:
    """Return the text after the projection: the bias and normalization of the body's last convolution, no activation."""
    last = next((op for op in reversed(ops_in(*body)) if is_op(op, "conv")), None)
    options = [f"{name}={text}" for name in ("bias", "norm") if last is not None and (text := option(last, name)) is not None]
    usual = d.facts.get("defaults", {}).get("act")
    if usual is not None and str(usual.value) != "none":
        options.append("act=none")
    end = body[-1]
    norm = end.core.span.text if isinstance(end, ast.Item) and isinstance(end.core, ast.Op) and is_op(end.core, *NORMS) else ""
    return (f"({', '.join(options)})" if options else "") + (f"; {norm}" if last is not None and norm else "")


# ---- channels and stride of the body, as written


def _blocks(tree: ast.File) -> dict[str, ast.Block]:
    """Return the blocks of a file by name."""
    return {node.name: node for node in tree.statements if isinstance(node, ast.Block)}


def _written(body: tuple[ast.Statement, ...], blocks: Mapping[str, ast.Block], depth: int = 0) -> Written | None:
    """Return the channels and the stride of a chain as written; None if they are not written there."""
    out, strides = "", []
    for op in ops_in(*body):
        if op.word in blocks and depth < DEEPEST:
            inner = _written(blocks[op.word].body, blocks, depth + 1)
            bound = _bound(op, blocks[op.word])
            if inner is None or bound is None:
                return None
            out = _put(inner.out, bound) or out
            strides += [_put(inner.stride, bound)]
        else:
            out = _out(op) or out
            strides += [option(op, "stride") or (_text(op.stride[0]) if len(op.stride) == 1 else "")]
    strides = [stride for stride in strides if stride not in ("", "1")]
    return Written(out, strides[0] if strides else "") if out and len(strides) <= 1 else None


def _out(op: ast.Op) -> str:
    """Return the channels that an operator or a block ends with, as written; "" if they are not written there."""
    return _text(op.out) or (option(op, "out") if is_op(op, "conv", "convt") else None) or ""


def _text(expr: ast.Expr | None) -> str:
    return "" if expr is None else expr.span.text.strip("{}")


def _bound(op: ast.Op, block: ast.Block) -> dict[str, str] | None:
    """Return the parameters of a call as text."""
    given = {param.name: _text(param.default) for param in block.params if param.default is not None}
    places = iter([param.name for param in block.params])
    for arg in op.args:
        name = arg.name or next(places, None)
        if name is None:
            return None
        given[name] = arg.value.span.text
    given |= {name: _text(value) for name, value in (("out", op.out), ("stride", op.stride[0] if op.stride else None)) if value is not None}
    return given if all(param.name in given for param in block.params) else None


def _put(text: str, bound: Mapping[str, str]) -> str:
    """Substitute parameters in an expression, and evaluate products of numbers."""

    def value(match: re.Match[str]) -> str:
        name = match[0]
        given = bound.get(name, name)
        return given if re.fullmatch(r"\w+|in\.c", given) or text == name else f"({given})"

    put = re.sub(r"(?<![\w.@])[A-Za-z_]\w*", value, text)
    numbers = re.fullmatch(r"(\d+)\*(\d+)", put)
    return str(int(numbers[1]) * int(numbers[2])) if numbers else put


def _ratio(before: Shape, after: Shape) -> int | None:
    """Return about how many times smaller the sizes become."""
    a, b = (before[1], after[1]) if len(before) > 1 else (1, 1)
    return max(1, round(a / b)) if isinstance(a, int) and isinstance(b, int) else None


# ---- existing shortcuts


def other_number(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Set the channels, the stride, or both, of one of two existing sides to those of the other, keeping other options."""
    merge, shapes = around(tree, span, ast.Merge), d.facts.get("shapes")
    if merge is None or not shapes or merge.word.lower() != "residual" or len(merge.branches) != 2:
        return
    body, shortcut = (ops_in(*branch) for branch in merge.branches)
    body_end, shortcut_end = (next((op for op in reversed(ops) if _out(op)), None) for ops in (body, shortcut))
    if body_end is None or shortcut_end is None:
        return
    there, here = _short(_out(body_end)), _short(_out(shortcut_end))
    if there == here:
        edits = []
    else:
        of_body = repair(f"`{here.strip('{}')}` channels at the end of the body", with_option(body_end, "out", here))
        condition = _condition(merge.branches[1], here.strip("{}"), there.strip("{}"))
        where = ", and in its condition" if condition else ""
        of_shortcut = repair(f"`{there.strip('{}')}` channels on the shortcut{where}", *condition, with_option(shortcut_end, "out", there))
        edits = [of_body, of_shortcut] if _expands(here, there) else [of_shortcut, of_body]
    written = _written(merge.branches[0], _blocks(tree))
    if len(shapes[0]) == len(shapes[1]) and shapes[0][1:] != shapes[1][1:] and written is not None and is_op(shortcut_end, "conv"):
        stride = with_option(shortcut_end, "stride", _short(written.stride or "1"))
        yield repair("the stride of the body on the shortcut", stride)
        for other in edits:
            yield repair(f"{other.what}, and the stride of the body", *other.edits, stride)
    yield from edits


def _condition(shortcut: Sequence[ast.Statement], old: str, new: str) -> list[Edit]:
    """Replace the channels in the conditions under which a shortcut has its convolution, `in.c != 4*w`."""
    edits = []
    for choice in (node for statement in shortcut for node in ast.walk(statement) if isinstance(node, ast.If)):
        for fold in (node for node in ast.walk(choice.condition) if isinstance(node, ast.Fold) and node.rest[0][0] in ("!=", "==")):
            edits += [Edit(side.span, new) for side in (fold.first, fold.rest[0][1]) if side.span.text == old]
    return edits


def _expands(one: str, other: str) -> bool:
    """Return whether the first is the larger multiple of the same parameter: a bottleneck ends in `4*w`."""

    def factor(text: str) -> int:
        found = re.search(r"(\d+)\s*\*|\*\s*(\d+)", text)
        return int(found[1] or found[2]) if found else int(text) if text.isdigit() else 1

    return factor(one) > factor(other)
