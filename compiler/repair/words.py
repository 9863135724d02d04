"""Repairs of names and syntax: similar words, words of other frameworks, separators and brackets."""

from __future__ import annotations

import re

from archc.compiler.ops import OPERATORS
from archc.compiler.repair.places import Candidates, around, change, deleted, repair, with_option
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span
from archc.dsl.transcribe import defaults_in, transcribed
from archc.dsl.vocabulary import foreign


def near_names(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Replace an unknown name by a similar one."""
    word = str(d.facts.get("word", ""))
    if d.code == "E0201" and foreign.operator(word):
        return
    at = span.text.find(word) if word else -1
    for name in d.facts.get("near", ()) if at >= 0 else ():
        yield repair(f"`{name}`", change(span, span.start + at, len(word), name))


def translated(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Replace a layer of another framework by the equivalent item; only its name, if no argument can be misread."""
    op, here = around(tree, span, ast.Op), foreign.operator(str(d.facts.get("word", "")))
    if op is None or d.facts.get("refused"):
        return
    found = transcribed(op.span.text, defaults_in(span.source.text))
    if found is not None and found.text:
        for reading in (found, found.other):
            if reading is not None and reading.text:
                whose = f", as {reading.framework} reads it" if found.other is not None else ""
                yield repair(f"`{reading.text}`{whose}", Edit(op.span, reading.text))
    elif here and _in_our_words(op, here):
        yield repair(f"`{here}`", change(op.span, op.word_span.start, len(str(d.facts["word"])), here))


def _in_our_words(op: ast.Op, name: str) -> bool:
    """Return whether all arguments of a call are options of this operator, by their names in the language."""
    operator = OPERATORS.get(name.rstrip("0123456789"))
    known = operator.option_names if operator is not None else ()
    return all(arg.name in known for arg in op.args)


def meant(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Replace a text by the one that the diagnostic says is meant."""
    op = around(tree, span, ast.Op)
    text = d.facts.get("meant")
    if text:
        yield repair(f"`{text}`", Edit(op.word_span if op is not None else span, text))


def deletion(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Delete what the diagnostic says is surplus."""
    if d.facts.get("delete"):
        arg = around(tree, span, ast.Arg) if d.code == "E0202" else None
        whole = arg.span if arg is not None else span
        yield repair(f"without `{whole.text}`", deleted(whole))


# ---- syntax


def changes(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Make a change that the parser found."""
    found = d.facts.get("changes", ())
    lines = [span.source.line_of(offset) for offset, _, _ in found]
    for (offset, length, text), line in zip(found, lines, strict=True):
        what = f"`{text.strip()}`" if text.strip() else "a space" if text else "without the space"
        if len(set(lines)) > 1:  # the same bracket on several lines
            what += f" on line {line}"
        yield repair(what, change(span, offset, length, text))


def together(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Make changes on several lines that belong together."""
    if edits := [change(span, offset, length, text) for offset, length, text in d.facts.get("together", ())]:
        yield repair("as items", *edits)


def another_bracket(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Replace a closing bracket by one of the right kind."""
    if mark := d.facts.get("instead", ""):
        yield repair(f"`{mark}`", Edit(span, mark))


def unpadded(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Remove the padding of axes where the kernel has size 1."""
    op = around(tree, span, ast.Op)
    if op is not None:
        pad = str(d.facts.get("pad", "0"))
        yield repair(f"`pad={pad}`", with_option(op, "pad", pad))


# ---- the order of numbers


def as_meant(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Replace a text by what a warning says may be meant."""
    for text, why in d.facts.get("meant", ()):
        yield repair(f"`{text}`, {why}", Edit(span, text))


def another_order(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """For a kernel larger than its map: read the numbers in PyTorch's order, or swap kernel and channels."""
    op = around(tree, span, ast.Op)
    if op is None:
        return
    numbers = [arg.value.span.text for arg in op.args if arg.name is None]
    if op.word.lower() == "conv" and op.out is None and len(numbers) >= 3 and numbers[0] == str(d.facts.get("kernel")):
        found = transcribed(f"nn.Conv2d{op.span.text[len(op.word) :].lstrip()}", defaults_in(span.source.text))
        if found is not None and found.text:
            yield repair(f"`{found.text}`, PyTorch's order", Edit(op.span, found.text))
    written = re.match(r"conv([0-9]+)-([0-9]+)(?![0-9x])", op.span.text, re.IGNORECASE)
    if written and int(written[2]) <= 11 < int(written[1]):
        text = f"conv{written[2]}-{written[1]}{op.span.text[written.end() :]}"
        yield repair(f"`{text}`, kernel and channels swapped", Edit(op.span, text))
