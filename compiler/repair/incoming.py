"""Compare what translated layers state about their inputs with the actual inputs once they are items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from archc.compiler.graph import Node
from archc.compiler.repair import effects
from archc.compiler.repair.places import is_op, ops_in
from archc.compiler.repair.trial import Trials, Tried
from archc.compiler.shapes.dim import Shape
from archc.dsl.diagnostics import NETWORK, Diagnostic, Repair
from archc.dsl.source import Source, Span
from archc.dsl.transcribe import Incoming

MOST_SAID = 3


def compared(d: Diagnostic, repairs: list[Repair], trials: Trials) -> tuple[Diagnostic, list[Repair]]:
    """Add disagreements to a diagnostic of translated layers; its repairs then are no longer only a matter of spelling."""
    expected: Sequence[Sequence[Incoming | None]] = d.facts.get("incoming", ())
    if not any(each is not None for item in expected for each in item):
        return d, repairs
    kept: list[Repair] = []
    for repair in repairs:
        tried = trials.of(repair.edits)
        if tried is None or tried.tree is None or len(repair.edits) != len(expected):
            kept.append(replace(repair, changes=NETWORK))
            continue
        pairs = list(_pairs(repair, expected, tried))
        differing = [(takes, shape) for takes, shape in pairs if shape and takes.differs(shape)]
        if not differing and (not tried.found or all(shape for _, shape in pairs)):
            kept.append(repair)
            continue
        said = list(dict.fromkeys(takes.differs(shape) for takes, shape in differing if shape))
        notes = said[:MOST_SAID] + [f"and {len(said) - MOST_SAID} more such"] * (len(said) > MOST_SAID)
        d = replace(d, notes=(*(note for note in notes if note not in d.notes), *d.notes))
        if any(takes.refuses(shape) for takes, shape in differing if shape):
            d = replace(d, help="")  # the items would compute another function
            continue
        complete = repair.complete and not differing
        kept.append(replace(repair, complete=complete, changes=NETWORK, effect=effects.of(repair, tried, trials.there)))
    return d, kept


def _pairs(repair: Repair, expected: Sequence[Sequence[Incoming | None]], tried: Tried) -> Iterator[tuple[Incoming, Shape | None]]:
    """Yield what each translated operator states about its input, with the actual input shape; None if that is unknown."""
    assert tried.tree is not None
    ops = sorted(ops_in(tried.tree), key=lambda op: op.span.start)
    nodes: dict[Place, list[Node]] = {}
    for node in tried.graph:
        nodes.setdefault(_place(node.span), []).append(node)
    grown = 0
    for edit, items in sorted(zip(repair.edits, expected, strict=True), key=lambda pair: pair[0].span.start):
        begin = edit.span.start + grown
        grown += len(edit.text) - (edit.span.end - edit.span.start)
        inside = [op for op in ops if begin <= op.span.start < begin + len(edit.text)]
        for op, takes in zip(inside, items, strict=False):
            if takes is not None:
                here = [node for node in nodes.get(_place(op.span), ()) if is_op(op, node.op)]
                yield from ((takes, _shape_before(node)) for node in here)
                if not here:
                    yield takes, None


def _shape_before(node: Node) -> Shape:
    """Return the input shape of an item, which may begin with an implied flatten."""
    before = node.operands[0]
    if before.operator.unrolls and _place(before.span) == _place(node.span):
        (before,) = before.operands
    return before.shape


Place = tuple[Source, int, int]


def _place(span: Span) -> Place:
    return span.source, span.start, span.end
