"""Attention: a weighted sum over all positions, with weights that are computed from queries and keys."""

from __future__ import annotations

from collections.abc import Sequence

from archc.compiler.ops import receptive
from archc.compiler.ops.convolution import BIAS
from archc.compiler.ops.kinds import SMALLEST, Flag, Optional, Real, Whole, Word
from archc.compiler.ops.memory import Memory, always, channels_last
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, Weights
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import attention
from archc.dsl.vocabulary import shapes as says


def heads_divide(heads: int, width: int, which: str) -> None:
    """Raise Fault unless the heads divide the channels `which` names."""
    if width % heads:
        raise Fault(attention.heads_do_not_divide(heads, width, which))


def _number(call: Call, branch: int) -> int:
    """Return the channels of an operand. Raises Fault where they are open."""
    return Call(call.operator, call.attrs, (call.inputs[branch],)).channels


def _has_positions(call: Call) -> None:
    for shape in call.inputs:
        if len(shape) < 2:
            raise Fault(says.wrong_rank(call.operator, "tokens or a map, as in `768x197` or `96x7x7`", show_shape(shape)))


def _same_positions(call: Call, first: int, second: int, which: str, help: str) -> None:
    """Raise Fault unless two operands have the same positions."""
    a, b = call.inputs[first][1:], call.inputs[second][1:]
    if len(a) != len(b) or not all(call.equal(x, y) for x, y in zip(a, b, strict=True)):
        found = f"{'x'.join(map(str, a))} and {'x'.join(map(str, b))}"
        raise Fault(attention.wrong_branches(call.operator, f"{which} at the same positions", found, help))


def _positions_agree(call: Call, read: int) -> None:
    """Raise Fault unless every key has a value and, for `causal`, queries and keys have the same positions.

    `read` is the number of operands that queries, keys and values are read from, the first ones.
    """
    if read == 3:
        _same_positions(call, 1, 2, "keys and values", "keys and values come from one tensor, or from two of the same sizes")
    if call.attrs["causal"] and read > 1:
        _same_positions(call, 0, 1, "queries and keys of `causal=yes`", "what comes before a query is known among as many keys")


# ---- without projections


def split(call: Call) -> tuple[list[Shape], Shape | None]:
    """Return the packed operand, or queries, keys and values; and the bias, the last operand, or None."""
    shapes = list(call.inputs)
    return (shapes, None) if len(shapes) % 2 else (shapes[:-1], shapes[-1])


def parts(call: Call) -> tuple[int, int]:
    """Return the channels of the queries and of the values. Raises Fault where they do not fit together."""
    if len(call.inputs) < 3:
        width = call.channels
        if width % 3:
            expected = "queries, keys and values in this order, each in a third of the channels"
            raise Fault(attention.wrong_branches("attention", expected, f"{width} channels, which 3 does not divide"))
        return width // 3, width // 3
    query, key, value = (_number(call, branch) for branch in range(3))
    if query != key:
        raise Fault(attention.wrong_branches("attention", "queries and keys with the same channels", f"{query} and {key}"))
    return query, value


def keys_of(call: Call) -> Dim:
    """Return the number of keys that a query looks at: with `rows`, those of its row."""
    sizes = split(call)[0][-1][1:]
    return sizes[-1] if call.attrs["rows"] else product(sizes)


def queries_of(call: Call) -> Dim:
    """Return the number of queries that look at the same keys."""
    return call.x[-1] if call.attrs["rows"] else product(call.x[1:])


def _rows_agree(call: Call, read: Sequence[Shape]) -> None:
    """Raise Fault unless all operands have the same rows."""
    if len(call.x) < 3:
        raise Fault(says.wrong_rank("attention(rows=yes)", "a map with rows, as in `96x64x49`", show_shape(call.x)))
    for shape in read[1:]:
        if len(shape) != len(call.x) or not all(call.equal(a, b) for a, b in zip(shape[1:-1], call.x[1:-1], strict=True)):
            found = f"{show_shape(call.x)} and {show_shape(shape)}"
            raise Fault(attention.wrong_branches("attention", "queries, keys and values with the same rows", found))


