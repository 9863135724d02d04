"""Repairs of claims: another input size, another window, or another claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archc.compiler.repair.places import NOUNS, SURE, Candidates, around, repair, with_option
from archc.compiler.shapes.dim import Shape, show_shape
from archc.compiler.shapes.window import transposed, window
from archc.dsl import ast
from archc.dsl.diagnostics import CLAIM, Diagnostic, Edit, Repair
from archc.dsl.source import Span

IN_USE = (28, 32, 64, 96, 128, 224, 227, 256, 299, 512, 572)  # input sizes in the literature


def window_for_claim(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield other input sizes, then other padding, stride, rounding or channels of the operator.

    A commonly used input size comes first: AlexNet's 227 for the 224 that its paper prints. Other sizes come last.
    """
    item, facts = around(tree, span, ast.Item), d.facts
    claimed, actual = facts.get("claimed"), facts.get("actual")
    if item is None or not claimed or not actual or len(claimed) != len(actual):
        return
    if not all(isinstance(dim, int) for dim in (*claimed, *actual)):
        return
    op = item.core if isinstance(item.core, ast.Op) else None
    if (at := facts.get("window")) is not None and at.source is span.source:  # in a group, or in a block that the item calls
        op = around(tree, at, ast.Op)
    attrs, before = facts.get("attrs") or {}, facts.get("before")
    stays = before is not None and before[1:] == claimed[1:]
    inputs = list(_other_input(tree)) if claimed[1:] != actual[1:] else []
    if inputs and _in_use(inputs[0]) and not stays:
        yield inputs[0]
    if claimed[1:] != actual[1:] and before is not None and "kernel" in attrs:
        ways = list(_transposed(attrs, before, claimed) if "out_pad" in attrs else _windows(attrs, before, claimed))
        if ("ceil", "yes") in ways and not _has_residuals(tree):
            ways.sort(key=lambda way: way[0] != "ceil")
        for option, value in ways:
            if option == "pad" and "out_pad" not in attrs:
                yield from _padded_default(tree, attrs, value)
            if op is not None:
                yield repair(_way_words(option, value, ways), with_option(op, option, value), kind=option)
    if op is not None and claimed[0] != actual[0] and claimed[1:] == actual[1:] and isinstance(op.out, ast.Number):
        yield repair(f"{claimed[0]} channels", with_option(op, "out", str(claimed[0])))
    yield from inputs


def _has_residuals(tree: ast.File) -> bool:
    """Return whether a network has residuals: these pad strided pools (He et al. 2016), older Caffe networks round up."""
    return any(isinstance(node, ast.Merge) and node.word.lower() in ("residual", "add") for node in ast.walk(tree))


def _way_words(option: str, value: str, ways: Sequence[tuple[str, str]]) -> str:
    if ("ceil", "yes") in ways and option == "ceil":
        return "rounding up, as Caffe does"
    if ("ceil", "yes") in ways and option == "pad":
        return f"padding {value}, which shifts the windows by {value}"
    return f"{NOUNS.get(option, option)} {value}".removesuffix(" yes")


def _transposed(attrs: Mapping[str, Any], before: Shape, claimed: Shape) -> Iterator[tuple[str, str]]:
    """Yield single options of a transposed convolution that produce the claimed sizes."""
    axes = range(len(claimed) - 1)

    def produces(**other: int) -> bool:
        def part(name: str, axis: int) -> int:
            return int(other[name]) if name in other else int(attrs[name][axis])

        names = ("kernel", "stride", "pad", "dilation", "out_pad")
        return all(transposed(before[a + 1], *(part(name, a) for name in names)) == claimed[a + 1] for a in axes)

    for option, values in (("out_pad", range(max(attrs["stride"]))), ("pad", range(max(attrs["kernel"]))), ("stride", range(1, 9))):
        yield from (
            (option, str(value)) for value in values if any(attrs[option][a] != value for a in axes) and produces(**{option: value})
        )


