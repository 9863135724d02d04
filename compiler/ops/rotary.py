"""Rotary positions: pairs of the channels of queries and keys, each turned by an angle that depends on the position."""

from __future__ import annotations

from archc.compiler.ops import receptive
from archc.compiler.ops.attention import HEADS, heads_divide
from archc.compiler.ops.kinds import SMALLEST, Flag, Optional, Real, Sizes, Whole, Word
from archc.compiler.ops.memory import Memory, always, channels_last
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator
from archc.compiler.ops.targets import CallTarget, Operand
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import attention
from archc.dsl.vocabulary import shapes as says

# ---- the table


def positions_shape(call: Call) -> Shape:
    """Return `channels` for each axis of positions, at the sizes of the input or the given ones.

    Raises Fault for missing sizes, an odd number of channels, and a reference with other axes.
    """
    sizes = call.attrs["sizes"] or call.x[1:]
    if not sizes:
        raise Fault(says.wrong_rank("rotary_positions", "tokens or a map, as in `768x196` or `96x7x7`", show_shape(call.x)))
    channels, reference = call.attrs["channels"], call.attrs["reference"]
    if channels % 2:
        raise Fault(says.out_of_range("`channels`", channels, "even: a sine and a cosine of each angle", "channels"))
    if reference is not None and call.attrs["centered"]:
        raise Fault(says.out_of_range("`reference`", show_shape(reference), "none: what is centered does not depend on sizes", "reference"))
    if reference is not None and len(reference) != len(sizes):
        raise Fault(says.out_of_range("the axes of `reference`", len(reference), f"those of its sizes, {len(sizes)}", "reference"))
    return (channels * len(sizes), *sizes)


def positions_derivation(call: Call, out: Shape) -> list[str]:
    """State the channels of each axis."""
    return [f"channels: {call.attrs['channels']} for each of {len(out) - 1} axes = {out[0]}, the sines before the cosines"]


def lower_positions(call: Call) -> CallTarget:
    """Lower to archc.rotary_positions."""
    a = call.attrs
    sizes, reference = (list(a[name]) if a[name] else None for name in ("sizes", "reference"))
    settings = (a["channels"], a["temperature"], a["centered"], a["offset"], reference, a["swap"], sizes)
    return CallTarget("archc.rotary_positions", (Operand(), *settings))


# ---- what turns


