"""Pictures of what an editor shows, drawn from what the language server answers over stdio: `docs/editors/NAME.svg`.

`docs/build.py` writes them, and says where one is out of date.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html import escape
from itertools import groupby
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient
from pygments.styles import get_style_by_name

from archc.ui.highlighting.lexer import ArchLexer

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/editors"
WAIT = 120  # seconds

WRONG = "input 3x32x32\nconv3-16(pad=1); relu\nconv3-32(pad=1, groups=3); relu\nmaxpool2\nfc-10\n"
SOUND = """\
block unit(w, s=1) {
  conv3-{w}/{s}(pad=1, bias=no); bn
  relu
}
input 3x32x32
unit(16)
residual<unit(16) x2>
unit(32, s=2)
fc-10
"""

Box = tuple[int, int, list[str]]  # below a line, from a column on: some lines of text


@dataclass
class View:
    """A text as an editor shows it; lines and columns count from 0."""

    title: str
    text: str
    errors: list[types.Range] = field(default_factory=list)
    hints: dict[int, str] = field(default_factory=dict)
    box: Box = (0, 0, [])


# ---- what the server answers


class Session:
    """One server, and the diagnostics that it has published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("pictures", "1")
        self.found: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(partial(self.found.put_nowait))

    async def __aenter__(self) -> Session:
        env = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
        await self.client.start_io(sys.executable, str(ROOT / "cli.py"), "lsp", env=env)
        asked = types.InitializeParams(types.ClientCapabilities(), root_uri=self.folder.as_uri())
        await asyncio.wait_for(self.client.initialize_async(asked), WAIT)
        self.client.initialized(types.InitializedParams())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()

    def open(self, name: str, text: str) -> types.TextDocumentIdentifier:
        """Open a text."""
        uri = (self.folder / name).as_uri()
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "arch", 1, text)))
        return types.TextDocumentIdentifier(uri)

    async def error(self, document: types.TextDocumentIdentifier) -> types.Diagnostic:
        """Return the one error of a text."""
        while True:
            held = await asyncio.wait_for(self.found.get(), WAIT)
            if held.uri == document.uri and held.diagnostics:
                (found,) = held.diagnostics
                return found


async def _error(session: Session) -> View:
    document = session.open("wrong.arch", WRONG)
    found = await session.error(document)
    context = types.CodeActionContext([found], only=[types.CodeActionKind.QuickFix])
    asked = types.CodeActionParams(document, found.range, context)
    fixes = [each.title for each in await session.client.text_document_code_action_async(asked) or ()]
    words = [f"{found.severity.name.lower() if found.severity else ''} {found.code}", *found.message.split("\n")]
    box = (found.range.start.line, found.range.start.character, [*words, "", "Quick fix", *(f"  {title}" for title in fixes)])
    return View("An error, and repairs that were tried on the whole file", WRONG, errors=[found.range], box=box)


async def _hints(session: Session) -> View:
    document = session.open("sound.arch", SOUND)
    whole = types.Range(types.Position(0, 0), types.Position(SOUND.count("\n"), 0))
    hints = await session.client.text_document_inlay_hint_async(types.InlayHintParams(document, whole))
    return View("Shapes at line ends", SOUND, hints={each.position.line: str(each.label) for each in hints or ()})


async def _hover(session: Session) -> View:
    document = session.open("hover.arch", SOUND)
    words = "unit(32, s=2)"
    line = SOUND[: SOUND.index(words)].count("\n")
    hover = await session.client.text_document_hover_async(types.HoverParams(document, types.Position(line, 1)))
    assert hover is not None and isinstance(hover.contents, types.MarkupContent)
    return View("What is under the pointer", SOUND, box=(line, 0, list(_plain(hover.contents.value))))


def _plain(markdown: str) -> Iterator[str]:
    """Yield the lines of a text in Markdown without its signs, tables as columns."""
    lines = [re.sub(r"\*\*|`|^#+ ", "", line) for line in markdown.split("\n") if not line.startswith("```")]
    for is_table, group in groupby(lines, lambda line: line.startswith("|")):
        if not is_table:
            yield from group
            continue
        head, rule, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in group]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for row in (head, *rows):
            cells = zip(row, rule, widths, strict=True)
            yield "  ".join(cell.rjust(width) if side.endswith(":") else cell.ljust(width) for cell, side, width in cells).rstrip()


