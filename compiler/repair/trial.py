"""Tries candidates on the whole file, and keeps those that mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from compiler.repair.candidates import candidates
from compiler.repair.places import LAST
from dsl import ast
from dsl.diagnostics import Diagnostic, Repair
from dsl.rendering import edited
from dsl.source import Source

MOST_MENDED = 5  # mistakes of one file that are worked on
MOST_REWRITTEN = 20  # the same for mistakes of writing, whose repairs are known
MOST_OFFERED = 3  # repairs of one mistake
WRITING = "E01"
EFFORT = 20_000  # nodes that all trials together may expand to, and lines that they may read
TRIAL = 60  # what a trial costs beside these


@dataclass(frozen=True)
class Tried:
    """What came of a changed file: what is wrong with it now, and how large it got."""

    found: Sequence[Diagnostic]
    nodes: int


def with_repairs(
    found: Sequence[Diagnostic], source: Source, tree: ast.File, attempt: Callable[[str], Tried], effort: int = EFFORT
) -> list[Diagnostic]:
    """The diagnostics, with the repairs that mend them; only such as change the file itself, not what it uses."""
    found = _without_knock_ons(found, source, tree, attempt)
    mended: list[Diagnostic] = []
    numbers = {WRITING: 0, "": 0}
    for d in found:
        kind = WRITING if d.code.startswith(WRITING) else ""
        numbers[kind] += 1
        if numbers[kind] > (MOST_REWRITTEN if kind else MOST_MENDED) or d.span is None or d.span.source is not source:
            mended.append(d)
            continue
        rest = Counter(_kind(e) for e in found if e is not d)
        kept: list[Repair] = []
        tried_texts = {source.text}
        for repair in candidates(d, tree):
            text = edited(source, repair.edits)
            if effort < TRIAL + len(source.line_starts) or len(kept) == MOST_OFFERED:
                break
            if text in tried_texts or (repair.kind and repair.kind in {k.kind for k in kept}) or (repair.kind == LAST and kept):
                continue
            tried_texts.add(text)
            tried = attempt(text)
            effort -= tried.nodes + TRIAL + len(source.line_starts)
            left = Counter(_kind(e) for e in tried.found)
            if left <= rest:
                kept.append(replace(repair, complete=not tried.found))
        mended.append(replace(d, repairs=tuple(kept)) if kept else d)
    return mended


def _without_knock_ons(
    found: Sequence[Diagnostic], source: Source, tree: ast.File, attempt: Callable[[str], Tried]
) -> Sequence[Diagnostic]:
    """A claim behind a failed one that would hold, were the first one as the network is, does not fail by itself."""
    first = next((d for d in found if d.code == "E0501" and d.span is not None and d.span.source is source), None)
    behind = [d for d in found if d.code == "E0501" and d is not first]
    if first is None or not behind:
        return found
    claim = next((repair for repair in candidates(first, tree) if repair.kind == LAST), None)
    if claim is None:
        return found
    left = {_kind(d) for d in attempt(edited(source, claim.edits)).found}
    return [d for d in found if d not in behind or _kind(d) in left]


def _kind(d: Diagnostic) -> tuple[str, str]:
    return d.code, d.message
