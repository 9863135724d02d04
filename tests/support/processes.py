"""Runs of training in several processes on this machine, forked from this one, which has imported all that they need."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable


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
    import signal

    import torch

    code = 1
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
