"""Several PDFs of one page each, as Graphviz writes them by cairo, as the pages of one PDF.

This reads what cairo writes and no other PDF: a table of all objects, none of them within another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_START = re.compile(rb"startxref\s+([0-9]+)\s+%%EOF\s*\Z")
_TABLE = re.compile(rb"xref\s+0 ([0-9]+)\s+")
_ENTRY = re.compile(rb"([0-9]{10}) [0-9]{5} ([nf])\s{1,2}")
_HEAD = re.compile(rb"([0-9]+) 0 obj\s")
_REFERENCE = re.compile(rb"\b([0-9]+) 0 R\b")
_KIND = re.compile(rb"/Type\s*/(Pages|Page|Catalog)\b")
_PARENT = re.compile(rb"/Parent [0-9]+ 0 R")


class NotCairos(Exception):
    """A PDF has another form than those that are read here."""


def joined(documents: Sequence[bytes]) -> bytes:
    """Return one PDF with the pages of several. Raises NotCairos for one that is not of the form that cairo writes."""
    if len(documents) == 1:
        return documents[0]
    objects: list[bytes] = [b"", b""]  # the catalog and the list of pages, which have the numbers 1 and 2
    kids: list[int] = []
    for document in documents:
        found = _objects(document)
        kept = {number: body for number, body in found.items() if _kind(body) not in (b"Pages", b"Catalog")}
        moved = {number: len(objects) + place for place, number in enumerate(kept, start=1)}
        for number, body in kept.items():
            page = _kind(body) == b"Page"
            if page:
                kids.append(moved[number])
            objects.append(_renumbered(body, moved, page))
    if len(kids) != len(documents):
        raise NotCairos(f"{len(documents)} documents have {len(kids)} pages")
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[0] = b"<< /Type /Catalog\n   /Pages 2 0 R\n>>"
    objects[1] = b"<< /Type /Pages\n   /Kids [ %s ]\n   /Count %d\n>>" % (listed, len(kids))
    return _written(documents[0][: documents[0].index(b"\n")], objects)


def _objects(document: bytes) -> dict[int, bytes]:
    """Return the objects of a document by number, as they are written."""
    start = _START.search(document)
    table = _TABLE.match(document, int(start[1])) if start else None
    if table is None or b"/ObjStm" in document or b"/Encrypt" in document:
        raise NotCairos("a PDF has no table of all its objects")
    entries = _ENTRY.findall(document, table.end())[: int(table[1])]
    places = sorted(int(place) for place, kind in entries if kind == b"n")
    found = {}
    for place, end in zip(places, [*places[1:], int(start[1]) if start else 0], strict=True):
        head = _HEAD.match(document, place)
        body = document[head.end() : end].rstrip() if head else b""
        if head is None or not body.endswith(b"endobj"):
            raise NotCairos("the table of a PDF does not lead to its objects")
        found[int(head[1])] = body.removesuffix(b"endobj").rstrip()
    return found


def _split(body: bytes) -> tuple[bytes, bytes]:
    """Return an object without its stream, and its stream."""
    before, mark, stream = body.partition(b"stream\n")
    return before, mark + stream


def _kind(body: bytes) -> bytes:
    found = _KIND.search(_split(body)[0])
    return found[1] if found else b""


def _renumbered(body: bytes, moved: dict[int, int], page: bool) -> bytes:
    before, stream = _split(body)
    if page:
        before = _PARENT.sub(b"/Parent 0 0 R", before)
    before = _REFERENCE.sub(lambda found: b"%d 0 R" % (moved[int(found[1])] if int(found[1]) else 2), before)
    return before + stream


def _written(head: bytes, objects: Sequence[bytes]) -> bytes:
    parts = [head + b"\n%\xb5\xed\xae\xfb\n"]
    places = []
    at = len(parts[0])
    for number, body in enumerate(objects, start=1):
        places.append(at)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        at += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    parts.append(
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d\n   /Root 1 0 R\n>>\nstartxref\n%d\n%%%%EOF\n" % (size, table, size, at)
    )
    return b"".join(parts)
