"""Training on two machines: two of torchrun's agents, each in a folder of its own, over loopback; one loses its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from archc.tests.support import ROOT
from archc.tests.support.training import free_port
from archc.training import checkpoint

NET = 'arch net "a small network"\ninput 1x8x8\nconv3-8(pad=same, act=relu); maxpool; flatten; fc-10\n'
RECIPE = 'epochs = 6\nbatch = 120\nrate = 1e-2\nseed = 3\nclip = 1.0\noptimizer = {name = "adamw"}\n'
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def machines(folder: Path, restarts: int) -> list[subprocess.Popen[bytes]]:
    """Start an agent with one worker for each of two machines, whose folders are apart."""
    port, started = free_port(), []
    for number in range(2):
        place = folder / f"machine{number}"
        place.mkdir(parents=True)
        (place / "net.arch").write_text(NET)
        (place / "r.toml").write_text(RECIPE)
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
        command += ["--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "test", "--max-restarts", str(restarts), str(ROOT / "cli.py")]
        command += ["train", "net.arch", "--data", "digits", "--recipe", "r.toml", "--every", "1", "--resume", "-o", "run"]
        with open(place / "told", "wb") as told:
            started.append(subprocess.Popen(command, cwd=place, stdout=told, stderr=told, env=ENVIRONMENT))
    return started


def told(folder: Path) -> str:
    return "\n".join((folder / f"machine{number}/told").read_text()[-3000:] for number in range(2))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """What the machine of the first process has written; the other one writes nothing."""
    (found,) = folder.glob(f"machine*/run/{checkpoint.FINAL}")
    return load_file(found)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the worker of an agent is found in /proc")
def test_a_machine_that_loses_its_worker_goes_on_with_the_other(tmp_path: Path) -> None:
    """Only the machine whose worker died counts a restart, and only the first process has the state: both go on from it."""
    whole = machines(tmp_path / "whole", 0)
    assert [run.wait(300) for run in whole] == [0, 0], told(tmp_path / "whole")
    cut = machines(tmp_path / "cut", 1)
    while not (states := list((tmp_path / "cut").glob(f"machine*/run/{checkpoint.LAST}"))):
        assert all(run.poll() is None for run in cut), told(tmp_path / "cut")
        time.sleep(0.05)
    other = 1 - int(states[0].parts[-3].removeprefix("machine"))
    agent = cut[other].pid
    (worker,) = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    assert [run.wait(300) for run in cut] == [0, 0] and "resumed at step" in told(tmp_path / "cut"), told(tmp_path / "cut")
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
