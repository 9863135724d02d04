"""The error cases of `tests/cases/errors/` that only a lowering meets."""

from __future__ import annotations

import pytest

from archc.tests.support.error_cases import NEEDS_TORCH, holds


@pytest.mark.parametrize("name", NEEDS_TORCH)
def test_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holds(name, monkeypatch)
