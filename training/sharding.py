"""Several processes: copies of the network (DDP), or parts of its weights in each (FSDP2), and its whole state in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from torch import Tensor, nn, optim
from torch.distributed.checkpoint import state_dict as whole
from torch.optim import swa_utils

from archc.compiler.backends.torch.blocks import Block, Chain

BLOCKS = (Block, Chain)
FULL = whole.StateDictOptions(full_state_dict=True, cpu_offload=True)
FULL_EVERYWHERE = whole.StateDictOptions(full_state_dict=True, broadcast_from_rank0=False)


def strategy(shard: bool, world: int) -> Any:
    """Return Fabric's strategy for so many processes."""
    if world == 1:
        return "auto"
    return ModelParallelStrategy(parallelize_fn=_sharded, data_parallel_size=world, tensor_parallel_size=1) if shard else "ddp"


def _sharded(module: nn.Module, mesh: Any) -> nn.Module:
    """Share the weights out over the processes: those of each innermost block, and then the rest.

    So a process has the whole weights of one block at a time, besides those outside of blocks. A block that is called in several places
    belongs to the rest.
    """
    from torch.distributed.fsdp import fully_shard

    for block in innermost(module):
        fully_shard(block, mesh=mesh["data_parallel"])
    fully_shard(module, mesh=mesh["data_parallel"])
    return module


def innermost(module: nn.Module) -> list[nn.Module]:
    """Return the blocks with weights and without other blocks in them, of those that are called in exactly one place."""
    calls: Counter[str] = Counter()

    def call(name: str, block: nn.Module) -> None:
        calls[name] += 1
        targets = [node.target for node in block.graph.nodes if node.op == "call_module"] if isinstance(block, Block) else []
        for target in [name for name, _ in block.named_children()] if isinstance(block, Chain) else targets:
            call(f"{name}.{target}".lstrip("."), block.get_submodule(target))

    call("", module)
    return [
        block
        for name, block in module.named_modules()
        if name
        and isinstance(block, BLOCKS)
        and calls[name] == 1
        and any(True for _ in block.parameters())
        and not any(isinstance(inner, BLOCKS) for inner in block.modules() if inner is not block)
    ]


def average_of(module: nn.Module, decay: float, shard: bool) -> Any:
    """Return the exponential moving average of a network's weights and buffers; None without one.

    With parts of weights in each process it is taken tensor by tensor: those of the parts and the buffers are of different kinds.
    """
    if not decay:
        return None
    how = {"avg_fn": swa_utils.get_ema_avg_fn(decay)} if shard else {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(decay)}  # type: ignore[no-untyped-call]
    return swa_utils.AveragedModel(module, use_buffers=True, **how)


def share_out(fabric: Fabric, module: nn.Module, shard: bool) -> None:
    """Share out the weights of a moving average as those of its network are."""
    if shard and fabric.world_size > 1:
        _sharded(module, fabric.strategy.device_mesh)  # type: ignore[attr-defined]


def average_state(average: Any, shard: bool) -> Mapping[str, Any] | None:
    """Return the whole state of a moving average, as that of `AveragedModel` is."""
    if average is None:
        return None
    if not shard:
        state: Mapping[str, Any] = average.state_dict()
        return state
    weights, _ = full_state(average.module, None, shard)
    return {"n_averaged": average.n_averaged.cpu(), **{f"module.{key}": value for key, value in weights.items()}}


def load_average(average: Any, state: Mapping[str, Any], shard: bool) -> None:
    """Load the whole state of a moving average."""
    if not shard:
        average.load_state_dict(state)
        return
    average.n_averaged.copy_(state["n_averaged"])
    weights = {key.removeprefix("module."): value for key, value in state.items() if key != "n_averaged"}
    whole.set_model_state_dict(average.module, weights, options=FULL_EVERYWHERE)


def set_up(fabric: Fabric, module: nn.Module, make: Callable[[nn.Module], optim.Optimizer], shard: bool) -> tuple[Any, Any]:
    """Return the module as it is called in training, and the optimizer of its parameters."""
    if shard and fabric.world_size > 1:
        wrapped = fabric.setup_module(module)
        return wrapped, fabric.setup_optimizers(make(wrapped))
    wrapped, chosen = fabric.setup(module, make(module))
    return wrapped, chosen


def full_state(module: nn.Module, chosen: optim.Optimizer | None, shard: bool) -> tuple[Mapping[str, Any], Any]:
    """Return the whole state of a network and of its optimizer, wherever their parts are."""
    inner = getattr(chosen, "optimizer", chosen)
    if not shard:
        return module.state_dict(), None if inner is None else inner.state_dict()
    if inner is None:
        return whole.get_model_state_dict(module, options=FULL), None
    return whole.get_state_dict(module, inner, options=FULL)


def load_state(module: nn.Module, chosen: optim.Optimizer, weights: Mapping[str, Tensor], state: Any, shard: bool) -> None:
    """Load the whole state of a network and of its optimizer."""
    inner = getattr(chosen, "optimizer", chosen)
    if not shard:
        module.load_state_dict(weights)
        inner.load_state_dict(state)
    else:
        whole.set_state_dict(module, inner, model_state_dict=dict(weights), optim_state_dict=state, options=FULL_EVERYWHERE)
