"""Operators with several operands, and operators that pad, shuffle and reshape."""

from __future__ import annotations

from archc.compiler.ops import receptive
from archc.compiler.ops.axes import AXIS, AXIS_WORD
from archc.compiler.ops.call import AXIS_NUMBERS
from archc.compiler.ops.elementwise import broadcast_shape, chain, equal_shapes, merge_derivation
from archc.compiler.ops.faults import ShapeFault, Unjoinable
from archc.compiler.ops.kinds import Bounds, Choice, Flag, Real, Whole, Word
from archc.compiler.ops.memory import Memory, always, as_maps, channels_first
from archc.compiler.ops.receptive import ReceptiveFields
from archc.compiler.ops.record import AXES, REQUIRED, Attr, Call, Operator, axis_names, differences
from archc.compiler.ops.targets import CallTarget, ModuleTarget, Operand, Operands
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def add_shape(call: Call) -> Shape:
    """Return the common shape, with `broadcast` that of the largest operand. Raises Fault."""
    return broadcast_shape(call) if call.attrs["broadcast"] else equal_shapes(call)


def concat_shape(call: Call) -> Shape:
    """Return the shape with the sizes along the axis added. Raises Fault where the other axes differ."""
    first = call.x
    axis = concat_axis(call)
    total: Dim = first[axis]
    for other in call.inputs[1:]:
        agree = len(other) == len(first) and all(call.equal(a, b) for i, (a, b) in enumerate(zip(first, other, strict=True)) if i != axis)
        if not agree:
            names = ("channels", *AXES.get(call.axes, ()))
            raise ShapeFault(Unjoinable(call.inputs, tuple(differences(call.inputs, but=axis)), axis, names[axis]))
        total = total + other[axis]
    return (*first[:axis], total, *first[axis + 1 :])


def concat_axis(call: Call) -> int:
    """Return the number of the axis, counted from the channels. Raises Fault where the first branch has no such axis."""
    return call.axis(call.attrs["axis"])


def concat_derivation(call: Call, out: Shape) -> list[str]:
    """Show the sum of the sizes along the axis."""
    axis = concat_axis(call)
    return [f"{axis_names(out)[axis]}: {' + '.join(str(shape[axis]) for shape in call.inputs)} = {out[axis]}"]


def lower_concat(call: Call) -> CallTarget:
    """Lower to torch.cat."""
    return CallTarget("torch.cat", (Operands(),), {"dim": 1 + concat_axis(call)})


def stack_shape(call: Call) -> Shape:
    """Return the common shape with the number of operands as one more size. Raises Fault where shapes differ, or without such an axis."""
    if call.axes == 3:
        how = '`rearrange` joins two of the axes, as in `rearrange("c d h w -> c d (h w)")`'
        raise Fault(says.wrong_rank("stack", "branches with at most two sizes, since it adds one", show_shape(call.x), how))
    axis, shape = stack_axis(call), equal_shapes(call)
    return (*shape[:axis], len(call.inputs), *shape[axis:])


def stack_axis(call: Call) -> int:
    """Return the number of the new axis. Raises Fault where the result has no axis of that name."""
    numbers, word = AXIS_NUMBERS[call.axes + 1], call.attrs["axis"]
    if word not in numbers:
        has = f"its result has one axis more than each branch: {', '.join(f'`{name}`' for name in numbers)}"
        raise Fault(says.wrong_rank(f"stack(axis={word})", "a result with that axis", show_shape(call.x), has))
    return numbers[word]


def stack_derivation(call: Call, out: Shape) -> list[str]:
    """Name the new axis, and say that the others are those of the branches."""
    axis = stack_axis(call)
    return [f"{axis_names(out)[axis]}: {out[axis]} branches", f"the other sizes: those of each branch, {show_shape(call.x)}"]


def lower_stack(call: Call) -> CallTarget:
    """Lower to torch.stack."""
    return CallTarget("torch.stack", (Operands(),), {"dim": 1 + stack_axis(call)})


def lower_add(call: Call) -> CallTarget:
    """Lower to a chain of additions."""
    return chain("operator.add", len(call.inputs))


def lower_mul(call: Call) -> CallTarget:
    """Lower to a chain of multiplications."""
    return chain("operator.mul", len(call.inputs))


def flatten_shape(call: Call) -> Shape:
    """Return the number of values as the only size."""
    return (product(call.x),)


