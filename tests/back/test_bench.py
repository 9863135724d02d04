"""The verb `bench`, and what measurements are summed up to: what is printed follows from what is shown."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
import torch

from archc import load
from archc.bench import onnx_files
from archc.compiler.backends.torch.timing import on_threads
from archc.tests.support import ROOT
from archc.tests.support.commands import archc


def test_ratios_follow_from_the_times_that_are_shown() -> None:
    shown = archc("bench", "archs/lenet5_modern.arch", "--runs", "3").stdout
    rows = [line.split() for line in shown.splitlines() if re.match(r"\d ", line)]
    assert len(rows) == 3
    for _, time, ratio, *_ in rows:
        assert f"{float(rows[0][1]) / float(time):.2f}" == ratio


def test_batches_and_threads_are_swept() -> None:
    """A row for each number of threads, of samples and level; ratios are those of the times in the same sweep."""
    found = load(ROOT / "archs/lenet5.arch").bench(batch=(1, 3), threads=(1,), runs=2, upto=1, device="cpu")
    assert [(row.threads, row.batch, row.level) for row in found] == [(1, 1, 0), (1, 1, 1), (1, 3, 0), (1, 3, 1)]
    for plain, fast in zip(found.levels[::2], found.levels[1::2], strict=True):
        assert plain.ratio == 1 and fast.ratio == plain.seconds / fast.seconds
    for row in found:
        assert row.lower <= row.seconds * 1.001 and row.seconds <= row.upper * 1.001 and row.upper <= row.p95
    assert found.levels[2].peak == 3 * found.levels[0].peak  # type: ignore[operator]
    assert "batch   level" in found.text() and "threads" not in found.text().splitlines()[1]
    calm = replace(found, levels=tuple(replace(row, lower=row.seconds, upper=row.seconds) for row in found))
    first = replace(calm.levels[0], upper=2 * calm.levels[0].lower)
    assert "idle machine" not in calm.text(40) and max(map(len, calm.text(200).splitlines())) <= 200
    assert "In one row the quartiles differ by more than" in replace(calm, levels=(first, *calm.levels[1:])).text()
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert [(row["batch"], row["level"], float(row["seconds"])) for row in rows] == [(str(r.batch), str(r.level), r.seconds) for r in found]
    assert found.markdown().count("\n|") == 6 and r"\toprule" in found.latex() and found._repr_html_().count("<tr>") == 5
    before = torch.get_num_threads()
    with on_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--batch", "1,x"], "--batch takes a number, or several: 1,8,64; this is 1,x"),
        (["--batch", "0"], "--batch is a whole number, 1 or more, not 0"),
        (["--threads", "5000"], "not 5000: this process may use"),
    ],
)
def test_wrong_sweeps_are_refused(option: list[str], message: str) -> None:
    assert message in archc("bench", "archs/lenet5.arch", *option, code=2).stderr


def test_the_verdict_on_onnx_files_names_those_that_are_slower() -> None:
    speeds = {"lenet5": 1.2, "resnet18": 0.98, "vgg11": 0.9, "unet": 1.05, "swin_t": 0.8}
    text = onnx_files.verdict([{"network": name, "ratio": ratio} for name, ratio in speeds.items()])
    assert text.startswith("5 networks: the median speed is 0.98 of that of torch's file, the least 0.80")
    assert text.endswith("slower by more than 3%: swin_t 0.80, vgg11 0.90")
    assert "no network" in onnx_files.verdict([])
    assert onnx_files.failed("WRONG: the outputs of the files differ") and not onnx_files.failed("torch's exporter refuses it: ...")
