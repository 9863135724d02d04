"""Errors of usage: an argument that is wrong, with what was given, the known values, and the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archc.dsl.vocabulary.spelling import near


class UsageError(ValueError):
    """An argument of a function of this library is wrong, or, with the same text, one of a verb of the command line.

    `option` is the name of the argument, or empty; `problem` is the rest of the message. `given` is what was passed, `known` holds
    all known values, and `near` those that may be intended, the likeliest first; where there are none, the message ends with the
    `hint`.
    """

    def __init__(self, problem: str, *, option: str = "", given: object = "", known: Iterable[object] = (), hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.option = option
        self.given = given
        self.known = tuple(map(str, known))
        self.hint = hint
        self.near = near(str(given), self.known) if self.known else ()

    def __str__(self) -> str:
        """Return the message: what was given, the known values, and the nearest of them."""
        meant = f"; did you mean {' or '.join(f'`{name}`' for name in self.near)}?" if self.near else ""
        meant = meant or (f"; {self.hint}" if self.hint else "")
        return f"{self.option} {self.problem}".lstrip() + meant


class NotInstalled(ModuleNotFoundError):
    """A module or a program that is needed is not installed; the message says what to install.

    `wants` is what needs it, as the subject of the sentence; `cure` replaces the advice to install the `extra` of this package.
    """

    def __init__(self, module: str, extra: str = "", *, wants: str = "this", cure: str = "") -> None:
        cure = cure or f"pip install 'archc[{extra}]'"
        super().__init__(f"{wants} needs {module}, which is not installed: {cure}", name=module)


class UnknownName(UsageError, KeyError):
    """A network has no node, part or block of the given name."""


def one_of(option: str, given: object, known: Sequence[object]) -> None:
    """Check that an argument is one of the known values. Raises UsageError."""
    if not any(given == value and type(given) is type(value) for value in known):
        names = [value for value in known if value != ""]
        raise UsageError(f"is {alternatives(names)}, not {given}", option=option, given=given, known=names)


def one_type(option: str, given: object, types: tuple[type, ...]) -> None:
    """Check that an argument is of one of the types. Raises UsageError."""
    if not isinstance(given, types):
        names = {"PathLike": "a path", "NoneType": "None", "str": "text", "Iterable": "a list", "Mapping": "a mapping"}
        wanted = alternatives(names.get(kind.__name__, kind.__name__) for kind in types)
        raise UsageError(f"is {wanted}, not {given!r}", option=option, given=given)


def at_least(option: str, given: object, least: int) -> None:
    """Check that an argument is a whole number of at least `least`. Raises UsageError."""
    if type(given) is not int or given < least:
        raise UsageError(f"is a whole number, {least} or more, not {given}", option=option, given=given)


def alternatives(names: Iterable[object]) -> str:
    """Join names for a sentence: `a, b or c`."""
    *first, last = map(str, names)
    return f"{', '.join(first)} or {last}" if first else last


class UnreadableError(ValueError):
    """A graph that no text of the language describes; the message says why."""
