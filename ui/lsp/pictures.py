"""Pictures: the command that draws a text, and the notice with the new picture after each change of one that a client follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from archc.compiler.draw.layout import NoGraphviz, TooLarge
from archc.compiler.draw.request import folding, network_picture, partial_picture, request
from archc.compiler.errors import UsageError
from archc.ui.lsp.analysis import Analysis
from archc.ui.lsp.workspace import Workspace

PICTURE = "archc/picture"  # the notification: uri, version, svg, and whether it is of a text with errors
PAUSE = 0.2  # seconds without an edit before a picture is drawn anew


@dataclass(frozen=True)
class Wanted:
    """What a client asked to be drawn, with the options of `Network.draw`."""

    uri: str
    style: str = "graph"
    theme: str = "auto"
    heat: str = ""
    depth: int | None = None
    expand: tuple[str, ...] = ()
    collapse: tuple[str, ...] = ()
    flat: bool = False
    follow: bool = False


def wanted(given: Any) -> Wanted | None:
    """Read the argument of the command: a URI, or an object with one; None for anything else."""
    if isinstance(given, str):
        return Wanted(given)
    if not isinstance(given, Mapping) or not isinstance(given.get("uri"), str):
        return None
    found: dict[str, Any] = {"uri": given["uri"]}
    for name, kind in (("style", str), ("theme", str), ("heat", str), ("flat", bool), ("follow", bool)):
        if type(given.get(name)) is kind:
            found[name] = given[name]
    if type(given.get("depth")) is int:
        found["depth"] = given["depth"]
    for name in ("expand", "collapse"):
        rows = given.get(name)
        if isinstance(rows, list) and all(isinstance(each, str) for each in rows):
            found[name] = tuple(rows)
    return Wanted(**found)


def drawn(now: Analysis, asked: Wanted) -> dict[str, Any]:
    """Draw a text; one with errors as far as its shapes are known. What cannot be drawn is said under `error`."""
    answer: dict[str, Any] = {"uri": now.uri, "version": now.version, "ok": now.report.ok}
    if not len(now.report.graph):
        return answer | {"error": "there is nothing to draw: no network, or none whose shapes are known"}
    try:
        shown = folding(asked.depth, asked.expand, asked.collapse, asked.flat)
        if now.report.ok:
            svg = network_picture(now.report.graph, shown, request("svg", asked.style, asked.theme, asked.heat))
        else:
            style = request("svg", "graph", asked.theme, "")
            svg = partial_picture(now.report.graph, now.report.failures, now.report.diagnostics, shown, style)
    except (UsageError, NoGraphviz, TooLarge) as error:
        return answer | {"error": str(error)}
    return answer | {"svg": svg.decode()}


class Pictures:
    """The pictures of one client. Each is drawn on a thread of its own, one after the other."""

    def __init__(self, space: Workspace, notify: Callable[[str, Any], None]) -> None:
        self._space = space
        self._notify = notify
        self._followed: dict[str, Wanted] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archc-draw")
        space.on_check.append(self._checked)

    async def draw(self, asked: Wanted) -> dict[str, Any]:
        """Draw a text as it is now and, where asked, again after every change."""
        now = self._space.analysis(asked.uri)
        if now is None:
            return {"uri": asked.uri, "error": "the text is not open"}
        if asked.follow:
            self._followed[asked.uri] = asked
        return await asyncio.get_running_loop().run_in_executor(self._pool, drawn, now, asked)

    def forget(self, uri: str) -> None:
        """Follow a text no longer."""
        self._followed.pop(uri, None)
        if (handle := self._waiting.pop(uri, None)) is not None:
            handle.cancel()

    def close(self) -> None:
        """Give up everything that is under way."""
        for uri in list(self._followed):
            self.forget(uri)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _checked(self, now: Analysis) -> None:
        if now.uri not in self._followed:
            return
        if (handle := self._waiting.pop(now.uri, None)) is not None:
            handle.cancel()
        loop = asyncio.get_running_loop()
        self._waiting[now.uri] = loop.call_later(PAUSE, lambda: loop.create_task(self._again(now)))

    async def _again(self, now: Analysis) -> None:
        asked = self._followed.get(now.uri)
        held = self._space.open.get(now.uri)
        if asked is None or held is None or held.document.lines is not now.lines:
            return
        answer = await asyncio.get_running_loop().run_in_executor(self._pool, drawn, now, asked)
        if now.uri in self._followed:
            self._notify(PICTURE, answer)
