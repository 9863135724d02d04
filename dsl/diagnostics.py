"""One record for everything that is wrong with a file, and its two faces: text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ParamSpec

from dsl.source import Span

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that matters, with what there is to say about it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Facts first: a stable code, what is wrong, where, the numbers, and one next step.

    A rule that finds the fault knows no place; it may name the argument to `blame`, and whoever called
    it adds the place with `at`.
    """

    code: str
    message: str
    notes: tuple[str, ...] = ()
    help: str = ""
    blame: str = ""
    label: str = ""
    span: Span | None = None
    related: tuple[Related, ...] = ()
    trail: tuple[str, ...] = ()

    def at(self, span: Span | None, trail: Sequence[str] = (), related: Iterable[Related] = ()) -> Diagnostic:
        """The same diagnostic with a place, unless it has one already."""
        if self.span is not None:
            return self
        return replace(self, span=span, trail=tuple(trail), related=(*self.related, *related))

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": "error",
            "message": self.message,
            "place": span_json(self.span),
            "label": self.label,
            "notes": list(self.notes),
            "help": self.help,
            "trail": list(self.trail),
            "related": [{"place": span_json(r.span), "text": r.text} for r in self.related],
        }


class Fault(Exception):
    """Raised where a rule cannot go on; carries the diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(f"{diagnostic.code}: {diagnostic.message}")
        self.diagnostic = diagnostic


class ArchError(Exception):
    """The file is wrong. `diagnostics` holds every independent mistake; `str()` renders them all."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n\n".join(render(d) for d in diagnostics))
        self.diagnostics = tuple(diagnostics)


def span_json(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "start": span.start,
        "end": span.end,
    }


# ---- the register of codes: every function of dsl/vocabulary enters itself here

CODES: dict[str, Callable[..., Diagnostic]] = {}


def diagnostic(code: str) -> Callable[[Callable[P, Diagnostic]], Callable[P, Diagnostic]]:
    """Enter a function that makes a diagnostic under its code. Its docstring is the page of the code."""

    def enter(function: Callable[P, Diagnostic]) -> Callable[P, Diagnostic]:
        if code in CODES:
            raise ValueError(f"two diagnostics have the code {code}")
        CODES[code] = function

        def make(*args: P.args, **kwargs: P.kwargs) -> Diagnostic:
            return replace(function(*args, **kwargs), code=code)

        make.__name__ = function.__name__
        make.__doc__ = function.__doc__
        return make

    return enter


# ---- text

MAX_SHOWN = 20


def render(d: Diagnostic) -> str:
    """The message as people read it: code, place, the line with what is meant underlined, facts, next step."""
    out = [f"error[{d.code}]: {d.message}"]
    if d.span is not None:
        line = d.span.line
        width = len(str(max([line, *(r.span.line for r in d.related)])))
        gutter = " " * width
        out.append(f"{gutter}--> {d.span.source.name}:{line}:{d.span.column}")
        out.append(f"{gutter} |")
        out.extend(_excerpt(d.span, d.label, width))
        for related in d.related:
            if related.span.source is not d.span.source:
                out.append(f"{gutter}::: {related.span.source.name}:{related.span.line}:{related.span.column}")
            out.extend(_excerpt(related.span, related.text, width, mark="-"))
        out.append(f"{gutter} |")
    else:
        gutter = " "
    out.extend(f"{gutter} = {note}" for note in d.notes)
    out.extend(f"{gutter} = in {frame}" for frame in d.trail)
    if d.help:
        out.append(f"help: {d.help}")
    return "\n".join(out)


def _excerpt(span: Span, label: str, width: int, mark: str = "^") -> list[str]:
    text = span.source.line_text(span.line)
    begin = span.column - 1
    length = max(1, min(span.end - span.start, len(text) - begin))
    # Tabs are shown as one blank so that the mark stands under what it marks.
    shown = text.replace("\t", " ")
    under = " " * begin + mark * length + (f" {label}" if label else "")
    return [f"{span.line:>{width}} | {shown}", f"{' ' * width} | {under}"]


def render_all(diagnostics: Sequence[Diagnostic]) -> str:
    """All of them, at most `MAX_SHOWN` in full, the rest counted."""
    parts = [render(d) for d in diagnostics[:MAX_SHOWN]]
    if len(diagnostics) > MAX_SHOWN:
        parts.append(f"... and {len(diagnostics) - MAX_SHOWN} more")
    count = len(diagnostics)
    parts.append(f"{count} error{'s' if count != 1 else ''}")
    return "\n\n".join(parts)
