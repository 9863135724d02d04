"""Repairs of names and of writing: near words, words of other frameworks, separators and brackets."""

from __future__ import annotations

from compiler.repair.places import Candidates, around, change, deleted, insert, repair
from dsl import ast
from dsl.diagnostics import Diagnostic, Edit
from dsl.source import Span
from dsl.vocabulary import foreign


def near_names(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    word = str(d.facts.get("word", ""))
    if d.code == "E0201" and foreign.operator(word):
        return
    at = span.text.find(word) if word else -1
    for name in d.facts.get("near", ()) if at >= 0 else ():
        yield repair(f"`{name}`", change(span, span.start + at, len(word), name))


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
        yield repair(f"`{here}{kernel}-{out}{stride}{rest}`", Edit(op.span, f"{here}{kernel}-{out}{stride}{rest}"))
    elif here == "fc" and numbers:  # (out) of Keras, (in, out) of PyTorch
        yield repair(f"`fc-{numbers[-1]}{rest}`", Edit(op.span, f"fc-{numbers[-1]}{rest}"))
    elif here == "bn" and numbers:
        yield repair(f"`bn{rest}`", Edit(op.span, f"bn{rest}"))
    elif not numbers or here not in ("conv", "convt"):
        yield repair(f"`{here}`", change(op.span, op.word_span.start, len(str(d.facts["word"])), here))


def meant(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    op = around(tree, span, ast.Op)
    text = d.facts.get("meant")
    if text:
        yield repair(f"`{text}`", Edit(op.word_span if op is not None else span, text))


def deletion(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    if d.facts.get("delete"):
        yield repair(f"without `{span.text}`", deleted(span))


def another_label(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    item = around(tree, span, ast.Item)
    if item is not None and item.label is not None and item.label.index is None:
        taken = {label.text for label in ast.walk(tree) if isinstance(label, ast.Label)}
        text = item.label.text
        free = next(f"{text}{n}" for n in range(2, len(taken) + 3) if f"{text}{n}" not in taken)
        yield repair(f"the label `{free}`", change(item.label.span, item.label.span.start, len(text), free))


# ---- syntax


def changes(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    for offset, length, text in d.facts.get("changes", ()):
        what = f"`{text.strip()}`" if text.strip() else "a space" if text else "without the space"
        yield repair(what, change(span, offset, length, text))


def closer(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """The missing bracket where the indent ends, or at the end of the line, or before what stands at its end."""
    mark = d.facts.get("closer", "")
    text = span.source.text
    if mark in ("}", "]"):
        indent = _indent(span.source.line_text(span.line))
        for number in range(span.line + 1, len(span.source.line_starts) + 1):
            row = span.source.line_text(number)
            if row.strip() and _indent(row) <= indent:
                yield repair(f"`{mark}`", insert(span, span.source.line_starts[number - 1], f"{' ' * indent}{mark}\n"))
                break
    end = text.find("\n", span.start)
    line = text[span.start : end if end >= 0 else len(text)].split("#")[0].rstrip()
    for stop in dict.fromkeys((len(line), *(line.find(sign, 1) for sign in (" x", " =>", ";", ")", ">", "}")))):
        if stop > 0:
            yield repair(f"`{mark}`", insert(span, span.start + stop, mark))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
