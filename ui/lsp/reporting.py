"""Diagnostics as a client shows them."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types

from archc.compiler.elaborate.loader import ARCHS
from archc.dsl.diagnostics import WARNING, Diagnostic
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.documents import uri_of

SOURCE = "archc"
ERRORS = ARCHS.parent / "docs/errors.md"
MOST = 500  # diagnostics of one file that are sent


def reported(analysis: Analysis, errors: bool = True, warnings: bool = True) -> dict[str, list[types.Diagnostic]]:
    """Return the errors and warnings of a check, or one of them, by the URI of the file that they are in.

    Of a quick check only the errors count: its warnings are those of elaboration, also where a comment allows them.
    """
    found: dict[str, list[types.Diagnostic]] = {}
    report = analysis.report
    for each in [*(report.diagnostics if errors else ()), *(report.warnings if warnings else ())]:
        uri = analysis.uri_of(each.span.source) if each.span is not None else ""
        if uri == "" and each.span is not None and each.span.source.name != analysis.source.name:
            continue  # the text of a setting, which is in no file
        rows = found.setdefault(uri or analysis.uri, [])
        if len(rows) < MOST:
            rows.append(diagnostic(each, analysis))
    return found


def published(found: Iterable[list[types.Diagnostic]], site: str = "") -> list[types.Diagnostic]:
    """Join what several checks have found in one file, with links to the pages of the codes; what two of them have found is one."""
    joined: dict[tuple[object, ...], types.Diagnostic] = {}
    for each in (each for rows in found for each in rows):
        start = each.range.start
        each.code_description = page_of(str(each.code), site)
        joined.setdefault((each.code, start.line, start.character, each.message.partition("\n")[0]), each)
    return list(joined.values())


def page_of(code: str, site: str = "") -> types.CodeDescription | None:
    """Return the address of the page of a code: on the site, else in docs/ of a checkout; None where the package has no docs/."""
    if site:
        address = f"{site.rstrip('/')}/errors.html"
    elif ERRORS.is_file():
        address = uri_of(ERRORS)
    else:
        return None
    return types.CodeDescription(f"{address}#{code.lower()}")


def diagnostic(found: Diagnostic, analysis: Analysis) -> types.Diagnostic:
    """Return a diagnostic as the protocol has it: facts, help and the calls around it are further lines of its message.

    Its page is what the command `archc.explain` returns for the code.
    """
    place = types.Range(types.Position(0, 0), types.Position(0, 0))
    if found.span is not None:
        place = analysis.lines_of(found.span.source).of(found.span)
    related = [
        types.DiagnosticRelatedInformation(types.Location(uri, analysis.lines_of(each.span.source).of(each.span)), each.text)
        for each in found.related
        if (uri := analysis.uri_of(each.span.source))
    ]
    return types.Diagnostic(
        place,
        "\n".join([found.message, *found.notes, *([f"help: {found.help}"] if found.help else []), *found.trail]),
        types.DiagnosticSeverity.Warning if found.severity == WARNING else types.DiagnosticSeverity.Error,
        found.code,
        source=SOURCE,
        related_information=related or None,
        data={"explain": found.code},
    )
