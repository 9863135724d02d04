"""Attention within windows, and over grids, of a map."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from archc.compiler.ops.attention import heads_divide
from archc.compiler.ops.convolution import BIAS, BIAS_INIT, WEIGHT_INIT
from archc.compiler.ops.kinds import SMALLEST, Choice, Flag, Optional, PerAxis, Real, Whole, Word
from archc.compiler.ops.memory import Memory, channels_last
from archc.compiler.ops.receptive import Positions, ReceptiveField, ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, Weights, axis_names
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.shapes.dim import Dim, Shape, product
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import attention
from archc.dsl.vocabulary import shapes as says

HIDDEN = 512  # the values between the two layers that compute a table from distances; Liu et al. 2022, section 3.3
NAMES = {"qkv": ("qkv", "proj"), "to_qkv": ("to_qkv", "merge")}  # the keys of the projections, by the option `keys`


def attention_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault where heads, window or shift do not fit it."""
    axes, attrs = call.image(), call.attrs
    heads, window, shift = attrs["heads"], attrs["window"], attrs["shift"]
    heads_divide(heads, call.channels, "of the input")
    for axis in range(axes):
        if shift[axis] >= window[axis]:
            raise Fault(says.out_of_range("`shift`", shift[axis], f"less than the window, {window[axis]}", "shift"))
        size, name = call.x[1 + axis], axis_names(call.x)[1 + axis]
        if not attrs["pad"] and not call.divisible(size, window[axis]):
            raise Fault(attention.window_does_not_divide(name, size, window[axis], attrs["grid"]))
    if attrs["grid"] and any(shift):
        raise Fault(says.out_of_range("`shift`", max(shift), "0 with `grid=yes`, since a grid already covers the map", "shift"))
    if attrs["position"] == "continuous" and min(window) == 1:
        raise Fault(says.out_of_range("`window`", 1, "at least 2 with `position=continuous`, which divides by its extent", "window"))
    if attrs["similarity"] == "cosine" and attrs["scale"] is not None:
        raise Fault(says.out_of_range("`scale`", attrs["scale"], "`none` with `similarity=cosine`, which has trained scales", "scale"))
    return call.x


