"""The warnings about the text: text without effect, or with another meaning than it seems to have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archc.compiler.graph import ArchGraph, Node
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.source import Span
from archc.dsl.vocabulary import text_warnings as says

SMALLEST_IMAGE = 8  # pixels

Found = Iterator[Diagnostic]


def channels_last(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of an input shape that looks like height x width x channels, or begins with a batch."""
    for line in tree.statements:
        if isinstance(line, ast.Input) and len(line.dims) == 4:
            _, c, h, w = (dim.value if isinstance(dim, ast.Number) else 0 for dim in line.dims)
            if c in (1, 3, 4) and h == w and h >= 16:
                shown = Span(line.span.source, line.dims[0].span.start, line.dims[-1].span.end)
                yield says.channels_last(shown.text, f"{c}x{h}x{w}", "channels x depth x height x width", "the first is the batch").at(
                    shown
                )
        if isinstance(line, ast.Input) and len(line.dims) == 3:
            h, w, c = (dim.value if isinstance(dim, ast.Number) else 0 for dim in line.dims)
            if c in (1, 3, 4) and h == w and h >= 16:
                shown = Span(line.span.source, line.dims[0].span.start, line.dims[-1].span.end)
                yield says.channels_last(shown.text, f"{c}x{h}x{w}", "channels x height x width", "the last is the channels").at(shown)


