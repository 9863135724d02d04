"""Activations: elementwise functions, softmax, and gates of half the channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from archc.compiler.ops.axes import AXES, along_axes, along_axes_field, axes_of, over_axes
from archc.compiler.ops.kinds import SMALLEST, Choice, Real, Whole, Word
from archc.compiler.ops.memory import KEEPS_INPUT, KEEPS_OUTPUT, Memory, Values, always, channels_first, none, one_each
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator, Weights
from archc.compiler.ops.targets import ModuleTarget, Target
from archc.compiler.shapes.dim import Shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def _fixed(target: str, **kwargs: object) -> Callable[[Call], ModuleTarget]:
    return lambda call: ModuleTarget(target, kwargs)


def _renamed(target: str, names: Mapping[str, str]) -> Callable[[Call], ModuleTarget]:
    return lambda call: ModuleTarget(target, {theirs: call.attrs[ours] for ours, theirs in names.items()})


def _plain(
    name: str,
    target: str,
    formula: str,
    source: str = "",
    memory: Memory = KEEPS_INPUT,
    fusable: bool = False,
    rectifier: bool = False,
    **kwargs: object,
) -> Operator:
    """Return the record of an activation without options. The backward pass of a `rectifier` needs only its output."""
    return Operator(
        name=name,
        family="activation",
        summary=f"`{formula}`, elementwise.",
        doc=f"\n        `out = {formula}`\n        ",
        source=source or f"torch.{target}",
        example=f"input 8x4x4; {name} => 8x4x4",
        memory=memory,
        fusable=fusable,
        rectifies=rectifier,
        overwrites=rectifier,
        lower=_fixed(target, **kwargs),
    )


def prelu_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault unless there is one slope, or one per channel."""
    slopes = call.attrs["slopes"]
    if slopes not in (1, call.channels):
        raise Fault(says.out_of_range("`slopes`", slopes, f"1 or the number of channels, {call.channels}", "slopes"))
    return call.x


def prelu_weights(call: Call) -> Weights:
    """Return the shape of the slopes."""
    return {"weight": (call.attrs["slopes"],)}


def _over_axis(name: str, target: str, formula: str, work: Values = none) -> Operator:
    """Return the record of a function of all values along an axis, or along several."""

    def lower(call: Call) -> Target:
        axes = axes_of(call)
        return ModuleTarget(target, {"dim": 1 + axes[0]}) if len(axes) == 1 else over_axes(call, f"F.{name}")

    return Operator(
        name=name,
        family="activation",
        summary=f"`{formula} over the channels`, or over other axes.",
        doc=f"""
        `out = {formula}`, with the sum over the channels of one position. `axis=h` and `axis=w` sum over a column or a row of one
        channel, `axis=[h, w]` over all of its positions.
        """,
        source=f"torch.{target}",
        example=f"input 8x4x4; {name} => 8x4x4",
        attrs=(AXES,),
        shape=along_axes,
        receptive_field=along_axes_field,
        memory=replace(SOFTMAX, work=work),
        lower=lower,
    )


