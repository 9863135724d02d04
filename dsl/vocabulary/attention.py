"""Errors of attention, tokens, windows and patterns of axes."""

from __future__ import annotations

from archc.dsl.diagnostics import Wording, diagnostic


@diagnostic("E0316")
def heads_do_not_divide(heads: int, channels: int, which: str) -> Wording:
    """The heads of an attention do not divide its channels evenly.

    Each head has as many channels as any other. The channels of a packed input are those of its queries: a third.

    Wrong:

        input 768x197
        multihead_attention(10)

    Right:

        input 768x197
        multihead_attention(12)
    """
    divisors = [str(d) for d in range(1, min(channels, 4096) + 1) if channels % d == 0]
    shown = ", ".join(divisors if len(divisors) <= 12 else [*divisors[:11], "...", divisors[-1]])
    return Wording(
        f"{heads} heads do not divide the {channels} channels {which}: {channels} = {channels // heads}*{heads} + {channels % heads}",
        help=f"numbers of heads that divide them: {shown}",
        blame="heads",
        facts={"heads": heads, "channels": channels},
    )


@diagnostic("E0317")
def wrong_branches(operator: str, expected: str, found: str, help: str = "") -> Wording:
    """The queries, keys and values of an attention do not fit together.

    Queries and keys are multiplied channel by channel, and every key has a value. The channels of a single tensor are queries,
    keys and values in this order.

    Wrong:

        input 64x50
        attention(4)

    Right:

        input 64x50
        channel_fc-192
        attention(4)
    """
    help_text = "a layer before it computes them: `channel_fc-{3*C}` for all three, or one in each branch of `attention(8)<q | k | v>`"
    return Wording(f"{operator} wants {expected}, and gets {found}", help=help or help_text)


@diagnostic("E0318")
def not_whole_numbers(problem: str, help: str) -> Wording:
    """An operator that reads whole numbers gets other values, or an operator on values gets whole numbers.

    The input that an `embedding` reads holds whole numbers, such as numbers of words. Only embeddings can read it.

    Wrong:

        input 128
        fc-128
        embedding(1000, 64)

    Right:

        input 128
        embedding(1000, 64)
    """
    return Wording(problem, help=help)


@diagnostic("E0319")
def window_does_not_divide(axis: str, size: object, window: int, grid: bool = False) -> Wording:
    """The windows of an operator do not divide the map.

    Windows are adjacent, so each size of the map is a multiple of theirs; `pad=yes` adds zeros up to one.

    Wrong:

        input 96x60x56
        window_attention(3, window=7)

    Right:

        input 96x60x56
        window_attention(3, window=[6, 7])
    """
    what = f"a grid of {window} does not" if grid else f"windows of {window} do not"
    if not isinstance(size, int):
        return Wording(f"{what} divide a {axis} of {size}", blame="window")
    below, above = size // window * window, -(-size // window) * window
    sizes = f"{below} and {above}" if below else f"{above}"
    divisors = [str(n) for n in range(2, size + 1) if size % n == 0]
    shown = ", ".join(divisors if len(divisors) <= 8 else [*divisors[:7], "...", divisors[-1]])
    whole, rest = divmod(size, window)
    return Wording(
        f"{what} divide a {axis} of {size}: {size} = {whole}*{window} + {rest}",
        help=f"{window} divides {sizes}, {size} is divided by {shown}; `pad=yes` pads the map with zeros",
        blame="window",
        facts={"size": size, "window": window},
    )


@diagnostic("E0320")
def bad_pattern(problem: str, help: str = "", blame: str = "pattern") -> Wording:
    """A pattern of `rearrange` cannot be read, or does not determine the size of each part.

    It names the axes of a sample, then, after an arrow, the same names in another order or in other parentheses. Parentheses
    hold the parts of one axis, the outermost first. All but one of these have a size: `i=2`.

    Wrong:

        input 96x56x56
        rearrange("c (h i) (w j) -> (j i c) h w", i=2)

    Right:

        input 96x56x56
        rearrange("c (h i) (w j) -> (j i c) h w", i=2, j=2)
    """
    return Wording(f"this pattern {problem}", help=help, blame=blame)
