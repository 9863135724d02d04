"""Networks of torchvision are read as texts about as short as our own files."""

from __future__ import annotations

import statistics

import pytest

from archc.bench.reading_lengths import names, rows

REFUSED = {"mvit_v1_b", "mvit_v2_s"}


def test_all_classifiers_are_measured() -> None:
    assert len(names()) >= 75


@pytest.mark.slow
def test_texts_are_about_as_short_as_ours() -> None:
    found = {name: lines / ours for name, lines, ours, _ in rows(names())}
    print("\n".join(f"{name:32} {ratio:.2f}" for name, ratio in found.items()))
    assert {name for name, ratio in found.items() if not ratio} <= REFUSED
    ratios = [ratio for ratio in found.values() if ratio]
    assert statistics.median(ratios) <= 1.3
    assert max(ratios) <= 2.0
