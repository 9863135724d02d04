"""Diagnostics in the formats of other tools: GitHub's workflow commands, and SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from archc.compiler.pages import page
from archc.compiler.version import __version__
from archc.dsl.diagnostics import WARNING, Diagnostic, Edit, Related
from archc.dsl.source import Span

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def github(diagnostics: Iterable[Diagnostic]) -> Iterator[str]:
    """Yield a workflow command for every diagnostic, which GitHub shows at its line of a pull request."""
    for d in diagnostics:
        place = ""
        if d.span is not None:
            end = f",endColumn={_end(d.span)[1]}" if _end(d.span)[0] == d.span.line else ""
            place = f"file={_property(d.span.source.name)},line={d.span.line},endLine={_end(d.span)[0]},col={d.span.column}{end},"
        kind = "warning" if d.severity == WARNING else "error"
        yield f"::{kind} {place}title={d.code}::{_data(_text(d))}"


def sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """Return a SARIF log of one run, with a rule for each code that occurs, and tested repairs as fixes."""
    codes = sorted({d.code for d in diagnostics})
    driver = {"name": "archc", "version": __version__, "rules": [_rule(code) for code in codes]}
    results = [_result(d, codes.index(d.code)) for d in diagnostics]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule(code: str) -> dict[str, Any]:
    entry = page(code)
    assert entry is not None
    level = "warning" if code.startswith("W") else "error"
    return {
        "id": code,
        "shortDescription": {"text": entry.title + "."},
        "fullDescription": {"text": entry.text},
        "defaultConfiguration": {"level": level},
    }


def _result(d: Diagnostic, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {"ruleId": d.code, "ruleIndex": index, "level": d.severity, "message": {"text": _text(d)}}
    if d.span is not None:
        result["locations"] = [{"physicalLocation": _location(d.span)}]
    if d.related:
        result["relatedLocations"] = [_related(number, related) for number, related in enumerate(d.related, start=1)]
    if d.repairs:
        result["fixes"] = [{"description": {"text": str(r)}, "artifactChanges": _changes(r.edits)} for r in d.repairs]
    return result


def _related(number: int, related: Related) -> dict[str, Any]:
    return {"id": number, "message": {"text": related.text}, "physicalLocation": _location(related.span)}


def _changes(edits: Sequence[Edit]) -> list[dict[str, Any]]:
    replacements = [{"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in edits]
    return [{"artifactLocation": _artifact(edits[0].span), "replacements": replacements}]


def _location(span: Span) -> dict[str, Any]:
    return {"artifactLocation": _artifact(span), "region": _region(span)}


def _artifact(span: Span) -> dict[str, str]:
    """Return the file as a URI reference: a relative path as it was given, with special characters encoded."""
    path = PurePath(span.source.name)
    return {"uri": path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="surrogateescape")}


def _region(span: Span) -> dict[str, int]:
    line, column = _end(span)
    return {"startLine": span.line, "startColumn": span.column, "endLine": line, "endColumn": column}


def _end(span: Span) -> tuple[int, int]:
    """Return the line and column after the last character."""
    line = span.source.line_of(span.end)
    return line, span.end - span.source.line_starts[line - 1] + 1


def _text(d: Diagnostic) -> str:
    """Return the message, the notes, and the repairs or the help, a line each."""
    repairs = [f"repair: {repair}" for repair in d.repairs]
    return "\n".join([d.message, *d.notes, *d.trail, *repairs, *([d.help] if d.help and not repairs else [])])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
