"""E05xx: claims in a file that its network does not meet."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic, worded_as
from archc.dsl.vocabulary.spelling import did_you_mean, misspelt, near


@diagnostic("E0501")
def shape_claim(name: str, actual: str, claimed: str, notes: Sequence[str]) -> Wording:
    """An item produces a shape other than the one the file claims.

    The rest of the file is checked as if the claim were true, so that one error produces one message.

    Wrong:

        input 3x224x224
        conv1: conv11-96/4 => 96x55x55

    Right:

        input 3x227x227
        conv1: conv11-96/4 => 96x55x55
    """
    return Wording(f"{name} produces {actual}, but the file claims {claimed}", notes=tuple(notes))


@diagnostic("E0502")
def count_claim(measure: str, actual: str, relation: str, claimed: str, difference: str, help: str) -> Wording:
    """A count differs from the one the file expects.

    Wrong:

        input 3x32x32
        conv3-64
        expect params == 1800

    Right:

        input 3x32x32
        conv3-64
        expect params == 1792
    """
    message = f"{measure} is {actual}, but the file expects {relation} {claimed}".replace("expects == ", "expects ")
    return Wording(message, notes=(f"difference: {difference}",), help=help)


@diagnostic("E0503")
def unknown_measure(name: str, known: Sequence[str]) -> Wording:
    """`expect` names an unknown measure, or applies a measure to something that does not have it.

    Wrong:

        input 3x32x32
        conv3-64
        expect parameters == 1792

    Right:

        input 3x32x32
        conv3-64
        expect params == 1792
    """
    return Wording(
        f"there is no measure `{name}`",
        notes=(f"the measures are: {', '.join(known)}",),
        help=did_you_mean(name, known),
        facts=misspelt(name, near(name, known)),
    )


@diagnostic("E0504")
def not_comparable(measure: str, expected: str, got: str) -> Wording:
    """A claim compares things of different kinds, such as a shape with a count.

    Wrong:

        input 3x32x32
        conv1: conv3-64
        expect shape(conv1) == 1.5

    Right:

        input 3x32x32
        conv1: conv3-64
        expect shape(conv1) == 64x30x30
    """
    help_text = "write a shape such as `64x30x30`" if measure.startswith("shape") else "write a number such as `60_965_224` or `724M`"
    return Wording(f"{measure} is compared with {expected}, but this is {got}", help=help_text)


@worded_as("E0504")
def only_bounded(measure: str, hole: str, count: int, least: str) -> Wording:
    """Report a claim of a count that holes leave unknown."""
    what = f"the holes {hole} and {count - 1} more compute" if count > 1 else f"the hole {hole} computes"
    help_text = f"claim what is known: `expect {measure} >= {least}`"
    return Wording(f"{measure} is not known: nothing says what {what}", help=help_text)