def flatten_derivation(call: Call, out: Shape) -> list[str]:
    """Show the product of the sizes."""
    values = f"{out[0]:,}" if isinstance(out[0], int) else str(out[0])
    return [f"{'*'.join(map(str, call.x))} = {values} values in a row"]


def lower_flatten(call: Call) -> CallTarget:
    """Lower to torch.flatten, which keeps the batch."""
    return CallTarget("torch.flatten", (Operand(), 1))


def shuffle_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault unless `groups` divides the channels."""
    call.image()
    groups = call.attrs["groups"]
    if call.channels % groups:
        raise Fault(says.groups_do_not_divide(groups, call.channels, "input"))
    return call.x


def lower_shuffle(call: Call) -> ModuleTarget:
    """Lower to nn.ChannelShuffle."""
    return ModuleTarget("nn.ChannelShuffle", {"groups": call.attrs["groups"]})


def _paddings(call: Call) -> list[tuple[int, int]]:
    if call.axes > 3:
        call.image()
    numbers = call.axis_numbers
    for name in ("h", "w", "d"):
        if name not in numbers and call.attrs[name] != (0, 0):
            raise Fault(says.wrong_rank(f"pad({name}=...)", f"a tensor with an axis `{name}`", show_shape(call.x)))
    return [call.attrs[name] for name in numbers]


def pad_shape(call: Call) -> Shape:
    """Return the padded shape. Raises Fault for an axis that the input does not have, or where there is too little to reflect."""
    mode = call.attrs["mode"]
    if mode != "constant":
        if call.attrs["c"] != (0, 0) or call.axes == 0:
            raise Fault(says.out_of_range("`c`", "padded", f"0 where `mode` is {mode}, which is for positions", "c"))
        if call.attrs["value"]:
            raise Fault(says.out_of_range("`value`", call.attrs["value"], f"left out where `mode` is {mode}", "value"))
        for size, pair in zip(call.x[1:], _paddings(call)[1:], strict=True):
            if mode == "reflect" and max(pair) and not call.at_least(size - 1, max(pair)):
                raise Fault(says.out_of_range("the padding", max(pair), f"at most {size - 1} where `mode` is reflect", "mode"))
    return tuple(size + before + after for size, (before, after) in zip(call.x, _paddings(call), strict=True))


def pad_derivation(call: Call, out: Shape) -> list[str]:
    """Show the sum for each padded axis."""
    named = zip(axis_names(call.x), call.x, _paddings(call), out, strict=False)
    return [f"{name}: {size} + {before} + {after} = {whole}" for name, size, (before, after), whole in named if before or after]


def pad_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return a shift by the padding before each axis."""
    return [receptive.moved(-before) for before, _ in _paddings(call)[1:]]


def lower_pad(call: Call) -> CallTarget:
    """Lower to F.pad."""
    # torch.nn.functional.pad takes the last axis first, and for other modes than constants the positions alone.
    flat = [amount for pair in reversed(_paddings(call)) for amount in pair]
    if (mode := call.attrs["mode"]) != "constant":
        return CallTarget("F.pad", (Operand(), flat[:-2]), {"mode": mode})
    return CallTarget("F.pad", (Operand(), flat), {"value": call.attrs["value"]})


