"""Reports on a terminal: the verdict on one file, and the table of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archc.compiler.report import Report
from archc.compiler.shapes.dim import Formula
from archc.compiler.tables import text_table
from archc.compiler.verdict import number
from archc.dsl.rendering import visible


def summary(report: Report) -> str:
    """Return the name, inputs, outputs, counts and claims of one network."""
    return str(report)


def table(reports: Sequence[tuple[Path, Report]]) -> str:
    """Return a line for every file, and one for all of them."""
    rows = []
    for path, report in reports:
        counts = report.cost() if report.ok and report.has_network else None
        params = f"{counts.params:,}" if counts else ""
        shown = number(counts.macs) if counts else ""
        if counts and isinstance(counts.macs, Formula):
            shown = f"depend on {', '.join(report.graph.unknowns)}"
        rows.append((visible(str(path)), params, shown, str(len(report.claims)) if report.has_network else "", _result(report)))
    networks = [report for _, report in reports if report.has_network]
    claims = [claim for report in networks for claim in report.claims]
    held, waived = sum(claim.held for claim in claims), sum(claim.waived for claim in claims)
    wrong, doubtful = sum(not report.ok for _, report in reports), sum(len(report.warnings) for _, report in reports)
    total = f"{len(reports)} files, {len(networks)} networks; " + (f"{held:,} of {len(claims):,} claims hold" if claims else "no claims")
    total += f", {waived:,} waived" * bool(waived)
    total += f"; {wrong} file{'s have' if wrong != 1 else ' has'} errors" * bool(wrong)
    total += f"; {_count(doubtful, 'warning')}" * bool(doubtful)
    return text_table(["file", ">parameters", ">MACs", ">claims", "result"], rows) + f"\n{total}\n"


def _result(report: Report) -> str:
    """Return the result of one file: its errors, the state of its claims, and its warnings."""
    failed = sum(claim.status == "failed" for claim in report.claims)
    waived = sum(claim.waived for claim in report.claims)
    if not report.ok:
        others = len(report.diagnostics) - failed
        parts = [f"{failed} failed"] * bool(failed) + [_count(others, "error")] * (others > 0)
    elif not report.has_network:
        parts = ["blocks, for `use`"]
    elif not report.claims:
        parts = ["claims nothing"]
    else:
        parts = [f"{waived} waived" if waived else "all hold"]
    return ", ".join([*parts, *[_count(len(report.warnings), "warning")] * bool(report.warnings)])


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
