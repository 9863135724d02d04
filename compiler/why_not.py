"""Explain whether a network takes an input of another shape: what fails first, and which sizes are legal."""

from __future__ import annotations

import re
from collections.abc import Callable

from archc.compiler.driver import parse_overrides
from archc.compiler.elaborate.elaboration import Overrides
from archc.compiler.report import Report
from archc.compiler.shapes.dim import show_shape
from archc.dsl.errors import ArchError
from archc.dsl.rendering import render

SIZES = {1: "W", 2: "HxW", 3: "DxHxW"}


def why_not(check: Callable[[Overrides], Report], size: str) -> str:
    """Return what fails first when the input has another shape, as text, and which sizes are legal.

    `check` checks the file, with overrides. Raises ArchError for a file with errors, and for a size that cannot be parsed.
    """
    report = check(Overrides())
    if report.diagnostics:
        raise ArchError(report.diagnostics)
    changed = check(parse_overrides({}, {"": size}))
    if changed.diagnostics:
        lines = [f"{report.name} cannot take {size}. What fails first:", "", render(changed.diagnostics[0]), ""]
    else:
        outputs = ", ".join(f"{name}: {show_shape(changed.graph[out.node].shape)}" for name, out in changed.graph.outputs.items())
        lines = [f"{report.name} takes {size}, and returns {outputs}."]
        failed = [claim for claim in changed.claims if claim.waived]
        for claim in failed[:1]:
            lines += [f"This is not what the file claims: {claim.text} would be {claim.actual}.", *(f"  {line}" for line in claim.why)]
    shape = report.graph.inputs[0].shape
    opened = check(parse_overrides({}, {"": f"{shape[0]}x{SIZES[len(shape) - 1]}"})) if len(shape) > 1 else None
    if opened is not None and opened.ok:
        lines.append("Legal: " + ", ".join(str(legal) for legal in opened.legal) + ".")
    elif opened is not None:
        lines.append(f"Its sizes cannot be left open: {_without_formula(opened.diagnostics[0].message)}.")
    return "\n".join(lines)


def _without_formula(message: str) -> str:
    """Remove the formula of a size from a message, which readers cannot use."""
    known, found, value = message.partition(", and it is ")
    return f"{known}, and it changes with the size of the input" if found and re.search("[A-Z]", value) else message
