"""W01xx about the network: allowed, and probably not intended. `# allow: W0104` on its line, or on the line above, silences one."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic


@diagnostic("W0101")
def bias_before_norm(name: str, parameters: int) -> Wording:
    """A layer has a bias, and the batch normalization after it removes it again.

    Batch normalization subtracts the mean of every channel, and the bias with it, and adds a learned value of its own
    (Ioffe & Szegedy 2015, section 3.2). The bias costs parameters and memory and has no effect.

    Wrong:

        input 3x32x32
        conv3-64; bn; relu

    Right:

        input 3x32x32
        conv3-64(bias=no); bn; relu
    """
    message = f"the bias of {name} has no effect: the batch norm after it subtracts it again"
    return Wording(message, notes=(f"{parameters:,} parameters have no effect",), help="write `bias=no`")


@diagnostic("W0102")
def rows_dropped(name: str, is_pool: bool, what: str, size: str, notes: Sequence[str]) -> Wording:
    """The windows of a convolution or pool do not reach the end of its input: the last rows or columns are never seen.

    Wrong:

        input 3x32x32
        maxpool3/2

    Right:

        input 3x32x32
        maxpool3/2(ceil=yes)
    """
    help_text = "`ceil=yes` lets a last window extend past the end" if is_pool else "more padding lets a last window cover them"
    return Wording(f"{name} never sees the last {what} of its {size} input", notes=tuple(notes), help=help_text)


@diagnostic("W0103")
def pixels_skipped(name: str, stride: str, seen: str) -> Wording:
    """A 1x1 convolution with a stride reads some positions and skips all others.

    The shortcuts of ResNet do this (He et al. 2016, section 3.3); later networks average first (He et al. 2019,
    arXiv:1812.01187, section 4, ResNet-D).

    Wrong:

        input 3x32x32
        conv1-16/2

    Right:

        input 3x32x32
        avgpool2; conv1-16
    """
    message = f"{name} is a 1x1 convolution with stride {stride}: it reads one position in {seen} and skips the others"
    return Wording(message, help="pool first, or stride in a convolution with a larger kernel")


@diagnostic("W0104")
def leads_nowhere(name: str) -> Wording:
    """The result of an item reaches no output, so it is computed and discarded.

    Wrong:

        input 3x32x32
        stem: conv3-8
        side: conv3-8
        @stem; relu

    Right:

        input 3x32x32
        stem: conv3-8
        relu
    """
    return Wording(f"{name} reaches no output", help="refer to it with `@`, make it an `output`, or delete it")


@diagnostic("W0106")
def nothing_between(first: str, second: str) -> Wording:
    """Two linear layers follow each other with nothing in between: together they compute no more than one could.

    Wrong:

        input 3x32x32
        conv3-64
        conv3-64

    Right:

        input 3x32x32
        conv3-64(act=relu)
        conv3-64(act=relu)
    """
    message = f"there is nothing between {first} and {second}, so together they are one linear map"
    return Wording(message, help="put an activation between them: `act=relu`")


@diagnostic("W0108")
def softmax_at_the_end(name: str, output: str) -> Wording:
    """A softmax produces the output, but losses expect the values before it.

    `torch.nn.CrossEntropyLoss` and similar losses take logits and apply the softmax themselves; applied twice, it makes the
    network learn slowly without any error.

    Wrong:

        input 3x32x32
        FC-10; softmax

    Right:

        input 3x32x32
        FC-10
    """
    return Wording(f"{name} produces the output `{output}`: a cross-entropy loss would apply it again", help="leave it out")


@diagnostic("W0110")
def branches_misaligned(name: str, places: Sequence[str]) -> Wording:
    """The branches that meet at a merge look at different places: position i of one is not position i of the other.

    A window is centered if its padding is half of its kernel (Araujo, Norris & Sim 2019, "Computing receptive fields of
    convolutional neural networks"). Only what padding can fix is reported: branches that are a whole number of positions
    apart, or whose positions have different spacing. An offset of a fraction of a position is common and harmless: it results
    from even kernels, and from nearest upsampling after strided convolutions. Branches that all look back from the same last
    pixel are causal, and intended.

    Wrong:

        input 3x32x32
        concat<conv3-16(pad=1) | conv3-16; pad(h=[0, 2], w=[0, 2])>

    Right:

        input 3x32x32
        concat<conv3-16(pad=1) | conv3-16; pad(h=1, w=1)>
    """
    message = f"the branches of {name} look at different places of the input"
    return Wording(message, notes=tuple(places), help="pad or crop both ends of every branch equally, so all start at one pixel")


@diagnostic("W0117")
def padded_for_nothing(name: str, axes: str, pad: str, meant: str) -> Wording:
    """A kernel of size 1 is padded: it does not read its neighbors, so padding only adds a border without information.

    The border enlarges the map; a convolution produces its bias there, whatever the input is. It is often caused by a `default`
    with a number: `pad=same` pads every kernel by what it needs, which is nothing for a kernel of size 1.

    Wrong:

        input 64x32x32
        conv1-16(pad=1)

    Right:

        input 64x32x32
        conv1-16
    """
    message = f"{name} pads its {axes} by {pad}, where its kernel has size 1"
    return Wording(message, help="leave the padding out, or write `pad=same`", facts={"pad": meant})


@diagnostic("W0118")
def done_twice(name: str, before: str, what: str) -> Wording:
    """An operator repeats the one right before it: a second normalization, or a second rectifier.

    It is often caused by `norm=bn` or `act=relu` in a `default`, with `bn` or `relu` after the convolution as well.

    Wrong:

        input 3x32x32
        conv3-16(bias=no, norm=bn)
        bn

    Right:

        input 3x32x32
        conv3-16(bias=no, norm=bn)
    """
    return Wording(f"{name} {what} by {before} already", help="leave one of them out")
