"""Merge warnings that one repair resolves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archc.dsl.diagnostics import Diagnostic


def told_once(warnings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return the warnings, those of one code with the same first repair as one, with a note of how many more there are."""
    groups: dict[object, list[Diagnostic]] = {}
    for number, warning in enumerate(warnings):
        key: object = (warning.code, warning.repairs[0].edits) if warning.repairs else number
        groups.setdefault(key, []).append(warning)
    return [_first(group) for group in groups.values()]


def _first(group: Sequence[Diagnostic]) -> Diagnostic:
    if len(group) == 1:
        return group[0]
    lines = list(dict.fromkeys(str(warning.span.line) for warning in group[1:] if warning.span is not None))
    where = f"on line{'s' * (len(lines) > 1)} {', '.join(lines)}"
    return replace(group[0], notes=(*group[0].notes, f"and {len(group) - 1} more like it, {where}"))
