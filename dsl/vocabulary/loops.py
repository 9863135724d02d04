"""Errors of loops with a state."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic
from archc.dsl.vocabulary.spelling import did_you_mean, misspelt, near


@diagnostic("E0218")
def no_state(name: str, states: Sequence[str]) -> Wording:
    """A `next` sets a value for the next turn of a loop, but no loop around it has a state of that name.

    The head of the loop names its states, with their values in the first turn: `for i in range(3) with w = 8 { ... }`. A `next` is in
    the body of that loop, and not in a block that it calls.

    Wrong:

        input 3x32x32
        for i in range(3) { conv3-8(act=relu); next w = 8 }

    Right:

        input 3x32x32
        for i in range(3) with w = 8 { conv3-{w}(act=relu); next w = 2*w }
    """
    close = did_you_mean(name, states)
    help_text = close or f"the head of the loop names its states: `for i in range(3) with {name} = 8 {{ ... }}`"
    return Wording(f"no loop around this has a state `{name}`", help=help_text, facts=misspelt(name, near(name, states)))


@diagnostic("E0219")
def handed_on_twice(name: str) -> Wording:
    """One turn of a loop sets a state twice for the next turn.

    Wrong:

        input 3x32x32
        for i in range(3) with w = 8 { conv3-{w}(act=relu); next w = 2*w; next w = 4*w }

    Right:

        input 3x32x32
        for i in range(3) with w = 8 { conv3-{w}(act=relu); next w = 4*w }
    """
    help_text = f"within a turn `{name}` keeps its value; a loop inside needs a state of its own"
    return Wording(f"this turn has already set `{name}` for the next one", help=help_text)
