"""Collect the warnings: what in a valid network is probably not intended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from archc.compiler.analysis import slips
from archc.compiler.analysis.graph_warnings import GRAPH_RULES
from archc.compiler.analysis.hiding import hides_the_outer
from archc.compiler.analysis.text_warnings import EXPLAINING, TEXT_RULES, ends_with_its_body
from archc.compiler.graph import ArchGraph
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.source import Source, Span


def lint(graph: ArchGraph, tree: ast.File, doubts: Iterable[Diagnostic] = ()) -> list[Diagnostic]:
    """Return the warnings about a valid network and its text, in the order of the text, each place once.

    `doubts` are the warnings of elaboration.
    """
    warnings = [*doubts, *(warning for rule in (*TEXT_RULES, hides_the_outer, *slips.RULES) for warning in rule(graph, tree))]
    for rule in GRAPH_RULES:
        for node, warning in rule(graph):
            placed = warning.at(node.span)
            if not any(_allowed(placed.code, origin) for origin in node.origins.values()):
                warnings.append(placed)
    return _kept(warnings, tree)


def causes(errors: Sequence[Diagnostic], graph: ArchGraph, tree: ast.File, doubts: Iterable[Diagnostic] = ()) -> list[Diagnostic]:
    """Return the warnings that may explain errors, as far as they are known without a valid network.

    Text without effect, or with another meaning than it seems to have, explains wrong shapes and failed claims; a `let`
    that ended with its body also explains an unknown name. There are none for text with syntax errors.
    """
    if any(error.is_of_writing for error in errors):
        return []
    if any(error.code[:3] in ("E03", "E05") for error in errors):
        return _kept([*doubts, *(warning for rule in (*EXPLAINING, hides_the_outer) for warning in rule(graph, tree))], tree)
    unknown = {error.facts.get("word") for error in errors if error.code == "E0204"}
    return _kept([warning for warning in ends_with_its_body(graph, tree) if warning.facts["name"] in unknown], tree)


def _kept(warnings: Sequence[Diagnostic], tree: ast.File) -> list[Diagnostic]:
    """Keep one warning of a code at each place, without those that a comment allows; sorted, those of the file itself first."""
    kept: dict[tuple[str, Span], Diagnostic] = {}
    for warning in warnings:
        assert warning.span is not None
        if not _allowed(warning.code, warning.span):
            kept.setdefault((warning.code, warning.span), warning)
    return sorted(kept.values(), key=lambda w: _order(w, tree))


def _order(warning: Diagnostic, tree: ast.File) -> tuple[bool, str, int]:
    assert warning.span is not None
    return warning.span.source is not tree.span.source, warning.span.source.name, warning.span.start


_ALLOW = re.compile(r"#.*?\ballow:\s*([A-Z0-9,\s]+)")


def _allowed(code: str, span: Span) -> bool:
    """Return whether `# allow: CODE` is on the line, in the comment above it, or in the comment at the start of the file."""
    lines = [span.source.line_text(span.line)]
    for number in range(span.line - 1, 0, -1):
        if not (above := span.source.line_text(number)).lstrip().startswith("#"):
            break
        lines.append(above)
    return code in _codes(lines) or code in _allowed_everywhere(span.source)


@lru_cache(maxsize=16)
def _allowed_everywhere(source: Source) -> frozenset[str]:
    head = re.match(r"(#[^\n]*\n)*", source.text)
    return _codes(head.group().splitlines() if head else ())


def _codes(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(code for line in lines if (match := _ALLOW.search(line)) for code in match[1].replace(",", " ").split())