def attention_shape(call: Call) -> Shape:
    """Return the channels of the values at the positions of the queries. Raises Fault where heads or branches do not fit."""
    _has_positions(call)
    query, value = parts(call)
    heads: int = call.attrs["heads"]
    heads_divide(heads, query, "of the queries")
    heads_divide(heads, value, "of the values")
    read, bias = split(call)
    _positions_agree(call, len(read))
    if call.attrs["rows"]:
        _rows_agree(call, read)
    if bias is not None:
        _bias_fits(call, bias, (heads, queries_of(call), keys_of(call)))
    return (value, *call.x[1:])


def _bias_fits(call: Call, bias: Shape, needed: Shape) -> None:
    """Raise Fault unless a bias has a channel for each head, or one for all, and a size for the queries and one for the keys.

    With `rows` it may have one more size, between them, for the rows of a map.
    """
    if call.attrs["rows"] and len(bias) == 4 and len(call.x) == 3:
        needed = (needed[0], call.x[1], *needed[1:])
    fits = len(bias) == len(needed) and bias[0] in (1, needed[0])
    fits = fits and all(call.equal(a, b) for a, b in zip(bias[1:], needed[1:], strict=True))
    if fits and not call.attrs["causal"]:
        return
    if fits:
        raise Fault(attention.wrong_branches("attention", "`causal=yes` or a bias", "both", "a bias of -inf leaves positions out as well"))
    expected = f"a bias of {show_shape(needed)}, heads by queries by keys"
    raise Fault(
        attention.wrong_branches("attention", expected, show_shape(bias), "a trained one is `learned([queries, keys], channels=heads)`")
    )


def attention_derivation(call: Call, out: Shape) -> list[str]:
    """Name the operands that determine channels and positions, and state the width of a head."""
    heads = call.attrs["heads"]
    query, _ = parts(call)
    source = f"{call.x[0]}//3, the values of the packed input" if len(call.inputs) < 3 else "those of the values"
    return [f"channels: {out[0]}, {source}", f"positions: those of the queries; {heads} heads of {query}//{heads} = {query // heads}"]


def attention_macs(call: Call, out: Shape) -> Dim:
    """Count the products of queries and keys, and of weights and values."""
    query, value = parts(call)
    return product(call.x[1:]) * keys_of(call) * (query + value)


def lower_attention(call: Call) -> ModuleTarget:
    """Lower to archc.Attention, which calls F.scaled_dot_product_attention."""
    a = call.attrs
    settings = {"heads": a["heads"], "causal": a["causal"], "scale": a["scale"], "dropout": a["dropout"]}
    return ModuleTarget("archc.Attention", settings | ({"rows": True} if a["rows"] else {}))


def sums(call: Call, out: Shape) -> Dim:
    """Count one sum of weights for each query and head."""
    heads: int = call.attrs["heads"]
    return heads * product(call.x[1:])


def _kept(call: Call, out: Shape, keys: Dim) -> Dim:
    """Count the saved values besides operands and result: the sums, or, with dropout, the weights, the noise and what it leaves of them."""
    return sums(call, out) * (1 if call.attrs["dropout"] == 0 else 3 * keys)


def _scaled(call: Call) -> tuple[Dim, Dim]:
    """Count the values of the queries and of the keys, which torch scales one by one where a bias is trained."""
    query, _ = parts(call)
    return query * product(call.x[1:]), query * product(split(call)[0][-1][1:])


def _reordered(call: Call) -> Dim:
    """Count the values that torch copies in the order of the heads; with a single head, it copies nothing."""
    return parts(call)[1] * product(split(call)[0][-1][1:]) if call.attrs["heads"] > 1 else 0


def attention_saves(call: Call) -> Sequence[str]:
    """Name the operands and the result; with a bias, copies are kept instead, but for those of a single head."""
    copied = split(call)[1] is not None and call.attrs["dropout"] == 0 and call.attrs["heads"] > 1
    return () if copied else ("input", "output")


