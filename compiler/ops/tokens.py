"""Conversion between maps and rows of tokens, embeddings of integers, and trained tensors that depend on no input."""

from __future__ import annotations

from collections.abc import Sequence

from archc.compiler.ops import receptive
from archc.compiler.ops.convolution import WEIGHT_INIT
from archc.compiler.ops.faults import OpenCount, ShapeFault
from archc.compiler.ops.initialization import INIT
from archc.compiler.ops.kinds import SMALLEST, Flag, Optional, Place, Real, Recipe, Sizes, Whole, Word
from archc.compiler.ops.memory import Memory, channels_last
from archc.compiler.ops.record import AXES, REQUIRED, Attr, Call, Operator, Weights, axis_names
from archc.compiler.ops.targets import CallTarget, ModuleTarget, Operand, TensorTarget
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

ROW = "a row of tokens, channels and one size as in `768x196`"


def _row(call: Call, operator: str) -> None:
    if call.axes != 1:
        help_text = "`tokens` before it makes a row of a map" if call.axes > 1 else ""
        raise Fault(says.wrong_rank(operator, ROW, show_shape(call.x), help_text))


def tokens_shape(call: Call) -> Shape:
    """Return the channels and the product of the sizes. Raises Fault unless there are two sizes or three."""
    if call.axes not in (2, 3):
        expected = "a map, channels and two or three sizes as in `768x14x14`"
        help_text = "it is a row of tokens already; `map` before it makes a map" if call.axes == 1 else ""
        raise Fault(says.wrong_rank("tokens", expected, show_shape(call.x), help_text))
    return (call.x[0], product(call.x[1:]))


def tokens_derivation(call: Call, out: Shape) -> list[str]:
    """Show the product of the sizes."""
    return [f"length: {'*'.join(map(str, call.x[1:]))} = {out[1]}, one token for each position, row by row"]


def lower_tokens(call: Call) -> CallTarget:
    """Lower to torch.flatten from the sizes on."""
    return CallTarget("torch.flatten", (Operand(), 2))


def map_shape(call: Call) -> Shape:
    """Return the channels with the sizes of the option. Raises Fault unless their product is the number of tokens."""
    _row(call, "map")
    sizes: Shape = call.attrs["sizes"]
    count = product(sizes)
    if not call.equal(count, call.x[1]):
        written = "*".join(map(str, sizes))
        raise Fault(says.out_of_range("the number of positions", f"{written} = {count}", f"the number of tokens, {call.x[1]}", "sizes"))
    return (call.x[0], *sizes)


def map_derivation(call: Call, out: Shape) -> list[str]:
    """Show the sizes, and their product."""
    named = ", ".join(f"{name} {size}" for name, size in zip(AXES[len(out) - 1], out[1:], strict=True))
    return [f"{named}, as `sizes` says: {'*'.join(map(str, out[1:]))} = {call.x[1]} tokens"]


def lower_map(call: Call) -> CallTarget:
    """Lower to torch.unflatten."""
    return CallTarget("torch.unflatten", (Operand(), 2, call.attrs["sizes"]))


def token_shape(call: Call) -> Shape:
    """Return the channels. Raises Fault for a position that does not exist."""
    _row(call, "token")
    at: int = call.attrs["at"]
    if not call.at_least(call.x[1], at + 1 if at >= 0 else -at):
        length = call.x[1]
        raise Fault(says.out_of_range("the position", at, f"0 to {length - 1}, or -1 to {-length} from the end", "at"))
    return (call.x[0],)


def token_derivation(call: Call, out: Shape) -> list[str]:
    """Name the position."""
    return [f"the {out[0]} channels of token {call.attrs['at']} of {call.x[1]}"]


def lower_token(call: Call) -> CallTarget:
    """Lower to an index expression."""
    return CallTarget("operator.getitem", (Operand(), (slice(None), slice(None), call.attrs["at"])))


# ---- trained tensors


def stated_shape(call: Call, name: str) -> Shape:
    """Return the shape of the input, with the channels and sizes that the options of an operator state. Raises Fault where it is open."""
    channels, sizes = call.attrs["channels"], call.attrs["sizes"]
    shape = (channels or call.x[0], *(sizes or call.x[1:]))
    for axis, size in zip(axis_names(shape), shape, strict=True):
        if not isinstance(size, int):
            raise ShapeFault(OpenCount(name, "the number of channels" if axis == "channels" else f"the {axis}", size))
    return shape


def stated_derivation(call: Call, out: Shape) -> list[str]:
    """State for each axis whether its size is from the option or from the input."""
    stated = (call.attrs["channels"], *(call.attrs["sizes"] or (None,) * call.axes))
    options = ("channels", *("sizes",) * (len(out) - 1))
    rows = zip(axis_names(out), out, stated, options, strict=True)
    return [f"{name}: {size}, as {f'`{option}` says' if given else 'in the input'}" for name, size, given, option in rows]


def learned_shape(call: Call) -> Shape:
    """Return the shape of the input, with the channels and sizes that the options state. Raises Fault where it is open."""
    return stated_shape(call, "learned")


