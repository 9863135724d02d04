"""Make an unparsable text parsable: repair what is certain, leave out the rest, and report every error.

Brackets come first, since everything else depends on them; then every stretch that can be parsed separately, once for each
error that the parser finds in it. If an error has a change that repairs it, parsing continues in the changed text; if it has
none, or the change does not get the parser further, its statement is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace

from lark import UnexpectedInput

from archc.dsl.balance import Failure, balanced
from archc.dsl.brackets import BODY, CLOSERS, PAIRS, Scan, loose, unclosed
from archc.dsl.cutting import LONG, pieces
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.draft import BROKEN, Draft, blanked, joined
from archc.dsl.explain import Explained, explain
from archc.dsl.pasted import Pasted, PastedLayers
from archc.dsl.source import Source, Span

LARGE = 40  # lines; the body of a longer stretch is repaired separately first
AT_ONCE = 200  # stretches that are parsed together
MOST_ERRORS = 2_000  # after which parsing stops
MOST_TURNS = 200  # most errors of one stretch that are handled one by one


class Recovery:
    """Repairs one source. `problems` grows; `whole` becomes false when something has to be left out."""

    def __init__(self, source: Source, failure: Failure, at_once: int = AT_ONCE) -> None:
        self.source = source
        self.at_once = at_once
        self.failure = failure
        self.problems: list[Diagnostic] = []
        self.whole = True
        self._reported: set[object] = set()
        self._pasted = PastedLayers(source, failure)
        self._lines: set[int] = set()  # lines with an error: it may cause further ones on the line

    def readable(self, error: UnexpectedInput | None) -> list[Draft]:
        """Return stretches that can be parsed in sequence, as close to the source as possible."""
        draft, problems, whole = balanced(self.source, self.failure)
        self.whole = whole
        for problem in problems:
            self._enter(problem)
        drafts = self._repaired(draft)
        if not self.problems and error is not None:  # each stretch parses, but not all of them together
            self.problems.append(explain(self.source, Draft.of(self.source.text), error).diagnostic)
        self.problems.sort(key=lambda problem: problem.span.start if problem.span else 0)
        return drafts

    def _span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def _enter(self, problem: Diagnostic) -> None:
        place = (problem.span.start, problem.span.end) if problem.span else ()
        key = problem.facts.get("name") or (problem.code, problem.message, *place)  # a name is reported once, with all its places
        if key not in self._reported:
            self._reported.add(key)
            self.problems.append(problem)
            self._lines.add(self._line_of(problem))

    def _line_of(self, problem: Diagnostic) -> int:
        return problem.span.line if problem.span is not None else 0

    # ---- stretches

    def _repaired(self, draft: Draft) -> list[Draft]:
        """Return statements that parse. The cost is that of parsing all of them once, and the failing ones again."""
        bounds = list(pieces(draft.text))
        starts = [begin for begin, _ in bounds]
        parts: list[Draft] = []
        first = 0
        while first < len(bounds):
            if len(self.problems) >= MOST_ERRORS:
                parts.append(self._left_out(draft[starts[first] :]))
                break
            stop = min(first + self.at_once, len(bounds))
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
            parts.append(self._of(self._pasted.lines(run)) if run else self._repaired_piece(draft[slice(*bounds[index])]))
            first = index + max(len(run), 1)
        return parts

    def _left_out(self, draft: Draft) -> Draft:
        """Leave out the text after too many errors."""
        self.whole = False
        last = self.problems[-1]
        note = f"parsing stops here, after {MOST_ERRORS:,} errors"
        if note not in last.notes:
            self.problems[-1] = replace(last, notes=(*last.notes, note))
        return blanked(draft)

    def _of(self, pasted: Pasted) -> Draft:
        """Return the replacement of layers of another framework, and record what there is to report about them."""
        for problem in pasted.problems:
            self._enter(problem)
        self.whole = self.whole and pasted.whole
        return pasted.draft

    def _repaired_piece(self, draft: Draft) -> Draft:
        has_calls = self._pasted.has_calls(draft.text)
        is_long = has_calls or draft.text.count("\n") > LARGE or len(draft.text) > LONG
        if is_long and (body := _largest_body(draft.text)) is not None:
            first, last = body
            draft = joined([draft[:first], *self._repaired(draft[first:last]), draft[last:]])
        if has_calls:
            draft = self._of(self._pasted.calls(draft))
        error = self.failure(draft.text)
        for _ in range(MOST_TURNS):
            if error is None:
                return draft
            found = explain(self.source, draft, error)
            again = BROKEN in draft.text[max(0, found.start - 1) : found.stop + 1]  # caused by an earlier error
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
            reduced = None if again else _blank(draft, found.start, found.stop)
            if reduced is None:
                return blanked(draft)
            draft = reduced
            error = self.failure(draft.text)
        return blanked(draft)


def _position(error: UnexpectedInput, text: str) -> int:
    return len(text) if error.pos_in_stream is None else min(error.pos_in_stream, len(text))


def _leads_on(found: Explained, following: UnexpectedInput | None, changed: str) -> bool:
    """Return whether the changes get the parser past the error (past the end of its line, if they are a guess)."""
    if following is None:
        return True
    grown = sum(len(new) - length for _, length, new in found.changes)
    past = found.start + max(grown, 1)
    if found.is_guess:
        stop = changed.find("\n", past)
        past = stop if stop >= 0 else len(changed)
    return _position(following, changed) > past


def _largest_body(text: str) -> tuple[int, int] | None:
    """Return the longest body in `{ }` or `[ ]` that spans lines, without its brackets."""
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
    """Replace the statement around an error by a broken item; None if brackets prevent it."""
    text = draft.text
    begin = max(text.rfind(mark, 0, start) for mark in ";\n|<{") + 1
    ends = re.compile(r"[;\n|}]|(?<![=-])>(?!=)")
    at_end = text[start : start + 1] in (">", "}", "|") and text[begin:start].strip()
    found = ends.search(text, start if at_end else min(end, len(text)))
    stop = found.start() if found else len(text)
    if _loose_angles(text[begin:stop]):  # from inside a merge to after it: the whole item
        begin = max(text.rfind(mark, 0, start) for mark in ";\n{") + 1
    stretch = text[begin:stop]
    if not stretch.strip() or BROKEN in stretch or unclosed(stretch, len(stretch)) or _closes_more(stretch):
        return None
    return Draft(text[:begin] + BROKEN + " " * (len(stretch) - 1) + text[stop:], draft.origin)


def _loose_angles(text: str) -> bool:
    """Return whether a `>` closes a bracket that was opened before this stretch."""
    return any(found.bracket == ">" for found in loose(text))


def _closes_more(text: str) -> bool:
    opened = sum(text.count(bracket) for bracket in "([{")
    return sum(text.count(bracket) for bracket in ")]}") > opened
