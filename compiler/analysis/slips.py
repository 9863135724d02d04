"""The warnings about slips: valid text that looks as if something else was intended."""

from __future__ import annotations

from collections.abc import Iterator

from archc.compiler.graph import ArchGraph, Node
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.source import Span
from archc.dsl.transcribe import defaults_in, transcribed
from archc.dsl.vocabulary import text_warnings as says

Found = Iterator[Diagnostic]

LARGE_KERNEL = 16
FEW_CHANNELS = 11  # larger than any usual kernel


def order_of_pytorch(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of `conv(3, 64, 5, 1)` on three channels: PyTorch takes these first, and here the first number is the kernel."""
    nodes = _nodes(graph)
    for op in ast.walk(tree):
        if not isinstance(op, ast.Op) or op.out is not None or op.kernel or op.word.lower() not in ("conv", "convt"):
            continue
        numbers = [arg.value.span.text for arg in op.args if arg.name is None]
        for node in nodes.get(op.span, ()) if len(numbers) >= 3 else ():
            channels = node.call.x[0]
            if node.op != op.word.lower() or set(node.attrs["kernel"]) != {channels}:
                continue
            layer = "Conv2d" if node.op == "conv" else "ConvTranspose2d"
            theirs = transcribed(f"nn.{layer}{op.span.text[len(op.word) :].lstrip()}", defaults_in(op.span.source.text))
            if theirs is not None and theirs.text and isinstance(channels, int):
                yield says.order_of_pytorch(node.name, channels, _read(numbers), theirs.text, _as_read(op, numbers)).at(op.span)
                break


def _read(numbers: list[str]) -> str:
    """Write `kernel 3, 64 channels, stride 5 and padding 1`."""
    names = ("kernel {}", "{} channels", "stride {}", "padding {}", "dilation {}", "{} groups")
    parts = [name.format(number) for name, number in zip(names, numbers, strict=False)]
    return ", ".join(parts[:-1]) + f" and {parts[-1]}"


def _as_read(op: ast.Op, numbers: list[str]) -> str:
    """Write what the numbers mean here in the short form."""
    kernel, out, stride = (text if text.isdigit() else f"{{{text}}}" for text in numbers[:3])
    order = ("pad", "dilation", "groups") if op.word.lower() == "conv" else ("pad", "out_pad", "dilation", "groups")
    options = [f"{name}={text}" for name, text in zip(order, numbers[3:], strict=False)]
    options += [arg.span.text for arg in op.args if arg.name is not None]
    return f"{op.word}{kernel}-{out}/{stride}" + (f"({', '.join(options)})" if options else "")


def kernel_and_channels_swapped(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of `conv64-3`: a 64x64 kernel with three output channels. One that covers its whole input is a fully-connected layer."""
    for node in graph:
        if node.op != "conv" or len(node.attrs["kernel"]) < 2 or len(set(node.attrs["kernel"])) > 1:
            continue
        kernel, out, before = node.attrs["kernel"][0], node.attrs["out"], node.call.x
        if kernel < LARGE_KERNEL or out > FEW_CHANNELS or node.attrs["groups"] > 1 or set(before[1:]) == {kernel}:
            continue
        text = node.span.text
        if text.lower().startswith(written := f"conv{kernel}-{out}"):
            yield says.kernel_and_channels_swapped(node.name, kernel, out, f"conv{out}-{kernel}{text[len(written) :]}").at(node.span)


def merge_without_use(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of merges with too few branches to join anything: `residual<>`, `concat<one>`."""
    for merge in ast.walk(tree):
        if not isinstance(merge, ast.Merge):
            continue
        word = merge.word.lower()
        if word == "residual" and all(_is_empty(branch) for branch in merge.branches):
            yield says.merge_without_use(_short(merge), "adds the tensor to itself: every value is doubled").at(merge.span)
        elif word == "add" and len(merge.branches) > 1 and all(_is_nothing(branch) for branch in merge.branches):
            yield says.merge_without_use(_short(merge), "adds the tensor to itself, once for each branch").at(merge.span)
        elif word == "concat" and len(merge.branches) == 1 and not any(isinstance(each, ast.Turns) for each in merge.branches[0]):
            inner = merge.span.text[merge.opening.end - merge.span.start : -1].strip()
            what, alone = "joins one branch, so it is that branch", f"{{ {inner} }}" if inner else "."
            yield says.merge_without_use(_short(merge), what, alone).at(merge.span)


def _short(merge: ast.Merge) -> str:
    text = merge.span.text
    return text if len(text) <= 30 and "\n" not in text else f"{merge.word}<...>"


def _is_empty(branch: tuple[ast.Statement, ...]) -> bool:
    """Return whether a branch builds nothing."""
    return all(isinstance(item, ast.Item) and (isinstance(item.core, ast.Here) or _is_nothing((item,))) for item in branch)


def _is_nothing(branch: tuple[ast.Statement, ...]) -> bool:
    """Return whether a branch builds nothing although it has no `.`."""
    items = [item for item in branch if isinstance(item, ast.Item)]
    empty = all(_is_none(item) or (isinstance(item.core, ast.Group) and _is_empty(item.core.body)) for item in items)
    return empty and len(items) == len(branch)


def _is_none(item: ast.Item) -> bool:
    """Return whether it is an item repeated zero times."""
    return isinstance(item.count, ast.Number) and item.count.value == 0


def _nodes(graph: ArchGraph) -> dict[Span, list[Node]]:
    by_span: dict[Span, list[Node]] = {}
    for node in graph:
        by_span.setdefault(node.span, []).append(node)
    return by_span


RULES = (order_of_pytorch, kernel_and_channels_swapped, merge_without_use)
