"""Insert missing brackets at their likeliest places, and report them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lark import UnexpectedInput

from archc.dsl.brackets import CLOSERS, PAIRS, Loose, loose
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.draft import Change, Draft
from archc.dsl.source import Source, Span
from archc.dsl.vocabulary import syntax

_SURPLUS = re.compile(r"(?:^|[;|<{:\n])\s*[\w{}/.*+-]*\([^()\n]*\)\s*$")  # before a `)`: the arguments of an item, which have their own `)`
MOST_TRIED = 20  # unmatched brackets whose places are tried

Failure = Callable[[str], UnexpectedInput | None]  # parses a text as statements and returns the syntax error, if any


def balanced(source: Source, failure: Failure) -> tuple[Draft, list[Diagnostic], bool]:
    """Return a draft with matching brackets, the problems found, and whether that draft is sure to be complete."""
    found = loose(source.text)
    problems: list[Diagnostic] = []
    changes: list[Change] = []
    whole = True
    for group in _closed_together(found):
        first = group[0]
        if first.bracket in CLOSERS:
            opener = CLOSERS[first.instead or first.bracket]
            opening = tuple((at, 0, new) for at, new in first.places)
            changes.extend(opening[:1] or ((first.at, 1, first.instead or " "),))
            before = source.text[source.text.rfind("\n", 0, first.at) + 1 : first.at]
            repeated = first.bracket == ")" and _SURPLUS.search(before) is not None
            unsure = len(opening) != 1 and not repeated
            problem = syntax.closes_nothing(first.bracket, opener, first.instead, opening, unsure)
            problem = problem.at(Span(source, first.at, first.at + 1))
            whole = whole and not problem.facts["guess"]
        else:
            places, readings = _places(source.text, group, failure if len(changes) < MOST_TRIED else None)
            at, new = places[0] if places else (len(source.text), "\n" + PAIRS[first.bracket])
            changes.append((at, 0, new))
            problem = _never_closed(source, group, places, readings)
            whole = whole and bool(places) and not problem.facts["guess"]
        problems.append(problem)
    draft = Draft.of(source.text)
    return (draft.changed(changes) if changes else draft), problems, whole


def _closed_together(found: Sequence[Loose]) -> list[list[Loose]]:
    """Group unmatched brackets, outermost first; those whose partner is missing at the same place go together."""
    groups: dict[tuple[bool, int], list[Loose]] = {}
    for one in found:
        missing = one.bracket in PAIRS and bool(one.places)
        groups.setdefault((missing, one.places[0][0] if missing else one.at), []).append(one)
    return list(groups.values())


def _places(text: str, group: Sequence[Loose], failure: Failure | None) -> tuple[list[tuple[int, str]], int]:
    """Return where the missing bracket may go, places with which the lines parse first, and how many of them parse."""
    first = group[0]
    if len(group) > 1:
        return [(first.places[0][0], "".join(one.places[0][1] for one in reversed(group)))], 1
    if failure is None:
        return list(first.places), len(first.places)
    works = {place: _reads(text, first, place, failure) for place in first.places}
    return sorted(first.places, key=lambda place: not works[place]), sum(works.values())


def _reads(text: str, found: Loose, place: tuple[int, str], failure: Failure) -> bool:
    """Return whether the lines from the bracket to the place of its partner parse."""
    at, new = place
    begin, end = text.rfind("\n", 0, found.at) + 1, text.find("\n", at)
    lines = text[begin:at] + new + text[at : end if end >= 0 else len(text)]
    return failure(re.sub(r"^[ \t]*\|", "", lines)) is None


def _never_closed(source: Source, group: Sequence[Loose], places: Sequence[tuple[int, str]], readings: int) -> Diagnostic:
    """Report brackets that are never closed, with the places where their partners may go."""
    text, found = source.text, group[0]
    name = _shown(text, found)
    closers = "".join(PAIRS[one.bracket] for one in reversed(group))
    help_text = f"write `{closers}` where it ends"
    if places and readings < 2:
        at, new = places[0]
        line = source.line_of(at)
        at_end = not text[at:].split("\n", 1)[0].split("#")[0].strip()
        here, *below = [part.strip() for part in new.split("\n")]
        where = [f"`{here}` at the end of line {line}" if at_end else f"`{here}` on line {line}"] if here else []
        where += [f"`{closer}` on its own line after {'it' if where else f'line {line}'}" for closer in below[:1]]
        where += [f"`{closer}` on the next one" for closer in below[1:]]
        help_text = f"write {', '.join(where)}"
    related: list[Related] = []
    if found.taken >= 0:
        owner = re.search(r"[\w-]*$", text[max(0, found.owner - 60) : found.owner])
        opened = f"{owner.group() if owner else ''}{text[found.owner]}"
        what = f"this closes the `{opened}` on line {source.line_of(found.owner)}"
        related.append(Related(Span(source, found.taken, found.taken + 1), what))
    for one in group[1:]:
        inner = _shown(text, one)
        related.append(Related(Span(source, one.at - len(inner) + 1, one.at + 1), f"nor is this `{inner}`"))
    # The place of a bracket over several lines decides what it contains. The indentation is evidence, not proof.
    unsure = readings > 1 or (closers != ")" and bool(places) and "\n" in text[found.at : places[0][0]])
    changes = tuple((at, 0, new) for at, new in places)
    problem = syntax.never_closed(name, closers, help_text, changes, readings > 1 or not places, unsure)
    return problem.at(Span(source, found.at - len(name) + 1, found.at + 1), related=related)


def _shown(text: str, found: Loose) -> str:
    """Return an opening bracket as messages show it; a `<` with its word."""
    word = re.search(r"\w*(?:\([^()\n]*\))?$", text[max(0, found.at - 60) : found.at])
    return f"{word.group() if word and found.bracket == '<' else ''}{found.bracket}"