def channels_missing(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of two equal sizes, which look like an image without channels; a sequence rarely has as many channels as positions."""
    for line in tree.statements:
        if isinstance(line, ast.Input) and len(line.dims) == 2:
            channels, length = (dim.value if isinstance(dim, ast.Number) else 0 for dim in line.dims)
            if isinstance(length, int) and channels == length >= SMALLEST_IMAGE:
                shown = line.dims[0].span.to(line.dims[-1].span)
                yield says.channels_missing(shown.text, length).at(shown)


def stays_at_inference(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of a training-only output whose chain has nodes that remain at inference."""
    for line in tree.statements:
        if isinstance(line, ast.Output) and line.args and line.chain and line.index is None and line.name in graph.outputs:
            inside = [node for node in graph if _within(node, line.span) and not node.training_only and not node.is_input]
            if inside:
                yield says.stays_at_inference(line.name, inside[-1].name).at(line.span)


def _within(node: Node, span: Span) -> bool:
    """Return whether a node is from this part of the text, directly or through a call."""
    places = [node.span, *(frame.span for frame in (node.frame.chain() if node.frame else ()))]
    return any(p.source is span.source and span.start <= p.start and p.end <= span.end for p in places)


def never_used(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of parameters, blocks, shared parts, variables and labels that nothing mentions."""
    nodes = list(ast.walk(tree))
    words = {node.word for node in nodes if isinstance(node, (ast.Op, ast.Merge, ast.Default))}
    names = {node.name for node in nodes if isinstance(node, (ast.Name, ast.CallExpr))}
    stems = {word.rstrip("0123456789x") for word in words} | {word.rstrip("0123456789") for word in words}
    used = words | stems | names
    paths = [n.path for n in nodes if isinstance(n, ast.Ref)] + [n.target for n in nodes if isinstance(n, ast.Expect) and n.target]
    parts = {part for path in paths for part in path.split(".")}
    called = used | parts
    is_network = any(isinstance(line, ast.Input) for line in tree.statements)
    is_family = any(isinstance(line, ast.Arch) and line.params for line in tree.statements)
    for node in nodes:
        if isinstance(node, (ast.Block, ast.Share)):
            body = set()
            for inner in ast.walk(node) if node.params else ():
                body |= mentioned(inner)
            for param in node.params:
                if param.name not in body:
                    yield says.never_used("parameter", param.name).at(param.span)
            if isinstance(node, ast.Share) and node.name not in called:
                yield says.never_used("shared part", node.name).at(node.name_span)
            elif isinstance(node, ast.Block) and is_network and not is_family and node.name not in called:
                yield says.never_used("block", node.name).at(node.name_span)
        elif isinstance(node, ast.Let) and node.name not in called:
            yield says.never_used("variable", node.name).at(node.span)
        elif isinstance(node, ast.Item) and node.label is not None and isinstance(node.core, (ast.Here, ast.Ref)):
            yield from _unused_label(node.label, parts)


def ends_with_its_body(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of a `let` that nothing after it in its body reads: neither the next iteration nor the text outside sees it."""
    lets = [statement for statement in tree.statements if isinstance(statement, ast.Let)]
    for node in ast.walk(tree):
        bodies = [node.then, node.otherwise] if isinstance(node, ast.If) else [node.body] if isinstance(node, ast.For) else []
        for body in bodies:
            for statement, later in _with_what_follows(body, ast.Let):
                if isinstance(statement, ast.Let) and statement.name not in later:
                    outer = next((let for let in lets if let.name == statement.name and let.span.end <= node.span.start), None)
                    stays = f", and the `{outer.name}` on line {outer.span.line} stays as it is" if outer is not None else ""
                    warning = says.never_used("variable", statement.name, f"it ends with this body{stays}")
                    yield warning.with_facts(name=statement.name).at(statement.span)


def default_rules_nothing(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of a `default` with no operator of its kind after it in its body; one that is also a name may be used anywhere."""
    words = {node.name.lower() for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.CallExpr))}
    for body in _bodies(tree):
        for statement, later in _with_what_follows(body, ast.Default):
            if isinstance(statement, ast.Default) and not any(statement.word.lower() in names for names in (later, words)):
                why = "none comes after it" if body is tree.statements else "it ends with this body"
                yield says.default_rules_nothing(statement.word.lower(), why).at(statement.span)


def builds_nothing(graph: ArchGraph, tree: ast.File) -> Found:
    """Warn of items repeated zero times."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Item) and isinstance(node.count, ast.Number) and node.count.value == 0:
            written = " ".join(node.span.text.split())
            yield says.builds_nothing(written if len(written) <= 40 else f"{written[:36]} ...").at(node.span)


def _bodies(tree: ast.File) -> Iterator[tuple[ast.Statement, ...]]:
    """Yield the bodies of the file, each a scope: its own, and those of blocks, loops, conditions, groups and branches."""
    yield tree.statements
    for node in ast.walk(tree):
        if isinstance(node, (ast.Block, ast.Share, ast.For, ast.Turns, ast.Group)):
            yield node.body
        elif isinstance(node, ast.If):
            yield node.then
            yield node.otherwise
        elif isinstance(node, ast.Merge):
            yield from node.branches


def _with_what_follows(body: Sequence[ast.Statement], kind: type[ast.Statement]) -> Iterator[tuple[ast.Statement, set[str]]]:
    """Yield the statements of a kind, the last first, each with the names mentioned after it in its body."""
    if not any(isinstance(statement, kind) for statement in body):
        return
    later: set[str] = set()
    for statement in reversed(body):
        if isinstance(statement, kind):
            yield statement, later
        for inner in ast.walk(statement):
            later |= mentioned(inner)


def _unused_label(label: ast.Label, parts: set[str]) -> Found:
    stems = tuple(part.partition("{")[0] for part in parts if "{" in part)  # of references with a number, `@branch{i}`
    if label.index is None and label.text not in parts and not label.text.startswith(stems):
        yield says.never_used("label", label.text).at(label.span)


def mentioned(node: ast.Node) -> set[str]:
    """Return the names by which a node may refer to a parameter or an operator."""
    if isinstance(node, (ast.Op, ast.Merge)):
        word = "add" if node.word.lower() == "residual" else node.word
        return {form for w in (word, word.lower()) for form in (w, w.rstrip("0123456789x"), w.rstrip("0123456789"))}
    if isinstance(node, (ast.Name, ast.CallExpr)):
        return {node.name}
    if isinstance(node, ast.Ref):
        return set(node.path.split("."))
    return set()


TEXT_RULES: tuple[Callable[[ArchGraph, ast.File], Found], ...] = (
    channels_last,
    channels_missing,
    stays_at_inference,
    ends_with_its_body,
    default_rules_nothing,
    builds_nothing,
    never_used,
)
EXPLAINING = (
    channels_last,
    channels_missing,
    ends_with_its_body,
    default_rules_nothing,
    builds_nothing,
)  # those that may explain an error
