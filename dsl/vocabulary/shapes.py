"""E03xx: operators that do not fit their input. These are facts of shape rules, which know no places."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic


@diagnostic("E0301")
def window_too_large(axis: str, size: object, kernel: int, pad: int, dilation: int, reach: int, history: str = "") -> Wording:
    """A window is larger than the padded input it slides over.

    A kernel of `k` with dilation `d` reaches over `d*(k-1) + 1` positions; the padded input has `size + 2*pad`.

    Wrong:

        input 3x4x4
        maxpool7

    Right:

        input 3x4x4
        maxpool4
    """
    kernel_text = f"{dilation}*({kernel} - 1) + 1 = {reach}" if dilation > 1 else str(kernel)
    padded = f"{size} + 2*{pad} = {_sum(size, 2 * pad)}" if pad else f"{size}"
    return Wording(
        f"the window is larger than its input: {axis} {kernel_text} over {padded}",
        notes=(f"before it: {history}",) if history else (),
        help="use a smaller kernel, more padding, or fewer strides before it",
        blame="kernel",
        facts={"size": size, "kernel": kernel, "pad": pad, "dilation": dilation},
    )


def _sum(size: object, more: int) -> object:
    return size + more if isinstance(size, int) else f"{size}+{more}"


@diagnostic("E0302")
def sides_differ(
    name: str,
    sides: Sequence[str],
    differs: Sequence[str],
    ranks: Sequence[int] = (),
    channels: Sequence[object] = (),
    repeats: bool = False,
) -> Wording:
    """The branches of an addition or multiplication have different shapes.

    They are combined value by value, so their shapes must be equal. (`mul` and `div` also take gates: a branch with one
    value for each channel, `64x1x1`, or one map for all channels, `1x56x56`; `add` and `sub` do if asked, by
    `broadcast=yes`.) A residual whose body changes channels or size needs a shortcut that changes them too: a 1x1
    convolution with the same stride.

    Wrong:

        input 64x56x56
        residual<conv3-128/2(pad=1)>

    Right:

        input 64x56x56
        residual<conv3-128/2(pad=1) | conv1-128/2>
    """
    what = "the two sides of this residual" if name == "residual" else f"the branches of this {name}"
    notes = (*sides, "differs in: " + ", ".join(differs))
    help_text = "make the shapes equal"
    if len(set(ranks)) > 1 and 1 in ranks:
        help_text = "`FC` flattens its input; to keep the axes use a `conv1`, after `adaptive_avgpool1` for a gate"
    elif name in ("mul", "div") and 1 in channels and len(set(channels)) > 1:
        help_text = "a gate is one value for each channel, one map for all channels, or as large as the map"
    elif repeats and name in ("add", "sub"):
        help_text = f"make the shapes equal; if the smaller one is meant for every channel or position, write `{name}(broadcast=yes)<...>`"
    elif name == "residual":
        help_text = "where the body changes the shape, the shortcut needs a 1x1 convolution that changes it too"
    return Wording(f"{what} have different shapes", notes=notes, help=help_text)


@diagnostic("E0303")
def concat_differs(sides: Sequence[str], differs: Sequence[str], axis: str) -> Wording:
    """The branches of a concatenation differ in more than the axis they are joined along.

    Wrong:

        input 16x28x28
        concat<conv3-8 | conv1-8>

    Right:

        input 16x28x28
        concat<conv3-8(pad=1) | conv1-8>
    """
    return Wording(
        f"the branches of this concat may differ in {axis} only",
        notes=(*sides, "differs in: " + ", ".join(differs)),
        help="pad, pool or stride the branches so that the other sizes agree",
    )


@diagnostic("E0304")
def groups_do_not_divide(groups: int, channels: int, which: str) -> Wording:
    """The groups of an operator do not divide its channels evenly.

    Wrong:

        input 64x28x28
        conv3-64(groups=3)

    Right:

        input 64x28x28
        conv3-64(groups=4)
    """
    divisors = [str(d) for d in range(1, min(channels, 4096) + 1) if channels % d == 0]
    shown = ", ".join(divisors if len(divisors) <= 12 else [*divisors[:11], "...", divisors[-1]])
    return Wording(
        f"{groups} groups do not divide {channels} {which} channels: {channels} = {channels // groups}*{groups} + {channels % groups}",
        help=f"groups that divide them: {shown}",
        blame="groups",
        facts={"groups": groups, "channels": channels, "which": which},
    )


@diagnostic("E0305")
def wrong_rank(operator: str, expected: str, shape: str, help: str = "") -> Wording:
    """An operator is applied to a tensor with the wrong number of axes.

    A convolution wants channels and one to three sizes: `3x224x224`.

    Wrong:

        input 100
        conv3-8

    Right:

        input 1x100
        conv3-8
    """
    flat = "x" not in shape
    help_text = "a fully-connected layer leaves no map: put it after" if flat else "put an operator before it that produces such a tensor"
    return Wording(f"{operator} wants {expected}, and gets {shape}", help=help or help_text)


@diagnostic("E0306")
def out_of_range(what: str, value: object, allowed: str, blame: str = "", most: int | None = None, instead: str = "") -> Wording:
    """An argument has a value that the operator cannot use on this input.

    Wrong:

        input 3x32x32
        maxpool2(pad=2)

    Right:

        input 3x32x32
        maxpool2(pad=1)
    """
    facts = {} if most is None else {"most": most}
    return Wording(f"{what} is {value}, and must be {allowed}", blame=blame, help=instead, facts=facts)


@diagnostic("E0307")
def needs_numbers(operator: str, what: str, value: object, origin: str = "") -> Wording:
    """An operator has weights whose number depends on a size that the file leaves open.

    Wrong:

        input 3xHxW
        FC-10

    Right:

        input 3xHxW
        adaptive_avgpool1
        FC-10
    """
    return Wording(
        f"{operator} needs {what} as a number, and it is {value}",
        notes=(origin,) if origin else (),
        help="fix the size at the input, or pool to a fixed size first: `adaptive_avgpool1`",
    )


@diagnostic("E0308")
def no_legal_size(name: str, sides: Sequence[str], conditions: Sequence[str]) -> Wording:
    """No value of an unknown size makes the network legal.

    Each condition is what an operator needs: branches that agree, a window that fits. Those that are listed contradict
    each other; without any one of them there would be a size.

    Wrong:

        input 3xHxW
        add<maxpool2 | .>

    Right:

        input 3xHxW
        add<maxpool3/1(pad=1) | .>
    """
    needs = (f"{conditions[0]} holds for no {name}",) if len(conditions) == 1 else tuple(f"needed: {c}" for c in conditions)
    help_text = "give the branches the same sizes" if sides else "use less padding or fewer strides, or larger sizes"
    contradict = f"; together they hold for no {name}" if len(conditions) > 1 else ""
    return Wording(f"no size {name} makes this network legal", notes=(*sides, *needs), help=help_text + contradict)


@diagnostic("E0309")
def shared_differs(name: str, first: str, now: str) -> Wording:
    """A shared part would need other weights at a second place than at its first.

    `share` means the very same weights at every call, so each call must see inputs that give them the same shapes.

    Wrong:

        input 3x32x32
        share step { conv3-8(pad=1) }
        step; step

    Right:

        input 8x32x32
        share step { conv3-8(pad=1) }
        step; step
    """
    message = f"the shared `{name}` needs other weights here than at its first call"
    notes = (f"first: {first}", f"here:  {now}")
    help_text = "give every call the same channels, or make it a `block`: each call then has weights of its own"
    return Wording(message, notes=notes, help=help_text)


@diagnostic("E0310")
def wrong_branch_count(name: str, expected: str, got: int, meant: str = "", listed: bool = False) -> Wording:
    """A merge has too few or too many branches.

    Wrong:

        input 3x32x32
        add<conv3-3(pad=1)>

    Right:

        input 3x32x32
        add<conv3-3(pad=1) | .>
    """
    help_text = "separate branches by `|`; an empty branch, or `.`, is the incoming tensor"
    if meant:
        over = "an axis" if "axis" in meant else "windows"
        help_text = f"`{name}` joins branches; over {over} of one tensor it is `{meant}`"
    if listed:
        help_text = f"`for` makes one branch for each element of its list; `{name}<. | for ... | ...>` adds the incoming tensor"
    return Wording(f"{name} takes {expected}, and has {got}", help=help_text)


@diagnostic("E0311")
def bad_table(problem: str) -> Wording:
    """A connection table does not fit the convolution.

    `from` has one list for each output channel, with the input channels that it sees.

    Wrong:

        input 3x8x8
        conv3-2(from=[[0, 1], [2, 3]])

    Right:

        input 3x8x8
        conv3-2(from=[[0, 1], [1, 2]])
    """
    help_text = "it has one list for every output channel, of the input channels that it sees, counted from 0"
    return Wording(f"this connection table does not fit: {problem}", blame="from", help=help_text)


@diagnostic("E0312")
def too_many_values(count: int, limit: int) -> Wording:
    """A tensor would have more values than any machine can address.

    Wrong:

        input 3x32x32
        conv1-4_000_000_000_000_000_000

    Right:

        input 3x32x32
        conv1-4_000
    """
    return Wording(f"this tensor would have {count:,} values; the limit is {limit:,}", help="check the channels and sizes")


@diagnostic("E0313")
def too_complicated() -> Wording:
    """A size that the file leaves open would be a formula of hundreds of terms, or of a very high degree.

    Wrong:

        input 3xHxW
        let a = in.h * in.w * in.h
        let b = a * a * a
        relu

    Right:

        input 3xHxW
        let a = in.h * in.w * in.h
        relu
    """
    return Wording("this size is too complicated a formula of the open sizes", help="fix some of the sizes at the input")


@diagnostic("E0314")
def takes_no_branches(name: str) -> Wording:
    """An operator or block that takes one tensor is written with branches in `< >`.

    Wrong:

        input 3x32x32
        relu<conv3-8>

    Right:

        input 3x32x32
        conv3-8; relu
    """
    help_text = "`concat`, `add`, `mul`, `max`, `residual` and others join branches; put the parts in sequence with `;`"
    return Wording(f"`{name}` takes one tensor, and no branches", help=help_text)


@diagnostic("E0315")
def weights_do_not_fit(name: str, what: str, needed: object, found: object, built: str, came: str) -> Wording:
    """A compiled network is called with an input for which the weights of an operator are not made.

    A fully-connected layer has a weight for every value of its input, so it holds the network to one size; a
    convolution has weights for every channel. Raised when the module is called; it is a ValueError as well.
    """
    return Wording(f"{name} has weights for {needed} {what}, and gets {found}", notes=(f"built for {built}, and {came} comes",))


@diagnostic("E0322")
def matrices_do_not_fit(sides: Sequence[str], columns: object, rows: object, fitting: str = "") -> Wording:
    """The columns of the first matrix of a product are not the rows of the second.

    `MxK` times `KxN` is `MxN`: of a 1-D map the channels are the rows and the positions the columns.

    Wrong:

        input 64x100
        matmul<. | .>

    Right:

        input 64x100
        matmul(transpose_b=yes)<. | .>
    """
    fits = f": `{fitting}<a | b>` fits" if fitting else ""
    return Wording(
        f"these matrices have no product: the first has {columns} columns, the second {rows} rows",
        notes=tuple(sides),
        help=f"`MxK` times `KxN` is `MxN`; `transpose_a` and `transpose_b` exchange rows and columns first{fits}",
    )


@diagnostic("E0323")
def counted_from_the_end(option: str, value: int, size: str) -> Wording:
    """A bound of a range is negative.

    Bounds count from the start of the axis. A bound may be computed, and one that is negative by mistake would select other positions,
    so what is counted from the end is written as a difference.

    Wrong:

        input 64x20
        slice(-4, 20, axis=w)

    Right:

        input 64x20
        slice(in.w - 4, in.w, axis=w)
    """
    written = f"{size} - {-value}"
    help_text = f"what is counted from the end is written `{written}`, and the end itself `{size}`"
    return Wording(f"`{option}` is {value}, and counts from 0", blame=option, help=help_text, facts={"written": written, "value": value})
