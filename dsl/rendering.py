"""Diagnostics as people read them: code, place, the line with what is meant underlined, facts, next step."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby

from archc.dsl.diagnostics import WARNING, Diagnostic, Edit, Related
from archc.dsl.source import Source, Span

MAX_SHOWN = 20
TAB = 4
LONGEST = 160  # characters of a line that are shown

Paint = Callable[[str, str], str]  # a style ("error", "warning", "place", "gutter", "mark", "second", "help") and a text


# What a terminal would carry out, or show in another order than it is written.
_UNSEEN = dict.fromkeys(
    [*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"
)


def plain(style: str, text: str) -> str:
    return text


def visible(text: str) -> str:
    """The text with a mark for every character that would act on a terminal."""
    return text if text.isprintable() else text.translate(_UNSEEN)


def render(d: Diagnostic, paint: Paint = plain) -> str:
    """One diagnostic, over several lines, without a newline at the end."""
    out = [paint(d.severity, f"{d.severity}[{d.code}]") + paint("title", visible(f": {d.message}"))]
    lines = [d.span.line if d.span else 0, *(r.span.line for r in d.related), *(e.span.line for r in d.repairs for e in r.edits)]
    gutter = " " * len(str(max(lines)))

    def bar(text: str = "", number: str = "") -> str:
        return (paint("gutter", f"{number:>{len(gutter)}} |") + f" {text}").rstrip()

    if d.span is not None:
        out.append(paint("gutter", f"{gutter}--> ") + paint("place", visible(f"{d.span.source.name}:{d.span.line}:{d.span.column}")))
        if d.span.source.text:
            out.append(bar())
        beside = [r for r in d.related if r.span.source is d.span.source and r.span.line == d.span.line and r.span.start >= d.span.end]
        beside = beside if not d.label else []
        style = "mark" if d.severity != WARNING else "warning"
        out.extend(_excerpt(d.span, d.label, beside, style, bar, paint) if d.span.source.text else ())
        for related in d.related:
            if related in beside:
                continue
            if related.span.source is not d.span.source:
                out.append(paint("gutter", f"{gutter}::: ") + paint("place", visible(f"{related.span.source.name}:{related.span.line}")))
            shown = _excerpt(related.span, related.text, [], "second", bar, paint)
            out.extend(shown if shown[0] != out[-2] else shown[1:])  # another mark in the same line
        if d.span.source.text:
            out.append(bar())
    out.extend(paint("gutter", f"{gutter} = ") + visible(note) for note in d.notes)
    out.extend(paint("gutter", f"{gutter} = ") + visible(frame) for frame in d.trail)
    if d.repairs:
        several = len(d.repairs) > 1
        if d.is_of_writing and d.help:  # a rule of writing, and what it makes of this line
            effect = "" if several or d.repairs[0].effect is None else str(d.repairs[0].effect)
            out.append(
                paint("help", "help: ") + f"{d.help}{'' if d.help.endswith('?') else ';'} {_offer(d)}" + (f" {effect}" if effect else "")
            )
        else:
            out.append(paint("help", "help: ") + _offer(d) + ("" if several else f" {d.repairs[0]}"))
        for number, repair in enumerate(d.repairs, start=1):
            if several:
                out.append(f"{gutter}{paint('help', f'{number}.')} {repair}")
            out.extend(bar(paint("help", text), str(line)) for line, text in mended_lines(repair.edits))
    elif d.help:
        out.append(paint("help", "help: ") + visible(d.help))
    return "\n".join(out)


def render_all(diagnostics: Sequence[Diagnostic], most: int = MAX_SHOWN, paint: Paint = plain) -> str:
    """All of them, at most `most` in full, the rest counted."""
    parts = [render(d, paint) for d in diagnostics[:most]]
    if len(diagnostics) > most:
        parts.append(f"... and {len(diagnostics) - most} more")
    warnings = sum(d.severity == WARNING for d in diagnostics)
    counts = [(len(diagnostics) - warnings, "error"), (warnings, "warning")]
    parts.append(", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count))
    return "\n\n".join(parts)


def _offer(d: Diagnostic) -> str:
    several = len(d.repairs) > 1
    if d.severity != WARNING and all(repair.complete for repair in d.repairs):
        return "each of these makes the whole file check:" if several else "this makes the whole file check:"
    return "each of these fixes it:" if several else "this fixes it:"


def mended_lines(edits: Sequence[Edit]) -> list[tuple[int, str]]:
    """The lines that edits change, as they are afterwards."""
    rows: list[tuple[int, str]] = []
    shown = [edit for edit in edits if not _deletes_lines(edit)]
    by_line = groupby(sorted(shown, key=lambda e: e.span.start), key=lambda e: (e.span.source.name, e.span.line))
    for (_, number), group in by_line:
        members = list(group)
        source = members[0].span.source
        begin = source.line_starts[number - 1]
        inside = [Edit(Span(source, e.span.start - begin, e.span.end - begin), e.text) for e in members]
        text = apply_edits(source.line_text(number), inside)
        if len(text) > LONGEST:
            first = max(0, inside[0].span.start - LONGEST // 3)
            text = "..." * bool(first) + text[first : first + LONGEST] + "..."
        rows.extend((number + index, line) for index, line in enumerate(text.expandtabs(TAB).rstrip("\n").split("\n")))
    return rows


def _deletes_lines(edit: Edit) -> bool:
    """Whether an edit leaves out whole lines, so that there is nothing to show of them."""
    at = edit.span
    return not edit.text and at.column == 1 and (at.text.endswith("\n") or at.end == len(at.source.text))


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text with every edit made. Spans count in the text as it was; insertions at one place come in their order."""
    for _, edit in sorted(enumerate(edits), key=lambda pair: (pair[1].span.start, pair[1].span.end, pair[0]), reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def edited(source: Source, edits: Sequence[Edit]) -> str:
    return apply_edits(source.text, [edit for edit in edits if edit.span.source is source])


# ---- the line with its marks


def _excerpt(span: Span, label: str, beside: Sequence[Related], style: str, bar: Callable[..., str], paint: Paint) -> list[str]:
    text = visible(span.source.line_text(span.line))
    begin = span.column - 1
    if len(text) > LONGEST:
        return _long_excerpt(span, label, style, bar, paint)
    marks = [(begin, min(begin + max(1, span.end - span.start), max(len(text), begin + 1)), "^", label, style)]
    for related in beside:
        start = related.span.column - 1
        marks.append((start, min(start + related.span.end - related.span.start, len(text)), "-", related.text, "second"))
    under, column = "", 0
    for start, end, mark, words, how in marks:
        left, right = columns(text[:start]), max(columns(text[:end]), columns(text[:start]) + 1)
        under += " " * (left - column) + paint(how, mark * (right - left) + (f" {words}" if words else ""))
        column = right + len(words) + bool(words)
    return [bar(text.expandtabs(TAB) if text.isascii() else _expand(text), str(span.line)), bar(under)]


def _long_excerpt(span: Span, label: str, style: str, bar: Callable[..., str], paint: Paint) -> list[str]:
    """The part of a very long line around the place."""
    text = visible(span.source.line_text(span.line))
    begin = max(0, span.column - 1 - LONGEST // 3)
    shown = ("..." if begin else "") + _expand(text[begin : begin + LONGEST])
    length = min(span.end - span.start, begin + LONGEST - (span.column - 1))
    before = columns(text[begin : span.column - 1]) + 3 * bool(begin)
    words = f" {label}" if label else ""
    return [bar(shown + "...", str(span.line)), bar(" " * before + paint(style, "^" * max(1, length) + words))]


def columns(text: str) -> int:
    """Count the columns that a terminal uses for a text that begins a line."""
    column = 0
    for char in text:
        column += TAB - column % TAB if char == "\t" else _columns(char)
    return column


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _expand(text: str) -> str:
    """Tabs as blanks, in a text whose characters differ in width."""
    out, column = "", 0
    for char in text:
        blanks = TAB - column % TAB
        out += " " * blanks if char == "\t" else char
        column += blanks if char == "\t" else _columns(char)
    return out
