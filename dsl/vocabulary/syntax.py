"""E01xx: text that cannot be read as a `.arch` file."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic
from archc.dsl.draft import Change


@diagnostic("E0101")
def unexpected(
    found: str, expected: str, hint: str = "", changes: tuple[Change, ...] = (), is_guess: bool = False, unsure: bool = False
) -> Wording:
    """Something is in a place where the grammar does not allow it.

    The message says what was found and what was expected. Parsing continues with the next statement, so one run
    shows every such place.

    Wrong:

        input 3x32x32
        conv3-64 maxpool

    Right:

        input 3x32x32
        conv3-64; maxpool
    """
    notes = (f"expected {expected}",) if expected and not hint else ()
    facts = {"changes": changes, "guess": is_guess, "unsure": unsure}
    return Wording(f"I did not expect {found} here", notes=notes, help=hint, facts=facts)


@diagnostic("E0102")
def never_closed(
    opener: str, closer: str, help_text: str, changes: tuple[Change, ...] = (), is_guess: bool = False, unsure: bool = False
) -> Wording:
    """A bracket is opened and never closed.

    `<` opens the branches of a merge and `>` closes them; `{` and `}` enclose a body; `[` and `]` a list
    or a numbered group; `(` and `)` arguments. The indentation tells which bracket is unmatched: a closing
    bracket at the start of a line belongs to the line with the same indentation.

    Wrong:

        input 3x32x32
        residual<conv3-3(pad=1)

    Right:

        input 3x32x32
        residual<conv3-3(pad=1)>
    """
    facts = {"closer": closer, "changes": changes, "guess": is_guess, "unsure": unsure}
    return Wording(f"this `{opener}` is never closed", help=help_text, facts=facts)


@diagnostic("E0103")
def closes_nothing(closer: str, opener: str, instead: str = "", opening: tuple[Change, ...] = (), unsure: bool = False) -> Wording:
    """A closing bracket has no opening bracket, or one of another kind.

    Wrong:

        input 3x32x32
        conv3-64(pad=1)}

    Right:

        input 3x32x32
        conv3-64(pad=1)
    """
    if instead:
        message = f"this `{closer}` cannot close the `{opener}` before it"
        return Wording(message, help=f"write `{instead}`", facts={"instead": instead, "guess": False})
    help_text = f"delete it, or write the missing `{opener}` before it"
    facts = {"delete": True, "guess": True, "changes": opening, "unsure": unsure}
    if closer == ">" and opening:
        words = " or ".join(f"`{new}`" for _, _, new in opening)
        help_text = f"the merge that it closes has no start: write {words} before its first branch"
        facts["delete"] = False
    return Wording(f"this `{closer}` closes nothing", help=help_text, facts=facts)


@diagnostic("E0104")
def repeat_without_count() -> Wording:
    """A repeat has no count.

    `x2` repeats the item before it twice, `x{n}` as often as an expression says. There is a space
    before the `x` and none after it.

    Wrong:

        input 3x32x32
        conv3-64(pad=1) x

    Right:

        input 3x32x32
        conv3-64(pad=1) x2
    """
    return Wording("a repeat needs a count", notes=("`x` has none here",), help="write the count, as in `x2` or `x{n}`")


@diagnostic("E0105")
def unreadable(what: str, hint: str = "", changes: tuple[Change, ...] = (), name: str = "", places: Sequence[int] = ()) -> Wording:
    """A character has no meaning in a `.arch` file, or a name contains letters other than a to z.

    Names become weight keys and module attributes, so they are ASCII; comments and titles may be in any script.

    Wrong:

        input 3x32x32
        conv3-64 $

    Right:

        input 3x32x32
        conv3-64
    """
    help_text = hint or "delete it, or put it in a `# comment`"
    return Wording(f"I cannot read {what}", help=help_text, facts={"changes": changes, "name": name, "places": places})


@diagnostic("E0106")
def not_utf8(byte: int) -> Wording:
    """A file is not UTF-8 text. Save it as UTF-8; a byte-order mark and Windows line endings are fine."""
    return Wording(f"this file is not UTF-8 text: byte {byte:,} does not start a character", help="save the file as UTF-8")


@diagnostic("E0107")
def too_deep_brackets(limit: int) -> Wording:
    """Brackets are nested deeper than the limit that `--max-nesting` sets."""
    return Wording(f"this is nested deeper than {limit}", help="write the inner part as a block, or raise `--max-nesting`")


@diagnostic("E0108")
def other_format(name: str) -> Wording:
    """A file is written in another language: Darknet's, Caffe's, Ultralytics', Python.

    Wrong:

        [convolutional]
        filters=32
        size=3

    Right:

        input 3x416x416
        conv3-32
    """
    help_text = "rewrite it: `input 3x224x224`, then items such as `conv3-64; bn; relu; maxpool` (docs/language.md)"
    if name in ("Python", "a Caffe prototxt"):
        help_text = "begin with a line such as `input 3x224x224`; layers after it are then offered as items, where an item does the same"
    return Wording(f"this looks like {name}, not like a `.arch` file", help=help_text)


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
) -> Wording:
    """A layer is written as PyTorch, Keras or Caffe writes it.

    If an item does the same, that item is offered instead, with the arguments translated: the number of input channels is
    left out, and every option that a `default` of the file sets is written out. What a layer states about its input is
    compared with the incoming tensor. If no item does the same, the notes say what differs.

    Wrong:

        input 3x32x32
        nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)

    Right:

        input 3x32x32
        conv3-64(pad=1, bias=no)
    """
    whose = f"{framework}'s"
    if not text:
        return Wording(f"this is {whose} `{call}`, which cannot be written here as it is", notes=tuple(notes), facts={"changes": ()})
    message = f"this is {whose} `{call}`" if count == 1 else f"these {count} layers are written as {framework} writes them"
    help_text = f"here it is `{text}`" if count == 1 and "\n" not in text else "here they are items in sequence"
    facts = {"together": changes, "incoming": incoming, "unsure": unsure}
    return Wording(message, notes=tuple(notes), help=help_text, facts=facts)


@diagnostic("E0110")
def unknown_statement(word: str, meant: str, changes: tuple[Change, ...] = ()) -> Wording:
    """A line begins with a word that does not begin any statement.

    Wrong:

        input 3x32x32
        defualt conv(pad=same)
        conv3-64

    Right:

        input 3x32x32
        default conv(pad=same)
        conv3-64
    """
    return Wording(f"there is no statement `{word}`", help=f"did you mean `{meant}`?", facts={"changes": changes})


@diagnostic("E0111")
def turns_the_text(character: str) -> Wording:
    """A character changes the direction of the text around it, so that a reader sees a different program than the compiler.

    Such characters are rejected everywhere, including in titles, labels and comments (Boucher & Anderson 2023, "Trojan
    Source"). Text in Hebrew or Arabic needs none of them.
    """
    return Wording(f"{character} changes the direction of the text: it would be shown in another order", help="delete it")
