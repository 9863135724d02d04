"""The command that runs all that waits for a GPU: on a CPU, on a small network, and what it does with results that are wrong or late."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from archc.bench import gpu, gpu_page, gpu_work
from archc.tests.support.sleeping import sleeping


def test_every_kind_is_planned_for_every_network_and_setting() -> None:
    chosen = gpu.arguments([])
    planned = list(gpu.items(chosen))
    assert {item["kind"] for item in planned} == set(gpu_work.WORK) and len({gpu.key(item) for item in planned}) == len(planned)
    compared = {item["network"] for item in planned if item["kind"] == "equality"}
    assert compared == {path.stem for path in (gpu.ROOT / "archs").glob("*.arch")}
    assert all(item["dtypes"] == ["float32", "tf32", "bfloat16", "float16"] for item in planned if item["kind"] == "equality")
    timed = {(item["network"], item["batch"]) for item in planned if item["kind"] == "levels"}
    assert {batch for _, batch in timed} == {1, 8, 64, 256} and {"resnet50", "vit_b_16"} <= {name for name, _ in timed}


def test_what_is_wrong_is_seen() -> None:
    part = {"dtype": "float32", "error": 1e-7, "from_peer": 0.0, "near": True}
    row: dict[str, Any] = {"kind": "equality", "network": "net", "dtypes": ["float32"], "rows": [part]}
    assert not gpu_page.wrong(row) and gpu_page.wrong({**row, "rows": [part, {**part, "near": False}]})
    assert gpu_page.wrong({"kind": "verify", "held": False}) and gpu_page.wrong({"kind": "levels", "problem": "AssertionError: far"})
    assert not gpu_page.wrong({"kind": "levels", "problem": "out of memory: of 139 GiB"})
    text = gpu_page.page(
        {"machine": "a GPU", "rows": [{**row, "rows": [{**part, "near": False}]}, {"kind": "levels", "problem": "it died"}]}, 7
    )
    assert "**too large**" in text and "it died" in text and "7 items are not measured yet" in text


@pytest.mark.slow
def test_an_item_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_work, "done", sleeping)
    worker = gpu.Worker("cpu")
    begin = time.monotonic()
    assert worker.measured({"kind": "levels"}, 0.5)["problem"] == "not done in 0 seconds" and time.monotonic() - begin < 60


@pytest.mark.slow
def test_it_runs_on_a_cpu_and_goes_on_where_it_was(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--only", "lenet5_modern", "resnet18", "--dtypes", "float32", "bfloat16"]
    options += ["--batches", "1", "--upto", "2", "--out", str(out)]
    assert gpu.main([*options, "--minutes", "0.0001"]) == 0 and "not measured yet: run it again" in capsys.readouterr().out
    assert gpu.main(options) == 0, out.read_text()
    rows = json.loads(out.read_text())["rows"]
    assert not any("problem" in row for row in rows)
    assert {row["kind"] for row in rows} == {"equality", "memory", "levels", "training", "verify"}
    compared = {row["network"]: row["rows"] for row in rows if row["kind"] == "equality"}
    assert all(part["near"] for parts in compared.values() for part in parts)
    assert [part["from_peer"] for part in compared["resnet18"]] == [0.0, 0.0] and compared["lenet5_modern"][0]["from_peer"] is None
    page = out.with_suffix(".md").read_text()
    assert all(head in page for head in ("## Compared with", "## Memory", "## Speed", "## A step", "## What `archc compile --verify` says"))
    capsys.readouterr()
    assert gpu.main(options) == 0 and capsys.readouterr().out == ""