def _padded_default(tree: ast.File, attrs: dict[str, object], value: str) -> Candidates:
    """Yield `pad=same` in the default of the convolutions, if that is the missing padding."""
    kernel = attrs["kernel"]
    default = next((n for n in ast.walk(tree) if isinstance(n, ast.Default) and n.word.lower() == "conv"), None)
    if default is None or not isinstance(kernel, tuple) or {str(k // 2) for k in kernel} != {value} or not all(k % 2 for k in kernel):
        return
    given = next((arg for arg in default.args if arg.name == "pad"), None)
    if given is None:
        text = "pad=same, " if default.args else "pad=same"
        edit = Edit(Span(default.span.source, at := default.span.start + default.span.text.index("(") + 1, at), text)
        yield repair("padding that keeps the size, in all convolutions", edit, kind="padding")
    elif given.value.span.text != "same":
        yield repair("padding that keeps the size, in all convolutions", Edit(given.value.span, "same"), kind="padding")


def _in_use(input_: Repair) -> bool:
    return int(input_.edits[0].text.rpartition("x")[2]) in IN_USE


def _other_input(tree: ast.File) -> Candidates:
    """Yield inputs of nearby sizes, commonly used ones first."""
    line = next((s for s in tree.statements if isinstance(s, ast.Input)), None)
    if line is None or len(line.dims) < 2 or not all(isinstance(dim, ast.Number) for dim in line.dims):
        return
    sizes = [int(dim.value) for dim in line.dims if isinstance(dim, ast.Number)]
    for step in sorted((1, -1, 2, -2, 3, -3, 4, -4), key=lambda step: sizes[-1] + step not in IN_USE):
        text = "x".join(str(size + step * (axis > 0)) for axis, size in enumerate(sizes))
        if all(size + step > 0 for size in sizes[1:]):
            yield repair(f"an input of {text}", Edit(line.dims[0].span.to(line.dims[-1].span), text), kind="input")


def _windows(attrs: dict[str, object], before: Shape, claimed: Shape) -> Iterator[tuple[str, str]]:
    """Yield single options that produce the claimed sizes."""
    axes = range(len(claimed) - 1)
    now = {name: attrs.get(name) or (1,) * len(axes) for name in ("kernel", "stride", "pad", "dilation")}
    now["pad"] = attrs.get("pad") or (0,) * len(axes)

    def produces(**other: int | bool) -> bool:
        def part(name: str, axis: int) -> int:
            return int(other[name]) if name in other else now[name][axis]  # type: ignore[index]

        ceil = bool(other.get("ceil", attrs.get("ceil", False)))
        return all(
            window(before[a + 1], part("kernel", a), part("stride", a), part("pad", a), part("dilation", a), ceil) == claimed[a + 1]
            for a in axes
        )

    kernel, stride = now["kernel"][0], now["stride"][0]  # type: ignore[index]
    for pad in range(kernel + 1):
        if produces(pad=pad):
            yield "pad", str(pad)
            break
    if "ceil" in attrs and produces(ceil=True):
        yield "ceil", "yes"
    for number in sorted(range(1, 9), key=lambda s: abs(s - stride)):
        if number != stride and produces(stride=number):
            yield "stride", str(number)
            break


def exact_claim(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield the claim that would hold."""
    actual = d.facts.get("actual")
    if d.code == "E0502":
        expect = around(tree, span, ast.Expect)
        shape = isinstance(actual, tuple) and len(actual) > 1 and all(isinstance(dim, int) for dim in actual)
        if expect is not None and (shape or isinstance(actual, int)) and expect.relation == "==":
            text = show_shape(actual) if isinstance(actual, tuple) else f"{actual:_}"
            yield Repair(f"the claim as {text}", (Edit(expect.value.span, text),), changes=CLAIM)
        return
    item = around(tree, span, ast.Item)
    if item is not None and item.claim and actual and all(isinstance(dim, int) for dim in actual):
        claim = item.claim[0].span.to(item.claim[-1].span)
        yield Repair(f"the claim as {show_shape(actual)}", (Edit(claim, show_shape(actual)),), changes=CLAIM)


def channels_first(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Repair channels-last inputs (`input 224x224x3`) and inputs with a batch axis (`input 1x3x224x224`)."""
    if not d.code.startswith(("E03", "E05", "W0109")):
        return
    for line in tree.statements:
        if isinstance(line, ast.Input) and len(line.dims) == 4 and isinstance(line.dims[1], ast.Number) and line.dims[1].value in (1, 3, 4):
            without = Edit(Span(span.source, line.dims[0].span.start, line.dims[1].span.start), "")
            yield repair("the batch axis is not written", without, kind=SURE)
        if isinstance(line, ast.Input) and len(line.dims) == 3 and all(isinstance(dim, ast.Number) for dim in line.dims):
            h, w, c = (dim.value for dim in line.dims if isinstance(dim, ast.Number))
            if c <= 4 < h and h == w:
                yield repair("channels first", Edit(line.dims[0].span.to(line.dims[-1].span), f"{c}x{h}x{w}"), kind=SURE)
