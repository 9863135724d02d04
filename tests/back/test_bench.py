"""The verb `bench`: what it prints follows from what it shows."""

from __future__ import annotations

import re

from archc.tests.support.commands import archc


def test_ratios_follow_from_the_times_that_are_shown() -> None:
    shown = archc("bench", "archs/lenet5_modern.arch", "--runs", "3").stdout
    rows = [line.split() for line in shown.splitlines() if re.match(r"\d ", line)]
    assert len(rows) == 3
    for _, time, ratio, *_ in rows:
        assert f"{float(rows[0][1]) / float(time):.2f}" == ratio