OPERATORS = (
    Operator(
        name="concat",
        family="joining",
        summary="The branches, concatenated along an axis.",
        doc="""
        All other axes must be equal. The order of the branches is the order of the channels.
        """,
        source="torch.cat",
        example="input 16x28x28; concat<conv1-8 | conv3-8(pad=1)> => 16x28x28",
        attrs=(AXIS,),
        shape=concat_shape,
        joined_axis=concat_axis,
        derivation=concat_derivation,
        sign=("C", "concatenate"),
        memory=Memory(order=as_maps),
        lower=lower_concat,
        operands=(1, None),
    ),
    Operator(
        name="stack",
        family="joining",
        summary="The branches, beside each other along a new axis.",
        doc="""
        All shapes must be equal. `axis` is the word of the new axis in the result: of `n` rows `CxL`, `stack(axis=c)` makes `nxCxL`,
        `axis=h` makes `CxnxL` and `axis=w` makes `CxLxn`. Flat values become a row: of `n` tokens `C`, `axis=w` makes `Cxn`. Of maps,
        `axis=d` makes `CxnxHxW`, as frames of a video. `concat` joins along an axis that is there.
        """,
        source="torch.stack",
        example="input 16x28; stack(axis=h)<. | conv3-16(pad=1)> => 16x2x28",
        attrs=(Attr("axis", AXIS_WORD, REQUIRED, "the new axis, by its word in the result: channels, depth, height or width"),),
        shape=stack_shape,
        derivation=stack_derivation,
        receptive_field=receptive.whole,
        sign=("S", "stack"),
        memory=Memory(order=channels_first),
        lower=lower_stack,
        operands=(1, None),
    ),
    Operator(
        name="add",
        family="joining",
        summary="The elementwise sum of the branches. `residual<body>` is `add<body | .>`.",
        doc="""
        All shapes must be equal; a branch of another shape is an error, since it is most often a forgotten projection. With
        `broadcast=yes` a branch may be one value per channel (`64x1x1`), repeated over the positions, or one map for all channels
        (`1x56x56`), as long as another branch has the shape of the result.
        """,
        source="torch.add; residual: He et al. 2016, arXiv:1512.03385, equation 1",
        example="input 16x28x28; add<conv3-16(pad=1) | .> => 16x28x28",
        attrs=(Attr("broadcast", Flag(), False, "whether `64x1x1` and `1x56x56` are repeated to `64x56x56`", rare=True),),
        shape=add_shape,
        derivation=merge_derivation,
        lower=lower_add,
        operands=(2, None),
        sign=("+", "add"),
    ),
    Operator(
        name="mul",
        family="joining",
        summary="The elementwise product of the branches, as in gates.",
        doc="""
        All shapes must be equal, except that a branch may be a gate: one value per channel (`64x1x1`), or one map for all channels
        (`1x56x56`).
        """,
        source="torch.mul; gates: Hu, Shen & Sun 2018, arXiv:1709.01507",
        example="input 16x28x28; mul<. | adaptive_avgpool1; conv1-16; sigmoid> => 16x28x28",
        shape=broadcast_shape,
        memory=Memory(saves=always("factors")),
        lower=lower_mul,
        operands=(2, None),
        derivation=merge_derivation,
        sign=("×", "multiply"),
    ),
    Operator(
        name="flatten",
        family="joining",
        summary="All values of a sample along one axis.",
        doc="""
        `CxHxW` becomes `C*H*W`, channels outermost.
        """,
        source="torch.flatten",
        example="input 256x6x6; flatten => 9216",
        shape=flatten_shape,
        derivation=flatten_derivation,
        unrolls=True,
        memory=Memory(view=True, reads="first"),
        lower=lower_flatten,
    ),
    Operator(
        name="channel_shuffle",
        family="joining",
        summary="Interleaves the channels of the groups.",
        doc="""
        Arranges the channels in `groups` rows and reads them column by column.
        """,
        source="torch.nn.ChannelShuffle; Zhang et al. 2018, arXiv:1707.01083, section 3.1",
        example="input 16x28x28; channel_shuffle(2) => 16x28x28",
        attrs=(Attr("groups", Whole(1), REQUIRED, "the number of groups"),),
        shape=shuffle_shape,
        memory=Memory(order=as_maps),
        lower=lower_shuffle,
    ),
    Operator(
        name="pad",
        family="joining",
        summary="Pads a tensor with a constant, or with its own values, on the sides that the options name.",
        doc="""
        `c`, `d`, `h` and `w` take one number for both sides or `[before, after]`, and are written by name. Padding the channels is
        the zero-padding shortcut (option A) of the ResNet paper. `mode=reflect` mirrors positions at the border, which is not repeated;
        `mode=replicate` repeats the border.
        """,
        source="torch.nn.functional.pad; He et al. 2016, section 3.3",
        example="input 16x32x32; pad(c=[0, 16], h=[0, 1]) => 32x33x32",
        attrs=(
            Attr("h", Bounds(), 0, "the rows added above and below"),
            Attr("w", Bounds(), 0, "the columns added on the left and on the right"),
            Attr("c", Bounds(), 0, "the channels added before and after"),
            Attr("d", Bounds(), 0, "the positions added before and after along the depth"),
            Attr("value", Real(), 0.0, "the constant"),
            Attr("mode", Choice(("constant", "reflect", "replicate")), Word("constant"), "what the padding consists of", rare=True),
        ),
        named=("h", "w"),
        shape=pad_shape,
        derivation=pad_derivation,
        receptive_field=pad_receptive_field,
        memory=Memory(order=as_maps),
        lower=lower_pad,
    ),
)