def learned_weights(call: Call) -> Weights:
    """Return the shape that is stored: rows of tokens `(1, L, C)`, maps `(1, C, H, W)`, flat values `(1, C)`; `batch=no` drops the 1."""
    channels, *sizes = learned_shape(call)
    stored = (*sizes, channels) if len(sizes) == 1 else (channels, *sizes)
    numbers = tuple(size for size in stored if isinstance(size, int))
    return {"": (1, *numbers) if call.attrs["batch"] else numbers}


def lower_learned(call: Call) -> TensorTarget:
    """Lower to a view of the trained tensor for every sample, channels first."""
    sizes = call.attrs["sizes"]
    kwargs = {"axes": call.axes if sizes is None else len(sizes), "as_large": sizes is None}
    return TensorTarget("archc.learned", learned_weights(call)[""], call.attrs["init"], kwargs)


# ---- fixed positions


def sine_shape(call: Call) -> Shape:
    """Return `channels` for each axis of positions, at the sizes of the input or the given ones. Raises Fault for odd or missing ones."""
    sizes = call.attrs["sizes"] or call.x[1:]
    if not sizes:
        raise Fault(says.wrong_rank("sine_positions", "tokens or a map, as in `768x197` or `96x7x7`", show_shape(call.x)))
    channels = call.attrs["channels"]
    if channels % 2:
        raise Fault(says.out_of_range("`channels`", channels, "even: a sine and a cosine of each wavelength", "channels"))
    return (channels * len(sizes), *sizes)


def sine_derivation(call: Call, out: Shape) -> list[str]:
    """State the channels of each axis."""
    return [f"channels: {call.attrs['channels']} for each of {len(out) - 1} axes = {out[0]}"]


def lower_sines(call: Call) -> CallTarget:
    """Lower to archc.sine_positions."""
    a = call.attrs
    settings = (a["channels"], a["temperature"], a["scale"])
    return CallTarget("archc.sine_positions", (Operand(), *settings, list(a["sizes"]) if a["sizes"] else None))


# ---- integers


def embedding_shape(call: Call) -> Shape:
    """Return `width` channels for each whole number, or `count` channels for tokens of that width. Raises Fault for other inputs."""
    count, width = call.attrs["count"], call.attrs["width"]
    if call.axes == 0:
        return (width, call.x[0])
    if call.axes != 1 or call.x[0] != width:
        expected = f"a row of whole numbers, as in `input 128`, or tokens of width {width}"
        raise Fault(says.wrong_rank("embedding", expected, show_shape(call.x)))
    return (count, call.x[1])


def embedding_derivation(call: Call, out: Shape) -> list[str]:
    """State the width, and the number of tokens."""
    if call.axes == 0:
        return [f"channels: {out[0]}, as `width` says", f"length: {out[1]}, one token for each whole number"]
    return [f"channels: {out[0]}, as `count` says: the product with each row of the table", f"length: {out[1]}, that of the input"]


def embedding_weights(call: Call) -> Weights:
    """Return the table, `(count, width)`."""
    return {"weight": (call.attrs["count"], call.attrs["width"])}


def embedding_macs(call: Call, out: Shape) -> Dim:
    """Count the products with the rows of the table; reading rows counts nothing."""
    return 0 if call.axes == 0 else product(call.x) * call.attrs["count"]


def embedding_indexes(call: Call) -> int | None:
    """Return the number of rows if the operand is indices into the table, else None."""
    count: int = call.attrs["count"]
    return count if call.axes == 0 else None


def embedding_saves(call: Call) -> Sequence[str]:
    """Name the input where it is multiplied."""
    return () if call.axes == 0 else ("input",)


def lower_embedding(call: Call) -> ModuleTarget:
    """Lower to archc.Embedding."""
    return ModuleTarget("archc.Embedding", {"num_embeddings": call.attrs["count"], "embedding_dim": call.attrs["width"]})


INITIAL = Recipe({word: settings for word, settings in INIT.table.items() if word in ("normal", "trunc_normal", "uniform", "constant")})

