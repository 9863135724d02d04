"""Links of the site: into the playground, from documents to files of the repository, and whether all lead somewhere."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
FENCED = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`)", re.M | re.S)


def fragment(text: str, name: str) -> str:
    """Return what follows the `#` of an address of the playground that opens a text.

    It is JSON, deflated, as `playground/src/share.js` reads it.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(json.dumps({"text": text, "name": f"{name}.arch"}).encode()) + packer.flush()
    return "t=" + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def rewritten(text: str, file: str, page: str, pages: dict[str, str], sources: set[str]) -> str:
    """Return the text of a document with the links of the site.

    `file` is its path in the repository, and `page` its path in the site. `pages` has the page of each file that is one; what is linked
    and is none is added to `sources`.
    """

    def moved(link: re.Match[str]) -> str:
        address, mark, anchor = link[0].partition("#")
        if re.match(r"[a-z]+:", address) or not address:
            return link[0]
        target = os.path.normpath(os.path.join(os.path.dirname(file), address))
        if target in pages:
            return relative(f"{pages[target]}.md", page) + mark + anchor
        if target.startswith("docs/") and not target.endswith((".py", ".arch", ".jinja")):
            return relative(target.removeprefix("docs/"), page)
        sources.add(target)
        return f"repository:{relative(f'source/{target}.html', page)}"

    parts = FENCED.split(text)
    return "".join(part if number % 2 else LINK.sub(moved, part) for number, part in enumerate(parts))


def relative(target: str, page: str) -> str:
    """Return the path of a file of the site, as seen from a page."""
    return os.path.relpath(target, os.path.dirname(page) or ".")


class _Page(HTMLParser):
    """What a page of HTML links to, and the names of its places."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the links and the identifiers of a tag."""
        for key, value in attrs:
            if value and key in ("href", "src", "data-live"):
                self.links.append(value)
            elif value and (key == "id" or (tag == "a" and key == "name")):
                self.places.add(value)


def broken(site: Path) -> list[str]:
    """Return the links within a built site that lead to no file, or to no place of one: `page.html: address`."""
    pages = {}
    for path in site.rglob("*.html"):
        if "playground" not in path.relative_to(site).parts[:1]:
            pages[path] = _Page()
            pages[path].feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            if re.match(r"[a-z-]+:|//", link):
                continue
            address, _, anchor = link.partition("#")
            target = (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            if target.is_dir():
                target /= "index.html"
            nowhere = anchor and target in pages and unquote(anchor) not in pages[target].places
            if nowhere or not target.is_file():
                found.append(f"{path.relative_to(site)}: {link}")
    return found
