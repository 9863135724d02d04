"""W01xx about the text: it probably means something else to its writer than to archc. `# allow: W0112` silences one."""

from __future__ import annotations

from archc.dsl.diagnostics import Wording, diagnostic


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
    loop starts with that value again, and so does the code after it. To carry a value from one iteration to the next, make it
    a state of the loop, or compute the value from the number of the iteration.

    Wrong:

        input 3x32x32
        let n = 8
        for i in range(3) { let n = 2*n; conv3-{n}(act=relu) }
        conv1-{n}

    Right:

        input 3x32x32
        let n = 8
        for i in range(3) with wide = n { conv3-{wide}(act=relu); next wide = 2*wide }
        conv1-{wide}
    """
    after = f"after it, `{name}` is the outer one again"
    note = f"each iteration starts with the outer `{name}` again, and so does what follows" if loop else after
    state = f", or the loop a state: `for ... with {name} = ...`" if loop else ""
    help_text = f"a `let` does not change a variable: give this one another name{state}"
    return Wording(f"this `{name}` is a new variable, which ends with this body", notes=(note,), help=help_text)