OPERATORS = (
    Operator(
        name="tokens",
        family="tokens",
        summary="The positions of a map as a row of tokens.",
        doc="""
        `CxHxW` becomes `CxH*W`, and `CxDxHxW` becomes `CxD*H*W`, row by row. A row of 196 tokens of width 768 is `768x196`:
        a map with one size. `map` is the inverse.
        """,
        source="Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.1",
        example="input 768x14x14; tokens => 768x196",
        shape=tokens_shape,
        derivation=tokens_derivation,
        memory=Memory(view=True),
        lower=lower_tokens,
    ),
    Operator(
        name="map",
        family="tokens",
        summary="A row of tokens as a map.",
        doc="""
        `CxL` becomes `CxHxW` with `H*W = L`, or `CxDxHxW`, row by row. One number is a square: `map(14)` is `map(14x14)`.
        """,
        source="torch.unflatten",
        example="input 768x196; map(14) => 768x14x14",
        attrs=(Attr("sizes", Sizes(map=True), REQUIRED, "the sizes of the map"),),
        shape=map_shape,
        derivation=map_derivation,
        memory=Memory(view=True),
        lower=lower_map,
    ),
    Operator(
        name="token",
        family="tokens",
        summary="One token of a row, as flat values.",
        doc="""
        `CxL` becomes `C`. Positions count from 0; negative ones count from the end, beginning with -1.
        """,
        source="Devlin et al. 2019, arXiv:1810.04805, section 3; indexing of torch.Tensor",
        example="input 768x197; token(0) => 768",
        attrs=(Attr("at", Place(), REQUIRED, "the position"),),
        shape=token_shape,
        derivation=token_derivation,
        memory=Memory(view=True, cuts="positions"),
        lower=lower_token,
    ),
    Operator(
        name="learned",
        family="tokens",
        summary="A trained tensor, the same for every sample: a class token, positions, queries.",
        doc="""
        Its shape is that of the input, except for `sizes` and `channels`: on `768x196`, `learned` is `768x196` and
        `learned(1)` is `768x1`. It depends on the shape and the batch of the input, not on its values. Its key is its label.
        It is stored as in PyTorch's transformers: a row of tokens as `(1, L, C)`, a map as `(1, C, H, W)`, flat values as
        `(1, C)`; `batch=no` drops the 1. Parameters: `channels*sizes`.
        """,
        source="Devlin et al. 2019, arXiv:1810.04805, section 3; torch.nn.Parameter",
        example="input 768x196; concat(axis=w)<class_token: learned(1) | .> => 768x197",
        attrs=(
            Attr("sizes", Optional(Sizes()), Word("none"), "its sizes, any number of them; `none`: those of the input"),
            Attr("channels", Optional(Whole(1)), Word("none"), "its channels; `none`: those of the input"),
            Attr("init", INITIAL, Word("normal", (("std", 0.02),)), "the initialization"),
            Attr("batch", Flag(), True, "whether it is stored with an axis of 1 for the batch"),
        ),
        shape=learned_shape,
        weights=learned_weights,
        receptive_field=receptive.nowhere,
        derivation=stated_derivation,
        picture="learned",
        memory=Memory(stored=True),
        lower=lower_learned,
    ),
    Operator(
        name="sine_positions",
        family="tokens",
        summary="Fixed positions: the sine and cosine of each coordinate at several wavelengths.",
        doc="""
        For each axis of positions, the first one first, it has `channels` channels, in which sines and cosines alternate: channel
        `2i` is `sin(p/temperature^(2i/channels))` and channel `2i + 1` the cosine of the same. Along an axis of `n` positions `p` is 0,
        1, 2, ..., as for sentences; with a `scale` it is `scale*(k + 1)/n` at position `k`, as for maps of any size. The result depends
        on the sizes and the batch of the input, not on its values, and nothing is trained.
        """,
        source="Vaswani et al. 2017, arXiv:1706.03762, section 3.5; with `scale=2*pi`: DETR, Carion et al. 2020, arXiv:2005.12872",
        example="input 96x14x14; sine_positions(32, scale=6.283185307179586) => 64x14x14",
        attrs=(
            Attr("channels", Whole(2), REQUIRED, "the channels for each axis, an even number"),
            Attr("temperature", Real(SMALLEST), 10000.0, "the longest wavelength is nearly `2*pi*temperature`"),
            Attr(
                "scale", Optional(Real(SMALLEST)), Word("none"), "the coordinate of the last position; `none`: positions are counted from 0"
            ),
            Attr("sizes", Optional(Sizes()), Word("none"), "its sizes; `none`: those of the input"),
        ),
        shape=sine_shape,
        receptive_field=receptive.nowhere,
        derivation=sine_derivation,
        detached=True,
        picture="learned",
        lower=lower_sines,
    ),
    Operator(
        name="embedding",
        family="tokens",
        summary="A trained table with a vector for each whole number.",
        doc="""
        `L` becomes `widthxL`: token `i` is row `in[i]` of the table. It is applied to an input of the network, which holds whole
        numbers from 0 to `count - 1` and can be read by embeddings only.

        On tokens of that width it multiplies each token with each row: `widthxL` becomes `countxL`. A `share`
        with an `embedding`, called at the beginning and at the end, ties the weights of a language model.

        Parameters: `count*width`. MACs: none where rows are read, `count*width` for each token that is multiplied.
        """,
        source="torch.nn.Embedding; tied weights: Press & Wolf 2017, arXiv:1608.05859",
        example="input 128; embedding(1000, 64) => 64x128",
        attrs=(
            Attr("count", Whole(1), REQUIRED, "the number of rows of the table"),
            Attr("width", Whole(1), REQUIRED, "the values of a row"),
            WEIGHT_INIT,
        ),
        shape=embedding_shape,
        weights=embedding_weights,
        macs=embedding_macs,
        connections=embedding_macs,
        fvcore=embedding_macs,
        derivation=embedding_derivation,
        indexes=embedding_indexes,
        picture="dense",
        memory=Memory(saves=embedding_saves, order=channels_last),
        lower=lower_embedding,
    ),
)
