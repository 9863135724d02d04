"""Repairs of labels. A label is a weight key, so none is changed unprompted."""

from __future__ import annotations

import re
from itertools import count, islice

from archc.compiler.repair.places import Candidates, around, change, repair
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Repair
from archc.dsl.source import Span


def another_number(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield, for a label that is taken, the next free number."""
    item = around(tree, span, ast.Item)
    if item is not None and item.label is not None and item.label.index is None:
        labels = [label for label in ast.walk(tree) if isinstance(label, ast.Label)]
        taken = {label.text for label in labels}
        alike = sum(label.text == item.label.text and label.span.start < item.label.span.start for label in labels)
        found = re.search(r"[0-9]*$", item.label.text)
        digits = found.group() if found else ""
        stem = item.label.text.removesuffix(digits)
        first = int(digits) + 1 if digits else 2
        free = (f"{stem}{number}" for number in count(first) if f"{stem}{number}" not in taken)
        yield _label(item.label, next(islice(free, max(alike - 1, 0), None)))


def not_reserved(d: Diagnostic, span: Span, tree: ast.File) -> Candidates:
    """Yield, for a label reserved by Python or torch, the word with a `_` appended, as is usual in Python."""
    label = around(tree, span, ast.Label)
    if label is not None and label.index is None:
        word = label.text.lstrip("_")
        yield _label(label, word if word != label.text and word else f"{label.text}_")


def _label(label: ast.Label, text: str) -> Repair:
    return repair(f"the label `{text}`, a weight key", change(label.span, label.span.start, len(label.text), text))
