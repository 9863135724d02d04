"""E04xx: values of the wrong kind, and arithmetic that has no result."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Wording, diagnostic
from archc.dsl.vocabulary import foreign
from archc.dsl.vocabulary.spelling import did_you_mean, misspelt, near


@diagnostic("E0401")
def wrong_kind(what: str, expected: str, got: str, help: str = "", least: int | None = None) -> Wording:
    """A value is not of the kind that is needed in its place.

    Wrong:

        input 3x32x32
        conv3-{7/2}

    Right:

        input 3x32x32
        conv3-{7//2}
    """
    facts = {} if least is None else {"least": least}
    return Wording(f"{what} must be {expected}, but is {got}", help=help, facts=facts)


@diagnostic("E0402")
def no_result(problem: str, help: str = "") -> Wording:
    """Arithmetic that has no result: a division by zero, or a number beyond 2^63.

    Wrong:

        input 3x32x32
        conv3-{64 // 0}

    Right:

        input 3x32x32
        conv3-{64 // 1}
    """
    return Wording(problem, help=help)


@diagnostic("E0403")
def not_a_choice(option: str, got: str, choices: Sequence[str]) -> Wording:
    """An option accepts one of a few words, but got another.

    Wrong:

        input 3x32x32
        upsample2(mode=cubic)

    Right:

        input 3x32x32
        upsample2(mode=nearest)
    """
    listed = ", ".join(f"`{choice}`" for choice in choices)
    word = got.strip("`")
    here = foreign.operator(word) or foreign.INITS.get(word.lower(), "")
    close = [here] if here in choices else near(word, choices) if "(" not in word else []
    help_text = f"it is `{here}` here" if here in choices else did_you_mean(word, close)
    notes = (f"it must be one of {listed}",)
    return Wording(f"`{option}` cannot be {got}", notes=notes, help=help_text, facts=misspelt(word, close, here in choices))


@diagnostic("E0404")
def undecided(condition: str) -> Wording:
    """A condition depends on a size that the file leaves open, and has different answers for different sizes.

    Wrong:

        input 3xHxW
        if in.h == 32 { conv3-8 } else { conv1-8 }

    Right:

        input 3x32x32
        if in.h == 32 { conv3-8 } else { conv1-8 }
    """
    return Wording(f"`{condition}` is true for some sizes and false for others", help="give the input a fixed size")


@diagnostic("E0405")
def no_such_element(problem: str) -> Wording:
    """An index is outside its list, or a tensor has no such field.

    Wrong:

        input 3x32x32
        let widths = [8, 16]
        conv3-{widths[2]}

    Right:

        input 3x32x32
        let widths = [8, 16]
        conv3-{widths[1]}
    """
    return Wording(problem, help="list indices start at 0; `len()` returns the length of a list")


@diagnostic("E0406")
def does_not_unpack(names: Sequence[str], values: Sequence[str], got: str = "") -> Wording:
    """A loop has more or fewer names than its rows have values.

    Wrong:

        input 3x32x32
        for (w, s) in [[8, 1, 1], [16, 2, 1]] { conv3-{w}/{s} }

    Right:

        input 3x32x32
        for (w, s) in [[8, 1], [16, 2]] { conv3-{w}/{s} }
    """
    if got:
        return Wording(f"this row must be a list of {len(names)} values, for the names {', '.join(names)}, and is {got}")
    bound = [f"{name} = {value}" for name, value in zip(names, values, strict=False)]
    missing, surplus = [f"`{name}`" for name in names[len(values) :]], list(values[len(names) :])
    rest = f"nothing is left for {' and '.join(missing)}" if missing else f"no name is left for {' and '.join(surplus)}"
    count = f"{len(values)} value{'s' * (len(values) != 1)}"
    return Wording(f"this row has {count} for {len(names)} names", notes=(", ".join([*bound, rest]),))


@diagnostic("E0407")
def unknown_function(name: str, known: Sequence[str], functions: Sequence[str]) -> Wording:
    """A call in an expression names neither a function nor an operator.

    Wrong:

        input 3x32x32
        conv3-{largest(8, 16)}

    Right:

        input 3x32x32
        conv3-{max(8, 16)}
    """
    help_text = did_you_mean(name, known) or f"the functions are: {', '.join(functions)}"
    return Wording(f"there is no function `{name}`", help=help_text, facts=misspelt(name, near(name, known)))
