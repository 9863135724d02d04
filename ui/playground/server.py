"""A server of the playground on loopback, with one file on disk beside it, which the page reads and writes."""

from __future__ import annotations

import hmac
import secrets
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from archc.compiler.elaborate.loader import MAX_BYTES
from archc.compiler.files import CannotWrite, read_regular, reason, write_bytes

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".zip": "application/zip",
}
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'nonce-editor'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MARK = "index.html"


def place() -> Path | None:
    """Return the folder of the playground that was built here; None where there is none."""
    found = Path(__file__).resolve().parents[2] / "playground" / "dist"
    return found if (found / MARK).is_file() else None


class Playground(ThreadingHTTPServer):
    """Serves the files of a folder, and one file to read and write, to whoever has the token.

    It listens on loopback alone. The static files are the same for all, and hold nothing of the user's; the file needs the token, in a
    header, which no page of another origin can send, and a Host that is loopback, so that no name that leads here reaches it either.
    """

    daemon_threads = True

    def __init__(self, folder: Path, file: Path | None = None, port: int = 0) -> None:
        self.files = {"/" + path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self.file = file
        self.token = secrets.token_urlsafe(24)
        self.writing = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        return f"http://127.0.0.1:{self.server_port}/" + (f"?token={self.token}" if self.file is not None else "")

    def hosts(self) -> set[str]:
        """Return what a browser on this machine calls this server."""
        return {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}


class _Handler(BaseHTTPRequestHandler):
    server: Playground
    server_version = "archc"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is the user's."""

    def do_GET(self) -> None:
        """Answer with a static file, or with the file on disk."""
        path = urlsplit(self.path).path
        if self.headers.get("Host") not in self.server.hosts():
            return self._say(403, "this server answers on loopback only")
        if path == "/file":
            return self._read()
        found = self.server.files.get("/index.html" if path == "/" else path)
        if found is None:
            return self._say(404, "there is no such file")
        try:
            data = found.read_bytes()
        except OSError as error:
            return self._say(404, reason(error))
        return self._send(200, data, TYPES.get(found.suffix, "application/octet-stream"))

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        """Write the file on disk, completely or not at all, unless it is another one by now than the page has read."""
        if self.headers.get("Host") not in self.server.hosts() or urlsplit(self.path).path != "/file" or not self._allowed():
            self.close_connection = True
            return self._say(403, "only the page that was opened with its token may write")
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            size = -1
        if not 0 <= size <= MAX_BYTES:
            self.close_connection = True
            return self._say(413, f"a file has at most {MAX_BYTES // 2**20} MiB")
        data = self.rfile.read(size)
        assert self.server.file is not None
        with self.server.writing:
            try:
                before = _tag(read_regular(self.server.file, MAX_BYTES))
            except FileNotFoundError:
                before = '""'
            except OSError as error:
                return self._say(409, f"{self.server.file.name} cannot be read: {reason(error)}")
            if self.headers.get("If-Match") != before:
                return self._say(412, f"{self.server.file.name} has changed on disk meanwhile: it was not overwritten")
            try:
                write_bytes(self.server.file, data)
            except CannotWrite as error:
                return self._say(409, str(error))
        return self._send(204, b"", "text/plain", {"ETag": _tag(data)})

    def _allowed(self) -> bool:
        """Whether the request carries the token, from a page of this server."""
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts():
            return False
        given = self.headers.get("X-Archc-Token", "")
        return self.server.file is not None and hmac.compare_digest(given.encode("latin-1", "replace"), self.server.token.encode())

    def _read(self) -> None:
        if not self._allowed():
            return self._say(403, "only the page that was opened with its token may read the file")
        assert self.server.file is not None
        try:
            data = read_regular(self.server.file, MAX_BYTES)
        except OSError as error:
            return self._say(409, f"{self.server.file.name} cannot be read: {reason(error)}")
        tag = _tag(data)
        if self.headers.get("If-None-Match") == tag:
            return self._send(304, b"", "text/plain", {"ETag": tag})
        return self._send(200, data, "text/plain; charset=utf-8", {"ETag": tag, "X-Archc-Name": quote(self.server.file.name)})

    def _say(self, status: int, text: str) -> None:
        self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        static = {
            "Content-Type": kind,
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }
        for name, value in {**static, **(headers or {})}.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(data)


def _tag(data: bytes) -> str:
    return f'"{sha256(data).hexdigest()[:32]}"'