def range_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault for bounds in the wrong order."""
    names = [attr for attr in ("min", "max", "lower", "upper") if attr in call.attrs]
    low, high = (call.attrs[name] for name in names)
    if low > high:
        raise Fault(says.out_of_range(f"`{names[0]}`", f"{low:g}", f"at most `{names[1]}`, which is {high:g}", names[0]))
    return call.x


def halved_shape(call: Call) -> Shape:
    """Return the shape with half the channels. Raises Fault for an odd number of them."""
    if call.channels % 2:
        raise Fault(says.out_of_range("the number of channels", call.channels, "even: one half is the gate of the other"))
    return (call.channels // 2, *call.x[1:])


def halved_derivation(call: Call, out: Shape) -> list[str]:
    """Show the half."""
    return [f"channels: {call.channels}/2 = {out[0]}"]


SOFTMAX = Memory(saves=always("output"), order=channels_first)

OPERATORS = (
    _plain("relu", "nn.ReLU", "max(x, 0)", "torch.nn.ReLU; Nair & Hinton 2010", memory=KEEPS_OUTPUT, fusable=True, rectifier=True),
    _plain("relu6", "nn.ReLU6", "min(max(x, 0), 6)", "torch.nn.ReLU6; Howard et al. 2017, arXiv:1704.04861", fusable=True, rectifier=True),
    _plain("sigmoid", "nn.Sigmoid", "1/(1 + exp(-x))", memory=KEEPS_OUTPUT, fusable=True),
    _plain("tanh", "nn.Tanh", "tanh(x)", memory=KEEPS_OUTPUT, fusable=True),
    _plain("silu", "nn.SiLU", "x/(1 + exp(-x))", "torch.nn.SiLU; Ramachandran, Zoph & Le 2017, arXiv:1710.05941", fusable=True),
    _plain(
        "hardswish",
        "nn.Hardswish",
        "x*min(max(x + 3, 0), 6)/6",
        "torch.nn.Hardswish; Howard et al. 2019, arXiv:1905.02244",
        fusable=True,
    ),
    _plain(
        "hardsigmoid",
        "nn.Hardsigmoid",
        "min(max(x + 3, 0), 6)/6",
        "torch.nn.Hardsigmoid; Howard et al. 2019, arXiv:1905.02244",
        fusable=True,
    ),
    _plain("softplus", "nn.Softplus", "log(1 + exp(x))"),
    _over_axis("softmax", "nn.Softmax", "exp(x)/sum of exp(x)"),
    _over_axis("log_softmax", "nn.LogSoftmax", "x - log(sum of exp(x))"),
    _over_axis("softmin", "nn.Softmin", "exp(-x)/sum of exp(-x)", work=one_each),
    _plain("mish", "nn.Mish", "x*tanh(log(1 + exp(x)))", "torch.nn.Mish; Misra 2020, arXiv:1908.08681"),
    _plain(
        "selu",
        "nn.SELU",
        "1.0507*(max(x, 0) + min(1.6733*(exp(x) - 1), 0))",
        "torch.nn.SELU; Klambauer et al. 2017, arXiv:1706.02515",
    ),
    _plain("softsign", "nn.Softsign", "x/(1 + |x|)", memory=Memory(saves=always("input"), saved=one_each, work=one_each)),
    _plain("tanhshrink", "nn.Tanhshrink", "x - tanh(x)", memory=Memory(saved=one_each, work=one_each)),
    _plain("logsigmoid", "nn.LogSigmoid", "log(1/(1 + exp(-x)))", memory=Memory(saves=always("input"), saved=one_each, work=one_each)),
    Operator(
        name="gelu",
        family="activation",
        summary="`x*P(X <= x)` for a standard normal X, elementwise.",
        doc="""
        `out = x*(1 + erf(x/sqrt(2)))/2`; with `approximate=tanh`, `x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x^3)))/2`.
        """,
        source="torch.nn.GELU; Hendrycks & Gimpel 2016, arXiv:1606.08415",
        example="input 8x4x4; gelu => 8x4x4",
        attrs=(Attr("approximate", Choice(("none", "tanh")), Word("none"), "the formula to use"),),
        memory=KEEPS_INPUT,
        fusable=True,
        lower=_renamed("archc.Gelu", {"approximate": "approximate"}),
    ),
    Operator(
        name="leaky_relu",
        family="activation",
        summary="`x` where it is positive, `slope*x` where it is not.",
        doc="""
        `out = max(x, 0) + slope*min(x, 0)`
        """,
        source="torch.nn.LeakyReLU; Maas, Hannun & Ng 2013",
        example="input 8x4x4; leaky_relu(0.1) => 8x4x4",
        attrs=(Attr("slope", Real(0), 0.01, "the slope below zero"),),
        memory=KEEPS_INPUT,
        fusable=True,
        lower=_renamed("nn.LeakyReLU", {"slope": "negative_slope"}),
    ),
    Operator(
        name="elu",
        family="activation",
        summary="`x` where it is positive, `alpha*(exp(x) - 1)` where it is not.",
        doc="""
        `out = max(x, 0) + min(alpha*(exp(x) - 1), 0)`
        """,
        source="torch.nn.ELU; Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289",
        example="input 8x4x4; elu => 8x4x4",
        attrs=(Attr("alpha", Real(0), 1.0, "the negated limit for large negative inputs"),),
        memory=KEEPS_INPUT,
        lower=_renamed("nn.ELU", {"alpha": "alpha"}),
    ),
    Operator(
        name="prelu",
        family="activation",
        summary="A leaky ReLU whose slope is trained.",
        doc="""
        `out = max(x, 0) + weight*min(x, 0)`, with one slope, or one per channel.
        """,
        source="torch.nn.PReLU; He et al. 2015, arXiv:1502.01852, section 2.1",
        example="input 8x4x4; prelu(8) => 8x4x4",
        attrs=(
            Attr("slopes", Whole(1), 1, "the number of slopes: 1, or the number of channels"),
            Attr("start", Real(), 0.25, "the initial value of the slopes"),
        ),
        weights=prelu_weights,
        shape=prelu_shape,
        memory=KEEPS_INPUT,
        lower=_renamed("nn.PReLU", {"slopes": "num_parameters", "start": "init"}),
    ),
    Operator(
        name="scaled_tanh",
        family="activation",
        summary="LeNet-5's squashing function.",
        doc="""
        `out = amplitude*tanh(slope*x)`, with 1.7159 and 2/3 as published, so that f(1) = 1 and f(-1) = -1.
        """,
        source="LeCun et al. 1998, appendix A",
        example="input 8x4x4; scaled_tanh => 8x4x4",
        attrs=(Attr("amplitude", Real(0), 1.7159, "the limit for large inputs"), Attr("slope", Real(0), 2 / 3, "the factor on the input")),
        memory=Memory(work=one_each, saved=one_each),
        lower=_renamed("archc.ScaledTanh", {"amplitude": "amplitude", "slope": "slope"}),
    ),
    Operator(
        name="celu",
        family="activation",
        summary="`x` where it is positive, `alpha*(exp(x/alpha) - 1)` where it is not.",
        doc="""
        `out = max(x, 0) + min(alpha*(exp(x/alpha) - 1), 0)`
        """,
        source="torch.nn.CELU; Barron 2017, arXiv:1704.07483",
        example="input 8x4x4; celu => 8x4x4",
        attrs=(Attr("alpha", Real(SMALLEST), 1.0, "the negated limit for large negative inputs"),),
        memory=KEEPS_INPUT,
        lower=_renamed("nn.CELU", {"alpha": "alpha"}),
    ),
    Operator(
        name="softshrink",
        family="activation",
        summary="`x` moved towards 0 by `bound`; 0 within it.",
        doc="""
        `out = max(x - bound, 0) + min(x + bound, 0)`
        """,
        source="torch.nn.Softshrink",
        example="input 8x4x4; softshrink => 8x4x4",
        attrs=(Attr("bound", Real(0), 0.5, "the size of the values that become 0"),),
        memory=KEEPS_INPUT,
        lower=_renamed("nn.Softshrink", {"bound": "lambd"}),
    ),
    Operator(
        name="hardshrink",
        family="activation",
        summary="`x` where it is larger than `bound` or smaller than `-bound`, 0 elsewhere.",
        doc="""
        `out = x` for |x| > bound, else 0.
        """,
        source="torch.nn.Hardshrink",
        example="input 8x4x4; hardshrink => 8x4x4",
        attrs=(Attr("bound", Real(0), 0.5, "the size of the values that become 0"),),
        memory=KEEPS_INPUT,
        lower=_renamed("nn.Hardshrink", {"bound": "lambd"}),
    ),
    Operator(
        name="hardtanh",
        family="activation",
        summary="`min(max(x, low), high)`, from -1 to 1 unless said otherwise.",
        doc="""
        `out = min(max(x, min), max)`, with the options `min` and `max`.
        """,
        source="torch.nn.Hardtanh",
        example="input 8x4x4; hardtanh => 8x4x4",
        attrs=(Attr("min", Real(), -1.0, "the lower bound"), Attr("max", Real(), 1.0, "the upper bound")),
        shape=range_shape,
        memory=KEEPS_INPUT,
        lower=_renamed("nn.Hardtanh", {"min": "min_val", "max": "max_val"}),
    ),
    Operator(
        name="threshold",
        family="activation",
        summary="`x` where it is larger than `above`, `value` elsewhere.",
        doc="""
        `out = x` for x > above, else `value`. `relu` is `threshold(0, 0)`.
        """,
        source="torch.nn.Threshold",
        example="input 8x4x4; threshold(0.1, 0) => 8x4x4",
        attrs=(
            Attr("above", Real(), REQUIRED, "the largest value that is replaced"),
            Attr("value", Real(), REQUIRED, "what replaces it"),
        ),
        memory=KEEPS_INPUT,
        lower=_renamed("nn.Threshold", {"above": "threshold", "value": "value"}),
    ),
    Operator(
        name="glu",
        family="activation",
        summary="The first half of the channels, times the sigmoid of the second half.",
        doc="""
        `out = a/(1 + exp(-b))` for the halves `a` and `b` of the channels, of which there must be an even number.
        """,
        source="torch.nn.GLU; Dauphin et al. 2017, arXiv:1612.08083",
        example="input 8x4x4; glu => 4x4x4",
        shape=halved_shape,
        derivation=halved_derivation,
        memory=KEEPS_INPUT,
        picture="shape",
        lower=_fixed("nn.GLU", dim=1),
    ),
    Operator(
        name="rrelu",
        family="activation",
        summary="A leaky ReLU whose slope is drawn at random for each value in training.",
        doc="""
        `out = max(x, 0) + slope*min(x, 0)`, with slopes drawn evenly from `lower` to `upper` in training, and their mean in evaluation.
        """,
        source="torch.nn.RReLU; Xu et al. 2015, arXiv:1505.00853",
        example="input 8x4x4; rrelu => 8x4x4",
        attrs=(
            Attr("lower", Real(0), 1 / 8, "the smallest slope"),
            Attr("upper", Real(0), 1 / 3, "the largest slope"),
        ),
        shape=range_shape,
        memory=Memory(saves=always("input"), saved=one_each, work=one_each),
        lower=_renamed("nn.RReLU", {"lower": "lower", "upper": "upper"}),
    ),
)
