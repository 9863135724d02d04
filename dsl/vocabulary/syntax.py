"""E01xx: text that cannot be read as a `.arch` file."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Diagnostic, diagnostic
from archc.dsl.draft import Change


@diagnostic("E0101")
def unexpected(
    found: str, expected: str, hint: str = "", changes: tuple[Change, ...] = (), is_guess: bool = False, unsure: bool = False
) -> Diagnostic:
    """Something stands where the grammar has no place for it.

    The message says what was found and what could have stood there. Reading goes on with the next
    statement, so one run shows every such place.

    Wrong:

        input 3x32x32
        conv3-64 maxpool

    Right:

        input 3x32x32
        conv3-64; maxpool
    """
    notes = (f"expected {expected}",) if expected and not hint else ()
    facts = {"changes": changes, "guess": is_guess, "unsure": unsure}
    return Diagnostic("", f"I did not expect {found} here", notes=notes, help=hint, facts=facts)


@diagnostic("E0102")
def never_closed(
    opener: str, closer: str, help_text: str, changes: tuple[Change, ...] = (), is_guess: bool = False, unsure: bool = False
) -> Diagnostic:
    """A bracket is opened and never closed.

    `<` opens the branches of a merge and `>` closes them; `{` and `}` hold a body; `[` and `]` a list
    or a numbered group; `(` and `)` arguments. Which one lacks its partner is told by the indent: a closing
    bracket that begins a line belongs to the line of the same indent.

    Wrong:

        input 3x32x32
        residual<conv3-3(pad=1)

    Right:

        input 3x32x32
        residual<conv3-3(pad=1)>
    """
    facts = {"closer": closer, "changes": changes, "guess": is_guess, "unsure": unsure}
    return Diagnostic("", f"this `{opener}` is never closed", help=help_text, facts=facts)


@diagnostic("E0103")
def closes_nothing(closer: str, opener: str, instead: str = "", opening: tuple[Change, ...] = (), unsure: bool = False) -> Diagnostic:
    """A bracket is closed that was not opened, or is closed by one of another kind.

    Wrong:

        input 3x32x32
        conv3-64(pad=1)}

    Right:

        input 3x32x32
        conv3-64(pad=1)
    """
    if instead:
        message = f"this `{closer}` cannot close the `{opener}` before it"
        return Diagnostic("", message, help=f"write `{instead}`", facts={"instead": instead, "guess": False})
    help_text = f"delete it, or write the missing `{opener}` before it"
    facts = {"delete": True, "guess": True, "changes": opening, "unsure": unsure}
    if closer == ">" and opening:
        words = " or ".join(f"`{new}`" for _, _, new in opening)
        help_text = f"the merge that it closes has no beginning: write {words} before its first branch"
        facts["delete"] = False
    return Diagnostic("", f"this `{closer}` closes nothing", help=help_text, facts=facts)


@diagnostic("E0104")
def repeat_without_count() -> Diagnostic:
    """A repeat has no number.

    `x2` repeats what stands before it twice, `x{n}` as often as an expression says. There is a space
    before the `x` and none behind it.

    Wrong:

        input 3x32x32
        conv3-64(pad=1) x

    Right:

        input 3x32x32
        conv3-64(pad=1) x2
    """
    return Diagnostic("", "a repeat needs its number", notes=("`x` stands alone",), help="write how often, as in `x2` or `x{n}`")


@diagnostic("E0105")
def unreadable(what: str, hint: str = "", changes: tuple[Change, ...] = (), name: str = "", places: Sequence[int] = ()) -> Diagnostic:
    """A character that has no meaning in a `.arch` file, or a name with letters other than a to z.

    Names become keys of the weights and attributes of modules, so they are ASCII; comments and titles may be in any script.

    Wrong:

        input 3x32x32
        conv3-64 $

    Right:

        input 3x32x32
        conv3-64
    """
    help_text = hint or "delete it, or put it into a `# comment`"
    return Diagnostic("", f"I cannot read {what}", help=help_text, facts={"changes": changes, "name": name, "places": places})


@diagnostic("E0106")
def not_utf8(byte: int) -> Diagnostic:
    """A file is not UTF-8 text. Save it as UTF-8; a byte-order mark and Windows line ends are fine."""
    return Diagnostic("", f"this file is not UTF-8 text: byte {byte:,} starts no character", help="save the file as UTF-8")


@diagnostic("E0107")
def too_deep_brackets(limit: int) -> Diagnostic:
    """Brackets stand inside brackets too many times to be a network. `--max-nesting` sets the limit."""
    return Diagnostic("", f"this is nested deeper than {limit}", help="write the inner part as a block, or raise `--max-nesting`")


@diagnostic("E0108")
def other_format(name: str) -> Diagnostic:
    """A file is written in another language: Darknet's, Caffe's, Ultralytics', Python.

    Wrong:

        [convolutional]
        filters=32
        size=3

    Right:

        input 3x416x416
        conv3-32
    """
    help_text = "write it anew: `input 3x224x224`, then items such as `conv3-64; bn; relu; maxpool` (docs/language.md)"
    if name in ("Python", "a Caffe prototxt"):
        help_text = "begin with a line such as `input 3x224x224`; layers below it are offered as items, as far as there are such"
    return Diagnostic("", f"this looks like {name}, and not like a `.arch` file", help=help_text)


@diagnostic("E0109")
def of_another_framework(
    framework: str,
    call: str,
    count: int = 1,
    text: str = "",
    notes: Sequence[str] = (),
    changes: tuple[Change, ...] = (),
    incoming: Sequence[object] = (),
    unsure: bool = False,
) -> Diagnostic:
    """A layer is written as PyTorch, Keras or Caffe writes it.

    Where it means the same as an item, that item is offered in its place, its arguments translated: the channels that
    come in are left out, and every option is written that a `default` of the file sets. What a layer says of the tensor that
    it takes is compared with the one that comes in. Where it means something that no item does, the notes say what differs.

    Wrong:

        input 3x32x32
        nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)

    Right:

        input 3x32x32
        conv3-64(pad=1, bias=no)
    """
    whose = f"{framework}'s"
    if not text:
        return Diagnostic(
            "", f"this is {whose} `{call}`, which cannot be written here as it stands", notes=tuple(notes), facts={"changes": ()}
        )
    message = f"this is {whose} `{call}`" if count == 1 else f"these {count} layers are written as {framework} writes them"
    help_text = f"here it is `{text}`" if count == 1 and "\n" not in text else "here they are items, one after the other"
    facts = {"together": changes, "incoming": incoming, "unsure": unsure}
    return Diagnostic("", message, notes=tuple(notes), help=help_text, facts=facts)


@diagnostic("E0110")
def unknown_statement(word: str, meant: str, changes: tuple[Change, ...] = ()) -> Diagnostic:
    """A line begins with a word that begins no statement.

    Wrong:

        input 3x32x32
        defualt conv(pad=same)
        conv3-64

    Right:

        input 3x32x32
        default conv(pad=same)
        conv3-64
    """
    return Diagnostic("", f"there is no statement `{word}`", help=f"did you mean `{meant}`?", facts={"changes": changes})


@diagnostic("E0111")
def turns_the_text(character: str) -> Diagnostic:
    """A character changes the direction of the text around it, so that a reader sees another program than the compiler.

    Such characters are refused everywhere, in titles, labels and comments as well (Boucher & Anderson 2023, "Trojan
    Source"). Text in Hebrew or Arabic needs none of them.
    """
    return Diagnostic("", f"{character} changes the direction of the text: it would be shown in another order", help="delete it")
