"""Networks of tokens that torchvision lacks, as plain modules written from their papers, with the keys of the files in `archs/`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def heads_of(x: Tensor, heads: int) -> Tensor:
    """`(N, L, C)` as `(N, heads, L, C/heads)`."""
    n, length, width = x.shape
    return x.view(n, length, heads, width // heads).transpose(1, 2)


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool = False) -> Tensor:
    """Vaswani et al. 2017, equation 1, step by step."""
    q, k, v = (heads_of(x, heads) for x in (q, k, v))
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    if causal:
        later = torch.ones(scores.shape[2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    return (scores.softmax(3) @ v).transpose(1, 2).flatten(2)


class Named(nn.Module):
    """Modules under names, some of which are no names of attributes."""

    def __init__(self, **members: nn.Module) -> None:
        super().__init__()
        for name, member in members.items():
            self.add_module(name, member)


class GPT2Layer(nn.Module):
    """Radford et al. 2019, section 2.3: normalization first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Named(c_attn=nn.Linear(width, 3 * width), c_proj=nn.Linear(width, width))
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Named(c_fc=nn.Linear(width, 4 * width), c_proj=nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.attn.c_attn(self.ln_1(x)).chunk(3, 2)
        x = x + self.attn.c_proj(attended(q, k, v, self.heads, causal=True))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, words: int, length: int) -> None:
        super().__init__()
        self.vocabulary = Named(wte=nn.Embedding(words, width))
        self.wpe = nn.Embedding(length, width)
        self.h = nn.ModuleList(GPT2Layer(width, heads) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.vocabulary.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for layer in self.h:
            x = layer(x)
        return self.ln_f(x) @ self.vocabulary.wte.weight.T


class BertLayer(nn.Module):
    """Devlin et al. 2019, section 3, after Vaswani et al. 2017: normalization after the sum."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        q, k, v = (nn.Linear(width, width) for _ in range(3))
        first = Named(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, eps=1e-12))
        self.attention = Named(query=q, key=k, value=v, output=first)
        self.intermediate = Named(dense=nn.Linear(width, 4 * width))
        self.output = Named(dense=nn.Linear(4 * width, width), LayerNorm=nn.LayerNorm(width, eps=1e-12))

    def forward(self, x: Tensor) -> Tensor:
        a = self.attention
        x = a.output.LayerNorm(x + a.output.dense(attended(a.query(x), a.key(x), a.value(x), self.heads)))
        return self.output.LayerNorm(x + self.output.dense(F.gelu(self.intermediate.dense(x))))


class Bert(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, words: int, length: int) -> None:
        super().__init__()
        self.embeddings = Named(
            word_embeddings=nn.Embedding(words, width),
            position_embeddings=nn.Embedding(length, width),
            token_type_embeddings=nn.Embedding(2, width),
            LayerNorm=nn.LayerNorm(width, eps=1e-12),
        )
        self.encoder = Named(layer=nn.ModuleList(BertLayer(width, heads) for _ in range(depth)))
        self.pooler = Named(dense=nn.Linear(width, width))

    def forward(self, ids: Tensor, types: Tensor) -> dict[str, Tensor]:
        e = self.embeddings
        x = e.LayerNorm(e.word_embeddings(ids) + e.token_type_embeddings(types) + e.position_embeddings.weight)
        for layer in self.encoder.layer:
            x = layer(x)
        return {"hidden": x.transpose(1, 2), "pooled": torch.tanh(self.pooler.dense(x[:, 0]))}


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class MixerLayer(nn.Module):
    """Tolstikhin et al. 2021, equation 1."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.norm1, self.mlp_tokens = nn.LayerNorm(width, eps=1e-6), Mlp(tokens, width // 2)
        self.norm2, self.mlp_channels = nn.LayerNorm(width, eps=1e-6), Mlp(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mlp_channels(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, width: int, depth: int, size: int, classes: int) -> None:
        super().__init__()
        self.stem = Named(proj=nn.Conv2d(3, width, 16, 16))
        self.blocks = nn.ModuleList(MixerLayer(width, (size // 16) ** 2) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem.proj(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        y: Tensor = self.head(self.norm(x).mean(1))
        return y


class Residual(nn.Module):
    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x) + x


class ConvMixer(nn.Module):
    """Trockman & Kolter 2022, figure 3, with the ReLU of ConvMixer-768/32."""

    def __init__(self, width: int, depth: int, classes: int) -> None:
        super().__init__()

        def after(layer: nn.Module) -> list[nn.Module]:
            return [layer, nn.ReLU(), nn.BatchNorm2d(width)]

        def block() -> nn.Module:
            depthwise = Residual(nn.Sequential(*after(nn.Conv2d(width, width, 7, groups=width, padding="same"))))
            return nn.Sequential(depthwise, *after(nn.Conv2d(width, width, 1)))

        self.stem = nn.Sequential(*after(nn.Conv2d(3, width, 7, 7)))
        self.blocks = nn.Sequential(*(block() for _ in range(depth)))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return y
