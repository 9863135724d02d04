"""Runs of training on made images, also in several processes, forked from this one, which has imported all that they need."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from archc.training.data import Samples


class Told:
    """Collects what a run tells, and may end it."""

    def __init__(self, stop_at: int = 0) -> None:
        self.notes: list[str] = []
        self.epochs: list[dict[str, Any]] = []
        self.stop_at = stop_at

    def step(self, row: Any, steps: int) -> None:
        if row["step"] == self.stop_at:
            raise KeyboardInterrupt

    def epoch(self, row: Any) -> None:
        self.epochs.append(dict(row))

    def note(self, text: str) -> None:
        self.notes.append(text)


def samples(count: int = 240, classes: int = 10, shift: int = 0) -> Samples:
    """Return images of 8x8 pixels with a bright row for their class, where there is one, and noise."""
    drawn = np.random.default_rng(shift)
    labels = np.arange(count) % classes
    images = drawn.integers(0, 60, (count, 8, 8)).astype(np.uint8)
    images[np.arange(count), labels % 8] += (150 - 50 * (labels >= 8))[:, None].astype(np.uint8)
    return Samples(images, labels.tolist(), tuple(map(str, range(classes))), "made")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def forked(count: int, run: Callable[[int], None], timeout: float = 240) -> None:
    """Run a function in so many processes with the environment of torchrun; assert that none of them fails. It takes the rank."""
    port = free_port()
    children = []
    for rank in range(count):
        child = os.fork()
        if not child:
            _child(rank, count, port, run, timeout)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * count, f"the processes ended with {codes}"


def _child(rank: int, count: int, port: int, run: Callable[[int], None], timeout: float) -> None:
    code = 1
    faulthandler.enable(file=sys.__stderr__)
    try:
        signal.alarm(int(timeout))
        torch.set_num_threads(1)
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        os.environ |= {"GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
        run(rank)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
