"""The verbs `lsp`, the language server for editors, and `serve`, the playground in a browser."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.files import reason
from archc.ui.verbs.terminal import fail, say


def lsp(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="speak over stdin and stdout, which is the only way; for clients that say so")
    ] = True,
) -> None:
    """Start the language server, which editors talk to over stdin and stdout."""
    from archc.ui.lsp.server import serve

    raise typer.Exit(serve())


def serve(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="a file to edit in the page; saved there, it is written")] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="the port; by default any that is free")] = 0,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="FOLDER", help="the playground, as `make playground` builds it")
    ] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="open the page in a browser")] = True,
) -> None:
    """Serve the playground on this machine alone, with a file on disk beside it. Ctrl-C ends it."""
    from archc.ui.playground.server import MARK, Playground, place

    found = folder if folder is not None else place()
    if found is None or not (found / MARK).is_file():
        fail(
            f"there is no playground in {found}"
            if found is not None
            else "the playground is not built: run `make playground`, or give --folder"
        )
    if file is not None and not file.is_file():
        fail(f"{file} is no file" if file.exists() else f"there is no file {file}; `archc new` writes one")
    try:
        server = Playground(found, file.resolve() if file is not None else None, port)
    except OSError as error:
        fail(f"cannot listen on port {port}: {reason(error)}")
    say(server.url)
    sys.stdout.flush()
    if browser:
        webbrowser.open(server.url)
    with server:
        server.serve_forever()
