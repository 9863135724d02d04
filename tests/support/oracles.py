"""Networks that torchvision lacks, as plain modules written from the layer tables of their papers.

Each defines its parts in the order of the table, so weights are carried over in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """LeCun, Bottou, Bengio & Haffner 1998, section II.B; C3 as a dense convolution whose table I is a mask."""

    MAPS = ("012", "123", "234", "345", "045", "015", "0123", "1234", "2345", "0345", "0145", "0125", "0134", "1245", "0235", "012345")

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = nn.ParameterList([torch.randn(6), torch.randn(6)])
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = nn.ParameterList([torch.randn(16), torch.randn(16)])
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.codes = nn.Buffer(torch.randint(0, 2, (10, 84)) * 2.0 - 1)
        sees = torch.zeros(16, 6)
        for out, row in enumerate(self.MAPS):
            for channel in row:
                sees[out, int(channel)] = 1
        self.sees = nn.Buffer(sees.bool(), persistent=False)

    def weights(self) -> list[Tensor]:
        """In the order of the layers; of C3 only the kernels that exist."""
        c3 = self.c3.weight[self.sees]
        return [*self.c1.parameters(), *self.s2, c3, self.c3.bias, *self.s4, *self.c5.parameters(), *self.f6.parameters(), self.codes]

    def forward(self, x: Tensor) -> Tensor:
        def squash(a: Tensor) -> Tensor:
            return 1.7159 * torch.tanh(2 / 3 * a)

        def subsample(a: Tensor, coefficient: Tensor, bias: Tensor) -> Tensor:
            summed = a[..., ::2, ::2] + a[..., ::2, 1::2] + a[..., 1::2, ::2] + a[..., 1::2, 1::2]
            return summed * coefficient.view(-1, 1, 1) + bias.view(-1, 1, 1)

        x = squash(subsample(squash(self.c1(x)), *self.s2))
        x = squash(F.conv2d(x, self.c3.weight * self.sees[:, :, None, None], self.c3.bias))
        x = squash(self.c5(squash(subsample(x, *self.s4)))).flatten(1)
        return torch.cdist(squash(self.f6(x)), self.codes).square()


def modern_lenet5() -> nn.Module:
    head = [nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    pool = nn.MaxPool2d(2)
    return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), pool, nn.Conv2d(6, 16, 5), nn.ReLU(), pool, *head)


def head(inputs: int) -> list[nn.Module]:
    """The fully-connected layers of AlexNet, ZFNet and VGG."""
    first = [nn.Flatten(), nn.Linear(inputs, 4096), nn.ReLU(), nn.Dropout(0.5)]
    return [*first, nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 1000)]


def response_norm() -> nn.Module:
    """k=2, n=5, alpha=1e-4, beta=0.75 in the printed formula; torch divides alpha by n."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)


def conv(a: int, b: int, kernel: int, stride: int = 1, pad: int = 0, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, kernel, stride, pad, groups=groups), nn.ReLU()]


def alexnet(groups: int = 2, pad: int = 0) -> nn.Module:
    """Krizhevsky, Sutskever & Hinton 2012, section 3.5."""
    layers = [*conv(3, 96, 11, 4, pad), response_norm(), nn.MaxPool2d(3, 2)]
    layers += [*conv(96, 256, 5, 1, 2, groups), response_norm(), nn.MaxPool2d(3, 2)]
    layers += [*conv(256, 384, 3, 1, 1), *conv(384, 384, 3, 1, 1, groups), *conv(384, 256, 3, 1, 1, groups), nn.MaxPool2d(3, 2)]
    return nn.Sequential(*layers, *head(256 * 6 * 6))


