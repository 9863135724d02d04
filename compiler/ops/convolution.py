"""Convolutions and fully-connected layers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from archc.compiler.ops import computed, receptive
from archc.compiler.ops.computed import SPECTRAL_WEIGHT, WEIGHT
from archc.compiler.ops.faults import OpenCount, ShapeFault
from archc.compiler.ops.initialization import INIT
from archc.compiler.ops.kinds import Choice, Flag, PerAxis, Recipe, Table, Whole, Word
from archc.compiler.ops.memory import Memory, always, as_maps, channels_last
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, Weights, macs_and_bias, units
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.ops.windows import DILATION, PAD, STRIDE, same_padding, slide, spread
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.compiler.shapes.window import Transposed, Window
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

BIAS = Attr("bias", Flag(), True, "whether a trained value is added to each channel")
WEIGHT_INIT = Attr("init", INIT, Word("torch"), "the initialization of the weights; `torch` is PyTorch's default")
BIAS_INIT = Attr(
    "bias_init",
    Recipe({k: v for k, v in INIT.table.items() if not k.startswith(("he_", "xavier_"))}),
    Word("torch"),
    "the initialization of the bias",
)


def _bias(call: Call) -> Weights:
    return {"bias": (call.attrs["out"],)} if call.attrs["bias"] else {}


def _groups(call: Call) -> int:
    groups: int = call.attrs["groups"]
    for channels, which in ((call.channels, "input"), (call.attrs["out"], "output")):
        if channels % groups:
            raise Fault(says.groups_do_not_divide(groups, channels, which))
    return groups


def _connections(call: Call) -> list[list[int]] | None:
    """Return the connection table, or None without one. Raises Fault for a table that does not match the channels."""
    table = call.attrs["from"]
    if table is None:
        return None
    out = call.attrs["out"]
    if call.attrs["groups"] != 1:
        raise Fault(says.bad_table("it is combined with groups, which are a table of their own"))
    if len(table) != out:
        raise Fault(says.bad_table(f"it has {len(table)} rows for {out} output channels"))
    for number, row in enumerate(table):
        if not row or len(set(row)) != len(row):
            raise Fault(says.bad_table(f"row {number} is {'empty' if not row else 'listing a channel twice'}"))
        if max(row) >= call.channels:
            raise Fault(says.bad_table(f"row {number} names channel {max(row)}, and there are {call.channels}, from 0"))
    return [list(row) for row in table]


def conv_shape(call: Call) -> Shape:
    """Return `(out, *sizes)`. Raises Fault where groups, table, window or padding do not fit the input."""
    call.image()
    _groups(call)
    _connections(call)
    computed.check(call, kernels(call))
    sizes = slide(call)
    mode = call.attrs["pad_mode"]
    for size, pad in zip(call.x[1:], call.attrs["pad"], strict=True):
        # These modes pad with values of the map itself; a reflection leaves out the border.
        most = size - 1 if mode == "reflect" else size
        if pad and mode in ("reflect", "circular") and not call.at_least(most, pad):
            raise Fault(says.out_of_range("`pad`", pad, f"at most {most} where pad_mode is {mode}", "pad"))
    return (call.attrs["out"], *sizes)


def kernels(call: Call) -> tuple[int, ...]:
    """Return the shape of the weight: `(out, in/groups, *kernel)`, or `(connections, *kernel)` with a table."""
    table = _connections(call)
    kernel = call.attrs["kernel"]
    if table is not None:
        return (sum(len(row) for row in table), *kernel)
    return (call.attrs["out"], call.channels // call.attrs["groups"], *kernel)


def conv_weights(call: Call) -> Weights:
    """Return the kernels and the bias."""
    return {**computed.tensors(call, kernels(call)), **_bias(call)}


def conv_buffers(call: Call) -> Weights:
    """Return the singular vectors of `weight=spectral`."""
    return computed.vectors(call, kernels(call))


def conv_macs(call: Call, out: Shape) -> Dim:
    """Count the weights times the output positions."""
    return product(out[1:]) * prod(kernels(call))


def conv_fvcore(call: Call, out: Shape) -> Dim:
    """Count as fvcore does: a connection table is a dense convolution."""
    kernel: int = prod(call.attrs["kernel"])
    return product(out) * call.channels * kernel if call.attrs["from"] is not None else conv_macs(call, out)


def _conv_arguments(call: Call) -> dict[str, Any]:
    attrs = call.attrs
    arguments = {"in_channels": call.channels, "out_channels": attrs["out"], "kernel_size": attrs["kernel"]}
    renamed = {"stride": "stride", "pad": "padding", "dilation": "dilation", "groups": "groups", "bias": "bias", "pad_mode": "padding_mode"}
    return arguments | {theirs: attrs[ours] for ours, theirs in renamed.items() if ours in attrs} | computed.settings(call)


def lower_conv(call: Call) -> ModuleTarget:
    """Lower to nn.Conv1d, Conv2d or Conv3d, or to archc.TableConv with a table."""
    table = _connections(call)
    if table is not None:
        arguments = _conv_arguments(call)
        del arguments["in_channels"], arguments["out_channels"], arguments["groups"]
        return ModuleTarget("archc.TableConv", {"in_channels": call.channels, "table": table, **arguments})
    return ModuleTarget(computed.target(call, f"Conv{call.axes}d"), _conv_arguments(call))


def conv_saves(call: Call) -> Sequence[str]:
    """Save the input for zero padding; otherwise the padded copy (`padded`), and the input itself unless the padding is circular."""
    mode = call.attrs["pad_mode"]
    return ("input",) if mode == "zeros" else () if mode == "circular" else ("differentiated",)


def padded(call: Call, out: Shape) -> Dim:
    """Return the number of values in the padded copy of the input; zero padding needs no copy."""
    if call.attrs["pad_mode"] == "zeros":
        return 0
    return call.x[0] * product(tuple(size + 2 * pad for size, pad in zip(call.x[1:], call.attrs["pad"], strict=True)))


def dense(call: Call, out: Shape) -> Dim:
    """Return the number of kernel values that are computed: those of a connection table as a dense convolution, zeros included."""
    kernel: int = prod(call.attrs["kernel"])
    return call.attrs["out"] * call.channels * kernel if call.attrs["from"] is not None else computed.values(call, kernels(call))


def kept_with_kernels(call: Call, out: Shape) -> Dim:
    """Count the computed kernels that are kept, and of a connection table two 8-byte indices per connection, in values of 4 bytes."""
    table = call.attrs["from"]
    return computed.kept(call, kernels(call)) if table is None else dense(call, out) + 4 * sum(len(row) for row in table)


def conv_order(call: Call, last: Sequence[bool]) -> bool:
    """Keep the memory format of maps, except for circular padding."""
    return as_maps(call, last) and call.attrs["pad_mode"] != "circular"


def transposed_shape(call: Call) -> Shape:
    """Return `(out, *sizes)`. Raises Fault where groups or `out_pad` do not fit, or a size would be less than 1."""
    call.image()
    _groups(call)
    return (call.attrs["out"], *spread(call))


def transposed_kernels(call: Call) -> tuple[int, ...]:
    """Return the shape of the weight: `(in, out/groups, *kernel)`."""
    return (call.channels, call.attrs["out"] // call.attrs["groups"], *call.attrs["kernel"])


def transposed_weights(call: Call) -> Weights:
    """Return the kernels and the bias."""
    return {**computed.tensors(call, transposed_kernels(call)), **_bias(call)}


def transposed_buffers(call: Call) -> Weights:
    """Return the singular vectors of `weight=spectral`."""
    return computed.vectors(call, transposed_kernels(call), axis=1)


def transposed_kept(call: Call, out: Shape) -> Dim:
    """Count what is kept of computed kernels."""
    return computed.kept(call, transposed_kernels(call), axis=1)


def transposed_work(call: Call, out: Shape) -> Dim:
    """Count the values of computed kernels."""
    return computed.values(call, transposed_kernels(call))


def transposed_macs(call: Call, out: Shape) -> Dim:
    """Count the weights times the input positions."""
    # Each input value is multiplied by the whole kernel once.
    return product(call.x[1:]) * prod(transposed_kernels(call))


def lower_transposed(call: Call) -> ModuleTarget:
    """Lower to nn.ConvTranspose1d, ConvTranspose2d or ConvTranspose3d."""
    return ModuleTarget(
        computed.target(call, f"ConvTranspose{call.axes}d"), {**_conv_arguments(call), "output_padding": call.attrs["out_pad"]}
    )


def _features(call: Call) -> int:
    if len(call.x) != 1:
        raise Fault(says.wrong_rank(call.operator, "a flat input", show_shape(call.x)))
    features = call.x[0]
    if not isinstance(features, int):
        raise ShapeFault(OpenCount(call.operator, "the number of its inputs", features))
    return features


def fc_shape(call: Call) -> Shape:
    """Return `(out,)`. Raises Fault unless the input is flat and its size a number."""
    _features(call)
    return (call.attrs["out"],)


def _lower_dense(target: str, call: Call, inputs: int) -> ModuleTarget:
    return ModuleTarget(target, {"in_features": inputs, "out_features": call.attrs["out"], "bias": call.attrs["bias"]})


def fc_weights(call: Call) -> Weights:
    """Return `(out, in)` and the bias."""
    return {**computed.tensors(call, (call.attrs["out"], _features(call))), **_bias(call)}


def fc_buffers(call: Call) -> Weights:
    """Return the singular vectors of `weight=spectral`."""
    return computed.vectors(call, (call.attrs["out"], _features(call)))


def fc_kept(call: Call, out: Shape) -> Dim:
    """Count what is kept of a computed weight."""
    return computed.kept(call, (call.attrs["out"], _features(call)))


def fc_work(call: Call, out: Shape) -> Dim:
    """Count the values of a computed weight."""
    return computed.values(call, (call.attrs["out"], _features(call)))


def fc_macs(call: Call, out: Shape) -> Dim:
    """Count one multiply-accumulate per weight."""
    outputs: int = call.attrs["out"]
    return _features(call) * outputs


def lower_fc(call: Call) -> ModuleTarget:
    """Lower to nn.Linear."""
    return _lower_dense(computed.target(call, "Linear"), call, _features(call))


def channel_fc_weights(call: Call) -> Weights:
    """Return `(out, channels)` and the bias."""
    return {"weight": (call.attrs["out"], call.channels), **_bias(call)}


def channel_fc_shape(call: Call) -> Shape:
    """Return `(out, *sizes)`."""
    return (call.attrs["out"], *call.x[1:])


def channel_fc_macs(call: Call, out: Shape) -> Dim:
    """Count the weights times the positions."""
    return product(out) * call.channels


def lower_channel_fc(call: Call) -> ModuleTarget:
    """Lower to archc.ChannelLinear."""
    return _lower_dense("archc.ChannelLinear", call, call.channels)


OPERATORS = (
    Operator(
        name="conv",
        family="convolution",
        called="",
        summary="Convolution in one, two or three dimensions, following its input.",
        doc="""
        `out[o, y, x] = bias[o] + sum over i, r, c of weight[o, i, r, c] * in[i, y*stride + r*dilation - pad, x*stride + c*dilation - pad]`

        Size: `floor((size + 2*pad - dilation*(kernel-1) - 1)/stride) + 1`. Parameters: `out*(in/groups)*kernel + out`.
        MACs: the weights times the output positions. With `groups`, output channels depend only on the input channels of
        their group; with `groups` equal to the channels it is depthwise. `from` lists, for each output channel, the
        input channels it depends on (LeNet-5's C3); only those weights exist, in the order of the table.

        `weight=standardized`: each kernel minus its mean, over its standard deviation, is what is applied (biased variance plus eps).
        `weight=scaled`: that, times `gamma/sqrt(in/groups*kernel)` and a trained `gain` for each output channel. `weight=spectral`: the
        weight over its largest singular value, for which each training step runs one power iteration.
        """,
        source="torch.nn.Conv1d, Conv2d, Conv3d; LeCun et al. 1998, section II.B and table I for connection tables; "
        "standardized: Qiao et al. 2019, arXiv:1903.10520; scaled: Brock et al. 2021, arXiv:2101.08692; spectral: Miyato et al. 2018, "
        "arXiv:1802.05957, as torch.nn.utils.parametrizations.spectral_norm",
        example="input 3x32x32; conv3-16/2(pad=1) => 16x16x16",
        attrs=(
            Attr("kernel", PerAxis(1), REQUIRED, "the size of the window"),
            Attr("out", Whole(1), REQUIRED, "the number of output channels"),
            STRIDE,
            PAD,
            DILATION,
            Attr("groups", Whole(1), 1, "the number of groups that the channels are divided into"),
            BIAS,
            Attr("from", Table(), Word("none"), "the connection table"),
            Attr("pad_mode", Choice(("zeros", "reflect", "replicate", "circular")), Word("zeros"), "what the padding consists of"),
            WEIGHT,
            WEIGHT_INIT,
            BIAS_INIT,
        ),
        shape=conv_shape,
        weights=conv_weights,
        buffers=conv_buffers,
        macs=conv_macs,
        connections=macs_and_bias(conv_macs),
        fvcore=conv_fvcore,
        window=Window.of,
        receptive_field=receptive.window,
        linear=True,
        memory=Memory(saves=conv_saves, saved=padded, saved_once=kept_with_kernels, work=padded, work_once=dense, order=conv_order),
        lower=lower_conv,
        canonicalize=same_padding,
        short=("kernel", "out", "stride"),
        followers=True,
    ),
    Operator(
        name="convt",
        family="convolution",
        summary="Transposed convolution, which enlarges a map; in one, two or three dimensions.",
        doc="""
        The map from output gradients to input gradients of a convolution with the same options (its adjoint).

        Size: `(size - 1)*stride - 2*pad + dilation*(kernel-1) + out_pad + 1`. MACs: the weights times the *input*
        positions, since each input value is multiplied by the whole kernel once.
        """,
        source="torch.nn.ConvTranspose1d, ConvTranspose2d, ConvTranspose3d",
        example="input 64x28x28; convt2-32/2 => 32x56x56",
        attrs=(
            Attr("kernel", PerAxis(1), REQUIRED, "the size of the window"),
            Attr("out", Whole(1), REQUIRED, "the number of output channels"),
            STRIDE,
            Attr("pad", PerAxis(0), 0, "the positions cut from both ends of each axis"),
            Attr("out_pad", PerAxis(0), 0, "the positions added at the end of each axis"),
            DILATION,
            Attr("groups", Whole(1), 1, "the number of groups that the channels are divided into"),
            BIAS,
            SPECTRAL_WEIGHT,
            WEIGHT_INIT,
            BIAS_INIT,
        ),
        shape=transposed_shape,
        weights=transposed_weights,
        buffers=transposed_buffers,
        macs=transposed_macs,
        connections=macs_and_bias(transposed_macs),
        window=Transposed.of,
        receptive_field=receptive.transposed,
        linear=True,
        grows=True,
        memory=Memory(saves=always("input"), saved_once=transposed_kept, work_once=transposed_work, order=as_maps),
        lower=lower_transposed,
        short=("kernel", "out", "stride"),
        followers=True,
    ),
    Operator(
        name="fc",
        family="convolution",
        summary="Fully-connected layer: each output depends on every input value.",
        doc="""
        `out = weight * in + bias`. An input with more than one axis is flattened first; `expand` shows the `flatten`.

        Parameters: `out*in + out`. MACs: `out*in`.
        """,
        source="torch.nn.Linear",
        example="input 512x7x7; FC-4096(act=relu) => 4096",
        attrs=(Attr("out", Whole(1), REQUIRED, "the number of output values"), BIAS, SPECTRAL_WEIGHT, WEIGHT_INIT, BIAS_INIT),
        shape=fc_shape,
        weights=fc_weights,
        buffers=fc_buffers,
        macs=fc_macs,
        connections=macs_and_bias(fc_macs),
        derivation=units,
        picture="dense",
        linear=True,
        memory=Memory(saves=always("input"), saved_once=fc_kept, work_once=fc_work),
        lower=lower_fc,
        short=("", "out", ""),
        followers=True,
        flattens=True,
    ),
    Operator(
        name="channel_fc",
        family="convolution",
        summary="Fully-connected layer over the channels, at each position separately.",
        doc="""
        `out[:, y, x] = weight * in[:, y, x] + bias`: a 1x1 convolution whose weight has two axes, as in `torch.nn.Linear`.

        Parameters: `out*in + out`. MACs: `out*in` per position.
        """,
        source="torch.nn.Linear, channels last; Liu et al. 2022, arXiv:2201.03545, figure 4",
        example="input 96x56x56; channel_fc-384 => 384x56x56",
        attrs=(Attr("out", Whole(1), REQUIRED, "the number of output channels"), BIAS, WEIGHT_INIT, BIAS_INIT),
        shape=channel_fc_shape,
        weights=channel_fc_weights,
        macs=channel_fc_macs,
        connections=macs_and_bias(channel_fc_macs),
        derivation=units,
        picture="dense",
        linear=True,
        memory=Memory(saves=always("input"), reads="last", order=channels_last),
        lower=lower_channel_fc,
        short=("", "out", ""),
        followers=True,
    ),
)
