"""Several processes: copies of the network (DDP), or parts of its weights in each (FSDP2), and its whole state in both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.strategies import ModelParallelStrategy
from torch import Tensor, nn, optim
from torch.distributed.checkpoint import state_dict as whole

FULL = whole.StateDictOptions(full_state_dict=True, cpu_offload=True)
FULL_EVERYWHERE = whole.StateDictOptions(full_state_dict=True, broadcast_from_rank0=False)


def strategy(shard: bool, world: int) -> Any:
    """Return Fabric's strategy for so many processes."""
    if world == 1:
        return "auto"
    return ModelParallelStrategy(parallelize_fn=_sharded, data_parallel_size=world, tensor_parallel_size=1) if shard else "ddp"


def _sharded(module: nn.Module, mesh: Any) -> nn.Module:
    """Share the weights out over the processes: those of each block that is called, and then the rest."""
    from torch.distributed.fsdp import fully_shard

    fully_shard(module, mesh=mesh["data_parallel"])
    return module


def set_up(fabric: Fabric, module: nn.Module, make: Callable[[nn.Module], optim.Optimizer], shard: bool) -> tuple[Any, optim.Optimizer]:
    """Return the module as it is called in training, and the optimizer of its parameters."""
    if shard and fabric.world_size > 1:
        wrapped = fabric.setup_module(module)
        return wrapped, fabric.setup_optimizers(make(wrapped))
    return fabric.setup(module, make(module))


def full_state(module: nn.Module, chosen: optim.Optimizer | None, shard: bool) -> tuple[Mapping[str, Tensor], Any]:
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
