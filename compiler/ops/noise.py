"""Operators that draw random numbers in the shape of their input."""

from __future__ import annotations

from archc.compiler.ops.kinds import Choice, Real, Word
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator
from archc.compiler.ops.targets import ModuleTarget

WHEN = Attr("when", Choice(("training", "always")), Word("training"), "whether numbers are drawn in training only or always")


def always(call: Call) -> bool:
    """Return whether numbers are drawn in evaluation too."""
    return bool(call.attrs["when"] == "always")


def lower_normal(call: Call) -> ModuleTarget:
    """Lower to archc.NormalNoise."""
    return ModuleTarget("archc.NormalNoise", {"when": call.attrs["when"]})


def lower_bernoulli(call: Call) -> ModuleTarget:
    """Lower to archc.BernoulliNoise."""
    return ModuleTarget("archc.BernoulliNoise", {"p": call.attrs["p"], "when": call.attrs["when"]})


OPERATORS = (
    Operator(
        name="normal_noise",
        family="noise",
        summary="Numbers drawn from the standard normal distribution, in the shape of the input.",
        doc="""
        The result does not depend on the values of the input, and no gradient passes. In evaluation it is 0, so that
        `add<@mu | mul<@sigma | normal_noise>>` is `mu`, unless `when=always`. Noise with a standard deviation of 0.1 is
        `normal_noise; scale(0.1)`.
        """,
        source="torch.randn_like; the reparametrization of Kingma & Welling 2014, arXiv:1312.6114, section 2.4",
        example="input 20; normal_noise => 20",
        attrs=(WHEN,),
        detached=True,
        draws=always,
        picture="regularization",
        lower=lower_normal,
    ),
    Operator(
        name="bernoulli",
        family="noise",
        summary="Random zeros and ones, in the shape of the input.",
        doc="""
        Each is 1 with probability `p`. The result does not depend on the values of the input, and no gradient passes. In evaluation it
        is 0, unless `when=always`. To drop values of a tensor and keep its mean, use `dropout`.
        """,
        source="torch.Tensor.bernoulli_",
        example="input 16x28x28; bernoulli(0.5) => 16x28x28",
        attrs=(Attr("p", Real(0, 1), REQUIRED, "the probability of a 1"), WHEN),
        detached=True,
        draws=always,
        picture="regularization",
        lower=lower_bernoulli,
    ),
)
