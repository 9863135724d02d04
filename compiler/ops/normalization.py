"""Normalization, and operators that drop values at random in training."""

from __future__ import annotations

from archc.compiler.ops import receptive
from archc.compiler.ops.kinds import SMALLEST, Choice, Flag, Real, Whole, Word
from archc.compiler.ops.memory import KEEPS_INPUT, Memory, always, as_maps, channels_last
from archc.compiler.ops.receptive import ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, Weights
from archc.compiler.ops.targets import ModuleTarget, TensorTarget
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def bn_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault for more than three sizes, or an open number of channels."""
    if not 0 <= call.axes <= 3:
        raise Fault(says.wrong_rank("bn", "channels with at most three sizes", show_shape(call.x)))
    return (call.channels, *call.x[1:])


def scale_and_shift(call: Call) -> Weights:
    """Return one scale and one shift per channel; nothing without `affine`."""
    return {"weight": (call.channels,), "bias": (call.channels,)} if call.attrs.get("affine", True) else {}


def bn_buffers(call: Call) -> Weights:
    """Return the shapes of the running statistics and of the counter of batches."""
    return {"running_mean": (call.channels,), "running_var": (call.channels,), "num_batches_tracked": ()}


def lower_bn(call: Call) -> ModuleTarget:
    """Lower to nn.BatchNorm1d, BatchNorm2d or BatchNorm3d."""
    a = call.attrs
    return ModuleTarget(
        f"nn.BatchNorm{max(call.axes, 1)}d",
        {"num_features": call.channels, "eps": a["eps"], "momentum": a["momentum"], "affine": a["affine"]},
    )


def group_norm_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault unless `groups` divides the channels."""
    groups = call.attrs["groups"]
    if call.channels % groups:
        raise Fault(says.groups_do_not_divide(groups, call.channels, "input"))
    return call.x


def lower_group_norm(call: Call) -> ModuleTarget:
    """Lower to nn.GroupNorm."""
    a = call.attrs
    return ModuleTarget("nn.GroupNorm", {"num_groups": a["groups"], "num_channels": call.channels, "eps": a["eps"], "affine": a["affine"]})


def lower_layer_norm(call: Call) -> ModuleTarget:
    """Lower to archc.ChannelNorm."""
    a = call.attrs
    return ModuleTarget(
        "archc.ChannelNorm",
        {"normalized_shape": call.channels, "eps": a["eps"], "elementwise_affine": a["affine"]},
    )


