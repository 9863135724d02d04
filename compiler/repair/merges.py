"""Repairs of merges: branches that agree, matching sizes, gates that keep their axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.repair.places import Candidates, around, insert, is_op, kernel_of, ops_in, option, repair, stride_dropped, with_option
from archc.compiler.repair.tables import trained
from archc.compiler.repair.trial import Trials
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span

FARTHEST = 30  # most nodes before a merge that are examined
SIZED = {"crop": "a crop", "upsample": "an upsampling"}
NEAR = 0.6  # the least fraction of a larger map that a crop leaves


def branch_that_agrees(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Yield size-keeping padding, matching sizes, no stride, or other channels, in the branches themselves."""
    merge, shapes = around(trials.tree, span, ast.Merge), d.facts.get("shapes")
    if merge is None or not shapes or any(len(shape) != len(shapes[0]) for shape in shapes):
        return
    windows = [[op for op in ops_in(*branch) if is_op(op, "conv", "maxpool", "avgpool")] for branch in merge.branches]
    if any(shape[1:] != shapes[0][1:] for shape in shapes):
        yield from _padded(merge, windows)
        yield from _unstrided(merge, windows)
    for number, ops in enumerate(windows):
        others = [shape for index, shape in enumerate(shapes) if index != number]
        if not ops or number >= len(shapes):
            continue
        differs = shapes[number][0] != others[0][0] and not (merge.word.lower() == "mul" and 1 in (shapes[number][0], others[0][0]))
        if differs and is_op(ops[-1], "conv") and isinstance(ops[-1].out, ast.Number):
            yield repair(f"{others[0][0]} channels", with_option(ops[-1], "out", str(others[0][0])))
        stride = stride_between(shapes[number], others[0]) if shapes[number][1:] != others[0][1:] else None
        if stride is not None and not ops[-1].stride:
            yield repair(f"stride {stride}", with_option(ops[-1], "stride", str(stride)))


