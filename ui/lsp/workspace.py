"""The open texts and what is known of them: checked at once after an edit, and in the background for warnings and repairs.

After an edit a text is checked without warnings and repairs, which is quick, and its errors are published. When nobody has typed for a
moment, it is checked in full on another thread, as `archc check` does it; a search for repairs ends when the text changes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lsprotocol import types

from archc.compiler.configuration import configuration, reread
from archc.compiler.driver import completed, glance
from archc.compiler.elaborate.elaboration import Stopped
from archc.compiler.elaborate.loader import ARCHS, Loader, shown
from archc.compiler.index.places import Places
from archc.compiler.index.symbols import Index
from archc.compiler.report import Report
from archc.dsl.diagnostics import Fault
from archc.dsl.parser import Trees
from archc.dsl.stack import FRAMES_A_LEVEL
from archc.ui.lsp.analysis import Analysis, is_included
from archc.ui.lsp.carrying import Carried
from archc.ui.lsp.documents import Document, Lines, path_of, uri_of
from archc.ui.lsp.reporting import published, reported
from archc.ui.lsp.settings import Settings

SOON = 0.002  # seconds after an edit, so that several edits that come together are checked once
IDLE = 0.25  # seconds without an edit after which warnings and repairs are sought
STACK = FRAMES_A_LEVEL * 250  # Python's recursion limit, which checks on two threads must not change

Publish = Callable[[types.PublishDiagnosticsParams], None]


@dataclass
class Open:
    """One open text: its checks, the last one of a sound network, and what is under way."""

    document: Document
    trees: Trees = field(default_factory=Trees)
    quick: Analysis | None = None
    full: Analysis | None = None  # with warnings and repairs, perhaps of an earlier version
    good: Analysis | None = None  # the last one without errors
    soon: asyncio.TimerHandle | None = None
    idle: asyncio.TimerHandle | None = None
    running: asyncio.Task[Analysis | None] | None = None
    failed: Lines | None = None  # the text on which a bug of archc has shown
    edits: int = 0
    looked_at: dict[str, str] = field(default_factory=dict)  # by block: the path of the call that was last looked at
    carried: Carried | None = None

    def cancel(self) -> None:
        """Give up what is under way."""
        for handle in (self.soon, self.idle):
            if handle is not None:
                handle.cancel()
        self.soon = self.idle = None


class Workspace:
    """The open texts of one client."""

    def __init__(self, publish: Publish) -> None:
        self.settings = Settings()
        self.encoding = "utf-16"
        self.folders: list[Path] = []
        self.open: dict[str, Open] = {}
        self.annotates = False  # whether the client shows notes on edits
        self.say: Callable[[str], None] = lambda text: None  # tells the user something
        self.failed: Callable[[Exception], None] = lambda error: None  # takes a bug of archc
        self.on_check: list[Callable[[Analysis], None]] = []
        self.indexed: dict[str, tuple[int, int, Index | None]] = {}  # by path: time and size of a file that is not open, and its names
        self._publish = publish
        self._sent: dict[str, dict[str, list[types.Diagnostic]]] = {}  # by the file they are in, and the text whose check found them
        self._base = Loader()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archc-check")

    # ---- texts

    def opened(self, uri: str, text: str, version: int | None) -> None:
        """Take a text that a client has opened."""
        if (before := self.open.get(uri)) is not None:
            before.cancel()
        self.open[uri] = Open(Document(uri, text, version, self.encoding))
        self._touched(uri)

    def changed(self, uri: str, changes: list[types.TextDocumentContentChangeEvent], version: int | None) -> None:
        """Take the changes of an open text; those of any other are ignored."""
        if (held := self.open.get(uri)) is not None:
            held.document.change(changes, version)
            held.edits += 1
            self._touched(uri)

    def closed(self, uri: str) -> None:
        """Forget a text that a client has closed."""
        if (held := self.open.pop(uri, None)) is None:
            return
        held.edits += 1
        held.cancel()
        self._forget_included(uri)
        for target in [target for target, found in self._sent.items() if uri in found]:
            self._contribute(target, uri, [])
        self._touch_users(uri)

    def changed_elsewhere(self, uris: Iterable[str] = ()) -> None:
        """Check all open texts anew, since a file, a setting or a folder has changed."""
        self._base = Loader()
        reread()
        for uri in list(self.open):
            self._schedule(uri)

    def close(self) -> None:
        """Give up everything that is under way."""
        for held in self.open.values():
            held.edits += 1
            held.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # ---- checks

    def analysis(self, uri: str) -> Analysis | None:
        """Return what is known of an open text as it is now, checking it if need be; None for one that is not open."""
        held = self.open.get(uri)
        if held is None:
            return None
        if held.failed is held.document.lines:
            return None
        if held.quick is None or held.quick.lines is not held.document.lines:
            self._check(uri, held)
        return held.quick if held.failed is not held.document.lines else None

    def good(self, uri: str) -> tuple[Analysis, Carried] | None:
        """Return the last check without errors, and how its lines became those of the text now; None where there was none."""
        held = self.open.get(uri)
        now = self.analysis(uri)
        if held is None or now is None or held.good is None or held.good is now:
            return None
        if held.carried is None or held.carried.before != held.good.lines.text or held.carried.after != now.lines.text:
            held.carried = Carried(held.good.lines.text, now.lines.text)
        return held.good, held.carried

    def users(self, uri: str) -> list[tuple[Analysis, Places]]:
        """Return the open texts that use an open text as it is now, each with what its network makes of it."""
        path, now = path_of(uri), self.analysis(uri)
        real = os.path.realpath(path) if path is not None else ""
        found = []
        for other, held in self.open.items():
            source = held.quick.used.get(real) if other != uri and held.quick is not None else None
            if held.quick is not None and source is not None and now is not None and source.text == now.lines.text:
                found.append((held.quick, Places(held.quick.report, source)))
        return found

    async def full(self, uri: str) -> Analysis | None:
        """Return the full check of an open text as it is now, with warnings and repairs; None if it changes meanwhile."""
        held = self.open.get(uri)
        if held is None or self.analysis(uri) is None:
            return None
        for _ in range(2):  # the first may be one of an earlier version, which ends in a moment
            if held.full is not None and held.full.lines is held.document.lines:
                return held.full
            if held.running is None or held.running.done():
                held.running = asyncio.ensure_future(self._fully(uri, held))
            await asyncio.shield(held.running)
        return held.full if held.full is not None and held.full.lines is held.document.lines else None

    def loader(self, uri: str) -> Loader:
        """Return a loader for a text: it reads what a client has open, and goes nowhere but its folders and `archs/`."""
        loader = self._base.renewed()
        loader.max_nesting, loader.max_statements = self.settings.limits.max_nesting, self.settings.max_nodes
        own = path_of(uri)
        texts = {}
        for other, held in self.open.items():
            if other != uri and held.document.path is not None:
                texts[os.path.realpath(held.document.path)] = held.document.text.encode(errors="surrogatepass")
        loader.texts = texts
        folders = [Path(os.path.realpath(folder)) for folder in self.folders]
        loader.within = tuple(folders) or ((Path(os.path.realpath(own.parent)),) if own is not None else (ARCHS,))
        return loader

    def folder(self, uri: str) -> Path:
        """Return the folder where `use` of a text looks first."""
        own = path_of(uri)
        return own.parent if own is not None else self.folders[0] if self.folders else ARCHS

    def name(self, uri: str) -> str:
        """Return what messages call a text."""
        own = path_of(uri)
        return shown(own) if own is not None else uri.rpartition("/")[2] or uri

    def _touched(self, uri: str) -> None:
        self._forget_included(uri)
        self._schedule(uri)
        self._touch_users(uri)

    def _forget_included(self, uri: str) -> None:
        path = path_of(uri)
        if path is not None and is_included(os.path.realpath(path)):
            self._base = Loader()

    def _touch_users(self, uri: str) -> None:
        path = path_of(uri)
        real = os.path.realpath(path) if path is not None else ""
        for other, held in self.open.items():
            if other != uri and held.quick is not None and real in held.quick.used:
                self._schedule(other, IDLE)

    def _schedule(self, uri: str, delay: float = SOON) -> None:
        held = self.open[uri]
        held.edits += 1
        held.cancel()
        loop = asyncio.get_running_loop()
        held.soon = loop.call_later(delay, self._check_again, uri)

    def _check_again(self, uri: str) -> None:
        if (held := self.open.get(uri)) is not None:
            self._check(uri, held)

    def _check(self, uri: str, held: Open) -> None:
        """Check a text quickly, and publish its errors."""
        held.cancel()
        loader = self.loader(uri)
        loader.earlier = held.trees
        data = held.document.text.encode(errors="surrogatepass")
        try:
            loaded = loader.text(self.name(uri), data, self.folder(uri))
            report = glance(loaded, Path(self.name(uri)).stem, loader, self.settings.limits)
        except Exception as error:  # a bug; what is known of the earlier text stays until the next edit
            held.failed, held.trees = held.document.lines, Trees()
            self.failed(error)
            return
        self._base = loader
        held.quick = Analysis(held.document, loaded, loader, report)
        if report.ok:
            held.good, held.carried = held.quick, None
        found = reported(held.quick, warnings=False)
        if report.ok and held.full is not None:  # those of the lines that are the same; they are sought anew in a moment
            found[uri] = [*found.get(uri, []), *self._old_warnings(held)]
        self._contribute_all(uri, found)
        for notice in self.on_check:
            notice(held.quick)
        held.idle = asyncio.get_running_loop().call_later(IDLE, self._start_full, uri)

    def _old_warnings(self, held: Open) -> list[types.Diagnostic]:
        assert held.full is not None
        carried = Carried(held.full.lines.text, held.document.lines.text)
        kept = []
        for warning in reported(held.full, errors=False).get(held.document.uri, []):
            line = carried.line(warning.range.start.line)
            if line is not None and warning.range.start.line == warning.range.end.line:
                place = types.Range(types.Position(line, warning.range.start.character), types.Position(line, warning.range.end.character))
                kept.append(types.Diagnostic(place, warning.message, warning.severity, warning.code, source=warning.source))
        return kept

    def _start_full(self, uri: str) -> None:
        held = self.open.get(uri)
        if held is None:
            return
        if held.running is None or held.running.done():
            held.running = asyncio.ensure_future(self._fully(uri, held))
        else:  # that of an earlier version, which ends in a moment
            held.idle = asyncio.get_running_loop().call_later(IDLE, self._start_full, uri)

    async def _fully(self, uri: str, held: Open) -> Analysis | None:
        """Check a text in full on another thread, and publish what is found; None if it changed meanwhile, or was closed."""
        quick, edits, name = self.analysis(uri), held.edits, Path(self.name(uri)).stem
        if quick is None:
            return None
        loader, limits = quick.loader.renewed(), self.settings.limits

        def work() -> Analysis | None:
            stop = lambda: held.edits != edits  # noqa: E731
            try:
                report = completed(quick.report, quick.loaded, name, loader, limits, stop)
            except Stopped:
                return None
            return quick.with_report(_configured(quick.loaded.folder, report))

        try:
            done = await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except RuntimeError:  # the pool is closed
            return None
        except Exception as error:  # a bug; the errors that are known stay
            self.failed(error)
            return None
        if done is None or self.open.get(uri) is not held or held.document.lines is not quick.lines:
            return None
        held.full = done
        self._contribute_all(uri, reported(done))
        return done

    # ---- diagnostics

    def _contribute_all(self, uri: str, found: dict[str, list[types.Diagnostic]]) -> None:
        for target in {uri, *found, *(target for target, sent in self._sent.items() if uri in sent)}:
            self._contribute(target, uri, found.get(target, []))

    def _contribute(self, target: str, uri: str, found: list[types.Diagnostic]) -> None:
        """Publish what the check of one text has found in a file, with what the checks of others have found there."""
        sent = self._sent.setdefault(target, {})
        before = sent.get(uri)
        if found:
            sent[uri] = found
        else:
            sent.pop(uri, None)
        if before is not None or found or target == uri:
            held = self.open.get(target)
            version = held.document.version if held is not None else None
            self._publish(types.PublishDiagnosticsParams(target, published(sent.values(), self.settings.site), version))
        if not sent:
            del self._sent[target]

    def known_files(self) -> dict[str, str]:
        """Return the files that open texts use, and which an editor may open, by their URIs."""
        return {uri_of(real): real for held in self.open.values() if held.quick is not None for real in held.quick.used}


def _configured(folder: Path, report: Report) -> Report:
    """Return a report without the warnings that a project switches off; all of them where its settings cannot be read."""
    try:
        return configuration(folder).without_warnings(report)
    except Fault:
        return report
