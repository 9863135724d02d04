"""Attention within windows on a CPU: bias and mask are computed once, and one call computes the attention of all windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from archc.compiler.analysis.fusion import Fusion
from archc.compiler.backends.torch.modules import WindowAttention
from archc.compiler.backends.torch.packed import PackedLinear


class PackedWindowAttention(nn.Module):
    """A WindowAttention with constant weights, for `(N, C, *sizes)` with the given sizes; weights are laid out for a batch of `batch`.

    The bias of positions and the mask of the shift are one constant, which F.scaled_dot_product_attention adds.
    """

    added: Tensor | None
    factors: Tensor | None

    def __init__(self, attention: WindowAttention, batch: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.windows, self.heads = attention.windows, attention.heads
        project, merge = attention.projections()
        positions = batch * math.prod(self.windows.whole(sizes))
        self.project = PackedLinear(_with_bias(project, attention.projection_bias()), Fusion(), positions)
        self.merge = PackedLinear(merge, Fusion(), positions)
        cosine = attention.similarity == "cosine"
        self.scale = 1.0 if cosine else attention.scale
        self.register_buffer("factors", attention.cosine_scale() if cosine else None, persistent=False)
        self.register_buffer("added", _added(attention, project.weight.new_empty(1, *sizes, 1)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        cut = self.windows.cut(x)
        count, positions, channels = cut.shape
        qkv = self.project(cut).view(count, positions, 3, self.heads, channels // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        if self.factors is not None:
            q, k = F.normalize(q, dim=-1) * self.factors, F.normalize(k, dim=-1)
        added = self.added
        if added is not None and 1 < len(added) < count:
            added = added.repeat(count // len(added), 1, 1, 1)
        result = F.scaled_dot_product_attention(q, k, v, attn_mask=added, scale=self.scale)
        result = self.merge(result.transpose(1, 2).reshape(count, positions, channels))
        return self.windows.joined(result, x.shape[1:-1]).movedim(-1, 1)


def _with_bias(layer: nn.Linear, bias: Tensor | None) -> nn.Linear:
    """Return a layer with the weight of another and the given bias."""
    changed = nn.Linear(layer.in_features, layer.out_features, bias is not None, device="meta")
    changed.weight = layer.weight
    changed.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))
    return changed


def _added(attention: WindowAttention, x: Tensor) -> Tensor | None:
    """Return the sum of bias and mask for `(1, *sizes, C)`, `(1 or windows, heads or 1, positions, positions)`; None without either."""
    bias = None if attention.position == "none" else attention.position_bias(math.prod(attention.windows.size))
    mask = attention.windows.mask(x)
    if mask is None:
        return bias
    return mask.unsqueeze(1) if bias is None else mask.unsqueeze(1) + bias
