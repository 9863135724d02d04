"""The error cases: every wrong file in `tests/cases/errors/` says what is beside it, and every code has a case."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.dsl.diagnostics import CODES
from archc.tests.support import ROOT
from archc.tests.support.error_cases import CASES, FOLDER, NEEDS_TORCH, WHOLE, holds

# Errors of no `.arch` file, and the tests that cause them.
ELSEWHERE = {"E0615": "tests/front/test_teams.py", "E0616": "tests/back/test_onnx.py"}


@pytest.mark.parametrize("name", sorted(set(CASES) - set(NEEDS_TORCH)))
def test_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holds(name, monkeypatch)


def test_codes_and_cases_are_one_to_one() -> None:
    assert {name[:5].upper() for name in CASES} == set(CODES) - set(ELSEWHERE)
    for code, path in ELSEWHERE.items():
        assert code in (ROOT / path).read_text(encoding="utf-8")
    assert len(CASES) >= 60
    assert {path.stem for path in FOLDER.iterdir()} == {Path(name).stem for name in CASES}
    for name in CASES:
        assert (FOLDER / Path(name).with_suffix(".txt")).exists()
    assert len(WHOLE) == 3
