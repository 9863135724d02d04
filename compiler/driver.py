"""The way of a file through the front end: read, elaborate with shapes, check what it claims, warn, and work out repairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from archc.compiler.analysis.blame import with_blame
from archc.compiler.analysis.claims import check_expects, readable_alone
from archc.compiler.analysis.folding import told_once
from archc.compiler.analysis.legality import legality
from archc.compiler.analysis.lint import causes, lint
from archc.compiler.analysis.nesting import Stated
from archc.compiler.analysis.printing import program
from archc.compiler.collection import without_collection
from archc.compiler.elaborate.claims import ClaimResult
from archc.compiler.elaborate.elaboration import Elaboration, Limits, Overrides, Stopped
from archc.compiler.elaborate.loader import Loaded, Loader
from archc.compiler.elaborate.networks import begin, network
from archc.compiler.graph import ArchGraph
from archc.compiler.repair.combined import is_shape_claim, with_causes, without_guesses
from archc.compiler.repair.offers import with_repairs
from archc.compiler.repair.trial import EFFORT, Trials, Tried
from archc.compiler.report import Claims, Report
from archc.compiler.shapes.dim import Dim
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.errors import ArchError
from archc.dsl.parser import Trees, parse_size, parse_value
from archc.dsl.source import Source, Span
from archc.dsl.stack import deep_stack
from archc.dsl.trees import deeper
from archc.dsl.vocabulary import files, syntax


def parse_overrides(settings: Mapping[str, str], inputs: Mapping[str, str]) -> Overrides:
    """Parse `--set NAME=VALUE` and `--input [NAME=]SHAPE`. Raises ArchError."""
    return Overrides(
        {name: parse_value(f"--set {name}", text) for name, text in settings.items()},
        {name: parse_size("--input" + (f" {name}" if name else ""), text) for name, text in inputs.items()},
    )


@without_collection()
def check(
    path: Path, overrides: Overrides | None = None, limits: Limits | None = None, mend: bool = True, loader: Loader | None = None
) -> Report:
    """Read and elaborate a file and prove its claims. Never raises for what is wrong with the file.

    With `mend`, repairs of its mistakes are worked out and tried. A `loader` may bring what was read from `archs/` before.
    """
    task = Task(path.stem, path.parent, overrides or Overrides(), limits or Limits())
    loader = loader or task.loader()
    watch = Stopwatch()
    try:
        loaded = loader.open(path)
    except Fault as fault:
        return _unread(path, fault)
    return _checked(loaded, loader, task, mend, watch)


@without_collection()
def check_text(
    text: str | bytes,
    name: str = "text.arch",
    folder: Path | None = None,
    overrides: Overrides | None = None,
    limits: Limits | None = None,
    mend: bool = True,
    loader: Loader | None = None,
) -> Report:
    """Check a text that is in no file; otherwise as `check`. A `loader` reads the files that it uses."""
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    task = Task(Path(name).stem.strip("<>"), folder or Path.cwd(), overrides or Overrides(), limits or Limits(), loader)
    loader, watch = loader or task.loader(), Stopwatch()
    return _checked(loader.text(name, data, task.folder), loader, task, mend, watch)


def glance(loaded: Loaded, name: str, loader: Loader, limits: Limits, overrides: Overrides | None = None) -> Report:
    """Report on a text that `loader` has read, without warnings and repairs, for an answer while somebody types.

    The errors are those of `check_text`, which may add failed claims on counts, or leave out errors that another one causes: both show
    only while repairs are sought. The warnings are those of elaboration alone.
    """
    with without_collection():
        return _proved(loaded, loader, Task(name, loaded.folder, overrides or Overrides(), limits), Stopwatch())


def completed(
    seen: Report,
    loaded: Loaded,
    name: str,
    loader: Loader,
    limits: Limits,
    stop: Callable[[], bool],
    overrides: Overrides | None = None,
) -> Report:
    """Return what `check_text` returns of a text that was glanced at: with warnings and repairs. That report is not changed.

    `stop` is asked again and again whether to give up: raises Stopped.
    """
    with without_collection():
        return _completed(replace(seen), loaded, Task(name, loaded.folder, overrides or Overrides(), limits, loader, stop), mend=True)


def proved_text(text: str, limits: Limits | None = None) -> Report:
    """Elaborate a text and prove its claims, without warnings, explanations and repairs."""
    task = Task("text", Path.cwd(), Overrides(), limits or Limits())
    loader = task.loader()
    return _proved(loader.text("text.arch", text.encode(), task.folder), loader, task, Stopwatch(), explained=False)


def unreadable(path: Path, error: OSError) -> Report:
    """Return the report of a file that cannot be read."""
    return _unread(path, Loader.fault(path, error))


def _unread(path: Path, fault: Fault) -> Report:
    return Report(path.stem, ArchGraph(), [fault.diagnostic])


@dataclass(frozen=True)
class Task:
    """What is asked about a file."""

    name: str
    folder: Path
    overrides: Overrides
    limits: Limits
    base: Loader | None = None  # what `archs/` holds, and the texts of an editor, are read as this one reads them
    stop: Callable[[], bool] = lambda: False

    def loader(self) -> Loader:
        """Create a loader that has read nothing of the user's yet."""
        return Loader(self.limits.max_nesting, self.limits.max_nodes) if self.base is None else self.base.renewed()


