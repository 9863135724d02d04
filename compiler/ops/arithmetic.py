"""Elementwise arithmetic: merges of several tensors, and functions of one."""

from __future__ import annotations

from archc.compiler.ops.elementwise import broadcast_shape, chain, equal_shapes, merge_derivation, partials
from archc.compiler.ops.kinds import NONE, Flag, Optional, Real
from archc.compiler.ops.memory import FRESH, KEEPS_INPUT, KEEPS_OUTPUT, Memory, always
from archc.compiler.ops.record import REQUIRED, Attr, Call, LowerRule, Operator
from archc.compiler.ops.targets import CallTarget, Operand
from archc.compiler.shapes.dim import Shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def difference_shape(call: Call) -> Shape:
    """Return the common shape, with `broadcast` that of the largest operand. Raises Fault."""
    return broadcast_shape(call) if call.attrs["broadcast"] else equal_shapes(call)


def clamp_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault without any bound, and for bounds in the wrong order."""
    low, high = call.attrs["min"], call.attrs["max"]
    if low is None and high is None:
        raise Fault(says.out_of_range("the range of clamp", "without bounds", "bounded by `min`, `max` or both"))
    if low is not None and high is not None and low > high:
        raise Fault(says.out_of_range("`min`", f"{low:g}", f"at most `max`, which is {high:g}", "min"))
    return call.x


def lower_mean(call: Call) -> CallTarget:
    """Lower to a chain of additions, and a division by the number of branches."""
    return CallTarget("operator.truediv", (chain("operator.add", len(call.inputs)), len(call.inputs)))


def lower_clamp(call: Call) -> CallTarget:
    """Lower to torch.clamp."""
    return CallTarget("torch.clamp", (Operand(),), {"min": call.attrs["min"], "max": call.attrs["max"]})


def _chained(target: str) -> LowerRule:
    return lambda call: chain(target, len(call.inputs))


def _with(target: str, option: str) -> LowerRule:
    """Return a rule that lowers to a function of the operand and the value of an option."""
    return lambda call: CallTarget(target, (Operand(), call.attrs[option]))


def _function(name: str, target: str, formula: str, memory: Memory = KEEPS_INPUT, note: str = "", option: Attr | None = None) -> Operator:
    """Return the record of an elementwise function of one tensor, with at most one option."""
    given = "" if option is None else "(2.0)"
    return Operator(
        name=name,
        family="arithmetic",
        summary=f"`{formula}`, elementwise.",
        doc=f"\n        `out = {formula}`.{f' {note}' if note else ''}\n        ",
        source="torch" + target.removeprefix("torch").replace("operator.", "."),
        example=f"input 8x4x4; {name}{given} => 8x4x4",
        attrs=() if option is None else (option,),
        memory=memory,
        picture="activation",
        lower=_with(target, option.name) if option is not None else lambda call: CallTarget(target, (Operand(),)),
    )


def _extreme(name: str, word: str) -> Operator:
    """Return the record of a merge that takes the largest or the smallest of its values."""
    return Operator(
        name=name,
        family="arithmetic",
        summary=f"The {word} of the values of the branches, elementwise.",
        doc=f"""
        All shapes must be equal. Where two values are equal, each gets half of the gradient. In an expression, `{name}(1, 2)` is a
        function of numbers.
        """,
        source=f"torch.{name}imum; maxout: Goodfellow et al. 2013, arXiv:1302.4389",
        example=f"input 16x28x28; {name}<conv3-16(pad=1) | .> => 16x28x28",
        shape=equal_shapes,
        derivation=merge_derivation,
        memory=Memory(saves=always("input"), saved=partials),
        lower=_chained(f"torch.{name}imum"),
        operands=(2, None),
        sign=("↑" if name == "max" else "↓", name),
    )


OPERATORS = (
    Operator(
        name="sub",
        family="arithmetic",
        summary="The first branch minus the others, elementwise.",
        doc="""
        All shapes must be equal. With `broadcast=yes`, as for `add`, a branch may be one value per channel (`64x1x1`) or one map for all
        channels (`1x56x56`).
        """,
        source="torch.sub",
        example="input 16x28x28; sub<avgpool3/1(pad=1) | .> => 16x28x28",
        attrs=(Attr("broadcast", Flag(), False, "whether `64x1x1` and `1x56x56` are repeated to `64x56x56`", rare=True),),
        shape=difference_shape,
        derivation=merge_derivation,
        lower=_chained("operator.sub"),
        operands=(2, None),
        sign=("-", "subtract"),
    ),
    Operator(
        name="div",
        family="arithmetic",
        summary="The first branch divided by the others, elementwise.",
        doc="""
        All shapes must be equal, except that, as for `mul`, a branch may be one value per channel (`64x1x1`) or one map for all channels
        (`1x56x56`). Division by 0 is infinite, or not a number.
        """,
        source="torch.div",
        example="input 16x28x28; div<. | abs; shift(1.0)> => 16x28x28",
        shape=broadcast_shape,
        derivation=merge_derivation,
        memory=Memory(saves=always("divisors")),
        lower=_chained("operator.truediv"),
        operands=(2, None),
        sign=("÷", "divide"),
    ),
    Operator(
        name="mean",
        family="arithmetic",
        summary="The mean of the branches, elementwise.",
        doc="""
        `(a + b + ...)/n` of `n` branches. All shapes must be equal. The mean over an axis of one tensor is `reduce_mean`.
        """,
        source="the join of FractalNet: Larsson, Maire & Shakhnarovich 2017, arXiv:1605.07648, section 2",
        example="input 16x28x28; mean<conv3-16(pad=1) | .> => 16x28x28",
        shape=equal_shapes,
        derivation=merge_derivation,
        lower=lower_mean,
        operands=(2, None),
        sign=("μ", "mean"),
    ),
    _extreme("max", "largest"),
    _extreme("min", "smallest"),
    _function("neg", "operator.neg", "-x", memory=FRESH),
    _function("abs", "torch.abs", "|x|"),
    _function("exp", "torch.exp", "exp(x)", memory=KEEPS_OUTPUT),
    _function(
        "log", "torch.log", "log(x)", note="The natural logarithm; for a negative value the result is not a number, for 0 it is -infinity."
    ),
    _function(
        "sqrt",
        "torch.sqrt",
        "sqrt(x)",
        memory=KEEPS_OUTPUT,
        note="For a negative value the result is not a number; at 0 the gradient is infinite.",
    ),
    _function("square", "torch.square", "x^2"),
    _function("sin", "torch.sin", "sin(x)", note="In radians."),
    _function("cos", "torch.cos", "cos(x)", note="In radians."),
    _function(
        "pow",
        "torch.pow",
        "x^exponent",
        note="For a negative value and a fractional exponent the result is not a number.",
        option=Attr("exponent", Real(), REQUIRED, "the exponent"),
    ),
    _function(
        "scale",
        "operator.mul",
        "factor*x",
        memory=FRESH,
        note="The factor is fixed; those of `layer_scale` are trained.",
        option=Attr("factor", Real(), REQUIRED, "the factor"),
    ),
    _function("shift", "operator.add", "x + by", memory=FRESH, option=Attr("by", Real(), REQUIRED, "the number that is added")),
    Operator(
        name="clamp",
        family="arithmetic",
        summary="`min(max(x, low), high)`, elementwise.",
        doc="""
        Values below `min` become `min`, values above `max` become `max`; at least one bound is required. `relu6` is `clamp(0, 6)`.
        """,
        source="torch.clamp",
        example="input 8x4x4; clamp(-1, 1) => 8x4x4",
        attrs=(
            Attr("min", Optional(Real()), NONE, "the lower bound"),
            Attr("max", Optional(Real()), NONE, "the upper bound"),
        ),
        shape=clamp_shape,
        memory=KEEPS_INPUT,
        picture="activation",
        lower=lower_clamp,
    ),
)
