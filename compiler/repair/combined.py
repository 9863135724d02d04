"""Errors and warnings seen together: which error comes of a guess, and which warning says where an error comes from."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Diagnostic, Related

SHAPE_CLAIM = "E0501"


def is_shape_claim(error: Diagnostic) -> bool:
    """Return whether an error is a claim on a shape that does not hold."""
    return error.code == SHAPE_CLAIM


def without_guesses(found: Sequence[Diagnostic], writing: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Leave out what may come of a guess: on lines that could only be read by one, and at names that could not be read."""
    guessed = {(d.span.source, d.span.line) for d in writing if d.facts.get("guess") and d.span is not None}
    named = {(d.span.source, place) for d in writing if d.span is not None for place in d.facts.get("places", ())}
    return [
        d for d in found if d.span is None or ((d.span.source, d.span.line) not in guessed and (d.span.source, d.span.start) not in named)
    ]


def with_causes(errors: Sequence[Diagnostic], warnings: Sequence[Diagnostic]) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """Add to each error what a warning says about the place that its repairs change; return the errors and the other warnings."""
    told: set[int] = set()
    explained = []
    for error in errors:
        causes = [warning for warning in warnings if _is_changed(warning, error)]
        told |= {id(warning) for warning in causes}
        explained.append(error.with_related(*(Related(cause.span, cause.message) for cause in causes if cause.span is not None)))
    return explained, [warning for warning in warnings if id(warning) not in told]


def _is_changed(warning: Diagnostic, error: Diagnostic) -> bool:
    """Return whether a repair of an error changes the very place that a warning is about."""
    edits = [edit.span for repair in error.repairs for edit in repair.edits]
    at = warning.span
    return at is not None and any(e.source is at.source and e.start <= at.end and at.start <= e.end for e in edits)
