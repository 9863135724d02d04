"""A report as text: the summary of one network, and the table of many files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archc.compiler.driver import Report
from archc.compiler.shapes.dim import Formula, show_shape
from archc.dsl.rendering import visible


def summary(report: Report) -> str:
    """Name, input, output, counts and claims of one network."""
    if not report.has_network:
        return f"{report.name}: only blocks, for `use`"
    graph, counts = report.graph, report.cost()
    title = f"  {graph.title}" if graph.title else ""
    lines = [f"{report.name}{title}"]
    lines.extend(f"  input       {node.name}: {show_shape(node.shape)}" for node in graph.inputs)
    lines.extend(
        f"  output      {name}: {show_shape(graph[out.node].shape)}{' (training only)' * out.training_only}"
        for name, out in graph.outputs.items()
    )
    extra = f" ({counts.params_training:,} with training-only parts)" if counts.params_training != counts.params else ""
    lines.append(f"  parameters  {counts.params:,}{extra}")
    lines.append(f"  MACs        {_number(counts.macs)}")
    lines.append(f"  nodes       {len(graph) - len(graph.inputs):,}")
    lines.append(f"  claims      {_claims(report)}")
    lines.extend(f"  legal       {legal}" for legal in report.legal)
    return "\n".join(lines)


def table(reports: Sequence[tuple[Path, Report]]) -> str:
    """One line for every file, and one for all of them."""
    from archc.ui.show.tables import text_table

    rows = []
    for path, report in reports:
        counts = report.cost() if report.ok and report.has_network else None
        params, macs = (f"{counts.params:,}", counts.macs) if counts else ("", "")
        shown = f"depend on {', '.join(report.graph.unknowns)}" if isinstance(macs, Formula) else _number(macs)
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
    """The last word of the table on one file."""
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


def _claims(report: Report) -> str:
    if not report.claims:
        return "none"
    held = sum(claim.held for claim in report.claims)
    waived = sum(claim.waived for claim in report.claims)
    text = f"{held} of {len(report.claims)} hold"
    return text + (f", {waived} waived: they speak of the file without --set and --input" if waived else "")


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
