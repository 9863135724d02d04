"""Makes an unreadable text readable: mends what is certain, leaves out what is not, and says what was wrong.

Brackets come first, since all else rests on them; then every stretch that can be read by itself, each as often as the parser
finds something in it that it did not expect. Where a mistake has a change that mends it, reading goes on in the changed text;
where it has none, or the change leads no further, its statement is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from lark import UnexpectedInput

from dsl.brackets import BODY, CLOSERS, PAIRS, Loose, Scan, indent_at, loose, pieces, unclosed
from dsl.diagnostics import Diagnostic, Related
from dsl.draft import Draft, joined
from dsl.explain import Explained, explain
from dsl.source import Source, Span
from dsl.transcribe import Transcript, transcribed
from dsl.vocabulary import foreign, syntax

BROKEN = "\0"  # stands in the text for a stretch that could not be read
LARGE = 40  # lines of a stretch from which on its body is mended by itself first
AT_ONCE = 200  # stretches that are read together
MOST_TRIED = 20  # brackets without a partner whose places are tried
MOST_TURNS = 200  # mistakes of one stretch that are worked on one by one

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(([^()]*)\)\s*(?:#.*)?$")
_SURPLUS = re.compile(r"(?:^|[;|<{:\n])\s*[\w{}/.*+-]*\([^()\n]*\)\s*$")  # before a `)`: the arguments of an item, with their own `)`

Failure = Callable[[str], UnexpectedInput | None]  # reads a text as statements; what was not expected in it


class Recovery:
    """Mends one source. `problems` grows; `whole` becomes false where something had to be left out."""

    def __init__(self, source: Source, failure: Failure) -> None:
        self.source = source
        self.failure = failure
        self.problems: list[Diagnostic] = []
        self.whole = True
        self._has_input = re.search(r"^[ \t]*input\b", source.text, re.MULTILINE) is not None
        self._names: set[str | None] = set()  # that have other letters than a to z
        self._lines: set[int] = set()  # lines with a mistake: another one there that nothing mends may come of it

    def readable(self, error: UnexpectedInput | None) -> list[Draft]:
        """Stretches that can be read one after the other, as near to the source as can be."""
        drafts = self._mended(self._balanced(Draft.of(self.source.text)))
        if not self.problems and error is not None:  # each stretch can be read, and they cannot be read together
            self.problems.append(explain(self.source, Draft.of(self.source.text), error).diagnostic)
        self.problems.sort(key=lambda problem: problem.span.start if problem.span else 0)
        return drafts

    def _span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def _enter(self, problem: Diagnostic) -> None:
        name = problem.facts.get("name")
        if name and name in self._names:
            return  # told with all its places
        self._names.add(name)
        if problem not in self.problems[-MOST_TURNS:]:
            self.problems.append(problem)
            self._lines.add(self._line_of(problem))

    def _line_of(self, problem: Diagnostic) -> int:
        return problem.span.line if problem.span is not None else 0

    # ---- brackets

    def _balanced(self, draft: Draft) -> Draft:
        changes: list[tuple[int, int, str]] = []
        for found in loose(draft.text):
            if found.bracket in CLOSERS:
                opener = CLOSERS[found.instead or found.bracket]
                opening = tuple((at, 0, new) for at, new in found.places)
                changes.extend(opening[:1] or ((found.at, 1, found.instead or " "),))
                before = draft.text[draft.text.rfind("\n", 0, found.at) + 1 : found.at]
                repeated = found.bracket == ")" and _SURPLUS.search(before) is not None
                problem = syntax.closes_nothing(found.bracket, opener, found.instead, opening, unsure=len(opening) != 1 and not repeated)
                self.whole = self.whole and not problem.facts["guess"]
                self._enter(problem.at(self._span(found.at, found.at + 1)))
                continue
            is_tried = len(changes) < MOST_TRIED
            works = {place: is_tried and self._parses_with(found, place) for place in found.places}
            places = sorted(found.places, key=lambda place: not works[place])
            at, new = places[0] if places else (len(draft.text), "\n" + PAIRS[found.bracket])
            changes.append((at, 0, new))
            problem = self._never_closed(found, places, sum(works.values()) if is_tried else len(places))
            self.whole = self.whole and bool(places) and not problem.facts["guess"]
            self._enter(problem)
        return draft.changed(changes) if changes else draft

    def _never_closed(self, found: Loose, places: Sequence[tuple[int, str]], readings: int) -> Diagnostic:
        text = self.source.text
        word = re.search(r"\w*(?:\([^()\n]*\))?$", text[max(0, found.at - 60) : found.at])
        name = f"{word.group() if word and found.bracket == '<' else ''}{found.bracket}"
        closer = PAIRS[found.bracket]
        help_text = f"write `{closer}` where it ends"
        if places and readings < 2:
            line = self.source.line_of(places[0][0])
            own_line = places[0][1].startswith("\n")
            at_end = not text[places[0][0] :].split("\n", 1)[0].split("#")[0].strip()
            where = f"on a line of its own after line {line}" if own_line else f"at the end of line {line}" if at_end else f"in line {line}"
            help_text = f"write `{closer}` {where}"
        related: tuple[Related, ...] = ()
        if found.taken >= 0:
            owner = re.search(r"[\w-]*$", text[max(0, found.owner - 60) : found.owner])
            opened = f"{owner.group() if owner else ''}{text[found.owner]}"
            what = f"this closes the `{opened}` of line {self.source.line_of(found.owner)}"
            related = (Related(self._span(found.taken, found.taken + 1), what),)
        # The place of a bracket over several lines decides what it holds. The indent is evidence for it, not proof.
        unsure = readings > 1 or (found.bracket != "(" and bool(places) and "\n" in text[found.at : places[0][0]])
        changes = tuple((at, 0, new) for at, new in places)
        problem = syntax.never_closed(name, closer, help_text, changes, readings > 1, unsure)
        return problem.at(self._span(found.at - len(name) + 1, found.at + 1), related=related)

    def _parses_with(self, found: Loose, place: tuple[int, str]) -> bool:
        """Can the lines from the bracket to where its partner would stand be read?"""
        at, new = place
        text = self.source.text
        begin, end = text.rfind("\n", 0, found.at) + 1, text.find("\n", at)
        lines = text[begin:at] + new + text[at : end if end >= 0 else len(text)]
        statement = re.sub(r"^[ \t]*\|", "", lines)
        return self.failure(statement) is None

    # ---- stretches

    def _mended(self, draft: Draft) -> list[Draft]:
        """Statements that can be read. The time it takes is that of reading them once, and the unreadable ones again."""
        bounds = list(pieces(draft.text))
        starts = [begin for begin, _ in bounds]
        parts: list[Draft] = []
        first = 0
        while first < len(bounds):
            stop = min(first + AT_ONCE, len(bounds))
            begin = starts[first]
            together = draft[begin : bounds[stop - 1][1]]
            error = self.failure(together.text)
            if error is None:
                parts.append(together)
                first = stop
                continue
            at = begin + _position(error, together.text)
            index = min(max(bisect_right(starts, at) - 1, first), stop - 1)
            while index > first and not draft.text[slice(*bounds[index])].strip():
                index -= 1
            if index > first:
                parts.append(draft[begin : starts[index]])
            run = [draft[slice(*bound)] for bound in self._foreign_run(draft, bounds, index)]
            parts.append(self._transcribed(run) if run else self._mended_piece(draft[slice(*bounds[index])]))
            first = index + max(len(run), 1)
        return parts

    def _mended_piece(self, draft: Draft) -> Draft:
        if draft.text.count("\n") > LARGE and (body := _largest_body(draft.text)) is not None:
            first, last = body
            draft = joined([draft[:first], *self._mended(draft[first:last]), draft[last:]])
        error = self.failure(draft.text)
        for _ in range(MOST_TURNS):
            if error is None:
                return draft
            found = explain(self.source, draft, error)
            again = BROKEN in draft.text[max(0, found.start - 1) : found.stop + 1]  # it comes of a mistake before
            if found.changes and not again:
                changed = draft.changed(found.changes)
                following = self.failure(changed.text)
                if _leads_on(found, following, changed.text):
                    self._enter(found.diagnostic)
                    self.whole = self.whole and not found.diagnostic.facts.get("guess")
                    draft, error = changed, following
                    continue
            if not self.problems or not (again or self._line_of(found.diagnostic) in self._lines):
                self._enter(found.diagnostic)
            self.whole = False
            mended = None if again else _blank(draft, found.start, found.stop)
            if mended is None:
                return _blanked(draft)
            draft = mended
            error = self.failure(draft.text)
        return _blanked(draft)

    # ---- lines of other frameworks

    def _tensor_before(self, at: int) -> str | None:
        """What the tensor before an offset is called: by its label, or not at all (""); None where only inputs come before."""
        text, end = self.source.text, at
        while end > 0:
            begin = text.rfind("\n", 0, end - 1) + 1
            line = text[begin:end].split("#")[0].strip()
            end = begin
            if line and not re.match(r"(?:arch|use|default|input)\b", line):
                label = re.search(r"(?:^|[;{<|]\s*)([A-Za-z_]\w*)\s*:[^;]*$", line)
                return label[1] if label else ""
        return None

    def _foreign_run(self, draft: Draft, bounds: Sequence[tuple[int, int]], index: int) -> list[tuple[int, int]]:
        """The stretches from one on that are layers of one other framework, with what stands between them.

        That is blank lines, comments, and layers that are written here in the same way: `Dropout(0.5)`.
        """
        run: list[tuple[int, int]] = []
        framework = ""
        for begin, end in bounds[index:]:
            text = draft.text[begin:end]
            if not text.split("#")[0].strip():
                if not run:
                    break
                run.append((begin, end))
                continue
            if run and self._is_written_alike(text):
                run.append((begin, end))
                continue
            found = transcribed(text)
            if found is None or (framework and found.framework != framework):
                break
            framework = found.framework
            run.append((begin, end))
        while run and (not (text := draft.text[slice(*run[-1])]).split("#")[0].strip() or self._is_written_alike(text)):
            run.pop()
        return run

    def _is_written_alike(self, text: str) -> bool:
        """Is this a layer of another framework that means the same here as it stands?"""
        call = _CALL.match(text)
        if call is None or foreign.operator(call[1]) or any(foreign.is_option(word) for word in re.findall(r"(\w+)\s*=", call[2])):
            return False
        layer = transcribed(text)
        return layer is not None and layer.text != "" and self.failure(text) is None

    def _transcribed(self, run: Sequence[Draft]) -> Draft:
        """The lines as they are written here, with one message for all that can be, and one for each that cannot."""
        done: list[Draft] = []
        exact: list[tuple[Draft, Transcript]] = []
        has_input = self._has_input
        current = self._tensor_before(run[0].origin[0])
        for piece in run:
            found = None if self._is_written_alike(piece.text) else transcribed(piece.text)
            if found is not None:
                found = _in_its_place(found, current)
                current = found.gives or current
            if found is not None and found.input and found.text and not has_input:
                found, has_input = replace(found, text=f"input {found.input}\n{found.text}"), True
            if found is None:  # a blank line, a comment, or what is written so here, too
                done.append(piece)
            elif not found.text:
                begin, end = found.begin, found.end
                problem = syntax.of_another_framework(found.framework, found.call, notes=found.notes)
                self._enter(problem.at(self._span(piece.origin[begin], piece.origin[end])))
                self.whole = False
                done.append(_blanked(piece))
            else:
                exact.append((piece, found))
                done.append(piece.changed(((found.begin, found.end - found.begin, found.text),)))
        if exact:
            changes = tuple(
                change for piece, found in exact for change in piece.in_source(((found.begin, found.end - found.begin, found.text),))
            )
            notes = tuple(dict.fromkeys(note for _, found in exact for note in found.notes))
            piece, found = exact[0]
            problem = syntax.of_another_framework(found.framework, found.call, len(exact), found.text, notes, changes)
            self._enter(problem.at(self._span(piece.origin[found.begin], piece.origin[found.end])))
        return joined(done)


def _in_its_place(found: Transcript, current: str | None) -> Transcript:
    """A transcript, if it takes the tensor before it; None for that stands for any, "" for one without a name."""
    if not found.text or current is None or found.takes in ("", current) or (current == "" and found.takes == found.gives):
        return found
    here = f", here `{current}`" if current else ""
    why = f"it takes `{found.takes}`, and an item takes what comes before it{here}: `@name` stands for another tensor"
    return replace(found, text="", notes=(why,))


def _position(error: UnexpectedInput, text: str) -> int:
    return len(text) if error.pos_in_stream is None else min(error.pos_in_stream, len(text))


def _leads_on(found: Explained, following: UnexpectedInput | None, changed: str) -> bool:
    """With its changes, does reading get past the mistake (to the end of its line, where they are a guess)?"""
    if following is None:
        return True
    grown = sum(len(new) - length for _, length, new in found.changes)
    past = found.start + max(grown, 1)
    if found.is_guess:
        stop = changed.find("\n", past)
        past = stop if stop >= 0 else len(changed)
    return _position(following, changed) > past


def _largest_body(text: str) -> tuple[int, int] | None:
    """The longest stretch of statements in `{ }` or `[ ]` that spans lines, without its brackets."""
    best: tuple[int, int] | None = None
    scan = Scan(text)
    for mark in scan.marks():
        if mark.text in PAIRS:
            scan.push(mark)
        elif mark.text in CLOSERS and scan.stack and scan.stack[-1].bracket == CLOSERS[mark.text]:
            opened = scan.stack.pop()
            if opened.holds == BODY and (best is None or mark.at - opened.at > best[1] - best[0]):
                best = (opened.at + 1, mark.at)
    return best


# ---- what is left out


def _blanked(draft: Draft) -> Draft:
    """One broken statement in place of a whole stretch, its lines kept."""
    if not draft.text.strip():
        return draft
    kept = re.sub(r"[^\n]", " ", draft.text)
    first = indent_at(draft.text, 0) if not draft.text[:1].isspace() else len(draft.text) - len(draft.text.lstrip())
    return Draft(kept[:first] + BROKEN + kept[first + 1 :], draft.origin)


def _blank(draft: Draft, start: int, end: int) -> Draft | None:
    """The draft with the statement around a mistake replaced by a broken item; None where brackets forbid it."""
    text = draft.text
    begin = max(text.rfind(mark, 0, start) for mark in ";\n|<{") + 1
    ends = re.compile(r"[;\n|}]|(?<![=-])>(?!=)")
    at_end = text[start : start + 1] in (">", "}", "|") and text[begin:start].strip()
    found = ends.search(text, start if at_end else min(end, len(text)))
    stop = found.start() if found else len(text)
    if _loose_angles(text[begin:stop]):  # from within a merge to behind it: all of the item
        begin = max(text.rfind(mark, 0, start) for mark in ";\n{") + 1
    stretch = text[begin:stop]
    if not stretch.strip() or BROKEN in stretch or unclosed(stretch, len(stretch)) or _closes_more(stretch):
        return None
    return Draft(text[:begin] + BROKEN + " " * (len(stretch) - 1) + text[stop:], draft.origin)


def _loose_angles(text: str) -> bool:
    """Does a `>` close what was opened before this stretch?"""
    return any(found.bracket == ">" for found in loose(text))


def _closes_more(text: str) -> bool:
    opened = sum(text.count(bracket) for bracket in "([{")
    return sum(text.count(bracket) for bracket in ")]}") > opened
