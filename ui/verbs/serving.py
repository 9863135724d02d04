"""The verb `lsp`: the language server, for editors."""

from __future__ import annotations

from typing import Annotated

import typer


def lsp(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="speak over stdin and stdout, which is the only way; for clients that say so")
    ] = True,
) -> None:
    """Start the language server, which editors talk to over stdin and stdout."""
    from archc.ui.lsp.server import serve

    raise typer.Exit(serve())
