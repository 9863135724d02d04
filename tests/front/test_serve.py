"""`archc serve`: the playground on loopback, with one file on disk, for the page that has the token and nobody else."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from archc.tests.support import ROOT
from archc.ui.playground.server import Playground

pytestmark = pytest.mark.thorough  # `make test` runs it, and `make check` does not

TEXT = "input 3x8x8\nconv3-4\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Playground]:
    (tmp_path / "site/pyodide").mkdir(parents=True)
    (tmp_path / "site/index.html").write_text("<p>the page")
    (tmp_path / "site/pyodide/pyodide.asm.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site/link.js").symlink_to(tmp_path / "nothing.js")
    (tmp_path / "net é.arch").write_text(TEXT)
    with Playground(tmp_path / "site", tmp_path / "net é.arch") as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: Playground, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    link.request(method, path, body, named)
    answer = link.getresponse()
    data = answer.read()
    link.close()
    return answer, data


def test_the_page_is_served_with_a_policy(server: Playground) -> None:
    answer, data = ask(server, "GET", "/")
    assert (answer.status, data) == (200, b"<p>the page")
    assert "default-src 'none'" in (answer.headers["Content-Security-Policy"] or "")
    assert "script-src 'self' 'wasm-unsafe-eval';" in answer.headers["Content-Security-Policy"]
    assert ask(server, "GET", "/pyodide/pyodide.asm.wasm")[0].headers["Content-Type"] == "application/wasm"
    assert server.server_address[0] == "127.0.0.1"
    assert "Server" not in answer.headers or "Python" not in answer.headers["Server"]


ELSEWHERE = [
    "/../secret.txt",
    "/..%2fsecret.txt",
    "/pyodide/../../secret.txt",
    "//etc/passwd",
    "/link.js",
    "/file/",
    "/net%20%C3%A9.arch",
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_no_other_file_is_readable(server: Playground, path: str) -> None:
    answer, data = ask(server, "GET", path, X_Archc_Token=server.token)
    assert answer.status == 404
    assert b"secret" not in data


def test_both_ways(server: Playground) -> None:
    assert server.file is not None
    answer, data = ask(server, "GET", "/file", X_Archc_Token=server.token)
    assert data.decode() == TEXT
    assert answer.headers["X-Archc-Name"] == "net%20%C3%A9.arch"
    tag = answer.headers["ETag"]
    assert ask(server, "GET", "/file", X_Archc_Token=server.token, If_None_Match=tag)[0].status == 304
    written, _ = ask(server, "PUT", "/file", b"input 3x9x9\n", X_Archc_Token=server.token, If_Match=tag)
    assert written.status == 204
    assert server.file.read_text() == "input 3x9x9\n"
    again, data = ask(server, "GET", "/file", X_Archc_Token=server.token, If_None_Match=tag)
    assert (again.status, data, again.headers["ETag"]) == (200, b"input 3x9x9\n", written.headers["ETag"])
    assert [path.name for path in server.file.parent.iterdir() if "archc-" in path.name] == []


def test_what_has_changed_on_disk_is_not_overwritten(server: Playground) -> None:
    assert server.file is not None
    tag = ask(server, "GET", "/file", X_Archc_Token=server.token)[0].headers["ETag"]
    server.file.write_text("somebody else's")
    answer, data = ask(server, "PUT", "/file", b"mine", X_Archc_Token=server.token, If_Match=tag)
    assert (answer.status, server.file.read_text()) == (412, "somebody else's")
    assert b"has changed on disk" in data


@pytest.mark.parametrize(
    "headers",
    [{}, {"X_Archc_Token": ""}, {"X_Archc_Token": "x" * 32}, {"X_Archc_Token": "TOKEN", "Host": "evil.example"},
     {"X_Archc_Token": "TOKEN", "Origin": "http://evil.example"}, {"X_Archc_Token": "TOKEN", "Origin": "null"}],
)  # fmt: skip
def test_nobody_else_reads_or_writes(server: Playground, headers: dict[str, str]) -> None:
    assert server.file is not None
    tag = ask(server, "GET", "/file", X_Archc_Token=server.token)[0].headers["ETag"]
    given = {name: server.token if value == "TOKEN" else value for name, value in headers.items()}
    assert ask(server, "GET", "/file", **given)[0].status == 403
    assert ask(server, "GET", f"/file?token={server.token}", **{k: v for k, v in given.items() if k == "Host"})[0].status == 403
    assert ask(server, "PUT", "/file", b"bad", If_Match=tag, **given)[0].status == 403
    assert server.file.read_text() == TEXT


@pytest.mark.parametrize("length", ["-1", "x", str(1 << 40)])
def test_a_wrong_length_is_refused(server: Playground, length: str) -> None:
    answer, _ = ask(server, "PUT", "/file", None, X_Archc_Token=server.token, Content_Length=length)
    assert answer.status == 413


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.arch", "--folder", "SITE"], "there is no file nowhere.arch"),
        (["--folder", "nowhere"], "there is no playground in nowhere"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "index.html").write_text("x")
    words = [str(tmp_path) if word == "SITE" else word for word in arguments]
    ran = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "serve", *words], capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert said in ran.stderr