class TwoStreams(nn.Module):
    """AlexNet as in figure 2: two columns of layers, which meet at both response norms, at conv3, and from fc6 on."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = alexnet()

    def forward(self, x: Tensor) -> Tensor:
        conv1, conv2, conv3, conv4, conv5 = (layer for layer in self.layers if isinstance(layer, nn.Conv2d))

        def column(layer: nn.Conv2d, number: int, seen: Tensor) -> Tensor:
            weight, bias = layer.weight.chunk(2)[number], layer.bias.chunk(2)[number]
            return F.relu(F.conv2d(seen, weight, bias, layer.stride, layer.padding))

        def norm_and_pool(top: Tensor, bottom: Tensor) -> Sequence[Tensor]:
            return F.max_pool2d(response_norm()(torch.cat([top, bottom], 1)), 3, 2).chunk(2, 1)

        top, bottom = norm_and_pool(column(conv1, 0, x), column(conv1, 1, x))
        top, bottom = norm_and_pool(column(conv2, 0, top), column(conv2, 1, bottom))
        both = torch.cat([top, bottom], 1)
        columns = []
        for number in (0, 1):
            y = column(conv5, number, column(conv4, number, column(conv3, number, both)))
            columns.append(F.max_pool2d(y, 3, 2))
        fully_connected = self.layers[list(self.layers).index(conv5) + 3 :]
        return fully_connected(torch.cat(columns, 1))


def zfnet(a: int, b: int, c: int) -> nn.Module:
    """Zeiler & Fergus 2014, figure 3."""
    layers = [*conv(3, 96, 7, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True), response_norm()]
    layers += [*conv(96, 256, 5, 2), nn.MaxPool2d(3, 2, ceil_mode=True), response_norm()]
    layers += [*conv(256, a, 3, 1, 1), *conv(a, b, 3, 1, 1), *conv(b, c, 3, 1, 1), nn.MaxPool2d(3, 2)]
    return nn.Sequential(*layers, *head(c * 6 * 6))


VGG = {  # Simonyan & Zisserman 2015, table 1; L is a response norm, M a pool, 1 a 1x1 convolution as wide as the one before it
    "A-LRN": "64 L M 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1 M 512 512 1 M 512 512 1 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
}


def vgg(column: str, head: list[nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    width = 3
    for word in VGG[column].split():
        if word == "M":
            layers.append(nn.MaxPool2d(2))
        elif word == "L":
            layers.append(response_norm())
        elif word == "1":
            layers += conv(width, width, 1)
        else:
            layers += conv(width, int(word), 3, 1, 1)
            width = int(word)
    return nn.Sequential(*layers, *head)


def mean_head() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)]


def convolution_head() -> list[nn.Module]:
    return [*conv(512, 4096, 7), nn.Dropout(0.5), *conv(4096, 4096, 1), nn.Dropout(0.5), nn.Conv2d(4096, 1000, 1)]


class Inception(nn.Module):
    """Szegedy et al. 2015, figure 2b, from a row of table 1."""

    def __init__(self, inputs: int, c1: int, r3: int, c3: int, r5: int, c5: int, proj: int) -> None:
        super().__init__()
        self.a = nn.Sequential(*conv(inputs, c1, 1))
        self.b = nn.Sequential(*conv(inputs, r3, 1), *conv(r3, c3, 3, pad=1))
        self.c = nn.Sequential(*conv(inputs, r5, 1), *conv(r5, c5, 5, pad=2))
        self.d = nn.Sequential(nn.MaxPool2d(3, 1, 1), *conv(inputs, proj, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.b(x), self.c(x), self.d(x)], 1)


class GoogLeNet(nn.Module):
    """Szegedy et al. 2015, table 1, as Caffe's model has it."""

    ROWS = (
        (64, 96, 128, 16, 32, 32),
        (128, 128, 192, 32, 96, 64),
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
        (256, 160, 320, 32, 128, 128),
        (384, 192, 384, 48, 128, 128),
    )

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *(*conv(3, 64, 7, 2, 3), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5)),
            *(*conv(64, 64, 1), *conv(64, 192, 3, 1, 1), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2, ceil_mode=True)),
        )
        inputs = 192
        self.rows = nn.ModuleList()
        for row in self.ROWS:
            self.rows.append(Inception(inputs, *row))
            inputs = row[0] + row[2] + row[4] + row[5]
        self.fc = nn.Linear(1024, 1000)
        self.aux1, self.aux2 = self.side(512), self.side(528)

    def side(self, inputs: int) -> nn.Module:
        wide = [nn.Flatten(), nn.Linear(128 * 4 * 4, 1024), nn.ReLU(), nn.Dropout(0.7), nn.Linear(1024, 1000)]
        return nn.Sequential(nn.AvgPool2d(5, 3), *conv(inputs, 128, 1), *wide)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        x = self.stem(x)
        taps = {}
        for number, row in enumerate(self.rows):
            x = row(x)
            if number in (1, 6):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            taps[number] = x
        x = self.fc(F.dropout(F.avg_pool2d(x, 7, 1), 0.4, self.training).flatten(1))
        if not self.training:
            return x
        return {"output": x, "aux1": self.aux1(taps[2]), "aux2": self.aux2(taps[5])}


