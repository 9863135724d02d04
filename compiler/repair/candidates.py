"""What may mend a mistake, by its code. Nothing here is certain: each candidate is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from math import gcd

from compiler.ops import OPERATORS
from compiler.repair.places import around, change, deleted, insert, stride_dropped, with_option
from compiler.shapes.dim import Shape, show_shape
from compiler.shapes.window import reach, window
from dsl import ast
from dsl.diagnostics import Diagnostic, Edit, Repair
from dsl.source import Span
from dsl.vocabulary import foreign

MOST = 24  # candidates for one mistake
LAST = "last"  # the kind of a repair that is offered where no other is
NOUNS = {"pad": "padding", "ceil": "rounding up"}

Candidates = Iterator[Repair]


def candidates(d: Diagnostic, tree: ast.File) -> Candidates:
    """Changes that may mend a diagnostic, the likeliest first."""
    assert d.span is not None
    makers = BY_CODE.get(d.code, ())
    return islice((repair for maker in (channels_first, *makers) for repair in maker(d, d.span, tree)), MOST)


def _repair(what: str, *edits: Edit, kind: str = "") -> Repair:
    return Repair(what, edits, kind=kind)


# ---- words


def near_names(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    word = str(d.facts.get("word", ""))
    if d.code == "E0201" and foreign.operator(word):
        return
    at = span.text.find(word) if word else -1
    for name in d.facts.get("near", ()) if at >= 0 else ():
        yield _repair(f"`{name}`", change(span, span.start + at, len(word), name))


def translated(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """An operator of another framework, its numbers in the order of ours: `Conv2d(3, 64, 3)` is `conv3-64`."""
    op, here = around(tree, span, ast.Op), foreign.operator(str(d.facts.get("word", "")))
    if op is None or not here:
        return
    numbers = [arg.value.span.text for arg in op.args if arg.name is None]
    named = ", ".join(arg.span.text for arg in op.args if arg.name is not None)
    rest = f"({named})" if named else ""
    if here in ("conv", "convt") and len(numbers) in (2, 3, 4):  # (out, kernel) of Keras, (in, out, kernel, stride) of PyTorch
        out, kernel = (numbers[0], numbers[1]) if len(numbers) == 2 else (numbers[1], numbers[2])
        stride = f"/{numbers[3]}" if len(numbers) == 4 else ""
        yield _repair(f"`{here}{kernel}-{out}{stride}{rest}`", Edit(op.span, f"{here}{kernel}-{out}{stride}{rest}"))
    elif here == "fc" and numbers:  # (out) of Keras, (in, out) of PyTorch
        yield _repair(f"`fc-{numbers[-1]}{rest}`", Edit(op.span, f"fc-{numbers[-1]}{rest}"))
    elif here == "bn" and numbers:
        yield _repair(f"`bn{rest}`", Edit(op.span, f"bn{rest}"))
    elif not numbers or here not in ("conv", "convt"):
        yield _repair(f"`{here}`", change(op.span, op.word_span.start, len(str(d.facts["word"])), here))


def another_branch(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    merge = around(tree, span, ast.Merge)
    if merge is not None and len(merge.branches) == 1:
        yield _repair("the incoming tensor as the other branch", insert(merge.span, merge.span.end - 1, " | ."))


def meant(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op = around(tree, span, ast.Op)
    text = d.facts.get("meant")
    if op is not None and text:
        yield _repair(f"`{text}`", Edit(op.word_span, text))


def deletion(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    if d.facts.get("delete"):
        yield _repair(f"without `{span.text}`", deleted(span))


def another_label(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    item = around(tree, span, ast.Item)
    if item is not None and item.label is not None and item.label.index is None:
        taken = {label.text for label in ast.walk(tree) if isinstance(label, ast.Label)}
        text = item.label.text
        free = next(f"{text}{n}" for n in range(2, len(taken) + 3) if f"{text}{n}" not in taken)
        yield _repair(f"the label `{free}`", change(item.label.span, item.label.span.start, len(text), free))


# ---- syntax


def changes(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    for offset, length, text in d.facts.get("changes", ()):
        what = f"`{text.strip()}`" if text.strip() else "a space" if text else "without the space"
        yield _repair(what, change(span, offset, length, text))


def closer(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """The missing bracket where the indent ends, or at the end of the line, or before what stands at its end."""
    mark = d.facts.get("closer", "")
    text = span.source.text
    if mark in ("}", "]"):
        indent = _indent(span.source.line_text(span.line))
        for number in range(span.line + 1, len(span.source.line_starts) + 1):
            row = span.source.line_text(number)
            if row.strip() and _indent(row) <= indent:
                yield _repair(f"`{mark}`", insert(span, span.source.line_starts[number - 1], f"{' ' * indent}{mark}\n"))
                break
    end = text.find("\n", span.start)
    line = text[span.start : end if end >= 0 else len(text)].split("#")[0].rstrip()
    for stop in dict.fromkeys((len(line), *(line.find(sign, 1) for sign in (" x", " =>", ";", ")", ">", "}")))):
        if stop > 0:
            yield _repair(f"`{mark}`", insert(span, span.start + stop, mark))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# ---- shapes


def kernel_that_fits(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op, facts = around(tree, span, ast.Op), d.facts
    if op is None or not isinstance(facts.get("size"), int):
        return
    size, kernel, pad, dilation = facts["size"], facts["kernel"], facts["pad"], facts["dilation"]
    fits = (size + 2 * pad - 1) // dilation + 1
    if fits >= 1:
        yield _repair(f"kernel {fits}", with_option(op, "kernel", str(fits)))
    more = -((size - reach(kernel, dilation)) // 2)
    yield _repair(f"padding {more}", with_option(op, "pad", str(more)))


def groups_that_divide(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op, facts = around(tree, span, ast.Op), d.facts
    if op is None:
        return
    groups, channels = facts["groups"], facts["channels"]
    both = gcd(channels, facts.get("out") or channels)
    fits = sorted((g for g in range(1, min(both, 4096) + 1) if both % g == 0), key=lambda g: (abs(g - groups), g))
    for number in fits[:2]:
        yield _repair(f"groups {number}", with_option(op, "groups", str(number)))
    if facts.get("which") == "output":
        up = -(-channels // groups) * groups
        yield _repair(f"{up} channels", with_option(op, "out", str(up)))


def pool_first(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    item = around(tree, span, ast.Item)
    if item is not None:
        yield _repair("global average pooling before it", insert(item.span, item.span.start, "adaptive_avgpool1; "))


def largest_legal(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op, most = around(tree, span, ast.Op), d.facts.get("most")
    if op is not None and isinstance(most, int):
        yield _repair(f"{NOUNS.get(d.blame, d.blame)} {most}", with_option(op, d.blame, str(most)))


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
                yield _repair(what, *padding, insert(merge.span, merge.span.end - 1, f" | {written}"), kind="projection")
            elif written and len(merge.branches) == 2 and merge.branches[1]:
                first, last = merge.branches[1][0], merge.branches[1][-1]
                yield _repair(what, Edit(first.span.to(last.span), written), kind="projection")


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
        yield _repair("padding that keeps the size", *padding)
    strided = [edit for ops in convolutions for op in ops if (edit := stride_dropped(op)) is not None]
    for edit in strided:
        yield _repair("without the stride", edit)
    if padding and strided:
        yield _repair("padding that keeps the size, and no stride", *padding, *strided)
    sizes = [shape[1:] for shape in shapes]
    for number, ops in enumerate(convolutions):
        others = [shape for index, shape in enumerate(shapes) if index != number]
        if not ops or number >= len(shapes):
            continue
        if shapes[number][0] != others[0][0] and _is(ops[-1], "conv") and isinstance(ops[-1].out, ast.Number):
            yield _repair(f"{others[0][0]} channels", with_option(ops[-1], "out", str(others[0][0])))
        stride = _stride(shapes[number], others[0]) if sizes[number] != others[0][1:] else None
        if stride is not None and not ops[-1].stride:
            yield _repair(f"stride {stride}", with_option(ops[-1], "stride", str(stride)))


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


# ---- claims


def window_that_gives(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Other sizes of the input, then other padding, stride, rounding or channels of the operator."""
    item, facts = around(tree, span, ast.Item), d.facts
    claimed, actual = facts.get("claimed"), facts.get("actual")
    if item is None or not claimed or not actual or not all(isinstance(dim, int) for dim in (*claimed, *actual)):
        return
    op = item.core if isinstance(item.core, ast.Op) else None
    attrs, before = facts.get("attrs") or {}, facts.get("before")
    if op is not None and before is not None and before[1:] == claimed[1:] and "kernel" in attrs:  # the size is to stay
        for option, value in _windows(attrs, before, claimed):
            yield _repair(f"{NOUNS.get(option, option)} {value}".removesuffix(" yes"), with_option(op, option, value), kind=option)
    if len(claimed) == len(actual) and claimed[1:] != actual[1:]:
        yield from _other_input(tree)
    if op is not None and len(claimed) == len(actual):
        if claimed[0] != actual[0] and claimed[1:] == actual[1:] and isinstance(op.out, ast.Number):
            yield _repair(f"{claimed[0]} channels", with_option(op, "out", str(claimed[0])))
        if claimed[1:] != actual[1:] and before is not None and "kernel" in attrs:
            for option, value in _windows(attrs, before, claimed):
                yield _repair(f"{NOUNS.get(option, option)} {value}".removesuffix(" yes"), with_option(op, option, value), kind=option)


