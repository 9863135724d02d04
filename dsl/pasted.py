"""Layers of other frameworks in a text that does not parse: whole lines of them, and calls within `.arch` code."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lark import UnexpectedInput

from archc.dsl.diagnostics import Diagnostic
from archc.dsl.draft import Change, Draft, blanked, joined
from archc.dsl.source import Source, Span
from archc.dsl.transcribe import Transcript, defaults_in, transcribed
from archc.dsl.vocabulary import foreign, syntax

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(([^()]*)\)\s*(?:#.*)?$")
# A call with its module, at a place where an item may begin.
_WITHIN = re.compile(r"(?m)(?:^|[;{<|\[:=])[ \t]*((?:nn|torch|layers|keras|tf|tfl)\.[A-Za-z_][\w.]*[ \t]*\()")
MOST_CALLS = 500


@dataclass(frozen=True)
class Pasted:
    """The replacement of layers of another framework, and what there is to report about them."""

    draft: Draft
    problems: tuple[Diagnostic, ...] = ()
    whole: bool = True


class PastedLayers:
    """Finds the layers of other frameworks in one source and translates them to items."""

    def __init__(self, source: Source, failure: Callable[[str], UnexpectedInput | None]) -> None:
        self.source = source
        self.failure = failure
        self._has_input = re.search(r"^[ \t]*input\b", source.text, re.MULTILINE) is not None
        self._defaults = defaults_in(source.text)

    def run(self, draft: Draft, bounds: Sequence[tuple[int, int]], index: int) -> list[tuple[int, int]]:
        """Return the bounds of the stretches from `index` on that are layers of one other framework, and those in between.

        Those in between are blank lines, comments, and layers with the same spelling in the language: `Dropout(0.5)`.
        """
        run: list[tuple[int, int]] = []
        framework = ""  # of the lines with only one reading
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
            found = transcribed(text, self._defaults, framework)
            if found is None or (framework and found.framework != framework):
                break
            framework = found.framework if found.other is None else framework
            run.append((begin, end))
        while run and (not (text := draft.text[slice(*run[-1])]).split("#")[0].strip() or self._is_written_alike(text)):
            run.pop()
        return run

    def lines(self, run: Sequence[Draft]) -> Pasted:
        """Translate lines to items, with one message for all that have an equivalent, and one for each that has none."""
        done: list[Draft] = []
        problems: list[Diagnostic] = []
        exact: list[tuple[Draft, Transcript]] = []
        current = self._tensor_before(run[0].origin[0])
        has_input = self._has_input
        read = [None if self._is_written_alike(piece.text) else transcribed(piece.text, self._defaults) for piece in run]
        framework = next((found.framework for found in read if found is not None and found.other is None), "")
        for piece, found in zip(run, read, strict=True):
            if found is not None and found.other is not None:  # its neighbors determine the framework
                found = transcribed(piece.text, self._defaults, framework)
            if found is not None:
                found = _in_its_place(found, current)
                current = found.result or current
            if found is not None and found.input and found.text and not has_input:
                is_input, has_input = found.text.startswith("input "), True
                found = found if is_input else replace(found, text=f"input {found.input}\n{found.text}")
            if found is None:  # a blank line, a comment, or code that is the same in the language
                done.append(piece)
            elif not found.text:
                problems.append(self._without_counterpart(piece, found))
                done.append(blanked(piece))
            else:
                exact.append((piece, found))
                done.append(piece.changed((_change(found),)))
        self._has_input = has_input
        whole = not problems
        if exact:
            problems.append(self._as_items(exact))
        return Pasted(joined(done), tuple(problems), whole)

    # ---- calls within a stretch

    def has_calls(self, text: str) -> bool:
        """Return whether a text contains calls of layers of another framework."""
        return _WITHIN.search(text) is not None

    def calls(self, draft: Draft) -> Pasted:
        """Translate the calls in a stretch to items: `nn.Conv2d(3, 64, 3) x2`, `residual<nn.ReLU()>`."""
        exact: list[tuple[Draft, Transcript]] = []
        at = 0
        while len(exact) < MOST_CALLS and (match := _WITHIN.search(draft.text, at)) is not None:
            begin, at = match.start(1), match.end()
            line = draft.text[draft.text.rfind("\n", 0, begin) + 1 : begin]
            end = _end_of_call(draft.text, match.end())
            if "#" in line or end < 0:
                continue
            found = transcribed(draft.text[begin:end], self._defaults)
            if found is None:
                continue
            at = end
            found = replace(found, begin=begin, end=end)
            if not found.text:
                return Pasted(blanked(draft), (self._without_counterpart(draft, found),), False)
            several = "\n" in found.text or "; " in found.text
            exact.append((draft, replace(found, text=f"{{ {found.text} }}") if several else found))
        if not exact:
            return Pasted(draft)
        return Pasted(draft.changed([_change(found) for _, found in exact]), (self._as_items(exact),))

    # ---- messages

    def _as_items(self, exact: Sequence[tuple[Draft, Transcript]]) -> Diagnostic:
        changes = tuple(change for piece, found in exact for change in piece.in_source((_change(found),)))
        notes = tuple(dict.fromkeys(note for _, found in exact for note in (*found.readings, *found.notes)))
        incoming = tuple(found.incoming for _, found in exact)
        unsure = any(found.other is not None for _, found in exact)
        piece, found = exact[0]
        problem = syntax.of_another_framework(found.framework, found.call, len(exact), found.text, notes, changes, incoming, unsure)
        return problem.at(self._span(piece, found))

    def _without_counterpart(self, piece: Draft, found: Transcript) -> Diagnostic:
        return syntax.of_another_framework(found.framework, found.call, notes=found.notes).at(self._span(piece, found))

    def _span(self, piece: Draft, found: Transcript) -> Span:
        return Span(self.source, piece.origin[found.begin], piece.origin[found.end])

    def _tensor_before(self, at: int) -> str | None:
        """Return the label of the tensor before an offset, "" if it has none; None if only inputs come before."""
        text, end = self.source.text, at
        while end > 0:
            begin = text.rfind("\n", 0, end - 1) + 1
            line = text[begin:end].split("#")[0].strip()
            end = begin
            if line and not re.match(r"(?:arch|use|default|input)\b", line):
                label = re.search(r"(?:^|[;{<|]\s*)([A-Za-z_]\w*)\s*:[^;]*$", line)
                return label[1] if label else ""
        return None

    def _is_written_alike(self, text: str) -> bool:
        """Return whether this is a layer of another framework that means the same in the language as written."""
        call = _CALL.match(text)
        if call is None:
            return False
        if call[1] in foreign.BOTH:
            return self.failure(text) is None
        if self._defaults.get(call[1].lower()) or foreign.operator(call[1]):
            return False
        if any(foreign.is_option(word) for word in re.findall(r"(\w+)\s*=", call[2])):
            return False
        layer = transcribed(text)
        return layer is not None and layer.text != "" and layer.other is None and self.failure(text) is None


def _change(found: Transcript) -> Change:
    return found.begin, found.end - found.begin, found.text


def _end_of_call(text: str, begin: int) -> int:
    """Return the end of a call from an offset inside its parentheses; -1 if they are not closed."""
    depth = 1
    for match in re.compile(r"[()]").finditer(text, begin):
        depth += 1 if match.group() == "(" else -1
        if depth == 0:
            return match.end()
    return -1


def _in_its_place(found: Transcript, current: str | None) -> Transcript:
    """Return a transcript if it takes the tensor before it. None as that tensor matches any, "" one without a name."""
    if not found.text or current is None or found.takes in ("", current) or (current == "" and found.takes == found.result):
        return found
    here = f", here `{current}`" if current else ""
    why = f"it takes `{found.takes}`, but an item takes the tensor before it{here}: `@name` refers to another tensor"
    return replace(found, text="", notes=(why,))
