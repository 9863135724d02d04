"""E02xx: names that are unknown or ambiguous, and arguments that do not fit what they are passed to."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic, worded_as
from archc.dsl.vocabulary import foreign
from archc.dsl.vocabulary.spelling import did_you_mean, misspelt, near, slip


@diagnostic("E0201")
def unknown_operator(word: str, known: Sequence[str], hint: str = "", notes: Sequence[str] = ()) -> Wording:
    """The word at the start of an item is neither an operator nor a visible block.

    `archc ops` lists the operators. Blocks come from the file itself and from the files it `use`s, and are
    visible after their definition.

    Wrong:

        input 3x32x32
        maxpol

    Right:

        input 3x32x32
        maxpool
    """
    return _no_operator(f"there is no operator or block `{word}`", word, known, hint, notes)


@worded_as("E0201")
def no_default(word: str, block: bool, known: Sequence[str]) -> Wording:
    """Report a `default` of something that is not an operator."""
    if word.lower() == "residual":
        hint = "`residual<body>` is `add<body | .>`, which has no options; set the options of the operators in it"
        return _no_operator("`residual` is not an operator, so it has no options to set", word, [], hint)
    if block:
        hint = "give its parameter a default in its definition: `block name(width=64)`"
        return _no_operator(f"`{word}` is a block: a `default` sets the options of an operator", word, [], hint)
    return _no_operator(f"there is no operator or block `{word}`", word, known)


def _no_operator(message: str, word: str, known: Sequence[str], hint: str = "", notes: Sequence[str] = ()) -> Wording:
    here = foreign.operator(word)
    exact = foreign.EXACT.get(word.lower(), "")
    if unclear := foreign.UNCLEAR.get(word.lower().rstrip("0123456789"), ""):
        return Wording(message, tuple(notes), unclear)
    if not exact and foreign.is_absent(word):
        return Wording(message, tuple(notes), f"archc has no `{word}` yet; `archc ops` lists the operators")
    here = here or exact
    close = [here] if here else near(word, known)
    help_text = hint or (f"it is `{here}` here" if here else did_you_mean(word, known)) or "`archc ops` lists the operators"
    return Wording(message, tuple(notes), help_text, facts=misspelt(word, close, bool(here)))


SIDES = ("top", "bottom")  # both fields of Caffe layers and sides to pad


@diagnostic("E0202")
def unknown_option(operator: str, option: str, known: Sequence[str], signature: str = "") -> Wording:
    """An argument has a name that is not a parameter of the operator or block.

    Wrong:

        input 3x32x32
        conv3-64(strde=2)

    Right:

        input 3x32x32
        conv3-64(stride=2)
    """
    opposite, how = foreign.opposite(option, list(known))
    if opposite:
        help_text = f"`{opposite}` is the opposite: {how or f'`{opposite}=no` for `{option}=yes`'}"
        return Wording(f"`{operator}` has no option `{option}`", help=help_text)
    exact = foreign.options(option, list(known))
    here = exact or _misspelt_option(option, known)
    needless = foreign.NEEDLESS.get(option.lower(), "") if option.lower() not in SIDES or operator not in ("pad", "crop") else ""
    close = near(option, known) or [name for name in known if len(name) < 3 and option.startswith(name)]
    meant = did_you_mean(option, known) or (f"did you mean {' or '.join(f'`{other}`' for other in close)}?" if close else "")
    help_text = "leave it out" if needless else meant or (f"it is `{here[0]}` here" if here else "")
    notes = (f"it is written {signature}" if signature else f"it has: {', '.join(known)}",) if known else ()
    if needless:
        notes = (f"it is not needed here: {needless}",)
    elif not known:
        help_text = f"`{operator}` takes no options"
    facts: dict[str, object] = {"delete": True}
    if not needless:
        facts = misspelt(option, exact[:1] or close or here, sure=bool(exact or (here and not close)))
        facts["unsure"] = bool(close and not near(option, known))
    return Wording(f"`{operator}` has no option `{option}`", notes=notes, help=help_text, facts=facts)


def _misspelt_option(option: str, known: Sequence[str]) -> list[str]:
    """Return the equivalents of a misspelled option of another framework: `paddding` is `padding`, which is `pad`."""
    words = [word for word in foreign.OPTIONS if len(word) > 3 and foreign.options(word, list(known))]
    meant = slip(option, near(option, words))
    return foreign.options(meant, list(known))[:1]


@diagnostic("E0203")
def unknown_reference(path: str, known: Sequence[str], variable: str = "", listed: bool = False) -> Wording:
    """A reference names a label that does not precede it in its own scope or an enclosing one.

    Wrong:

        input 3x32x32
        conv1: conv3-8(pad=1)
        concat<. | @conv9>

    Right:

        input 3x32x32
        conv1: conv3-8(pad=1)
        concat<. | @conv1>
    """
    help_text = did_you_mean(path, known) or "a reference can only name what comes before it, in its own scope or an enclosing one"
    if variable:
        help_text = f"`{path}` is {variable}: write `{path}`, without the `@`"
    if listed:
        return Wording(f"`{path}` is a list, and no tensor", help=f"an item goes on from one of its tensors: `@{path}[0]`")
    return Wording(f"there is no `{path}` before this", help=help_text, facts=misspelt(path, near(path, known)))


@diagnostic("E0204")
def unknown_name(name: str, known: Sequence[str], sure: str = "", hint: str = "") -> Wording:
    """A name in an expression is neither a parameter, nor a `let` variable, nor a word that an option accepts.

    Wrong:

        input 3x32x32
        let width = 8
        conv3-{widht}

    Right:

        input 3x32x32
        let width = 8
        conv3-{width}
    """
    message = f"I do not know the name `{name}`"
    if sure:
        return Wording(message, help=f"write `{sure}`", facts=misspelt(name, [sure], sure=True))
    if foreign.is_absent(name):
        return Wording(message, help=f"archc has no `{name}` yet; `archc ops` lists the operators")
    here = foreign.operator(name)
    close = [here] if here in known else near(name, known)
    help_text = f"it is `{here}` here" if here in known else did_you_mean(name, known) or hint
    return Wording(message, help=help_text, facts=misspelt(name, close, here in known))


@diagnostic("E0205")
def name_taken(name: str, scope: str) -> Wording:
    """Two nodes of one scope would have the same name.

    An item without a label is named after its operator and its number in the scope: the third convolution is
    `conv3`. A label may be the same as the name of its own node, but not of another node.

    Wrong:

        input 3x32x32
        stem: conv3-8
        stem: conv3-8

    Right:

        input 3x32x32
        stem: conv3-8
        body: conv3-8
    """
    where = f" in `{scope}`" if scope else ""
    return Wording(f"there is already a `{name}`{where}", help="give one of them another label")


@diagnostic("E0206")
def reserved(name: str, why: str) -> Wording:
    """A label cannot be used as the name of a module: Python or torch.nn.Module has another meaning for it.

    Wrong:

        input 3x32x32
        train: conv3-8

    Right:

        input 3x32x32
        trunk: conv3-8
    """
    return Wording(f"`{name}` cannot be a label: {why}", help="choose another word")


@diagnostic("E0207")
def missing_argument(name: str, missing: Sequence[str], signature: str) -> Wording:
    """An operator or block is called without an argument that has no default.

    Wrong:

        input 3x32x32
        conv3

    Right:

        input 3x32x32
        conv3-64
    """
    words = [f"`{m}`" for m in missing]
    listed = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return Wording(f"`{name}` is called without {listed}", help=f"it is written {signature}")


@diagnostic("E0208")
def too_many_arguments(name: str, most: int, got: int, signature: str) -> Wording:
    """An operator or block gets more arguments than it takes.

    Wrong:

        input 3x32x32
        dropout(0.5, 2)

    Right:

        input 3x32x32
        dropout(0.5)
    """
    return Wording(f"`{name}` takes at most {most} argument{'s' if most != 1 else ''} but gets {got}", help=f"it is written {signature}")


@diagnostic("E0209")
def given_twice(operator: str, option: str) -> Wording:
    """An argument is given twice, perhaps once in the short form and once by name.

    Wrong:

        input 3x32x32
        conv3-64(kernel=5)

    Right:

        input 3x32x32
        conv5-64
    """
    return Wording(f"`{operator}` is given `{option}` twice", help="keep one of the two")


@diagnostic("E0210")
def no_short_form(name: str, part: str, signature: str, meant: str) -> Wording:
    """The short form has a number that this operator or block does not take.

    `NAME3-64/2` sets the parameters `kernel`, `out` and `stride`; an operator or block without one of them
    does not take that part.

    Wrong:

        input 3x32x32
        relu-64

    Right:

        input 3x32x32
        conv1-64; relu
    """
    help_text = f"did you mean `{meant}`?" if meant else f"it is written {signature}"
    return Wording(f"`{name}` takes no {part}", help=help_text, facts={"meant": meant})


@diagnostic("E0211")
def unknown_setting(kind: str, name: str, known: Sequence[str]) -> Wording:
    """`--set` or `--input` names something that the network does not have.

    `--set NAME=VALUE` changes the value of a parameter of the `arch` line; `--input NAME=SHAPE` changes the shape
    of an input (`--input SHAPE` if there is only one).
    """
    help_text = did_you_mean(name, known) or (f"it has: {', '.join(known)}" if known else "it has none")
    return Wording(f"the network has no {kind} `{name}`", help=help_text)


@diagnostic("E0212")
def block_name_taken(name: str, by: str) -> Wording:
    """A block has the name of an operator, or of another block in the same scope.

    Wrong:

        input 3x32x32
        block relu() { conv1-3 }
        relu

    Right:

        input 3x32x32
        block mix() { conv1-3 }
        mix
    """
    return Wording(f"`{name}` is already {by}", help="give the block another name")


@diagnostic("E0213")
def not_here(what: str, where: str) -> Wording:
    """A statement is in a place where it has no meaning, such as an `input` inside a block.

    Wrong:

        input 3x32x32
        block stem() { input 3x32x32 }
        stem

    Right:

        input 3x32x32
        block stem() { conv3-8 }
        stem
    """
    return Wording(f"{what} is not allowed here", help=f"it belongs {where}")


@diagnostic("E0214")
def defined_twice(what: str, name: str, notes: Sequence[str] = ()) -> Wording:
    """Two parameters of a block, or two inputs or outputs of a network, have the same name.

    Wrong:

        input 3x32x32
        block stem(w, w) { conv3-{w} }
        stem(8, 8)

    Right:

        input 3x32x32
        block stem(w) { conv3-{w} }
        stem(8)
    """
    return Wording(f"there is already {what} `{name}`", notes=tuple(notes), help="give one of them another name")


@diagnostic("E0215")
def option_without_name(operator: str, known: Sequence[str], meant: str = "", help: str = "") -> Wording:
    """A `default`, or a `pad`, sets an option without naming it. Only items take options by position.

    A number in `pad(1)` would pad only the height, but other frameworks pad all sides: `pad(h=1, w=1)`.

    Wrong:

        input 3x32x32
        default conv(1)
        conv3-8

    Right:

        input 3x32x32
        default conv(pad=1)
        conv3-8
    """
    whose = f"`{operator}`" if meant or help else "a `default`"
    all_axes = "to pad all sides of an image" if operator == "pad" else "for both axes of an image"
    help_text = help or (f"write `{meant}` {all_axes}" if meant else "write `pad=1`")
    return Wording(f"the options of {whose} must be named", notes=(f"`{operator}` has: {', '.join(known)}",), help=help_text)


@diagnostic("E0216")
def defined_later(name: str, line: int, through: str = "", reader: str = "") -> Wording:
    """A block or a variable is used before it is defined.

    A block sees only what precedes its own definition, wherever it is called, so what it uses must be defined before it.

    Wrong:

        input 3x32x32
        stem(8)
        block stem(w) { conv3-{w} }

    Right:

        input 3x32x32
        block stem(w) { conv3-{w} }
        stem(8)
    """
    what = f"`{through}` is the block `{name}`, which" if through else f"`{name}`"
    help_text = f"put it before the block `{reader}`, which sees only what comes before it" if reader else "put it before its first use"
    return Wording(f"{what} is defined only later, on line {line}", help=help_text)


@diagnostic("E0217")
def already_bound(name: str, kind: str) -> Wording:
    """A name is given a second meaning in the same scope.

    Names cannot be reassigned: within a scope, a `let`, a parameter, a loop variable, an open size and a block all have
    different names, so the meaning of a name does not depend on where it is read. A body in braces is its own scope and
    may reuse a name of an enclosing scope, up to the end of the body.

    Wrong:

        input 3x32x32
        let w = 8
        conv3-{w}
        let w = 16
        conv3-{w}

    Right:

        input 3x32x32
        let w = 8
        conv3-{w}
        let wide = 16
        conv3-{wide}
    """
    again = f"`next {name} = ...` gives it to the next turn" if kind == "state of the loop" else ""
    help_text = again or "names cannot be reassigned: choose another one"
    return Wording(f"`{name}` is already a {kind} in this scope", help=help_text)