def _other_input(tree: ast.File) -> Candidates:
    line = next((s for s in tree.statements if isinstance(s, ast.Input)), None)
    if line is None or len(line.dims) < 2 or not all(isinstance(dim, ast.Number) for dim in line.dims):
        return
    sizes = [dim.value for dim in line.dims if isinstance(dim, ast.Number)]
    for step in (1, -1, 2, -2, 3, -3, 4, -4):
        text = "x".join(str(size + step * (axis > 0)) for axis, size in enumerate(sizes))
        if all(size + step > 0 for size in sizes[1:]):
            yield _repair(f"an input of {text}", Edit(line.dims[0].span.to(line.dims[-1].span), text), kind="input")


def _windows(attrs: dict[str, object], before: Shape, claimed: Shape) -> Iterator[tuple[str, str]]:
    """Options that give the claimed sizes, one at a time."""
    axes = range(len(claimed) - 1)
    now = {name: attrs.get(name) or (1,) * len(axes) for name in ("kernel", "stride", "pad", "dilation")}
    now["pad"] = attrs.get("pad") or (0,) * len(axes)

    def gives(**other: int | bool) -> bool:
        def part(name: str, axis: int) -> int:
            return int(other[name]) if name in other else now[name][axis]  # type: ignore[index]

        ceil = bool(other.get("ceil", attrs.get("ceil", False)))
        return all(
            window(before[a + 1], part("kernel", a), part("stride", a), part("pad", a), part("dilation", a), ceil) == claimed[a + 1]
            for a in axes
        )

    kernel, stride = now["kernel"][0], now["stride"][0]  # type: ignore[index]
    for pad in range(kernel + 1):
        if gives(pad=pad):
            yield "pad", str(pad)
            break
    if "ceil" in attrs and gives(ceil=True):
        yield "ceil", "yes"
    for number in sorted(range(1, 9), key=lambda s: abs(s - stride)):
        if number != stride and gives(stride=number):
            yield "stride", str(number)
            break


