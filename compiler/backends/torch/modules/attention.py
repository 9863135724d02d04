"""Attention over the positions of `(N, C, *sizes)`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def last(x: Tensor) -> Tensor:
    """Return `(N, C, *sizes)` as `(N, L, C)`, a view where the channels are last in memory."""
    return x.flatten(2).movedim(1, -1)


def first(x: Tensor, like: Tensor) -> Tensor:
    """Return `(N, L, C)` as `(N, C, *sizes)`, with the sizes of `like`."""
    x = x.movedim(-1, 1)
    return x if like.dim() == 3 else torch.unflatten(x, 2, like.shape[2:])


def row_by_row(x: Tensor) -> Tensor:
    """Return `(N, C, *parts, L)` as `(N * parts, C, L)`."""
    return x.movedim(1, -1).reshape(-1, x.shape[-1], x.shape[1]).movedim(-1, 1)


class Attention(nn.Module):
    """Scaled dot-product attention of queries, keys and values, or of one tensor whose channels are all three in this order.

    The last operand may be a bias, `(N, heads, queries, keys)`. With `rows` each row, the last axis, attends to itself alone, and a bias
    may be `(N, heads, rows, queries, keys)`.
    """

    def __init__(self, heads: int, causal: bool, scale: float | None, dropout: float, rows: bool = False) -> None:
        super().__init__()
        self.heads, self.causal, self.scale, self.dropout, self.rows = heads, causal, scale, dropout, rows

    def forward(self, query: Tensor, *others: Tensor) -> Tensor:
        if not self.rows:
            return self.attend(query, *others)
        parts = query.shape[2:-1]
        read, bias = (others, None) if len(others) in (0, 2) else (others[:-1], others[-1])
        operands = [row_by_row(x) for x in (query, *read)]
        if bias is not None:
            each = bias.movedim(1, 2) if bias.dim() == 5 else bias.unsqueeze(1)
            operands.append(each.expand(-1, parts.numel(), -1, -1, -1).reshape(-1, *bias.shape[1:2], *bias.shape[-2:]))
        result = self.attend(*operands)
        return torch.unflatten(result, 0, (query.shape[0], *parts)).movedim(-2, 1)

    def attend(self, query: Tensor, *others: Tensor) -> Tensor:
        """Return the attention of all positions to all."""
        bias = others[-1] if len(others) in (1, 3) else None
        whole = [last(x) for x in (query, *others[:2])] if len(others) > 1 else last(query).chunk(3, dim=-1)
        q, k, v = (torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2) for x in whole)
        dropout = self.dropout if self.training else 0.0
        result = F.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, dropout_p=dropout, is_causal=self.causal, scale=self.scale
        )
        return first(result.transpose(1, 2).flatten(2), query)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, causal={self.causal}, scale={self.scale}, dropout={self.dropout}"


class MultiheadAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention, channels first, of a tensor with itself, with another, or with keys and values."""

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float, bias: bool, kdim: int, vdim: int, causal: bool
    ) -> None:
        super().__init__(embed_dim, num_heads, dropout=dropout, bias=bias, kdim=kdim, vdim=vdim, batch_first=True)
        self.causal = causal

    def forward(self, query: Tensor, *others: Tensor) -> Tensor:  # type: ignore[override]
        q = last(query)
        read = [last(x) for x in others] or [q]
        mask = nn.Transformer.generate_square_subsequent_mask(q.shape[1], q.device, q.dtype) if self.causal else None
        result, _ = super().forward(q, read[0], read[-1], need_weights=False, attn_mask=mask, is_causal=self.causal)
        return first(result, query)