@dataclass
class Stopwatch:
    """How many seconds each step has taken, in turn."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=perf_counter)

    def lap(self, step: str) -> None:
        """Note the time since the step before."""
        now = perf_counter()
        self.seconds[step] = now - self._last
        self._last = now


def _checked(loaded: Loaded, loader: Loader, task: Task, mend: bool, watch: Stopwatch) -> Report:
    """Report on a file: its network and claims, errors, warnings, and repairs of both."""
    return _completed(_proved(loaded, loader, task, watch), loaded, task, mend)


def _completed(report: Report, loaded: Loaded, task: Task, mend: bool) -> Report:
    """Add warnings and repairs to the report on a file."""
    if loaded.tree is None:
        return report
    if task.stop():
        raise Stopped
    if report.ok:
        report.warnings = lint(report.graph, loaded.tree, report.warnings)
    else:
        report.warnings = causes(report.diagnostics, report.graph, loaded.tree, report.warnings)
    if mend and (report.diagnostics or report.warnings) and len(report.graph) <= EFFORT:
        _repair(report, loaded.source, loaded.tree, task)
    return report


# ---- elaboration and claims


def _proved(loaded: Loaded, loader: Loader, task: Task, watch: Stopwatch, explained: bool = True) -> Report:
    """Elaborate a file that has been read, and prove its claims. A file that is only tried needs no explanations."""
    watch.lap("parse")
    report = Report(task.name, ArchGraph(), list(loaded.problems), tree=loaded.tree, seconds=watch.seconds)
    if loaded.tree is None:
        return report
    elaboration = _elaborated(loaded.tree, loaded.folder, loader, task)
    watch.lap("elaborate")
    report.graph, report.name, report.failures = elaboration.graph, elaboration.graph.name, elaboration.failures
    report.passed = elaboration.passed
    report.claims, report.warnings = list(elaboration.claims.values()), list(elaboration.doubts.values())
    report.diagnostics += without_guesses(elaboration.problems, loaded.problems)
    if not elaboration.problems and (loaded.whole or not report.diagnostics):
        claims, failed = _expected(elaboration)
        report.claims += claims
        report.legal, impossible = legality(report.graph, explained)
        report.diagnostics += [*failed, *impossible]
    if explained and loaded.whole and report.diagnostics and all(is_shape_claim(d) for d in report.diagnostics):
        report.doubtful = _expected(elaboration)
    if explained:
        report.diagnostics = with_blame(report.diagnostics, report.graph, report.claims)
    report.claims.sort(key=_place)
    if not report.diagnostics and not loaded.tree.statements:
        report.diagnostics = [files.nothing_to_build().at(Span(loaded.source, 0, 0))]
    elif not report.diagnostics and not len(report.graph):
        report.nothing_at = Span(loaded.source, 0, 0)
    elif explained and not report.diagnostics:
        report.stated = _stated(elaboration, report.claims)
    watch.lap("verify")
    return report


def _elaborated(tree: ast.File, folder: Path, loader: Loader, task: Task) -> Elaboration:
    elaboration = begin(loader, task.limits, task.overrides)
    elaboration.stop = task.stop
    elaboration.graph.name = task.name
    with deep_stack(task.limits.max_nesting):
        try:
            network(elaboration, tree.statements, folder)
        except RecursionError:  # a chain of signs or powers, which no bracket counts
            most = task.limits.max_nesting
            found = next(filter(None, (deeper(file, most) for file in (tree, *loader.trees()))), tree)
            elaboration.problems.append(syntax.too_deep_brackets(most).at(found.span))
    return elaboration


def _expected(elaboration: Elaboration) -> Claims:
    """Check the `expect` lines; under overrides, which change the network, one that fails is waived."""
    return check_expects(elaboration.expects, elaboration.graph, elaboration.top, waived=bool(elaboration.overrides))


def _stated(elaboration: Elaboration, claims: Sequence[ClaimResult]) -> Stated:
    """Collect what a sound file states about its network, without claims that overrides have waived."""
    waived = {claim.span for claim in claims if claim.waived}
    expects = [each for each in elaboration.expects if each.statement.span not in waived]
    return Stated(elaboration.claimed_at, [(each.after, readable_alone(each, elaboration.graph, elaboration.top)) for each in expects])


def _place(claim: ClaimResult) -> tuple[str, int]:
    return claim.span.source.name, claim.span.start


# ---- repairs


def _repair(report: Report, source: Source, tree: ast.File, task: Task) -> None:
    """Add repairs to the errors of a report, or to the warnings of a sound one."""
    attempts = Attempts(source, task, len(report.graph), linted=report.ok)
    if report.ok:
        there = _tried(report, report.warnings, tree)
        report.warnings = told_once(with_repairs(report.warnings, Trials(source, tree, there, attempts, EFFORT // 10)))
        return
    there = _tried(report, report.diagnostics, tree)
    claims, failed = report.doubtful
    errors = with_repairs(report.diagnostics, Trials(source, tree, there, attempts), failed)
    report.diagnostics, report.warnings = with_causes(errors, report.warnings)
    certain = {error.span for error in errors}
    report.claims = sorted([*report.claims, *(claim for claim in claims if claim.span in certain)], key=_place)


class Attempts:
    """How a changed text of a file is tried: it is checked anew, within limits that suit the file's own network."""

    def __init__(self, source: Source, task: Task, nodes: int, linted: bool) -> None:
        limits = replace(task.limits, max_nodes=min(task.limits.max_nodes, 4 * nodes + 5_000))
        self.source = source
        self.task = replace(task, limits=limits)
        self.linted = linted
        self.trees = Trees() if task.base is not None else None  # a trial changes little, and is given up soon where somebody types

    def text(self, text: str) -> Tried:
        """Check a changed text."""
        return self._of(text, self.task, self.linted)

    def opened(self, sizes: str) -> Tried:
        """Check the unchanged text with an input of these sizes."""
        return self._of(self.source.text, replace(self.task, overrides=parse_overrides({}, {"": sizes})), linted=False)

    def _of(self, text: str, task: Task, linted: bool) -> Tried:
        if task.stop():
            raise Stopped
        loader = replace(task.loader(), max_statements=None, earlier=self.trees)
        changed = loader.text(self.source.name, text.encode(), task.folder)
        report = _proved(changed, loader, task, Stopwatch(), explained=False)
        warnings = lint(report.graph, changed.tree, report.warnings) if linted and report.ok and changed.tree is not None else []
        return _tried(report, [*report.diagnostics, *warnings], changed.tree)


def _tried(report: Report, found: list[Diagnostic], tree: ast.File | None) -> Tried:
    def count() -> tuple[int, Dim]:
        counts = report.cost()
        return counts.params, counts.macs

    return Tried(found, report.graph, tree, count, report.legal)


# ---- sound networks


def require_network(report: Report) -> Report:
    """Return the report of a sound network. Raises ArchError for anything else."""
    if not report.has_network:
        raise ArchError([files.nothing_to_build().at(report.nothing_at)])
    if report.diagnostics:
        raise ArchError(report.diagnostics)
    return report


def expanded_text(report: Report) -> str:
    """Print the program with everything written out, as `archc expand` does."""
    return program(report.graph, report.stated)
