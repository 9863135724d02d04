"""W01xx: what is allowed and probably not intended. `# allow: W0104` on its line, or on the line above, silences one."""

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


@diagnostic("W0105")
def never_used(kind: str, name: str, why: str = "") -> Wording:
    """A block, a parameter, a variable, or a second name for a tensor is defined and not used.

    Labels of operators are exempt: they name weights. A `let` inside an `if` or a `for` ends with its body and does not
    assign to a variable of that name outside.

    Wrong:

        input 3x32x32
        block stem(w, s=1) { conv3-{w} }
        stem(8)

    Right:

        input 3x32x32
        block stem(w, s=1) { conv3-{w}/{s} }
        stem(8)
    """
    notes = (why,) if why else ()
    return Wording(f"the {kind} `{name}` is never used", notes=notes, help="use it, or delete it")


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


@diagnostic("W0107")
def stays_at_inference(output: str, reaches: str) -> Wording:
    """A training-only output has parts that the main output uses too, so they stay at inference.

    Wrong:

        input 3x32x32
        relu
        output aux(when=training): extra: conv3-8(pad=1); relu
        @extra; FC-10

    Right:

        input 3x32x32
        extra: conv3-8(pad=1)
        output aux(when=training): relu
        FC-10
    """
    message = f"the output `{output}` is for training only, but the main output also uses its {reaches}, so it stays at inference"
    return Wording(message, help="put what both use before the `output` line")


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


@diagnostic("W0109")
def channels_last(size: str, meant: str, read: str, condition: str) -> Wording:
    """An input seems to have its channels last, or its batch first. Shapes are channels x height x width.

    Wrong:

        input 224x224x3
        conv1-64

    Right:

        input 3x224x224
        conv1-64
    """
    return Wording(f"{size} is read as {read}", help=f"write `input {meant}`, if {condition}")


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


@diagnostic("W0111")
def default_rules_nothing(operator: str, why: str) -> Wording:
    """A `default` applies to no operator: none of its kind comes after it in its body.

    A `default` ends with the body that contains it, including that of an `if`, a `for` or a block, and affects neither the
    items before it nor blocks that are defined before it.

    Wrong:

        input 3x32x32
        if 3 > 2 { default conv(pad=1) }
        conv3-8

    Right:

        input 3x32x32
        default conv(pad=1)
        conv3-8
    """
    return Wording(f"this default applies to no `{operator}`", notes=(why,), help="put it before the items it is for, or delete it")


@diagnostic("W0112")
def word_before_variable(option: str, word: str, kind: str, value: str) -> Wording:
    """A variable has the name of a word of the language: as the bare value of an option it is the word, elsewhere the variable.

    `act=relu` is always relu; the item `relu`, and the argument of a block, `unit(8, relu)`, are the variable, if there
    is one. In parentheses, `act=(relu)`, it is the variable. It is better to give the variable another name.

    Wrong:

        input 3x32x32
        let same = 0
        conv3-8(pad=same)

    Right:

        input 3x32x32
        let same = 0
        conv3-8(pad=(same))
    """
    if not option:
        message = f"the {kind} `{word}` is {value}, and options read a word of that name"
        note = f"the `{word}` of an option, as in `act={word}`, is the word; an item and an argument of a block are the {kind}"
        return Wording(message, notes=(note,), help="give it another name")
    message = f"`{word}` is the word of `{option}` here, not the {kind} `{word}`, which is {value}"
    return Wording(message, help=f"write `({word})` for the {kind}, or give it another name")


@diagnostic("W0113")
def channels_missing(size: str, length: int) -> Wording:
    """An input has two equal sizes, which are read as channels and a length. An image has channels before its height and width.

    Wrong:

        input 28x28
        conv3-8

    Right:

        input 1x28x28
        conv3-8
    """
    meant = f"1x{length}x{length}"
    message = f"{size} is read as {length} channels of a sequence of {length}"
    return Wording(message, help=f"did you mean `{meant}`, an image of one channel?", facts={"meant": meant})


@diagnostic("W0114")
def order_of_pytorch(name: str, channels: int, read: str, meant: str, written: str) -> Wording:
    """Positional numbers are in the order of PyTorch: input channels, output channels, kernel, stride.

    The order of the language is that of the operator's table: kernel, output channels, stride, padding. The input channels
    are known. The short form is unambiguous: `conv3-64/2(pad=1)`.

    Wrong:

        input 3x32x32
        conv(3, 64, 5, 1)

    Right:

        input 3x32x32
        conv5-64
    """
    message = f"{name} is read as {read}, and its first number is that of its {channels} input channels"
    help_text = f"write `{meant}` if this is PyTorch's order, `{written}` if not"
    return Wording(message, help=help_text, facts={"meant": ((written, "as it is read now"), (meant, "PyTorch's order"))})


@diagnostic("W0115")
def kernel_and_channels_swapped(name: str, kernel: int, out: int, meant: str) -> Wording:
    """A convolution has a very large kernel and very few channels: the two numbers may be swapped.

    The kernel comes first, then the channels: `conv3-64`.

    Wrong:

        input 3x96x96
        conv64-3

    Right:

        input 3x96x96
        conv3-64
    """
    message = f"{name} has a {kernel}x{kernel} kernel and {out} channel{'s' if out != 1 else ''}"
    return Wording(message, help=f"write `{meant}` if they are swapped", facts={"meant": ((meant, "kernel and channels swapped"),)})


@diagnostic("W0116")
def merge_without_use(written: str, what: str, instead: str = "") -> Wording:
    """A merge joins nothing: a residual without a body doubles every value, and a concat of one branch is that branch.

    Wrong:

        input 3x32x32
        concat<conv3-8>

    Right:

        input 3x32x32
        conv3-8
    """
    help_text = "leave it out" if instead else "write the body, or leave it out"
    return Wording(f"`{written}` {what}", help=help_text, facts={"meant": ((instead, "the branch alone"),) if instead else ()})


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


@diagnostic("W0119")
def builds_nothing(written: str) -> Wording:
    """A repeat has a literal count of zero, so its item is not built. As the value of a parameter, zero is fine: `x{n}`.

    Wrong:

        input 3x32x32
        conv3-16(pad=1) x0
        relu

    Right:

        input 3x32x32
        conv3-16(pad=1)
        relu
    """
    return Wording(f"`{written}` builds nothing", help="delete it, or write how many copies there should be")


@diagnostic("W0120")
def hides_the_outer(name: str, loop: bool) -> Wording:
    """A `let` in the body of a `for` or an `if` looks like an assignment to a variable of the enclosing scope, but is not one.

    It is a second variable of that name, which ends with the body: the outer one keeps its value, so each iteration of a
    loop starts with that value again, and so does the code after it. To carry a value from one iteration to the next, use
    a block that calls itself, or compute the value from the number of the iteration.

    Wrong:

        input 3x32x32
        let n = 8
        for i in range(3) { let n = 2*n; conv3-{n}(act=relu) }
        conv1-{n}

    Right:

        input 3x32x32
        let n = 8
        for i in range(3) { let wide = n * 2**(i + 1); conv3-{wide}(act=relu) }
        conv1-{n}
    """
    after = f"after it, `{name}` is the outer one again"
    note = f"each iteration starts with the outer `{name}` again, and so does what follows" if loop else after
    help_text = "a `let` does not change a variable: give this one another name" + (", computed from the iteration number" if loop else "")
    return Wording(f"this `{name}` is a new variable, which ends with this body", notes=(note,), help=help_text)
