"""The protocol as this server speaks it: texts are kept by the workspace, and malformed messages are answered, never fatal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, lsp_method

if TYPE_CHECKING:
    from archc.ui.lsp.server import ArchServer


class Answered(Exception):
    """A malformed request that has been answered with an error."""


class ArchProtocol(LanguageServerProtocol):
    """Pygls' protocol, with the texts of the workspace instead of its own.

    Pygls splits lines at more characters than the protocol does, keeps the future of every notification for ever, and leaves a malformed
    request without an answer.
    """

    _server: ArchServer

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        """Take a text that was opened."""
        given = params.text_document
        self._server.space.opened(given.uri, given.text, given.version)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        """Take the changes of a text."""
        self._server.space.changed(params.text_document.uri, list(params.content_changes), params.text_document.version)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        """Forget a text that was closed."""
        self._server.pictures.forget(params.text_document.uri)
        self._server.space.closed(params.text_document.uri)

    def _execute_handler(
        self,
        msg_id: Any,
        handler: Callable[[Any], Any],
        callback: Callable[[Any], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Run a handler, and forget its future when it is done."""

        def done(future: Any) -> None:
            self._request_futures.pop(msg_id, None)
            callback(future)

        super()._execute_handler(msg_id, handler, done, args, kwargs)

    def structure_message(self, data: Any) -> Any:
        """Read a message; a malformed request is answered with an error."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            number = data.get("id")
            if isinstance(number, (str, int)) and "method" in data:
                problem = types.ResponseError(types.ErrorCodes.InvalidParams.value, f"malformed request {data.get('method')}")
                self._send_response(number, error=problem)
                raise Answered from None
            raise error
