"""What may mend a mistake, by its code. Nothing here is certain: each candidate is tried."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from compiler.repair import claims, merges, shapes, words
from compiler.repair.places import Candidates
from dsl import ast
from dsl.diagnostics import Diagnostic
from dsl.source import Span

MOST = 24  # candidates for one mistake


def candidates(d: Diagnostic, tree: ast.File) -> Candidates:
    """Changes that may mend a diagnostic, the likeliest first."""
    assert d.span is not None
    makers = BY_CODE.get(d.code, ())
    return islice((repair for maker in (claims.channels_first, *makers) for repair in maker(d, d.span, tree)), MOST)


Maker = Callable[[Diagnostic, Span, ast.File], Candidates]

BY_CODE: dict[str, tuple[Maker, ...]] = {
    "E0101": (words.changes,),
    "E0102": (words.changes,),
    "E0103": (words.another_bracket, words.changes, words.deletion),
    "E0105": (words.changes,),
    "E0109": (words.together,),
    "E0113": (words.changes,),
    "E0201": (words.translated, words.near_names),
    "E0202": (words.near_names, words.deletion),
    "E0203": (words.near_names,),
    "E0204": (words.near_names,),
    "E0205": (words.another_label,),
    "E0210": (words.meant,),
    "E0301": (words.another_order, shapes.kernel_that_fits),
    "E0302": (merges.projection, merges.branch_that_agrees),
    "E0303": (merges.branch_that_agrees,),
    "E0304": (shapes.groups_that_divide,),
    "E0306": (shapes.largest_legal,),
    "E0307": (shapes.pool_first,),
    "E0310": (merges.another_branch,),
    "E0401": (words.near_names,),
    "E0403": (words.near_names,),
    "E0407": (words.near_names,),
    "E0501": (claims.window_that_gives, claims.exact_claim),
    "E0502": (claims.exact_claim,),
    "E0503": (words.near_names,),
    "E0602": (words.near_names,),
    "E0611": (words.near_names,),
    "W0101": (shapes.no_bias,),
    "W0117": (words.as_meant,),
    "W0118": (words.as_meant,),
    "W0119": (words.as_meant,),
}
