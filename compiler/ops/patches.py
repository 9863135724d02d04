"""Operators that exchange positions for channels: blocks of positions, and overlapping patches."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from archc.compiler.ops import receptive
from archc.compiler.ops.kinds import PerAxis, Whole
from archc.compiler.ops.memory import Memory, as_maps, channels_first
from archc.compiler.ops.receptive import Positions, ReceptiveField, ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, axis_names
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.ops.windows import DILATION, PAD, STRIDE, same_padding, slide, spread
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.compiler.shapes.window import Transposed, Window
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

BLOCK = Attr("block", Whole(1), REQUIRED, "the positions of a block along each axis")


def _map(call: Call) -> int:
    """Return the size of a block. Raises Fault unless the input has two sizes."""
    if call.axes != 2:
        raise Fault(says.wrong_rank(call.operator, "channels with two sizes", show_shape(call.x)))
    block: int = call.attrs["block"]
    return block


def to_depth_shape(call: Call) -> Shape:
    """Return the sizes divided by the block, and the channels times its positions. Raises Fault where the block does not divide a size."""
    block = _map(call)
    for name, size in zip(axis_names(call.x)[1:], call.x[1:], strict=True):
        if not call.divisible(size, block):
            after = (
                f"`pad({name[0]}=[0, {-size % block}])` before it makes the {name} {size + -size % block}" if isinstance(size, int) else ""
            )
            raise Fault(says.out_of_range("`block`", block, f"a divisor of the {name}, {size}", "block", instead=after))
    return (call.x[0] * block**2, *(size // block for size in call.x[1:]))


def to_depth_derivation(call: Call, out: Shape) -> list[str]:
    """Show the product of the channels, and the quotients of the sizes."""
    block = call.attrs["block"]
    named = zip(axis_names(call.x)[1:], call.x[1:], out[1:], strict=True)
    return [f"channels: {call.x[0]}*{block}*{block} = {out[0]}", *(f"{name}: {size}/{block} = {after}" for name, size, after in named)]


def to_depth_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return one block for each output."""
    block = call.attrs["block"]
    return [ReceptiveField((Positions(0, block - 1),), block)] * 2


def lower_to_depth(call: Call) -> ModuleTarget:
    """Lower to nn.PixelUnshuffle."""
    return ModuleTarget("nn.PixelUnshuffle", {"downscale_factor": call.attrs["block"]})


