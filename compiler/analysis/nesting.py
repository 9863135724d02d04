"""Build the statements of a program from its graph: scopes as groups, branches within their merges, chains of outputs.

* A scope of the names is a labelled group; one whose keys are those of another scope is a call of a shared part.
* A branch is written inside its merge where its operators come right before it, are used nowhere else, and start from the same node
  as another branch; any other operand is a reference.
* Operators that lead from a node with other users to an output, and to nothing else, are the chain of that output.

One walk over the nodes, which are written in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archc.compiler.analysis import written
from archc.compiler.elaborate.scopes import join
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast

NESTED = 8  # the most merges within merges; a merge around more is written with references
UNUSED = 2**63  # the position of the last use of an output, or of an unused node: after every node
IMPLIED = "output"  # the name of the output of a file that states none


@dataclass(frozen=True)
class Stated:
    """What a file states of its network, which the printed program states again.

    `shapes` has the paths of nodes and scopes at which a shape is claimed, each with the node whose shape it is; `expects` the
    `expect` lines, each with the number of nodes that come before it.
    """

    shapes: Mapping[str, str] = field(default_factory=dict)
    expects: Sequence[tuple[int, ast.Expect]] = ()


@dataclass(slots=True)
class _Part:
    """A statement of a scope, and the nodes that it holds: those from position `first` to `last`."""

    statement: ast.Statement
    start: str | None  # the node that it continues from; None for an input
    result: str
    first: int
    last: int
    depth: int = 0  # merges within merges
    run: int = 0  # the index in the scope of the first part of its run: parts that each continue the one before, which has no other use
    run_depth: int = 0


@dataclass(slots=True)
class _Scope:
    """A scope under construction."""

    path: str
    key: str
    incoming: str | None  # the current node at its start, where known
    edge: str  # the path of the shared part around it, from which only absolute paths lead out
    shared: bool = False  # whether it is a call of a shared part
    given: dict[str, str] = field(default_factory=dict)  # of such a call: the name of its parameter for each tensor besides the input
    arguments: list[str] = field(default_factory=list)  # these tensors, in the order of the parameters
    is_clear: bool = True  # whether all tensors that it is given differ, so that its body shows which is which
    parts: list[_Part] = field(default_factory=list)
    shares: dict[str, ast.Share] = field(default_factory=dict)


class Program:
    """Collects the nodes into scopes, and parts of scopes into branches, in one walk.

    Raises ValueError for a graph that cannot be written (see `printing.program`).
    """

    def __init__(self, graph: ArchGraph, stated: Stated) -> None:
        self.graph = graph
        self.stated = stated
        self.position = {node.name: place for place, node in enumerate(graph)}
        self.names = {*self.position, *(path for name in self.position for path in _around(name))}
        self.uses: Counter[str] = Counter()
        self.last_use: dict[str, int] = {}
        for node in graph:
            for operand in graph.operands(node.name):
                self.uses[operand] += 1
                self.last_use[operand] = self.position[node.name]
        for output in graph.outputs.values():
            self.last_use[output.node] = UNUSED
        self.alike: dict[str, list[str]] = {}  # the nodes of each key
        for node in graph:
            self.alike.setdefault(node.key, []).append(node.name)
        self.keys = _keys(graph)
        self.known = set(self.keys.values())
        self.opened: set[str] = set()
        self.members: dict[str, list[str]] = {}  # the nodes in each scope, where shared parts are asked for them
        self.unclear: set[str] = set()  # the keys of shared parts in whose body a tensor may be the input or an argument
        self.stack = [_Scope("", "", None, "")]
        for node in graph:
            self._enter(node)
            self._put(node)
        while len(self.stack) > 1:
            self._close()
        if self.unclear:
            raise ValueError(f"every call of {min(self.unclear)} takes one tensor twice, but not always the same one")

    # ---- scopes

    def _enter(self, node: Node) -> None:
        """Close the scopes that a node is not in, and open those that it is in."""
        path = node.name.rpartition(".")[0]
        while self.stack[-1].path not in ("", path) and not path.startswith(f"{self.stack[-1].path}."):
            self._close()
        own = self.stack[-1].path
        for name in path[len(own) :].lstrip(".").split(".") if path != own else ():
            self._open(name, node)

    def _open(self, name: str, node: Node) -> None:
        outer = self.stack[-1]
        path, usual = join(outer.path, name), join(outer.key, name)
        if path in self.opened:
            raise ValueError(f"the scope {path} is not in one piece: {node.name} is apart from the rest of it")
        self.opened.add(path)
        key = self.keys.get(path) or self._hidden_key(node, usual)
        shared = key != usual and not f"{outer.key}.".startswith(f"{key}.")
        incoming = outer.parts[-1].result if outer.parts else outer.incoming
        scope = _Scope(path, key if shared else usual, incoming, path if shared else outer.edge, shared)
        if shared:
            self._give(scope)
        self.stack.append(scope)

    def _give(self, scope: _Scope) -> None:
        """Find the tensors that differ between the calls of a shared part: the first is its input, the others are arguments."""
        calls = [path for path, key in self.keys.items() if key == scope.key]
        if scope.path not in calls:
            return
        rows = dict.fromkeys(zip(*(self._outside(path) for path in calls), strict=False))
        taken = [row[calls.index(scope.path)] for row in rows if len(set(row)) > 1]
        if taken:
            scope.incoming, *scope.arguments = taken
            scope.given = {name: f"tensor{at + 1}" for at, name in reversed(list(enumerate(scope.arguments)))}
            scope.is_clear = len(set(taken)) == len(taken)

    def _outside(self, path: str) -> Iterator[str]:
        """Yield the operands that the nodes of a scope take from outside, in order."""
        if not self.members:
            for name in self.position:
                for around in _around(name):
                    self.members.setdefault(around, []).append(name)
        inside = f"{path}."
        for node in self.members[path]:
            yield from (operand for operand in self.graph.operands(node) if not operand.startswith(inside))

    def _hidden_key(self, node: Node, usual: str) -> str:
        """Return the key of a scope that holds only calls, from the key of its first node; `usual` where another scope has that key."""
        around = next(each.key for each in reversed(self.stack) if node.key.startswith(join(each.key, "")))
        first, _, rest = node.key[len(join(around, "")) :].partition(".")
        key = join(around, first)
        return usual if not rest or key in self.known else key

    def _close(self) -> None:
        scope = self.stack.pop()
        outer, parts = self.stack[-1], scope.parts
        body = [*scope.shares.values(), *self._sequence(scope, parts, parts[0].start)]
        core: ast.Core = written.group(body)
        if scope.shared:
            around, _, name = scope.key.rpartition(".")
            tensors = [self._reference(outer, argument).core for argument in scope.arguments]
            core = written.call(name, [tensor for tensor in tensors if isinstance(tensor, ast.Ref)])
            home = next((each for each in reversed(self.stack) if each.key == around), None)
            if home is None:
                raise ValueError(f"the weights of {scope.path} are those of {scope.key}, which is in no scope around it")
            # A call whose input is also referenced from inside seems to take it twice; another call shows which is the input.
            known = home.shares.get(name)
            params = [f"tensor{at + 1}" for at in range(len(scope.arguments))]
            if not params:
                self.unclear.discard(scope.key)
                if known is None or (known.body != tuple(body) and _references(body) > _references(known.body)):
                    home.shares[name] = written.share(name, params, body)
            elif known is None or (scope.is_clear and scope.key in self.unclear):
                home.shares[name] = written.share(name, params, body)
                (self.unclear.discard if scope.is_clear else self.unclear.add)(scope.key)
        depth = max(part.depth for part in parts)
        item = self._item(scope.path, parts[-1].result, core)
        self._append(outer, _Part(item, parts[0].start, parts[-1].result, parts[0].first, parts[-1].last, depth))

    def _put(self, node: Node) -> None:
        scope, place = self.stack[-1], self.position[node.name]
        key = join(scope.key, node.name.rpartition(".")[2])
        if node.key not in ("", key):
            raise ValueError(f"the weights of {node.name} are those of {node.key}, where only {key} can be written")
        if node.is_input:
            self._append(
                scope, _Part(written.input_line(node, node.name, self.graph.preprocess.get(node.name)), None, node.name, place, place)
            )
        elif node.operator.is_merge and not (node.operator.plain and len(node.operands) == 1):
            self._append(scope, self._merge(scope, node, place))
        else:
            item = self._item(node.name, node.name, written.operator(node))
            self._append(scope, _Part(item, self.graph.operands(node.name)[0], node.name, place, place))

    def _append(self, scope: _Scope, part: _Part) -> None:
        part.run, part.run_depth = len(scope.parts), part.depth
        before = scope.parts[-1] if scope.parts else None
        if before is None or before.start is None or before.result != part.start:
            pass  # it begins a run
        elif self.last_use.get(before.result, UNUSED) <= part.last:
            part.run, part.run_depth = before.run, max(before.run_depth, part.depth)
        scope.parts.append(part)

    def _item(self, path: str, result: str, core: ast.Core) -> ast.Item:
        claim: Shape | None = self.graph[result].shape if self.stated.shapes.get(path) == result else None
        return written.labelled(path.rpartition(".")[2], core, claim)

    def _sequence(self, scope: _Scope, parts: Sequence[_Part], current: str | None) -> Iterator[ast.Statement]:
        """Yield the statements of parts, with a reference where a part does not continue the one before."""
        for part in parts:
            if part.start is not None and part.start != current:
                yield self._reference(scope, part.start)
            yield part.statement
            current = part.result

    def _reference(self, scope: _Scope, name: str) -> ast.Item:
        """Return a reference to a node from a scope: by a path within it or within a scope around it, else by an absolute path."""
        for each in (scope, *reversed(self.stack)):
            if each.shared:
                if name in each.given:
                    return written.reference(each.given[name])
                break
        around = scope.path
        while around != "" and len(around) >= len(scope.edge):
            if name.startswith(f"{around}."):
                path = name[len(around) + 1 :]
                first = path.partition(".")[0]
                inner = scope.path
                while inner != around and join(inner, first) not in self.names:
                    inner = inner.rpartition(".")[0]
                if inner == around:
                    return written.reference(path)
            around = around.rpartition(".")[0]
        return written.reference(f".{name}" if scope.path else name)

    # ---- branches

    def _merge(self, scope: _Scope, node: Node, place: int) -> _Part:
        """Build a merge with its branches, which are taken from the end of the scope."""
        operands, parts = self.graph.operands(node.name), scope.parts
        runs = self._runs(parts, operands, place)
        at = min((begin for begin, _ in runs.values()), default=len(parts))
        starts = [parts[runs[slot][0]].start or "" if slot in runs else operand for slot, operand in enumerate(operands)]
        start = self._fork(scope, at, starts)
        if runs and starts.count(start) < 2 and starts[slot := min(runs)] == start:
            # Only one branch starts here: it is not a branch, but leads to the merge.
            at = runs.pop(slot)[1]
            start = starts[slot] = operands[slot]
        branches: list[list[ast.Statement]] = []
        for slot, begin in enumerate(starts):
            lead = [self._reference(scope, begin)] if begin != start else []
            branches.append([*lead, *(self._sequence(scope, parts[slice(*runs[slot])], begin) if slot in runs else ())])
        depth = 1 + max((parts[end - 1].run_depth for _, end in runs.values()), default=0)
        first = parts[at].first if runs else place
        if runs:
            del parts[at:]
        return _Part(self._item(node.name, node.name, written.merge(node, branches)), start, node.name, first, place, depth)

    def _runs(self, parts: Sequence[_Part], operands: Sequence[str], place: int) -> dict[int, tuple[int, int]]:
        """Return the operands that are the ends of consecutive runs at the end of a scope: slot -> the slice of its parts."""
        runs: dict[int, tuple[int, int]] = {}
        at = len(parts)
        for slot, operand in reversed(list(enumerate(operands))):
            end = parts[at - 1] if at else None
            once = self.uses[operand] == 1 and self.last_use[operand] == place
            if once and end is not None and end.result == operand and end.start is not None and end.run_depth < NESTED:
                runs[slot] = (end.run, at)
                at = end.run
            elif runs and self.position[operand] >= parts[at].first:
                return {}  # it is a node inside the branch after it
        return runs

    def _fork(self, scope: _Scope, at: int, starts: Sequence[str]) -> str:
        """Choose the node that a merge starts from: the current one if two branches start there, or if no other node has two."""
        counts = Counter(starts)
        often = max(counts, key=lambda name: (counts[name], self.position[name]))
        current = scope.parts[at - 1].result if at else scope.incoming
        if current is not None and (counts[current] >= 2 or counts[often] < 2) and (at or current in counts):
            return current
        return often

    # ---- the file

    def statements(self) -> Iterator[ast.Statement]:
        """Yield the statements of the program. An `expect` or `output` line follows the nodes that it is about."""
        top = self.stack[0]
        yield from written.header(self.graph, self.graph.title)
        yield from top.shares.values()
        chains, lines = self._outputs(top)
        expects = list(reversed(self.stated.expects))
        current: str | None = None
        place = 0
        while place <= len(top.parts):
            for name in lines.get(place, ()):
                output = self.graph.outputs[name]
                lead = [self._reference(top, output.node)] if output.node != current else []
                yield written.output_line(name, output.training_only, lead)
            while expects and (place == len(top.parts) or expects[-1][0] <= top.parts[place].first):
                yield expects.pop()[1]
            if place in chains:
                name, end = chains[place]
                chain = self._sequence(top, top.parts[place:end], current)
                yield written.output_line(name, self.graph.outputs[name].training_only, list(chain))
                place = end
            elif place < len(top.parts):
                yield from self._sequence(top, top.parts[place : place + 1], current)
                current = top.parts[place].result
                place += 1
            else:
                return

    def _outputs(self, top: _Scope) -> tuple[dict[int, tuple[str, int]], dict[int, list[str]]]:
        """Return where outputs are written: chains, first part -> name and end; and the names of other outputs, by the part after them."""
        chains: dict[int, tuple[str, int]] = {}
        lines: dict[int, list[str]] = {}
        ends = {part.result: place + 1 for place, part in enumerate(top.parts)}
        main = [name for name, output in self.graph.outputs.items() if not output.training_only]
        least = 0
        for name, output in self.graph.outputs.items():
            end = ends.get(output.node, len(top.parts))
            begin = top.parts[end - 1].run
            if main == [IMPLIED] == [name]:
                continue
            if name not in main[-1:] and begin >= least and self._is_chain(top, begin, end, output.node):
                chains[begin] = (name, end)
                least = end
            else:
                least = max(least, end)
                lines.setdefault(least, []).append(name)
        covered = {place for begin, (_, end) in chains.items() for place in range(begin, end)}
        trunk = [part.result for place, part in enumerate(top.parts) if place not in covered]
        if main == [IMPLIED] and trunk[-1:] != [self.graph.outputs[IMPLIED].node]:
            lines.setdefault(len(top.parts), []).append(IMPLIED)
        return chains, lines

    def _is_chain(self, top: _Scope, begin: int, end: int, node: str) -> bool:
        """Return whether parts lead from a node with other users to an output that no node takes."""
        start = top.parts[begin].start
        if start is None or top.parts[end - 1].result != node or self.uses[node]:
            return False
        inside = begin > 0 and top.parts[begin - 1].result == start and self.last_use.get(start, UNUSED) <= top.parts[end - 1].last
        return not inside


def _references(body: Sequence[ast.Statement]) -> int:
    return sum(isinstance(node, ast.Ref) for statement in body for node in ast.walk(statement))


def _around(name: str) -> Iterator[str]:
    """Yield the scopes around a node, the innermost first."""
    while name := name.rpartition(".")[0]:
        yield name


def _keys(graph: ArchGraph) -> dict[str, str]:
    """Return the path of the weights of each scope, where its nodes, or those of a scope in it, determine it."""
    keys: dict[str, str] = {}
    scopes: dict[str, None] = {}
    for node in graph:
        scopes.update(dict.fromkeys(reversed(list(_around(node.name)))))
        path, _, name = node.name.rpartition(".")
        key, _, last = node.key.rpartition(".")
        if last == name:
            keys.setdefault(path, key)
    for scope in reversed(scopes):
        path, _, name = scope.rpartition(".")
        key, _, last = keys.get(scope, "").rpartition(".")
        if last == name:
            keys.setdefault(path, key)
    return keys
