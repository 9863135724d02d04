"""Attention over a video whose queries, keys and values are pooled."""

from __future__ import annotations

from math import prod
from typing import Any

from archc.compiler.ops import receptive
from archc.compiler.ops.attention import heads_divide
from archc.compiler.ops.faults import OpenCount, ShapeFault
from archc.compiler.ops.kinds import SMALLEST, Flag, Optional, PerAxis, Real, Whole, Word
from archc.compiler.ops.memory import Memory, always, channels_last
from archc.compiler.ops.record import AXES, REQUIRED, Attr, Call, Operator, Weights
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.compiler.shapes.window import Window
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

ROW = "a row of a class token and the positions of a video, as in `96x1569`"
NAMES = {"q": "q", "k": "kv", "v": "kv"}  # what is pooled -> the end of the names of its options


def width(call: Call) -> int:
    """Return the channels of the result, and so of queries, keys and values."""
    out: int | None = call.attrs["out"]
    return call.channels if out is None else out


def _window(call: Call, which: str) -> Window:
    kernel, stride = call.attrs[f"kernel_{which}"], call.attrs[f"stride_{which}"]
    return Window.of({"kernel": kernel, "stride": stride, "pad": tuple(size // 2 for size in kernel)})


def _pools(call: Call, which: str) -> bool:
    """Return whether queries, `q`, or keys and values, `kv`, are pooled: not by a window of one position that moves by one."""
    window = _window(call, which)
    return prod(window.kernel) * prod(window.stride) > 1


def sizes(call: Call, which: str) -> Shape:
    """Return the sizes of the video of queries, `q`, or of keys and values, `kv`."""
    window = _window(call, which)
    return tuple(window.size(axis, size) for axis, size in enumerate(call.attrs["sizes"]))


def positions(call: Call, which: str) -> Dim:
    """Count the positions of queries, `q`, or of keys and values, `kv`, without the class token."""
    return product(sizes(call, which))


def pooled_shape(call: Call) -> Shape:
    """Return the channels, and the class token with the positions of the queries. Raises Fault where heads or sizes do not fit."""
    if call.axes != 1:
        help_text = "`tokens` before it makes a row of a map, and a `concat(axis=w)` puts a class token first" if call.axes > 1 else ""
        raise Fault(says.wrong_rank("pooled_attention", ROW, show_shape(call.x), help_text))
    heads, out = call.attrs["heads"], width(call)
    heads_divide(heads, out, "of the input" if call.attrs["out"] is None else "of `out`")
    count = product(call.attrs["sizes"])
    if not call.equal(1 + count, call.x[1]):
        written = f"1 + {'*'.join(map(str, call.attrs['sizes']))} = {1 + count}"
        allowed = f"the number of tokens, {call.x[1]}"
        missing = "the class token is missing: put `concat(axis=w)<learned(1) | .>` before it" if count == call.x[1] else ""
        raise Fault(says.out_of_range("the number of a class token and all positions", written, allowed, "sizes", instead=missing))
    tables(call)
    return (out, 1 + positions(call, "q"))


def tables(call: Call) -> tuple[int, ...]:
    """Return the rows of the tables of depth, height and width; none without them. Raises Fault where they are open."""
    if not call.attrs["relative"]:
        return ()
    rows = []
    for name, query, key in zip(AXES[3], sizes(call, "q"), sizes(call, "kv"), strict=True):
        known = []
        for size in (query, key):
            if not isinstance(size, int):
                raise ShapeFault(OpenCount("pooled_attention", f"the {name}", size))
            known.append(size)
        rows.append(2 * max(known) - 1)
    return tuple(rows)


def pooled_weights(call: Call) -> Weights:
    """Return the projections, the kernel and the norm of each pooling, and the tables."""
    out, head = width(call), width(call) // int(call.attrs["heads"])
    weights: dict[str, tuple[int, ...]] = {
        "qkv.weight": (3 * out, call.channels),
        "qkv.bias": (3 * out,),
        "project.0.weight": (out, out),
        "project.0.bias": (out,),
    }
    for name, which in NAMES.items():
        if _pools(call, which):
            weights[f"pool_{name}.pool.weight"] = (head, 1, *call.attrs[f"kernel_{which}"])
            weights |= {f"pool_{name}.norm_act.0.weight": (head,), f"pool_{name}.norm_act.0.bias": (head,)}
    return weights | {f"rel_pos_{name}": (rows, head) for name, rows in zip("thw", tables(call), strict=False)}


def pooled_macs(call: Call, out: Shape) -> Dim:
    """Count the projections, the kernels, the products of queries with keys and with rows of the tables, and those with values."""
    channels, queries, keys = width(call), positions(call, "q"), positions(call, "kv")
    macs = call.x[1] * (3 * channels * call.channels) + (1 + queries) * channels**2
    macs = macs + (1 + queries) * (1 + keys) * (2 * channels)
    for which in NAMES.values():
        if _pools(call, which):
            macs = macs + positions(call, which) * (channels * prod(call.attrs[f"kernel_{which}"]))
    if call.attrs["relative"]:
        for size in sizes(call, "kv"):
            macs = macs + queries * size * channels
    return macs


def pooled_connections(call: Call, out: Shape) -> Dim:
    """Count what `pooled_macs` does, and a bias for each value of the projections."""
    return pooled_macs(call, out) + call.x[1] * (3 * width(call)) + product(out)


def pooled_derivation(call: Call, out: Shape) -> list[str]:
    """Show the sizes of queries and of keys, size by size, and what they make together."""
    heads, channels = call.attrs["heads"], width(call)
    source = "those of its input" if call.attrs["out"] is None else "as `out` says"
    lines = [f"channels: {channels}, {source}; {heads} heads of {channels}//{heads} = {channels // heads}"]
    for which, title in (("q", "queries"), ("kv", "keys")):
        window = _window(call, which)
        lines += [window.arithmetic(axis, f"{name} of {title}", size) for axis, (name, size) in enumerate(_named(call))]
    written = "*".join(map(str, sizes(call, "q")))
    return [*lines, f"length: 1 + {written} = {out[1]}, the class token and the queries"]


def _named(call: Call) -> list[tuple[str, Any]]:
    return list(zip(AXES[3], call.attrs["sizes"], strict=True))


def _products(call: Call) -> Dim:
    """Count the products of queries and keys, for all heads."""
    return (1 + positions(call, "q")) * (1 + positions(call, "kv")) * int(call.attrs["heads"])


def _most(*counts: Dim) -> Dim:
    """Return the largest count, or, where one is open, their sum, which is at least that."""
    known = [count for count in counts if isinstance(count, int)]
    return max(known) if len(known) == len(counts) else sum(counts[1:], counts[0])


def pooled_work(call: Call, out: Shape) -> Dim:
    """Count temporary values per sample, at the step that needs most, without the result.

    The steps: each pooling, the products, what is added to them, softmax, and the last layer. What is not pooled keeps the packed
    projection in memory, and is copied to be multiplied.
    """
    channels, heads, tokens = width(call), int(call.attrs["heads"]), call.x[1]
    queries, keys, products = positions(call, "q"), positions(call, "kv"), _products(call)
    pools_q, pools_kv = _pools(call, "q"), _pools(call, "kv")
    packed, read, asked = 3 * tokens * channels, (1 + keys) * channels, (1 + queries) * channels
    held = (0 if pools_q and pools_kv else packed) + (asked if pools_q else 0) + (2 * read if pools_kv else 0)
    copied = (0 if pools_q else asked) + (0 if pools_kv else read)
    steps = [held + products + asked + copied, held + 2 * products, held + products + 3 * asked]
    if pools_kv:
        steps.append(packed + read + keys * channels + _most((tokens - 1) * channels, 2 * read))
    if pools_q:
        steps.append(packed + (2 * read if pools_kv else 0) + queries * channels + _most((tokens - 1) * channels, 2 * asked))
    if call.attrs["relative"]:
        along = sum(sizes(call, "kv"), 2 * keys)  # the sum is made in another order, and copied
        steps.append(held + products + queries * along * heads)
    return _most(*steps) - asked


def pooled_rows(call: Call, out: Shape) -> Dim:
    """Count the values of the rows of the tables for each pair of positions along an axis."""
    pairs = [query * key for query, key in zip(sizes(call, "q"), sizes(call, "kv"), strict=True)]
    return sum(pairs, 0) * (width(call) // int(call.attrs["heads"])) if call.attrs["relative"] else 0


def pooled_saved(call: Call, out: Shape) -> Dim:
    """Count what is saved per sample.

    Of a pooling, its input, and the input and two statistics of its norm; scaled queries, keys, values, the weights of attention and
    what the last projection gets; and a copy of the queries for each table.
    """
    channels, queries = width(call), positions(call, "q")
    saved = 2 * (1 + queries) * channels + _products(call)
    for which in NAMES.values():
        after = 1 + positions(call, which)
        if which == "kv":
            saved = saved + after * channels
        if _pools(call, which):
            saved = saved + (call.x[1] - 1) * channels + after * (channels + 2 * int(call.attrs["heads"]))
    if call.attrs["relative"]:
        saved = saved + 3 * queries * channels
    return saved


def pooled_saved_once(call: Call, out: Shape) -> Dim:
    """Count the rows of the tables for each pair of positions along an axis, and their numbers, of 8 bytes."""
    head = width(call) // int(call.attrs["heads"])
    return pooled_rows(call, out) // head * (head + 2)


def lower_pooled(call: Call) -> ModuleTarget:
    """Lower to archc.PooledAttention."""
    attrs = call.attrs
    options = ("heads", "sizes", "kernel_q", "stride_q", "kernel_kv", "stride_kv", "residual", "eps")
    settings = {option: attrs[option] for option in options}
    return ModuleTarget("archc.PooledAttention", {"channels": call.channels, "out": width(call), "tables": tables(call), **settings})


OPERATORS = (
    Operator(
        name="pooled_attention",
        family="pooled attention",
        summary="Self-attention over a video and a class token, of pooled queries, keys and values.",
        doc="""
        A row holds a class token and then the positions of a video of the given `sizes`, row by row: `96x25089` with `sizes=8x56x56`. One
        layer projects it to queries, keys and values, of `out` channels each. Each of these is pooled over the video, head by head: by a
        convolution of every channel with a kernel that all heads share, padded by half of it, then a layer norm. The class token is
        not pooled, only normalized. With kernel and stride 1 there is neither convolution nor norm. The result is
        `project(softmax(q k^T / sqrt(out/heads) + positions) v)`, a row with the positions of the pooled queries.

        `relative=yes` adds, to the products of two positions, those of the query with the rows of three tables, for the distances of the
        two in depth, height and width. A table has `2*n - 1` rows, `n` being the larger size of queries and keys; the smaller is spread
        over it. `residual=yes` adds the queries to what the values sum up to, before the last layer, except at the class token.

        Layers and tables begin with `trunc_normal(0.02)`, biases with 0, kernels with PyTorch's default.

        MACs: `3*in*out` for each token, `out*kernel` for each pooled position, and for each query `out^2`, `2*out` times the keys and, with
        tables, `out` times the sizes of the keys.
        """,
        source="Li et al. 2022, arXiv:2112.01526, section 4.1; Fan et al. 2021, arXiv:2104.11227, section 3.1",
        example="input 96x1569; pooled_attention(2, sizes=8x14x14, out=192, stride_q=1x2x2, stride_kv=1x4x4) => 192x393",
        attrs=(
            Attr("heads", Whole(1), REQUIRED, "the number of heads, which divides the channels of the result"),
            Attr("sizes", PerAxis(1, open=True, count=3), REQUIRED, "depth, height and width of the video"),
            Attr("out", Optional(Whole(1)), Word("none"), "the channels of the result; `none`: as many as come in"),
            Attr("kernel_q", PerAxis(1, count=3), 3, "the kernel of the pooling of queries"),
            Attr("stride_q", PerAxis(1, count=3), 1, "the step of the pooling of queries"),
            Attr("kernel_kv", PerAxis(1, count=3), 3, "the kernels of the poolings of keys and of values"),
            Attr("stride_kv", PerAxis(1, count=3), 1, "the step of the poolings of keys and of values"),
            Attr("relative", Flag(), True, "whether products depend on distances, by trained tables"),
            Attr("residual", Flag(), True, "whether queries are added to the result"),
            Attr("eps", Real(SMALLEST, 1), 1e-6, "the constant added to the variance in the layer norms"),
        ),
        shape=pooled_shape,
        weights=pooled_weights,
        macs=pooled_macs,
        connections=pooled_connections,
        fvcore=pooled_macs,
        receptive_field=receptive.whole,
        derivation=pooled_derivation,
        picture="attention",
        memory=Memory(
            saves=always("input"),
            saved=pooled_saved,
            saved_once=pooled_saved_once,
            work=pooled_work,
            work_once=pooled_rows,
            reads="last",
            order=channels_last,
        ),
        lower=lower_pooled,
    ),
)
