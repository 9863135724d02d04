"""Activations: elementwise functions, and softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from archc.compiler.ops.kinds import Choice, Real, Whole, Word
from archc.compiler.ops.memory import KEEPS_INPUT, KEEPS_OUTPUT, Memory, always, channels_first, one_each
from archc.compiler.ops.record import Attr, Call, Operator, Weights
from archc.compiler.ops.targets import ModuleTarget
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
        summary=f"`{formula}`{'' if 'dim' in kwargs else ', elementwise'}.",
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
    _plain("softmax", "nn.Softmax", "exp(x)/sum of exp(x) over the channels", "torch.nn.Softmax", dim=1, memory=SOFTMAX),
    _plain("log_softmax", "nn.LogSoftmax", "x - log(sum of exp(x) over the channels)", "torch.nn.LogSoftmax", dim=1, memory=SOFTMAX),
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
)
