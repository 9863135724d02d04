"""Measure the memory of activations: by tracking tensors on the CPU, by the allocator on a GPU."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Track the storages that operators allocate while the mode is on: `live` bytes now, and `peak` bytes at once."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self.seen: set[int] = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._enter(tensor.untyped_storage())
        return result

    def _enter(self, storage: Any) -> None:
        key = storage._cdata
        if key in self.seen:
            return
        self.seen.add(key)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        self.entered(key, size)
        weakref.finalize(storage, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.live -= size
        self.left(key, size)

    def entered(self, key: int, size: int) -> None:
        """Take note of a storage that has just been allocated, after the sums have changed."""

    def left(self, key: int, size: int) -> None:
        """Take note of a storage that has just been freed."""


def activations(module: nn.Module, inputs: tuple[Tensor, ...], training: bool) -> int:
    """Return the bytes of activations: the peak at inference or, in training, those alive at the end of the forward pass.

    Inputs and weights are not counted. Runs the module once on `inputs`, `(N, *shape)` each; the modes of all modules and the values of
    all buffers, such as the statistics of batch norms, are restored.
    """
    modes = [(part, part.training) for part in module.modules()]
    kept = {name: buffer.clone() for name, buffer in module.named_buffers()} if training else {}
    try:
        return _measured(module.train(training), inputs, training)
    finally:
        for part, mode in modes:  # outer modules first, since `train` also sets the inner ones
            part.train(mode)
        for name, buffer in module.named_buffers():
            if name in kept:
                buffer.copy_(kept[name])


def _measured(module: nn.Module, inputs: tuple[Tensor, ...], training: bool) -> int:
    if inputs and inputs[0].is_cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        with torch.set_grad_enabled(training):
            result = module(*inputs)
        torch.cuda.synchronize()
        now = torch.cuda.memory_allocated() if training else torch.cuda.max_memory_allocated()
        del result
        return int(now - before)
    weights = [*module.parameters(), *module.buffers()]
    known = [*(tensor for tensor in weights if not tensor.is_mkldnn), *inputs]  # packed ones have no storage of their own
    with Tracker(known) as tracker, torch.set_grad_enabled(training):
        result = module(*inputs)
        alive = tracker.live
    del result
    return int(alive if training else tracker.peak)
