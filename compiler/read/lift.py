"""Lift a graph to items: its scopes, merges and references, without the labels and the operators that the language adds by itself.

The nesting is that of `archc expand` (`analysis/nesting.py`). Names that the language would give anyway are marked; a scope is numbered
where this saves labels. The `flatten` in front of a fully connected layer goes, and a normalization and an activation become the
options `norm` and `act` of the layer before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from archc.compiler.analysis.nesting import Program, Stated, _Scope
from archc.compiler.analysis.notation import unusual_options
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops import operator_of
from archc.compiler.ops.kinds import NONE, PerAxis, Text, Word
from archc.compiler.read.items import Body, Given, Group, Item, Line, Op, Out, Ref, Shared, SharedCall
from archc.dsl import ast

HERE = (True,)  # the presence of an item in a body with one instance


class Located(Program):
    """A program that remembers which node each of its references is to."""

    def __init__(self, graph: ArchGraph) -> None:
        self.targets: dict[int, tuple[ast.Core, str]] = {}
        super().__init__(graph, Stated())

    def _reference(self, scope: _Scope, name: str) -> ast.Item:
        item = super()._reference(scope, name)
        if all(not each.shared for each in (scope, *self.stack)):
            self.targets[id(item.core)] = item.core, name
        return item


class Lift:
    """The nesting of a graph, found once; each call of `items` makes new items. Raises ValueError for names that cannot be written."""

    def __init__(self, graph: ArchGraph) -> None:
        self.graph = graph
        self.program = Located(graph)
        self.statements = list(self.program.statements())

    def items(self) -> Body:
        """Return the items of the graph."""
        return _Lifter(self.graph, self.program).file(self.statements)


class _Naming:
    """The names of one scope as the language counts them."""

    def __init__(self) -> None:
        self.named: Body = []  # whose names take a position
        self.counted: dict[int, bool] = {}  # whether an item has the name that counting gives it
        self.counts: Counter[str] = Counter()
        self.last: dict[int, str] = {}  # the last items of outputs, which are named as these where they have no label

    def add(self, item: Item, kind: str) -> None:
        self.counts[kind] += 1
        self.counted[id(item)] = item.names == (f"{kind}{self.counts[kind]}",)
        self.named.append(item)

    def settle(self, may_be_numbered: bool) -> bool:
        """Mark the names that need no label, and return whether the scope is numbered.

        A `flatten` that a layer brings takes no position.
        """
        at: list[bool] = []
        place = 0
        for item, after in zip_longest(self.named, self.named[1:]):
            implied = self.counted[id(item)] and _is_flattening(item, after)
            at.append(implied or item.names == (str(place),))
            place += not implied
        numbered = may_be_numbered and sum(at) > sum(self.counted.values())
        for item, placed in zip(self.named, at, strict=True):
            counted = placed if numbered else self.counted[id(item)]
            item.auto = item.names == (self.last[id(item)],) if id(item) in self.last else counted
        return numbered


class _Lifter:
    def __init__(self, graph: ArchGraph, program: Located) -> None:
        self.graph = graph
        self.program = program
        self.calls: dict[str, str] = {}  # the key of each scope -> the first scope with this key
        for path, key in program.keys.items():
            self.calls.setdefault(key, path)
        self.last: dict[str, str] = {}  # the last node of each scope
        for node in graph:
            path = node.name
            while path := path.rpartition(".")[0]:
                self.last[path] = node.name
        self.stated = {output.node for output in graph.outputs.values()}

    def file(self, statements: Sequence[ast.Statement]) -> Body:
        naming = _Naming()
        body, _ = self.body(statements, "", "", naming)
        naming.settle(may_be_numbered=False)
        return self.joined(body)

    def scope(self, statements: Sequence[ast.Statement], path: str, current: str, may_be_numbered: bool = True) -> tuple[Body, bool, str]:
        """Return the body of a scope, whether it is numbered, and the node of its last tensor."""
        naming = _Naming()
        body, result = self.body(statements, path, current, naming)
        numbered = naming.settle(may_be_numbered)
        return self.joined(body), numbered, result

    def body(self, statements: Sequence[ast.Statement], path: str, current: str, naming: _Naming) -> tuple[Body, str]:
        body: Body = []
        for statement in statements:
            match statement:
                case ast.Input():
                    current = statement.name
                    body.append(Line((current,), True, ("",), HERE, statement))
                case ast.Output():
                    inner, _ = self.body(statement.chain, path, current, naming)
                    training = bool(statement.args)
                    if inner:
                        naming.last[id(inner[-1])] = statement.name
                    body.append(Out(("",), True, (current,), HERE, statement.name, training, inner))
                case ast.Share():
                    call = self.calls[f"{self.key(path)}.{statement.name}" if path else statement.name]
                    inner, _, _ = self.scope(statement.body, call, "", may_be_numbered=False)
                    params = tuple(param.name for param in statement.params)
                    body.append(Shared(("",), True, ("",), HERE, statement.name, params, inner))
                case ast.Item():
                    item, current = self.item(statement, path, current, naming)
                    body.append(item)
                case ast.Arch():
                    pass
                case _:
                    raise TypeError(f"{type(statement).__name__} is in no expanded program")
        return body, current

    def key(self, path: str) -> str:
        return self.program.keys.get(path, path)

    def item(self, item: ast.Item, path: str, current: str, naming: _Naming) -> tuple[Item, str]:
        core = item.core
        if item.label is None:
            if id(core) in self.program.targets:
                target = self.program.targets[id(core)][1]
                return Ref(("",), True, (current,), HERE, (target,), (path,)), target
            return Given(("",), True, (current,), HERE, core), current
        name = item.label.text
        inner = f"{path}.{name}" if path else name
        common = ((name,), False, (current,), HERE)
        if isinstance(core, ast.Group):
            body, numbered, result = self.scope(core.body, inner, current)
            made: Item = Group(*common, (inner,), body, numbered)
            naming.add(made, "seq")
            return made, result
        if inner not in self.graph:
            assert isinstance(core, ast.Op)
            refs = [ast.Item(item.span, None, arg.value, None, None) for arg in core.args if isinstance(arg.value, ast.Ref)]
            made = SharedCall(*common, core.word, (self.last[inner],), [self.item(ref, path, current, naming)[0] for ref in refs])
            naming.add(made, core.word)
            return made, self.last[inner]
        node = self.graph[inner]
        branches: list[Body] | None = None
        if isinstance(core, ast.Merge):
            branches = []
            for branch in core.branches:
                inside, _ = self.body([each for each in branch if not _is_here(each)], path, current, naming)
                branches.append(inside)
        op = Op(*common, node.op, options(node), (inner,), branches)
        naming.add(op, node.op)
        if node.operator.followers:
            op.values |= {"norm": (NONE,), "act": (NONE,)}
        return op, inner

    # ---- what operators bring with them

    def joined(self, body: Body) -> Body:
        """Join operators with the `flatten` before them, and with the normalization and the activation after them."""
        done: Body = []
        for item in body:
            match item:
                case Op(branches=list() as branches):
                    item.branches = [self.joined(branch) for branch in branches]
                case Out():
                    item.body = [*self.joined(item.body[:-1]), *item.body[-1:]]
            before = done[-1] if done else None
            if isinstance(item, Op) and isinstance(before, Op) and item.taken == before.nodes:
                if self.follows(before, item):
                    continue
                if self.is_flattened(before, item):
                    item.taken = before.taken
                    done.pop()
            done.append(item)
        return done

    def is_flattened(self, before: Op, item: Op) -> bool:
        """Return whether an operator that flattens would bring the `flatten` before it."""
        node = self.graph[before.nodes[0]]
        return (
            _is_flattening(before, item)
            and before.auto
            and before.names[0].startswith(node.op)
            and not node.place
            and not unusual_options(node)
            and len(node.operands[0].shape) > 1
        )

    def follows(self, layer: Op, item: Op) -> bool:
        """Make an operator the `norm` or the `act` of the layer before it, and return whether it can be that."""
        node = self.graph[item.nodes[0]]
        option = {"normalization": "norm", "activation": "act"}.get(node.operator.family, "")
        if "norm" not in layer.values or not option or not item.auto or item.branches is not None:
            return False
        if layer.values["act"] != (NONE,) or layer.values[option] != (NONE,):
            return False
        if node.place or node.operator.identity_in_eval or node.operator.operands != (1, 1):
            return False
        before = self.graph[layer.nodes[0]]
        if before.name in self.stated or len(self.graph.users(before.name)) != 1:  # its name would mean the tensor after all three
            return False
        settings = options(node)
        if any(isinstance(value, (tuple, Text)) for (value,) in settings.values()):
            return False
        layer.values[option] = (Word(node.op, tuple((name, _word(value)) for name, (value,) in settings.items())),)
        layer.nodes = item.nodes
        return True


def _is_flattening(item: Item, after: Item | None) -> bool:
    """Return whether an item unrolls its input, and the one after it would do that itself."""
    if not (isinstance(item, Op) and isinstance(after, Op)):
        return False
    return operator_of(item.op).unrolls and operator_of(after.op).flattens and after.taken == item.nodes


def _word(value: object) -> object:
    return Word(value) if isinstance(value, str) else value


def _is_here(statement: ast.Statement) -> bool:
    return isinstance(statement, ast.Item) and isinstance(statement.core, ast.Here) and statement.label is None


def options(node: Node) -> dict[str, tuple[object]]:
    """Return the options of a node, each as a column; one number where it is the same along every axis."""
    values: dict[str, tuple[object]] = {}
    for attr in node.operator.attrs:
        value = node.attrs[attr.name]
        if attr.name == node.operator.gathers:
            values |= {name: (size,) for name, size in value.args}
            continue
        if isinstance(value, tuple) and isinstance(getattr(attr.kind, "kind", attr.kind), PerAxis) and len(set(value)) == 1:
            value = value[0]
        values[attr.name] = (value,)
    if node.place:
        values["place"] = (node.place,)
    return values
