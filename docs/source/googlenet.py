"""Szegedy et al. 2015, arXiv:1409.4842, table 1 and figure 3. Shapes: those of the defaults."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Inception(nn.Module):
    """The six numbers of a row of table 1; the reductions are not concatenated.

    block inception(c1, r3, c3, r5, c5, proj) {
      concat< conv1-{c1}
            | conv1-{r3}; conv3-{c3}
            | conv1-{r5}; conv5-{c5}
            | maxpool3/1(pad=1); conv1-{proj} >
    }
    """

    def __init__(self, in_channels: int, c1: int, r3: int, c3: int, r5: int, c5: int, proj: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, c1, kernel_size=1)
        self.conv2 = nn.Conv2d(in_channels, r3, kernel_size=1)
        self.conv3 = nn.Conv2d(r3, c3, kernel_size=3, padding=1)
        self.conv4 = nn.Conv2d(in_channels, r5, kernel_size=1)
        self.conv5 = nn.Conv2d(r5, c5, kernel_size=5, padding=2)
        self.conv6 = nn.Conv2d(in_channels, proj, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv1(x))
        z = F.relu(self.conv2(x))
        z = F.relu(self.conv3(z))
        u = F.relu(self.conv4(x))
        u = F.relu(self.conv5(u))
        x = F.relu(self.conv6(F.max_pool2d(x, kernel_size=3, stride=1, padding=1, ceil_mode=True)))
        return torch.cat([y, z, u, x], dim=1)


class Side(nn.Module):
    """A classifier on the side, in training only (section 5); its loss weighs 0.3.

    block side(n) {
      avgpool5/3; conv1-128
      fc-1024(act=relu); dropout(0.7)
      fc-{n}
    }
    """

    def __init__(self, in_channels: int, n: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, n)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(F.avg_pool2d(x, kernel_size=5, stride=3))).flatten(1)  # 2048
        x = F.dropout(F.relu(self.fc1(x)), 0.7, self.training)  # 1024
        return self.fc2(x)  # 1000


class Googlenet(nn.Module):
    """GoogLeNet as in Caffe's model of it: biases, LRN, the 5x5 branch with a 5x5, pools rounded up. Table 1 counts in
    K = 1024 and without biases, and some of its rows do not add up."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.conv2 = nn.Sequential()
        self.conv2.add_module("conv1", nn.Conv2d(64, 64, kernel_size=1))
        self.conv2.add_module("relu1", nn.ReLU())
        self.conv2.add_module("conv2", nn.Conv2d(64, 192, kernel_size=3, padding=1))
        self.conv2.add_module("relu2", nn.ReLU())
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.fc = nn.Linear(1024, classes)
        self.aux1 = Side(512, classes)
        self.aux2 = Side(528, classes)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        x = F.max_pool2d(F.relu(self.conv1(x)), kernel_size=3, stride=2, ceil_mode=True)  # 64x56x56
        x = F.local_response_norm(self.conv2(F.local_response_norm(x, 5)), 5)  # 192x56x56
        x = self.inception3a(F.max_pool2d(x, kernel_size=3, stride=2, ceil_mode=True))  # 256x28x28
        x = F.max_pool2d(self.inception3b(x), kernel_size=3, stride=2, ceil_mode=True)  # 480x14x14
        inception4a = self.inception4a(x)  # 512x14x14
        x = self.inception4b(inception4a)  # 512x14x14
        x = self.inception4c(x)  # 512x14x14
        inception4d = self.inception4d(x)  # 528x14x14
        x = F.max_pool2d(self.inception4e(inception4d), kernel_size=3, stride=2, ceil_mode=True)  # 832x7x7
        x = self.inception5a(x)  # 832x7x7
        x = F.dropout(F.avg_pool2d(self.inception5b(x), kernel_size=7, stride=1), 0.4, self.training)  # 1024x1x1
        x = self.fc(x.flatten(1))  # 1000
        if self.training:
            return {"output": x, "aux1": self.aux1(inception4a), "aux2": self.aux2(inception4d)}
        return x  # 1000


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.constant_(module.bias, 0.2)
