"""Pooling, and other changes of resolution without weights."""

from __future__ import annotations

from collections.abc import Sequence

from archc.compiler.ops import receptive
from archc.compiler.ops.faults import OpenCount, ShapeFault
from archc.compiler.ops.kinds import Choice, Flag, Optional, PerAxis, Word
from archc.compiler.ops.memory import Memory, always, as_input, as_maps
from archc.compiler.ops.receptive import ReceptiveFields
from archc.compiler.ops.record import AXES, REQUIRED, Attr, Call, Like, Operator
from archc.compiler.ops.targets import CallTarget, ModuleTarget, Operand
from archc.compiler.ops.windows import DILATION, PAD, same_padding, slide
from archc.compiler.shapes.dim import Dim, Formula, Shape, product, show_shape
from archc.compiler.shapes.window import Window
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

KERNEL = Attr("kernel", PerAxis(1), 2, "the size of the window")
STRIDE = Attr("stride", PerAxis(1), Like("kernel"), "the step of the window")
CEIL = Attr("ceil", Flag(), False, "whether the output size is rounded up, so that the last window may extend past the edge")
SHORT = ("kernel", "", "stride")


def pool_shape(call: Call) -> Shape:
    """Return the shape after the window. Raises Fault for padding above half the kernel, and for a window that does not fit."""
    call.image()
    for kernel, pad in zip(call.attrs["kernel"], call.attrs["pad"], strict=True):
        if 2 * pad > kernel:
            raise Fault(says.out_of_range("`pad`", pad, f"at most half the kernel, {kernel}//2 = {kernel // 2}", "pad", kernel // 2))
    if call.operator == "avgpool" and call.axes == 3:
        for size, kernel in zip(call.x[1:], call.attrs["kernel"], strict=True):
            if not call.at_least(size, kernel):  # PyTorch wants this of avg_pool3d, padded or not
                raise Fault(says.out_of_range("`kernel`", kernel, f"at most the unpadded input, {size}", "kernel"))
    return (call.x[0], *slide(call))


def lower_maxpool(call: Call) -> ModuleTarget:
    """Lower to nn.MaxPool1d, MaxPool2d or MaxPool3d."""
    a = call.attrs
    arguments = {"kernel_size": a["kernel"], "stride": a["stride"], "padding": a["pad"], "dilation": a["dilation"], "ceil_mode": a["ceil"]}
    return ModuleTarget(f"nn.MaxPool{call.axes}d", arguments)


def lower_avgpool(call: Call) -> ModuleTarget:
    """Lower to nn.AvgPool1d, AvgPool2d or AvgPool3d."""
    a = call.attrs
    arguments = {
        "kernel_size": a["kernel"],
        "stride": a["stride"],
        "padding": a["pad"],
        "ceil_mode": a["ceil"],
        "count_include_pad": a["count_pad"],
    }
    return ModuleTarget(f"nn.AvgPool{call.axes}d", arguments)


def as_image(call: Call, last: Sequence[bool]) -> bool:
    """Follow the input, except on maps with three sizes, whose pools do not keep the memory format."""
    return as_input(call, last) and call.axes < 3


def mean_saves(call: Call) -> Sequence[str]:
    """Save the input, except for global average pooling: it is a mean, which saves nothing."""
    return () if all(size == 1 for size in call.attrs["out"]) else ("input",)


def adaptive_shape(call: Call) -> Shape:
    """Return the channels with the sizes of `out`."""
    call.image()
    return (call.x[0], *call.attrs["out"])


def adaptive_derivation(call: Call, out: Shape) -> list[str]:
    """State the number of windows for each axis."""
    named = zip(AXES[call.axes], call.x[1:], out[1:], strict=True)
    return [f"{name}: {count} window{'' if count == 1 else 's'} over {size} positions" for name, size, count in named]


def averaged(call: Call, out: Shape) -> Dim:
    """Count as fvcore does: every value that is averaged."""
    return product(call.x)


def lower_adaptive(call: Call) -> ModuleTarget:
    """Lower to the adaptive pools of torch.nn."""
    kind = "Avg" if call.operator == "adaptive_avgpool" else "Max"
    return ModuleTarget(f"nn.Adaptive{kind}Pool{call.axes}d", {"output_size": call.attrs["out"]})


def upsample_shape(call: Call) -> Shape:
    """Return the enlarged shape. Raises Fault unless one of `scale` and `size` is given, and for conflicting options."""
    axes = call.image()
    scale, size = call.attrs["scale"], call.attrs["size"]
    if (scale is None) == (size is None):
        raise Fault(says.out_of_range("the number of `scale` and `size` given", 2 if scale else 0, "1"))
    mode = call.attrs["mode"]
    if mode != "nearest" and axes != (1 if mode == "linear" else 2):
        wanted = "one size" if mode == "linear" else "two sizes"
        raise Fault(says.wrong_rank(f"upsample(mode={mode})", wanted, show_shape(call.x), "`mode=nearest` has any number of sizes"))
    if call.attrs["antialias"] and (mode in ("nearest", "linear") or call.attrs["align_corners"]):
        expected = "no, unless the mode is bilinear or bicubic and corners are not aligned"
        raise Fault(says.out_of_range("`antialias`", "yes", expected, "antialias"))
    if call.attrs["align_corners"] and call.attrs["mode"] == "nearest":
        raise Fault(says.out_of_range("`align_corners`", "yes", "no where the mode is nearest", "align_corners"))
    if size is not None:
        return (call.x[0], *size)
    return (call.x[0], *(dim * factor for dim, factor in zip(call.x[1:], scale, strict=True)))


def upsample_derivation(call: Call, out: Shape) -> list[str]:
    """Show the product for each axis, or the stated size."""
    scale = call.attrs["scale"]
    if scale is None:
        return [f"{name}: {size}, as `size` says" for name, size in zip(AXES[call.axes], out[1:], strict=True)]
    named = zip(AXES[call.axes], call.x[1:], scale, out[1:], strict=True)
    return [f"{name}: {size if str(size).isalnum() else f'({size})'}*{factor} = {after}" for name, size, factor, after in named]


def upsample_fvcore(call: Call, out: Shape) -> Dim:
    """Count as fvcore does: every value once, four times where it is interpolated, and what it does not know as nothing."""
    known = {"nearest": 1, "bilinear": 4} if not call.attrs["antialias"] else {}
    return product(out) * known.get(call.attrs["mode"], 0)


def lower_upsample(call: Call) -> ModuleTarget | CallTarget:
    """Lower to nn.Upsample, or to the function that filters."""
    a = call.attrs
    corners = a["align_corners"] if a["mode"] != "nearest" else None
    scale = tuple(float(factor) for factor in a["scale"]) if a["scale"] is not None else None
    if a["antialias"]:
        given = {"size": a["size"], "scale_factor": scale}
        kwargs = {name: value for name, value in given.items() if value is not None}
        return CallTarget("F.interpolate", (Operand(),), {**kwargs, "mode": a["mode"], "antialias": True})
    return ModuleTarget("nn.Upsample", {"size": a["size"], "scale_factor": scale, "mode": a["mode"], "align_corners": corners})


def middle(size: Dim, target: Dim) -> Dim:
    """Return the position where a center crop begins; of an odd number of cut positions, the extra one is after the crop."""
    cut = size - target
    return cut // 2


def crop_shape(call: Call) -> Shape:
    """Return the channels with the sizes of `size`. Raises Fault for a size larger than that of the input."""
    call.image()
    for size, target in zip(call.x[1:], call.attrs["size"], strict=True):
        if not call.at_least(size, target):
            raise Fault(says.out_of_range("the size to crop to", target, f"at most the input size, {size}", "size"))
    return (call.x[0], *call.attrs["size"])


def crop_derivation(call: Call, out: Shape) -> list[str]:
    """State the range of positions for each axis."""
    lines = []
    for name, size, target in zip(AXES[call.axes], call.x[1:], out[1:], strict=True):
        begin = middle(size, target)
        lines.append(f"{name}: positions {begin} up to {begin + target} of {size}")
    return lines


def crop_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return a shift by the position where the crop begins, for each axis."""
    return [receptive.moved(middle(size, target)) for size, target in zip(call.x[1:], out[1:], strict=True)]


def lower_crop(call: Call) -> ModuleTarget:
    """Lower to archc.Crop. Raises Fault for an open size."""
    if any(isinstance(value, Formula) for value in call.attrs["size"]):
        raise ShapeFault(OpenCount("crop", "the sizes", " and ".join(map(str, call.attrs["size"]))))
    return ModuleTarget("archc.Crop", {"sizes": call.attrs["size"]})


OPERATORS = (
    Operator(
        name="maxpool",
        family="pooling",
        called="max pool",
        summary="The largest value of each window, channel by channel; 1-d, 2-d or 3-d, following its input.",
        doc="""
        Size as in `conv`; with `ceil` the division is rounded up, but a window that would start in the right
        padding does not count (PyTorch's rule; Caffe differs where there is no padding). Padding is never the largest value.
        """,
        source="torch.nn.MaxPool1d, MaxPool2d, MaxPool3d",
        example="input 64x112x112; maxpool3/2(pad=1) => 64x56x56",
        attrs=(KERNEL, STRIDE, PAD, DILATION, CEIL),
        shape=pool_shape,
        window=Window.of,
        receptive_field=receptive.window,
        memory=Memory(saves=always("input"), indices=True),
        lower=lower_maxpool,
        canonicalize=same_padding,
        short=SHORT,
    ),
    Operator(
        name="avgpool",
        family="pooling",
        called="average pool",
        summary="The mean of each window, channel by channel; 1-d, 2-d or 3-d, following its input.",
        doc="""
        Size as in `maxpool`. With `count_pad` the padding counts in the divisor; positions past the edge, from `ceil`, do not.
        """,
        source="torch.nn.AvgPool1d, AvgPool2d, AvgPool3d",
        example="input 512x14x14; avgpool5/3 => 512x4x4",
        attrs=(KERNEL, STRIDE, PAD, CEIL, Attr("count_pad", Flag(), True, "whether padding counts in the divisor")),
        shape=pool_shape,
        window=Window.of,
        receptive_field=receptive.window,
        memory=Memory(saves=always("input"), order=as_image),
        lower=lower_avgpool,
        canonicalize=same_padding,
        short=SHORT,
    ),
    Operator(
        name="adaptive_avgpool",
        family="pooling",
        called="average pool",
        summary="The mean of as many windows as `out` states; `adaptive_avgpool1` is global average pooling.",
        doc="""
        Output position `i` of `n` averages the input from `floor(i*size/n)` to `ceil((i+1)*size/n)`.
        """,
        source="torch.nn.AdaptiveAvgPool2d; global average pooling: Lin, Chen & Yan 2014, arXiv:1312.4400, section 3.2",
        example="input 512x7x7; adaptive_avgpool1 => 512x1x1",
        attrs=(Attr("out", PerAxis(1), REQUIRED, "the output sizes"),),
        shape=adaptive_shape,
        derivation=adaptive_derivation,
        receptive_field=receptive.divided,
        fvcore=averaged,
        memory=Memory(saves=mean_saves, order=as_image),
        lower=lower_adaptive,
        short=("out", "", ""),
    ),
    Operator(
        name="adaptive_maxpool",
        family="pooling",
        called="max pool",
        summary="The largest value of each of as many windows as `out` states.",
        doc="""
        The windows are those of `adaptive_avgpool`.
        """,
        source="torch.nn.AdaptiveMaxPool2d",
        example="input 512x7x7; adaptive_maxpool1 => 512x1x1",
        attrs=(Attr("out", PerAxis(1), REQUIRED, "the output sizes"),),
        shape=adaptive_shape,
        derivation=adaptive_derivation,
        receptive_field=receptive.divided,
        memory=Memory(saves=always("input"), indices=True, order=as_image),
        lower=lower_adaptive,
        short=("out", "", ""),
    ),
    Operator(
        name="upsample",
        family="pooling",
        summary="Enlarges a map by repeating or interpolating its values.",
        doc="""
        Size: `size*scale`, or the option `size` where that is given. `bilinear` weights the four nearest values by distance,
        and `bicubic` sixteen by Keys' cubic with a=-0.75; with `align_corners` the corner values of both maps coincide. `linear` weights
        the two nearest values of a row. A `size` may be smaller than that of the input. With `antialias` the filter is as wide as an output
        position, bicubic with a=-0.5, and values outside of the map do not count: as Pillow resizes images.
        """,
        source="torch.nn.Upsample; bicubic: Keys 1981, Cubic convolution interpolation for digital image processing",
        example="input 64x28x28; upsample2 => 64x56x56",
        attrs=(
            Attr("scale", Optional(PerAxis(1)), Word("none"), "the factor of enlargement"),
            Attr("size", Optional(PerAxis(1, open=True)), Word("none"), "the output sizes, instead of `scale`"),
            Attr("mode", Choice(("nearest", "linear", "bilinear", "bicubic")), Word("nearest"), "how values are interpolated"),
            Attr("align_corners", Flag(), False, "whether the corner values of both maps coincide"),
            Attr("antialias", Flag(), False, "whether the filter is as wide as an output position", rare=True),
        ),
        shape=upsample_shape,
        derivation=upsample_derivation,
        fvcore=upsample_fvcore,
        receptive_field=receptive.resized,
        picture="shape",
        grows=True,
        memory=Memory(order=as_maps),
        lower=lower_upsample,
        short=("scale", "", ""),
    ),
    Operator(
        name="crop",
        family="pooling",
        summary="The center of a map.",
        doc="""
        Keeps `size` positions of each axis, starting at `(input size - size)//2`.
        """,
        source="Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, section 2",
        example="input 64x64x64; crop(56) => 64x56x56",
        attrs=(Attr("size", PerAxis(1, open=True), REQUIRED, "the sizes to keep"),),
        shape=crop_shape,
        derivation=crop_derivation,
        receptive_field=crop_receptive_field,
        picture="shape",
        memory=Memory(view=True, cuts="positions"),
        lower=lower_crop,
    ),
)