async def _views() -> dict[str, View]:
    with tempfile.TemporaryDirectory() as name:
        async with Session(Path(name).resolve()) as session:
            return {"error": await _error(session), "hints": await _hints(session), "hover": await _hover(session)}


# ---- drawing

CHARACTER, LINE, SIZE = 8.4, 22, 14
LEFT, TOP = 44, 34  # where the text begins
WIDEST = 88  # characters of a line in a box
INK, FAINT, PAPER, RED = "#24292f", "#6e7781", "#ffffff", "#cf222e"


def _text(x: float, y: float, words: str, fill: str, inner: str = "") -> str:
    """Return a line of text, as wide as its characters whatever the font."""
    length = f'textLength="{len(words) * CHARACTER:.1f}" lengthAdjust="spacingAndGlyphs"'
    text = re.sub(r"[^<>]+(?=<|$)", lambda part: part[0].replace(" ", "\N{NO-BREAK SPACE}"), inner or escape(words))  # browsers join others
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" {length}>{text}</text>' if words.strip() else ""


def _colored(line: str) -> str:
    """Return a line of a program as spans of the colors that Pygments gives it."""
    style = get_style_by_name("default")
    spans = []
    for kind, words in ArchLexer(stripnl=False, ensurenl=False).get_tokens(line):
        color = style.style_for_token(kind)["color"]
        spans.append(f'<tspan fill="#{color}">{escape(words)}</tspan>' if color else escape(words))
    return "".join(spans)


def _wave(x: float, y: float, length: float) -> str:
    """Return the wavy line below an error."""
    steps = max(1, int(length / 3))
    points = " ".join(f"{x + 3 * step:.1f},{y + (2 if step % 2 else 0):.1f}" for step in range(steps + 1))
    return f'<polyline points="{points}" fill="none" stroke="{RED}"/>'


def _boxed(box: Box, y: float) -> tuple[list[str], float, float]:
    """Return what shows a box below a line, its right edge and its height."""
    _, column, words = box
    lines = [part for line in words for part in textwrap.wrap(line, WIDEST, subsequent_indent="  ") or [""]]
    while lines and not lines[-1]:
        lines.pop()
    x, width, height = LEFT + column * CHARACTER, max(map(len, lines)) * CHARACTER + 20, len(lines) * LINE + 14
    drawn = [f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="4" fill="#f6f8fa" stroke="#afb8c1"/>']
    drawn += [_text(x + 10, y + 21 + row * LINE, line, INK) for row, line in enumerate(lines)]
    return drawn, x + width, height + 10


def drawn(view: View) -> str:
    """Return a view as SVG."""
    lines = view.text.rstrip("\n").split("\n")
    body: list[str] = [_text(16, 22, view.title, FAINT)]
    y, right = float(TOP), LEFT + len(view.title) * CHARACTER
    below, _, words = view.box
    for number, line in enumerate(lines):
        base = y + 16
        body += [_text(16, base, f"{number + 1:2}", FAINT), _text(LEFT, base, line, INK, _colored(line))]
        end = LEFT + len(line) * CHARACTER
        for place in (each for each in view.errors if each.start.line == number):
            length = (place.end.character - place.start.character) * CHARACTER
            body.append(_wave(LEFT + place.start.character * CHARACTER, base + 4, length))
        if hint := view.hints.get(number):
            width = len(hint) * CHARACTER + 10
            body.append(f'<rect x="{end + 10:.1f}" y="{y:.1f}" width="{width:.1f}" height="20" rx="4" fill="#eaeef2"/>')
            body.append(_text(end + 15, base, hint, FAINT))
            end += width + 10
        y += LINE
        if words and number == below:
            shown, edge, height = _boxed(view.box, y)
            body += shown
            y, end = y + height, max(end, edge)
        right = max(right, end)
    width, height = right + 16, y + 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
            f'role="img" aria-label="{escape(view.title)}" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="{SIZE}">',
            f'<rect width="100%" height="100%" rx="6" fill="{PAPER}" stroke="#d0d7de"/>',
            *filter(None, body),
            "</svg>\n",
        ]
    )


def pictures() -> dict[Path, str]:
    """Return the pictures, by where they belong."""
    return {FOLDER / f"{name}.svg": drawn(view) for name, view in asyncio.run(_views()).items()}
