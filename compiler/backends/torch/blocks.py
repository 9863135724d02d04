"""Scopes of a network as modules, each with its own graph and a forward that is compiled from it."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

from torch import Tensor, fx, nn
from torch.fx.graph import PythonCode
from torch.fx.graph_module import _forward_from_src
from torch.fx.node import _get_qualified_name, map_aggregate

Graphs = tuple[fx.Graph, fx.Graph]  # for evaluation and for training; often the same object


@dataclass
class Form:
    """A graph, the Python code compiled from it, and the class that has the code as its forward."""

    graph: fx.Graph
    kind: type[Block]
    code: PythonCode


_kinds: weakref.WeakValueDictionary[Any, type[Block]] = weakref.WeakValueDictionary()


def _form(base: type[Block], name: str, graph: fx.Graph) -> Form:
    """Compile a graph. Equal blocks share a class, so equal graphs are compiled once."""
    signature = (base, name, *((n.op, n.name, n.target, _texts(n.args), _texts(n.kwargs.items())) for n in graph.nodes))
    standard = type(graph._codegen) is fx.graph.CodeGen
    kind = _kinds.get(signature) if standard else None
    if kind is None:
        code = graph.python_code(root_module="self")
        members = {"_python": code, "__module__": base.__module__, "forward": _forward_from_src(code.src, code.globals)}
        kind = type(name, (base,), members)
        if standard:
            _kinds[signature] = kind
    return Form(graph, kind, vars(kind)["_python"])


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    """Return arguments as text, in which nodes appear by name."""
    return tuple(map(repr, values))


def _written(kind: type[Block]) -> type[Block]:
    """Return the class that a generated class was derived from; any other class itself."""
    return next(base for base in kind.__mro__ if "_python" not in vars(base))


class Block(fx.GraphModule):
    """A GraphModule that may have a graph for each mode, and shares its class with blocks that have the same code.

    Takes the tensors that enter the scope, in the order in which it uses them. Returns the tensor that leaves it, or a tuple of several.
    """

    # No class annotations here: TorchScript reads them.

    def __new__(cls, *args: Any, **kwargs: Any) -> Block:
        block: Block = object.__new__(cls)  # GraphModule would create a class for each instance
        return block

    def __init__(self, name: str, graphs: Graphs, members: Mapping[str, nn.Module | nn.Parameter]) -> None:
        nn.Module.__init__(self)
        # The attributes that GraphModule expects; its constructor would copy members and graphs.
        self._tracer_cls = None
        self._tracer_extras = {}
        self.meta = {}
        self._replace_hooks, self._create_node_hooks, self._erase_node_hooks, self._deepcopy_hooks = [], [], [], []
        self.shape_env = None
        self._name = name  # of the classes that are generated for its code
        for label, member in members.items():
            if isinstance(member, nn.Parameter):
                self.register_parameter(label, member)
            else:
                self.add_module(label, member)
        self._take_graphs(graphs)

    def _take_graphs(self, graphs: Graphs) -> None:
        for graph in graphs:
            graph.owning_module = self
        evaluation, training = graphs
        base = _written(type(self))
        form = _form(base, self._name, training)
        other = form if evaluation is training else _form(base, self._name, evaluation)
        self._forms: tuple[Form, Form] | None = None if other.kind is form.kind else (other, form)
        self._take(form if self._forms is None else self._forms[self.training])

    def _take(self, form: Form) -> None:
        self._graph = form.graph
        object.__setattr__(self, "__class__", form.kind)
        self._code, self._lineno_map, self._prologue_start = form.code.src, form.code._lineno_map, form.code._prologue_start

    def recompile(self) -> PythonCode:
        """Compile the graph of the current mode after a change, and return its code. Changes the class of the block."""
        form = _form(_written(type(self)), self._name, self._graph)
        if self._forms is not None:
            self._forms = (self._forms[0], form) if self.training else (form, self._forms[1])
        self._take(form)
        self._recompile_submodules()
        return form.code

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        forms: tuple[Form, Form] | None = self.__dict__.get("_forms") if name == "training" else None
        if forms is not None:
            self._take(forms[bool(value)])

    def _form_of(self, training: bool) -> type[Block]:
        """Return the class that has the forward of a mode. Blocks with equal graphs have the same class."""
        return type(self) if self._forms is None else self._forms[training].kind

    # ---- copies, through plain data: the linked nodes of a graph would exceed pickle's recursion limit

    def _state(self) -> dict[str, Any]:
        graphs = [form.graph for form in self._forms] if self._forms else [self._graph]
        left_out = ("_graph", "_forms", "_code", "_lineno_map", "_prologue_start")
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return {**state, "_graphs": [_rows(graph) for graph in graphs]}

    def _revive(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        graphs = [_graph(rows) for rows in self.__dict__.pop("_graphs")]
        self._take_graphs((graphs[0], graphs[-1]))

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (_written(type(self)), self._state())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Block:
        memo = {} if memo is None else memo
        block: Block = object.__new__(_written(type(self)))
        memo[id(self)] = block
        block._revive(copy.deepcopy(self._state(), memo))
        return block

    def __copy__(self) -> Block:
        """Return a block with the same members and parameters, and graphs of its own."""
        block = _revived(_written(type(self)), self._state())
        for table in ("_parameters", "_buffers", "_modules"):
            block.__dict__[table] = self.__dict__[table].copy()
        return block

    def _replicate_for_data_parallel(self) -> Block:
        replica: Block = nn.Module._replicate_for_data_parallel(self)  # type: ignore[no-untyped-call]
        return replica


def _revived(base: type[Block], state: Mapping[str, Any]) -> Block:
    block: Block = object.__new__(base)
    block._revive(state)
    return block


class NumberedBlock(Block):
    """A block whose members are numbered. An index is such a number; the numbers of functions, which are not modules, are missing."""

    def __len__(self) -> int:
        return len(self._modules)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.children())

    def __getitem__(self, index: int | slice) -> nn.Module:
        if isinstance(index, slice):
            last = int(list(self._modules)[-1])
            numbers = map(str, range(*index.indices(last + 1)))
            return nn.ModuleList(self.get_submodule(number) for number in numbers if number in self._modules)
        return self.get_submodule(self._numbered(index))

    def __setitem__(self, index: int, module: nn.Module) -> None:
        setattr(self, self._numbered(index), module)

    def _numbered(self, index: int) -> str:
        names = list(self._modules)
        if index < 0 and -index <= len(names):
            return names[index]
        if str(index) not in names:
            raise IndexError(f"no module has the number {index}; the numbers are {', '.join(names)}")
        return str(index)


class Chain(nn.Sequential):
    """A scope that only runs its members in sequence. `meta` holds their origins, as the metadata of fx nodes does."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.meta: dict[str, Any] = {}


