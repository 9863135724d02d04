"""The configuration of Sphinx. `build.py` runs it on a folder that holds the documents and what is generated from the code."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.token import Text
from pygments.util import ClassNotFound
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from interface import fields_of
from links import fragment

import archc
from archc.ui.highlighting.lexer import ArchLexer

ROOT = Path(archc.__file__).resolve().parent

KOREAN = "learn/ko/"

project = "archc"
author = copyright = ""
version = release = archc.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_*"]
root_doc = "index"

html_theme = "furo"
html_title = f"archc {release}"
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block"]
myst_url_schemes = {"http": None, "https": None, "mailto": None, "repository": "{{path}}"}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
python_display_short_literal_types = True
python_maximum_signature_line_length = 100


class WrongLexer(ArchLexer):
    """The language in examples of what is wrong."""

    name = "archc, wrong"
    aliases: ClassVar = ["arch-error"]
    filenames: ClassVar = []
    tokens: ClassVar = {"root": [*ArchLexer.tokens["root"], (r".", Text)]}


def setup(app: Sphinx) -> None:
    """Register lexers, the links into the playground, and the pages of source files."""
    app.add_lexer("arch", ArchLexer)
    app.add_lexer("arch-error", WrongLexer)
    for name in ("lark", "mermaid"):
        app.add_lexer(name, TextLexer)
    app.add_config_value("playground", False, "html", bool)
    app.connect("doctree-resolved", add_playground)
    app.connect("html-collect-pages", source_pages)
    app.connect("html-page-context", set_language)
    app.connect("autodoc-process-docstring", plain_docstring)


def add_playground(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Put a link into the playground below every program; a script turns it into a frame of the page."""
    if not app.config.playground:
        return
    up = "../" * page.count("/")
    for block in list(tree.findall(nodes.literal_block)):
        if block.get("language") not in ("arch", "arch-error"):
            continue
        text = block.astext() + "\n"
        name = re.search(r"^arch (\w+)", text, re.M)
        address = f"{up}playground/#{fragment(text, name[1] if name else 'network')}"
        words = "여기서 고쳐 보기" if page.startswith(KOREAN) else "Change it here"
        link = f'<p class="try"><a href="{escape(address)}" target="_blank" rel="noopener">{words}</a></p>'
        block.parent.insert(block.parent.index(block) + 1, nodes.raw("", link, format="html"))


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page for every file and folder of the repository that a document links to."""
    formatter = HtmlFormatter(linenos=False)
    for path in json.loads((Path(app.srcdir) / "_sources.json").read_text(encoding="utf-8")):
        place = ROOT / path
        if place.is_dir():
            rows = "".join(
                f"<li><code>{escape(each.name)}{'/' * each.is_dir()}</code> {escape(about(each))}</li>" for each in inside(place)
            )
            body = f"<h1>{escape(path)}/</h1><ul>{rows}</ul>"
        else:
            text = place.read_text(encoding="utf-8")
            try:
                lexer = get_lexer_for_filename(path)
            except ClassNotFound:
                lexer = TextLexer()
            body = f"<h1>{escape(path)}</h1>{highlight(text, lexer, formatter)}"
        yield f"source/{path}", {"title": path, "body": body, "parents": []}, "page.html"


def inside(folder: Path) -> list[Path]:
    """Return what is in a folder of the repository, without what tools leave there."""
    return sorted(
        path for path in folder.iterdir() if not path.name.startswith((".", "__pycache__", "node_modules")) and path.name != "dist"
    )


def about(path: Path) -> str:
    """Return the first line of the docstring of a Python file or package, or ""."""
    file = path / "__init__.py" if path.is_dir() else path
    found = re.match(r'"""(.*?)(?:"""|\n)', file.read_text(encoding="utf-8")) if file.suffix == ".py" and file.is_file() else None
    return found[1] if found else ""


def set_language(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: object) -> None:
    """Say that the Korean pages are Korean."""
    if page.startswith(KOREAN):
        context["language"] = "ko"


def plain_docstring(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText, and list the fields of a class with their types and comments."""
    text = restructured("\n".join(lines))
    for field, type_, words in fields_of(value) if isinstance(value, type) else ():
        text += f"\n* ``{field}``: ``{type_}``{', ' * bool(words)}{restructured(words)}"
    lines[:] = [*text.split("\n"), ""]


def restructured(text: str) -> str:
    """Return plain text with code in backticks as reStructuredText has it."""
    parts = re.split(r"(`[^`\n]+`)", text)
    return "".join(f"`{part}`" if part.startswith("`") else re.sub(r"([*|\\])|(\w)_(?!\w)", escaped, part) for part in parts)


def escaped(found: re.Match[str]) -> str:
    """Return a character that reStructuredText would read as markup, escaped."""
    return f"\\{found[1]}" if found[1] else f"{found[2]}\\_"