def _padded(merge: ast.Merge, windows: list[list[ast.Op]]) -> Candidates:
    """Yield padding of half the kernel, for one operator or for all."""
    wide = [(op, kernel) for ops in windows for op in ops if (kernel := kernel_of(op)) is not None and kernel % 2 and kernel > 1]
    short = [(op, kernel) for op, kernel in wide if option(op, "pad") not in ("same", str(kernel // 2))]
    every = paddings(merge)
    if len(every) != 1 and len(short) != 1 and every:
        yield repair("padding that keeps the size", *every)
    for op, kernel in short:
        value = "same" if is_op(op, "conv") and option(op, "pad") is None else str(kernel // 2)
        yield repair(f"`pad={value}` for `{op.span.text}`, which keeps the size", with_option(op, "pad", value))
    if len(short) > 1:
        yield repair("padding that keeps the size", *(with_option(op, "pad", str(kernel // 2)) for op, kernel in short))


def paddings(merge: ast.Merge) -> tuple[Edit, ...]:
    """Return edits that add `pad=same` to every convolution of the branches that is wider than 1 and has no padding."""
    wide = [op for branch in merge.branches for op in ops_in(*branch) if is_op(op, "conv") and op.word[4:] not in ("", "1")]
    return tuple(with_option(op, "pad", "same") for op in wide if option(op, "pad") is None)


def _unstrided(merge: ast.Merge, windows: list[list[ast.Op]]) -> Candidates:
    strided = [edit for ops in windows for op in ops if (edit := stride_dropped(op)) is not None]
    for edit in strided:
        yield repair("without the stride", edit)
    padding = paddings(merge)
    if padding and strided:
        yield repair("padding that keeps the size, and no stride", *padding, *strided)


def stride_between(before: Shape, after: Shape) -> int | None:
    """Return the stride with which a 1x1 convolution maps the sizes of one shape to those of another; None if there is none."""
    if len(before) != len(after) or not all(isinstance(size, int) for size in (*before[1:], *after[1:])):
        return None
    sizes = list(zip(before[1:], after[1:], strict=True))
    return next((s for s in range(1, 17) if all((a - 1) // s + 1 == b for a, b in sizes)), None)


# ---- maps of nearly the same size


def padded_before(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Pad the unpadded convolutions between fork and merge so that they keep the size: in the default, or in each."""
    operands: Sequence[str] = d.facts.get("operands", ())
    lines = [list(_before(trials.there.graph, name)) for name in operands]
    shared = set.intersection(*({node.name for node in line} for line in lines)) if lines else set()
    nodes = [node for line in lines for node in line if node.name not in shared and node.span.source is trials.source]
    short = [node for node in nodes if node.op == "conv" and not any(node.attrs["pad"]) and any(k > 1 for k in node.attrs["kernel"])]
    if not short:
        return
    ops = {node.span: around(trials.tree, node.span, ast.Op) for node in short}
    edits = [with_option(op, "pad", "same") for op in ops.values() if op is not None and option(op, "pad") is None]
    lacking = [op for op in ops_in(trials.tree) if is_op(op, "conv") and (kernel_of(op) or 1) > 1 and option(op, "pad") is None]
    if len(edits) == 1 and len(lacking) == 1:
        kernel = kernel_of(lacking[0])
        value = str(kernel // 2) if kernel is not None and kernel % 2 else "same"
        edit = with_option(lacking[0], "pad", value)
        yield repair(f"`pad={value}` for `{lacking[0].span.text}`, which keeps the size", edit, kind="padding")
    default = next((n for n in ast.walk(trials.tree) if isinstance(n, ast.Default) and n.word.lower() == "conv"), None)
    if default is not None and not any(arg.name == "pad" for arg in default.args):
        text = "pad=same, " if default.args else "pad=same"
        yield repair("padding that keeps the size, in all convolutions", insert(default.span, _opening(default), text), kind="padding")
    if edits:
        where = f", in {len(edits)} convolutions" if len(edits) > 1 else ""
        yield repair(f"padding that keeps the size{where}", *edits, kind="padding")


def _opening(default: ast.Default) -> int:
    """Return the place of the first option of a default."""
    return default.span.start + default.span.text.index("(") + 1


def sized_as_the_other(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Give a crop or an upsampling to a wrong size the size of the other branch."""
    shapes, operands = d.facts.get("shapes", ()), d.facts.get("operands", ())
    for number, name in enumerate(operands):
        node = next((node for node in _before(trials.there.graph, name) if node.op in SIZED), None)
        if node is None or node.span.source is not trials.source or shapes[number][1:] != node.shape[1:]:
            continue
        op = around(trials.tree, node.span, ast.Op)
        others = {shape[1:] for index, shape in enumerate(shapes) if index != number}
        if op is None or option(op, "size") is None or len(others) != 1:
            continue
        (sizes,) = others
        if sizes != shapes[number][1:] and all(isinstance(size, int) for size in sizes):
            what = f"{SIZED[node.op]} to the size of the other branch, {_sizes(list(sizes))}"
            yield repair(what, with_option(op, "size", _argument(list(sizes))))


def inexact(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """Complete a transposed convolution whose map is not exactly its stride times larger."""
    yield from _meeting(d, span, trials, exact=False)


def resized(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """For two maps of slightly different size: enlarge the smaller one, or crop the larger one to its center."""
    yield from _meeting(d, span, trials, exact=True)


def _meeting(d: Diagnostic, span: Span, trials: Trials, exact: bool) -> Candidates:
    merge, shapes, operands = around(trials.tree, span, ast.Merge), d.facts.get("shapes", ()), d.facts.get("operands", ())
    sizes = [[size for size in shape[1:] if isinstance(size, int)] for shape in shapes]
    if merge is None or not len(shapes) == len(operands) == len(merge.branches) == 2 or any(len(s) != len(shapes[0]) - 1 for s in sizes):
        return
    small = 0 if sizes[0] < sizes[1] else 1
    less, more = sizes[small], sizes[1 - small]
    if less == more or not all(NEAR * b <= a <= b for a, b in zip(less, more, strict=True)):
        return
    node = next((node for node in _before(trials.there.graph, operands[small]) if node.operator.grows), None)
    grown = around(trials.tree, node.span, ast.Op) if node is not None and node.span.source is trials.source else None
    if (
        node is not None
        and grown is not None
        and node.operator.option("out_pad") is not None
        and (node.attrs["kernel"] == node.attrs["stride"]) is exact
    ):
        by = more[0] - less[0]
        what = f"`out_pad={by}`" + (", one more row and column" if by == 1 else "")
        yield repair(what, with_option(grown, "out_pad", str(by)))
    if not exact:
        return
    if any(trained(trials.there.graph, name) for name in operands):
        return  # a trained tensor of a wrong size is meant to be as large as the map (`tables`)
    yield repair(f"the center of the larger map, {_sizes(less)}", _appended(merge, 1 - small, f"crop({_argument(less)})"))
    if grown is not None and is_op(grown, "upsample") and not grown.args:
        what = f"an upsampling to the size of the other branch, {_sizes(more)}" + _no_multiple(node, more)
        yield repair(what, Edit(grown.span, f"upsample(size={_argument(more)})"))


def _no_multiple(node: Node | None, sizes: list[int]) -> str:
    """Describe sizes that are not multiples of the incoming ones."""
    before = node.call.x[1:] if node is not None else ()
    exact = all(isinstance(b, int) and size % b == 0 for b, size in zip(before, sizes, strict=False))
    return "" if exact else f", which is not a multiple of {show_shape(before)}"


def _sizes(sizes: list[int]) -> str:
    return "x".join(map(str, sizes))


def _argument(sizes: list[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else f"[{', '.join(map(str, sizes))}]"


def _appended(merge: ast.Merge, number: int, text: str) -> Edit:
    """Append an item to a branch."""
    branch = merge.branches[number]
    if not branch:
        return insert(merge.span, merge.branch_spans[number].start, text)
    last = branch[-1]
    if isinstance(last, ast.Item) and isinstance(last.core, ast.Here) and last.label is None:
        return Edit(last.span, text)
    return insert(last.span, last.span.end, f"; {text}")


def _before(graph: ArchGraph, name: str) -> Iterator[Node]:
    for _ in range(FARTHEST):
        if name not in graph:
            return
        yield graph[name]
        operands = graph.operands(name)
        if not operands:
            return
        name = operands[0]


# ---- gates, and merges of one branch


def repeated(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Repeat a branch with one channel, or with one position, over the other: `broadcast=yes`."""
    merge, shapes = around(tree, span, ast.Merge), d.facts.get("shapes")
    if merge is None or merge.args or merge.word.lower() not in ("add", "sub", "residual") or not shapes or len(shapes) != 2:
        return
    small = next((n for n in (0, 1) if may_be_repeated(shapes[n], shapes[1 - n])), None)
    computed = small is not None and small < len(merge.branches) and bool(ops_in(*merge.branches[small]))
    if computed:  # where the shortcut is the smaller one, it lacks a projection
        at = Span(merge.word_span.source, merge.word_span.end, merge.word_span.end)
        yield repair("`broadcast=yes`, which repeats the smaller branch", Edit(at, "(broadcast=yes)"))


def may_be_repeated(small: Shape, large: Shape) -> bool:
    """Return whether a shape is another with a single channel, or with a single position."""
    if small == large or not 1 < len(small) == len(large):
        return False
    channel = small == (1, *large[1:])
    position = small[0] == large[0] and all(size == 1 for size in small[1:])
    return channel or position


def gate(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Replace the fully-connected layers of a gate by 1x1 convolutions, which keep the axes."""
    merge, shapes = around(tree, span, ast.Merge), d.facts.get("shapes")
    if merge is None or not shapes or merge.word.lower() != "mul" or len({len(shape) for shape in shapes}) == 1:
        return
    edits: list[Edit] = []
    flat: list[Edit] = []
    for branch, shape in zip(merge.branches, shapes, strict=False):
        ops = ops_in(*branch)
        if len(shape) == 1 and any(is_op(op, "adaptive_avgpool", "avgpool") for op in ops):
            edits += [_left_out(op) for op in ops if is_op(op, "flatten")]
            flat += [Edit(op.word_span, "channel_fc") for op in ops if is_op(op, "fc")]
            edits += [edit for op in ops if is_op(op, "fc") for edit in _as_convolution(op)]
    if edits:
        yield repair("1x1 convolutions in the gate, which compute the same and keep the axes", *edits)
    if flat:
        left_out = [edit for edit in edits if not edit.text]
        yield repair("`channel_fc` in the gate: the same, with the weights of a fully-connected layer", *left_out, *flat)


def _left_out(op: ast.Op) -> Edit:
    """Delete an item and the semicolon after it."""
    text = op.span.source.text
    end = op.span.end
    while text[end : end + 1] in (" ", ";"):
        end += 1
    return Edit(Span(op.span.source, op.span.start, end), "")


def _as_convolution(op: ast.Op) -> list[Edit]:
    if op.out is not None:
        return [Edit(op.word_span, "conv1")]
    if op.args and op.args[0].name in (None, "out"):  # `fc(64)`: the first option of a convolution is its kernel
        first = op.args[0]
        return [Edit(op.word_span, "conv1"), *([] if first.name else [insert(first.span, first.span.start, "out=")])]
    return []


def another_branch(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Add the incoming tensor as the other branch of a merge with only one."""
    merge = around(tree, span, ast.Merge)
    if merge is not None and len(merge.branches) == 1:
        yield repair("the incoming tensor as the other branch", insert(merge.span, merge.span.end - 1, " | ."))
