"""Cut a network into stages that run one after another, each on a device of its own: where few values cross, and the stages balance.

Every cut is a place in the order of the nodes. The values that cross it are sent; of those, the ones that a later stage needs pass
through the stages between. The best cuts are found by dynamic programming over all places, so none that are allowed are better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from archc.compiler.analysis.cost import holes_of, node_macs, node_params
from archc.compiler.analysis.memory import BYTES, OPTIMIZERS, OpenSizes, buffers_of, saved_by
from archc.compiler.errors import UsageError, at_least, one_of
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import product

MEASURES = ("macs", "memory")
SLACK = 1.05  # the largest stage may be so much larger than in the most even cuts, if less is sent then
MOST = 4  # values that cross a cut, besides outputs that were computed before it
WIDTH = 4  # bytes of a number on the wire, which is sent in float32


@dataclass(frozen=True)
class Cut:
    """A place where a network can be cut: before the node number `at`.

    `label` is the outermost label that begins there; `crossing` are the nodes whose values are sent, `sent` their bytes for one sample.
    """

    at: int
    label: str
    crossing: tuple[str, ...]
    sent: int
    inside: int  # how deep the label lies in others, and 1 more in the middle of an item


@dataclass(frozen=True)
class Stage:
    """Consecutive nodes that run on one device, and what they need there.

    `macs` are for one sample, of the forward pass. `memory` are the bytes in training: weights, gradients, states of the optimizer,
    buffers, and for each of the `held` micro-batches under way what the backward pass needs. `cut` is its beginning, None for the first.
    """

    first: str
    last: str
    nodes: int
    macs: int
    params: int
    memory: int
    activations: int  # the part of `memory` that is kept for backward
    held: int
    cut: Cut | None = None


@dataclass(frozen=True)
class Cutting:
    """Stages of a network, and how good they are: the largest stage, that of the most even cuts, and an even share of the whole."""

    stages: tuple[Stage, ...]
    places: int  # cuts that were weighed
    by: str
    largest: float
    best: float
    even: float

    @property
    def starts(self) -> tuple[str, ...]:
        """The names of the nodes that stages after the first begin with."""
        return tuple(stage.first for stage in self.stages[1:])


@dataclass(frozen=True)
class Setting:
    """What memory is counted for: a dtype, samples of a micro-batch, micro-batches of a step, an optimizer. Raises UsageError."""

    dtype: str = "float32"
    batch: int = 1
    passes: int = 0  # 0: as many as stages
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        one_of("dtype", self.dtype, tuple(BYTES))
        one_of("optimizer", self.optimizer, tuple(OPTIMIZERS))
        at_least("batch", self.batch, 1)


def places(graph: ArchGraph) -> list[Cut]:
    """Return the places where a network can be cut, in order.

    There are weights on both sides; at most a few values cross; and no weights are used on both sides.
    """
    nodes = list(graph)
    order = {node.name: number for number, node in enumerate(nodes)}
    outputs = {output.node for output in graph.outputs.values()}
    ends = [_last_use(graph, node, order, outputs) for node in nodes]
    last_of_key = {node.key: number for number, node in enumerate(nodes)}
    weighty = [number for number, node in enumerate(nodes) if node_params(graph, node)]
    found: list[Cut] = []
    waiting: list[int] = []  # numbers of the values that are still needed
    shared_until = -1
    for at, node in enumerate(nodes):
        waiting = [number for number in waiting if ends[number] >= at]
        if weighty and weighty[0] < at <= weighty[-1] and shared_until < at:
            done = [number for number in waiting if nodes[number].name in outputs]
            if len(waiting) - len(done) <= MOST and not any(nodes[number].is_input for number in range(at, len(nodes))):
                found.append(_cut(at, nodes, waiting))
        waiting.append(at)
        shared_until = max(
            shared_until, last_of_key[node.key] if node.operator.weights(node.call) or node.operator.buffers(node.call) else -1
        )
    return found


def _last_use(graph: ArchGraph, node: Node, order: dict[str, int], outputs: set[str]) -> int:
    return len(order) if node.name in outputs else max((order[user] for user in graph.users(node.name)), default=-1)


def _cut(at: int, nodes: Sequence[Node], waiting: Sequence[int]) -> Cut:
    node = nodes[at]
    before, path = nodes[at - 1].name.split("."), node.name.split(".")
    same = next((level for level, (a, b) in enumerate(zip(before, path, strict=False)) if a != b), 0)
    attached = node.operator.is_attached and nodes[at - 1] in node.operands
    sent = sum(_count(nodes[number]) for number in waiting) * WIDTH
    return Cut(at, ".".join(path[: same + 1]), tuple(nodes[number].name for number in waiting), sent, same + attached)


def _count(node: Node) -> int:
    size = product(node.shape)
    assert isinstance(size, int)
    return size


class _Sums:
    """What consecutive nodes need together, by sums over the nodes before each place."""

    def __init__(self, graph: ArchGraph, setting: Setting) -> None:
        nodes = list(graph)
        size = BYTES[setting.dtype]
        seen: set[str] = set()
        own = [node if node.key not in seen and not seen.add(node.key) else None for node in nodes]  # type: ignore[func-returns-value]
        saved = saved_by(graph, size, setting.batch)
        params = [node_params(graph, node) if node else 0 for node in own]
        stored = [buffers_of(node, size) if node else 0 for node in own]
        self.macs = _before([_macs(graph, node) for node in nodes])
        self.params = _before(params)
        copies = 2 + OPTIMIZERS[setting.optimizer]  # weights, gradients, states
        self.fixed = _before([count * size * copies + bytes_ for count, bytes_ in zip(params, stored, strict=True)])
        self.saved = _before([saved[node.name] for node in nodes])
        self.crossing = {
            cut.at: (
                _values(graph, cut.crossing, size * setting.batch),
                _values(graph, [n for n in cut.crossing if not saved[n]], size * setting.batch),
            )
            for cut in places(graph)
        }  # by place: the bytes of the values that cross it, and of those that are kept for that alone

    def activations(self, begin: int, end: int) -> int:
        """Return the bytes that a stage keeps of one micro-batch: what it received, what backward needs, what it sent."""
        received = self.crossing.get(begin, (0, 0))[0]
        return received + self.saved[end] - self.saved[begin] + self.crossing.get(end, (0, 0))[1]


def _before(counts: Sequence[int]) -> list[int]:
    return list(accumulate(counts, initial=0))


def _values(graph: ArchGraph, names: Sequence[str], width: int) -> int:
    return sum(_count(graph[name]) for name in names) * width


def _macs(graph: ArchGraph, node: Node) -> int:
    macs = node_macs(graph, node)
    assert isinstance(macs, int)
    return macs


def cut_in(graph: ArchGraph, stages: int, by: str = "macs", setting: Setting | None = None, at: Sequence[str] = ()) -> Cutting:
    """Cut a network into stages.

    By `macs`, the largest number of multiply-accumulates of a stage is as small as possible; by `memory`, the most bytes. Of cuts that come
    within 5 % of that, those are taken at which the fewest bytes cross, and of these those at the outermost labels. `at` names the labels
    at which later stages begin, in place of that. Raises OpenSizes, and UsageError where there are not so many stages.
    """
    one_of("by", by, MEASURES)
    setting = setting or Setting()
    if graph.unknowns:
        raise OpenSizes(graph)
    if holes := holes_of(graph):
        raise UsageError(f"{graph.name} holds {holes[0].name}, which nothing computes: it cannot be run in stages")
    found = places(graph)
    if at:
        chosen = _named(graph, found, at)
        stages = len(chosen) + 1
    at_least("stages", stages, 1)
    if stages > len(found) + 1:
        raise UsageError(_too_many(graph, stages, len(found) + 1), option="stages", given=stages)
    sums = _Sums(graph, setting)
    ends = [*(cut.at for cut in found), len(graph)]
    passes = setting.passes or stages

    def weight(number: int, begin: int, end: int) -> int:
        if by == "macs":
            return sums.macs[end] - sums.macs[begin]
        return sums.fixed[end] - sums.fixed[begin] + min(stages - number, passes) * sums.activations(begin, end)

    grows = by == "macs"  # an earlier beginning never makes a stage lighter; of memory it may, where fewer values cross there
    most_even = _most_even(ends, stages, weight, grows)
    if not at:
        chosen = _cheapest(found, len(graph), stages, weight, most_even * SLACK, grows)
    bounds = [0, *(cut.at for cut in chosen), len(graph)]
    nodes = list(graph)
    made = []
    for number, (begin, end) in enumerate(pairwise(bounds)):
        held = min(stages - number, passes)
        activations = held * sums.activations(begin, end)
        made.append(
            Stage(
                nodes[begin].name,
                nodes[end - 1].name,
                end - begin,
                sums.macs[end] - sums.macs[begin],
                sums.params[end] - sums.params[begin],
                sums.fixed[end] - sums.fixed[begin] + activations,
                activations,
                held,
                chosen[number - 1] if number else None,
            )
        )
    whole = sums.macs[-1] if by == "macs" else sum(stage.memory for stage in made)
    largest = max(weight(number, begin, end) for number, (begin, end) in enumerate(pairwise(bounds)))
    return Cutting(tuple(made), len(found), by, largest, most_even, whole / stages)


def _too_many(graph: ArchGraph, stages: int, most: int) -> str:
    why = f"{graph.name} can be cut into at most {most} stages" if most > 1 else f"{graph.name} cannot be cut"
    longest, ends = "", (0, 0)
    order = {node.name: number for number, node in enumerate(graph)}
    first: dict[str, Node] = {}
    for node in graph:
        begin = first.setdefault(node.key, node)
        if order[node.name] - order[begin.name] > ends[1] - ends[0]:
            longest, ends = (
                f": {begin.name} and {node.name} share their weights, which are in one stage then",
                (order[begin.name], order[node.name]),
            )
    return f"is {stages}, and {why}{longest or f', at places where at most {MOST} values cross and both sides have weights'}"


def _named(graph: ArchGraph, found: Sequence[Cut], labels: Sequence[str]) -> list[Cut]:
    """Return the cuts before some labels, in order. Raises UsageError for a label that is none, or where the network cannot be cut."""
    starts: dict[str, int] = {}
    for number, node in enumerate(graph):
        path = node.name.split(".")
        for level in range(len(path)):
            starts.setdefault(".".join(path[: level + 1]), number)
    by_place = {cut.at: cut for cut in found}
    chosen = {}
    for label in labels:
        if label not in starts:
            raise UsageError(f"names {label}, and {graph.name} has no such label", option="at", given=label, known=starts)
        if starts[label] not in by_place:
            why = (
                f"{graph.name} cannot be cut before {label}: weights on both sides, few values that cross and no shared weights are needed"
            )
            raise UsageError(f"names {label}, and {why}", option="at", given=label, known=[cut.label for cut in found])
        chosen[starts[label]] = by_place[starts[label]]
    return [chosen[number] for number in sorted(chosen)]


Weight = Callable[[int, int, int], int]  # of a stage: its number, and the numbers of its first node and of the one after its last


def _most_even(ends: Sequence[int], stages: int, weight: Weight, grows: bool) -> int:
    """Return the smallest possible weight of the heaviest stage.

    `ends` are the places where a stage may end, the last one the end. `grows`: a stage that begins earlier is no lighter.
    """
    best: list[int | None] = [weight(0, 0, end) for end in ends]
    for number in range(1, stages):
        following: list[int | None] = [None] * len(ends)
        for last in range(number, len(ends)):
            for before in range(last - 1, number - 2, -1):
                own = weight(number, ends[before], ends[last])
                reached = best[before]
                if grows and following[last] is not None and own >= following[last]:  # type: ignore[operator]
                    break
                if reached is not None and (following[last] is None or max(reached, own) < following[last]):  # type: ignore[operator]
                    following[last] = max(reached, own)
        best = following
    assert best[-1] is not None
    return best[-1]


def _cheapest(found: Sequence[Cut], end: int, stages: int, weight: Weight, limit: float, grows: bool) -> list[Cut]:
    """Return the cuts at which the fewest bytes cross, and then the outermost ones, of those with no stage heavier than `limit`."""
    ends = [*(cut.at for cut in found), end]
    costs = [*((cut.sent, cut.inside) for cut in found), (0, 0)]
    Way = tuple[tuple[int, int], tuple[int, ...]]
    ways: list[Way | None] = [(costs[number], (number,)) if weight(0, 0, at) <= limit else None for number, at in enumerate(ends)]
    for number in range(1, stages):
        following: list[Way | None] = [None] * len(ends)
        for last in range(number, len(ends)):
            for before in range(last - 1, number - 2, -1):
                heavy = weight(number, ends[before], ends[last]) > limit
                if heavy and grows:
                    break
                way = ways[before]
                if way is None or heavy:
                    continue
                cost = (way[0][0] + costs[last][0], way[0][1] + costs[last][1])
                if following[last] is None or cost < following[last][0]:  # type: ignore[index]
                    following[last] = (cost, (*way[1], last))
        ways = following
    assert ways[-1] is not None
    return [found[number] for number in ways[-1][1][:-1]]
