"""Candidate repairs by error code. None is certain: each candidate is tried."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from archc.compiler.repair import (
    claims,
    definitions,
    labels,
    merges,
    numbers,
    projections,
    shapes,
    sizes,
    stages,
    tables,
    values,
    windows,
    words,
)
from archc.compiler.repair.places import Candidates
from archc.compiler.repair.trial import Trials
from archc.dsl import ast
from archc.dsl.diagnostics import WRITING, Diagnostic, Repair
from archc.dsl.source import Span

MOST = 24  # most candidates for one error, not counting those that are searched for


def candidates(d: Diagnostic, tree: ast.File) -> Candidates:
    """Yield changes that may fix a diagnostic, likeliest first."""
    assert d.span is not None
    makers = BY_CODE.get(d.code, ())
    return islice((repair for maker in (claims.channels_first, *makers) for repair in _candidates_of(maker, d, d.span, tree)), MOST)


def first(d: Diagnostic, trials: Trials) -> Candidates:
    """Yield changes that, where they fix the file, are what was meant, and are offered alone."""
    assert d.span is not None
    return tables.as_large(d, d.span, trials) if d.code in ("E0302", "E0303") else iter(())


def searched(d: Diagnostic, trials: Trials) -> Candidates:
    """Yield changes that only trials can find."""
    assert d.span is not None
    for search in SEARCHES.get(d.code, ()):
        yield from search(d, d.span, trials)


def _candidates_of(maker: Maker, d: Diagnostic, span: Span, tree: ast.File) -> Iterator[Repair]:
    """Yield the candidates of a maker. Those of `words` fix a spelling error, unless the file is also valid as another network.

    Which tensor a reference means is not a question of spelling. Of similar names, only one that the word must be a typing
    error for is certain.
    """
    of_words = maker.__module__ == words.__name__ and not d.code.startswith(("E03", "W", "E0203")) and not d.facts.get("unsure")
    for repair in maker(d, span, tree):
        sure = of_words and not (d.code in REFERENCES and _renumbers(repair))
        if maker is words.near_names:
            sure = sure and repair.edits[0].text == d.facts.get("only") and not _is_bare_none(repair)
        yield replace(repair, changes=WRITING) if sure else repair


REFERENCES = ("E0201", "E0204", "E0602", "E0611")  # codes about names of which there may be several in sequence


def _renumbers(repair: Repair) -> bool:
    """Return whether a repair changes a number in a name: `@conv8` for `@conv9` is another tensor, not another spelling."""
    pairs = [(edit.span.text, edit.text) for edit in repair.edits]
    return any(a.isidentifier() and b.isidentifier() and re.sub(r"\D", "", a) != re.sub(r"\D", "", b) for a, b in pairs)


def _is_bare_none(repair: Repair) -> bool:
    """Return whether a repair replaces a positional `None`: another call may count its arguments differently."""
    span = repair.edits[0].span
    return span.text == "None" and not span.source.text[: span.start].rstrip().endswith("=")


Maker = Callable[[Diagnostic, Span, ast.File], Candidates]
Search = Callable[[Diagnostic, Span, Trials], Candidates]

BY_CODE: dict[str, tuple[Maker, ...]] = {
    "E0101": (words.changes,),
    "E0102": (words.changes,),
    "E0103": (words.another_bracket, words.changes, words.deletion),
    "E0105": (words.changes,),
    "E0109": (words.together,),
    "E0110": (words.changes,),
    "E0201": (words.translated, words.near_names),
    "E0202": (words.near_names, words.deletion),
    "E0203": (words.near_names,),
    "E0204": (words.near_names,),
    "E0205": (labels.another_number,),
    "E0206": (labels.not_reserved,),
    "E0210": (words.meant,),
    "E0214": (definitions.another_output,),
    "E0216": (definitions.moved_up,),
    "E0301": (words.another_order,),
    "E0302": (merges.repeated, projections.other_number, merges.gate),
    "E0304": (shapes.groups_that_divide,),
    "E0319": (shapes.windows_that_divide,),
    "E0316": (shapes.heads_that_divide,),
    "E0306": (shapes.largest_legal,),
    "E0307": (shapes.pool_first,),
    "E0323": (shapes.from_the_end,),
    "E0309": (values.inputs_alike,),
    "E0310": (merges.another_branch,),
    "E0401": (words.near_names, values.rounded),
    "E0403": (words.near_names,),
    "E0406": (values.completed_row,),
    "E0407": (words.near_names,),
    "E0501": (claims.window_for_claim,),
    "E0503": (words.near_names,),
    "E0602": (words.near_names,),
    "E0603": (definitions.needless_use,),
    "E0605": (definitions.ended,),
    "E0611": (words.near_names,),
    "W0113": (words.meant,),
    "W0114": (words.as_meant,),
    "W0115": (words.as_meant,),
    "W0116": (words.as_meant,),
    "W0117": (words.unpadded,),
}

MAPS: tuple[Search, ...] = (  # for maps of nearly the same size
    merges.sized_as_the_other,
    merges.padded_before,
    merges.inexact,
    sizes.legal_input,
    merges.resized,
)
SEARCHES: dict[str, tuple[Search, ...]] = {
    "E0301": (windows.fewer_copies, windows.padded_on_the_way, windows.larger_input, windows.kernel_that_fits),
    "E0302": (numbers.exchanged_here, projections.where_it_fits, projections.where_the_shape_changes, merges.branch_that_agrees, *MAPS),
    "E0303": (numbers.exchanged_here, merges.branch_that_agrees, *MAPS),
    "E0304": (numbers.exchanged_around, numbers.rounded),
    "E0316": (numbers.exchanged_around,),
    "E0308": (merges.branch_that_agrees, merges.padded_before),
    "E0501": (stages.as_other_stages, numbers.near, numbers.channels, numbers.far),
    "E0502": (stages.as_other_stages, numbers.near, numbers.channels, shapes.biases, numbers.counted),
    "W0101": (shapes.no_bias,),
}