def is_chain(graph: fx.Graph, length: int) -> bool:
    """Return whether a graph calls the modules 0, 1, 2, ..., `length` of them, in sequence, and nothing else."""
    before, *calls, last = graph.nodes
    if before.op != "placeholder" or len(calls) != length:
        return False
    for number, call in enumerate(calls):
        if call.op != "call_module" or call.target != str(number) or call.args != (before,):
            return False
        before = call
    return bool(last.args == (before,))


# ---- scopes that cannot be modules


class Scope(nn.Module):
    """The modules of a scope without a forward of its own; the scope around it runs them. Calling it raises NotImplementedError."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__()
        self._path, self._reason = path, reason

    def forward(self, *inputs: Tensor) -> NoReturn:
        raise NotImplementedError(f"{self._path} cannot be called by itself: {self._reason}; call its members")


class NumberedScope(Scope, nn.ModuleList):
    """Like `Scope`, for members that are numbered 0, 1, 2, ..."""

    def __getitem__(self, index: Any) -> Any:
        return nn.ModuleList(list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)


# ---- graphs as plain data


@dataclass(frozen=True)
class _At:
    """A reference to the node of a row."""

    row: int


def _rows(graph: fx.Graph) -> list[tuple[Any, ...]]:
    places = {node: _At(row) for row, node in enumerate(graph.nodes)}

    def plain(part: Any) -> Any:
        return places[part] if isinstance(part, fx.Node) else part

    return [
        (n.op, n.name, _named(n.target), map_aggregate(n.args, plain), map_aggregate(n.kwargs, plain), copy.copy(n.meta))
        for n in graph.nodes
    ]


def _named(target: Any) -> Any:
    """Return a function as (module, name) where these resolve to it, since some functions of torch cannot be pickled."""
    if isinstance(target, str):
        return target
    module, _, name = _get_qualified_name(target).rpartition(".")
    try:
        return (module, name) if getattr(import_module(module), name) is target else target
    except (ImportError, AttributeError):
        return target


def _graph(rows: list[tuple[Any, ...]]) -> fx.Graph:
    graph = fx.Graph()
    nodes: list[fx.Node] = []

    def real(part: Any) -> Any:
        return nodes[part.row] if isinstance(part, _At) else part

    for op, name, target, args, kwargs, meta in rows:
        resolved = getattr(import_module(target[0]), target[1]) if isinstance(target, tuple) else target
        node = graph.create_node(op, resolved, map_aggregate(args, real), map_aggregate(kwargs, real), name=name)
        node.meta.update(meta)
        nodes.append(node)
    return graph
