"""Wrong files in tests/cases/errors/, each with its whole message beside it (.txt).

A first line `# archc check --set NAME=VALUE`, `--max-nodes N`, `# archc compile` or `# archc run SHAPE...` says how a case is
run. `ARCHC_WRITE=1` writes the messages as they are now, to be read before they are committed. The JSON of a diagnostic states
the same record, so it is held against the text of every case, and whole for the few cases that have a .json.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from archc.compiler.driver import check, parse_overrides
from archc.compiler.elaborate.elaboration import Limits
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.errors import ArchError
from archc.dsl.rendering import render_all
from archc.tests.support import ROOT

FOLDER = ROOT / "tests/cases/errors"
CASES = sorted(path.name for path in FOLDER.glob("*.arch"))
WHOLE = sorted(path.name for path in FOLDER.glob("*.json"))
WRITE = bool(os.environ.get("ARCHC_WRITE"))


def words(name: str) -> list[str]:
    """The verb of a case and its options."""
    path = FOLDER / name
    head = path.read_bytes().splitlines()[:1] if path.is_file() else []
    return head[0].decode(errors="replace").removeprefix("# archc ").split() if head and head[0].startswith(b"# archc ") else ["check"]


NEEDS_TORCH = [name for name in CASES if words(name)[0] == "compile"]


def said(name: str) -> list[Diagnostic]:
    """Run a case in its folder and return what it is told."""
    verb, *given = words(name)
    options = list(zip(given[::2], given[1::2], strict=False))
    settings = dict(word.split("=", 1) for flag, word in options if flag == "--set")
    limits = Limits(**{flag.removeprefix("--").replace("-", "_"): int(word) for flag, word in options if flag.startswith("--max-")})
    report = check(Path(name), parse_overrides(settings, {}), limits)
    if verb == "run":
        from archc.compiler.analysis.misfit import misfit

        wrong = misfit(report.graph, [tuple(int(size) for size in shape.split("x")) for shape in given])
        assert report.ok and wrong is not None
        return [wrong]
    if verb == "compile":
        from archc.compiler.backends.torch.lower import lower

        with pytest.raises(ArchError) as caught:
            lower(report.graph)
        return list(caught.value.diagnostics)
    if not report.has_network and not report.warnings:
        from archc.compiler.driver import require_network

        with pytest.raises(ArchError) as caught:
            require_network(report)
        return list(caught.value.diagnostics)
    return [*report.diagnostics, *report.warnings]


def holds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages of a case are those beside it, as text and as JSON."""
    monkeypatch.chdir(FOLDER)
    found = said(name)
    text = render_all(found) + "\n"
    data = [d.to_json() for d in found]
    assert json.loads(json.dumps(data)) == data
    _hold(Path(name).with_suffix(".txt"), text)
    if Path(name).with_suffix(".json").name in WHOLE:
        _hold(Path(name).with_suffix(".json"), json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    for entry in data:
        _agrees_with_its_text(entry, text)
    assert found[0].code == name[:5].upper()
    assert all(d.span is not None for d in found) or name.startswith("e0608")


def _hold(path: Path, now: str) -> None:
    """A golden file beside the case, written anew where that is asked for."""
    if WRITE:
        path.write_text(now, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == now


def _agrees_with_its_text(entry: dict[str, Any], text: str) -> None:
    """A diagnostic as JSON says what its text says, and its places and edits are places of the file."""
    assert f"[{entry['code']}]: {entry['message']}" in text
    for note in entry["notes"]:
        assert note in text
    places = [entry["place"], *(related["place"] for related in entry["related"])]
    places += [edit["place"] for repair in entry["repairs"] for edit in repair["edits"]]
    for place in filter(None, places):
        if (file := FOLDER / place["file"]).is_file():
            characters = file.read_bytes().decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")
            before = characters[: place["start"]]
            assert 0 <= place["start"] <= place["end"] <= len(characters) + 1
            assert (place["line"], place["column"]) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
