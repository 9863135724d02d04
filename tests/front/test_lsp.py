"""The language server over stdio, as a client sees it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import pytest_lsp
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import LanguageClient

from archc.tests.support import ROOT
from archc.tests.support.lsp import CONFIG, Text, close_all, codes, found
from archc.ui.lsp.documents import uri_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOUND = """arch net(w=16) "\N{HANGUL SYLLABLE HAN} \N{GRINNING FACE}"
input 3x32x32
# Two layers.
block plain(out, s=1) {
  c: conv3-{out}/{s}(pad=1)
  relu
}
layer: plain(8) x2
plain(w, s=2)
m: residual<conv3-16(pad=1); relu | .>
FC-10
"""
WRONG = SOUND.replace("FC-10", "conv3-32(groups=3, pad=1)  # \N{HANGUL SYLLABLE HAN} \N{GRINNING FACE}\nFC-10")


LEGEND: list[types.SemanticTokensLegend] = []  # what the server calls its tokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace").resolve()


@pytest_lsp.fixture(config=CONFIG, scope="module")
async def client(lsp_client: LanguageClient, folder: Path) -> AsyncIterator[None]:
    capabilities = types.ClientCapabilities(general=types.GeneralClientCapabilities(position_encodings=["utf-16"]))
    folders = [types.WorkspaceFolder(folder.as_uri(), "workspace")]
    result = await lsp_client.initialize_session(types.InitializeParams(capabilities, root_uri=folder.as_uri(), workspace_folders=folders))
    LEGEND.append(result.capabilities.semantic_tokens_provider.legend)
    yield
    await lsp_client.shutdown_session()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _closed(client: LanguageClient) -> AsyncIterator[None]:
    yield
    close_all()


def text_of(contents: Any) -> str:
    assert isinstance(contents, types.Hover)
    assert isinstance(contents.contents, types.MarkupContent)
    return contents.contents.value


async def fixes(text: Text, words: str) -> Sequence[types.CodeAction]:
    context = types.CodeActionContext([], only=[types.CodeActionKind.QuickFix])
    actions = await text.client.text_document_code_action_async(types.CodeActionParams(text.identifier, text.range(words), context))
    return [action for action in actions or () if isinstance(action, types.CodeAction)]


async def test_an_error_and_its_fixes(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "fixes.arch", WRONG)
    (error,) = await text.diagnostics(lambda held: codes(held) == ["E0304"])
    assert error.range == text.range("3, pad=1)  #").__class__(text.at("3, pad=1)  #"), text.at("3, pad=1)  #", 1))
    assert error.severity == types.DiagnosticSeverity.Error and error.source == "archc"
    assert "3 groups do not divide 16 input channels" in error.message and "help:" in error.message
    assert error.code_description is not None and error.code_description.href == f"{uri_of(ROOT / 'docs/errors.md')}#e0304"
    actions = await fixes(text, "groups=3")
    assert any("groups 2" in action.title and "parameters" in action.title for action in actions)
    assert all(action.diagnostics and action.diagnostics[0].code == "E0304" for action in actions)
    fixed = text.applied(actions[0].edit)
    assert fixed.replace("groups=3", "") != text.text and "groups=3" not in fixed
    page = await client.workspace_execute_command_async(types.ExecuteCommandParams("archc.explain", ["E0304"]))
    assert page.startswith("## E0304")


async def test_a_slip_is_preferred_and_a_warning_can_be_allowed(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "slip.arch", "input 3x8x8\nconv3-8(paad=1)\nconv3-8\nfc-10\n")
    await text.diagnostics(lambda held: "E0202" in codes(held))
    (action, *_) = await fixes(text, "paad")
    assert action.is_preferred and "only how it is written" in action.title
    context = types.CodeActionContext([], only=["source.fixAll"])
    all_ = await client.text_document_code_action_async(types.CodeActionParams(text.identifier, text.whole, context))
    assert text.applied(all_[0].edit) == text.text.replace("paad", "pad")
    text.replace("paad", "pad")
    await text.diagnostics(lambda held: "W0106" in codes(held))
    allow = [action for action in await fixes(text, "fc-10") if action.title.startswith("Allow W0106")]
    assert "fc-10  # allow: W0106" in text.applied(allow[0].edit)


async def test_shapes_stand_at_line_ends(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "hints.arch", SOUND)
    params = types.InlayHintParams(text.identifier, text.whole)
    hints = {hint.position.line: hint.label for hint in await client.text_document_inlay_hint_async(params)}
    assert hints == {
        **{1: "3x32x32", 4: "8x32x32 … 16x16x16", 5: "8x32x32 … 16x16x16"},
        **{7: "8x32x32", 8: "16x16x16", 9: "16x16x16", 10: "10"},
    }
    await client.text_document_hover_async(types.HoverParams(**text.place("plain(w, s=2)")))  # the call is looked at
    hints = {hint.position.line: hint.label for hint in await client.text_document_inlay_hint_async(params)}
    assert hints[4] == "16x16x16 in plain1"
    client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"archc": {"parameters": True, "shapes": False}}))
    hints = {hint.position.line: hint.label for hint in await client.text_document_inlay_hint_async(params)}
    client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"archc": {"parameters": False, "shapes": True}}))
    assert hints[7] == "808 params" and hints[10] == "40,970 params" and 5 not in hints


async def test_hover_says_what_an_item_is(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "hover.arch", SOUND)
    item = text_of(await client.text_document_hover_async(types.HoverParams(**text.place("conv3-16"))))
    assert "16x16x16 → **16x16x16**" in item
    assert "(16 + 2*1 - 3)/1 + 1 = 16" in item and "3*3*16*16 + 16 = 2,320" in item and "FLOPs" in item
    assert "pixels of the input" in item and "16,384 bytes" in item and "### conv" in item
    called = text_of(await client.text_document_hover_async(types.HoverParams(**text.place("plain(8)"))))
    assert "block plain(out, s=1)" in called and "Two layers." in called and "| layer.1 | 8x32x32 | 8x32x32 | 584 |" in called
    option = text_of(await client.text_document_hover_async(types.HoverParams(**text.place("pad=1); relu"))))
    assert option.startswith("`pad` of `conv`: ")


async def test_an_unfinished_line_takes_nothing_away(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "unfinished.arch", SOUND)
    await text.diagnostics(lambda held: codes(held) == [])
    text.replace("plain(w, s=2)", "plain(w, s=")
    await text.diagnostics(lambda held: any(code.startswith("E") for code in codes(held)))
    hints = await client.text_document_inlay_hint_async(types.InlayHintParams(text.identifier, text.whole))
    shown = {hint.position.line: hint.label for hint in hints}
    assert shown[7] == "8x32x32" and shown[9] == "~16x16x16" and shown[10] == "~10"
    hover = text_of(await client.text_document_hover_async(types.HoverParams(**text.place("FC-10", 3))))
    assert "before the last edits" in hover and "**10**" in hover
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(text.identifier))
    assert {"plain", "layer", "m"} <= {symbol.name for symbol in symbols}
    text.replace("arch net", "\x01")  # nothing can be read
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(text.identifier))
    assert {"plain", "layer", "m"} <= {symbol.name for symbol in symbols}
    hints = await client.text_document_inlay_hint_async(types.InlayHintParams(text.identifier, text.whole))
    assert {hint.position.line: hint.label for hint in hints}[10] == "~10"


async def test_definition_references_and_highlights(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "names.arch", SOUND + "@m; @relu1\n")
    definition = await client.text_document_definition_async(types.DefinitionParams(**text.place("plain(8)")))
    assert definition.range == text.range("plain")
    assert (await client.text_document_definition_async(types.DefinitionParams(**text.place("@m;")))).range.start == text.at("m: ")
    counted = await client.text_document_definition_async(types.DefinitionParams(**text.place("@relu1", 2)))
    assert counted.range.start == text.at("relu | .>")
    params = types.ReferenceParams(types.ReferenceContext(True), **text.place("plain(8)"))
    assert len(await client.text_document_references_async(params)) == 3
    highlights = await client.text_document_document_highlight_async(types.DocumentHighlightParams(**text.place("out}")))
    assert [h.kind.name for h in highlights] == ["Write", "Read"]


async def test_names_of_used_files(client: LanguageClient, folder: Path) -> None:
    (folder / "parts.arch").write_text("block unit(width) { c: conv3-{width}(pad=1); relu }\n")
    text = Text(client, folder / "user.arch", 'use "parts.arch"\ninput 3x8x8\nu: unit(4)\n@u.c\n')
    await text.diagnostics(lambda held: True)
    links = await client.text_document_document_link_async(types.DocumentLinkParams(text.identifier))
    assert [(link.target, link.range) for link in links] == [((folder / "parts.arch").as_uri(), text.range("parts.arch"))]
    definition = await client.text_document_definition_async(types.DefinitionParams(**text.place("unit(4)")))
    assert definition.uri == (folder / "parts.arch").as_uri() and definition.range.start == types.Position(0, 6)
    edit = await client.text_document_rename_async(types.RenameParams(text.identifier, text.at("unit(4)"), "piece"))
    assert {uri.rpartition("/")[2]: len(edits) for uri, edits in edit.changes.items()} == {"parts.arch": 1, "user.arch": 1}
    used = Text(client, folder / "parts.arch", "block unit(width) { c: conv3-{widht}(pad=1); relu }\n")  # not saved
    await used.diagnostics(lambda held: "E0204" in codes(held))
    await used.diagnostics(lambda held: sorted(codes(held)) == ["E0204", "W0105"])  # of the text that calls it, and its own
    references = types.ReferenceParams(types.ReferenceContext(True), **used.place("unit"))
    assert {each.uri for each in await client.text_document_references_async(references)} == {used.uri, text.uri}
    client.text_document_did_close(types.DidCloseTextDocumentParams(used.identifier))
    await used.diagnostics(lambda held: held == () or held == [])


async def test_a_file_of_blocks_shows_the_shapes_of_its_user(client: LanguageClient, folder: Path) -> None:
    words = "block unit(w) {\n  c: conv3-{w}(pad=1)\n  relu\n}\n"
    (folder / "blocks.arch").write_text(words)
    user = Text(client, folder / "of_blocks.arch", 'use "blocks.arch"\ninput 3x8x8\nunit(4)\nunit(5)\n')
    await user.diagnostics(lambda held: True)
    blocks = Text(client, folder / "blocks.arch", words)
    hints = await client.text_document_inlay_hint_async(types.InlayHintParams(blocks.identifier, blocks.whole))
    assert [(hint.position.line, hint.label) for hint in hints] == [(1, "4x8x8 … 5x8x8"), (2, "4x8x8 … 5x8x8")]
    await client.text_document_hover_async(types.HoverParams(**user.place("unit(5)")))
    hover = text_of(await client.text_document_hover_async(types.HoverParams(**blocks.place("conv3"))))
    assert "| unit1 | 3x8x8 | 4x8x8 | 112 |" in hover and "`unit2.c`, in unit2: 4x8x8 → **5x8x8**" in hover


async def test_a_rename_says_which_keys_change(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "rename.arch", SOUND + "@layer.0.c\n")
    before = len(client.messages)
    edit = await client.text_document_rename_async(types.RenameParams(text.identifier, text.at("layer:"), "stage"))
    assert text.applied(edit) == text.text.replace("layer:", "stage:").replace("@layer", "@stage")
    for _ in range(200):
        if len(client.messages) > before:
            break
        await asyncio.sleep(0.01)
    assert "layer.0.c.weight -> stage.0.c.weight" in client.messages[-1].message
    with pytest.raises(JsonRpcException, match="cannot be the name"):
        await client.text_document_rename_async(types.RenameParams(text.identifier, text.at("layer:"), "a b"))
    with pytest.raises(JsonRpcException, match="E0205"):
        await client.text_document_rename_async(types.RenameParams(text.identifier, text.at("layer:"), "m"))
    text = Text(client, folder / "own.arch", 'use "std/residual.arch"\ninput 64x8x8\nbasic(64)\n')
    with pytest.raises(JsonRpcException, match="own files"):
        await client.text_document_rename_async(types.RenameParams(text.identifier, text.at("basic"), "mine"))


async def test_structure_and_symbols(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "structure.arch", SOUND.replace("FC-10", "concat<\n  conv1-8\n| relu\n>\nFC-10"))
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(text.identifier))
    (block,) = [symbol for symbol in symbols if symbol.name == "plain"]
    assert [child.name for child in block.children] == ["c"] and block.detail == "(out, s=1)"
    folds = await client.text_document_folding_range_async(types.FoldingRangeParams(text.identifier))
    assert [(fold.start_line, fold.end_line) for fold in folds] == [(3, 5), (10, 12)]
    (selection,) = await client.text_document_selection_range_async(types.SelectionRangeParams(text.identifier, [text.at("conv3-16", 1)]))
    grown = []
    while selection is not None:
        grown.append(selection.range)
        selection = selection.parent
    assert text.range("conv3-16(pad=1)") in grown and text.range("residual<conv3-16(pad=1); relu | .>") in grown
    await text.diagnostics(lambda held: True)
    found_ = await client.workspace_symbol_async(types.WorkspaceSymbolParams("plain"))
    assert text.uri in {symbol.location.uri for symbol in found_}
    found_ = await client.workspace_symbol_async(types.WorkspaceSymbolParams("bottleneck_v1"))
    assert [symbol.location.uri for symbol in found_] == [(ROOT / "archs/std/residual.arch").resolve().as_uri()]


async def test_the_calls_of_blocks(client: LanguageClient, folder: Path) -> None:
    words = "input 3x8x8\nblock a(w) { conv3-{w}(pad=1) }\nblock b(w) { a(w); a(w) }\nb(4); a(8)\n"
    text = Text(client, folder / "calls.arch", words)
    params = types.CallHierarchyPrepareParams(**text.place("a(w); a"))
    (item,) = await client.text_document_prepare_call_hierarchy_async(params)
    incoming = await client.call_hierarchy_incoming_calls_async(types.CallHierarchyIncomingCallsParams(item))
    assert [(call.from_.name, len(call.from_ranges)) for call in incoming] == [("b", 2), ("calls", 1)]
    outgoing = await client.call_hierarchy_outgoing_calls_async(types.CallHierarchyOutgoingCallsParams(incoming[0].from_))
    assert [(call.to.name, len(call.from_ranges)) for call in outgoing] == [("a", 2)]


async def completed(text: Text, words: str, more: int) -> dict[str, str]:
    held = await text.client.text_document_completion_async(types.CompletionParams(text.identifier, text.at(words, more)))
    return {item.label: item.detail or "" for item in held.items}


COMPLETED = [
    ("rel", 3, {"relu", "plain", "input", "let"}, {"pad="}),  # an item
    ("conv3-8(act=r", 12, {"relu", "gelu", "none", "plain"}, {"bn", "pad="}),
    ("conv3-8(pad=1, ", 15, {"groups=", "bias=", "norm=", "act="}, {"pad=", "relu"}),
    ("conv3-8(pad_mode=", 17, {"zeros", "reflect"}, {"same"}),
    ("plain(", 6, {"out=", "s=", "w"}, {"pad="}),
    ("add<@", 5, {"layer", "m", "conv1"}, {"relu"}),
    ("@layer.0.", 9, {"c"}, {"m"}),
    ("conv3-8(groups=", 15, {"1", "2", "4", "8", "16"} - {"16"}, {"3", "5"}),
    ("conv3-", 6, {"16", "32", "8"}, {"relu"}),
    ("default co", 10, {"conv", "concat"}, {"let"}),
    ("expect pa", 9, {"params", "macs", "shape"}, {"relu"}),
    ("let v = in.", 11, {"c", "h", "w"}, {"relu"}),
    ("let v = ", 8, {"w", "in", "range"}, {"pad="}),
    ('use "std/resi', 13, {"std/residual.arch"}, {"relu"}),
    ("conv3-8(pad=1) => ", 18, {"8x16x16"}, {"relu"}),
    ("# allow: W01", 12, {"W0106"}, {"relu"}),
    ("# rel", 5, set(), {"relu"}),
]


@pytest.mark.parametrize(("line", "more", "there", "missing"), COMPLETED, ids=[each[0].strip() for each in COMPLETED])
async def test_completion(client: LanguageClient, folder: Path, line: str, more: int, there: set[str], missing: set[str]) -> None:
    name = f"completion{COMPLETED.index((line, more, there, missing))}.arch"
    sound = SOUND.replace("FC-10\n", "")
    text = Text(client, folder / name, sound)
    await client.text_document_inlay_hint_async(types.InlayHintParams(text.identifier, text.whole))  # it was sound once
    text.replace("| .>\n", f"| .>\n{line}\n")
    offered = await completed(text, f"\n{line}\n", more + 1)
    assert there <= set(offered) and not missing & set(offered), sorted(offered)


async def test_signatures(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "signatures.arch", SOUND)
    params = types.SignatureHelpParams(text.identifier, text.at("s=2", 2))
    held = await client.text_document_signature_help_async(params)
    assert held.signatures[0].label == "plain(out, s=1)" and held.active_parameter == 1
    held = await client.text_document_signature_help_async(types.SignatureHelpParams(text.identifier, text.at("pad=1); relu", 4)))
    (signature,) = held.signatures
    assert signature.label.startswith("conv(kernel, out, stride=1, pad=0") and held.active_parameter == 3


async def test_semantic_tokens(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "tokens.arch", SOUND)
    held = await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(text.identifier))
    names = LEGEND[0].token_types
    lines, words, at = SOUND.split("\n"), {}, [0, 0]
    for line, column, length, kind, _ in zip(*[iter(held.data)] * 5, strict=True):
        at = [at[0] + line, column if line else at[1] + column]
        words.setdefault(lines[at[0]][at[1] : at[1] + length], names[kind])
    assert words["arch"] == "keyword" and words["block"] == "keyword" and words["# Two layers."] == "comment"
    assert words["plain"] == "function" and words["conv"] == "macro" and words["layer"] == "property" and words["out"] == "parameter"
    assert words["w"] == "parameter" and words["pad"] == "parameter" and words["net"] == "namespace"


async def test_formatting(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "formatting.arch", "input   3x8x8\nCONV3-8\n{\nrelu\n}\nfc-10   ;\n")
    options = types.FormattingOptions(2, True)
    edits = await client.text_document_formatting_async(types.DocumentFormattingParams(text.identifier, options))
    assert text.edited(edits) == "input 3x8x8\nconv3-8\n{\n  relu\n}\nfc-10\n"
    some = types.Range(types.Position(1, 0), types.Position(2, 0))
    edits = await client.text_document_range_formatting_async(types.DocumentRangeFormattingParams(text.identifier, some, options))
    assert text.edited(edits) == "input   3x8x8\nconv3-8\n{\nrelu\n}\nfc-10   ;\n"
    text.replace("3x8x8", "(")
    assert await client.text_document_formatting_async(types.DocumentFormattingParams(text.identifier, options)) is None


async def test_lenses_and_commands(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "lenses.arch", SOUND)
    lenses = await client.text_document_code_lens_async(types.CodeLensParams(text.identifier))
    titles = [lens.command.title for lens in lenses]
    assert "3 calls, 224 to 1,168 parameters each" in titles and titles.count("draw") == 2 and "expand" in titles
    assert any(title.startswith("45,266 parameters") for title in titles)
    expanded = await client.workspace_execute_command_async(types.ExecuteCommandParams("archc.expand", [text.uri]))
    assert "layer: {" in expanded and "c: conv3-8/1(pad=1" in expanded
    svg = await client.workspace_execute_command_async(types.ExecuteCommandParams("archc.draw", [text.uri]))
    assert "<svg" in svg
    for command in ("archc.draw", "archc.expand", "archc.explain"):
        with pytest.raises(JsonRpcException):
            await client.workspace_execute_command_async(types.ExecuteCommandParams(command, [7]))


async def test_a_picture_follows_its_text(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "picture.arch", "input 3x8x8\nconv3-8\n")
    asked = types.ExecuteCommandParams("archc.draw", [{"uri": text.uri, "follow": True}])
    answer = await client.workspace_execute_command_async(asked)
    assert "8x6x6" in str(answer)
    following = client.protocol.wait_for_notification_async("archc/picture")
    text.replace("conv3-8", "conv3-24")
    picture = await asyncio.wait_for(following, 60)
    assert "24x6x6" in str(picture) and picture.uri == text.uri and picture.ok
    following = client.protocol.wait_for_notification_async("archc/picture")
    text.replace("conv3-24", "conv9-24")
    picture = await asyncio.wait_for(following, 60)
    assert not picture.ok and "conv9" in picture.svg  # as far as it is right, with what fails
    client.text_document_did_close(types.DidCloseTextDocumentParams(text.identifier))


async def test_use_stays_within_the_workspace(client: LanguageClient, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.arch").write_text("block secret() { relu }\n")
    (tmp_path / "net.arch").write_text("")
    outside = Text(client, tmp_path / "net.arch", 'use "secret.arch"\ninput 3x8x8\nsecret()\n')
    await outside.diagnostics(lambda held: "E0601" in codes(held))
    os.symlink(tmp_path / "secret.arch", folder / "linked.arch")
    for path in ("linked.arch", "../secret.arch", str(tmp_path / "secret.arch")):
        text = Text(client, folder / f"use{len(path)}.arch", f'use "{path}"\ninput 3x8x8\nrelu\n')
        await text.diagnostics(lambda held: "E0601" in codes(held))
    text = Text(client, folder / "fine.arch", 'use "std/residual.arch"\ninput 64x8x8\nbasic(64)\n')
    await text.diagnostics(lambda held: codes(held) == [])


async def test_settings_of_a_project_and_files_that_change(client: LanguageClient, folder: Path) -> None:
    project = folder / "project"
    project.mkdir()
    (project / "archc.toml").write_text('warnings-off = ["W0106"]\n')
    (project / "part.arch").write_text("block part() { conv3-8 }\n")
    text = Text(client, project / "net.arch", 'use "part.arch"\ninput 3x9x9\npart()\nconv3-8\nconv9-8\nfc-10\n')
    await text.diagnostics(lambda held: codes(held) == ["E0301"])
    assert await fixes(text, "conv9-8")  # the full check is done
    (project / "part.arch").write_text("block part() { conv1-8 }\n")
    text.replace("conv9-8", "conv7-8")
    changes = [types.FileEvent((project / "part.arch").as_uri(), types.FileChangeType.Changed)]
    client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(changes))
    await text.diagnostics(lambda held: codes(held) == [])
    await fixes(text, "conv3-8")
    assert codes(client.diagnostics[text.uri]) == []
    (project / "archc.toml").write_text("")
    client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(changes))
    await text.diagnostics(lambda held: "W0106" in codes(held))


async def test_nothing_is_written(client: LanguageClient, folder: Path) -> None:
    text = Text(client, folder / "unsaved.arch", SOUND)
    await text.diagnostics(lambda held: True)
    assert not text.path.exists()


def send(client: LanguageClient, body: bytes) -> None:
    client._server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def raw(client: LanguageClient, message: dict[str, Any]) -> Any:
    """Send a request that the client itself would not send, and return the answer."""
    number = f"raw{len(client.protocol._request_futures)}"
    answer = client.protocol._request_futures[number] = asyncio.get_running_loop().create_future()
    send(client, json.dumps({"jsonrpc": "2.0", "id": number, **message}).encode())
    return await asyncio.wait_for(answer, 20)


async def test_malformed_requests_are_answered(client: LanguageClient, folder: Path) -> None:
    for params in ({"x": 1}, [], None, {"textDocument": 3, "position": {"line": -1, "character": "a"}}):
        with pytest.raises(JsonRpcException, match="malformed"):
            await raw(client, {"method": "textDocument/hover", "params": params})
    with pytest.raises(JsonRpcException):
        await raw(client, {"method": "no/such", "params": {}})
    nowhere = types.TextDocumentIdentifier("untitled:nowhere")
    assert await client.text_document_hover_async(types.HoverParams(nowhere, types.Position(3, 4))) is None
    text = Text(client, folder / "far.arch", SOUND)
    far = types.Position(2**31 - 1, 2**31 - 1)
    assert await client.text_document_definition_async(types.DefinitionParams(text.identifier, far)) is None
    for garbage in (b"{", b"[1, 2]", b'"x"', b"\xff\xfe", json.dumps({"jsonrpc": "2.0", "method": "x/y", "params": {}}).encode()):
        send(client, garbage)
    assert text_of(await client.text_document_hover_async(types.HoverParams(**text.place("conv3-16"))))


async def test_untitled_texts_and_others_that_are_in_no_file(client: LanguageClient) -> None:
    uri = "untitled:Untitled-1"
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "arch", 1, "input 3x8x8\ncnov3-8\n")))
    assert "E0201" in codes(await found(client, uri, lambda held: len(held) > 0))