class Unit(nn.Module):
    """He, Zhang, Ren & Sun 2016: two 3x3 layers, or three with a bottleneck whose first layer strides.

    `shortcut` is A (every second position, zeros behind), B (a 1x1 convolution), or nothing for the plain nets.
    """

    def __init__(self, inputs: int, width: int, stride: int, shortcut: str, bottleneck: bool = False) -> None:
        super().__init__()
        self.shortcut, self.stride = shortcut, stride
        self.out = 4 * width if bottleneck else width
        sizes = [(inputs, width, 1), (width, width, 3), (width, self.out, 1)] if bottleneck else [(inputs, width, 3), (width, width, 3)]
        self.convs = nn.ModuleList()
        for number, (a, b, kernel) in enumerate(sizes):
            self.convs.append(norm_conv(a, b, kernel, stride if number == 0 else 1))
            if not shortcut:  # else nothing is left of the input after a hundred layers
                nn.init.kaiming_normal_(self.convs[-1][0].weight, nonlinearity="relu")
        if shortcut == "B" and (stride != 1 or inputs != self.out):
            self.projection = norm_conv(inputs, self.out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.convs[:-1]:
            y = F.relu(layer(y))
        y = self.convs[-1](y)
        if self.shortcut == "A":
            short = x[:, :, :: self.stride, :: self.stride]
            y = y + F.pad(short, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        elif self.shortcut == "B":
            y = y + (self.projection(x) if hasattr(self, "projection") else x)
        return F.relu(y)


def norm_conv(a: int, b: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(a, b, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(b))


def residual(stem: Sequence[nn.Module], inputs: int, widths: Sequence[int], depths: Sequence[int], classes: int, **unit: Any) -> nn.Module:
    layers = list(stem)
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for copy in range(depth):
            layers.append(Unit(inputs, width, 2 if stage and not copy else 1, **unit))
            inputs = layers[-1].out  # type: ignore[assignment]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def resnet(depths: Sequence[int], shortcut: str, bottleneck: bool = False) -> nn.Module:
    """He et al. 2016, table 1."""
    stem = [norm_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return residual(stem, 64, (64, 128, 256, 512), depths, 1000, shortcut=shortcut, bottleneck=bottleneck)


def cifar(n: int, shortcut: str) -> nn.Module:
    """He et al. 2016, section 4.2."""
    return residual([norm_conv(3, 16, 3, 1), nn.ReLU()], 16, (16, 32, 64), (n, n, n), 10, shortcut=shortcut)


class UNet(nn.Module):
    """Ronneberger, Fischer & Brox 2015, figure 1."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, 64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(self.double(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in (512, 256, 128, 64))
        self.join = nn.ModuleList(self.double(2 * w, w) for w in (512, 256, 128, 64))
        self.head = nn.Conv2d(64, 2, 1)

    def double(self, a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU(), nn.Conv2d(b, b, 3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, down in enumerate(self.down):
            x = down(x if level == 0 else torch.max_pool2d(x, 2))
            skips.append(x)
        for up, join, skip in zip(self.up, self.join, reversed(skips[:-1]), strict=True):
            x = up(x)
            cut = (skip.shape[-1] - x.shape[-1]) // 2
            x = join(torch.cat([skip[..., cut : cut + x.shape[-2], cut : cut + x.shape[-1]], x], dim=1))
        return self.head(x)


ORACLES = {
    "lenet5_modern": modern_lenet5,
    "alexnet": alexnet,
    "alexnet_ungrouped": lambda: alexnet(groups=1),
    "alexnet_224": lambda: alexnet(pad=2),
    "zfnet": lambda: zfnet(384, 384, 256),
    "zfnet_512": lambda: zfnet(512, 1024, 512),
    "vgg11_lrn": lambda: vgg("A-LRN", head(512 * 7 * 7)),
    "vgg16_c": lambda: vgg("C", head(512 * 7 * 7)),
    "vgg16_gap": lambda: vgg("D", mean_head()),
    "vgg16_fcn": lambda: vgg("D", convolution_head()),
    "googlenet": GoogLeNet,
    "plain18": lambda: resnet((2, 2, 2, 2), ""),
    "plain34": lambda: resnet((3, 4, 6, 3), ""),
    "resnet18_a": lambda: resnet((2, 2, 2, 2), "A"),
    "resnet34_a": lambda: resnet((3, 4, 6, 3), "A"),
    "resnet50_v1": lambda: resnet((3, 4, 6, 3), "B", bottleneck=True),
    "resnet101_v1": lambda: resnet((3, 4, 23, 3), "B", bottleneck=True),
    "resnet152_v1": lambda: resnet((3, 8, 36, 3), "B", bottleneck=True),
    **{f"cifar_resnet{6 * n + 2}": lambda n=n: cifar(n, "A") for n in (3, 5, 7, 9, 18, 200)},  # type: ignore[misc]
    **{f"cifar_plain{6 * n + 2}": lambda n=n: cifar(n, "") for n in (3, 5, 7, 9, 18)},  # type: ignore[misc]
}
