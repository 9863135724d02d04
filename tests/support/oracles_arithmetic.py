"""Networks with arithmetic between tensors, as plain modules: CBAM, a variational autoencoder, DCGAN, PointNet.

Parts have the names, and stand in the order, of the authors' code or of PyTorch's examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelGate(nn.Module):
    """Woo et al. 2018, equation 2. The authors pool by a window of the size of the map, which rounds otherwise."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        narrow = channels // reduction
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels))

    def forward(self, x: Tensor) -> Tensor:
        both = self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1))
        return x * torch.sigmoid(both)[:, :, None, None].expand_as(x)


class SpatialGate(nn.Module):
    """Woo et al. 2018, equation 3."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.Module()
        self.spatial.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.spatial.bn = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
        return x * torch.sigmoid(self.spatial.bn(self.spatial.conv(both)))


class Bottleneck(nn.Module):
    """Woo et al. 2018, figure 3."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.cbam = nn.Module()
        self.cbam.ChannelGate, self.cbam.SpatialGate = ChannelGate(4 * width), SpatialGate()
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.cbam.SpatialGate(self.cbam.ChannelGate(self.bn3(self.conv3(y))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class CBAMResNet(nn.Module):
    """ResNet, in torchvision's form, of bottlenecks with CBAM."""

    def __init__(self, depths: Sequence[int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for stage, depth in enumerate(depths):
            units = []
            for copy in range(depth):
                units.append(Bottleneck(inputs, 64 * 2**stage, 2 if stage and not copy else 1))
                inputs = 256 * 2**stage
            self.add_module(f"layer{stage + 1}", nn.Sequential(*units))
        self.fc = nn.Linear(inputs, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class VAE(nn.Module):
    """Kingma & Welling 2014 with convolutions: the image is sampled by z = mu + sigma*epsilon in training, of mu in evaluation."""

    def __init__(self, hidden: int = 20) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU())
        self.mu, self.logvar = nn.Conv2d(64, hidden, 7), nn.Conv2d(64, hidden, 7)
        self.decoder = nn.Sequential(
            *(nn.ConvTranspose2d(hidden, 64, 7), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU()),
            *(nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.encoder(x)
        mu, logvar = self.mu(x), self.logvar(x)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(logvar) if self.training else mu
        return {"mu": mu, "logvar": logvar, "image": self.decoder(z)}


class Generator(nn.Module):
    """PyTorch's example of Radford, Metz & Chintala 2016."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [8 * width, 4 * width, 2 * width, width]
        layers: list[nn.Module] = [nn.ConvTranspose2d(100, widths[0], 4, 1, 0, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for a, b in pairwise(widths):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class Discriminator(nn.Module):
    """PyTorch's example of Radford, Metz & Chintala 2016."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for a in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(a, 2 * a, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * a), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).flatten(1)


class Transform(nn.Module):
    """A T-net of Qi et al. 2017: the k x k matrix of all points, without the identity that is added to it."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        self.conv1, self.conv2, self.conv3 = nn.Conv1d(k, 64, 1), nn.Conv1d(64, 128, 1), nn.Conv1d(128, 1024, 1)
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, k * k)
        self.bn1, self.bn2, self.bn3, self.bn4, self.bn5 = (nn.BatchNorm1d(width) for width in (64, 128, 1024, 512, 256))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x))).max(2)[0]
        x = F.relu(self.bn4(self.fc1(x)))
        x = F.relu(self.bn5(self.fc2(x)))
        return self.fc3(x).view(-1, self.k, self.k)


class Features(nn.Module):
    """The part of PointNet before its classifier. `plain`: with T + I, as the authors write it; otherwise by (T + I)x = Tx + x."""

    def __init__(self, plain: bool) -> None:
        super().__init__()
        self.plain = plain
        self.stn, self.fstn = Transform(3), Transform(64)
        self.conv1, self.conv2, self.conv3 = nn.Conv1d(3, 64, 1), nn.Conv1d(64, 128, 1), nn.Conv1d(128, 1024, 1)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(64), nn.BatchNorm1d(128), nn.BatchNorm1d(1024)

    def turned(self, x: Tensor, matrix: Tensor) -> Tensor:
        if self.plain:
            return torch.bmm(x.transpose(2, 1), matrix + torch.eye(matrix.shape[1])).transpose(2, 1)
        return torch.bmm(matrix.transpose(2, 1), x) + x

    def forward(self, x: Tensor) -> Tensor:
        x = self.turned(x, self.stn(x))
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.turned(x, self.fstn(x))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x)).max(2)[0]


class PointNet(nn.Module):
    """Qi et al. 2017, figure 2, in the parts of github.com/fxia22/pointnet.pytorch."""

    def __init__(self, classes: int = 40, plain: bool = False) -> None:
        super().__init__()
        self.feat = Features(plain)
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, classes)
        self.dropout = nn.Dropout(0.3)
        self.bn1, self.bn2 = nn.BatchNorm1d(512), nn.BatchNorm1d(256)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.fc1(self.feat(x))))
        x = F.relu(self.bn2(self.dropout(self.fc2(x))))
        return F.log_softmax(self.fc3(x), dim=1)