def attention_saved(call: Call, out: Shape) -> Dim:
    """Count the saved values besides operands and result: with a bias, the weights themselves, and copies of what is multiplied.

    A bias is taken to be trained. With one that is not, torch computes attention as a whole, and needs less.
    """
    if split(call)[1] is not None and call.attrs["dropout"] == 0:
        queries, keys = _scaled(call)
        return sums(call, out) * keys_of(call) + queries + keys + _reordered(call)
    return _kept(call, out, keys_of(call))


def attention_work(call: Call, out: Shape) -> Dim:
    """Count the sums; with a bias, the products before and after the softmax, or what is multiplied with the weights, copied."""
    if split(call)[1] is None:
        return sums(call, out)
    queries, keys = _scaled(call)
    weights, copied = sums(call, out) * keys_of(call), queries + (keys + _reordered(call) if call.attrs["heads"] > 1 else 0)
    if isinstance(weights, int) and isinstance(copied, int):
        return weights + max(weights, copied)
    return weights + copied


# ---- with projections


def widths(call: Call) -> tuple[int, int, int]:
    """Return the channels of queries, keys and values."""
    keys = 1 if len(call.inputs) > 1 else 0
    return call.channels, _number(call, keys), _number(call, len(call.inputs) - 1)


def multihead_shape(call: Call) -> Shape:
    """Return the shape of the queries. Raises Fault where heads or branches do not fit."""
    _has_positions(call)
    heads_divide(call.attrs["heads"], call.channels, "of the queries")
    widths(call)
    _positions_agree(call, len(call.inputs))
    return call.x


def multihead_derivation(call: Call, out: Shape) -> list[str]:
    """State that the shape is that of the queries, and the width of a head."""
    heads = call.attrs["heads"]
    whose = "its input" if len(call.inputs) == 1 else "the queries"
    return [f"the shape of {whose}; {heads} heads of {out[0]}//{heads} = {call.channels // heads}"]


def multihead_weights(call: Call) -> Weights:
    """Return the tensors of nn.MultiheadAttention, which joins the three projections where their inputs have equal channels."""
    width, key, value = widths(call)
    if width == key == value:
        inward: Weights = {"in_proj_weight": (3 * width, width)}
    else:
        inward = {"q_proj_weight": (width, width), "k_proj_weight": (width, key), "v_proj_weight": (width, value)}
    if not call.attrs["bias"]:
        return {**inward, "out_proj.weight": (width, width)}
    return {**inward, "in_proj_bias": (3 * width,), "out_proj.weight": (width, width), "out_proj.bias": (width,)}


def projection_macs(call: Call, out: Shape) -> Dim:
    """Count the four projections at the positions of their inputs."""
    width, key, value = widths(call)
    queries, keys = product(call.x[1:]), product(call.inputs[-1][1:])
    return queries * (2 * width * width) + keys * (width * (key + value))


def multihead_macs(call: Call, out: Shape) -> Dim:
    """Count the projections, the products of queries and keys, and those of weights and values."""
    return projection_macs(call, out) + product(call.x[1:]) * product(call.inputs[-1][1:]) * (2 * call.channels)


def projection_connections(call: Call, out: Shape) -> Dim:
    """Count the weighted inputs of the projections, and their biases."""
    if not call.attrs["bias"]:
        return projection_macs(call, out)
    queries, keys = product(call.x[1:]), product(call.inputs[-1][1:])
    return projection_macs(call, out) + (queries + keys) * (2 * call.channels)


def lower_multihead(call: Call) -> ModuleTarget:
    """Lower to archc.MultiheadAttention."""
    a = call.attrs
    width, key, value = widths(call)
    return ModuleTarget(
        "archc.MultiheadAttention",
        {
            "embed_dim": width,
            "num_heads": a["heads"],
            "dropout": a["dropout"],
            "bias": a["bias"],
            "kdim": key,
            "vdim": value,
            "causal": a["causal"],
        },
    )


def multihead_saved(call: Call, out: Shape) -> Dim:
    """Count the projected queries, keys and values, what attention returns, and what attention saves besides."""
    queries, keys = product(call.x[1:]), product(call.inputs[-1][1:])
    return (queries + keys) * (2 * call.channels) + _kept(call, out, keys)


