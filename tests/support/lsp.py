"""Language servers in tests: one over stdio with pytest-lsp's client, and what a test asks of a text."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

from archc.tests.support import ROOT

COMMAND = [sys.executable, str(ROOT / "cli.py"), "lsp"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT.parent) + os.pathsep + os.environ.get("PYTHONPATH", "")}
CONFIG = ClientServerConfig(server_command=COMMAND, server_env=ENVIRONMENT)
PATIENCE = 20.0  # seconds before a test gives up


OPENED: list[Text] = []


def close_all() -> None:
    """Close the texts that are open."""
    while OPENED:
        text = OPENED.pop()
        text.client.text_document_did_close(types.DidCloseTextDocumentParams(text.identifier))
        text.client.diagnostics.pop(text.uri, None)


class Text:
    """An open text of a client, and the places in it."""

    def __init__(self, client: LanguageClient, path: Path, text: str, encoding: str = "utf-16") -> None:
        self.client = client
        self.path = path
        self.uri = path.as_uri()
        self.text = text
        self.encoding = encoding
        self.version = 1
        self.identifier = types.TextDocumentIdentifier(self.uri)
        OPENED.append(self)
        client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(self.uri, "arch", 1, text)))

    def units(self, text: str) -> int:
        """Return how many units of the encoding a text has."""
        width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[self.encoding]
        return len(text.encode({"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(self.encoding, "utf-8"))) // width

    def at(self, words: str, more: int = 0) -> types.Position:
        """Return the position where some words begin, or `more` characters further."""
        offset = self.text.index(words) + more
        line = self.text.rfind("\n", 0, offset) + 1
        return types.Position(self.text.count("\n", 0, offset), self.units(self.text[line:offset]))

    def range(self, words: str) -> types.Range:
        """Return the range of some words."""
        return types.Range(self.at(words), self.at(words, len(words)))

    @property
    def whole(self) -> types.Range:
        return types.Range(types.Position(0, 0), types.Position(self.text.count("\n") + 1, 0))

    def place(self, words: str, more: int = 1) -> dict[str, Any]:
        """Return the arguments of a request about a place."""
        return {"text_document": self.identifier, "position": self.at(words, more)}

    def replace(self, words: str, new: str) -> None:
        """Replace the first occurrence of some words, as an edit of their range."""
        change = types.TextDocumentContentChangePartial(self.range(words), new)
        self.text = self.text.replace(words, new, 1)
        self.version += 1
        identifier = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))

    def applied(self, edit: types.WorkspaceEdit | None) -> str:
        """Return the text with the edits of a change applied."""
        assert edit is not None
        assert edit.changes is not None
        return self.edited(edit.changes[self.uri])

    def edited(self, edits: Sequence[types.TextEdit] | None) -> str:
        """Return the text with some edits applied."""
        lines = self.text.split("\n")
        for edit in sorted(edits or (), key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
            first, last = edit.range.start, edit.range.end
            before = self._cut(lines[first.line], first.character)[0]
            after = self._cut(lines[last.line], last.character)[1] if last.line < len(lines) else ""
            lines[first.line : last.line + 1] = (before + edit.new_text + after).split("\n")
        return "\n".join(lines)

    def _cut(self, line: str, units: int) -> tuple[str, str]:
        for index in range(len(line) + 1):
            if self.units(line[:index]) >= units:
                return line[:index], line[index:]
        return line, ""

    async def diagnostics(self, wanted: Callable[[Sequence[types.Diagnostic]], bool]) -> Sequence[types.Diagnostic]:
        """Wait for diagnostics that are as wanted."""
        return await found(self.client, self.uri, wanted)


async def found(client: LanguageClient, uri: str, wanted: Callable[[Sequence[types.Diagnostic]], bool]) -> Sequence[types.Diagnostic]:
    """Wait for diagnostics of a file that are as wanted."""
    for _ in range(int(PATIENCE / 0.01)):
        held = client.diagnostics.get(uri)
        if held is not None and wanted(held):
            return held
        await asyncio.sleep(0.01)
    raise AssertionError(f"no such diagnostics: {client.diagnostics.get(uri)}")


def codes(held: Sequence[types.Diagnostic]) -> list[str]:
    """Return the codes of some diagnostics."""
    return [str(each.code) for each in held]
