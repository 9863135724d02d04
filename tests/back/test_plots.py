"""Plots of families of networks, which matplotlib draws."""

from __future__ import annotations

from pathlib import Path

from archc.tests.support.commands import archc


def test_a_family_is_plotted_with_the_same_bytes_every_time(tmp_path: Path) -> None:
    files = [f"archs/resnet{n}.arch" for n in (18, 34)]
    drawn = tmp_path / "family.svg"
    archc("table", *files, "-o", str(drawn))
    assert "<svg" in drawn.read_text()
    first = drawn.read_bytes()
    archc("table", *files, "-o", str(drawn))
    assert drawn.read_bytes() == first
