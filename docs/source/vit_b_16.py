"""Dosovitskiy et al. 2021, arXiv:2010.11929, ViT-B/16 of table 1. Shapes: those of the defaults."""

import torch
from torch import Tensor, nn


class SelfAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention of a row of tokens `(N, C, L)` with itself."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x = x.movedim(1, -1)
        return super().forward(x, x, x, need_weights=False)[0].movedim(-1, 1)


class Gelu(nn.GELU):
    """nn.GELU, computed where the channels are last in memory: PyTorch rounds differently for other layouts."""

    def forward(self, x: Tensor) -> Tensor:
        moved = x.movedim(1, -1)
        return super().forward(moved).movedim(-1, 1) if moved.is_contiguous() else super().forward(x)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of `(N, C, *sizes)`, position by position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelLinear(nn.Linear):
    """A fully-connected layer over the channels of `(N, C, *sizes)`, position by position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Layer(nn.Module):
    """Figure 1, on the right. Numbers 2 and 4 of the mlp are torchvision's dropouts, whose probability is 0.

    block layer(heads) {
      residual<ln_1: layer_norm; self_attention: multihead_attention(heads)>
      residual<ln_2: layer_norm; mlp: { 0: channel_fc-{4*in.c}; 1: gelu; 3: channel_fc-{in.c//4} }>
    }
    """

    def __init__(self, in_channels: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = ChannelNorm(in_channels, eps=1e-06)
        self.self_attention = SelfAttention(in_channels, heads, batch_first=True)
        self.ln_2 = ChannelNorm(in_channels, eps=1e-06)
        self.mlp = nn.Sequential(
            ChannelLinear(in_channels, 4 * in_channels),
            Gelu(),
            nn.Identity(),  # keeps the numbers of the keys
            ChannelLinear(4 * in_channels, in_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.self_attention(self.ln_1(x)) + x  # 768x197
        return self.mlp(self.ln_2(x)) + x  # 768x197


class Encoder(nn.Module):
    """The part `encoder`."""

    def __init__(self, in_channels: int, heads: int) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, 197, in_channels))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.layers = nn.Sequential()
        for i in range(12):
            self.layers.add_module(f"encoder_layer_{i}", Layer(in_channels, heads))
        self.ln = ChannelNorm(in_channels, eps=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embedding.movedim(-1, -2).expand(x.shape[0], -1, -1)  # 768x197
        return self.ln(self.layers(x))  # 768x197


class VitB16(nn.Module):
    """Vision transformers. Labels are those of torchvision, which truncates the normal distribution of `conv_proj` at 2, dozens of
    deviations from 0; here it is not truncated."""

    def __init__(self, width: int = 768, heads: int = 12, classes: int = 1000) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, kernel_size=16, stride=16)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = Encoder(width, heads)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(width, classes))
        self.apply(init_weights)
        nn.init.normal_(self.get_parameter("conv_proj.weight"), std=0.03608439182435161)
        nn.init.zeros_(self.get_parameter("conv_proj.bias"))
        nn.init.zeros_(self.get_parameter("heads.head.weight"))
        nn.init.zeros_(self.get_parameter("heads.head.bias"))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x).flatten(2)  # 768x196
        x = torch.cat([self.class_token.movedim(-1, -2).expand(x.shape[0], -1, -1), x], dim=2)  # 768x197
        return self.heads(self.encoder(x)[:, :, 0])  # 1000


def init_weights(module: nn.Module) -> None:
    if isinstance(module, ChannelLinear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.normal_(module.bias, std=1e-06)
