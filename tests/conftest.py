"""Fixtures of both rooms of tests. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.tests.support.commands import TINY


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.arch"
    path.write_text(TINY)
    return path
