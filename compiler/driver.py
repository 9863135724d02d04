"""The way of a file through the compiler: read, expand with shapes, check what it claims; then a backend, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from archc.compiler.analysis.blame import with_blame
from archc.compiler.analysis.claims import check_expects, readable_alone
from archc.compiler.analysis.cost import Cost, cost
from archc.compiler.analysis.folding import told_once
from archc.compiler.analysis.legality import legality
from archc.compiler.analysis.lint import causes, lint
from archc.compiler.analysis.nesting import Stated
from archc.compiler.analysis.printing import program
from archc.compiler.collection import without_collection
from archc.compiler.elaborate.builder import Failure, Limits, Overrides
from archc.compiler.elaborate.claims import ClaimResult
from archc.compiler.elaborate.environment import Env
from archc.compiler.elaborate.expander import Expander
from archc.compiler.elaborate.loader import Loaded, Loader
from archc.compiler.graph import ArchGraph, shape_text
from archc.compiler.repair.offers import with_repairs
from archc.compiler.repair.trial import EFFORT, Attempts, Trials, Tried
from archc.compiler.shapes.conditions import Legal
from archc.compiler.shapes.dim import Dim
from archc.compiler.verdict import verdict
from archc.dsl import ast
from archc.dsl.diagnostics import ArchError, Diagnostic, Fault, Related
from archc.dsl.parser import parse_size, parse_value
from archc.dsl.rendering import render_all
from archc.dsl.source import Span
from archc.dsl.stack import deep_stack
from archc.dsl.vocabulary import files, syntax

Doubtful = tuple[list[ClaimResult], list[Diagnostic]]


@dataclass(repr=False)
class Report:
    """What the front end has found out about one file. Without diagnostics, the network is sound."""

    name: str
    graph: ArchGraph
    diagnostics: list[Diagnostic]  # errors
    claims: list[ClaimResult]
    legal: list[Legal] = field(default_factory=list)
    stated: Stated = field(default_factory=Stated)
    nothing_at: Span | None = None  # the place of a file that holds no network, only blocks
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[Diagnostic] = field(default_factory=list)
    doubtful: Doubtful = field(default_factory=lambda: ([], []))  # the same of claims that are held against shapes that do not hold
    failures: list[Failure] = field(default_factory=list)  # operators that are not in the graph, since their shapes do not fit

    @property
    def has_network(self) -> bool:
        """Whether there is a network, and not only blocks."""
        return self.nothing_at is None

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.diagnostics

    def __str__(self) -> str:
        """What is wrong, rendered; or, of a network that is sound, its counts and claims."""
        if self.diagnostics:
            return render_all(self.diagnostics)
        if not self.has_network:
            return f"{self.name}: only blocks, for `use`"
        return verdict(self.name, self.graph, self.cost(), self.claims, self.legal)

    def __repr__(self) -> str:
        return f"<Report {self.name}: {len(self.diagnostics)} errors, {len(self.warnings)} warnings, {len(self.claims)} claims>"

    def cost(self) -> Cost:
        """Parameters and MACs at inference and in training."""
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
    mend: bool = True,
    loader: Loader | None = None,
) -> Report:
    """Read and expand a file and prove its claims. Never raises for what is wrong with the file.

    With `mend`, repairs of its mistakes are worked out and tried. A `loader` may bring what was read from `archs/` before.
    """
    task = _Task(path.stem, path.parent, overrides or Overrides(), limits or Limits())
    loader = loader or Loader(task.limits.max_nesting, task.limits.max_nodes)
    begin = perf_counter()
    try:
        loaded = loader.open(path)
    except Fault as fault:
        return _unread(path, fault)
    return _checked(loaded, loader, task, mend, begin)


def unreadable(path: Path, error: OSError) -> Report:
    """The report of a file that cannot be read."""
    return _unread(path, Loader.fault(path, error))


def _unread(path: Path, fault: Fault) -> Report:
    return Report(path.stem, ArchGraph(), [fault.diagnostic], [])


@without_collection()
def check_text(
    text: str | bytes,
    name: str = "text.arch",
    folder: Path | None = None,
    overrides: Overrides | None = None,
    limits: Limits | None = None,
    mend: bool = True,
) -> Report:
    """As `check`, for a text that is in no file."""
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    task = _Task(Path(name).stem.strip("<>"), folder or Path.cwd(), overrides or Overrides(), limits or Limits())
    loader = Loader(task.limits.max_nesting, task.limits.max_nodes)
    begin = perf_counter()
    return _checked(loader.text(name, data, task.folder), loader, task, mend, begin)


@dataclass(frozen=True)
class _Task:
    """What is asked about a file."""

    name: str
    folder: Path
    overrides: Overrides
    limits: Limits


def _checked(loaded: Loaded, loader: Loader, task: _Task, mend: bool, begin: float) -> Report:
    report = _check(loaded, loader, task, begin)
    if loaded.tree is not None and report.ok:
        report.warnings = lint(report.graph, loaded.tree, report.warnings)
    elif loaded.tree is not None:
        report.warnings = causes(report.diagnostics, report.graph, loaded.tree, report.warnings)
    if mend and loaded.tree is not None and (report.diagnostics or report.warnings) and len(report.graph) <= EFFORT:
        _mend(report, loaded, task)
    return report


def _mend(report: Report, loaded: Loaded, task: _Task) -> None:
    """Put the repairs of its mistakes and warnings into a report: candidates, each tried on the whole file."""
    assert loaded.tree is not None
    small = replace(task, limits=replace(task.limits, max_nodes=min(task.limits.max_nodes, 4 * len(report.graph) + 5_000)))

    def attempt(text: str, task: _Task = small, linted: bool = report.ok) -> Tried:
        other = Loader(task.limits.max_nesting)
        changed = other.text(loaded.source.name, text.encode(), task.folder)
        found = _check(changed, other, task, perf_counter(), explained=False)
        warnings = lint(found.graph, changed.tree, found.warnings) if linted and found.ok and changed.tree is not None else []
        return _tried(found, [*found.diagnostics, *warnings], changed.tree)

    def opened(sizes: str) -> Tried:
        return attempt(loaded.source.text, replace(small, overrides=parse_overrides({}, {"": sizes})), linted=False)

    attempts = Attempts(attempt, opened)
    if report.ok:
        there = _tried(report, report.warnings, loaded.tree)
        report.warnings = told_once(with_repairs(report.warnings, Trials(loaded.source, loaded.tree, there, attempts, EFFORT // 10)))
    else:
        there = _tried(report, report.diagnostics, loaded.tree)
        results, doubtful = report.doubtful
        report.diagnostics = with_repairs(report.diagnostics, Trials(loaded.source, loaded.tree, there, attempts), doubtful)
        certain = {error.span for error in report.diagnostics}
        report.claims = sorted([*report.claims, *(claim for claim in results if claim.span in certain)], key=_place)
        causes = {id(error): [w for w in report.warnings if _is_changed(w, error)] for error in report.diagnostics}
        told = {id(warning) for found in causes.values() for warning in found}
        report.diagnostics = [_with_causes(error, causes[id(error)]) for error in report.diagnostics]
        report.warnings = [warning for warning in report.warnings if id(warning) not in told]


def _is_changed(warning: Diagnostic, error: Diagnostic) -> bool:
    """Does a repair of an error change the very place that a warning is about?"""
    edits = [edit.span for repair in error.repairs for edit in repair.edits]
    at = warning.span
    return at is not None and any(e.source is at.source and e.start <= at.end and at.start <= e.end for e in edits)


def _with_causes(error: Diagnostic, warnings: Sequence[Diagnostic]) -> Diagnostic:
    """An error with what a warning says of the place where it comes from."""
    told = [Related(warning.span, warning.message) for warning in warnings if warning.span is not None]
    return replace(error, related=(*error.related, *told)) if told else error


def _tried(report: Report, found: list[Diagnostic], tree: ast.File | None) -> Tried:
    def count() -> tuple[int, Dim]:
        counts = report.cost()
        return counts.params, counts.macs

    return Tried(found, report.graph, tree, count, report.legal)


def _check(loaded: Loaded, loader: Loader, task: _Task, begin: float, explained: bool = True) -> Report:
    """What is so of a file. What is tried only needs no explanations."""
    name, limits, overrides = task.name, task.limits, task.overrides
    read = perf_counter()
    seconds = {"parse": read - begin}
    if loaded.tree is None:
        return Report(name, ArchGraph(), list(loaded.problems), [], seconds=seconds)
    expander = Expander(loader, limits, overrides)
    expander.graph.name = name
    with deep_stack(limits.max_nesting):
        try:
            expander.network(loaded.tree.statements, Env(folder=loaded.folder))
        except RecursionError:  # a chain of signs or powers, which no bracket counts
            found = next(filter(None, (ast.deeper(tree, limits.max_nesting) for tree in (loaded.tree, *loader.trees()))), loaded.tree)
            expander.problems.append(syntax.too_deep_brackets(limits.max_nesting).at(found.span))
    diagnostics = [*loaded.problems, *_not_of_a_guess(expander.problems, loaded.problems)]
    claims, doubts = list(expander.claims.values()), list(expander.doubts.values())
    legal: list[Legal] = []
    seconds["expand"] = perf_counter() - read
    if not expander.problems and (loaded.whole or not diagnostics):
        results, failed = check_expects(expander.expects, expander.graph, expander.top, waived=bool(overrides))
        claims += results
        legal, impossible = legality(expander.graph, explained)
        diagnostics += [*failed, *impossible]
    doubtful: Doubtful = ([], [])
    if explained and loaded.whole and diagnostics and all(d.code == "E0501" for d in diagnostics):
        doubtful = check_expects(expander.expects, expander.graph, expander.top, waived=bool(overrides))
    if explained:
        diagnostics = with_blame(diagnostics, expander.graph, claims)
    seconds["verify"] = perf_counter() - read - seconds["expand"]
    if not loaded.tree.statements and not diagnostics:
        diagnostics = [files.nothing_to_build().at(Span(loaded.source, 0, 0))]
    if not len(expander.graph) and not diagnostics:
        nothing_at = Span(loaded.source, 0, 0)
        return Report(expander.graph.name, expander.graph, [], claims, nothing_at=nothing_at, seconds=seconds, warnings=doubts)
    claims.sort(key=_place)
    name, failures = expander.graph.name, expander.failures
    stated = Stated() if diagnostics else _stated(expander, claims)
    return Report(
        name, expander.graph, diagnostics, claims, legal, stated, seconds=seconds, warnings=doubts, doubtful=doubtful, failures=failures
    )


def _stated(expander: Expander, claims: Sequence[ClaimResult]) -> Stated:
    """What a sound file states of its network, without what the caller's changes have waived."""
    waived = {claim.span for claim in claims if claim.waived}
    expects = [each for each in expander.expects if each.statement.span not in waived]
    return Stated(expander.claimed_at, [(each.after, readable_alone(each, expander.graph, expander.top)) for each in expects])


def _place(claim: ClaimResult) -> tuple[str, int]:
    return claim.span.source.name, claim.span.start


def _not_of_a_guess(found: Sequence[Diagnostic], writing: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Without what may come of a guess: on lines that could only be read by one, and at names that could not be read."""
    guessed = {(d.span.source, d.span.line) for d in writing if d.facts.get("guess") and d.span is not None}
    named = {(d.span.source, place) for d in writing if d.span is not None for place in d.facts.get("places", ())}
    return [
        d for d in found if d.span is None or ((d.span.source, d.span.line) not in guessed and (d.span.source, d.span.start) not in named)
    ]


def require_network(report: Report) -> Report:
    """The report of a sound network. Raises ArchError for anything else."""
    if not report.has_network:
        raise ArchError([files.nothing_to_build().at(report.nothing_at)])
    if report.diagnostics:
        raise ArchError(report.diagnostics)
    return report


def expanded_text(report: Report) -> str:
    """The program with everything written out, as `archc expand` prints it."""
    return program(report.graph, report.stated)
