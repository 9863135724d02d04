"""What clients do to a text: edits at any place in any encoding, by the thousand, and requests that make no sense."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import pytest_lsp
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import LanguageClient

from archc.tests.support import ROOT
from archc.tests.support.lsp import CONFIG, ENVIRONMENT, Text, close_all, codes
from archc.ui.lsp.carrying import Carried
from archc.ui.lsp.documents import Document, Lines, path_of, uri_of

pytestmark = pytest.mark.thorough  # `make test` runs it, and `make check` does not

PIECES = (
    *("", "x", "(", ")", "{", "}", "<", ">", "|", "\n", "\r\n", "\r", "@", "=> 3", "#", '"', ";", "\t", "\ufeff", "\u2028", "\x0b", "\0"),
    *("conv3-8", "relu; ", "layer1: ", "block f(w) { ", "\ndefault conv(act=relu)\n", 'use "std/residual.arch"\n', "\N{GRINNING FACE}"),
    *("\N{HANGUL SYLLABLE HAN}\N{HANGUL SYLLABLE GUG}", " x3", "expect params == 3\n", "for i in range(3) { conv1-{i} }\n", "-", "/2"),
)
WIDTH = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
TEXT = "input 3x8x8  # \N{GRINNING FACE}\nconv3-8; relu\n\N{HANGUL SYLLABLE HAN}\r\nfc-10\rlast"


def units(text: str, encoding: str) -> int:
    name, width = WIDTH[encoding]
    return len(text.encode(name)) // width


@pytest.mark.parametrize("encoding", WIDTH)
def test_positions_and_offsets_are_inverse(encoding: str) -> None:
    lines = Lines(TEXT, encoding)
    for offset in range(len(lines.text) + 1):
        position = lines.position(offset)
        line = lines.text[: offset + 1].split("\n") if offset < len(lines.text) else (lines.text + "x").split("\n")
        assert position.line == len(line) - 1 - (offset < len(lines.text) and lines.text[offset] == "\n")
        begin = lines.text.rfind("\n", 0, offset) + 1
        assert position.character == units(lines.text[begin:offset], encoding)
        assert lines.offset(position) == offset
    marked = Lines("\ufeff" + TEXT, encoding)
    assert marked.position(0).character == units("\ufeff", encoding) and marked.offset(marked.position(5)) == 5


@pytest.mark.parametrize("encoding", WIDTH)
def test_edits_are_those_of_the_client(encoding: str) -> None:
    """The text of a document after edits by ranges is the one that a client has which edits by offsets."""
    random_ = random.Random(7)
    text = TEXT
    document = Document("file:///net.arch", text, 1, encoding)
    for version in range(600):
        at = sorted(random_.choices(range(len(text) + 1), k=2))
        if any(text[offset - 1 : offset + 1] == "\r\n" for offset in at):
            continue  # no client has a position there
        places = []
        for offset in at:
            before = re.split(r"\r\n|\n|\r", text[:offset])
            places.append(types.Position(len(before) - 1, units(before[-1], encoding)))
        new = random_.choice(PIECES)
        text = (text[: at[0]] + new + text[at[1] :])[:400]
        whole = [types.TextDocumentContentChangeWholeDocument(text)] if len(text) == 400 else []
        document.change([types.TextDocumentContentChangePartial(types.Range(*places), new), *whole], version)
        assert document.raw == text
        assert document.text == text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def test_uris_are_paths() -> None:
    path = Path("/tmp/a b/\N{HANGUL SYLLABLE HAN}#%.arch")
    assert path_of(uri_of(path)) == path and path_of(path.as_uri()) == path
    assert path_of("untitled:Untitled-1") is None and path_of("file:///a%00b") is None


def test_lines_are_carried_over_edits() -> None:
    before = "\n".join(f"line {n}" for n in range(50))
    carried = Carried(before, before.replace("line 7\n", "line 7\nnew\n").replace("line 20\n", "").replace("line 30", "line x"))
    assert [carried.line(n) for n in (6, 7, 8, 19, 20, 21, 30, 49)] == [6, 7, 9, 20, None, 21, None, 49]
    assert carried.earlier(8) is None and carried.earlier(9) == 8


# ---- a server that negotiated UTF-8


@pytest_lsp.fixture(config=CONFIG, scope="module")
async def client(lsp_client: LanguageClient, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    general = types.GeneralClientCapabilities(position_encodings=["utf-8", "utf-16"])
    edits = types.WorkspaceEditClientCapabilities(
        document_changes=True, change_annotation_support=types.ChangeAnnotationsSupportOptions(groups_on_label=False)
    )
    capabilities = types.ClientCapabilities(general=general, workspace=types.WorkspaceClientCapabilities(workspace_edit=edits))
    options = {"lenses": False, "shapes": 3, "max_nodes": 20_000}
    result = await lsp_client.initialize_session(types.InitializeParams(capabilities, initialization_options=options))
    assert result.capabilities.position_encoding == "utf-8"
    yield
    await lsp_client.shutdown_session()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _closed(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    yield
    if "client" in request.fixturenames:
        close_all()


@pytest.mark.asyncio(loop_scope="module")
async def test_positions_in_utf_8(client: LanguageClient, tmp_path: Path) -> None:
    han = "\N{HANGUL SYLLABLE HAN}\N{GRINNING FACE}"
    text = Text(client, tmp_path / "net.arch", f'arch net "{han}"; input 3x8x8\nconv3-8 # {han}\nlet k = 4; \ncnov3-{{k}}', "utf-8")
    (error,) = await text.diagnostics(lambda held: codes(held) == ["E0201"])
    assert error.range == text.range("cnov3")
    text.replace(han, f"{han}{han}")
    text.replace("cnov3", "conv3")
    await text.diagnostics(lambda held: codes(held) == [])
    hints = await client.text_document_inlay_hint_async(types.InlayHintParams(text.identifier, text.whole))
    assert [hint.position for hint in hints] == [text.at("\nconv3-8"), text.at("\nlet"), text.at("-{k}", 4)]
    definition = await client.text_document_definition_async(types.DefinitionParams(text.identifier, text.at("{k}", 1)))
    assert definition.range == text.range("k")
    assert await client.text_document_code_lens_async(types.CodeLensParams(text.identifier)) is None  # as it was set
    edit = await client.text_document_rename_async(types.RenameParams(text.identifier, text.at("net"), "other"))
    assert edit.changes is not None or edit.document_changes is not None


@pytest.mark.asyncio(loop_scope="module")
async def test_a_rename_is_annotated(client: LanguageClient, tmp_path: Path) -> None:
    text = Text(client, tmp_path / "net.arch", "input 3x8x8\na: conv3-8\n@a\n", "utf-8")
    edit = await client.text_document_rename_async(types.RenameParams(text.identifier, text.at("a: "), "b"))
    (note,) = edit.change_annotations.values()
    assert note.description == "2 keys of weights change: a.weight -> b.weight, a.bias -> b.bias" and note.needs_confirmation
    (change,) = edit.document_changes
    assert text.edited(change.edits) == "input 3x8x8\nb: conv3-8\n@b\n"


OPEN = """arch net(w=8)
input 3xHxW
# Open sizes are formulas.
block unit(out) { c: conv3-{out}(pad=1, norm=bn, act=relu) }
stage: { unit(w); unit(2 * w) } x2 => 16xHxW
for (i, k) in enumerate([1, 3]) with ys = [] { part{i}: conv{k}-8(pad=same); next ys = ys + [in] }
concat<for y in ys | @y>; conv3-16(groups=4)
output map: @stage.1; conv1-{in.c}
adaptive_avgpool1
fc-10
"""


def memory(client: LanguageClient) -> int:
    """The resident memory of a server, in MiB."""
    status = Path(f"/proc/{client._server.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]


async def ask(client: LanguageClient, text: types.TextDocumentIdentifier, random_: random.Random, lines: int) -> None:
    """Make one request at a random place."""
    at = types.Position(random_.randrange(lines + 2), random_.randrange(60))
    place: dict[str, Any] = {"text_document": text, "position": at}
    whole = types.Range(types.Position(0, 0), types.Position(lines, 0))
    requests = (
        lambda: client.text_document_hover_async(types.HoverParams(**place)),
        lambda: client.text_document_completion_async(types.CompletionParams(**place)),
        lambda: client.text_document_definition_async(types.DefinitionParams(**place)),
        lambda: client.text_document_references_async(types.ReferenceParams(types.ReferenceContext(True), **place)),
        lambda: client.text_document_document_highlight_async(types.DocumentHighlightParams(**place)),
        lambda: client.text_document_signature_help_async(types.SignatureHelpParams(**place)),
        lambda: client.text_document_prepare_rename_async(types.PrepareRenameParams(**place)),
        lambda: client.text_document_prepare_call_hierarchy_async(types.CallHierarchyPrepareParams(**place)),
        lambda: client.text_document_inlay_hint_async(types.InlayHintParams(text, whole)),
        lambda: client.text_document_document_symbol_async(types.DocumentSymbolParams(text)),
        lambda: client.text_document_folding_range_async(types.FoldingRangeParams(text)),
        lambda: client.text_document_selection_range_async(types.SelectionRangeParams(text, [at])),
        lambda: client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(text)),
        lambda: client.text_document_code_lens_async(types.CodeLensParams(text)),
        lambda: client.text_document_document_link_async(types.DocumentLinkParams(text)),
        lambda: client.text_document_formatting_async(types.DocumentFormattingParams(text, types.FormattingOptions(2, True))),
        lambda: client.text_document_rename_async(types.RenameParams(text, at, random_.choice(("a", "b1", "conv", "3", "@")))),
    )
    try:
        await random_.choice(requests)()
    except JsonRpcException as refused:
        if refused.code != types.LSPErrorCodes.RequestFailed.value:  # a name that cannot be changed so
            raise


async def survives(client: LanguageClient, folder: Path, count: int, growth: int) -> None:
    """Edit texts at random, with a request after each edit; the server answers all of them, logs no error, and does not grow."""
    random_ = random.Random(11)
    texts = [OPEN, *((ROOT / f"archs/{name}.arch").read_text(encoding="utf-8") for name in ("unet", "googlenet", "resnet18", "lenet5"))]
    first, text, version = 0, None, 0
    for number in range(count):
        if number % 60 == 0:
            close_all()
            words = texts[number // 60 % len(texts)]
            text, version = Text(client, folder / f"net{number % 240}.arch", words, "utf-8"), 1
        assert text is not None
        lines = max(text.text.count("\n"), 1)
        places = sorted(((random_.randrange(lines + 1), random_.randrange(50)) for _ in range(2)), key=lambda place: place[0])
        if random_.random() < 0.7:  # most edits are small
            places[1] = (places[0][0], places[0][1] + random_.randrange(6))
        edit = types.Range(*(types.Position(*place) for place in places))
        version += 1
        identifier = types.VersionedTextDocumentIdentifier(version, text.uri)
        change = types.TextDocumentContentChangePartial(edit, random_.choice(PIECES))
        client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
        await asyncio.wait_for(ask(client, text.identifier, random_, lines), 60)
        if number % 40 == 39:
            params = types.CodeActionParams(text.identifier, text.whole, types.CodeActionContext([]))
            await asyncio.wait_for(client.text_document_code_action_async(params), 120)
            garbage = random_.choice((b"{", b"[]", b"\xff", json.dumps({"jsonrpc": "2.0", "method": "textDocument/didChange"}).encode()))
            client._server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(garbage) + garbage)
        if number == min(count // 2, 1_000):
            first = memory(client)
    errors = [each.message for each in client.log_messages if each.type == types.MessageType.Error]
    known = ("JSONDecodeError", "UnicodeDecodeError", "AttributeError: 'list' object", "JsonRpcInvalidParams")
    assert not [error for error in errors if not any(name in error for name in known)]
    assert memory(client) - first < growth
    close_all()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_few_hundred_edits(client: LanguageClient, tmp_path: Path) -> None:
    await survives(client, tmp_path, 300, growth=60)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_ten_thousand_edits(client: LanguageClient, tmp_path: Path) -> None:
    await survives(client, tmp_path, 10_000, growth=60)


# ---- the process


def framed(*messages: dict[str, Any]) -> bytes:
    bodies = [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]
    return b"".join(b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies)


def session(messages: bytes, program: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", program, "lsp", "--stdio"], input=messages, env=ENVIRONMENT, capture_output=True, timeout=60, check=False
    )


PROGRAM = """
import sys
from archc import cli
try:
    cli.main()
