"""The server: which function answers which request."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from lsprotocol import types
from pygls.exceptions import FeatureRequestError
from pygls.lsp.server import LanguageServer

from archc.compiler.pages import markdown
from archc.compiler.pages import page as code_page
from archc.compiler.version import __version__
from archc.ui.lsp import (  # fmt: skip
    actions,
    completion,
    formatting,
    hints,
    hover,
    links,
    navigation,
    pictures,
    renaming,
    settings,
    signatures,
    structure,
    symbols,
    tokens,
)
from archc.ui.lsp.documents import path_of
from archc.ui.lsp.protocol import Answered, ArchProtocol
from archc.ui.lsp.workspace import STACK, Workspace

EXPLAIN = "archc.explain"
WATCHED = types.DidChangeWatchedFilesRegistrationOptions(
    [types.FileSystemWatcher(pattern) for pattern in ("**/*.arch", "**/archc.toml", "**/pyproject.toml")]
)

Answer = Callable[[Workspace, Any], Any]

FEATURES: tuple[tuple[str, Answer, Any], ...] = (
    (types.TEXT_DOCUMENT_HOVER, hover.hover, None),
    (types.TEXT_DOCUMENT_INLAY_HINT, hints.inlay_hints, None),
    (types.TEXT_DOCUMENT_CODE_ACTION, actions.code_actions, types.CodeActionOptions(code_action_kinds=list(actions.KINDS))),
    (types.TEXT_DOCUMENT_FORMATTING, formatting.formatting, None),
    (types.TEXT_DOCUMENT_RANGE_FORMATTING, formatting.range_formatting, None),
    (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, symbols.document_symbols, None),
    (types.WORKSPACE_SYMBOL, symbols.workspace_symbols, None),
    (types.TEXT_DOCUMENT_DEFINITION, navigation.definition, None),
    (types.TEXT_DOCUMENT_REFERENCES, navigation.references, None),
    (types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, navigation.highlights, None),
    (types.TEXT_DOCUMENT_PREPARE_CALL_HIERARCHY, navigation.prepare_call_hierarchy, None),
    (types.CALL_HIERARCHY_INCOMING_CALLS, navigation.incoming_calls, None),
    (types.CALL_HIERARCHY_OUTGOING_CALLS, navigation.outgoing_calls, None),
    (types.TEXT_DOCUMENT_PREPARE_RENAME, renaming.prepare_rename, None),
    (types.TEXT_DOCUMENT_RENAME, renaming.rename, types.RenameOptions(prepare_provider=True)),
    (types.TEXT_DOCUMENT_FOLDING_RANGE, structure.folding_ranges, None),
    (types.TEXT_DOCUMENT_SELECTION_RANGE, structure.selection_ranges, None),
    (
        types.TEXT_DOCUMENT_COMPLETION,
        completion.completion,
        types.CompletionOptions(trigger_characters=completion.TRIGGERS, resolve_provider=True),
    ),
    (types.COMPLETION_ITEM_RESOLVE, completion.resolve, None),
    (types.TEXT_DOCUMENT_SIGNATURE_HELP, signatures.signature_help, types.SignatureHelpOptions(trigger_characters=signatures.TRIGGERS)),
    (types.TEXT_DOCUMENT_DOCUMENT_LINK, links.document_links, types.DocumentLinkOptions()),
    (types.TEXT_DOCUMENT_CODE_LENS, links.code_lenses, types.CodeLensOptions()),
)


class ArchServer(LanguageServer):
    """A language server for `.arch` files, for one client."""

    def __init__(self) -> None:
        super().__init__("archc", __version__, protocol_cls=ArchProtocol)
        self.space = Workspace(self.text_document_publish_diagnostics)
        self.space.say = self._say
        self.space.failed = partial(self.report_server_error, source=None)
        self.pictures = pictures.Pictures(self.space, self.protocol.notify)
        for method, answer, options in FEATURES:
            self.feature(method, options)(_answering(self.space, answer))
        legend = types.SemanticTokensLegend(list(tokens.TYPES), list(tokens.MODIFIERS))
        self.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, legend)(_answering(self.space, tokens.semantic_tokens))
        self.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, legend)(_answering(self.space, tokens.semantic_tokens_range))
        self.feature(types.INITIALIZE)(partial(self._initialize))
        self.feature(types.INITIALIZED)(partial(self._initialized))
        self.feature(types.SHUTDOWN)(partial(self._stop))
        self.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(partial(self._configured))
        self.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(partial(self._watched))
        self.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(partial(self._folders))
        self.command(actions.EXPAND)(partial(self._expand))
        self.command(links.DRAW)(partial(self._draw))
        self.command(EXPLAIN)(partial(self._explain))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log what went wrong outside of a request that can be answered."""
        if source is not FeatureRequestError and not isinstance(error, Answered):
            self.window_log_message(types.LogMessageParams(types.MessageType.Error, f"archc: {type(error).__name__}: {error}"))

    def _uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what went wrong outside of every handler."""
        self.report_server_error(context.get("exception") or RuntimeError(context.get("message")), None)

    def _say(self, text: str) -> None:
        self.window_show_message(types.ShowMessageParams(types.MessageType.Info, text))

    # ---- the life of a session

    def _initialize(self, params: types.InitializeParams) -> None:
        asyncio.get_running_loop().set_exception_handler(self._uncaught)
        space = self.space
        encoding = self.workspace.position_encoding
        space.encoding = str(getattr(encoding, "value", encoding) or "utf-16")
        space.settings = settings.read(params.initialization_options, space.settings)
        uris = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""]
        space.folders = [path for uri in uris if (path := path_of(uri)) is not None]
        if not space.folders and params.root_path:
            space.folders = [Path(params.root_path)]
        workspace = params.capabilities.workspace
        edits = workspace.workspace_edit if workspace is not None else None
        space.annotates = edits is not None and edits.change_annotation_support is not None and bool(edits.document_changes)

    async def _initialized(self, params: types.InitializedParams) -> None:
        workspace = self.client_capabilities.workspace
        if workspace is None:
            return
        watched = workspace.did_change_watched_files
        if watched is not None and watched.dynamic_registration:
            registration = types.Registration("archc-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, WATCHED)
            await self.client_register_capability_async(types.RegistrationParams([registration]))
        if workspace.configuration:
            await self._pull()

    async def _pull(self) -> None:
        asked = types.ConfigurationParams([types.ConfigurationItem(section=settings.SECTION)])
        given = await self.workspace_configuration_async(asked)
        self._apply(given[0] if given else None)

    def _apply(self, given: Any) -> None:
        changed = settings.read(given, self.space.settings)
        if changed != self.space.settings:
            self.space.settings = changed
            self.space.changed_elsewhere()
            self._refresh()

    def _refresh(self) -> None:
        workspace = self.client_capabilities.workspace
        if workspace is not None and workspace.inlay_hint is not None and workspace.inlay_hint.refresh_support:
            self.workspace_inlay_hint_refresh(None)
        if workspace is not None and workspace.code_lens is not None and workspace.code_lens.refresh_support:
            self.workspace_code_lens_refresh(None)

    async def _configured(self, params: types.DidChangeConfigurationParams) -> None:
        workspace = self.client_capabilities.workspace
        if params.settings or workspace is None or not workspace.configuration:
            self._apply(params.settings)
        else:
            await self._pull()

    def _watched(self, params: types.DidChangeWatchedFilesParams) -> None:
        self.space.changed_elsewhere()

    def _folders(self, params: types.DidChangeWorkspaceFoldersParams) -> None:
        gone = {path_of(folder.uri) for folder in params.event.removed}
        kept = [folder for folder in self.space.folders if folder not in gone]
        added = [path for folder in params.event.added if (path := path_of(folder.uri)) is not None]
        self.space.folders = list(dict.fromkeys([*kept, *added]))
        self.space.changed_elsewhere()

    def _stop(self, params: Any) -> None:
        self.pictures.close()
        self.space.close()

    # ---- commands

    def _expand(self, *arguments: Any) -> str:
        """Return the expanded text of an open text, by its URI."""
        return actions.expanded(self.space, _uri(arguments))

    async def _draw(self, *arguments: Any) -> dict[str, Any] | str | None:
        """Draw an open text: by its URI, return the SVG, and None while it has errors; by an object, return what `drawn` does."""
        asked = pictures.wanted(arguments[0] if arguments else None)
        if asked is None:
            raise renaming.Refused("archc.draw takes a URI, or an object with a `uri`")
        answer = await self.pictures.draw(asked)
        if isinstance(arguments[0], str):  # of a sound text, the picture alone
            return answer.get("svg") if answer.get("ok") else None
        return answer

    def _explain(self, *arguments: Any) -> str:
        """Return the page of a code, in Markdown."""
        found = code_page(arguments[0]) if arguments and isinstance(arguments[0], str) else None
        if found is None:
            raise renaming.Refused("archc.explain takes the code of an error or a warning")
        return markdown(found)


def _uri(arguments: tuple[Any, ...]) -> str:
    first = arguments[0] if arguments else None
    uri = first.get("uri") if isinstance(first, dict) else first
    if not isinstance(uri, str):
        raise renaming.Refused("archc.expand takes a URI")
    return uri if "://" in uri else unquote(uri)


def _answering(space: Workspace, answer: Answer) -> Callable[[Any], Any]:
    """Return a handler of pygls that answers for a workspace."""
    if inspect.iscoroutinefunction(answer):

        async def awaited(params: Any) -> Any:
            return await answer(space, params)

        return awaited
    return partial(_sync, space, answer)


def _sync(space: Workspace, answer: Answer, params: Any) -> Any:
    return answer(space, params)


def serve() -> int:
    """Serve one client over stdin and stdout, until it ends the session; return the exit code."""
    logging.getLogger("pygls").setLevel(logging.DEBUG if os.environ.get("ARCHC_TRACEBACK") else logging.CRITICAL + 1)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), STACK))
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.enable()  # the command line runs without it, but a server lives long
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what anything else prints is no message
        server = ArchServer()
        server.start_io(sys.stdin.buffer, cast(BinaryIO, _Open(out)))
    stopped = server.protocol._shutdown
    server.pictures.close()
    server.space.close()
    return 0 if stopped else 1


class _Open:
    """A stream that pygls writes to; a client that is gone ends the session."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, data: bytes) -> None:
        """Write a message, whole."""
        self._out.write(data)

    def flush(self) -> None:
        """Send what was written."""
        self._out.flush()

    def close(self) -> None:
        """Leave the stream to whoever has opened it."""
