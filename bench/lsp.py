"""Time the language server as a client sees it: from an edit that is sent to the diagnostics that come back, over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from archc.compiler.driver import check, expanded_text

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "archs/resnet152.arch"
EDITS = 31
PAUSE = 0.6  # seconds between edits, in which warnings and repairs are sought
GOALS = {"resnet152": 0.05, "1,000 lines": 0.1, "1,000 lines, a line unfinished": 0.1, "resnet152 expanded": 0.1}  # seconds


def thousand_lines() -> str:
    """Return a text of a thousand lines: blocks as people write them, with comments, and their calls."""
    blocks = [f"# Unit {n}.\nblock unit{n}(w, s=1) {{\n  conv3-{{w}}/{{s}}(pad=1, bias=no); bn; relu\n}}\n" for n in range(160)]
    return "\n".join(["input 3x64x64", *blocks, *(f"unit{n}({8 + n % 7})" for n in range(160)), "fc-10", ""])


def texts() -> dict[str, tuple[str, str, str]]:
    """Return what is edited: a text, the words in it that every edit replaces, and what takes their place, with a number in it."""
    lines = thousand_lines()
    return {
        "resnet152": (FILE.read_text(encoding="utf-8"), "depths=[3, 8, 36, 3]", "depths=[3, 8, {}, 3]"),
        "1,000 lines": (lines, "unit80(11)", "unit80({})"),
        "1,000 lines, a line unfinished": (lines, "unit80(11)", "unit80({}"),
        "resnet152 expanded": (expanded_text(check(FILE)), "fc: fc-1000", "fc: fc-1{}"),
    }


class Client:
    """A client that notes when diagnostics come."""

    def __init__(self) -> None:
        self.client = LanguageClient("bench", "1")
        self.come: asyncio.Queue[tuple[int | None, float]] = asyncio.Queue()
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(partial(self._published))

    def _published(self, params: types.PublishDiagnosticsParams) -> None:
        self.come.put_nowait((params.version, perf_counter()))

    async def start(self, folder: Path) -> float:
        """Start a server; return the seconds until it is ready."""
        begin = perf_counter()
        env = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
        await self.client.start_io(sys.executable, str(ROOT / "cli.py"), "lsp", env=env)
        await self.client.initialize_async(types.InitializeParams(types.ClientCapabilities(), root_uri=folder.as_uri()))
        self.client.initialized(types.InitializedParams())
        return perf_counter() - begin

    async def first(self, version: int) -> float:
        """Return when the first diagnostics of a version came."""
        while True:
            come, at = await asyncio.wait_for(self.come.get(), 60)
            if come == version:
                return at

    async def edits(self, uri: str, text: str, words: str, new: str) -> dict[str, float]:
        """Edit a text again and again; return the median and the longest seconds until diagnostics, and those of other requests."""
        begin = perf_counter()
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "arch", 1, text)))
        opened = await self.first(1) - begin
        at = text.index(words)
        line, column = text.count("\n", 0, at), at - text.rfind("\n", 0, at) - 1
        length, seconds = len(words), []
        for number in range(EDITS):
            await asyncio.sleep(PAUSE)
            put = new.format(number + 10)
            place = types.Range(types.Position(line, column), types.Position(line, column + length))
            length = len(put)
            identifier = types.VersionedTextDocumentIdentifier(number + 2, uri)
            change = types.TextDocumentContentChangePartial(place, put)
            begin = perf_counter()
            self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
            seconds.append(await self.first(number + 2) - begin)
        document = types.TextDocumentIdentifier(uri)
        whole = types.Range(types.Position(0, 0), types.Position(2_000, 0))
        hints = await self._timed(lambda: self.client.text_document_inlay_hint_async(types.InlayHintParams(document, whole)))
        position = types.Position(line, column + 1)
        hover = await self._timed(lambda: self.client.text_document_hover_async(types.HoverParams(document, position)))
        offers = await self._timed(lambda: self.client.text_document_completion_async(types.CompletionParams(document, position)))
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(document))
        return {
            **{"opened": opened, "median": median(seconds), "longest": max(seconds)},
            **{"hints": hints, "hover": hover, "completion": offers},
        }

    async def _timed(self, ask: Any) -> float:
        seconds: Sequence[float] = [await self._once(ask) for _ in range(5)]
        return median(seconds)

    async def _once(self, ask: Any) -> float:
        begin = perf_counter()
        await ask()
        return perf_counter() - begin


async def session() -> dict[str, dict[str, float]]:
    """Measure everything in one session."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        client = Client()
        measured: dict[str, dict[str, float]] = {"start": {"ready": await client.start(folder)}}
        for number, (what, (text, words, new)) in enumerate(texts().items()):
            measured[what] = await client.edits((folder / f"text{number}.arch").as_uri(), text, words, new)
        await client.client.shutdown_async(None)
        client.client.exit(None)
        await client.client.stop()
    return measured


def measure() -> dict[str, dict[str, float]]:
    """Return the seconds of every text and request."""
    return asyncio.run(session())


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
