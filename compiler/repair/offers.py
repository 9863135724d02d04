"""The repairs that are offered: candidates that fix the error, likeliest first, with their effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from archc.compiler.graph import ArchGraph
from archc.compiler.repair import claims, effects, incoming
from archc.compiler.repair.candidates import candidates, first, searched
from archc.compiler.repair.places import SOLVED, SURE
from archc.compiler.repair.trial import Trials, Tried, kind_of
from archc.dsl import ast
from archc.dsl.diagnostics import CLAIM, NETWORK, WRITING, Diagnostic, Repair
from archc.dsl.rendering import edited

MOST_REPAIRED = 5  # most errors of one file that are handled
MOST_REWRITTEN = 20  # the same for syntax errors and wrong names, whose repairs are known
NAMES = ("E0201", "E0202", "E0203")
COUNT = "E0502"
MOST_OFFERED = {COUNT: 1, "E0501": 3}  # most repairs of one error, not counting a change of the claim; 4 for other codes


def with_repairs(found: Sequence[Diagnostic], trials: Trials, doubtful: Sequence[Diagnostic] = ()) -> list[Diagnostic]:
    """Return the diagnostics with the repairs that fix them; only repairs of the file itself, not of the files it uses.

    `doubtful` are claims on counts that fail while a claim on a shape fails, and may fail because of that one.
    """
    found, counts = _independent(found, trials, doubtful)
    found = [*found, *counts]
    trials.there = replace(trials.there, found=found)
    own = [d for d in found if d.span is not None and d.span.source is trials.source]
    written = [d for d in own if _of_writing(d)][:MOST_REWRITTEN]
    others = [d for d in own if not _of_writing(d)][:MOST_REPAIRED]
    own = [*written, *others]
    counted: list[Repair] = []  # what fixes one claim on a count fixes the others, or is wrong
    repaired: list[Diagnostic] = []
    for d in found:
        if d not in own:
            repaired.append(d)
            continue
        if d in others:
            causes = len({COUNT if other.code == COUNT else id(other) for other in others[others.index(d) :]})
            trials.reserved = min(trials.effort, trials.effort - trials.effort // causes + trials.each * len(others))
        else:
            trials.reserved = trials.effort // 2 if others else 0
        as_before = d.code == COUNT and counted
        offers: Iterable[Repair] = counted if as_before else chain(first(d, trials), candidates(d, trials.tree), searched(d, trials))
        if d in counts:  # the network is not known to be right
            offers = ()
        repairs = _kept(d, offers, trials, MOST_OFFERED.get(d.code, 4))
        if d.facts.get("incoming"):
            d, repairs = incoming.compared(d, repairs, trials)
        if d.code == COUNT:
            counted = counted or list(repairs)
        trials.reserved = 0
        repairs += _kept(d, _claim(d, trials.tree), trials, 1)
        repaired.append(replace(d, repairs=tuple(repairs)) if repairs else d)
    if any(repair.complete and repair.changes != CLAIM for d in repaired if d.code == "E0501" for repair in d.repairs):
        repaired = [d for d in repaired if not any(d.span == count.span for count in counts)]  # it fixes these as well
    return _with_one_for_all(_whole_lines(repaired, trials), trials)


def _with_one_for_all(found: list[Diagnostic], trials: Trials) -> list[Diagnostic]:
    """If the same option fixes each of several failed claims, offer that option in all places first."""
    failed = [d for d in found if d.code == "E0501" and d.repairs]
    if len(failed) < 2 or len(failed) != sum(d.code == "E0501" for d in found):
        return found
    offers = []
    for repair in failed[0].repairs:
        alike = [next((r for r in d.repairs if r.kind and r.kind == repair.kind), None) for d in failed]
        edits = tuple(dict.fromkeys(edit for other in alike if other is not None for edit in other.edits))
        tried = trials.of(edits) if None not in alike and not repair.complete else None
        if tried is not None and not tried.found:
            lines = ", ".join(str(d.span.line) for d in failed[1:] if d.span is not None)
            both = Repair(f"{repair.what}, here and on line {lines}", edits, complete=True, kind=repair.kind)
            offers.append(replace(both, effect=effects.of(both, tried, trials.there)))
    kinds = {offer.kind for offer in offers}
    changed = replace(failed[0], repairs=(*offers, *(repair for repair in failed[0].repairs if repair.kind not in kinds)))
    return [changed if d is failed[0] else d for d in found]


def _of_writing(d: Diagnostic) -> bool:
    return d.is_of_writing or d.code in NAMES


def _claim(d: Diagnostic, tree: ast.File) -> Iterable[Repair]:
    """Yield the claim that would hold. A claim is evidence that the network is right, so changing it comes last."""
    assert d.span is not None
    return claims.exact_claim(d, d.span, tree) if d.code in ("E0501", "E0502") else ()


def _kept(d: Diagnostic, offers: Iterable[Repair], trials: Trials, most: int) -> list[Repair]:
    """Return the candidates that fix a diagnostic, with their effects on the network."""
    kept: list[Repair] = []
    texts = {trials.source.text}
    networks: list[ArchGraph] = []  # two ways to the same network are one repair
    for repair in offers:
        text = edited(trials.source, repair.edits)
        if text in texts or (repair.kind and repair.kind in {k.kind for k in kept}) or (repair.kind == SOLVED and kept):
            continue
        texts.add(text)
        tried = trials.of_text(text)
        if tried is not None and trials.fixes(d, tried) and not any(tried.graph.same_as(other) for other in networks):
            if _reaches(tried, trials):
                networks.append(tried.graph)
            effect = effects.of(repair, tried, trials.there) if repair.changes != WRITING else None
            kept.append(replace(repair, complete=not tried.found, effect=effect))
            if len(kept) == most or (repair.kind == SURE and kept[-1].complete):
                break  # before a search continues
    return sorted(_mark_ambiguous(kept, trials), key=lambda repair: not repair.complete)  # stable: likelier ones first


def _mark_ambiguous(found: list[Repair], trials: Trials) -> list[Repair]:
    """If two repairs make different networks, neither is only a matter of spelling."""
    others = [repair for repair in found if repair.changes != CLAIM]
    made = [trials.of(repair.edits) for repair in others]
    one = made[0] if made else None
    if len(others) < 2 or (one and all(other and _reaches(other, trials) and other.graph.same_as(one.graph) for other in made)):
        return found
    return [asked_for(repair, trials) for repair in found]


def asked_for(repair: Repair, trials: Trials) -> Repair:
    """Return a repair that is only made on request, with its effect."""
    tried = trials.of(repair.edits) if repair.safe else None
    effect = effects.of(repair, tried, trials.there) if tried is not None else None
    return replace(repair, changes=NETWORK, effect=effect) if repair.safe else repair


def _reaches(tried: Tried, trials: Trials) -> bool:
    """Return whether the network shows a change. If it stops at an earlier error, it is the same with any change."""
    return not tried.found or not tried.graph.same_as(trials.there.graph)


def _whole_lines(found: list[Diagnostic], trials: Trials) -> list[Diagnostic]:
    """Apply either all or none of the spelling repairs of one line: half of them produce a text that nobody meant."""
    stuck = {d.span.line for d in found if d.span is not None and _of_words(d) and not any(repair.safe for repair in d.repairs)}
    return [
        replace(d, repairs=tuple(asked_for(repair, trials) for repair in d.repairs))
        if d.span is not None and d.span.line in stuck and _of_words(d)
        else d
        for d in found
    ]


def _of_words(d: Diagnostic) -> bool:
    return d.code.startswith(("E01", "E02"))


def _independent(
    found: Sequence[Diagnostic], trials: Trials, doubtful: Sequence[Diagnostic]
) -> tuple[Sequence[Diagnostic], Sequence[Diagnostic]]:
    """Return the errors, and the claims on counts, that the first failed claim on a shape does not cause.

    A claim on a shape that would hold if the first one stated the actual shape does not fail by itself. A count that is then
    the same, and not the claimed one, does.
    """
    first = next((d for d in found if d.code == "E0501" and d.span is not None and d.span.source is trials.source), None)
    after = [d for d in found if d.code == "E0501" and d is not first]
    if first is None or not (after or doubtful):
        return found, ()
    claim = next(iter(_claim(first, trials.tree)), None)
    tried = trials.of(claim.edits) if claim is not None else None
    if tried is None:
        return found, ()
    lines = {d.span.line for d in tried.found if d.code == "E0501" and d.span is not None}  # an edit of a claim does not move lines
    trials.cause = first
    trials.knock_ons = [d for d in after if d.span is not None and d.span.line not in lines]
    left = {kind_of(d) for d in tried.found}
    return [d for d in found if d not in trials.knock_ons], [d for d in doubtful if kind_of(d) in left]
