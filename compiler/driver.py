"""The way of a file through the compiler: read, expand with shapes, check what it claims; then a backend, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from compiler.analysis.claims import check_expects
from compiler.analysis.cost import Cost, cost
from compiler.analysis.folding import told_once
from compiler.analysis.lint import lint
from compiler.collection import without_collection
from compiler.expand.builder import Failure, Limits, Overrides
from compiler.expand.claims import ClaimResult
from compiler.expand.expander import Expander
from compiler.expand.loader import Loaded, Loader
from compiler.expand.scopes import Env
from compiler.graph import ArchGraph, shape_text
from compiler.repair.trial import EFFORT, Tried, with_repairs
from compiler.shapes.conditions import Legal, legal_sizes
from dsl import ast
from dsl.diagnostics import ArchError, Diagnostic, Fault
from dsl.formatter import format_text
from dsl.parser import MAX_NESTING, parse_size, parse_value
from dsl.printer import print_file
from dsl.source import Source, Span
from dsl.stack import deep_stack
from dsl.vocabulary import files, syntax
from dsl.vocabulary import shapes as shape_says


@dataclass
class Report:
    """What the front end has found out about one file. Without diagnostics, the network is sound."""

    name: str
    graph: ArchGraph
    diagnostics: list[Diagnostic]  # errors
    claims: list[ClaimResult]
    legal: list[Legal] = field(default_factory=list)
    expanded: ast.File | None = None
    nothing_at: Span | None = None  # the place of a file that holds no network, only blocks
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[Diagnostic] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)  # operators that are not in the graph, since their shapes do not fit

    @property
    def has_network(self) -> bool:
        return self.nothing_at is None

    @property
    def ok(self) -> bool:
        return not self.diagnostics

    def cost(self) -> Cost:
        return cost(self.graph)

    def facts(self) -> dict[str, Any]:
        """The facts of the network as plain data, for JSON."""
        data: dict[str, Any] = {"name": self.name, "title": self.graph.title, "ok": self.ok}
        if self.ok and self.has_network:
            counts = self.cost()
            data |= {
                "params": counts.params,
                "params_training": counts.params_training,
                "macs": shape_text([counts.macs])[0],
                "macs_training": shape_text([counts.macs_training])[0],
                "inputs": {node.name: shape_text(node.shape) for node in self.graph.inputs},
                "outputs": {
                    key: shape_text(self.graph[out.node].shape) for key, out in self.graph.outputs.items() if not out.training_only
                },
                "training_outputs": {
                    key: shape_text(self.graph[out.node].shape) for key, out in self.graph.outputs.items() if out.training_only
                },
                "nodes": len(self.graph) - len(self.graph.inputs),
                "legal": {legal.name: str(legal) for legal in self.legal},
            }
        data["claims"] = [claim.to_json() for claim in self.claims]
        data["diagnostics"] = [found.to_json() for found in (*self.diagnostics, *self.warnings)]
        return data


def parse_overrides(settings: Mapping[str, str], inputs: Mapping[str, str]) -> Overrides:
    """`--set NAME=VALUE` and `--input [NAME=]SHAPE`, read. Raises ArchError."""
    return Overrides(
        {name: parse_value(f"--set {name}", text) for name, text in settings.items()},
        {name: parse_size("--input" + (f" {name}" if name else ""), text) for name, text in inputs.items()},
    )


@without_collection()
def check(
    path: Path,
    overrides: Overrides | None = None,
    limits: Limits | None = None,
    record: bool = False,
    mend: bool = True,
    loader: Loader | None = None,
) -> Report:
    """Read and expand a file and prove its claims. Never raises for what is wrong with the file.

    With `mend`, repairs of its mistakes are worked out and tried. Files that a `loader` has read are not read again.
    """
    task = _Task(path.stem, path.parent, overrides or Overrides(), limits or Limits(), record)
    loader = loader or Loader(task.limits.max_nesting)
    begin = perf_counter()
    try:
        loaded = loader.open(path)
    except Fault as fault:
        return Report(path.stem, ArchGraph(), [fault.diagnostic], [])
    return _checked(loaded, loader, task, mend, begin)


@without_collection()
def check_text(
    text: str,
    name: str = "text.arch",
    folder: Path | None = None,
    overrides: Overrides | None = None,
    limits: Limits | None = None,
    record: bool = False,
    mend: bool = True,
) -> Report:
    """As `check`, for a text that stands in no file."""
    task = _Task(Path(name).stem, folder or Path.cwd(), overrides or Overrides(), limits or Limits(), record)
    loader = Loader(task.limits.max_nesting)
    begin = perf_counter()
    return _checked(loader.text(name, text.encode(), task.folder), loader, task, mend, begin)


@dataclass(frozen=True)
class _Task:
    """What is asked about a file."""

    name: str
    folder: Path
    overrides: Overrides
    limits: Limits
    record: bool


def _checked(loaded: Loaded, loader: Loader, task: _Task, mend: bool, begin: float) -> Report:
    report = _check(loaded, loader, task, begin)
    if report.ok and loaded.tree is not None:
        report.warnings = lint(report.graph, loaded.tree)
    if not mend or loaded.tree is None or not (report.diagnostics or report.warnings) or len(report.graph) > EFFORT:
        return report

    def attempt(text: str) -> Tried:
        other = Loader(task.limits.max_nesting)
        small = replace(
            task, record=False, limits=replace(task.limits, max_nodes=min(task.limits.max_nodes, 4 * len(report.graph) + 5_000))
        )
        changed = other.text(loaded.source.name, text.encode(), task.folder)
        found = _check(changed, other, small, perf_counter())
        warnings = lint(found.graph, changed.tree) if report.ok and found.ok and changed.tree is not None else []
        return Tried([*found.diagnostics, *warnings], len(found.graph))

    report.diagnostics = with_repairs(report.diagnostics, loaded.source, loaded.tree, attempt)
    report.warnings = told_once(with_repairs(report.warnings, loaded.source, loaded.tree, attempt, EFFORT // 10))
    return report


def _check(loaded: Loaded, loader: Loader, task: _Task, begin: float) -> Report:
    name, limits, overrides, record = task.name, task.limits, task.overrides, task.record
    read = perf_counter()
    seconds = {"parse": read - begin}
    if loaded.tree is None:
        return Report(name, ArchGraph(), list(loaded.problems), [], seconds=seconds)
    expander = Expander(loader, limits, overrides, record)
    expander.graph.name = name
    with deep_stack(limits.max_nesting):
        try:
            expander.network(loaded.tree.statements, Env(folder=loaded.folder))
        except RecursionError:  # a chain of signs or powers, which no bracket counts
            expander.problems.append(syntax.too_deep_brackets(limits.max_nesting).at(Span(loaded.source, 0, 1)))
    diagnostics = [*loaded.problems, *expander.problems]
    claims = list(expander.claims.values())
    legal: list[Legal] = []
    seconds["expand"] = perf_counter() - read
    if not diagnostics:
        results, diagnostics = check_expects(expander.expects, expander.graph, expander.top, waived=bool(overrides))
        claims += results
        legal, impossible = _legal(expander.graph)
        diagnostics += impossible
    seconds["verify"] = perf_counter() - read - seconds["expand"]
    if not loaded.tree.statements and not diagnostics:
        diagnostics = [files.nothing_to_build().at(Span(loaded.source, 0, 0))]
    if not len(expander.graph) and not diagnostics:
        return Report(expander.graph.name, expander.graph, [], claims, nothing_at=Span(loaded.source, 0, 0), seconds=seconds)
    claims.sort(key=lambda claim: (claim.span.source.name, claim.span.start))
    expanded = ast.File(Span(loaded.source, 0, 0), tuple(expander.recorder.program)) if record else None
    failures = expander.failures
    return Report(expander.graph.name, expander.graph, diagnostics, claims, legal, expanded, seconds=seconds, failures=failures)


def _legal(graph: ArchGraph) -> tuple[list[Legal], list[Diagnostic]]:
    """The legal values of every open size; an error where there is none."""
    legal: list[Legal] = []
    problems: list[Diagnostic] = []
    conditions = [condition for _, condition in graph.conditions]
    for name in graph.unknowns:
        found = legal_sizes(name, conditions)
        if found is None:
            continue
        legal.append(found)
        if not found.classes and not problems:
            where = next(node.span for node in graph.inputs)
            listed = list(dict.fromkeys(str(condition) for condition in conditions))[:6]
            problems.append(shape_says.no_legal_size(name, listed).at(where))
    return legal, problems


def require_network(report: Report) -> Report:
    """The report of a sound network. Raises ArchError for anything else."""
    if not report.has_network:
        raise ArchError([files.nothing_to_build().at(report.nothing_at)])
    if report.diagnostics:
        raise ArchError(report.diagnostics)
    return report


def expanded_text(report: Report) -> str:
    """The program with everything written out, as `archc expand` prints it."""
    assert report.expanded is not None
    # What stood in blocks stands in groups now, as deep as the calls went.
    nesting = 2 * max((node.name.count(".") for node in report.graph), default=0) + MAX_NESTING
    with deep_stack(nesting):
        return format_text(Source("expanded", print_file(report.expanded)), max_nesting=nesting)
