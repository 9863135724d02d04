"""The verb `bench`, and what measurements are summed up to: what is printed follows from what is shown."""

from __future__ import annotations

import re

from archc.bench import onnx_files
from archc.tests.support.commands import archc


def test_ratios_follow_from_the_times_that_are_shown() -> None:
    shown = archc("bench", "archs/lenet5_modern.arch", "--runs", "3").stdout
    rows = [line.split() for line in shown.splitlines() if re.match(r"\d ", line)]
    assert len(rows) == 3
    for _, time, ratio, *_ in rows:
        assert f"{float(rows[0][1]) / float(time):.2f}" == ratio


def test_the_verdict_on_onnx_files_names_those_that_are_slower() -> None:
    speeds = {"lenet5": 1.2, "resnet18": 0.98, "vgg11": 0.9, "unet": 1.05, "swin_t": 0.8}
    text = onnx_files.verdict([{"network": name, "ratio": ratio} for name, ratio in speeds.items()])
    assert text.startswith("5 networks: the median speed is 0.98 of that of torch's file, the least 0.80")
    assert text.endswith("slower by more than 3%: swin_t 0.80, vgg11 0.90")
    assert "no network" in onnx_files.verdict([])
    assert onnx_files.failed("WRONG: the outputs of the files differ") and not onnx_files.failed("torch's exporter refuses it: ...")
