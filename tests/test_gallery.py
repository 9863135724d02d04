"""The gallery: wrong files in tests/cases/errors/, each with its whole message (.txt) and its JSON beside it.

A first line `# archc check --set NAME=VALUE` or `# archc compile` says how a case is run. `ARCHC_WRITE=1` writes what is
said now, to be read before it is committed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from compiler.driver import check, parse_overrides
from dsl.diagnostics import CODES, ArchError, Diagnostic
from dsl.rendering import render_all
from tests.support import ROOT

FOLDER = ROOT / "tests/cases/errors"
CASES = sorted(path.name for path in FOLDER.glob("*.arch"))
WRITE = bool(os.environ.get("ARCHC_WRITE"))


def said(name: str) -> list[Diagnostic]:
    path = Path(name)
    head = path.read_bytes().splitlines()[:1] if path.is_file() else []
    words = head[0].decode(errors="replace").removeprefix("# archc ").split() if head and head[0].startswith(b"# archc ") else ["check"]
    settings = dict(word.split("=", 1) for flag, word in zip(words[1::2], words[2::2], strict=True) if flag == "--set")
    report = check(path, parse_overrides(settings, {}))
    if words[0] == "compile":
        from compiler.backends.torch_fx import lower

        with pytest.raises(ArchError) as caught:
            lower(report.graph)
        return list(caught.value.diagnostics)
    if not report.has_network and not report.warnings:
        from compiler.driver import require_network

        with pytest.raises(ArchError) as caught:
            require_network(report)
        return list(caught.value.diagnostics)
    return [*report.diagnostics, *report.warnings]


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    found = said(name)
    text = render_all(found) + "\n"
    data = json.dumps([d.to_json() for d in found], indent=1, ensure_ascii=False) + "\n"
    for suffix, now in ((".txt", text), (".json", data)):
        beside = FOLDER / Path(name).with_suffix(suffix)
        if WRITE:
            beside.write_text(now, encoding="utf-8")
        assert beside.read_text(encoding="utf-8") == now
    assert found[0].code == name[:5].upper()
    assert all(d.span is not None for d in found) or name.startswith("e0608")


def test_codes_and_cases_are_one_to_one() -> None:
    assert {name[:5].upper() for name in CASES} == set(CODES)
    assert len(CASES) >= 60
    assert {path.stem for path in FOLDER.iterdir()} == {Path(name).stem for name in CASES}
    for name in CASES:
        assert (FOLDER / Path(name).with_suffix(".txt")).exists()
        assert (FOLDER / Path(name).with_suffix(".json")).exists()
