"""Read a graph back as a text that a person would have written, and prove that the text is the graph.

    graph -> items (lift) -> defaults (usual) -> blocks (families, unify, solve) -> tree (emit) -> loops -> text (layout) -> proof

The result is the shortest text that elaborates to the same graph. Where a text does not, the next simpler one is tried, and in the end
the expanded program; a text that is not the graph is never returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from archc.compiler.analysis import written
from archc.compiler.analysis.cost import cost, holes_of
from archc.compiler.analysis.nesting import Stated
from archc.compiler.analysis.printing import program
from archc.compiler.analysis.written import NOWHERE
from archc.compiler.collection import without_collection
from archc.compiler.driver import proved_text
from archc.compiler.errors import UnreadableError as UnreadableError
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import OPERATORS
from archc.compiler.read.chains import chained, moved_out
from archc.compiler.read.folding import Folded, folded, unfolded
from archc.compiler.read.layout import laid_out
from archc.compiler.read.regions import UNIT, counted, flat, regions, renamed, without_labels
from archc.dsl import ast
from archc.dsl.errors import ArchError
from archc.dsl.formatter import format_text
from archc.dsl.parser import MAX_NESTING
from archc.dsl.printer import print_file
from archc.dsl.source import Source
from archc.dsl.stack import deep_stack


@dataclass(frozen=True)
class Reading:
    """A graph as a text.

    `form` is how far it was folded: "blocks", "flat" without blocks, or "expanded" with every option; `nodes` counts the operators,
    `lines` those of the text that are neither blank nor comments. `names` has the name in the text of each node, where names were free.
    """

    text: str
    form: str
    nodes: int
    lines: int
    blocks: int
    names: Mapping[str, str] = field(default_factory=dict)


@without_collection()
def read_graph(graph: ArchGraph, title: str = "", kinds: Mapping[str, str] | None = None, free: bool = False) -> Reading:
    """Return the shortest text for a graph whose elaboration is the same graph.

    `title` names the source, and `kinds` the classes of scopes by their paths, after which blocks are named. With `free`, operators
    without weights may get the names that the language gives, as `Reading.names` lists, and joins of growing lists are chained: the text
    computes the same values, under the same keys of weights.

    Raises UnreadableError for a graph that cannot be written: weights shared otherwise than by whole scopes, a scope that is not in one
    piece, names that are none.
    """
    if free and flat(graph):
        made = chained(graph)
        names = without_labels(made, moved_out(made))
        return replace(read_graph(renamed(made, names), title, kinds), names=names)
    deepest = max((node.name.count(".") for node in graph), default=0)
    if deepest > MAX_NESTING // 2:
        raise UnreadableError(f"scopes nest {deepest} deep, and those of a text at most {MAX_NESTING // 2}")
    problem = ""
    for form, make in _forms(graph, title, kinds or {}):
        try:
            with deep_stack(_nesting(graph)):
                text, blocks = make()
        except (ArchError, ValueError) as found:
            problem = problem or str(found).partition("\n")[0]
            continue
        differs = difference(graph, text)
        if not differs:
            lines = sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text.splitlines())
            return Reading(text, form, sum(not node.is_input for node in graph), lines, blocks)
        problem = differs
    raise UnreadableError(problem)


@without_collection()
def read_nameless(graph: ArchGraph, title: str = "") -> Reading:
    """Return the shortest text for a graph whose names mean nothing: the text has names of its own.

    Its elaboration is the same graph but for the names, which `Reading.names` lists. Raises UnreadableError as `read_graph` does.
    """
    if not flat(graph):
        return read_graph(graph, title)
    first = counted(graph, {})
    plain = renamed(graph, first)
    scopes = regions(plain)
    second = counted(plain, scopes)
    scoped = renamed(plain, second)
    tried = [(plain, first, dict[str, str]())]
    try:
        called = folded(scoped, {}).called
    except ValueError:
        called = {}
    if called:
        third = _called_by_their_blocks(scoped, called)
        kinds = {third[path]: block for path, block in called.items()}
        names = counted(scoped, {node.name: third[node.name.rpartition(".")[0]] for node in scoped})
        tried.append((renamed(scoped, names), {old: names[second[new]] for old, new in first.items()}, kinds))
    best: Reading | None = None
    for made, names, kinds in tried:
        try:
            reading = read_graph(made, title, kinds)
        except UnreadableError:
            continue
        if best is None or _rank(reading) < _rank(best):
            best = replace(reading, names=names)
    return best or read_graph(graph, title)


def _rank(reading: Reading) -> tuple[bool, int]:
    return reading.form != "blocks", reading.lines


def _called_by_their_blocks(graph: ArchGraph, called: Mapping[str, str]) -> dict[str, str]:
    """Return a new path for each scope, in which a call is named after its block and its number."""
    counts: Counter[tuple[str, str]] = Counter()
    paths: dict[str, str] = {"": ""}
    for node in graph:
        parts = node.name.split(".")[:-1]
        for depth in range(1, len(parts) + 1):
            path = ".".join(parts[:depth])
            if path not in paths:
                outer, block = paths[".".join(parts[: depth - 1])], called.get(path, UNIT)
                counts[outer, block] += 1
                label = f"{block}{counts[outer, block]}"
                paths[path] = f"{outer}.{label}" if outer else label
    return paths


def _forms(graph: ArchGraph, title: str, kinds: Mapping[str, str]) -> Iterator[tuple[str, Callable[[], tuple[str, int]]]]:
    def of(make: Callable[[], Folded]) -> Callable[[], tuple[str, int]]:
        def text() -> tuple[str, int]:
            made = make()
            return _text(graph, title, made), made.blocks

        return text

    yield "blocks", of(lambda: folded(graph, kinds))
    yield "flat", of(lambda: unfolded(graph))
    yield "expanded", lambda: (program(graph, Stated()), 0)


def _text(graph: ArchGraph, title: str, made: Folded) -> str:
    statements = [*written.header(graph, title or graph.title), *made.statements, *_expects(graph)]
    printed = laid_out(print_file(ast.File(NOWHERE, tuple(statements))))
    return format_text(Source("read", printed), OPERATORS, max_nesting=_nesting(graph), hold=False)


def _nesting(graph: ArchGraph) -> int:
    """Return how deep the brackets of a text may nest: every dot of a name is a group, which may be in merges."""
    return 2 * max((node.name.count(".") for node in graph), default=0) + MAX_NESTING


def _expects(graph: ArchGraph) -> Iterator[ast.Statement]:
    """Yield claims of the parameters and of the multiply-accumulates; what they are at least, where there are holes."""
    counts = cost(graph)
    relation = ">=" if holes_of(graph) else "=="
    for measure, value in (("params", counts.params), ("macs", counts.macs)):
        if isinstance(value, int) and value:
            yield ast.Expect(NOWHERE, measure, None, relation, ast.Number(NOWHERE, value, f"{value:_}"), None)


def difference(graph: ArchGraph, text: str) -> str:
    """Return how the network of a text differs from a graph, in one line; "" where it is the same graph, its claims hold included."""
    report = proved_text(text)
    if not report.ok:
        first = report.diagnostics[0]
        return f"line {first.span.line if first.span else 0}: {first.message}"
    for ours, theirs in zip(graph, report.graph, strict=False):
        if (ours.name, ours.op, ours.key) != (theirs.name, theirs.op, theirs.key):
            return f"{ours.name} ({ours.op}) is {theirs.name} ({theirs.op}) in the text"
    if not report.graph.same_as(graph) or _outputs(report.graph) != _outputs(graph):
        return "the text is another network"
    return "" if report.graph.preprocess == graph.preprocess else "the text prepares samples in another way"


def _outputs(graph: ArchGraph) -> tuple[list[str], list[str]]:
    """Return the outputs, and those of training alone, each in order; how the two are mixed says nothing."""
    names = list(graph.outputs)
    return [name for name in names if not graph.outputs[name].training_only], [name for name in names if graph.outputs[name].training_only]