def padded_sizes(call: Call) -> Shape:
    """Return the sizes of the map, padded to whole windows with `pad=yes`."""
    if not call.attrs["pad"]:
        return call.x[1:]
    return tuple((size + window - 1) // window * window for size, window in zip(call.x[1:], call.attrs["window"], strict=True))


def attention_weights(call: Call) -> Weights:
    """Return the tensors of the projections, of the positions and of the similarity."""
    attrs, channels = call.attrs, call.channels
    weights: dict[str, tuple[int, ...]] = {}
    for name, out in zip(NAMES[attrs["keys"]], (3 * channels, channels), strict=True):
        weights[f"{name}.weight"] = (out, channels)
        if attrs["bias"]:
            weights[f"{name}.bias"] = (out,)
    if attrs["position"] == "table":
        weights["relative_position_bias_table"] = (_distances(call), attrs["heads"])
    if attrs["position"] == "continuous":
        weights |= {"cpb_mlp.0.weight": (HIDDEN, call.axes), "cpb_mlp.0.bias": (HIDDEN,), "cpb_mlp.2.weight": (attrs["heads"], HIDDEN)}
    if attrs["similarity"] == "cosine":
        weights["logit_scale"] = (attrs["heads"], 1, 1)
    return weights


def _positions(call: Call) -> int:
    """Count the positions of a window."""
    positions: int = prod(call.attrs["window"])
    return positions


def _distances(call: Call) -> int:
    """Count the distances between positions of a window."""
    return prod(2 * size - 1 for size in call.attrs["window"])


def attention_buffers(call: Call) -> Weights:
    """Return the index into the table for each pair of positions, and the distances that a continuous table is computed from."""
    attrs = call.attrs
    if attrs["position"] == "none":
        return {}
    positions = _positions(call)
    # The form that torchvision stores: in Swin Transformers of images it is flat.
    flat = attrs["keys"] == "qkv" and call.axes == 2
    buffers: dict[str, tuple[int, ...]] = {"relative_position_index": (positions**2,) if flat else (positions, positions)}
    if attrs["position"] == "continuous":
        buffers["relative_coords_table"] = (1, *(2 * size - 1 for size in attrs["window"]), call.axes)
    return buffers


def attention_macs(call: Call, out: Shape) -> Dim:
    """Count the projections and two products with the window at each position, and once the layers that compute a table."""
    channels, heads = call.channels, int(call.attrs["heads"])
    table = HIDDEN * (call.axes + heads) * _distances(call) if call.attrs["position"] == "continuous" else 0
    return product(padded_sizes(call)) * (4 * channels**2 + 2 * channels * _positions(call)) + table


def attention_connections(call: Call, out: Shape) -> Dim:
    """Count the MACs, and a bias for each value of the projections."""
    biases = 4 * product(padded_sizes(call)) * call.channels if call.attrs["bias"] else 0
    return attention_macs(call, out) + biases


def attention_derivation(call: Call, out: Shape) -> list[str]:
    """Show the number of windows and their size along each axis."""
    attrs = call.attrs
    lines = ["the shape of its input"]
    for name, size, padded, window in zip(axis_names(call.x)[1:], call.x[1:], padded_sizes(call), attrs["window"], strict=True):
        whole = f"{size}" if size == padded else f"{size}, padded to {padded},"
        lines.append(f"{name}: {whole} is {padded // window} {'strides' if attrs['grid'] else 'windows'} of {window}")
    return lines


def attention_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the window around each position, after the shift; the whole of an axis that one window or a grid covers."""
    return [_field(call, axis) for axis in range(call.axes)]


def _field(call: Call, axis: int) -> ReceptiveField | None:
    size, window, shift = call.x[1 + axis], call.attrs["window"][axis], call.attrs["shift"][axis]
    if call.attrs["grid"] or (isinstance(size, int) and window >= size):
        return None
    inside, before = Positions(shift, shift + window - 1), Positions(shift - window, shift - 1)
    return ReceptiveField(tuple(before if place < shift else inside for place in range(window)), window)


def _products(call: Call) -> Dim:
    """Count the products of queries and keys."""
    return product(padded_sizes(call)) * _positions(call) * int(call.attrs["heads"])


def _is_shifted(call: Call) -> bool:
    sides = zip(call.attrs["shift"], call.attrs["window"], padded_sizes(call), strict=True)
    return any(shift and window != size for shift, window, size in sides)


def attention_work(call: Call, out: Shape) -> Dim:
    """Count temporary values per sample: windows, queries, keys, values, and two tensors of products."""
    return 5 * call.channels * product(padded_sizes(call)) + 2 * _products(call)


def attention_mask(call: Call, out: Shape) -> Dim:
    """Count the values of the mask of a shift."""
    return product(padded_sizes(call)) * _positions(call) if _is_shifted(call) else 0


def attention_saved(call: Call, out: Shape) -> Dim:
    """Count what is saved per sample: windows, queries, keys, values, what the last projection gets, and the weights of attention.

    Cosines save lengths, what was divided by them, and the products before their scale; dropout its noise and its result.
    """
    attrs, positions = call.attrs, product(padded_sizes(call))
    cosine = bool(attrs["similarity"] == "cosine")
    values = (8 if cosine else 5) * call.channels + (4 * int(attrs["heads"]) if cosine else 0)
    products: int = 1 + cosine + 2 * bool(attrs["dropout"])
    return values * positions + products * _products(call)


def attention_saved_once(call: Call, out: Shape) -> Dim:
    """Count what is saved of the layers that compute a table, and the table."""
    if call.attrs["position"] != "continuous":
        return 0
    return HIDDEN * _distances(call) + _positions(call) ** 2 * int(call.attrs["heads"])


def lower_attention(call: Call) -> ModuleTarget:
    """Lower to archc.WindowAttention."""
    attrs = call.attrs
    names: Sequence[str] = NAMES[attrs["keys"]]
    options = ("heads", "window", "shift", "grid", "position", "similarity", "scale", "bias", "dropout")
    index = attention_buffers(call).get("relative_position_index", ())
    return ModuleTarget(
        "archc.WindowAttention",
        {"channels": call.channels, **{option: attrs[option] for option in options}, "names": names, "index_shape": index},
    )


OPERATORS = (
    Operator(
        name="window_attention",
        family="windows",
        summary="Multi-head self-attention within each window of a map.",
        doc="""
        A map is cut into windows. At each position, `out = proj(softmax(scale*q*k + bias) * v)` over the positions of its window,
        for each head, where `q`, `k` and `v` are projections of the input. `scale` is `1/sqrt(channels/heads)` by default.

        `shift` moves the windows down and to the right, and around the end of the map. Positions of a window that are not
        neighbors in the map are masked (-100 is added). A shift has no effect along an axis that one window covers. With `grid=yes`,
        `window` is the number of positions along each axis that attend to each other, spread evenly over the map. `pad=yes` adds
        zeros below and to the right up to whole windows; otherwise windows must divide the map.

        With `position=table` the bias is a trained value for each distance within a window and each head; with `continuous` two
        layers compute it from the distance. With `similarity=cosine`, `q` and `k` are divided by their lengths, each head has a
        trained scale of at most 100, and `k` has no bias. `dropout` applies to the weights after the softmax. `keys` selects the
        names of the projections, `qkv` and `proj` as in Swin Transformer or `to_qkv` and `merge` as in MaxViT, and the order of
        multiplications in that network. `init` and `bias_init` apply to all layers; a table is initialized by `trunc_normal(0.02)`.

        MACs: `4*channels^2 + 2*channels*positions of a window` at each position, including padding.
        """,
        source="Liu et al. 2021, arXiv:2103.14030, section 3; Liu et al. 2022, arXiv:2111.09883; Tu et al. 2022, arXiv:2204.01697",
        example="input 96x56x56; window_attention(3, window=7, shift=3) => 96x56x56",
        attrs=(
            Attr("heads", Whole(1), REQUIRED, "the number of heads; it divides the channels"),
            Attr("window", PerAxis(1), 7, "the size of a window"),
            Attr("shift", PerAxis(0), 0, "the distance by which the windows are moved"),
            Attr("grid", Flag(), False, "whether the positions of a window are spread over the map"),
            Attr("pad", Flag(), False, "whether a map is padded to whole windows"),
            Attr(
                "position", Choice(("table", "continuous", "none")), Word("table"), "the bias that depends on the distance of two positions"
            ),
            Attr("similarity", Choice(("dot", "cosine")), Word("dot"), "how queries and keys are compared"),
            Attr("scale", Optional(Real(SMALLEST)), Word("none"), "the factor of the products; `none`: `1/sqrt(channels/heads)`"),
            Attr("dropout", Real(0, 1), 0.0, "the probability of dropping a weight in training"),
            Attr("keys", Choice(("qkv", "to_qkv")), Word("qkv"), "the names of the projections"),
            BIAS,
            WEIGHT_INIT,
            BIAS_INIT,
        ),
        shape=attention_shape,
        weights=attention_weights,
        buffers=attention_buffers,
        numbers=("relative_position_index",),
        macs=attention_macs,
        connections=attention_connections,
        fvcore=attention_macs,
        receptive_field=attention_receptive_field,
        derivation=attention_derivation,
        picture="attention",
        memory=Memory(
            saved=attention_saved,
            saved_once=attention_saved_once,
            work=attention_work,
            work_once=attention_mask,
            order=channels_last,
        ),
        lower=lower_attention,
    ),
)
