"""Self-attention whose queries, keys and values are pooled over the positions of a video."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """A convolution of each channel over the positions, and a layer norm; the class token is only normalized."""

    def __init__(self, width: int, kernel: Sequence[int], stride: Sequence[int], eps: float) -> None:
        super().__init__()
        t, h, w = kernel
        step = (stride[0], stride[1], stride[2])
        self.pool = nn.Conv3d(width, width, (t, h, w), step, padding=(t // 2, h // 2, w // 2), groups=width, bias=False)
        self.norm_act = nn.Sequential(nn.LayerNorm(width, eps=eps))

    def forward(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Sequence[int]]:
        """Pool `(N, heads, 1 + positions, width)`; return the result, and its sizes."""
        count, heads, _, width = x.shape
        token, positions = x[:, :, :1], x[:, :, 1:]
        pooled = self.pool(positions.transpose(2, 3).reshape(count * heads, width, *sizes).contiguous())
        after = pooled.shape[2:]
        pooled = pooled.reshape(count, heads, width, -1).transpose(2, 3)
        result: Tensor = self.norm_act(torch.cat((token, pooled), dim=2))
        return result, after


class PooledAttention(nn.Module):
    """Self-attention of `(N, C, 1 + positions)`, a class token before the positions of a video.

    Li et al. 2022, arXiv:2112.01526; without `relative` and `residual`, Fan et al. 2021, arXiv:2104.11227. Operations are in the order
    of torchvision's module, for the same results to the last bit.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        heads: int,
        sizes: Sequence[int],
        kernel_q: Sequence[int],
        stride_q: Sequence[int],
        kernel_kv: Sequence[int],
        stride_kv: Sequence[int],
        tables: Sequence[int],
        residual: bool,
        eps: float,
    ) -> None:
        super().__init__()
        self.heads, self.width, self.sizes, self.residual = heads, out // heads, tuple(sizes), residual
        inward, outward = nn.Linear(channels, 3 * out), nn.Linear(out, out)
        self.qkv, self.project = inward, nn.Sequential(outward)
        for layer in (inward, outward):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        for name, kernel, stride in (
            ("q", kernel_q, stride_q),
            ("k", kernel_kv, stride_kv),
            ("v", kernel_kv, stride_kv),
        ):
            pools = math.prod(kernel) > 1 or math.prod(stride) > 1
            self.add_module(f"pool_{name}", Pool(self.width, kernel, stride, eps) if pools else None)
        for name, rows in zip("thw", tables, strict=False):
            table = nn.Parameter(torch.empty(rows, self.width))
            nn.init.trunc_normal_(table, std=0.02)
            self.register_parameter(f"rel_pos_{name}", table)
        self.relative = bool(tables)

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1).contiguous()
        count, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(count, length, 3, self.heads, self.width).transpose(1, 3).unbind(dim=2)
        k, read = self._pooled("k", k)
        v, _ = self._pooled("v", v)
        q, sizes = self._pooled("q", q)
        products = torch.matmul(1.0 / math.sqrt(self.width) * q, k.transpose(2, 3))
        if self.relative:
            products[:, :, 1:, 1:] += self._bias(q[:, :, 1:], sizes, read)
        products = products.softmax(dim=-1)
        result = torch.matmul(products, v)
        if self.residual:
            result[:, :, 1:] += q[:, :, 1:]
        result = result.transpose(1, 2).reshape(count, -1, self.heads * self.width)
        projected: Tensor = self.project(result)
        return projected.movedim(-1, 1)

    def _pooled(self, name: str, x: Tensor) -> tuple[Tensor, Sequence[int]]:
        pool = self.get_submodule(f"pool_{name}") if getattr(self, f"pool_{name}") is not None else None
        return (x, self.sizes) if pool is None else pool(x, self.sizes)

    def _bias(self, q: Tensor, sizes: Sequence[int], read: Sequence[int]) -> Tensor:
        """Return what is added to the products of positions: of each query, and the rows of its table_rows to a key along each axis."""
        q = q.reshape(*q.shape[:2], *sizes, self.width)
        tables = (self.get_parameter(f"rel_pos_{name}") for name in "thw")
        t, h, w = (
            table[table_rows(*pair, q.device)]
            for table, pair in zip(tables, zip(sizes, read, strict=True), strict=True)
        )
        over_h = torch.einsum("bythwc,hkc->bythwk", q, h)
        over_w = torch.einsum("bythwc,wkc->bythwk", q, w)
        over_t = torch.einsum("bythwc,tkc->bythwk", q, t)
        bias = over_h[..., None, :, None] + over_w[..., None, None, :] + over_t[..., :, None, None]
        return bias.reshape(*q.shape[:2], math.prod(sizes), math.prod(read))


def table_rows(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return the row of a table for each query and key along an axis, `(queries, keys)`; the fewer positions are spread over the others."""
    query, key = max(keys / queries, 1.0), max(queries / keys, 1.0)
    rows = (
        torch.arange(queries, device=device)[:, None] * query
        - (torch.arange(keys, device=device)[None, :] + (1.0 - keys)) * key
    )
    return rows.long()