def multihead_work(call: Call, out: Shape) -> Dim:
    """Count the projected queries, keys and values, which self-attention also rearranges, and the sums."""
    queries, keys = product(call.x[1:]), product(call.inputs[-1][1:])
    return queries * (5 * call.channels) if len(call.inputs) == 1 else (queries + 2 * keys) * call.channels + sums(call, out)


def mask(call: Call, out: Shape) -> Dim:
    """Count the mask of `causal`."""
    return product(call.x[1:]) * product(call.x[1:]) if call.attrs["causal"] else 0


HEADS = Attr("heads", Whole(1), REQUIRED, "the number of heads, which divides the channels")
CAUSAL = Attr("causal", Flag(), False, "whether a position attends only to itself and earlier ones")
DROPOUT = Attr("dropout", Real(0, 1), 0.0, "the probability of dropping a weight in training")

OPERATORS = (
    Operator(
        name="attention",
        family="attention",
        summary="Scaled dot-product attention in several heads, without projections.",
        doc="""
        `out = softmax(q k^T * scale) v` for each head, over all positions. It takes three branches, `attention(8)<q | k | v>`, or one
        tensor of `3C` channels with queries, keys and values in this order, as one layer for all three computes them. Keys
        and values may have other positions than the queries, and the values other channels; the result has the positions of the
        queries and the channels of the values. Each head has `C/heads` consecutive channels.

        One more branch is a bias, `attention(8)<qkv | bias>` or `<q | k | v | bias>`, which is added to the products before the
        softmax: a map of `heads x queries x keys`, or one with a single channel for all heads.

        With `rows=yes` a position attends only to those of its own row, the last axis: on `96x64x49` there are 64 rows of 49 positions,
        as of windows that `rearrange` cuts out of a map. A bias is the same for every row, `heads x 49 x 49`, or another for each,
        `heads x 64 x 49 x 49`.

        MACs: `positions(q)*positions(k)*(channels(q) + channels(v))`, even if `causal` leaves out half of them.
        """,
        source="torch.nn.functional.scaled_dot_product_attention; Vaswani et al. 2017, arXiv:1706.03762, section 3.2",
        example="input 192x50; channel_fc-576; attention(3) => 192x50",
        attrs=(
            HEADS,
            CAUSAL,
            Attr("scale", Optional(Real(SMALLEST)), Word("none"), "the factor of the products; `none`: `1/sqrt(C/heads)`"),
            DROPOUT,
            Attr("rows", Flag(), False, "whether a position attends only to those of its row, the last axis", rare=True),
        ),
        operands=(1, 4),
        plain=True,
        shape=attention_shape,
        macs=attention_macs,
        fvcore=lambda call, out: 0,
        receptive_field=receptive.whole,
        derivation=attention_derivation,
        memory=Memory(saves=attention_saves, saved=attention_saved, work=attention_work, reads="last", order=channels_last),
        picture="attention",
        lower=lower_attention,
    ),
    Operator(
        name="multihead_attention",
        family="attention",
        summary="Attention in several heads, with trained projections of queries, keys, values and the result.",
        doc="""
        Without branches it is self-attention. `multihead_attention(8)<q | kv>` attends to another tensor, and `<q | k | v>` takes
        keys and values from two; these may have other positions and other channels. The result has the shape of the queries.

        Parameters: `4*C*C + 4*C`. MACs: the projections, and `2*positions(q)*positions(k)*C`.
        """,
        source="torch.nn.MultiheadAttention; Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2",
        example="input 192x50; multihead_attention(3) => 192x50",
        attrs=(HEADS, CAUSAL, BIAS, DROPOUT),
        operands=(1, 3),
        plain=True,
        shape=multihead_shape,
        weights=multihead_weights,
        macs=multihead_macs,
        connections=projection_connections,
        fvcore=projection_macs,
        receptive_field=receptive.whole,
        derivation=multihead_derivation,
        memory=Memory(saves=always("input"), saved=multihead_saved, work=multihead_work, work_once=mask, reads="last", order=channels_last),
        picture="attention",
        lower=lower_multihead,
    ),
)