finally:
    assert not {"torch", "numpy"} & set(sys.modules)
"""


@pytest.mark.thorough
def test_a_session_ends_with_its_exit_code_and_imports_no_torch() -> None:
    opened = {"textDocument": {"uri": "file:///net.arch", "languageId": "arch", "version": 1, "text": "input 3x8x8\nconv3-8\n"}}
    at = {"textDocument": {"uri": "file:///net.arch"}, "position": {"line": 1, "character": 2}}
    begin = [
        {"id": 1, "method": "initialize", "params": {"capabilities": {}, "processId": None, "rootUri": None}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": opened},
        {"id": 2, "method": "textDocument/hover", "params": at},
    ]
    done = session(framed(*begin, {"id": 3, "method": "shutdown"}, {"method": "exit"}), PROGRAM)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert b"8x6x6" in done.stdout
    done = session(framed(*begin), PROGRAM)  # the client is gone
    assert done.returncode == 1 and done.stderr == b"", done.stderr


@pytest.mark.thorough
def test_without_pygls_the_verb_says_what_to_install() -> None:
    done = session(b"", "import sys\nsys.modules['pygls'] = None\nfrom archc import cli\ncli.main()")
    assert done.returncode == 3 and b"pip install 'archc[lsp]'" in done.stderr
