"""One record for everything that is wrong, or doubtful, in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, ParamSpec, Self

from archc.dsl.source import Span

P = ParamSpec("P")

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that matters, with what there is to say about it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Text to put where the span is; an empty span inserts."""

    span: Span
    text: str


WRITING = "writing"  # how something is spelled or separated, with one reading
NETWORK = "network"  # what is computed
CLAIM = "claim"  # what the file says of its network, which is the evidence that it is the right one


@dataclass(frozen=True, slots=True)
class Effect:
    """What a repair does to the network: the counts with it, those before where there were any, and at how many places.

    Counts are those at inference; MACs over sizes that are left open are a formula, as text.
    """

    params: int
    macs: int | str
    before: tuple[int, int | str] | None = None
    places: str = ""
    legal: str = ""  # which open sizes are

    def __str__(self) -> str:
        if self.before is None and not self.params and self.macs == 0:
            counts = ""
        elif self.before is None:
            counts = f"{self.params:,} parameters" + (f", {self.macs:,} MACs" if isinstance(self.macs, int) else "")
        elif self.before == (self.params, self.macs):
            counts = "parameters and MACs as before"
        else:
            pairs = zip(self.before, (self.params, self.macs), ("parameters", "MACs"), strict=True)
            counts = ", ".join(f"{_count(a)} -> {_count(b)} {what}" if a != b else f"{what} as before" for a, b, what in pairs)
        return "; ".join(filter(None, (self.places, counts, self.legal and f"legal: {self.legal}")))

    def to_json(self) -> dict[str, Any]:
        before = None if self.before is None else dict(zip(("params", "macs"), self.before, strict=True))
        return {"params": self.params, "macs": self.macs, "before": before, "places": self.places, "legal": self.legal}


def _count(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value


@dataclass(frozen=True, slots=True)
class Repair:
    """A change that was tried: with it, this mistake is gone and no other has come.

    `complete` says that the whole file checks with it. Of one kind, where it has a kind, one repair is enough.
    `changes` is what it changes: the writing, the network or a claim. Only the first is safe to apply unprompted: a maker gives it to
    a slip or a sign that has one reading, and `compiler.repair.offers` takes it back where another repair of the same mistake makes
    another network, or where a mistake of writing in the same line is left.
    """

    what: str
    edits: tuple[Edit, ...]
    complete: bool = False
    kind: str = ""
    changes: str = NETWORK
    effect: Effect | None = None

    @property
    def safe(self) -> bool:
        return self.changes == WRITING

    def __str__(self) -> str:
        """What is changed, with the effect on the network."""
        if self.changes == CLAIM:
            return f"{self.what} (this changes the claim, not the network)"
        effect = "" if self.effect is None else str(self.effect)
        return f"{self.what} ({effect})" if effect else self.what


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Facts first: a stable code, what is wrong, where, the numbers, and one next step.

    A rule that finds the fault knows no place; it may name the argument to `blame`, and whoever called
    it adds the place with `at`. `facts` are what a repair is worked out from.
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
    repairs: tuple[Repair, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def severity(self) -> str:
        """`error` or `warning`."""
        return WARNING if self.code.startswith("W") else ERROR

    @property
    def is_of_writing(self) -> bool:
        """Whether it is an error of writing, for which the text could not be read."""
        return self.code.startswith("E01")

    def at(self, span: Span | None, trail: Sequence[str] = (), related: Iterable[Related] = ()) -> Diagnostic:
        """The same diagnostic with a place, unless it has one already."""
        if self.span is not None:
            return self
        return replace(self, span=span, trail=tuple(trail), related=(*self.related, *related))

    def with_facts(self, **facts: Any) -> Diagnostic:
        """The same diagnostic with further facts, which change no word of it."""
        return replace(self, facts={**self.facts, **facts})

    def with_related(self, *related: Related) -> Diagnostic:
        """The same diagnostic with further places that matter."""
        return replace(self, related=(*self.related, *related))

    def to_json(self) -> dict[str, Any]:
        """Return the diagnostic as plain data: code, message, place, notes, help, related places and tried repairs."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "place": span_json(self.span),
            "label": self.label,
            "notes": list(self.notes),
            "help": self.help,
            "trail": list(self.trail),
            "related": [{"place": span_json(r.span), "text": r.text} for r in self.related],
            "repairs": [
                {
                    "what": repair.what,
                    "complete": repair.complete,
                    "changes": repair.changes,
                    "effect": repair.effect.to_json() if repair.effect is not None else None,
                    "edits": [{"place": span_json(edit.span), "text": edit.text} for edit in repair.edits],
                }
                for repair in self.repairs
            ],
        }


class Fault(Exception):
    """Raised where a rule cannot go on; carries the diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(f"{diagnostic.code}: {diagnostic.message}")
        self.diagnostic = diagnostic

    def at(self, span: Span | None, related: Iterable[Related] = ()) -> Self:
        """The same fault with a place, unless it has one already."""
        self.diagnostic = self.diagnostic.at(span, related=related)
        return self

    def with_facts(self, **facts: Any) -> Self:
        """The same fault with what its catcher knows besides, for repairs."""
        self.diagnostic = self.diagnostic.with_facts(**facts)
        return self


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


@dataclass(frozen=True, slots=True)
class Wording:
    """What a function of the vocabulary returns. Its decorator knows the code, and its caller the place."""

    message: str
    notes: tuple[str, ...] = ()
    help: str = ""
    blame: str = ""
    label: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


CODES: dict[str, Callable[..., Wording]] = {}


def diagnostic(code: str) -> Callable[[Callable[P, Wording]], Callable[P, Diagnostic]]:
    """Register a function under its code, and let it return a diagnostic. Its docstring is the page of the code."""

    def register(function: Callable[P, Wording]) -> Callable[P, Diagnostic]:
        if code in CODES:
            raise ValueError(f"two diagnostics have the code {code}")
        CODES[code] = function
        return worded_as(code)(function)

    return register


def worded_as(code: str) -> Callable[[Callable[P, Wording]], Callable[P, Diagnostic]]:
    """Let a function return a diagnostic of a code that has its page elsewhere: other words for the same mistake."""

    def enter(function: Callable[P, Wording]) -> Callable[P, Diagnostic]:
        @wraps(function)
        def make(*args: P.args, **kwargs: P.kwargs) -> Diagnostic:
            said = function(*args, **kwargs)
            return Diagnostic(code, said.message, said.notes, said.help, said.blame, said.label, facts=said.facts)

        return make

    return enter
