"""Makes an unreadable text readable: mends what is certain, leaves out what is not, and says what was wrong.

Brackets come first, since all else rests on them; then every stretch that can be read by itself, each as often as the parser
finds something in it that it did not expect. Where a mistake has a change that mends it, reading goes on in the changed text;
where it has none, or the change leads no further, its statement is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace

from lark import UnexpectedInput

from archc.dsl.balance import Failure, balanced
from archc.dsl.brackets import BODY, CLOSERS, LONG, PAIRS, Scan, loose, pieces, unclosed
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.draft import BROKEN, Draft, blanked, joined
from archc.dsl.explain import Explained, explain
from archc.dsl.pasted import Pasted, PastedLayers
from archc.dsl.source import Source, Span

LARGE = 40  # lines of a stretch from which on its body is mended by itself first
AT_ONCE = 200  # stretches that are read together
MOST_MISTAKES = 2_000  # after which nothing more is read
MOST_TURNS = 200  # mistakes of one stretch that are worked on one by one


class Recovery:
    """Mends one source. `problems` grows; `whole` becomes false where something had to be left out."""

    def __init__(self, source: Source, failure: Failure) -> None:
        self.source = source
        self.failure = failure
        self.problems: list[Diagnostic] = []
        self.whole = True
        self._told: set[object] = set()
        self._pasted = PastedLayers(source, failure)
        self._lines: set[int] = set()  # lines with a mistake: another one there that nothing mends may come of it

    def readable(self, error: UnexpectedInput | None) -> list[Draft]:
        """Stretches that can be read one after the other, as near to the source as can be."""
        draft, problems, whole = balanced(self.source, self.failure)
        self.whole = whole
        for problem in problems:
            self._enter(problem)
        drafts = self._mended(draft)
        if not self.problems and error is not None:  # each stretch can be read, and they cannot be read together
            self.problems.append(explain(self.source, Draft.of(self.source.text), error).diagnostic)
        self.problems.sort(key=lambda problem: problem.span.start if problem.span else 0)
        return drafts

    def _span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def _enter(self, problem: Diagnostic) -> None:
        place = (problem.span.start, problem.span.end) if problem.span else ()
        key = problem.facts.get("name") or (problem.code, problem.message, *place)  # a name is told once, with all its places
        if key not in self._told:
            self._told.add(key)
            self.problems.append(problem)
            self._lines.add(self._line_of(problem))

    def _line_of(self, problem: Diagnostic) -> int:
        return problem.span.line if problem.span is not None else 0

    # ---- stretches

    def _mended(self, draft: Draft) -> list[Draft]:
        """Statements that can be read. The time it takes is that of reading them once, and the unreadable ones again."""
        bounds = list(pieces(draft.text))
        starts = [begin for begin, _ in bounds]
        parts: list[Draft] = []
        first = 0
        while first < len(bounds):
            if len(self.problems) >= MOST_MISTAKES:
                parts.append(self._left_out(draft[starts[first] :]))
                break
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
            run = [draft[slice(*bound)] for bound in self._pasted.run(draft, bounds, index)]
            parts.append(self._of(self._pasted.lines(run)) if run else self._mended_piece(draft[slice(*bounds[index])]))
            first = index + max(len(run), 1)
        return parts

    def _left_out(self, draft: Draft) -> Draft:
        """What follows very many mistakes is not read."""
        self.whole = False
        last = self.problems[-1]
        note = f"reading stops here, after {MOST_MISTAKES:,} mistakes"
        if note not in last.notes:
            self.problems[-1] = replace(last, notes=(*last.notes, note))
        return blanked(draft)

    def _of(self, pasted: Pasted) -> Draft:
        """What stands in the place of layers of another framework, with what there is to say about them."""
        for problem in pasted.problems:
            self._enter(problem)
        self.whole = self.whole and pasted.whole
        return pasted.draft

    def _mended_piece(self, draft: Draft) -> Draft:
        has_calls = self._pasted.has_calls(draft.text)
        is_long = has_calls or draft.text.count("\n") > LARGE or len(draft.text) > LONG
        if is_long and (body := _largest_body(draft.text)) is not None:
            first, last = body
            draft = joined([draft[:first], *self._mended(draft[first:last]), draft[last:]])
        if has_calls:
            draft = self._of(self._pasted.calls(draft))
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
                return blanked(draft)
            draft = mended
            error = self.failure(draft.text)
        return blanked(draft)


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
