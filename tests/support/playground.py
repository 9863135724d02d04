"""The playground for tests and benches: built once, served on loopback as any server of static files would."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from archc.tests.support import ROOT


def built(target: Path) -> Path:
    """Build the playground into a folder, by the command that users have."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "playground/build.py"), str(target)], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return target


TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


class Quiet(SimpleHTTPRequestHandler):
    """A server of static files with the types that browsers insist on."""

    def guess_type(self, path: object) -> str:
        """Return the type of a file: those that a module and WebAssembly need, and the usual ones."""
        return TYPES.get(Path(str(path)).suffix) or super().guess_type(str(path))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder; return its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