def lrn_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault where the window of `form=spatial` does not apply."""
    call.image()
    if call.attrs["form"] == "spatial" and (call.attrs["size"] % 2 == 0 or call.axes != 2):
        raise Fault(
            says.out_of_range(
                "lrn(form=spatial)", f"given size {call.attrs['size']} on {show_shape(call.x)}", "of odd size, on a map with two sizes"
            )
        )
    return call.x


def bn_saved(call: Call, out: Shape) -> Dim:
    """Count the values saved per batch."""
    return 2 * call.channels  # mean and deviation of every channel


def group_statistics(call: Call, out: Shape) -> Dim:
    """Count mean and deviation of each group of a sample."""
    groups: int = call.attrs["groups"]
    return 2 * groups


def bn_fvcore(call: Call, out: Shape) -> Dim:
    """Count as fvcore does: two operations per value, one without weights."""
    return product(out) * (2 if call.attrs["affine"] else 1)


def group_norm_fvcore(call: Call, out: Shape) -> Dim:
    """Count as fvcore does: five operations per value, four without weights."""
    return product(out) * (5 if call.attrs["affine"] else 4)


def statistics(call: Call, out: Shape) -> Dim:
    """Count mean and deviation of each position of a sample."""
    return 2 * product(call.x[1:])  # of every position


def drops_nothing(call: Call) -> bool:
    """Return whether the probability of dropping is 0."""
    return bool(call.attrs["p"] == 0)


def noise(call: Call, out: Shape) -> Dim:
    """Count the saved noise values of dropout; with p=1 nothing is saved."""
    return product(out) if call.attrs["p"] < 1 else 0


def keeps(call: Call, out: Shape) -> Dim:
    """Count the saved noise values of stochastic depth per sample; the one value per batch of `mode=batch` is not counted."""
    return 1 if call.attrs["mode"] == "row" else 0


def lower_lrn(call: Call) -> ModuleTarget:
    """Lower to archc.ResponseNorm, or to archc.SpatialResponseNorm for `form=spatial`."""
    a = call.attrs
    if a["form"] == "spatial":
        return ModuleTarget(
            "archc.SpatialResponseNorm",
            {"size": a["size"], "alpha": a["alpha"], "beta": a["beta"], "k": a["k"]},
        )
    # PyTorch divides alpha by the size, so the paper's form takes it times the size.
    alpha = a["alpha"] * a["size"] if a["form"] == "sum" else a["alpha"]
    return ModuleTarget("archc.ResponseNorm", {"size": a["size"], "alpha": alpha, "beta": a["beta"], "k": a["k"]})


def lrn_receptive_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the window of `form=spatial`; the other forms work position by position."""
    size = call.attrs["size"]
    return [receptive.sliding(size, pad=size // 2)] * 2 if call.attrs["form"] == "spatial" else receptive.each(call, out)


def lrn_work(call: Call, out: Shape) -> Dim:
    """Count temporary values per sample."""
    # Of the means of the squares, their product with alpha, and the sum with k, two are alive at a time.
    return 2 * product(call.x)


def lrn_saved(call: Call, out: Shape) -> Dim:
    """Count saved values per sample, in addition to the input."""
    # The squares, padded with `size - 1` channels of zeros, the base of the power, and the denominator.
    around = 0 if call.attrs["form"] == "spatial" else call.attrs["size"] - 1
    return (call.x[0] + around) * product(call.x[1:]) + 2 * product(call.x)


def lower_dropout(call: Call) -> ModuleTarget:
    """Lower to nn.Dropout."""
    return ModuleTarget("nn.Dropout", {"p": call.attrs["p"]})


def lower_stochastic_depth(call: Call) -> ModuleTarget:
    """Lower to archc.StochasticDepth."""
    return ModuleTarget("archc.StochasticDepth", {"p": call.attrs["p"], "mode": call.attrs["mode"]})


def layer_scale_weights(call: Call) -> Weights:
    """Return the shape of the factors: `(channels, 1, ...)`, or, with `flat`, `(channels,)`."""
    return {"": (call.channels, *(() if call.attrs["flat"] else (1,) * call.axes))}  # the label itself is the key


def lower_layer_scale(call: Call) -> TensorTarget:
    """Lower to a product with a trained tensor."""
    target = "archc.scaled" if call.attrs["flat"] else "operator.mul"
    return TensorTarget(target, layer_scale_weights(call)[""], Word("constant", (("value", call.attrs["start"]),)))


P = Attr("p", Real(0, 1), REQUIRED, "the probability of dropping a value")
AFFINE = Attr("affine", Flag(), True, "whether a trained scale and shift of each channel follows")

OPERATORS = (
    Operator(
        name="bn",
        family="normalization",
        summary="Batch normalization.",
        doc="""
        `out = weight*(x - mean)/sqrt(var + eps) + bias` for each channel. Mean and variance are those of the batch in
        training, and running means of them, `running += momentum*(batch - running)`, in evaluation. Parameters: `2*channels`.
        """,
        source="torch.nn.BatchNorm1d, BatchNorm2d, BatchNorm3d; Ioffe & Szegedy 2015, arXiv:1502.03167",
        example="input 64x56x56; bn => 64x56x56",
        attrs=(
            Attr("eps", Real(SMALLEST, 1), 1e-5, "the constant added to the variance"),
            Attr("momentum", Real(0, 1), 0.1, "the weight of the latest batch in the running mean"),
            AFFINE,
        ),
        shape=bn_shape,
        weights=scale_and_shift,
        buffers=bn_buffers,
        numbers=("num_batches_tracked",),
        fvcore=bn_fvcore,
        normalizes=True,
        removes_bias=True,
        memory=Memory(saves=always("input"), saved_once=bn_saved, order=as_maps),
        lower=lower_bn,
    ),
    Operator(
        name="group_norm",
        family="normalization",
        summary="Group normalization: like `bn`, but over groups of channels of one sample.",
        doc="""
        `out = weight*(x - mean)/sqrt(var + eps) + bias`, with mean and variance over a group of channels and all positions. The
        receptive field is one position: it does not count them, as Araujo, Norris & Sim 2019 do not.
        """,
        source="torch.nn.GroupNorm; Wu & He 2018, arXiv:1803.08494",
        example="input 64x56x56; group_norm(32) => 64x56x56",
        attrs=(
            Attr("groups", Whole(1), REQUIRED, "the number of groups"),
            Attr("eps", Real(0, 1), 1e-5, "the constant added to the variance"),
            AFFINE,
        ),
        shape=group_norm_shape,
        weights=scale_and_shift,
        fvcore=group_norm_fvcore,
        normalizes=True,
        surveys=True,
        memory=Memory(saves=always("input"), work=group_statistics, saved=group_statistics, reads="whole", order=as_maps),
        lower=lower_group_norm,
    ),
    Operator(
        name="layer_norm",
        family="normalization",
        summary="Layer normalization: over the channels, at each position separately.",
        doc="""
        `out = weight*(x - mean)/sqrt(var + eps) + bias`, with mean and variance over the channels of one position.
        """,
        source="torch.nn.LayerNorm, channels last; Ba, Kiros & Hinton 2016, arXiv:1607.06450",
        example="input 96x56x56; layer_norm => 96x56x56",
        attrs=(Attr("eps", Real(0, 1), 1e-5, "the constant added to the variance"), AFFINE),
        weights=scale_and_shift,
        normalizes=True,
        memory=Memory(saves=always("input"), work=statistics, saved=statistics, order=channels_last),
        lower=lower_layer_norm,
    ),
    Operator(
        name="lrn",
        family="normalization",
        called="LRN",
        summary="Local response normalization, in the conventions of papers and libraries.",
        doc="""
        `out = x / (k + a*S)^beta`, where S is the sum of squares over `size` neighboring channels.

        `form=mean`: a = alpha/size (Caffe, cuda-convnet, PyTorch). `form=sum`: a = alpha, as in the AlexNet paper
        (with k=2) and in TensorFlow. `form=spatial`: S is the sum over a size x size window of the same channel and
        a = alpha/size^2 (Caffe's WITHIN_CHANNEL, with k=1). AlexNet has k=2 in cuda-convnet and k=1 in Caffe.
        """,
        source="Krizhevsky, Sutskever & Hinton 2012, section 3.3; torch.nn.LocalResponseNorm; Caffe's lrn_layer.cpp",
        example="input 96x55x55; lrn(size=5, k=2, form=sum) => 96x55x55",
        attrs=(
            Attr("size", Whole(1), 5, "the number of channels, or the size of the window"),
            Attr("alpha", Real(0), 1e-4, "the weight of the sum"),
            Attr("beta", Real(0), 0.75, "the exponent"),
            Attr("k", Real(0), 1.0, "the constant"),
            Attr("form", Choice(("mean", "sum", "spatial")), Word("mean"), "the convention"),
        ),
        shape=lrn_shape,
        receptive_field=lrn_receptive_field,
        memory=Memory(saves=always("input"), work=lrn_work, saved=lrn_saved),
        lower=lower_lrn,
    ),
    Operator(
        name="dropout",
        family="normalization",
        summary="Sets values to zero at random in training; does nothing in evaluation.",
        doc="""
        In training `out = x*keep/(1 - p)`, where `keep` is 0 with probability `p` and 1 otherwise.
        """,
        source="torch.nn.Dropout; Hinton et al. 2012, arXiv:1207.0580",
        example="input 4096; dropout(0.5) => 4096",
        attrs=(P,),
        memory=Memory(saved=noise),
        identity_in_eval=True,
        identity_in_training=drops_nothing,
        picture="regularization",
        lower=lower_dropout,
    ),
    Operator(
        name="stochastic_depth",
        family="normalization",
        summary="Sets whole samples to zero at random in training, at the end of a residual body; does nothing in evaluation.",
        doc="""
        Like `dropout`, with one `keep` for each sample (`mode=row`) or for the whole batch (`mode=batch`).
        """,
        source="Huang et al. 2016, arXiv:1603.09382",
        example="input 64x28x28; residual<conv3-64(pad=1); stochastic_depth(0.2)> => 64x28x28",
        attrs=(P, Attr("mode", Choice(("row", "batch")), Word("row"), "what is dropped together: a sample, or the batch")),
        memory=Memory(saved=keeps),
        identity_in_eval=True,
        identity_in_training=drops_nothing,
        picture="regularization",
        lower=lower_stochastic_depth,
    ),
    Operator(
        name="layer_scale",
        family="normalization",
        summary="A trained factor per channel, with a small initial value.",
        doc="""
        `out = weight*x`. Parameters: `channels`. The factors are stored as `(channels, 1, 1)` for a map, as in torchvision; `flat=yes`
        stores them as `(channels,)`, as timm does.
        """,
        source="Touvron et al. 2021, arXiv:2103.17239, section 2; Liu et al. 2022, arXiv:2201.03545",
        example="input 96x56x56; layer_scale => 96x56x56",
        attrs=(
            Attr("start", Real(), 1e-6, "the initial value of the factors"),
            Attr("flat", Flag(), False, "whether they are stored without axes of size 1", rare=True),
        ),
        weights=layer_scale_weights,
        memory=KEEPS_INPUT,
        lower=lower_layer_scale,
    ),
)