def rotary_shape(call: Call) -> Shape:
    """Return the shape of what is turned. Raises Fault where heads, the table or the positions do not fit."""
    if call.axes < 1:
        raise Fault(says.wrong_rank("rotary", "tokens or a map, as in `768x197` or `96x7x7`", show_shape(call.x)))
    heads, skip, table = call.attrs["heads"], call.attrs["skip"], call.inputs[1]
    heads_divide(heads, call.channels, "of what is turned")
    if call.channels // heads % 2:
        raise Fault(says.out_of_range("the channels of a head", call.channels // heads, "even: pairs are turned", "heads"))
    if skip and call.axes > 1:
        raise Fault(says.wrong_rank("rotary(skip=...)", "a row of tokens, as in `768x197`", show_shape(call.x)))
    if len(table) < 2 or table[0] not in (call.channels // heads, call.channels):
        expected = f"a table of {call.channels // heads} channels for every head, or of {call.channels} for all"
        raise Fault(attention.wrong_branches("rotary", expected, show_shape(table), "sines first, then cosines, one of each for a pair"))
    if not _positions_fit(call, table, skip):
        expected = f"a table for {'x'.join(map(str, call.x[1:]))} positions" + (f" but the first {skip}" if skip else "")
        raise Fault(attention.wrong_branches("rotary", expected, show_shape(table), "`skip` is the number of tokens that are not turned"))
    return call.x


def _positions_fit(call: Call, table: Shape, skip: int) -> bool:
    """Return whether a table has the positions of a map, or as many as a row has tokens after those that are skipped."""
    if call.axes > 1:
        return len(table) == len(call.x) and all(call.equal(a, b) for a, b in zip(call.x[1:], table[1:], strict=True))
    return call.equal(call.x[1], product(table[1:]) + skip)


def rotary_derivation(call: Call, out: Shape) -> list[str]:
    """State how many pairs are turned, and at which positions."""
    heads = call.attrs["heads"]
    each = call.channels // heads
    skipped = f", but for the first {call.attrs['skip']} tokens" if call.attrs["skip"] else ""
    return [f"the shape of its first input: {heads} heads of {out[0]}//{heads} = {each} channels, {each // 2} pairs each{skipped}"]


def turned(call: Call, out: Shape) -> Dim:
    """Count the two values of each pair before they are joined; where tokens are skipped, those that are joined with them as well."""
    skip: int = call.attrs["skip"]
    return out[0] * (out[1] - skip) * 2 if skip else product(out)


def lower_rotary(call: Call) -> CallTarget:
    """Lower to archc.rotary."""
    a = call.attrs
    return CallTarget("archc.rotary", (Operand(0), Operand(1), a["heads"], a["halves"], a["skip"]))


OPERATORS = (
    Operator(
        name="rotary",
        family="attention",
        summary="Queries or keys turned by their positions: rotary position embeddings.",
        doc="""
        Takes two branches, `rotary(3)<x | table>`. The channels of each head are pairs, neighbors or, with `halves=yes`, channels `i` and
        `i + n/2` of `n`. A pair `(a, b)` becomes `(a cos - b sin, b cos + a sin)`. So the product of a query and a key depends on the
        difference of their positions.

        The table holds a sine and a cosine for each pair and position, all sines before all cosines: as many channels as a
        head, the same for every head, or as many as `x`, head by head. `rotary_positions` is such a table. A row of tokens takes the
        positions of a map row by row, and leaves out its first `skip` tokens: class tokens and registers.
        """,
        source="Su et al. 2021, RoFormer, arXiv:2104.09864, section 3.2; halves: GPT-NeoX, Black et al. 2022, arXiv:2204.06745",
        example="input 192x197; rotary(3, skip=1)<. | rotary_positions(32, sizes=14x14)> => 192x197",
        attrs=(
            HEADS,
            Attr("halves", Flag(), False, "whether a pair is a channel of each half of a head, and not two neighbors"),
            Attr("skip", Whole(0), 0, "the number of tokens at the beginning that are not turned"),
        ),
        operands=(2, 2),
        shape=rotary_shape,
        derivation=rotary_derivation,
        memory=Memory(saves=always("factors"), work=turned, order=channels_last),
        sign=("R", "rotary"),
        lower=lower_rotary,
    ),
    Operator(
        name="rotary_positions",
        family="attention",
        summary="The table of `rotary` for positions along each axis: sines and cosines of angles.",
        doc="""
        Each axis of positions has `n = channels/2` angles, `p/temperature^(i/n)`: first those of the first axis, with `swap=yes` those of
        the last. The result is the sines of all angles, then the cosines: `channels` for each axis, so 64 for heads of 64 channels
        is `rotary_positions(32)` on a map.

        Along an axis of `m` positions, `p` is `k + offset` at position `k`; `reference=16x16` measures maps of any size as if they were as
        large as that, `(k + offset)/m*16`. With `centered=yes` it runs from nearly `-2*pi` to `2*pi`,
        `2*pi*(2*(k + 0.5 + offset)/m - 1)`. The result depends on the sizes and the batch of the input, not on its values, and nothing is
        trained.
        """,
        source="Su et al. 2021, arXiv:2104.09864; maps: Fang et al. 2023, EVA-02, arXiv:2303.11331; centered: DINOv3, arXiv:2508.10104",
        example="input 96x14x14; rotary_positions(32) => 64x14x14",
        attrs=(
            Attr("channels", Whole(2), REQUIRED, "the channels for each axis, an even number"),
            Attr("temperature", Real(SMALLEST), 10000.0, "how much slower the last angle grows than the first, nearly"),
            Attr("centered", Flag(), False, "whether positions are measured from the center, in units of half the size"),
            Attr("offset", Real(), 0.0, "what is added to the number of each position", rare=True),
            Attr("reference", Optional(Sizes()), Word("none"), "the sizes that maps are measured by; `none`: their own", rare=True),
            Attr("swap", Flag(), False, "whether the angles of the last axis are first", rare=True),
            Attr("sizes", Optional(Sizes()), Word("none"), "its sizes; `none`: those of the input"),
        ),
        shape=positions_shape,
        receptive_field=receptive.nowhere,
        derivation=positions_derivation,
        detached=True,
        picture="learned",
        lower=lower_positions,
    ),
)