def exact_claim(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """The claim as it would hold. Comes last: the claim may be what is right."""
    if d.code == "E0502":
        expect, actual = around(tree, span, ast.Expect), d.facts.get("actual")
        if expect is not None and isinstance(actual, int) and expect.relation == "==":
            yield _repair("the exact number", Edit(expect.value.span, f"{actual:_}"))
        return
    item, actual = around(tree, span, ast.Item), d.facts.get("actual")
    if item is not None and item.claim and actual and all(isinstance(dim, int) for dim in actual):
        claim = item.claim[0].span.to(item.claim[-1].span)
        yield _repair("what it gives, as the claim", Edit(claim, show_shape(actual)), kind=LAST)


def channels_first(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """`input 224x224x3` is 224 channels of 224x3, and `input 1x3x224x224` one channel of three dimensions."""
    if not d.code.startswith(("E03", "E05", "W0109")):
        return
    for line in tree.statements:
        if isinstance(line, ast.Input) and len(line.dims) == 4 and isinstance(line.dims[1], ast.Number) and line.dims[1].value in (1, 3, 4):
            without = Edit(Span(span.source, line.dims[0].span.start, line.dims[1].span.start), "")
            yield _repair("the batch is not written", without)
        if isinstance(line, ast.Input) and len(line.dims) == 3 and all(isinstance(dim, ast.Number) for dim in line.dims):
            h, w, c = (dim.value for dim in line.dims if isinstance(dim, ast.Number))
            if c <= 4 < h and h == w:
                yield _repair("channels first", Edit(line.dims[0].span.to(line.dims[-1].span), f"{c}x{h}x{w}"))


def no_bias(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    line = next((n for n in ast.walk(tree) if isinstance(n, ast.Default) and n.word.lower() == "conv"), None)
    if line is not None and not any(arg.name == "bias" for arg in line.args):
        yield _repair("no bias, in all convolutions", insert(line.span, line.span.end - 1, ", bias=no"), kind="bias")
    op = around(tree, span, ast.Op)
    if op is not None and op.word.lower().rstrip("0123456789x") in OPERATORS:
        yield _repair("no bias", with_option(op, "bias", "no"), kind="bias")


Maker = Callable[[Diagnostic, Span, ast.File], Candidates]

BY_CODE: dict[str, tuple[Maker, ...]] = {
    "E0101": (changes,),
    "E0102": (closer,),
    "E0103": (deletion,),
    "E0105": (changes,),
    "E0201": (translated, near_names),
    "E0202": (near_names, deletion),
    "E0203": (near_names,),
    "E0204": (near_names,),
    "E0205": (another_label,),
    "E0210": (meant,),
    "E0301": (kernel_that_fits,),
    "E0302": (projection, branch_that_agrees),
    "E0303": (branch_that_agrees,),
    "E0304": (groups_that_divide,),
    "E0306": (largest_legal,),
    "E0307": (pool_first,),
    "E0401": (near_names,),
    "E0310": (another_branch,),
    "E0403": (near_names,),
    "E0407": (near_names,),
    "E0501": (window_that_gives, exact_claim),
    "E0502": (exact_claim,),
    "E0503": (near_names,),
    "E0602": (near_names,),
    "E0611": (near_names,),
    "W0101": (no_bias,),
}
