"""A text as the page has it, checked: its errors with repairs, the shapes at line ends, and the parameters and inputs to change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from archc.compiler.driver import completed, glance, parse_overrides
from archc.compiler.elaborate.elaboration import Limits, Overrides
from archc.compiler.elaborate.loader import ARCHS, Loaded, Loader
from archc.compiler.index.places import Places
from archc.compiler.report import Report
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.errors import ArchError
from archc.dsl.parser import Trees
from archc.dsl.source import Span

MOST_NODES = 20_000  # of a network in a page: it is checked in seconds
_CLAIMED = re.compile(r"=>[^;#|>}]*(#.*)?$")  # a line that states its shape itself


@dataclass
class Checked:
    """A text, what was set from outside, and the report."""

    text: str
    name: str
    settings: Mapping[str, str]
    inputs: Mapping[str, str]
    overrides: Overrides
    loaded: Loaded
    loader: Loader
    trees: Trees
    report: Report

    def is_of(self, asked: Mapping[str, Any]) -> bool:
        """Whether it is the check of a text and settings."""
        return (self.text, self.settings, self.inputs) == (asked["text"], asked.get("settings", {}), asked.get("inputs", {}))

    @cached_property
    def places(self) -> Places:
        """What is known of each place of the text."""
        return Places(self.report, self.loaded.source)

    @cached_property
    def _units(self) -> list[int] | None:
        if all(char <= "\uffff" for char in self.text):
            return None
        return [0, *accumulate(1 + (char > "\uffff") for char in self.text)]

    def units(self, offset: int) -> int:
        """Return an offset as the page counts it."""
        offset = min(offset, len(self.text))
        return offset if self._units is None else self._units[offset]

    def offset(self, units: int) -> int:
        """Return the offset of what the page counts."""
        if self._units is None:
            return min(units, len(self.text))
        return next((offset for offset, at in enumerate(self._units) if at >= units), len(self.text))

    def place(self, span: Span | None) -> list[int] | None:
        """Return the ends of a span of this text; None for one of another file."""
        if span is None or span.source is not self.loaded.source:
            return None
        return [self.units(span.start), self.units(span.end)]


def checked(asked: Mapping[str, Any], before: Checked | None) -> Checked:
    """Check a text quickly, without warnings and repairs. Settings that cannot be read raise ArchError."""
    text = asked["text"].replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    name = Path(asked.get("name") or "network.arch").name
    settings, inputs = asked.get("settings", {}), asked.get("inputs", {})
    overrides = parse_overrides(settings, inputs)
    trees = before.trees if before is not None else Trees()
    loader = before.loader.renewed() if before is not None else Loader()
    loader.max_statements, loader.within, loader.earlier = MOST_NODES, (ARCHS,), trees
    loaded = loader.text(name, text.encode(errors="surrogatepass"), ARCHS)
    report = glance(loaded, Path(name).stem, loader, Limits(max_nodes=MOST_NODES), overrides)
    return Checked(text, name, settings, inputs, overrides, loaded, loader, trees, report)


def mended(now: Checked) -> dict[str, Any]:
    """Return the errors and warnings with their repairs, each of which was tried."""
    limits = Limits(max_nodes=MOST_NODES)
    done = completed(now.report, now.loaded, Path(now.name).stem, now.loader.renewed(), limits, lambda: False, now.overrides)
    return {"diagnostics": [_diagnostic(now, found) for found in (*done.diagnostics, *done.warnings)]}


def answer(now: Checked) -> dict[str, Any]:
    """Return what the page shows at once after an edit."""
    report = now.report
    found: dict[str, Any] = {
        "ok": report.ok,
        "network": report.has_network and len(report.graph) > 0,
        "name": report.name,
        "title": report.graph.title,
        "diagnostics": [_diagnostic(now, each) for each in report.diagnostics],
        "hints": list(_hints(now)),
        "parameters": list(_parameters(now)),
        "inputs": list(_inputs(now)),
    }
    if report.ok and report.has_network:
        counts = report.cost()
        found["params"] = counts.params
        found["macs"] = counts.macs if isinstance(counts.macs, int) else str(counts.macs)
        found["outputs"] = {name: show_shape(report.graph[out.node].shape) for name, out in report.graph.outputs.items()}
        found["waived"] = sum(claim.waived for claim in report.claims)
        found["claims"] = len(report.claims)
        found["legal"] = {legal.name: str(legal) for legal in report.legal}
    return found


def _diagnostic(now: Checked, found: Diagnostic) -> dict[str, Any]:
    """Return an error as plain data; one in another file is shown at the start of this one, with its place in words."""
    place = now.place(found.span)
    where = "" if place is not None or found.span is None else f"{found.span.source.label}, line {found.span.line}: "
    repairs = []
    for repair in found.repairs:
        edits = [(now.place(edit.span), edit.text) for edit in repair.edits]
        if all(span is not None for span, _ in edits):
            repairs.append({"what": str(repair), "edits": [{"at": span, "text": text} for span, text in edits]})
    return {
        "code": found.code,
        "severity": found.severity,
        "message": where + found.message,
        "notes": [*found.notes, *([found.help] if found.help else []), *(f"{each.text}" for each in found.related)],
        "at": place or [0, 0],
        "repairs": repairs,
    }


def _hints(now: Checked) -> Iterator[dict[str, Any]]:
    """Yield the shape at the end of each line that does not state it; where calls differ, the first and the last."""
    source = now.loaded.source
    for line, row in sorted(now.places.at_line_ends().items()):
        code = source.line_text(line)
        if _CLAIMED.search(code):
            continue
        shapes: list[Shape] = [passed.shape for passed in row.values()]
        texts = list(dict.fromkeys(map(show_shape, shapes)))
        shown = texts[0] if len(texts) == 1 else f"{texts[0]} … {texts[-1]}"
        yield {"at": now.units(source.line_starts[line - 1] + len(code)), "text": shown}


# ---- what can be set


def _arch(statements: Iterable[Any]) -> ast.Arch | None:
    return next((each for each in statements if isinstance(each, ast.Arch)), None)


def _parameters(now: Checked) -> Iterator[dict[str, Any]]:
    """Yield the parameters of the `arch` line, or those of the network that it instantiates, with their values as written."""
    own = _arch(now.loaded.tree.statements) if now.loaded.tree is not None else None
    if own is None:
        return
    given: dict[str, str] = {}
    arch = own
    if own.base is not None:
        others = [_arch(tree.statements) for tree in now.loader.trees() if tree is not now.loaded.tree]
        found = next((each for each in others if each is not None and each.name == own.base.name and each.base is None), None)
        if found is None:
            return
        arch = found
        names = [param.name for param in arch.params]
        given = {arg.name or (names[at] if at < len(names) else ""): arg.value.span.text for at, arg in enumerate(own.base.args)}
    for param in arch.params:
        default = given.get(param.name) or (param.default.span.text if param.default is not None else "")
        yield {"name": param.name, "default": default, "value": now.settings.get(param.name, default)}


def _inputs(now: Checked) -> Iterator[dict[str, Any]]:
    """Yield the inputs with their sizes as the file states them; the only one is called ""."""
    written = list(now.report.graph.inputs)
    for node in written:
        key = "" if len(written) == 1 else node.name
        yield {"key": key, "name": node.name, "shape": show_shape(node.shape), "set": now.inputs.get(key, "")}


def sound(now: Checked) -> Report:
    """Return the report of a text without errors. Raises ArchError for any other."""
    if now.report.diagnostics:
        raise ArchError(now.report.diagnostics)
    return now.report