def shuffle_shape(call: Call) -> Shape:
    """Return the sizes times the block, and the channels divided by its positions. Raises Fault where these do not divide the channels."""
    block = _map(call)
    if not call.divisible(call.x[0], block**2):
        expected = f"a number whose square divides the {call.x[0]} channels"
        wanted = f"each channel of the result takes {block}*{block} channels before it: {block**2}, {2 * block**2}, {3 * block**2}, ..."
        raise Fault(says.out_of_range("`block`", block, expected, "block", instead=wanted))
    return (call.x[0] // block**2, *(size * block for size in call.x[1:]))


def shuffle_derivation(call: Call, out: Shape) -> list[str]:
    """Show the quotient of the channels, and the products of the sizes."""
    block = call.attrs["block"]
    named = zip(axis_names(call.x)[1:], call.x[1:], out[1:], strict=True)
    sizes = (f"{name}: {size if str(size).isalnum() else f'({size})'}*{block} = {after}" for name, size, after in named)
    return [f"channels: {call.x[0]}/({block}*{block}) = {out[0]}", *sizes]


def shuffle_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the same position for all outputs of a block."""
    block = call.attrs["block"]
    if block > receptive.MAX_PHASES:
        return [ReceptiveField((Positions(0, 0),), Fraction(1, block))] * 2
    return [ReceptiveField((Positions(),) * block, 1)] * 2


def lower_shuffle(call: Call) -> ModuleTarget:
    """Lower to nn.PixelShuffle."""
    return ModuleTarget("nn.PixelShuffle", {"upscale_factor": call.attrs["block"]})


def unfold_shape(call: Call) -> Shape:
    """Return the channels times the window, and the sizes after the window. Raises Fault for three sizes, and as `slide` does."""
    if not 1 <= call.axes <= 2:
        raise Fault(says.wrong_rank("unfold", "channels with one or two sizes", show_shape(call.x)))
    window: int = prod(call.attrs["kernel"])
    return (call.x[0] * window, *slide(call))


def unfold_derivation(call: Call, out: Shape) -> list[str]:
    """Show the product of the channels, and the windows along each axis."""
    patch = "*".join(map(str, call.attrs["kernel"]))
    window = Window.of(call.attrs)
    return [f"channels: {call.x[0]}*{patch} = {out[0]}", *window.derivation(axis_names(call.x)[1:], call.x)]


def lower_unfold(call: Call) -> ModuleTarget:
    """Lower to archc.Patches."""
    a = call.attrs
    return ModuleTarget(
        "archc.Patches", {"kernel_size": a["kernel"], "stride": a["stride"], "padding": a["pad"], "dilation": a["dilation"]}
    )


def fold_shape(call: Call) -> Shape:
    """Return the channels divided by the window, and the sizes of the map. Raises Fault where they do not fit, and as `spread` does."""
    if not 1 <= call.axes <= 2:
        raise Fault(says.wrong_rank("fold", "channels with one or two sizes", show_shape(call.x)))
    window: int = prod(call.attrs["kernel"])
    if not call.divisible(call.x[0], window):
        raise Fault(says.out_of_range("the number of channels", call.x[0], f"a multiple of the window, {window}", "kernel"))
    return (call.x[0] // window, *spread(call))


def fold_derivation(call: Call, out: Shape) -> list[str]:
    """Show the quotient of the channels, and the sizes of the map."""
    patch = "*".join(map(str, call.attrs["kernel"]))
    window = Transposed.of(call.attrs)
    return [f"channels: {call.x[0]}/({patch}) = {out[0]}", *window.derivation(axis_names(call.x)[1:], call.x)]


def fold_excess(call: Call, out: Shape) -> Dim:
    """Count the values by which its input is larger: torch keeps the result in memory of the size of that."""
    excess = product(call.x) - product(out)
    return max(excess, 0) if isinstance(excess, int) else 0


def lower_fold(call: Call) -> ModuleTarget:
    """Lower to archc.PatchSum."""
    a = call.attrs
    settings = {"kernel_size": a["kernel"], "stride": a["stride"], "padding": a["pad"], "dilation": a["dilation"]}
    return ModuleTarget("archc.PatchSum", {**settings, "output_padding": a["out_pad"]})


OPERATORS = (
    Operator(
        name="space_to_depth",
        family="moving",
        summary="Moves blocks of positions into the channels: the inverse of `pixel_shuffle`.",
        doc="""
        `CxHxW` becomes `C*block^2 x H/block x W/block`; channel `c*block^2 + i*block + j` holds row i and column j of every block of
        channel c. The block divides both sizes. Other orders of the channels are slices with a step: Swin's patch merging, YOLO's focus.
        """,
        source="torch.nn.PixelUnshuffle; Shi et al. 2016, arXiv:1609.05158",
        example="input 16x32x32; space_to_depth2 => 64x16x16",
        attrs=(BLOCK,),
        shape=to_depth_shape,
        derivation=to_depth_derivation,
        receptive_field=to_depth_receptive_field,
        memory=Memory(order=as_maps),
        lower=lower_to_depth,
        short=("block", "", ""),
    ),
    Operator(
        name="pixel_shuffle",
        family="moving",
        summary="Moves channels into blocks of positions, as in super-resolution: the inverse of `space_to_depth`.",
        doc="""
        `CxHxW` becomes `C/block^2 x H*block x W*block`; the square of the block divides the channels.
        """,
        source="torch.nn.PixelShuffle; Shi et al. 2016, arXiv:1609.05158, section 3.2",
        example="input 64x16x16; pixel_shuffle2 => 16x32x32",
        attrs=(BLOCK,),
        shape=shuffle_shape,
        derivation=shuffle_derivation,
        receptive_field=shuffle_receptive_field,
        grows=True,
        memory=Memory(order=as_maps),
        lower=lower_shuffle,
        short=("block", "", ""),
    ),
    Operator(
        name="unfold",
        family="moving",
        summary="Makes the patch around each position its channels, in a map or a row.",
        doc="""
        Channel `c*window + k` is position k of the window in channel c, where a window has `kernel` positions along each axis. The
        positions stay a map: `C*kernel x H' x W'`, with sizes as in `conv`. `torch.nn.Unfold` has the same values with the positions in
        a row. Padding is zeros.
        """,
        source="torch.nn.Unfold, its positions as a map",
        example="input 16x28x28; unfold3(pad=1) => 144x28x28",
        attrs=(Attr("kernel", PerAxis(1), REQUIRED, "the size of the window"), STRIDE, PAD, DILATION),
        shape=unfold_shape,
        derivation=unfold_derivation,
        window=Window.of,
        receptive_field=receptive.window,
        memory=Memory(order=channels_first),
        lower=lower_unfold,
        canonicalize=same_padding,
        short=("kernel", "", "stride"),
    ),
    Operator(
        name="fold",
        family="moving",
        summary="Sums up patches, which are the channels of each position, where they lie in a map: the adjoint of `unfold`.",
        doc="""
        Channel `c*window + k` is added to channel c at position k of the window of its position, where a window has `kernel` positions
        along each axis: `C*kernel x H' x W'` becomes `CxHxW`, with sizes as in `convt`. What lies in the padding is dropped; where no
        window is, there are zeros.
        """,
        source="torch.nn.Fold, of positions as a map",
        example="input 144x14x14; fold3/2(pad=1, out_pad=1) => 16x28x28",
        attrs=(
            Attr("kernel", PerAxis(1), REQUIRED, "the size of the window"),
            STRIDE,
            Attr("pad", PerAxis(0), 0, "the positions cut from both ends of each axis"),
            Attr("out_pad", PerAxis(0), 0, "the positions added at the end of each axis"),
            DILATION,
        ),
        shape=fold_shape,
        derivation=fold_derivation,
        window=Transposed.of,
        receptive_field=receptive.transposed,
        grows=True,
        memory=Memory(work=fold_excess, saved=fold_excess, order=channels_first),
        lower=lower_fold,
        short=("kernel", "", "stride"),
    ),
)
