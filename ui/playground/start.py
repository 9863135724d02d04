"""What the worker of the page starts: a session whose pictures the page lays out, and a rehearsal of all that is asked of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from archc.compiler.draw import layout
from archc.ui.playground.session import Session

Ask = Callable[[str], str]

TEXT = """\
block unit(w) {
  conv3-{w}(pad=1); bn; relu
}
arch rehearsal(width=8) "all that a page asks"
input 3x32x32
repeat 2 { unit(width) | . }
maxpool2/2; fc-10; softmax
expect params == 1
"""
SOUND = TEXT.replace("| . }", "}").rpartition("expect")[0]
FORMS = ("mermaid", "csv", "md", "summary.tex", "arch", "py")  # those that need no layout
LAZY = (
    "svg",
    "page",
    "tikz",
    "volumes",
    "mermaid",
    "layout",
    "drawing",
    "difference",
)  # of compiler/draw, imported when they are asked for


def begin() -> Ask:
    """Return what answers the requests of a page, with layouts by the module `page` that its worker gives."""
    layout.use(lru_cache(256)(lambda dot, form, program: import_module("page").layout(dot, form, program).encode()))
    return Session().answer


def rehearse() -> None:
    """Ask almost everything once, so that what is imported or cached when it is first asked for is there, and a page begins with it.

    Completion and hover are left out: what they import is a quarter of the memory, and a page imports it while nobody waits for it.
    """

    def nowhere(dot: str, form: str, program: str) -> bytes:
        raise layout.NoGraphviz("there is no page yet")

    layout.use(nowhere)
    for name in LAZY:
        import_module(f"archc.compiler.draw.{name}")
    answer = Session().answer
    for text in (TEXT, SOUND):
        requests: list[dict[str, Any]] = [
            {"op": "check", "picture": {}}, {"op": "mend"}, {"op": "summary"}, {"op": "expanded"}, {"op": "diff", "first": TEXT},
            {"op": "explain", "at": text.index("conv3")}, {"op": "format"}, {"op": "picture", "style": "paper"},
            *({"op": "export", "form": form} for form in FORMS),
        ]  # fmt: skip
        for request in requests:
            answer(json.dumps({"text": text, "name": "rehearsal.arch", **request}))
