"""The processes of a run: those that torchrun started, connected again after each restart, and what is said when one of them is lost."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import torch
from torch import distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

WAIT = 600.0  # seconds until processes that do not come are given up
PAUSE = 0.05  # seconds between two looks at the store
# Words in what torch says of a lost peer.
LOST = (
    "gloo",
    "NCCL",
    "Connection closed",
    "Connection reset",
    "Broken pipe",
    "TCPStore",
    "recvValue",
)


class ProcessLost(RuntimeError):
    """Another process of the run has ended, or does not answer."""


def joined(store: Any, rank: int, world: int, wait: float = WAIT) -> str:
    """Return a name that all processes of this start share, and none of an earlier one. Raises ProcessLost.

    torchrun keeps its store over restarts, so there are addresses in it of processes that have ended, under the keys of those that take
    their places. Here every process has a name that nobody had before. The first one accepts each of the others by its name, until all
    have answered; what an earlier process left under a key is accepted, too, but it never answers.
    """
    end = monotonic() + wait
    if rank:
        name = uuid4().hex
        store.set(f"archc/joins/{rank}", name)
        _until(lambda: store.check([f"archc/accepts/{name}"]), end)
        common: str = store.get(f"archc/accepts/{name}").decode()
        store.set(f"archc/answers/{common}/{rank}", "1")
        return common
    common = uuid4().hex
    waiting = set(range(1, world))

    def all_answered() -> bool:
        for other in sorted(waiting):
            if store.check([f"archc/joins/{other}"]):
                store.set(f"archc/accepts/{store.get(f'archc/joins/{other}').decode()}", common)
            if store.check([f"archc/answers/{common}/{other}"]):
                waiting.discard(other)
        return not waiting

    _until(all_answered, end)
    return common


def _until(done: Callable[[], bool], end: float) -> None:
    while not done():
        if monotonic() > end:
            raise ProcessLost("the other processes of the run do not come: were all of them started?")
        sleep(PAUSE)


def connect(cuda: bool) -> None:
    """Connect the processes of torchrun, which state themselves in the environment; a single one has nothing to connect to."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or not distributed.is_torchelastic_launched() or distributed.is_initialized():
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if cuda:
        torch.cuda.set_device(local)
    with lost_processes(world):
        store, _, _ = next(iter(rendezvous("env://", rank, world)))
        own = PrefixStore(joined(store, rank, world), store)
        distributed.init_process_group("nccl" if cuda else "gloo", store=own, rank=rank, world_size=world)
    if cuda:
        atexit.register(_left)


def _left() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def share_buffers(module: nn.Module) -> None:
    """Give all processes the buffers of the first one."""
    if distributed.is_initialized():
        for buffer in module.buffers():
            distributed.broadcast(buffer, 0)


@contextmanager
def lost_processes(world: int) -> Iterator[None]:
    """Turn what torch says where one of several processes is lost into ProcessLost."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if world == 1 or isinstance(error, ProcessLost):
            raise
        if not isinstance(error, distributed.DistError) and not any(word in text for word in LOST):
            raise
        raise ProcessLost(f"another process of the run has ended, or cannot be reached ({_last_clause(text.splitlines())})") from None


def _last_clause(lines: Sequence[str]) -> str:
    """Return the first line without the place in torch's own source that it begins with."""
    first = lines[0] if lines else "no reason is given"
    return first.rpartition("] ")[2] if first.startswith("[") else first
